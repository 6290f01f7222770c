package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// playService is the child of the tests below. "once FILE" ends with status 3 on its first start and stays on its second;
// "stay" stays until SIGTERM; "deaf" ignores SIGTERM; "die" fails at once and "brief" succeeds. Each says its name first.
func playService(args []string) {
	terminated := make(chan os.Signal, 1)
	signal.Notify(terminated, syscall.SIGTERM)
	if args[0] == "deaf" {
		signal.Ignore(syscall.SIGTERM)
	}
	fmt.Println(args[0], "says", os.Getpid())
	switch args[0] {
	case "once":
		if _, err := os.Stat(args[1]); err != nil {
			if err := os.WriteFile(args[1], nil, 0o600); err != nil {
				fmt.Println(err)
			}
			os.Exit(3)
		}
	case "die":
		fmt.Print("no newline at the end")
		os.Exit(1)
	case "brief":
		os.Exit(0)
	}
	<-terminated
	fmt.Println(args[0], "stops")
}

// transcript is a console's output that can be read while it is written, and waited on.
type transcript struct {
	mu   sync.Mutex
	text bytes.Buffer
	grew chan struct{}
}

func newTranscript() *transcript { return &transcript{grew: make(chan struct{}, 1)} }

func (s *transcript) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case s.grew <- struct{}{}:
	default:
	}
	return s.text.Write(b)
}

func (s *transcript) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

// waitFor returns when the text has been written n times.
func (s *transcript) waitFor(t *testing.T, n int, text string) {
	t.Helper()
	late := time.After(40 * time.Second)
	for strings.Count(s.String(), text) < n {
		select {
		case <-s.grew:
		case <-late:
			require.FailNow(t, "never said", "%d × %q in:\n%s", n, text, s.String())
		}
	}
}

func plays(args ...string) service {
	return service{name: args[0], command: func(context.Context) (*exec.Cmd, error) {
		cmd := exec.Command(os.Args[0], args...)
		cmd.Env = append(os.Environ(), "KEPT_TEST_PLAYS=service")
		return cmd, nil
	}}
}

func supervise(t *testing.T) (*supervisor, *transcript) {
	t.Helper()
	out := newTranscript()
	s := newSupervisor(newConsole(out))
	t.Cleanup(s.stop)
	return s, out
}

func TestSupervisor_ServiceThatDies_IsStartedAgain(t *testing.T) {
	s, out := supervise(t)
	s.keep(plays("once", filepath.Join(t.TempDir(), "died")))
	out.waitFor(t, 2, "once       | once says")
	require.Contains(t, out.String(), "kept       | once ended (exit status 3); starting it again in 200ms")
}

func TestSupervisor_ServiceThatKeepsDying_WaitsLongerEachTimeUpToTheLongest(t *testing.T) {
	s, out := supervise(t)
	s.first, s.longest = time.Millisecond, 4*time.Millisecond
	s.keep(plays("die"))
	out.waitFor(t, 5, "die ended")
	require.Contains(t, out.String(), "| no newline at the end\n")
	var waits []string
	for line := range strings.Lines(out.String()) {
		if _, wait, found := strings.Cut(line, "again in "); found {
			waits = append(waits, strings.TrimSpace(wait))
		}
	}
	require.Equal(t, []string{"1ms", "2ms", "4ms", "4ms", "4ms"}, waits[:5])
}

func TestSupervisor_Stop_GoesInReverseOrder(t *testing.T) {
	s, out := supervise(t)
	s.keep(plays("stay", "first"))
	out.waitFor(t, 1, "stay says")
	second := plays("stay", "second")
	second.name = "second"
	s.keep(second)
	out.waitFor(t, 1, "second     | stay says")
	s.stop()
	text := out.String()
	require.Less(t, strings.Index(text, "second     | stay stops"), strings.Index(text, "stay       | stay stops"), text)
	require.NotContains(t, text, "starting it again")
}

func TestSupervisor_ServiceDeafToSigterm_IsKilledWhenPatienceEnds(t *testing.T) {
	s, out := supervise(t)
	s.patience = 200 * time.Millisecond
	s.keep(plays("deaf"))
	out.waitFor(t, 1, "deaf says")
	_, after, _ := strings.Cut(out.String(), "deaf says ")
	pid, err := strconv.Atoi(strings.TrimSpace(after))
	require.NoError(t, err)
	s.stop()
	require.Contains(t, out.String(), "deaf did not stop in 200ms and is killed")
	require.ErrorIs(t, syscall.Kill(pid, 0), syscall.ESRCH)
}

func TestKeeper_Await_GivesUpOnAServiceThatNeverStarts(t *testing.T) {
	s, _ := supervise(t)
	s.first = time.Millisecond
	k := s.keep(plays("die"))
	err := k.await(t.Context(), 3, func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() })
	require.ErrorContains(t, err, "die does not start (exit status 1)")
}

func TestKeeper_Await_ReturnsWhenReady(t *testing.T) {
	s, out := supervise(t)
	k := s.keep(plays("stay"))
	require.NoError(t, k.await(t.Context(), 1, func(context.Context) error { out.waitFor(t, 1, "stay says"); return nil }))
}

func TestSupervisor_RunOnce_TellsSuccessFromFailure(t *testing.T) {
	s, out := supervise(t)
	require.NoError(t, s.run(t.Context(), plays("brief")))
	require.ErrorContains(t, s.run(t.Context(), plays("die")), "die failed (exit status 1)")
	require.Contains(t, out.String(), "brief      | brief says")
}

func TestConsole_PiecesOfALine_ComeOutWhole(t *testing.T) {
	out := newTranscript()
	w := newConsole(out).writer("api")
	for _, piece := range []string{"one ", "line\nand", " a second\r\n", "rest"} {
		_, err := w.Write([]byte(piece))
		require.NoError(t, err)
	}
	require.Equal(t, "api        | one line\napi        | and a second\n", out.String())
	w.flush()
	require.Contains(t, out.String(), "api        | rest\n")
}
