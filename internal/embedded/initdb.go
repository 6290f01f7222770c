package embedded

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// initialise makes the data folder unless it is there. It appears under its name only when complete, so that a kill in
// the middle leaves nothing half done.
func (p *Postgres) initialise(ctx context.Context) error {
	passwordFile := filepath.Join(p.opts.Dir, "postgres.password")
	content, err := os.ReadFile(passwordFile)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("read PostgreSQL's password: %w", err)
	}
	p.password = strings.TrimSpace(string(content))
	if _, err := os.Stat(p.file("PG_VERSION")); err == nil {
		if p.password == "" {
			return fmt.Errorf("%s is missing, and without it the data in %s cannot be opened: put it back, or remove both to start anew",
				passwordFile, p.home)
		}
		return nil
	} else if !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("cannot read PostgreSQL's data: run kept as the user who made it, or choose another folder: %w", err)
	}
	if p.password == "" {
		p.password = rand.Text()
		if err := os.WriteFile(passwordFile, []byte(p.password+"\n"), 0o600); err != nil {
			return fmt.Errorf("keep PostgreSQL's password: %w", err)
		}
	}
	if err := makeHome(p.home, p.account); err != nil {
		return err
	}
	fmt.Fprintf(p.opts.Log, "making a PostgreSQL %d database in %s\n", p.binaries.major, p.home)
	return p.initdb(ctx)
}

func (p *Postgres) initdb(ctx context.Context) error {
	password := filepath.Join(p.home, "initdb.password")
	if err := os.WriteFile(password, []byte(p.password+"\n"), 0o600); err != nil {
		return fmt.Errorf("hand initdb its password: %w", err)
	}
	defer func() { _ = os.Remove(password) }()
	if err := p.account.own(password); err != nil {
		return err
	}
	fresh := filepath.Join(p.home, "data.new")
	var failed error
	// UTF-8 rules for letter case matter to searches; a system without these locales gets plain byte order.
	for _, locale := range []string{"C.UTF-8", "en_US.UTF-8", "C"} {
		if err := os.RemoveAll(fresh); err != nil {
			return fmt.Errorf("clear an unfinished data folder: %w", err)
		}
		cmd := exec.CommandContext(ctx, filepath.Join(p.binaries.dir, "initdb"), "-D", fresh, "-U", superuser, "--pwfile", password,
			"--auth=scram-sha-256", "--encoding=UTF8", "--locale="+locale)
		if p.opts.Fast {
			cmd.Args = append(cmd.Args, "--no-sync")
		}
		cmd.Dir = p.home
		p.account.runAs(cmd)
		out, err := cmd.CombinedOutput()
		if err == nil {
			if err := os.Rename(fresh, p.file("")); err != nil {
				return fmt.Errorf("keep the new data folder: %w", err)
			}
			return nil
		}
		failed = fmt.Errorf("initdb: %w: %s", err, strings.TrimSpace(string(out)))
		if !strings.Contains(string(out), "locale") {
			break
		}
	}
	return failed
}

// clearLeftover stops a server that runs on our data although no process holds the folder's lock, and forgets one whose
// process id now belongs to somebody else, which PostgreSQL itself would refuse to start beside.
func (p *Postgres) clearLeftover(ctx context.Context) error {
	pidFile := p.file("postmaster.pid")
	pid := readPID(pidFile)
	if pid == 0 || !alive(pid) {
		return nil
	}
	if !p.serves(ctx, pid) {
		if err := os.Remove(pidFile); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("remove a stale postmaster.pid: %w", err)
		}
		return nil
	}
	fmt.Fprintf(p.opts.Log, "stopping PostgreSQL (process %d), left over from an earlier start\n", pid)
	if err := p.end(ctx, pid, syscall.SIGINT, 15*time.Second); err != nil {
		return p.end(ctx, pid, syscall.SIGQUIT, 10*time.Second)
	}
	return nil
}

func (p *Postgres) end(ctx context.Context, pid int, sig syscall.Signal, patience time.Duration) error {
	if err := syscall.Kill(pid, sig); err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("stop PostgreSQL (process %d), left over from an earlier start: %w", pid, err)
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return poll(ctx, 20*time.Millisecond, nil, func(ctx context.Context) error {
		if alive(pid) && p.serves(ctx, pid) {
			return fmt.Errorf("PostgreSQL (process %d), left over from an earlier start, does not stop: end it with `kill %d`", pid, pid)
		}
		return nil
	})
}

// serves tells whether the process is a PostgreSQL server on our data. A server's working folder is its data folder;
// where that cannot be read, its command line must name it.
func (p *Postgres) serves(ctx context.Context, pid int) bool {
	if cwd, err := os.Readlink(fmt.Sprintf("/proc/%d/cwd", pid)); err == nil {
		return cwd == p.file("")
	}
	command, err := exec.CommandContext(ctx, "ps", "-o", "command=", "-p", fmt.Sprint(pid)).Output()
	return err == nil && strings.Contains(string(command), p.file(""))
}
