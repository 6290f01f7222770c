//go:build bench

package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
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

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/kept-practice/kept/db"
	"github.com/kept-practice/kept/internal/desk"
	"github.com/kept-practice/kept/internal/embedded"
)

// connections is the size of the API's pool per role, which db.Open sets, and of every arm that stands beside it.
const connections = 16

// stack is PostgreSQL with every safety on, Temporal on it, and the real `kept sandbox` and `kept api`. The part of `kept
// worker` is played by this process; see floor.
type stack struct {
	dir      string
	kept     string // our binary
	pg       *embedded.Postgres
	temporal *embedded.Temporal
	api      string // addresses
	sandbox  string
	env      []string
	started  []*exec.Cmd // in the order of starting
	log      *os.File

	admin *pgxpool.Pool // superuser, past row-level security
	store *db.Store
	desk  *desk.Desk
}

// startStack starts all of it; without a Temporal binary its API keeps its rings, as it does while Temporal is away.
func startStack(ctx context.Context, kept, temporalDev string) (s *stack, err error) {
	s = &stack{kept: kept}
	if s.dir, err = os.MkdirTemp("", "kept-bench-"); err != nil {
		return nil, fmt.Errorf("make a folder: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.stop())
		}
	}()
	if err = os.Chmod(s.dir, 0o755); err != nil { // PostgreSQL may run as another user
		return s, fmt.Errorf("open the folder: %w", err)
	}
	if s.log, err = os.Create(filepath.Join(s.dir, "kept.log")); err != nil {
		return s, fmt.Errorf("make the log: %w", err)
	}
	if s.pg, err = embedded.StartPostgres(ctx, embedded.PostgresOptions{Dir: s.dir}); err != nil {
		return s, err
	}
	if temporalDev != "" {
		if s.temporal, err = embedded.StartTemporal(ctx, embedded.TemporalOptions{Binary: temporalDev, Postgres: s.pg.URL(), Log: s.log}); err != nil {
			return s, err
		}
	}
	if err = s.open(ctx); err != nil {
		return s, err
	}
	return s, s.serve(ctx)
}

// open migrates and connects.
func (s *stack) open(ctx context.Context) error {
	if err := db.Migrate(ctx, s.pg.URL(), func(string) {}); err != nil {
		return err
	}
	var err error
	if s.admin, err = pgxpool.New(ctx, s.pg.URL()); err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	if s.store, err = db.Open(ctx, db.Options{URL: s.pg.URL()}); err != nil {
		return err
	}
	s.desk = desk.New(s.store)
	return nil
}

// serve starts the sandbox and the API, as `kept up` would.
func (s *stack) serve(ctx context.Context) error {
	ports := make([]string, 2)
	for i := range ports {
		port, err := embedded.FreePort()
		if err != nil {
			return err
		}
		ports[i] = "127.0.0.1:" + strconv.Itoa(port)
	}
	s.sandbox, s.api = "http://"+ports[0], "http://"+ports[1]
	if err := s.setEnv(); err != nil {
		return err
	}
	for i, part := range []struct{ name, ready string }{{"sandbox", s.sandbox + "/livez"}, {"api", s.api + "/readyz"}} {
		cmd := exec.Command(s.kept, part.name)
		cmd.Env = append(append(os.Environ(), s.env...), "KEPT_ADDR="+ports[i])
		cmd.Stdout, cmd.Stderr = s.log, s.log
		embedded.Tie(cmd, syscall.SIGTERM)
		if err := cmd.Start(); err != nil {
			return fmt.Errorf("start kept %s: %w", part.name, err)
		}
		s.started = append(s.started, cmd)
		if err := until(ctx, 20*time.Second, "kept "+part.name+" answers", func() (bool, error) { return answers(ctx, part.ready), nil }); err != nil {
			return err
		}
	}
	return nil
}

func (s *stack) setEnv() error {
	key := make([]byte, 32)
	if _, err := rand.Read(key); err != nil {
		return fmt.Errorf("make a key: %w", err)
	}
	signer, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return fmt.Errorf("make a webhook key: %w", err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(signer)
	if err != nil {
		return fmt.Errorf("encode a webhook key: %w", err)
	}
	public, err := x509.MarshalPKIXPublicKey(signer.Public())
	if err != nil {
		return fmt.Errorf("encode a webhook key: %w", err)
	}
	temporal := "127.0.0.1:9" // nobody
	if s.temporal != nil {
		temporal = s.temporal.Address()
	}
	s.env = []string{
		"DATABASE_URL=" + s.pg.URL(), "TEMPORAL_ADDRESS=" + temporal, "TEMPORAL_NAMESPACE=" + namespace,
		"KEPT_BASE_URL=" + s.api, "KEPT_API_URL=" + s.api, "KEPT_SANDBOX_URL=" + s.sandbox, "KEPT_DATA_DIR=" + s.dir, "KEPT_METRICS_ADDR=",
		"KEPT_KEYS=k1:" + base64.StdEncoding.EncodeToString(key),
		"STRIPE_API_KEY=" + stripeKey, "STRIPE_BASE=" + s.sandbox + "/stripe", "STRIPE_WEBHOOK_SECRETS=whsec_" + rand.Text(),
		"SENDGRID_API_KEY=" + mailKey, "SENDGRID_BASE=" + s.sandbox + "/sendgrid", "SENDGRID_FROM=" + mailFrom,
		"SENDGRID_WEBHOOK_KEYS=" + base64.StdEncoding.EncodeToString(public),
		"KEPT_SANDBOX_SENDGRID_KEY=" + base64.StdEncoding.EncodeToString(private),
		"TWILIO_ACCOUNT_SID=" + smsAccount, "TWILIO_AUTH_TOKEN=" + smsToken, "TWILIO_FROM=" + smsFrom, "TWILIO_BASE=" + s.sandbox + "/twilio",
	}
	return nil
}

// Keys that the sandbox takes.
const (
	stripeKey  = "sk_test_sandbox"
	mailKey    = "SG.sandbox"
	mailFrom   = "practice@example.org"
	smsAccount = "ACsandbox"
	smsToken   = "0123456789abcdef0123456789abcdef"
	smsFrom    = "+12025550100"
)

// stop ends everything that was started, last first, and removes the folder.
func (s *stack) stop() error {
	var all []error
	for i := len(s.started) - 1; i >= 0; i-- {
		all = append(all, end(s.started[i]))
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if s.store != nil {
		s.store.Close()
	}
	if s.admin != nil {
		s.admin.Close()
	}
	if s.temporal != nil {
		all = append(all, s.temporal.Stop(ctx))
	}
	if s.pg != nil {
		all = append(all, s.pg.Remove(ctx))
	}
	if s.log != nil {
		all = append(all, s.log.Close())
	}
	return errors.Join(append(all, os.RemoveAll(s.dir))...)
}

// end asks a process to stop and waits for it.
func end(cmd *exec.Cmd) error {
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("stop %s: %w", cmd.Path, err)
	}
	var exit *exec.ExitError
	if err := cmd.Wait(); err != nil && !errors.As(err, &exit) {
		return fmt.Errorf("stop %s: %w", cmd.Path, err)
	}
	return nil
}

// until asks again every 10 ms until something has come true, at most for the given time.
func until(ctx context.Context, most time.Duration, what string, ask func() (bool, error)) error {
	ctx, cancel := context.WithTimeout(ctx, most)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		done, err := ask()
		if err != nil || done {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waiting until %s: %w", what, ctx.Err())
		case <-tick.C:
		}
	}
}

func answers(ctx context.Context, url string) bool {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return false
	}
	reply, err := http.DefaultClient.Do(request)
	if err != nil {
		return false
	}
	_, _ = io.Copy(io.Discard, reply.Body) // only the status counts
	return reply.Body.Close() == nil && reply.StatusCode == http.StatusOK
}
