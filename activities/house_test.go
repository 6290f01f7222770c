package activities_test

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/kept-practice/kept/activities"
	"github.com/kept-practice/kept/db"
	"github.com/kept-practice/kept/internal/desk"
	"github.com/kept-practice/kept/internal/gateway"
	"github.com/kept-practice/kept/internal/gateway/mail"
	"github.com/kept-practice/kept/internal/gateway/sms"
	"github.com/kept-practice/kept/internal/gateway/stripe"
	"github.com/kept-practice/kept/internal/policy"
	"github.com/kept-practice/kept/internal/proof"
)

// house is one test practice with a client, driven without Temporal: plan, do what is due, move the clock to the wake-up.
type house struct {
	t        *testing.T
	url      string
	store    *db.Store
	super    *pgx.Conn
	desk     *desk.Desk
	acts     *activities.Activities
	post     *post
	tracer   pgx.QueryTracer
	practice desk.CreatedPractice
	by       policy.Principal
	client   policy.ID
}

// post is the counterparty: it remembers what it accepted, and answers as it is told.
type post struct {
	mu       sync.Mutex
	mails    []mail.Message
	texts    []sms.Message
	charges  []stripe.ChargeInput // accepted, each key once
	keys     []string             // idempotency key of every charge asked for
	searches int
	found    []stripe.Payment // what a search finds
	intents  map[string]stripe.Payment
	pages    map[string]stripe.Checkout
	answer   func(what string) gateway.Outcome // nil: accepts
}

func (p *post) outcome(what, reference string) gateway.Outcome {
	if p.answer != nil {
		if out := p.answer(what); out.State != "" {
			return out
		}
	}
	return gateway.Accept(reference)
}

type mailer struct{ *post }

func (m mailer) Send(_ context.Context, msg mail.Message) gateway.Outcome {
	out := m.outcome("mail", "mail-"+msg.Ref)
	m.mu.Lock()
	defer m.mu.Unlock()
	if out.OK() {
		m.mails = append(m.mails, msg)
	}
	return out
}

type texter struct{ *post }

func (m texter) Send(_ context.Context, msg sms.Message) gateway.Outcome {
	out := m.outcome("sms", "sms-"+msg.Ref)
	m.mu.Lock()
	defer m.mu.Unlock()
	if out.OK() {
		m.texts = append(m.texts, msg)
	}
	return out
}

// cards charges for real as far as the interface goes; what a test does not use it inherits and would fail on.
type cards struct {
	activities.Cards
	*post
}

func (cards) Livemode() bool { return false }

func (c cards) ChargeOffSession(_ context.Context, in stripe.ChargeInput) (stripe.Payment, gateway.Outcome) {
	c.mu.Lock()
	c.post.keys = append(c.post.keys, in.IdemKey)
	for i, old := range c.charges {
		if old.IdemKey == in.IdemKey {
			c.mu.Unlock()
			return c.paid(i, in), gateway.Accept(fmt.Sprintf("pi_%d", i+1))
		}
	}
	c.mu.Unlock()
	out := c.outcome("charge", fmt.Sprintf("pi_%d", len(c.charges)+1))
	if !out.OK() {
		return stripe.Payment{ID: out.Reference}, out
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.post.charges = append(c.post.charges, in)
	return c.paid(len(c.charges)-1, in), out
}

func (cards) paid(i int, in stripe.ChargeInput) stripe.Payment {
	return stripe.Payment{
		ID: fmt.Sprintf("pi_%d", i+1), Status: "succeeded", AmountMinor: in.AmountMinor, ReceivedMinor: in.AmountMinor, Currency: in.Currency,
		Metadata: in.Metadata,
	}
}

func (c cards) SearchPaymentIntents(_ context.Context, _ map[string]string) ([]stripe.Payment, gateway.Outcome) {
	c.post.searches++
	return c.found, c.outcome("search", "")
}

func (c cards) FetchPaymentIntent(_ context.Context, id string) (stripe.Payment, gateway.Outcome) {
	intent, ok := c.intents[id]
	if !ok {
		return intent, gateway.Outcome{State: gateway.Refused, Final: true, Code: "resource_missing"}
	}
	return intent, c.outcome("fetch", id)
}

func (c cards) FetchCheckoutSession(_ context.Context, id string) (stripe.Checkout, gateway.Outcome) {
	page, ok := c.pages[id]
	if !ok {
		return page, gateway.Outcome{State: gateway.Refused, Final: true, Code: "resource_missing"}
	}
	return page, c.outcome("fetch", id)
}

func (c cards) FetchSetup(_ context.Context, id string) (stripe.Card, gateway.Outcome) {
	return stripe.Card{Customer: "cus_1", Method: "pm_" + id, Brand: "visa", Last4: "4242", ExpMonth: 1, ExpYear: 2030}, c.outcome("fetch", id)
}

func (c cards) EnsureCustomer(context.Context, string, map[string]string) gateway.Outcome {
	return c.outcome("customer", "cus_1")
}

func (c cards) CreateCheckout(_ context.Context, in stripe.CheckoutInput) (stripe.Checkout, gateway.Outcome) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.post.keys = append(c.post.keys, in.IdemKey)
	return stripe.Checkout{ID: "cs_1", URL: "https://pay.example.org/cs_1", Metadata: in.Metadata}, c.outcome("checkout", "cs_1")
}

func (c cards) CreateSetup(_ context.Context, in stripe.SetupInput) (stripe.Checkout, gateway.Outcome) {
	return stripe.Checkout{ID: "cs_setup", URL: "https://pay.example.org/cs_setup", Metadata: in.Metadata}, c.outcome("checkout", "cs_setup")
}

// open connects the house to a database.
func (h *house) open(t *testing.T, url string) {
	t.Helper()
	h.t, h.url = t, url
	h.store = proof.OpenStore(t, db.Options{URL: url, Tracer: h.tracer})
	h.super, h.desk = proof.Connect(t, h.store), desk.New(h.store)
	var err error
	h.acts, err = activities.New(activities.Options{
		Store: h.store, Desk: h.desk, Mail: mailer{h.post}, SMS: texter{h.post}, Cards: cards{post: h.post},
		BaseURL: "https://kept.example.org", MailFrom: "practice@example.org", Log: slog.New(slog.DiscardHandler),
	})
	require.NoError(t, err)
}

func newHouse(t *testing.T) *house {
	t.Helper()
	h := &house{post: &post{intents: map[string]stripe.Payment{}, pages: map[string]stripe.Checkout{}}}
	h.furnish(t)
	return h
}

// furnish makes the practice, on a test clock, with prices and one client.
func (h *house) furnish(t *testing.T) {
	t.Helper()
	h.open(t, proof.NewDatabase(t))
	var err error
	h.practice, err = h.desk.CreatePractice(t.Context(), desk.PracticeInput{
		Mode: "test", Name: "Harbour Lane Practice", Zone: "Europe/London", Currency: "GBP", Country: "GB", Mail: "owner@example.org",
	})
	require.NoError(t, err)
	h.by = policy.Principal{Kind: policy.ByStaff, Practice: h.practice.ID, Staff: &h.practice.Owner, Role: policy.RoleOwner}
	h.setClock("2027-03-01T09:00:00Z")
	client, err := h.desk.CreateClient(t.Context(), h.by, desk.ClientInput{
		GivenName: "Zoë", FamilyName: "Quartermaine", Mail: "zoe@example.org", Phone: "+442079460101", Source: "test",
	})
	require.NoError(t, err)
	h.client = client.ID
	for _, service := range h.practice.Services {
		require.NoError(t, h.desk.SetPrice(t.Context(), h.by, service, 6000, nil))
	}
}

func (h *house) setClock(at string) {
	h.t.Helper()
	_, err := h.super.Exec(h.t.Context(), `update test_clocks set now_at = $1, target_at = $1 where practice_id = $2`, at, h.practice.ID)
	require.NoError(h.t, err)
}

func (h *house) now() time.Time {
	h.t.Helper()
	row, err := h.store.In(h.practice.ID).PracticeNow(h.t.Context(), h.practice.ID)
	require.NoError(h.t, err)
	return row.Now.UTC()
}

// book takes the first free time of a service on or after a day.
func (h *house) book(day string, service int) desk.Booked {
	h.t.Helper()
	return h.bookAt(day, service, 0)
}

// bookAt takes the first free time from an hour of the day on.
func (h *house) bookAt(day string, service, hour int) desk.Booked {
	h.t.Helper()
	from := policy.MustLocalDate(day)
	free, err := h.desk.FreeTimes(h.t.Context(), h.practice.ID, desk.FreeInput{
		Service: h.practice.Services[service], Location: h.practice.Locations[0], From: from, Days: 14,
	})
	require.NoError(h.t, err)
	for len(free) > 0 && free[0].StartsAt.UTC().Hour() < hour {
		free = free[1:]
	}
	require.NotEmpty(h.t, free)
	booked, err := h.desk.Book(h.t.Context(), h.by, desk.BookInput{
		Client: h.client, Service: h.practice.Services[service], Provider: free[0].Provider, Location: h.practice.Locations[0],
		StartsAt: free[0].StartsAt.Format(time.RFC3339), Source: "admin",
	})
	require.NoError(h.t, err)
	return booked
}

func (h *house) step(s policy.Subject, step policy.Step) bool {
	h.t.Helper()
	again, err := h.attempt(s, step)
	require.NoError(h.t, err, step.Key)
	return again
}

// attempt is one try of an activity.
func (h *house) attempt(s policy.Subject, step policy.Step) (again bool, err error) {
	h.t.Helper()
	act, ok := h.acts.Steps()[step.Kind].(func(context.Context, policy.Subject, policy.Step) (bool, error))
	require.True(h.t, ok, "kind %s", step.Kind)
	return act(h.t.Context(), s, step)
}

func (h *house) plan(s policy.Subject) policy.Plan {
	h.t.Helper()
	plan, err := h.acts.Plan(h.t.Context(), s)
	require.NoError(h.t, err)
	return plan
}

// due moves the clock from wake-up to wake-up until steps are due, and returns the first.
func (h *house) due(s policy.Subject) policy.Step {
	h.t.Helper()
	for range 50 {
		plan := h.plan(s)
		if len(plan.Due) > 0 {
			return plan.Due[0]
		}
		require.NotNil(h.t, plan.WakeAt, "nothing will ever be due: %s", plan.Detail)
		h.setClock(plan.WakeAt.Format(time.RFC3339Nano))
	}
	h.t.Fatal("nothing becomes due")
	return policy.Step{}
}

// crash lets a worker die in the middle of a step's call: its claim stands, its outcome is never recorded.
func (h *house) crash(s policy.Subject, step policy.Step) {
	h.t.Helper()
	before := h.post.answer
	h.post.answer = func(string) gateway.Outcome { panic("worker killed") }
	require.Panics(h.t, func() { _, _ = h.attempt(s, step) })
	h.post.answer = before
}

// age lets real time pass for the effects and their attempts.
func (h *house) age(by string) {
	h.t.Helper()
	h.exec(`update effects set call_by = call_by - $1::interval, next_at = next_at - $1::interval, first_claimed_at = first_claimed_at - $1::interval`, by)
}

// answers makes the gateways end calls of one kind in a way.
func (h *house) answers(what string, out gateway.Outcome) {
	h.post.answer = func(asked string) gateway.Outcome {
		if asked == what {
			return out
		}
		return gateway.Outcome{}
	}
}

type effectRow struct {
	State, Reason, Exempt string
	Final                 bool
	Attempt               int
}

func (h *house) effect(key string) effectRow {
	h.t.Helper()
	rows, err := h.super.Query(h.t.Context(), `select state, reason, exempt, final, attempt from effects where key = $1`, key)
	require.NoError(h.t, err)
	e, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByPos[effectRow])
	require.NoError(h.t, err, key)
	return e
}

// texts of open tasks' kinds, in order.
func (h *house) openTasks() []string {
	h.t.Helper()
	rows, err := h.super.Query(h.t.Context(), `select kind from tasks where status in ('open', 'claimed') order by kind`)
	require.NoError(h.t, err)
	kinds, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(h.t, err)
	return kinds
}

func (h *house) override(s policy.Subject, verb, key string) {
	h.t.Helper()
	_, err := h.desk.Override(h.t.Context(), h.by, desk.OverrideInput{Subject: s, Verb: verb, Step: key, Reason: "test"})
	require.NoError(h.t, err)
}

// cardOnFile gives the client a card, as a setup page would.
func (h *house) cardOnFile(method string) {
	h.t.Helper()
	h.exec(`update clients set gateway_customer = 'cus_1' where id = $1`, h.client)
	h.exec(`insert into payment_methods (practice_id, id, client_id, gateway_method, brand, last4, exp_month, exp_year, mandate_at)
		values ($1, $2, $3, $4, 'visa', '4242', 1, 2030, now())`, h.practice.ID, db.NewID(), h.client, method)
}

// sound judges our own books; what is still under way is the test's own matter.
func (h *house) sound(besides ...string) {
	h.t.Helper()
	found, report, err := proof.Check(h.t.Context(), proof.Books{Database: h.url, Canaries: []string{"Quartermaine", "zoe@example.org", "+442079460101"}})
	require.NoError(h.t, err)
	for _, v := range found {
		require.Contains(h.t, besides, v.Invariant, "%s (%d)\n%s", v.Detail, v.Count, report)
	}
}

func (h *house) exec(query string, args ...any) {
	h.t.Helper()
	_, err := h.super.Exec(h.t.Context(), query, args...)
	require.NoError(h.t, err, query)
}

// settle plans and acts until nothing is due at this instant.
func (h *house) settle(s policy.Subject) policy.Plan {
	h.t.Helper()
	for range 20 {
		plan, err := h.acts.Plan(h.t.Context(), s)
		require.NoError(h.t, err)
		if len(plan.Due) == 0 {
			return plan
		}
		for _, step := range plan.Due {
			h.step(s, step)
		}
	}
	h.t.Fatal("the subject does not come to rest")
	return policy.Plan{}
}

// until lets the practice's time pass from wake-up to wake-up, up to an instant.
func (h *house) until(s policy.Subject, end string) policy.Plan {
	h.t.Helper()
	target, err := time.Parse(time.RFC3339, end)
	require.NoError(h.t, err)
	for range 100 {
		plan := h.settle(s)
		if plan.WakeAt == nil || plan.WakeAt.After(target) {
			h.setClock(end)
			return h.settle(s)
		}
		require.True(h.t, plan.WakeAt.After(plan.Now), "a plan never wakes in the past")
		h.setClock(plan.WakeAt.Format(time.RFC3339Nano))
	}
	h.t.Fatal("too many wake-ups")
	return policy.Plan{}
}

func (h *house) status(id policy.ID, verb policy.StatusVerb, reason string) {
	h.t.Helper()
	_, err := h.desk.SetStatus(h.t.Context(), h.by, desk.StatusInput{Appointment: id, Verb: verb, Reason: reason})
	require.NoError(h.t, err)
}

func (h *house) scalar(query string, args ...any) (n int) {
	h.t.Helper()
	require.NoError(h.t, h.super.QueryRow(h.t.Context(), query, args...).Scan(&n))
	return n
}
