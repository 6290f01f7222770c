package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"

	"github.com/kept-practice/kept/db"
	"github.com/kept-practice/kept/internal/desk"
	"github.com/kept-practice/kept/internal/embedded"
	"github.com/kept-practice/kept/internal/policy"
	"github.com/kept-practice/kept/internal/proof"
)

// rig is kept's own processes around servers that a test takes away: PostgreSQL and Temporal stand beside the stack, so
// that its supervisor does not bring them back. The test itself acts through the desk and over HTTP.
type rig struct {
	*stack
	t        *testing.T
	out      *transcript
	server   *embedded.Temporal // down until the test starts it
	prefix   string             // of the server's databases
	store    *db.Store
	desk     *desk.Desk
	sql      *pgxpool.Pool // past row-level security
	temporal client.Client
	practice desk.CreatedPractice
	by       policy.Principal
	people   atomic.Int64 // taken on
	slots    atomic.Int64 // given out
}

// newRig prepares a stack on a migrated database and a Temporal that keeps its own databases on the server of that URL.
func newRig(t *testing.T, database, temporalPostgres string) *rig {
	t.Helper()
	r := &rig{t: t, out: newTranscript(), prefix: "rig_" + strings.ReplaceAll(db.NewID().String(), "-", "")[16:]}
	con := newConsole(r.out)
	st, err := openState(stateFolder(t), con)
	require.NoError(t, err)
	log, err := os.Create(st.path("temporal.log"))
	require.NoError(t, err)
	r.server, err = embedded.PrepareTemporal(embedded.TemporalOptions{
		Binary: temporalForTests(t), Postgres: temporalPostgres, Prefix: r.prefix, Log: log,
	})
	require.NoError(t, err)
	r.stack = &stack{console: con, state: st, sup: newSupervisor(con), self: os.Args[0], database: database, temporal: r.server.Address()}
	for _, port := range []*int{&r.port, &r.uiPort, &r.mailPort} {
		*port, err = embedded.FreePort()
		require.NoError(t, err)
	}
	r.env, err = r.environment()
	require.NoError(t, err)
	r.env = append(r.env, "KEPT_TEST_PLAYS=kept", "KEPT_METRICS_ADDR=")
	r.store, err = db.Open(t.Context(), db.Options{URL: database})
	require.NoError(t, err)
	r.desk = desk.New(r.store)
	r.sql, err = pgxpool.New(context.Background(), database)
	require.NoError(t, err)
	r.temporal, err = client.NewLazyClient(client.Options{HostPort: r.server.Address(), Namespace: "kept", Logger: quietLog{}})
	require.NoError(t, err)
	t.Cleanup(func() {
		r.sup.stop()
		r.temporal.Close()
		r.sql.Close()
		r.store.Close()
		if t.Failed() {
			t.Log(r.out.String())
		}
		require.NoError(t, errors.Join(st.release(), log.Close()))
	})
	return r
}

func temporalForTests(t *testing.T) string {
	t.Helper()
	binary, err := embedded.TemporalBinary(t.Context(), embedded.TemporalBuild{
		Override: os.Getenv("KEPT_TEMPORAL_DEV"), Dir: filepath.Join("..", "..", ".kept", "bin"), Progress: os.Stderr,
	})
	require.NoError(t, err)
	return binary
}

// quietLog drops what the SDK says in the test's own process.
type quietLog struct{}

func (quietLog) Debug(string, ...any) {}
func (quietLog) Info(string, ...any)  {}
func (quietLog) Warn(string, ...any)  {}
func (quietLog) Error(string, ...any) {}

// startTemporal runs the server until the end of the test, or until stopTemporal.
func (r *rig) startTemporal() {
	r.t.Helper()
	require.NoError(r.t, r.server.Start(r.t.Context()))
	r.t.Cleanup(func() { require.NoError(r.t, r.server.Kill()) })
}

func (r *rig) stopTemporal() {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	require.NoError(r.t, r.server.Stop(ctx))
}

// wipeTemporal drops everything that a stopped server knew.
func (r *rig) wipeTemporal(admin string) {
	r.t.Helper()
	pool, err := pgxpool.New(r.t.Context(), admin)
	require.NoError(r.t, err)
	defer pool.Close()
	for _, name := range []string{r.prefix + "_temporal", r.prefix + "_visibility"} {
		_, err := pool.Exec(context.WithoutCancel(r.t.Context()), "drop database if exists "+name+" with (force)")
		require.NoError(r.t, err)
	}
}

// run keeps our parts alive as `kept up` does: sandbox, api and worker unless others are named. It returns when the HTTP
// ones answer; the worker may still be waiting for Temporal.
func (r *rig) run(names ...string) {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), 40*time.Second)
	defer cancel()
	for _, p := range r.parts() {
		if len(names) > 0 && !slices.Contains(names, p.name) {
			continue
		}
		k := r.sup.keep(r.own(p.name, append(p.env, "KEPT_METRICS_ADDR="), p.name))
		if p.ready != "" {
			require.NoError(r.t, k.await(ctx, 3, func(ctx context.Context) error { return until200(ctx, p.ready) }), r.out)
		}
	}
}

// command runs one of our subcommands to its end.
func (r *rig) command(args ...string) string {
	r.t.Helper()
	cmd := exec.CommandContext(r.t.Context(), r.self, args...)
	cmd.Env = append(os.Environ(), r.env...)
	out, err := cmd.CombinedOutput()
	require.NoError(r.t, err, "%s", out)
	return string(out)
}

// child is a process of ours that the test itself ends.
type child struct {
	cmd  *exec.Cmd
	done chan struct{}
	err  error
}

func (r *rig) child(name string, env ...string) *child {
	r.t.Helper()
	cmd, err := r.own(name, env, name).command(r.t.Context())
	require.NoError(r.t, err)
	cmd.Stdout = r.console.writer(name)
	cmd.Stderr = cmd.Stdout
	cmd.WaitDelay = 2 * time.Second
	embedded.Tie(cmd, syscall.SIGTERM)
	require.NoError(r.t, cmd.Start())
	c := &child{cmd: cmd, done: make(chan struct{})}
	go func() {
		c.err = cmd.Wait()
		close(c.done)
	}()
	r.t.Cleanup(func() {
		_ = cmd.Process.Kill() // fails only when it has ended
		<-c.done
	})
	return c
}

// terminate asks a child to end and returns when it has; an ending that is no clean one is its error.
func (c *child) terminate() error {
	if err := c.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	<-c.done
	return c.err
}

// open makes a practice with enough providers for a crowd, and a way in for its staff.
func (r *rig) open(mode string, change func(*desk.Setup)) {
	r.t.Helper()
	setup := desk.DefaultSetup("Olive Ashford", "Harbour Lane")
	always := []desk.SetupHours{{
		Days: []time.Weekday{0, 1, 2, 3, 4, 5, 6}, From: policy.MustWallTime("00:00"), Until: policy.MustWallTime("23:59"),
	}}
	setup.Providers[0].Hours = always
	for i := range 9 {
		setup.Providers = append(setup.Providers, desk.SetupProvider{
			Name: "Provider", Mail: fmt.Sprintf("provider%d@harbourlane.example.org", i), Hours: always,
		})
	}
	for i := range setup.Services {
		setup.Services[i].Price = 9_000
	}
	if change != nil {
		change(&setup)
	}
	var err error
	r.practice, err = r.desk.CreatePractice(r.t.Context(), desk.PracticeInput{
		Mode: mode, Name: "Harbour Lane Practice", Zone: "Africa/Abidjan", Currency: "USD", Country: "US",
		Mail: "owner@harbourlane.example.org", Phone: "+12025550142", PostalAddress: "12 Harbour Lane, Portland, ME 04101", Setup: &setup,
	})
	require.NoError(r.t, err)
	r.by = policy.Principal{Kind: policy.ByStaff, Practice: r.practice.ID, Staff: &r.practice.Owner, Role: policy.RoleOwner}
	_, err = r.desk.SetSetting(r.t.Context(), r.by, desk.SettingInput{Level: policy.LevelPractice, Key: "grace_minutes", Value: json.RawMessage(`0`)})
	require.NoError(r.t, err) // a booking is confirmed at once
}

// person is a client with a mailbox of their own.
type person struct {
	id      policy.ID
	mailbox string
}

func (r *rig) person() person {
	r.t.Helper()
	p := person{mailbox: fmt.Sprintf("client%d@example.org", r.people.Add(1))}
	made, err := r.desk.CreateClient(r.t.Context(), r.by, desk.ClientInput{
		GivenName: "Marisol", FamilyName: "Quenneville", Mail: p.mailbox, Source: "test",
	})
	require.NoError(r.t, err)
	p.id = made.ID
	return p
}

// tally counts what a client of HTTP asks and what came to nothing: no answer, a broken one, or 5xx.
type tally struct {
	next         http.RoundTripper // nil: the usual one
	made, failed atomic.Int64
}

func (c *tally) RoundTrip(request *http.Request) (*http.Response, error) {
	c.made.Add(1)
	next := c.next
	if next == nil {
		next = http.DefaultTransport
	}
	reply, err := next.RoundTrip(request)
	if err != nil || reply.StatusCode >= http.StatusInternalServerError {
		c.failed.Add(1)
	}
	return reply, err
}

// book books a slot that no other call was given, at an api that may be asked again with the same key.
func (r *rig) book(ctx context.Context, transport http.RoundTripper, base string, who person) answer {
	r.t.Helper()
	n := int(r.slots.Add(1)) - 1
	at := testNoon.AddDate(0, 0, 8).Add(time.Duration(n/len(r.practice.Providers)) * 30 * time.Minute)
	staff := &caller{base: base, key: r.practice.Key.Text, http: &http.Client{Transport: transport, Timeout: 20 * time.Second}}
	booked, err := staff.post(ctx, "/v1/appointments", map[string]any{
		"client_id": spelled("cli", who.id), "service_id": spelled("svc", r.practice.Services[2]),
		"provider_id": spelled("prv", r.practice.Providers[n%len(r.practice.Providers)]),
		"location_id": spelled("loc", r.practice.Locations[0]), "starts_at": at.Format(time.RFC3339),
	})
	require.NoError(r.t, err)
	return booked
}

// spelled is an id as the API writes it: a prefix and Crockford's base 32.
func spelled(prefix string, id policy.ID) string {
	digits := new(big.Int).SetBytes(id[:]).Text(32)
	return prefix + "_" + strings.Repeat("0", 26-len(digits)) + strings.Map(func(digit rune) rune {
		return rune("0123456789abcdefghjkmnpqrstvwxyz"[strings.IndexRune("0123456789abcdefghijklmnopqrstuv", digit)])
	}, digits)
}

// visit books the last service (a check-up) for a new client with the nth provider.
func (r *rig) visit(at time.Time, provider int) desk.Booked {
	r.t.Helper()
	booked, err := r.desk.Book(r.t.Context(), r.by, desk.BookInput{
		Client: r.person().id, Service: r.practice.Services[2], Provider: r.practice.Providers[provider%len(r.practice.Providers)],
		Location: r.practice.Locations[0], StartsAt: at.UTC().Format(time.RFC3339), Override: true, Source: "admin",
	})
	require.NoError(r.t, err)
	return booked
}

// clock sets a test practice's clock before anything has happened in it.
func (r *rig) clock(at time.Time) {
	r.t.Helper()
	_, err := r.sql.Exec(r.t.Context(), `update test_clocks set now_at = $1, target_at = $1 where practice_id = $2`, at, r.practice.ID)
	require.NoError(r.t, err)
}

// advance moves the clock and waits until everything due on the way is done.
func (r *rig) advance(to time.Time) {
	r.t.Helper()
	_, err := r.desk.AdvanceClock(r.t.Context(), r.by, desk.AdvanceInput{To: to.UTC().Format(time.RFC3339)})
	require.NoError(r.t, err)
	require.Eventually(r.t, func() bool {
		return r.count(`select count(*) from test_clocks where practice_id = $1 and status = 'ready' and now_at = $2`, r.practice.ID, to) == 1
	}, 90*time.Second, 50*time.Millisecond, "the clock did not arrive")
}

func (r *rig) count(query string, args ...any) int {
	r.t.Helper()
	var n int
	require.NoError(r.t, r.sql.QueryRow(r.t.Context(), query, args...).Scan(&n), query)
	return n
}

// drained waits until plans have seen every fact and nothing is under way, and tells how long that took.
func (r *rig) drained(within time.Duration) time.Duration {
	r.t.Helper()
	began := time.Now()
	require.Eventually(r.t, func() bool {
		return r.count(`select (select count(*) from outbox) + (select count(*) from inbox where state = 'new')
			+ (select count(*) from subjects where due_keys <> '{}') + (select count(*) from effects where state = 'claimed')`) == 0
	}, within, 50*time.Millisecond, "facts or steps are still waiting")
	return time.Since(began)
}

// openSubjects lists who has work ahead.
func (r *rig) openSubjects() []policy.Subject {
	r.t.Helper()
	rows, err := r.sql.Query(r.t.Context(), `select practice_id, kind, id from subjects where status = 'open' order by kind, id`)
	require.NoError(r.t, err)
	var all []policy.Subject
	for rows.Next() {
		var s policy.Subject
		require.NoError(r.t, rows.Scan(&s.Practice, &s.Kind, &s.ID))
		all = append(all, s)
	}
	require.NoError(r.t, rows.Err())
	return all
}

// judged checks every invariant against the sandbox's ledger and tells how many comparisons held.
func (r *rig) judged() int {
	r.t.Helper()
	violations, report, err := proof.Check(context.WithoutCancel(r.t.Context()), proof.Books{Database: r.database, Sandbox: r.sandboxURL()})
	require.NoError(r.t, err)
	require.Empty(r.t, violations, "%s", report)
	return len(report)
}

// ledger counts what the counterparty has taken, by kind: mail, sms, charge, refund.
func (r *rig) ledger() map[string]int {
	r.t.Helper()
	reply, err := http.Get(r.sandboxURL() + "/api/ledger")
	require.NoError(r.t, err)
	defer func() { require.NoError(r.t, reply.Body.Close()) }()
	counts := map[string]int{}
	for lines := json.NewDecoder(reply.Body); lines.More(); {
		var fact struct {
			Kind string `json:"kind"`
		}
		require.NoError(r.t, lines.Decode(&fact))
		counts[fact.Kind]++
	}
	return counts
}

// in lets a subtest use the rig; call what it returns at the subtest's end.
func (r *rig) in(t *testing.T) (back func()) {
	was := r.t
	r.t = t
	return func() { r.t = was }
}

// fault makes a gateway of the sandbox misbehave for its next calls.
func (r *rig) fault(gateway, fault string, times, delayMS int) {
	r.t.Helper()
	body, err := json.Marshal(map[string]any{"gateway": gateway, "fault": fault, "times": times, "delay_ms": delayMS, "match": map[string]string{"op": "send"}})
	require.NoError(r.t, err)
	reply, err := http.Post(r.sandboxURL()+"/api/faults", "application/json", bytes.NewReader(body))
	require.NoError(r.t, err)
	require.NoError(r.t, reply.Body.Close())
	require.Equal(r.t, http.StatusCreated, reply.StatusCode)
}

// now is PostgreSQL's clock.
func (r *rig) now() (at time.Time) {
	r.t.Helper()
	require.NoError(r.t, r.sql.QueryRow(r.t.Context(), `select clock_timestamp()`).Scan(&at))
	return at
}
