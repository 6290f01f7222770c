package main

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"syscall"
	"time"

	"github.com/kept-practice/kept/internal/embedded"
)

// service is one process to keep alive.
type service struct {
	name    string
	command func(context.Context) (*exec.Cmd, error) // a fresh one for every start
	stop    syscall.Signal                           // asks it to end; SIGTERM when 0
}

// supervisor starts services, passes on what they print, starts again the one that dies, and stops them in the reverse
// order of their start.
type supervisor struct {
	console  *console
	first    time.Duration // wait before the first restart; doubles each time
	longest  time.Duration // wait at most
	steady   time.Duration // after running this long a service starts over at the first wait
	patience time.Duration // how long a service may take to stop before it is killed
	kept     []*keeper
}

func newSupervisor(c *console) *supervisor {
	return &supervisor{
		console: c, first: 200 * time.Millisecond, longest: 10 * time.Second, steady: 30 * time.Second, patience: 20 * time.Second,
	}
}

// keeper looks after one service.
type keeper struct {
	*supervisor
	service service
	out     *prefixed
	cancel  context.CancelFunc
	died    chan error    // the latest unwanted end, for await
	done    chan struct{} // closed when the service has been stopped for good
}

// keep starts a service and returns at once. It outlives the caller's context: only stop ends it, in order.
func (s *supervisor) keep(sv service) *keeper {
	if sv.stop == 0 {
		sv.stop = syscall.SIGTERM
	}
	ctx, cancel := context.WithCancel(context.Background())
	k := &keeper{
		supervisor: s, service: sv, out: s.console.writer(sv.name), cancel: cancel,
		died: make(chan error, 1), done: make(chan struct{}),
	}
	s.kept = append(s.kept, k)
	go k.loop(ctx)
	return k
}

// run lets a one-shot command run to its end; a failure is its error. When ctx ends it is stopped.
func (s *supervisor) run(ctx context.Context, sv service) error {
	if sv.stop == 0 {
		sv.stop = syscall.SIGTERM
	}
	k := &keeper{supervisor: s, service: sv, out: s.console.writer(sv.name)}
	if err := k.once(ctx); err != nil {
		return fmt.Errorf("%s failed (%w); its lines above say why", sv.name, err)
	}
	return ctx.Err()
}

// stop ends every service, the last one started first.
func (s *supervisor) stop() {
	for _, k := range slices.Backward(s.kept) {
		k.cancel()
		<-k.done
	}
}

// await returns when ready does. A service that dies `deaths` times before is given up; 0 waits for ever.
func (k *keeper) await(ctx context.Context, deaths int, ready func(context.Context) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	answer := make(chan error, 1)
	go func() { answer <- ready(ctx) }()
	for seen := 0; ; {
		select {
		case err := <-answer:
			return err
		case err := <-k.died:
			if seen++; seen == deaths {
				return fmt.Errorf("%s does not start (%w); its lines above or its log say why", k.service.name, err)
			}
		}
	}
}

func (k *keeper) loop(ctx context.Context) {
	defer close(k.done)
	wait := k.first
	for {
		began := time.Now()
		err := k.once(ctx)
		if ctx.Err() != nil {
			return
		}
		if time.Since(began) >= k.steady {
			wait = k.first
		}
		if err == nil {
			err = errors.New("exit status 0")
		}
		k.console.say("%s ended (%v); starting it again in %s", k.service.name, err, wait)
		select {
		case k.died <- err:
		default:
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return
		}
		wait = min(2*wait, k.longest)
	}
}

// once runs the service until it ends, or until ctx does: then it is asked to stop and, out of patience, killed with
// everything it started.
func (k *keeper) once(ctx context.Context) error {
	cmd, err := k.service.command(ctx)
	if err != nil {
		return err
	}
	if cmd.Stdout == nil {
		cmd.Stdout, cmd.Stderr = k.out, k.out
		defer k.out.flush()
	}
	cmd.WaitDelay = 2 * time.Second // a grandchild that holds the pipe must not hold us
	embedded.Tie(cmd, k.service.stop)
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start: %w", err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	_ = cmd.Process.Signal(k.service.stop) // fails only when it has ended already
	select {
	case err := <-ended:
		return err
	case <-time.After(k.patience):
		k.console.say("%s did not stop in %s and is killed", k.service.name, k.patience)
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		return <-ended
	}
}
