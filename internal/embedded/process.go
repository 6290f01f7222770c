// Package embedded finds or starts what kept stands on: PostgreSQL and a development Temporal on it. `kept up` supervises
// the commands it prepares; tests start as many of them side by side as they like, each on free ports in its own folder.
package embedded

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"time"
)

// process is a started command whose end can be waited for by any number of readers.
type process struct {
	cmd  *exec.Cmd
	done chan struct{} // closed after the process has ended and err is set
	err  error
}

func startProcess(cmd *exec.Cmd) (*process, error) {
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", cmd.Path, err)
	}
	p := &process{cmd: cmd, done: make(chan struct{})}
	go func() {
		p.err = cmd.Wait()
		close(p.done)
	}()
	return p, nil
}

// stop asks with sig and, when ctx ends first, kills. It returns after the process has ended.
func (p *process) stop(ctx context.Context, sig os.Signal) error {
	if err := p.cmd.Process.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("signal %s: %w", p.cmd.Path, err)
	}
	select {
	case <-p.done:
		return nil
	case <-ctx.Done():
		return errors.Join(fmt.Errorf("%s did not stop in time and was killed: %w", p.cmd.Path, ctx.Err()), p.kill())
	}
}

func (p *process) kill() error {
	if err := p.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("kill %s: %w", p.cmd.Path, err)
	}
	<-p.done
	return nil
}

// alive tells whether a process with this id exists, whoever owns it.
func alive(pid int) bool {
	err := syscall.Kill(pid, 0)
	return err == nil || errors.Is(err, syscall.EPERM)
}

// poll calls try at once and then every interval until it returns nil. When ctx runs out or stop is closed first, it
// returns what try said last.
func poll(ctx context.Context, interval time.Duration, stop <-chan struct{}, try func(context.Context) error) error {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		err := try(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-tick.C:
		case <-stop:
			return err
		case <-ctx.Done():
			if errors.Is(ctx.Err(), context.Canceled) {
				return fmt.Errorf("interrupted: %w", ctx.Err())
			}
			return err
		}
	}
}
