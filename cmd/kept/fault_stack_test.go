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
			err = end(pid, deadline)
		}
		if err == nil {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("kill %s: %w", victim, err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// end kills a process and whatever it has forked, PostgreSQL's backends above all, as the loss of a machine does.
func end(pid int, deadline time.Time) error {
	forked := children(pid)
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		return err
	}
	for _, child := range forked {
		_ = syscall.Kill(child, syscall.SIGKILL) // gone already is as well
	}
	for _, p := range append(forked, pid) {
		for alive(p) && time.Now().Before(deadline) {
			time.Sleep(time.Millisecond) // the end of a process can only be asked for
		}
	}
	return nil
}

// children lists the processes that one has started.
func children(pid int) (all []int) {
	lists, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	if err != nil {
		panic(err) // the pattern is ours
	}
	for _, list := range lists {
		pids, err := os.ReadFile(list)
		if err != nil {
			continue // a thread that has just ended
		}
		for field := range strings.FieldsSeq(string(pids)) {
			if child, err := strconv.Atoi(field); err == nil {
				all = append(all, child)
			}
		}
	}
	return all
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
	for _, pid := range children(f.up.cmd.Process.Pid) {
		line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
		if err == nil && runs(victim, strings.Split(string(line), "\x00")) {
			return pid, nil
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
