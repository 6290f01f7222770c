package wake

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"

	"github.com/kept-practice/kept/db"
	"github.com/kept-practice/kept/internal/policy"
	"github.com/kept-practice/kept/internal/proof"
)

var quiet = slog.New(slog.DiscardHandler)

// clockStart is where the test clock of every bench stands: 13 January 2026, 09:00 in New York.
var clockStart = time.Date(2026, 1, 13, 14, 0, 0, 0, time.UTC)

// bench is a database with a practice in test mode, whose clock is ready, and a live one; both in New York.
type bench struct {
	t     testing.TB
	store *db.Store
	conn  *pgx.Conn
	test  proof.Practice
	live  proof.Practice

	mu   sync.Mutex // conn is one connection
	made map[policy.ID]policy.ID
}

func newBench(t testing.TB) *bench {
	t.Helper()
	store := proof.NewStore(t)
	b := &bench{t: t, store: store, conn: proof.Connect(t, store), made: map[policy.ID]policy.ID{}}
	b.test, b.live = proof.TwoPractices(t, store)
	b.exec(`update practices set mode = 'live' where id = $1`, b.live.ID)
	b.exec(`insert into test_clocks (practice_id, now_at, target_at) values ($1, $2, $2)`, b.test.ID, clockStart)
	return b
}

func (b *bench) exec(sql string, args ...any) {
	b.t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	_, err := b.conn.Exec(context.Background(), sql, args...)
	require.NoError(b.t, err)
}

// count answers a query for one number.
func (b *bench) count(sql string, args ...any) int {
	b.t.Helper()
	return one[int](b, sql, args...)
}

func one[T any](b *bench, sql string, args ...any) T {
	b.t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	var v T
	require.NoError(b.t, b.conn.QueryRow(context.Background(), sql, args...).Scan(&v))
	return v
}

// subject puts an open, planned subject in place; set is the tail of an update statement.
func (b *bench) subject(p proof.Practice, kind, set string, args ...any) policy.Subject {
	b.t.Helper()
	s := policy.Subject{Practice: p.ID, Kind: kind, ID: db.NewID()}
	b.exec(`insert into subjects (practice_id, kind, id, client_id, planned_at) values ($1, $2, $3, $4, clock_timestamp())`, p.ID, kind, s.ID, p.Client)
	if set != "" {
		b.exec(`update subjects set `+set+` where id = '`+s.ID.String()+`'`, args...)
	}
	return s
}

// fact puts an outbox row in place that was committed some seconds ago.
func (b *bench) fact(s policy.Subject, age time.Duration) {
	b.t.Helper()
	b.exec(`insert into outbox (practice_id, id, subject_kind, subject_id, label, created_at, next_ring_at)
		values ($1, $2, $3, $4, 'appointment_booked', now() - $5::interval, now() - $5::interval + interval '2 seconds')`,
		s.Practice, db.NewID(), s.Kind, s.ID, age)
}

// service gives the practice one service, provider and cadence version, once.
func (b *bench) service(p proof.Practice) (service policy.ID) {
	b.t.Helper()
	if id, ok := b.made[p.ID]; ok {
		return id
	}
	id := db.NewID()
	b.made[p.ID] = id
	b.exec(`insert into services (practice_id, id, name, duration_minutes) values ($1, $2, 'Visit', 30)`, p.ID, id)
	b.exec(`insert into resources (practice_id, id, kind, name) values ($1, $2, 'provider', 'Dr. Pat')`, p.ID, id)
	b.exec(`insert into cadences (practice_id, id, kind, name) values ($1, $2, 'journey', 'Reminders')`, p.ID, id)
	b.exec(`insert into cadence_versions (practice_id, id, cadence_id, n, rules) values ($1, $2, $2, 1, '[]')`, p.ID, id)
	return id
}

func (b *bench) client(p proof.Practice) policy.ID {
	b.t.Helper()
	id := db.NewID()
	b.exec(`insert into clients (practice_id, id, given_name, family_name) values ($1, $2, 'Robin', 'Client')`, p.ID, id)
	return id
}

// recall puts a waiting recall of a client of its own in place.
func (b *bench) recall(p proof.Practice, dueOn string) policy.ID {
	b.t.Helper()
	id := db.NewID()
	b.exec(`insert into recalls (practice_id, id, client_id, service_id, calculated_on, every) values ($1, $2, $3, $4, $5, 'P6M')`,
		p.ID, id, b.client(p), b.service(p), dueOn)
	return id
}

// invoice puts an issued invoice in place whose first follow-up is due at the given instant.
func (b *bench) invoice(p proof.Practice, followUp time.Time) policy.ID {
	b.t.Helper()
	id, service := db.NewID(), b.service(p)
	b.exec(`insert into appointments (practice_id, id, client_id, service_id, provider_id, location_id, cadence_version_id, starts_at, ends_at,
			zone, local_start, status, booked_at, changed_at, status_at, source)
		values ($1, $2, $3, $4, $4, $5, $4, $6, $6::timestamptz + interval '30 minutes', 'America/New_York', '', 'completed', $6, $6, $6, 'api')`,
		p.ID, id, p.Client, service, p.Location, clockStart)
	b.exec(`insert into invoices (practice_id, id, appointment_id, completion, client_id, service_id, provider_id, location_id, currency,
			net, tax, total, source, caused_by_step, occurred_on, status, number, issued_at, follow_up_at)
		values ($1, $2, $2, 1, $3, $4, $4, $5, 'USD', 8000, 0, 8000, 'kept', 'invoice', '2026-01-05', 'issued',
			(select count(*) + 1 from invoices where practice_id = $1), $6, $7)`,
		p.ID, id, p.Client, service, p.Location, clockStart, followUp)
	return id
}

func (b *bench) hold(p proof.Practice, expires time.Time) policy.ID {
	b.t.Helper()
	id, service := db.NewID(), b.service(p)
	n := b.count(`select count(*) from holds`)
	b.exec(`insert into holds (practice_id, id, service_id, provider_id, location_id, starts_at, ends_at, expires_at)
		values ($1, $2, $3, $3, $4, $5, $5::timestamptz + interval '30 minutes', $6)`, p.ID, id, service, p.Location, clockStart, expires)
	b.exec(`insert into reservations (practice_id, id, resource_id, seat, during, hold_id)
		values ($1, $2, $3, $4, tstzrange($5, $5::timestamptz + interval '30 minutes'), $6)`, p.ID, db.NewID(), service, n+1, clockStart, id)
	return id
}

// bell is a Temporal that only remembers who was rung.
type bell struct {
	mu     sync.Mutex
	rings  []policy.Subject
	labels []string
	ended  []string
	starts []client.StartWorkflowOptions
	fail   func(policy.Subject) error // nil: every ring is taken
	rung   func(policy.Subject)       // called after a ring was taken
}

func (f *bell) SignalWithStartWorkflow(ctx context.Context, _, _ string, label any, o client.StartWorkflowOptions, _ any, args ...any) (client.WorkflowRun, error) {
	s := args[0].(policy.Subject)
	f.mu.Lock()
	fail, rung := f.fail, f.rung
	f.mu.Unlock()
	if fail != nil {
		if err := fail(s); err != nil {
			return nil, err
		}
	}
	f.mu.Lock()
	f.rings, f.labels, f.starts = append(f.rings, s), append(f.labels, label.(string)), append(f.starts, o)
	f.mu.Unlock()
	if rung != nil {
		rung(s)
	}
	return nil, ctx.Err()
}

func (f *bell) TerminateWorkflow(_ context.Context, workflowID, _, _ string, _ ...any) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.ended = append(f.ended, workflowID)
	return nil
}

func (f *bell) set(fail func(policy.Subject) error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fail = fail
}

// times tells how often a subject was rung.
func (f *bell) times(s policy.Subject) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := 0
	for _, r := range f.rings {
		if r == s {
			n++
		}
	}
	return n
}

func (f *bell) all() []policy.Subject {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.rings)
}
