package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/kept-practice/kept/internal/embedded"
)

// upOptions are the flags of `kept up`.
type upOptions struct {
	dir, publicURL                       string
	port, uiPort, mailPort, temporalPort int
}

func newUpCommand() *cobra.Command {
	var o upOptions
	cmd := &cobra.Command{
		Use:   "up",
		Short: "Start everything on this machine: PostgreSQL, Temporal with its UI, the sandbox gateways, API and worker",
		Long: "Start everything on this machine and keep it alive until Ctrl-C. A service that dies is started again.\n" +
			"Starting again goes on where it stopped, journeys included: all state lies in the folder of --dir.\n\n" +
			"DATABASE_URL or TEMPORAL_ADDRESS in the environment take the place of the embedded servers, and gateway\n" +
			"keys that of the sandbox.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := loadConfig()
			if err != nil {
				return err
			}
			return runUp(cmd.Context(), cmd.OutOrStdout(), c, o)
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.dir, "dir", ".kept", "folder for all state")
	f.StringVar(&o.publicURL, "public-url", "", "address under which clients reach this machine; without it links work here only")
	f.IntVar(&o.port, "port", 8080, "port of the API and its docs")
	f.IntVar(&o.uiPort, "ui-port", 8233, "port of the Temporal UI")
	f.IntVar(&o.mailPort, "mailbox-port", 8025, "port of the sandbox gateways and their mailbox")
	f.IntVar(&o.temporalPort, "temporal-port", 7233, "port of Temporal")
	return cmd
}

// stack is one `kept up` under way.
type stack struct {
	upOptions
	config   config
	console  *console
	state    *state
	sup      *supervisor
	self     string // our own binary
	database string // URL of the database, embedded or given
	temporal string // address of Temporal, embedded or given
	env      []string
	closers  []io.Closer // what is let go of after everything has stopped
}

func runUp(ctx context.Context, out io.Writer, c config, o upOptions) (err error) {
	began := time.Now()
	con := newConsole(out)
	st, err := openState(o.dir, con)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, st.release()) }()
	s := &stack{upOptions: o, config: c, console: con, state: st, sup: newSupervisor(con)}
	if s.self, err = os.Executable(); err != nil {
		return fmt.Errorf("find our own binary: %w", err)
	}
	if err := s.checkPorts(); err != nil {
		return err
	}
	defer func() {
		s.sup.stop()
		for _, c := range s.closers {
			err = errors.Join(err, c.Close())
		}
	}()
	if err := s.start(ctx); err != nil {
		if ctx.Err() != nil {
			con.say("stopped while starting")
			return nil
		}
		return err
	}
	if err := s.announce(); err != nil {
		return err
	}
	s.welcome(time.Since(began))
	<-ctx.Done()
	con.say("stopping; a second Ctrl-C ends everything at once")
	return nil
}

// start brings everything up in the order of need. Temporal starts while the schema is brought up to date.
func (s *stack) start(ctx context.Context) error {
	binary, err := s.temporalBinary(ctx)
	if err != nil {
		return err
	}
	if err := s.startPostgres(ctx); err != nil {
		return err
	}
	temporal, err := s.startTemporal(binary)
	if err != nil {
		return err
	}
	if s.env, err = s.environment(); err != nil {
		return err
	}
	if err := s.sup.run(ctx, s.own("migrate", nil, "migrate")); err != nil {
		return err
	}
	if err := s.seedOnce(ctx); err != nil {
		return err
	}
	for _, part := range s.parts() {
		k := s.sup.keep(s.own(part.name, part.env, part.name))
		if part.ready == "" {
			continue
		}
		if err := k.await(ctx, 3, func(ctx context.Context) error { return until200(ctx, part.ready) }); err != nil {
			return err
		}
	}
	return temporal(ctx)
}

// part is one of our own subcommands that runs for as long as the stack does.
type part struct {
	name  string
	env   []string
	ready string // URL that answers 200 before the next part starts; empty: does not hold up the others
}

// parts is the list of what runs, in the order of starting.
func (s *stack) parts() []part {
	return []part{
		{name: "sandbox", env: []string{"KEPT_ADDR=" + loopback(s.mailPort)}, ready: s.sandboxURL() + "/livez"},
		{name: "api", env: []string{"KEPT_ADDR=" + loopback(s.port), "KEPT_METRICS_ADDR=" + metricsAddr(9464)}, ready: s.apiURL() + "/readyz"},
		{name: "worker", env: []string{"KEPT_METRICS_ADDR=" + metricsAddr(9465)}},
	}
}

// own is a subcommand of our binary as a service.
func (s *stack) own(name string, env []string, args ...string) service {
	return service{name: name, command: func(context.Context) (*exec.Cmd, error) {
		cmd := exec.Command(s.self, args...)
		cmd.Env = append(append(os.Environ(), s.env...), env...)
		return cmd, nil
	}}
}

func (s *stack) temporalBinary(ctx context.Context) (string, error) {
	if os.Getenv("TEMPORAL_ADDRESS") != "" {
		return "", nil
	}
	return embedded.TemporalBinary(ctx, embedded.TemporalBuild{
		Override: s.config.TemporalDev, Dir: s.state.path("bin"), Progress: s.console.out,
	})
}

func (s *stack) startPostgres(ctx context.Context) error {
	if s.database = s.config.DatabaseURL.Reveal(); s.database != "" {
		return nil
	}
	pg, err := embedded.PreparePostgres(ctx, embedded.PostgresOptions{Dir: s.state.dir, Log: s.console.writer("kept")})
	if err != nil {
		return err
	}
	s.closers = append(s.closers, pg)
	s.database = pg.URL()
	s.console.say("starting PostgreSQL; its log is %s", pg.LogFile())
	k := s.sup.keep(service{name: "postgres", command: pg.Command, stop: syscall.SIGINT})
	if err := k.await(ctx, 5, pg.Ready); err != nil {
		return fmt.Errorf("%w; the end of %s:\n%s", err, pg.LogFile(), pg.LogTail())
	}
	return nil
}

// startTemporal returns what waits until Temporal answers.
func (s *stack) startTemporal(binary string) (ready func(context.Context) error, err error) {
	if s.temporal = os.Getenv("TEMPORAL_ADDRESS"); s.temporal != "" {
		return func(context.Context) error { return nil }, nil
	}
	log, err := os.OpenFile(s.state.path("temporal.log"), os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, fmt.Errorf("open Temporal's log: %w", err)
	}
	s.closers = append(s.closers, log)
	t, err := embedded.PrepareTemporal(embedded.TemporalOptions{
		Binary: binary, Postgres: s.database, Port: s.temporalPort, UIPort: s.uiPort, Log: log,
	})
	if err != nil {
		return nil, err
	}
	s.console.say("starting Temporal; its log is %s", log.Name())
	s.temporal = t.Address()
	k := s.sup.keep(service{name: "temporal", command: func(context.Context) (*exec.Cmd, error) { return t.Command(), nil }})
	return func(ctx context.Context) error { return k.await(ctx, 5, t.Ready) }, nil
}

// seedOnce lets `kept seed` make the test practice and leave its API key in a file; the file says that it was done.
func (s *stack) seedOnce(ctx context.Context) error {
	if _, err := os.Stat(s.keyFile()); err == nil {
		return nil
	}
	return s.sup.run(ctx, s.own("seed", nil, "seed", "--key-file", s.keyFile()))
}

func (s *stack) keyFile() string    { return s.state.path("api-key") }
func (s *stack) apiURL() string     { return "http://" + loopback(s.port) }
func (s *stack) sandboxURL() string { return "http://" + loopback(s.mailPort) }
func (s *stack) uiURL() string {
	return cmp.Or(s.config.TemporalUIURL, "http://"+loopback(s.uiPort))
}

// baseURL is where clients' links lead: the flag, else KEPT_BASE_URL, else this machine.
func (s *stack) baseURL() string {
	return strings.TrimSuffix(cmp.Or(s.publicURL, os.Getenv("KEPT_BASE_URL"), s.apiURL()), "/")
}

func until200(ctx context.Context, url string) error {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		err := answers200(ctx, url)
		if err == nil {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("waiting for %s: %w", url, errors.Join(ctx.Err(), err))
		}
	}
}
