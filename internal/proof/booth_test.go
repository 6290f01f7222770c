package proof_test

import (
	"context"
	"log/slog"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/kept-practice/kept/activities"
	"github.com/kept-practice/kept/db"
	"github.com/kept-practice/kept/internal/desk"
	"github.com/kept-practice/kept/internal/gateway/mail"
	"github.com/kept-practice/kept/internal/gateway/sms"
	"github.com/kept-practice/kept/internal/gateway/stripe"
	"github.com/kept-practice/kept/internal/policy"
	"github.com/kept-practice/kept/internal/proof"
	"github.com/kept-practice/kept/internal/sandbox"
	"github.com/kept-practice/kept/internal/wake"
)

// booth is a practice with one client whose whole journey was played against the sandbox, without Temporal: books at rest.
type booth struct {
	t        *testing.T
	store    *db.Store
	super    *pgx.Conn
	url      string
	sandbox  string
	desk     *desk.Desk
	acts     *activities.Activities
	practice desk.CreatedPractice
	by       policy.Principal
	client   policy.ID
}

func newBooth(t *testing.T) *booth {
	t.Helper()
	b := &booth{t: t, url: proof.NewDatabase(t)}
	b.store = proof.OpenStore(t, db.Options{URL: b.url})
	b.super, b.desk = proof.Connect(t, b.store), desk.New(b.store)
	front := httptest.NewUnstartedServer(nil)
	b.sandbox = "http://" + front.Listener.Addr().String()
	server, err := sandbox.New(sandbox.Options{Dir: t.TempDir(), PublicURL: b.sandbox, Logger: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	front.Config.Handler = server.Handler()
	front.Start()
	t.Cleanup(func() {
		front.Close()
		require.NoError(t, server.Close())
	})
	cards, err := stripe.New(stripe.Options{Key: "sk_test_1", BaseURL: b.sandbox + "/stripe"})
	require.NoError(t, err)
	mailer, err := mail.New(mail.Options{Key: "SG.1", BaseURL: b.sandbox + "/sendgrid"})
	require.NoError(t, err)
	texter, err := sms.New(sms.Options{AccountSID: "AC00000000000000000000000000000001", AuthToken: "token", From: "+15550100000", BaseURL: b.sandbox + "/twilio"})
	require.NoError(t, err)
	b.acts, err = activities.New(activities.Options{
		Store: b.store, Desk: b.desk, Mail: mailer, SMS: texter, Cards: cards, BaseURL: "https://kept.example.org",
		MailFrom: "practice@example.org", Log: slog.New(slog.DiscardHandler),
	})
	require.NoError(t, err)
	b.open(cards)
	return b
}

// open makes the practice, and a client with a card on file.
func (b *booth) open(cards *stripe.Client) {
	var err error
	b.practice, err = b.desk.CreatePractice(b.t.Context(), desk.PracticeInput{
		Mode: "test", Name: "Harbour Lane Practice", Zone: "Europe/London", Currency: "GBP", Country: "GB", Mail: "owner@example.org",
	})
	require.NoError(b.t, err)
	b.by = policy.Principal{Kind: policy.ByStaff, Practice: b.practice.ID, Staff: &b.practice.Owner, Role: policy.RoleOwner}
	b.clock("2027-03-01T09:00:00Z")
	client, err := b.desk.CreateClient(b.t.Context(), b.by, desk.ClientInput{
		GivenName: "Zoë", FamilyName: "Quartermaine", Mail: "zoe@example.org", Phone: "+442079460101", Source: "test",
	})
	require.NoError(b.t, err)
	b.client = client.ID
	for _, service := range b.practice.Services {
		require.NoError(b.t, b.desk.SetPrice(b.t.Context(), b.by, service, 6000, nil))
	}
	customer := cards.EnsureCustomer(b.t.Context(), "customer:1", nil)
	require.True(b.t, customer.OK())
	b.exec(`update clients set gateway_customer = $2 where id = $1`, b.client, customer.Reference)
	b.exec(`insert into payment_methods (practice_id, id, client_id, gateway_method, brand, last4, exp_month, exp_year, mandate_at)
		values ($1, $2, $3, 'pm_card_visa', 'visa', '4242', 1, 2030, now())`, b.practice.ID, db.NewID(), b.client)
}

// played is a booth after a completed visit that was reminded of, billed and paid, and a cancelled one.
func played(t *testing.T) *booth {
	t.Helper()
	b := newBooth(t)
	kept, dropped := b.book("2027-03-15"), b.book("2027-03-22")
	b.until(dropped, "2027-03-10T12:00:00Z")
	b.status(dropped.ID, policy.VerbCancel)
	b.until(kept, "2027-03-15T18:00:00Z")
	b.status(kept.ID, policy.VerbArrive)
	b.status(kept.ID, policy.VerbComplete)
	b.until(kept, "2027-03-16T09:00:00Z")
	b.until(dropped, "2027-03-16T09:00:00Z")
	b.sealed()
	return b
}

func (b *booth) exec(query string, args ...any) {
	b.t.Helper()
	_, err := b.super.Exec(b.t.Context(), query, args...)
	require.NoError(b.t, err)
}

func (b *booth) clock(at string) {
	b.exec(`update test_clocks set now_at = $1, target_at = $1 where practice_id = $2`, at, b.practice.ID)
}

func (b *booth) book(day string) policy.Subject {
	b.t.Helper()
	free, err := b.desk.FreeTimes(b.t.Context(), b.practice.ID, desk.FreeInput{
		Service: b.practice.Services[2], Location: b.practice.Locations[0], From: policy.MustLocalDate(day), Days: 7,
	})
	require.NoError(b.t, err)
	require.NotEmpty(b.t, free)
	booked, err := b.desk.Book(b.t.Context(), b.by, desk.BookInput{
		Client: b.client, Service: b.practice.Services[2], Provider: free[0].Provider, Location: b.practice.Locations[0],
		StartsAt: free[0].StartsAt.Format(time.RFC3339), Source: "admin",
	})
	require.NoError(b.t, err)
	return booked.Journey
}

func (b *booth) status(id policy.ID, verb policy.StatusVerb) {
	b.t.Helper()
	_, err := b.desk.SetStatus(b.t.Context(), b.by, desk.StatusInput{Appointment: id, Verb: verb, Reason: "asked"})
	require.NoError(b.t, err)
}

// until plans and acts from wake-up to wake-up, up to an instant.
func (b *booth) until(s policy.Subject, end string) {
	b.t.Helper()
	target, err := time.Parse(time.RFC3339, end)
	require.NoError(b.t, err)
	for range 200 {
		plan, err := b.acts.Plan(b.t.Context(), s)
		require.NoError(b.t, err)
		for _, step := range plan.Due {
			act := b.acts.Steps()[step.Kind].(func(context.Context, policy.Subject, policy.Step) (bool, error))
			_, err := act(b.t.Context(), s, step)
			require.NoError(b.t, err)
		}
		switch {
		case len(plan.Due) > 0:
		case plan.WakeAt != nil && !plan.WakeAt.After(target):
			b.clock(plan.WakeAt.Format(time.RFC3339Nano))
		case plan.Now.Before(target):
			b.clock(end)
		default:
			return
		}
	}
	b.t.Fatal("the subject does not come to rest")
}

func (b *booth) sealed() {
	b.t.Helper()
	sealer := wake.NewSealer(b.store, nil)
	require.Eventually(b.t, func() bool {
		_, err := sealer.Seal(b.t.Context(), b.practice.ID)
		require.NoError(b.t, err)
		v, err := sealer.Verify(b.t.Context(), b.practice.ID, nil)
		require.NoError(b.t, err)
		return v.Unsealed == 0
	}, 20*time.Second, 20*time.Millisecond)
}

func (b *booth) check(canaries ...string) ([]proof.Violation, proof.Report) {
	b.t.Helper()
	found, report, err := proof.Check(b.t.Context(), proof.Books{
		Database: b.url, Sandbox: b.sandbox, Practices: []policy.ID{b.practice.ID}, Canaries: canaries,
	})
	require.NoError(b.t, err)
	return found, report
}
