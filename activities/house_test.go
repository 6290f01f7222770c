package activities_test

import (
	"context"
	"fmt"
	"log/slog"
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
	store    *db.Store
	super    *pgx.Conn
	desk     *desk.Desk
	acts     *activities.Activities
	post     *post
	practice desk.CreatedPractice
	by       policy.Principal
	client   policy.ID
}

// post is the counterparty: it remembers what it accepted, and answers as it is told.
type post struct {
	mails   []mail.Message
	texts   []sms.Message
	charges []stripe.ChargeInput
	answer  func(what string) gateway.Outcome // nil: accepts
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
	out := m.outcome("mail", fmt.Sprintf("mail-%d", len(m.mails)+1))
	if out.OK() {
		m.mails = append(m.mails, msg)
	}
	return out
}

type texter struct{ *post }

func (m texter) Send(_ context.Context, msg sms.Message) gateway.Outcome {
	out := m.outcome("sms", fmt.Sprintf("sms-%d", len(m.texts)+1))
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

func (c cards) ChargeOffSession(_ context.Context, in stripe.ChargeInput) (stripe.Payment, gateway.Outcome) {
	for i, old := range c.charges {
		if old.IdemKey == in.IdemKey {
			return c.paid(i, in), gateway.Accept(fmt.Sprintf("pi_%d", i+1))
		}
	}
	out := c.outcome("charge", fmt.Sprintf("pi_%d", len(c.charges)+1))
	if !out.OK() {
		return stripe.Payment{}, out
	}
	c.post.charges = append(c.post.charges, in)
	return c.paid(len(c.charges)-1, in), out
}

func (cards) paid(i int, in stripe.ChargeInput) stripe.Payment {
	return stripe.Payment{
		ID: fmt.Sprintf("pi_%d", i+1), Status: "succeeded", AmountMinor: in.AmountMinor, ReceivedMinor: in.AmountMinor, Currency: in.Currency,
	}
}

func newHouse(t *testing.T) *house {
	t.Helper()
	store := proof.NewStore(t)
	h := &house{t: t, store: store, super: proof.Connect(t, store), desk: desk.New(store), post: &post{}}
	var err error
	h.acts, err = activities.New(activities.Options{
		Store: store, Desk: h.desk, Mail: mailer{h.post}, SMS: texter{h.post}, Cards: cards{post: h.post},
		BaseURL: "https://kept.example.org", MailFrom: "practice@example.org", Log: slog.New(slog.DiscardHandler),
	})
	require.NoError(t, err)
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
	return h
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
	from := policy.MustLocalDate(day)
	free, err := h.desk.FreeTimes(h.t.Context(), h.practice.ID, desk.FreeInput{
		Service: h.practice.Services[service], Location: h.practice.Locations[0], From: from, Days: 14,
	})
	require.NoError(h.t, err)
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
	act, ok := h.acts.Steps()[step.Kind].(func(context.Context, policy.Subject, policy.Step) (bool, error))
	require.True(h.t, ok, "kind %s", step.Kind)
	again, err := act(h.t.Context(), s, step)
	require.NoError(h.t, err, step.Key)
	return again
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
