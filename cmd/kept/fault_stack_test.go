package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kept-practice/kept/internal/proof/fault"
)

// probe lets an api or worker that the test binary plays report to a conductor, where the test has one.
func probe(process, conductor string) {
	from := fault.Process(process)
	if conductor == "" || (from != fault.API && from != fault.Worker) {
		return
	}
	p := fault.NewProbe(from, conductor)
	seams.statements, seams.gateways, seams.requests = p.Statements(), p.Gateways, p.Requests
	seams.rings, seams.steps = append(seams.rings, p.Rings()), append(seams.steps, p.Steps())
}

// faulted is a running stack with a conductor that can kill any of its processes at a boundary.
type faulted struct {
	up        upProcess
	at        running
	dir       string
	conductor *fault.Conductor
}

func startFaulted(t *testing.T) *faulted {
	t.Helper()
	f := &faulted{dir: stateFolder(t)}
	f.conductor = fault.NewConductor(f.slay)
	t.Cleanup(f.conductor.Close)
	t.Setenv("KEPT_TEST_CONDUCTOR", f.conductor.URL())
	f.up = startUp(t, f.dir)
	f.up.out.waitFor(t, 1, "Links in messages work on this machine only")
	f.at = readRunning(t, f.dir)
	t.Cleanup(func() {
		require.NoError(t, f.up.cmd.Process.Signal(syscall.SIGTERM))
		require.NoError(t, f.up.cmd.Wait())
	})
	return f
}

// slay sends SIGKILL to a process of the stack and returns once it is gone. One that is just being restarted is waited for.
func (f *faulted) slay(victim fault.Process) error {
	deadline := time.Now().Add(20 * time.Second)
	for {
		pid, err := f.pid(victim)
		if err == nil {
			err = syscall.Kill(pid, syscall.SIGKILL)
		}
		if err == nil {
			for alive(pid) && time.Now().Before(deadline) {
				time.Sleep(time.Millisecond) // a process's end can only be asked for
			}
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("kill %s: %w", victim, err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func (f *faulted) pid(victim fault.Process) (int, error) {
	if victim == fault.Postgres {
		content, err := os.ReadFile(filepath.Join(f.dir, "postgres", "data", "postmaster.pid"))
		if err != nil {
			return 0, err
		}
		first, _, _ := strings.Cut(string(content), "\n")
		return strconv.Atoi(first)
	}
	children, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", f.up.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	for _, list := range children {
		pids, err := os.ReadFile(list)
		if err != nil {
			continue // a thread that has just ended
		}
		for field := range strings.FieldsSeq(string(pids)) {
			line, err := os.ReadFile("/proc/" + field + "/cmdline")
			if err == nil && runs(victim, strings.Split(string(line), "\x00")) {
				return strconv.Atoi(field)
			}
		}
	}
	return 0, errors.New("it is not running")
}

func runs(victim fault.Process, args []string) bool {
	if victim == fault.Temporal {
		return strings.Contains(args[0], "temporal-dev")
	}
	return len(args) > 1 && args[1] == string(victim)
}

// alive tells a process that still runs from one that has ended, reaped or not.
func alive(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	_, rest, _ := strings.Cut(string(stat), ") ")
	return !strings.HasPrefix(rest, "Z") && !strings.HasPrefix(rest, "X")
}
