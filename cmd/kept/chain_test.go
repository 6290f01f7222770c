package main

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/kept-practice/kept/db"
)

// hands keeps what the staff's caller writes, so that a test can say who moved what.
type hands struct {
	next http.RoundTripper
	mu   sync.Mutex
	did  []string
}

func (h *hands) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Method != http.MethodGet {
		h.mu.Lock()
		h.did = append(h.did, r.Method+" "+r.URL.Path)
		h.mu.Unlock()
	}
	return h.next.RoundTrip(r)
}

// since lists what was written after a count, the practice's clock left out.
func (h *hands) since(n int) (writes []string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, w := range h.did[n:] {
		if w != "POST /v1/test-clock/advance" {
			writes = append(writes, w)
		}
	}
	return writes
}

// chain is a play in which the staff book and do nothing else: the client acts behind links, the rest happens by itself.
type chain struct {
	*play
	t     *testing.T
	hands *hands
	sql   *pgx.Conn
}

// TestChain_S0_OneBookingLeadsToRecall_NoStaffCallAndEveryStepNamesItsCause: one POST /v1/appointments, and from there on only
// the client's links and the clock.
func TestChain_S0_OneBookingLeadsToRecall_NoStaffCallAndEveryStepNamesItsCause(t *testing.T) {
	dir := stateFolder(t)
	up := startUp(t, dir)
	up.out.waitFor(t, 1, "Links in messages work on this machine only")
	c := newChain(t, readRunning(t, dir))
	ctx, cancel := context.WithTimeout(t.Context(), demoTime)
	defer cancel()
	do := func(name string, act func(context.Context) error) {
		t.Helper()
		require.NoError(t, act(ctx), "%s\n%s\n%s", name, c.out, up.out)
	}

	do("a client with a card", c.takeOn)
	_, err := c.staff.do(ctx, http.MethodPut, "/v1/settings/auto_complete", map[string]any{"level": "practice", "value": true})
	require.NoError(t, err)

	body, key := c.wanted(ctx), db.NewID().String()
	booked, papers := c.sendMany(ctx, key, body, 5)
	require.Equal(t, []string{"POST /v1/appointments"}, slices.Compact(c.hands.since(3)), "a client, a card page, a setting; then bookings alone")
	c.visitID = booked.text("id")
	c.visitAt, err = time.Parse(time.RFC3339, booked.text("starts_at"))
	require.NoError(t, err)
	require.NotEmpty(t, papers, "the booking itself opened the papers")
	before := len(c.hands.did)

	do("the confirmation, answered by its link", c.confirm)
	do("the papers, behind their link", c.fillIn)
	do("the reminders", c.remind)
	require.NoError(t, c.act(ctx, c.lastReminder, "Check in when you arrive", nil))
	require.Equal(t, "arrived", c.status(ctx))
	require.NoError(t, c.advance(ctx, c.visitAt.Add(time.Minute)))
	require.Equal(t, "arrived", c.status(ctx), "the visit's time is not over")
	require.NoError(t, c.advance(ctx, c.visitAt.Add(3*time.Hour)))
	require.Equal(t, "completed", c.status(ctx), "a policy completed it at its end")
	c.requireOne(`select count(*) from invoices where status = 'draft'`, "the invoice is drafted and waits for the cutoff")
	do("the invoice is issued, the charge declined", c.bill)
	do("the unpaid invoice is followed up", c.followUp)
	do("the client pays behind the link", c.pay)
	require.NoError(t, c.advance(ctx, c.visitAt.AddDate(0, 6, 2)))
	recalls, err := c.staff.get(ctx, "/v1/recalls")
	require.NoError(t, err)
	require.Len(t, recalls.list("data"), 1)
	require.Equal(t, "started", recalls.list("data")[0].text("status"), "half a year later the recall is due")
	fresh, err := c.mails(ctx)
	require.NoError(t, err)
	require.Len(t, fresh, 1, "and she is invited")

	require.Empty(t, c.hands.since(before), "nobody of the staff did anything after the booking")
	again, _ := c.sendMany(ctx, key, body, 1)
	require.Equal(t, booked, again, "the same input again is the same answer, half a year later on the practice's clock")
	c.requireOneChain()
	c.requireCauses(ctx)
	do("the invariants", c.judge)
}

func newChain(t *testing.T, at running) *chain {
	t.Helper()
	c := &chain{t: t, hands: &hands{next: http.DefaultTransport}}
	var err error
	c.play, err = newPlay(t.Context(), &strings.Builder{}, at)
	require.NoError(t, err)
	t.Cleanup(c.store.Close)
	c.staff.http.Transport = c.hands
	c.sql, err = pgx.Connect(t.Context(), at.DatabaseURL)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, c.sql.Close(context.Background())) })
	return c
}

// wanted is a booking of a free time nine days ahead, for the service that calls clients back.
func (c *chain) wanted(ctx context.Context) []byte {
	c.t.Helper()
	services, err := c.staff.get(ctx, "/v1/services")
	require.NoError(c.t, err)
	for _, s := range services.list("data") {
		if s.text("recall_every") != "" {
			c.service = s.text("id")
		}
	}
	locations, err := c.staff.get(ctx, "/v1/locations")
	require.NoError(c.t, err)
	c.location = locations.list("data")[0].text("id")
	now, err := c.now(ctx)
	require.NoError(c.t, err)
	free, err := c.staff.get(ctx, "/v1/services/"+c.service+"/free-times?location="+c.location+"&days=5&from="+now.AddDate(0, 0, 9).Format(time.DateOnly))
	require.NoError(c.t, err)
	times := free.list("data")
	require.NotEmpty(c.t, times)
	slot := times[len(times)/2]
	body, err := json.Marshal(map[string]any{
		"client_id": c.clientID, "service_id": c.service, "provider_id": slot.text("provider_id"), "location_id": c.location, "starts_at": slot.text("starts_at"),
	})
	require.NoError(c.t, err)
	return body
}

// sendMany posts one booking with one Idempotency-Key, several times at once, and returns what all of them were answered, and the
// link to the papers that only the first reply carries.
func (c *chain) sendMany(ctx context.Context, key string, body []byte, times int) (booked answer, link string) {
	c.t.Helper()
	answers := make([]answer, times)
	var all sync.WaitGroup
	for i := range times {
		all.Go(func() {
			for retry := true; retry && ctx.Err() == nil; { // one that meets another in flight asks again
				answers[i], retry, _ = c.staff.once(ctx, http.MethodPost, "/v1/appointments", key, bytes.NewReader(body))
			}
		})
	}
	all.Wait()
	for _, a := range answers {
		require.NotEmpty(c.t, a.text("id"), a)
		if at := a.text("intake_url"); at != "" { // replayed replies do not repeat it
			link = at
			delete(a, "intake_url")
		}
		require.Equal(c.t, answers[0], a)
	}
	return answers[0], link
}

func (c *chain) status(ctx context.Context) string {
	c.t.Helper()
	visit, err := c.staff.get(ctx, "/v1/appointments/"+c.visitID)
	require.NoError(c.t, err)
	return visit.text("status")
}

// requireOne counts within the play's practice.
func (c *chain) requireOne(query, why string) {
	c.t.Helper()
	var n int
	require.NoError(c.t, c.sql.QueryRow(c.t.Context(), query+` and practice_id = $1`, c.practice.ID).Scan(&n))
	require.Equal(c.t, 1, n, why)
}

func (c *chain) requireOneChain() {
	c.t.Helper()
	for _, what := range []string{
		`appointments where true`, `packets where true`, `invoices where true`, `recalls where true`, `subjects where kind = 'journey'`,
		`subjects where kind = 'collection'`, `subjects where kind = 'recall'`, `payments where status = 'succeeded' and kind <> 'setup'`,
		`journal where verb = 'appointment_booked'`, `journal where verb = 'appointment_completed'`, `journal where verb = 'invoice_drafted'`,
		`journal where verb = 'invoice_issued'`, `journal where verb = 'collection_started'`, `journal where verb = 'recall_started'`,
	} {
		c.requireOne(`select count(*) from `+what, what)
	}
}

// requireCauses reads the chain as staff do: every step names the rule that asked for it, every row that a step made names the
// step, and what kept did by itself says why.
func (c *chain) requireCauses(ctx context.Context) {
	c.t.Helper()
	seen, err := c.journey(ctx)
	require.NoError(c.t, err)
	kinds := map[string]bool{}
	for _, subject := range seen.list("subjects") {
		for _, step := range subject.list("past") {
			require.NotEmpty(c.t, step.text("rule"), step)
			kinds[step.text("kind")] = true
		}
		kinds[subject.text("kind")] = len(subject.list("past")) > 0
	}
	for _, kind := range []string{"SendMail", "CompleteVisit", "DraftInvoice", "IssueInvoice", "ChargeCard", "PlanRecall", "journey", "collection", "recall"} {
		require.True(c.t, kinds[kind], "%s: %v", kind, kinds)
	}
	verbs := map[string]bool{}
	for _, entry := range seen.list("journal") {
		verbs[entry.text("verb")] = true
		if entry.text("actor_kind") == "system" {
			require.NotEmpty(c.t, entry.text("reason")+entry.text("after.why"), entry)
		}
	}
	for _, verb := range []string{"appointment_booked", "packet_opened", "appointment_confirmed", "packet_completed", "appointment_arrived", "appointment_completed", "invoice_issued", "recall_scheduled"} {
		require.True(c.t, verbs[verb], "%s: %v", verb, verbs)
	}
	rows, err := c.sql.Query(ctx, `
		select 'journal ' || verb from journal where practice_id = $1 and subject_id is not null and actor_kind = 'system'
			and reason = '' and coalesce(after->>'why', '') = ''
		union all select 'journal ' || verb from journal where practice_id = $1 and subject_id is not null and actor_kind in ('key', 'staff') and request_id = ''
		union all select 'effect ' || key from effects where practice_id = $1 and rule = ''
		union all select 'message ' || id from messages where practice_id = $1 and caused_by_step = ''
		union all select 'invoice ' || id from invoices where practice_id = $1 and caused_by_step = ''
		union all select 'payment ' || id from payments where practice_id = $1 and kind = 'charge' and caused_by_step = ''
		union all select 'recall ' || id from recalls where practice_id = $1 and last_visit_id is null`, c.practice.ID)
	require.NoError(c.t, err)
	without, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(c.t, err)
	require.Empty(c.t, without, "without a cause")
}
