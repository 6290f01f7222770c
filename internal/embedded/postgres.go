package embedded

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
)

// superuser is the role initdb makes; PostgreSQL's own default name, so that psql habits work.
const superuser = "postgres"

// PostgresOptions say where a server keeps its files and how it runs.
type PostgresOptions struct {
	Dir      string    // state folder, made when missing: data, log and password lie in it
	Port     int       // on 127.0.0.1; 0 takes a free one
	Database string    // made when missing; "kept" when empty
	Fast     bool      // gives up crash safety (fsync and kin) for speed: tests only
	Log      io.Writer // progress in plain lines; nil for none
}

// Postgres is a server in one folder. Its port and password stay the same however often it is started.
type Postgres struct {
	opts     PostgresOptions
	binaries binaries
	account  *account
	home     string // the account's folder, with data in it
	password string
	lock     *Lock
	log      *os.File
	running  *process
}

// StartPostgres prepares a server and starts it as a child of this process. Starting in a folder used before goes on
// with its data; a server left over from a killed process is stopped first.
func StartPostgres(ctx context.Context, o PostgresOptions) (*Postgres, error) {
	p, err := PreparePostgres(ctx, o)
	if err != nil {
		return nil, err
	}
	if err := p.Start(ctx); err != nil {
		return nil, errors.Join(err, p.Close())
	}
	return p, nil
}

// PreparePostgres finds the binaries, makes the data folder and holds it for this process until Close. Nothing runs yet:
// use Start, or Command and Ready under a supervisor.
func PreparePostgres(ctx context.Context, o PostgresOptions) (*Postgres, error) {
	o.Database = cmp.Or(o.Database, "kept")
	if o.Log == nil {
		o.Log = io.Discard
	}
	var err error
	if o.Dir, err = MakeFolder(o.Dir); err != nil {
		return nil, err
	}
	if o.Port == 0 {
		if o.Port, err = FreePort(); err != nil {
			return nil, err
		}
	}
	p := &Postgres{opts: o}
	if p.lock, err = TakeLock(filepath.Join(o.Dir, "postgres.lock")); err != nil {
		return nil, fmt.Errorf("PostgreSQL in %s is in use: %w", o.Dir, err)
	}
	if err := p.prepare(ctx); err != nil {
		return nil, errors.Join(err, p.Close())
	}
	return p, nil
}

func (p *Postgres) prepare(ctx context.Context) error {
	var err error
	if p.log, err = os.OpenFile(p.LogFile(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644); err != nil {
		return fmt.Errorf("open PostgreSQL's log: %w", err)
	}
	if p.home, p.account, err = dataHome(p.opts.Dir); err != nil {
		return err
	}
	if p.binaries, err = findBinaries(ctx, readPID(p.file("PG_VERSION")), p.account, p.opts.Log); err != nil {
		return err
	}
	if err := p.initialise(ctx); err != nil {
		return err
	}
	return p.clearLeftover(ctx)
}

// URL is a superuser's connection to the server's database over loopback TCP. It holds the password.
func (p *Postgres) URL() string { return p.DatabaseURL(p.opts.Database) }

// DatabaseURL is URL for another database of the server.
func (p *Postgres) DatabaseURL(name string) string {
	u := url.URL{
		Scheme: "postgres", User: url.UserPassword(superuser, p.password), Path: "/" + name,
		Host: net.JoinHostPort("127.0.0.1", strconv.Itoa(p.opts.Port)), RawQuery: "sslmode=disable",
	}
	return u.String()
}

// LogFile is where the server writes its log.
func (p *Postgres) LogFile() string { return filepath.Join(p.opts.Dir, "postgres.log") }

// Command is a fresh server process for each start, in the foreground, tied to the caller. SIGINT stops it quickly and
// cleanly.
func (p *Postgres) Command(ctx context.Context) (*exec.Cmd, error) {
	if err := p.clearLeftover(ctx); err != nil {
		return nil, err
	}
	cmd := exec.Command(filepath.Join(p.binaries.dir, "postgres"), append([]string{"-D", p.file("")}, p.settings()...)...)
	cmd.Stdout, cmd.Stderr, cmd.Dir = p.log, p.log, p.home
	cmd.Env = append(os.Environ(), "LC_ALL=C")
	p.account.runAs(cmd)
	Tie(cmd, syscall.SIGINT)
	return cmd, nil
}

func (p *Postgres) settings() []string {
	s := []string{
		"listen_addresses=127.0.0.1", "port=" + strconv.Itoa(p.opts.Port),
		"unix_socket_directories=", // TCP with a password is the only door, so no socket path can be too long or in the way
		"max_connections=200", "shared_buffers=256MB", "timezone=UTC", "log_timezone=UTC", "lc_messages=C",
		"log_line_prefix=%m [%p] %q%u@%d ", "logging_collector=off",
	}
	if p.opts.Fast {
		s = append(s, "fsync=off", "synchronous_commit=off", "full_page_writes=off")
	}
	var args []string
	for _, setting := range s {
		args = append(args, "-c", setting)
	}
	return args
}

// Ready waits until the server answers and its database is there.
func (p *Postgres) Ready(ctx context.Context) error { return p.ready(ctx, nil) }

func (p *Postgres) ready(ctx context.Context, stop <-chan struct{}) error {
	return poll(ctx, 30*time.Millisecond, stop, func(ctx context.Context) error {
		conn, err := pgx.Connect(ctx, p.DatabaseURL("postgres"))
		if err != nil {
			return fmt.Errorf("connect to PostgreSQL: %w", err)
		}
		defer func() { _ = conn.Close(ctx) }()
		var exists bool
		if err := conn.QueryRow(ctx, `select exists (select from pg_database where datname = $1)`, p.opts.Database).
			Scan(&exists); err != nil {
			return fmt.Errorf("look for database %s: %w", p.opts.Database, err)
		}
		if exists {
			return nil
		}
		if _, err := conn.Exec(ctx, `create database `+pgx.Identifier{p.opts.Database}.Sanitize()); err != nil {
			return fmt.Errorf("make database %s: %w", p.opts.Database, err)
		}
		return nil
	})
}

// Start runs the server and waits until it answers. Backends of a killed server may hold its memory for a moment, so a
// server that ends while starting is tried again for a few seconds.
func (p *Postgres) Start(ctx context.Context) error {
	if taken, err := PortTaken("127.0.0.1", p.opts.Port); err != nil || taken {
		return errors.Join(err, fmt.Errorf("port %d for PostgreSQL is taken: stop what uses it or give another", p.opts.Port))
	}
	ctx, cancel := context.WithTimeout(ctx, 60*time.Second)
	defer cancel()
	retry, done := context.WithTimeout(ctx, 5*time.Second)
	defer done()
	return poll(retry, 500*time.Millisecond, nil, func(context.Context) error {
		cmd, err := p.Command(ctx)
		if err != nil {
			return err
		}
		if p.running, err = startProcess(cmd); err != nil {
			return err
		}
		if err := p.ready(ctx, p.running.done); err != nil {
			return errors.Join(fmt.Errorf("PostgreSQL did not start; its log %s ends with\n%s", p.LogFile(), p.LogTail()), p.running.kill())
		}
		return nil
	})
}

// Stop ends the server cleanly, or kills it when ctx ends first, and lets go of the folder.
func (p *Postgres) Stop(ctx context.Context) error {
	var err error
	if p.running != nil {
		err = p.running.stop(ctx, syscall.SIGINT)
	}
	return errors.Join(err, p.Close())
}

// Kill ends the server as a crash would; Start brings it back.
func (p *Postgres) Kill() error { return p.running.kill() }

// Close lets go of the folder. It does not stop the server.
func (p *Postgres) Close() error {
	if p.lock == nil {
		return nil
	}
	lock := p.lock
	p.lock = nil
	if p.log == nil {
		return lock.Release()
	}
	return errors.Join(p.log.Close(), lock.Release())
}

// Remove stops the server and deletes its data, wherever it lies.
func (p *Postgres) Remove(ctx context.Context) error {
	return errors.Join(p.Stop(ctx), os.RemoveAll(p.home))
}

// file is a path in the data folder.
func (p *Postgres) file(name string) string { return filepath.Join(p.home, "data", name) }

// LogTail is the end of the log, for the message that says why a start failed.
func (p *Postgres) LogTail() string {
	log, err := os.ReadFile(p.LogFile())
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(string(bytes.TrimSpace(log)), "\n")
	return strings.Join(lines[max(0, len(lines)-6):], "\n")
}
