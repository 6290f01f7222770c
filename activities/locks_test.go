package activities_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"github.com/kept-practice/kept/db"
	"github.com/kept-practice/kept/internal/desk"
	"github.com/kept-practice/kept/internal/gateway/stripe"
	"github.com/kept-practice/kept/internal/policy"
)

// deadlocks counts statements that PostgreSQL ended with 40P01, before any command could run again and hide them.
type deadlocks struct {
	statements, found atomic.Int64
	mu                sync.Mutex
	where             []string
}

type statementKey struct{}

func (d *deadlocks) TraceQueryStart(ctx context.Context, _ *pgx.Conn, q pgx.TraceQueryStartData) context.Context {
	return context.WithValue(ctx, statementKey{}, q.SQL)
}

func (d *deadlocks) TraceQueryEnd(ctx context.Context, _ *pgx.Conn, q pgx.TraceQueryEndData) {
	d.statements.Add(1)
	var pg *pgconn.PgError
	if errors.As(q.Err, &pg) && pg.Code == "40P01" {
		d.found.Add(1)
		d.mu.Lock()
		defer d.mu.Unlock()
		d.where = append(d.where, fmt.Sprintf("%v: %s", ctx.Value(statementKey{}), pg.Detail))
	}
}

// storm is a house with a few visits that everybody works on at once: two clients share an address, visits share resources.
type storm struct {
	*house
	clients  []policy.ID
	visits   []policy.Subject
	invoices []policy.ID
	payments []policy.ID
	ways     []string // tokens of links: of every visit one to confirm, of every client one to unsubscribe
	provider policy.ID
	rng      func() *rand.Rand
}

func newStorm(t *testing.T, counter *deadlocks) *storm {
	t.Helper()
	h := &house{post: &post{intents: map[string]stripe.Payment{}, pages: map[string]stripe.Checkout{}}, tracer: counter}
	h.furnish(t)
	h.exec(`insert into settings (practice_id, level, scope_id, key, value) values ($1, 'practice', $1, 'grace_minutes', '0')`, h.practice.ID)
	h.setClock("2027-03-01T10:00:00Z")
	s := &storm{house: h, rng: func() *rand.Rand { return rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64())) }}
	second, err := h.desk.CreateClient(t.Context(), h.by, desk.ClientInput{GivenName: "Ben", FamilyName: "Okafor", Mail: "zoe@example.org", Source: "test"})
	require.NoError(t, err)
	s.clients = []policy.ID{h.client, second.ID}
	for i := range 6 {
		h.client = s.clients[i%2]
		booked := h.book("2027-03-15", 2)
		h.settle(booked.Journey)
		s.visits, s.provider = append(s.visits, booked.Journey), booked.Appointment.ProviderID
		if i < 3 {
			s.bill(booked)
		}
		s.link(desk.LinkConfirm, h.client, booked.Journey)
	}
	for _, client := range s.clients {
		s.link(desk.LinkUnsubscribe, client, policy.Subject{Practice: h.practice.ID, Kind: policy.KindRecall, ID: db.NewID()})
	}
	return s
}

// link gives the storm a way in from outside.
func (s *storm) link(purpose string, client policy.ID, subject policy.Subject) {
	token := db.NewID().String()
	hash := sha256.Sum256([]byte(token))
	require.NoError(s.t, s.store.In(s.practice.ID).LinkInsert(s.t.Context(), db.LinkInsertParams{
		PracticeID: s.practice.ID, ID: db.NewID(), TokenHash: hash[:], Purpose: purpose, ClientID: client, SubjectKind: subject.Kind, SubjectID: subject.ID,
		Version: 1, ExpiresAt: s.now().Add(365 * 24 * time.Hour), CreatedAt: s.now(),
	}))
	s.ways = append(s.ways, token)
}

// bill completes a visit and opens a payment and a collection for its invoice.
func (s *storm) bill(booked desk.Booked) {
	ctx := s.t.Context()
	s.status(booked.Appointment.ID, policy.VerbComplete, "")
	s.plan(booked.Journey)
	now := s.now()
	require.NoError(s.t, s.store.InPractice(ctx, s.practice.ID, func(tx *db.Tx) error {
		return s.desk.IssueInvoice(ctx, tx, booked.Appointment.ID, now)
	}))
	inv := s.invoice()
	s.exec(`insert into subjects (practice_id, kind, id, client_id) values ($1, 'collection', $2, $3)`, s.practice.ID, inv.ID, inv.ClientID)
	s.exec(`update invoices set follow_up_started_at = $2 where id = $1`, inv.ID, now)
	charge, _, err := s.desk.OpenCheckout(ctx, s.by, inv.ID)
	require.NoError(s.t, err)
	s.invoices, s.payments = append(s.invoices, inv.ID), append(s.payments, charge.Payment.ID)
}

func pick[T any](r *rand.Rand, from []T) T { return from[r.IntN(len(from))] }

// some is a random part of a list in a random order.
func some[T any](r *rand.Rand, from []T) []T {
	out := make([]T, 0, len(from))
	for _, i := range r.Perm(len(from))[:r.IntN(len(from)+1)] {
		out = append(out, from[i])
	}
	return out
}

// deeds are what goes on at once. Each is what it is in production: a whole command, plan, attempt or event.
func (s *storm) deeds() map[string]func(context.Context, *rand.Rand) error {
	subjects := append([]policy.Subject{}, s.visits...)
	for _, id := range s.invoices {
		subjects = append(subjects, policy.Subject{Practice: s.practice.ID, Kind: policy.KindCollection, ID: id})
	}
	appointments := make([]policy.ID, len(s.visits))
	for i, v := range s.visits {
		appointments[i] = v.ID
	}
	verbs := []policy.StatusVerb{policy.VerbConfirm, policy.VerbArrive, policy.VerbComplete, policy.VerbCancel, policy.VerbNoShow}
	statuses := []string{desk.PaymentSucceeded, desk.PaymentFailed, desk.PaymentExpired}
	gateway := policy.Principal{Kind: policy.ByGateway, Practice: s.practice.ID}
	return map[string]func(context.Context, *rand.Rand) error{
		"lock sets": func(ctx context.Context, r *rand.Rand) error {
			return s.store.InPractice(ctx, s.practice.ID, func(tx *db.Tx) error {
				return tx.Lock(ctx, db.LockSet{
					Resources: some(r, appointments), Clients: some(r, s.clients), Subjects: some(r, subjects),
					Appointments: some(r, appointments), Invoices: some(r, s.invoices),
				})
			})
		},
		"status": func(ctx context.Context, r *rand.Rand) error {
			_, err := s.desk.SetStatus(ctx, s.by, desk.StatusInput{Appointment: pick(r, appointments), Verb: pick(r, verbs), Reason: "asked"})
			return err
		},
		"undo": func(ctx context.Context, r *rand.Rand) error {
			_, err := s.desk.Undo(ctx, s.by, pick(r, appointments), "by mistake")
			return err
		},
		"move": func(ctx context.Context, r *rand.Rand) error {
			at := time.Date(2027, 3, 16+r.IntN(3), 9+r.IntN(6), 0, 0, 0, time.UTC)
			_, err := s.desk.Move(ctx, s.by, desk.MoveInput{Appointment: pick(r, appointments), StartsAt: at.Format(time.RFC3339)})
			return err
		},
		"opt out and in": func(ctx context.Context, r *rand.Rand) error {
			in := desk.OptOutInput{Channel: policy.ChannelMail, Address: "zoe@example.org", Purpose: "all", Source: "phone"}
			if r.IntN(2) == 0 {
				_, err := s.desk.OptOut(ctx, s.by, in)
				return err
			}
			_, err := s.desk.OptIn(ctx, s.by, in)
			return err
		},
		"payment": func(ctx context.Context, r *rand.Rand) error {
			return s.store.InPractice(ctx, s.practice.ID, func(tx *db.Tx) error {
				_, err := s.desk.ApplyPayment(ctx, tx, gateway, desk.PaymentNews{
					Payment: pick(r, s.payments), Status: pick(r, statuses), Amount: 6000, Currency: "GBP", Intent: db.NewID().String(),
				})
				return err
			})
		},
		"page": func(ctx context.Context, r *rand.Rand) error {
			_, _, err := s.desk.OpenCheckout(ctx, s.by, pick(r, s.invoices))
			return err
		},
		"plan": func(ctx context.Context, r *rand.Rand) error {
			_, err := s.acts.Plan(ctx, pick(r, subjects))
			return err
		},
		"step": func(ctx context.Context, r *rand.Rand) error {
			subject := pick(r, subjects)
			plan, err := s.acts.Plan(ctx, subject)
			if err != nil || len(plan.Due) == 0 {
				return err
			}
			_, err = s.attempt(subject, pick(r, plan.Due))
			return err
		},
		"claim": func(_ context.Context, r *rand.Rand) error {
			_, err := s.attempt(pick(r, s.visits), policy.Step{Key: "confirmation/booked/mail/v1", Kind: policy.StepSendMail, Channel: policy.ChannelMail})
			return err
		},
		"verbs": func(ctx context.Context, r *rand.Rand) error {
			_, err := s.desk.Override(ctx, s.by, desk.OverrideInput{
				Subject: pick(r, subjects), Verb: pick(r, []string{policy.VerbPause, policy.VerbResume}), Value: "", Reason: "asked",
			})
			return err
		},
		"message news": func(ctx context.Context, r *rand.Rand) error {
			rows, err := s.store.In(s.practice.ID).MessageList(ctx, db.MessageListParams{PracticeID: s.practice.ID, PageSize: 6})
			if err != nil || len(rows) == 0 {
				return err
			}
			_, err = s.desk.ApplyMessage(ctx, s.practice.ID, desk.MessageNews{
				Message: pick(r, rows).ID, Status: pick(r, []string{"sent", "delivered", "failed", "bounced"}), OptOut: pick(r, []string{"", "recall", "all"}),
			})
			return err
		},
		"text": func(ctx context.Context, r *rand.Rand) error {
			_, err := s.desk.ApplyText(ctx, s.practice.ID, "+442079460101", pick(r, []string{"STOP", "START", "C", "what?"}))
			return err
		},
		"unsubscribe": func(ctx context.Context, r *rand.Rand) error {
			_, err := s.desk.UnsubscribeByLink(ctx, pick(r, s.ways), nil, "")
			return err
		},
		"fresh link": func(ctx context.Context, r *rand.Rand) error {
			_, err := s.desk.AskFreshLink(ctx, pick(r, s.ways), "")
			return err
		},
		"address": func(ctx context.Context, r *rand.Rand) error { // bounces close it all the time
			_, err := s.desk.AddContact(ctx, s.by, pick(r, s.clients), policy.ChannelMail, "zoe@example.org")
			return err
		},
		"calendar": func(ctx context.Context, r *rand.Rand) error {
			if r.IntN(2) == 0 {
				_, err := s.desk.ArchiveService(ctx, s.by, s.practice.Services[2], 1) // in use: it only takes its locks
				return err
			}
			at := time.Date(2027, 3, 16+r.IntN(60), 22, 0, 0, 0, time.UTC)
			_, err := s.desk.AddClosure(ctx, s.by, desk.ClosureInput{
				Location: &s.practice.Locations[0], StartsAt: at.Format(time.RFC3339), EndsAt: at.Add(time.Hour).Format(time.RFC3339), Reason: "Water",
			})
			return err
		},
		"book and tell": func(ctx context.Context, r *rand.Rand) error {
			at := time.Date(2027, 3, 16+r.IntN(60), 9+r.IntN(7), 0, 0, 0, time.UTC)
			booked, err := s.desk.Book(ctx, s.by, desk.BookInput{
				Client: pick(r, s.clients), Service: s.practice.Services[2], Provider: s.provider, Location: s.practice.Locations[0],
				StartsAt: at.Format(time.RFC3339), Source: "admin",
			})
			if err != nil {
				return err
			}
			plan, err := s.acts.Plan(ctx, booked.Journey)
			for _, step := range plan.Due {
				if _, err := s.attempt(booked.Journey, step); err != nil {
					return err
				}
			}
			return err
		},
		"consent": func(ctx context.Context, r *rand.Rand) error {
			_, err := s.desk.RecordConsent(ctx, s.by, desk.ConsentInput{
				Client: pick(r, s.clients), Channel: policy.ChannelMail, Purpose: "recall", Granted: r.IntN(2) == 0, Source: "desk",
			})
			return err
		},
	}
}

// stormTime bounds the storm; its deeds are small, so thousands go by.
const stormTime = 8 * time.Second

// rung lists who has facts that no plan has seen, with or without a run so far: whom the relay would ring.
func (s *storm) rung() []policy.Subject {
	s.t.Helper()
	rows, err := s.super.Query(s.t.Context(), `select distinct practice_id, subject_kind, subject_id from outbox`)
	require.NoError(s.t, err)
	all, err := pgx.CollectRows(rows, pgx.RowToStructByPos[policy.Subject])
	require.NoError(s.t, err)
	return all
}

func TestLocks_EverythingAtOnce_NeverDeadlocks(t *testing.T) {
	counter := &deadlocks{}
	s := newStorm(t, counter)
	ctx, cancel := context.WithTimeout(t.Context(), stormTime)
	defer cancel()
	var (
		all  sync.WaitGroup
		mu   sync.Mutex
		odd  = map[string]string{}
		done atomic.Int64
	)
	for name, deed := range s.deeds() {
		for range 2 {
			all.Go(func() {
				for r := s.rng(); ctx.Err() == nil; done.Add(1) {
					err := deed(context.WithoutCancel(ctx), r)
					if kind := policy.KindOf(err); err != nil && kind == policy.Internal {
						mu.Lock()
						odd[name] = err.Error()
						mu.Unlock()
					}
				}
			})
		}
	}
	all.Wait()
	t.Logf("%d deeds, %d statements, %d deadlocks", done.Load(), counter.statements.Load(), counter.found.Load())
	require.Zero(t, counter.found.Load(), strings.Join(counter.where, "\n"))
	require.Empty(t, odd)
	require.Greater(t, done.Load(), int64(500), "the storm was a breeze")
	for _, subject := range s.subjects() {
		s.settle(subject)
	}
	for range 10 { // a plan may ring others
		for _, subject := range s.rung() {
			s.settle(subject)
		}
	}
	require.Greater(t, s.scalar(`select count(*) from effects where channel = 'mail'`), 20)
	s.sound()
}
