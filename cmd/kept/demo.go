package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/kept-practice/kept/db"
	"github.com/kept-practice/kept/internal/desk"
	"github.com/kept-practice/kept/internal/embedded"
	"github.com/kept-practice/kept/internal/policy"
	"github.com/kept-practice/kept/internal/proof"
)

func newDemoCommand() *cobra.Command {
	var dir string
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Play one client journey from booking to recall, against a running stack or one of its own",
		Long: "Play one client and the staff over HTTP, on a new test practice with a clock of its own: book, confirm, papers with a\n" +
			"signature, reminders, check-in, visit, invoice, declined charge, follow-ups, payment, recall half a year later and\n" +
			"the next booking. It uses the stack that runs in --dir, else starts one in a temporary folder and stops it. At the\n" +
			"end every invariant is checked; the exit code is 0 only when all hold.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return runDemo(cmd.Context(), cmd.OutOrStdout(), dir)
		},
	}
	cmd.Flags().StringVar(&dir, "dir", ".kept", "folder of the running stack")
	return cmd
}

// demoTime bounds the whole play.
const demoTime = 5 * time.Minute

func runDemo(ctx context.Context, out io.Writer, dir string) (err error) {
	ctx, cancel := context.WithTimeout(ctx, demoTime)
	defer cancel()
	at, err := runningIn(dir)
	if errors.Is(err, os.ErrNotExist) {
		var stop func() error
		if at, stop, err = startOwnStack(ctx, out); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, stop()) }()
	}
	if err != nil {
		return err
	}
	began := time.Now()
	p, err := newPlay(ctx, out, at)
	if err != nil {
		return err
	}
	defer p.store.Close()
	for _, scene := range p.scenes() {
		if err := scene.act(ctx); err != nil {
			return fmt.Errorf("%s: %w", scene.name, err)
		}
	}
	if err := p.judge(ctx); err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "\nThe whole journey took %s. Open it in the Temporal UI: %s/namespaces/kept/workflows\n", time.Since(began).Round(100*time.Millisecond), at.TemporalUIURL)
	return err
}

func runningIn(dir string) (running, error) {
	raw, err := os.ReadFile(filepath.Join(dir, "running.json"))
	if err != nil {
		return running{}, err
	}
	var at running
	if err := json.Unmarshal(raw, &at); err != nil {
		return running{}, fmt.Errorf("read running.json: %w", err)
	}
	return at, nil
}

// startOwnStack runs `kept up` in a folder of its own, on free ports, without a seeded practice being needed.
func startOwnStack(ctx context.Context, out io.Writer) (at running, stop func() error, err error) {
	if _, err := fmt.Fprintln(out, "no stack is running here; starting one in a temporary folder"); err != nil {
		return at, nil, err
	}
	dir, err := os.MkdirTemp("", "kept-demo-")
	if err != nil {
		return at, nil, fmt.Errorf("make a folder: %w", err)
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		return at, nil, fmt.Errorf("open the folder: %w", err)
	}
	self, err := os.Executable()
	if err != nil {
		return at, nil, fmt.Errorf("find our own binary: %w", err)
	}
	args := []string{"up", "--dir", dir}
	for _, flag := range []string{"--port", "--ui-port", "--mailbox-port", "--temporal-port"} {
		port, err := embedded.FreePort()
		if err != nil {
			return at, nil, err
		}
		args = append(args, flag, strconv.Itoa(port))
	}
	log, err := os.Create(filepath.Join(dir, "up.log"))
	if err != nil {
		return at, nil, fmt.Errorf("make the log: %w", err)
	}
	up := exec.Command(self, args...)
	up.Stdout, up.Stderr = log, log
	up.Env = append(os.Environ(), "KEPT_TEMPORAL_DEV="+builtTemporal())
	if err := up.Start(); err != nil {
		return at, nil, fmt.Errorf("start the stack: %w", err)
	}
	ended := make(chan error, 1)
	go func() { ended <- up.Wait() }()
	stop = func() error {
		if err := up.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
			return fmt.Errorf("stop the stack: %w", err)
		}
		return errors.Join(<-ended, log.Close(), os.RemoveAll(dir))
	}
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		if at, err = runningIn(dir); err == nil {
			return at, stop, nil
		}
		select {
		case failed := <-ended:
			text, readErr := os.ReadFile(log.Name())
			return at, nil, errors.Join(fmt.Errorf("the stack did not start: %w\n%s", failed, text), readErr)
		case <-ctx.Done():
			return at, nil, errors.Join(ctx.Err(), stop())
		case <-tick.C:
		}
	}
}

// builtTemporal is the development server that `make run` or an earlier demo built here, so that a folder of its own does not
// mean a build of its own; empty when there is none.
func builtTemporal() string {
	if ready := os.Getenv("KEPT_TEMPORAL_DEV"); ready != "" {
		return ready
	}
	path, err := filepath.Abs(".kept/bin/temporal-dev")
	if err != nil {
		return ""
	}
	if _, err := os.Stat(path); err != nil {
		return ""
	}
	return path
}

// newPlay makes a test practice for this play alone: advancing its clock by months touches nobody else.
func newPlay(ctx context.Context, out io.Writer, at running) (*play, error) {
	store, err := db.Open(ctx, db.Options{URL: at.DatabaseURL})
	if err != nil {
		return nil, err
	}
	setup := desk.DefaultSetup("Olive Ashford", "Harbour Lane")
	for i := range setup.Services {
		setup.Services[i].Price = 9_000
	}
	made, err := desk.New(store).CreatePractice(ctx, desk.PracticeInput{
		Mode: desk.ModeTest, Name: "Harbour Lane Practice", Zone: "America/New_York", Currency: "USD", Country: "US",
		Mail: "owner@harbourlane.example.org", Phone: "+12025550142", PostalAddress: "12 Harbour Lane, Portland, ME 04101", Setup: &setup,
	})
	if err != nil {
		store.Close()
		return nil, fmt.Errorf("make the test practice: %w", err)
	}
	b, err := newBrowser()
	if err != nil {
		store.Close()
		return nil, err
	}
	return &play{
		out: out, at: at, store: store, practice: made, client: b,
		staff:   &caller{base: at.APIURL, key: made.Key.Text, http: &http.Client{Timeout: 20 * time.Second}},
		mailbox: &caller{base: at.SandboxURL, http: &http.Client{Timeout: 20 * time.Second}},
	}, nil
}

// judge checks every invariant against the sandbox's own ledger.
func (p *play) judge(ctx context.Context) error {
	violations, report, err := proof.Check(ctx, proof.Books{
		Database: p.at.DatabaseURL, Sandbox: p.at.SandboxURL, Practices: []policy.ID{p.practice.ID}, Canaries: []string{p.givenName, p.familyName},
	})
	if err != nil {
		return fmt.Errorf("check the invariants: %w", err)
	}
	if _, err := fmt.Fprintf(p.out, "\nInvariants\n%s", report); err != nil {
		return err
	}
	if len(violations) == 0 {
		return nil
	}
	var all []error
	for _, v := range violations {
		all = append(all, fmt.Errorf("%s: %s (%d)", v.Invariant, v.Detail, v.Count))
	}
	return errors.Join(all...)
}
