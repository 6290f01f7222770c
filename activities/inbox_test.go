package activities_test

import (
	"encoding/json"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kept-practice/kept/activities"
	"github.com/kept-practice/kept/db"
	"github.com/kept-practice/kept/internal/gateway/mail"
	"github.com/kept-practice/kept/internal/gateway/sms"
	"github.com/kept-practice/kept/internal/gateway/stripe"
	"github.com/kept-practice/kept/internal/policy"
)

func (h *house) event(gateway, kind string, body any) activities.Applied {
	h.t.Helper()
	raw, err := json.Marshal(body)
	require.NoError(h.t, err)
	done, err := h.acts.Apply(h.t.Context(), activities.Event{Gateway: gateway, Type: kind, Body: raw})
	require.NoError(h.t, err)
	return done
}

func (h *house) stripeEvent(kind, object string) activities.Applied {
	h.t.Helper()
	return h.event("stripe", kind, stripe.Event{ID: "evt_" + object, Type: kind, ObjectID: object})
}

func (h *house) metadata(payment policy.ID) map[string]string {
	return map[string]string{"practice": h.practice.ID.String(), "payment": payment.String()}
}

func TestInbox_ChargeWithoutAnswer_IsBookedByItsEventWhateverItsOrder(t *testing.T) {
	h, booked := billed(t, "pm_1")
	h.answers("charge", unclear)
	h.step(booked.Journey, h.due(booked.Journey))
	h.post.answer = nil
	h.post.intents["pi_1"] = stripe.Payment{
		ID: "pi_1", Status: "succeeded", ReceivedMinor: h.invoice().Total, Currency: "gbp", Metadata: h.metadata(h.payment("charge")),
	}
	kinds := []string{"payment_intent.created", "payment_intent.payment_failed", "payment_intent.succeeded", "payment_intent.succeeded", "payment_intent.processing"}
	rand.Shuffle(len(kinds), func(i, j int) { kinds[i], kinds[j] = kinds[j], kinds[i] })
	rung := 0
	for _, kind := range kinds {
		done := h.stripeEvent(kind, "pi_1")
		require.Equal(t, "applied", done.State, kind)
		require.Equal(t, h.practice.ID, *done.Practice)
		rung += len(done.Rung)
	}
	require.Equal(t, 1, rung, "an event is a reason to look; what it found is booked once")
	require.Equal(t, policy.InvoicePaid, h.invoice().Status)
	h.post.charges = append(h.post.charges, stripe.ChargeInput{IdemKey: h.post.keys[0], AmountMinor: h.invoice().Total, Currency: "gbp"})
	h.post.found = []stripe.Payment{h.post.intents["pi_1"]}
	h.age("12 seconds")
	h.settle(booked.Journey)
	require.Len(t, h.post.charges, 1)
	h.sound()
}

func TestInbox_StripeEventsThatAreNotOurs_MoveNothing(t *testing.T) {
	h, booked := billed(t, "pm_1")
	h.answers("charge", unclear)
	h.step(booked.Journey, h.due(booked.Journey))
	h.post.answer = nil
	paid := stripe.Payment{ID: "pi_1", Status: "succeeded", ReceivedMinor: 6000, Currency: "gbp"}
	h.post.intents["pi_foreign"] = paid
	paid.Metadata = map[string]string{"practice": h.practice.ID.String(), "payment": db.NewID().String()}
	h.post.intents["pi_gone"] = paid
	paid.Metadata, paid.Status = h.metadata(h.payment("charge")), "requires_capture"
	h.post.intents["pi_open"] = paid
	for _, c := range []struct {
		name, state string
		kind        string
		event       any
	}{
		{"live event in test mode", "refused", "payment_intent.succeeded", stripe.Event{ObjectID: "pi_1", Livemode: true}},
		{"another account", "refused", "payment_intent.succeeded", stripe.Event{ObjectID: "pi_1", Account: "acct_9"}},
		{"unreadable", "refused", "payment_intent.succeeded", "text"},
		{"unknown type", "ignored", "payout.paid", stripe.Event{ObjectID: "po_1"}},
		{"object gone", "parked", "payment_intent.succeeded", stripe.Event{ObjectID: "pi_nowhere"}},
		{"page gone", "parked", "checkout.session.completed", stripe.Event{ObjectID: "cs_nowhere"}},
		{"without our ids", "ignored", "payment_intent.succeeded", stripe.Event{ObjectID: "pi_foreign"}},
		{"of a payment that is not here", "parked", "payment_intent.succeeded", stripe.Event{ObjectID: "pi_gone"}},
		{"still under way", "ignored", "payment_intent.processing", stripe.Event{ObjectID: "pi_open"}},
	} {
		require.Equal(t, c.state, h.event("stripe", c.kind, c.event).State, c.name)
	}
	require.Equal(t, "ignored", h.event("fax", "x", nil).State)
	h.answers("fetch", throttled)
	require.Equal(t, "parked", h.stripeEvent("payment_intent.succeeded", "pi_open").State, "the gateway does not answer")
	require.Equal(t, policy.InvoiceIssued, h.invoice().Status)
	require.Equal(t, 0, h.scalar(`select count(*) from ledger_sets where kind = 'payment'`))
}

func TestInbox_CheckoutPage_PaidOrExpired(t *testing.T) {
	h, booked := billed(t, "")
	h.settle(booked.Journey)
	inv := h.invoice()
	_, err := h.acts.Checkout(t.Context(), h.practice.ID, inv.ID, "a", "b")
	require.NoError(t, err)
	page := stripe.Checkout{ID: "cs_1", Mode: "payment", Status: "open", AmountMinor: inv.Total, Currency: "gbp", Metadata: h.metadata(h.payment("checkout"))}
	h.post.pages["cs_1"] = page
	require.Equal(t, "ignored", h.stripeEvent("checkout.session.async_payment_failed", "cs_1").State)
	page.Status = "expired"
	h.post.pages["cs_1"] = page
	require.Equal(t, "applied", h.stripeEvent("checkout.session.expired", "cs_1").State)
	require.Equal(t, 1, h.scalar(`select count(*) from payments where kind = 'checkout' and status = 'expired'`))
	page.Status, page.PaymentStatus, page.PaymentIntent = "complete", "paid", "pi_page"
	h.post.pages["cs_1"] = page
	for range 3 {
		require.Equal(t, "applied", h.stripeEvent("checkout.session.completed", "cs_1").State)
	}
	require.Equal(t, policy.InvoicePaid, h.invoice().Status)
	h.settle(booked.Journey)
	h.sound()
}

func TestInbox_CardLeftOnASetupPage_IsKeptAndRingsWhatTurnsOnIt(t *testing.T) {
	h, booked := billed(t, "")
	h.settle(booked.Journey)
	inv := h.invoice()
	h.setClock(inv.FollowUpAt.Format(time.RFC3339Nano))
	h.sweep()
	h.settle(h.collection())
	_, _, err := h.acts.SetupPage(t.Context(), h.by, h.client, "https://kept.example.org/done")
	require.NoError(t, err)
	h.post.pages["cs_setup"] = stripe.Checkout{ID: "cs_setup", Mode: "setup", Status: "complete", Metadata: h.metadata(h.payment("setup"))}
	done := h.stripeEvent("checkout.session.completed", "cs_setup")
	require.Equal(t, "applied", done.State)
	require.Contains(t, done.Rung, h.collection(), "the collection can charge from now on")
	require.Empty(t, h.stripeEvent("checkout.session.completed", "cs_setup").Rung, "the same card again is no news")
	require.Equal(t, 1, h.scalar(`select count(*) from payment_methods where gateway_method = 'pm_cs_setup'`))
	require.Equal(t, 1, h.scalar(`select count(*) from payments where kind = 'setup' and status = 'succeeded'`))
	h.until(h.collection(), inv.FollowUpAt.Add(60*24*time.Hour).UTC().Format(time.RFC3339))
	require.Equal(t, policy.InvoicePaid, h.invoice().Status, "the collection charged the card")
	h.settle(booked.Journey)
	h.sound()
}

func TestInbox_MailEvents_MoveTheMessageAlong(t *testing.T) {
	h, booked, step := confirming(t)
	h.step(booked.Journey, step)
	ref := h.lastMessage().String()
	status := func() (s string) {
		require.NoError(t, h.super.QueryRow(t.Context(), `select status from messages`).Scan(&s))
		return s
	}
	at := func(kind string) activities.Applied {
		return h.event("mail", kind, mail.Event{Type: kind, MessageRef: ref, GatewayRef: "sg_1"})
	}
	require.Equal(t, "applied", at("processed").State)
	require.Equal(t, "sent", status())
	require.Equal(t, "ignored", at("open").State, "opens decide nothing")
	require.Equal(t, "applied", at("delivered").State)
	require.Equal(t, "applied", at("processed").State)
	require.Equal(t, "delivered", status(), "an older event changes nothing")
	require.Equal(t, "ignored", h.event("mail", "delivered", mail.Event{Type: "delivered", MessageRef: "somebody's"}).State)
	require.Equal(t, "parked", h.event("mail", "delivered", mail.Event{Type: "delivered", MessageRef: db.NewID().String()}).State)
	require.Equal(t, "refused", h.event("mail", "delivered", "text").State)

	require.NotEmpty(t, at("unsubscribe").Rung)
	require.Equal(t, 1, h.scalar(`select count(*) from opt_outs where channel = 'mail' and purpose = 'recall'`))
	at("spamreport")
	require.Equal(t, 1, h.scalar(`select count(*) from opt_outs where channel = 'mail' and purpose = 'all'`))
	h.settle(booked.Journey)
	h.sound()
}

func TestInbox_BlockedMail_KeepsTheAddressAndAsksAPerson(t *testing.T) {
	h, booked, step := confirming(t)
	h.step(booked.Journey, step)
	h.event("mail", "bounce", mail.Event{Type: "bounce", Class: "blocked", MessageRef: h.lastMessage().String()})
	require.Equal(t, 0, h.scalar(`select count(*) from contact_points where closed_at is not null`))
	require.Equal(t, []string{"undelivered"}, h.openTasks())
}

func TestInbox_Texts_StopStartConfirmAndDoubt(t *testing.T) {
	h := newHouse(t)
	_, err := h.super.Exec(t.Context(), `insert into gateway_accounts (practice_id, gateway, account) values ($1, 'sms', '+15550100000')`, h.practice.ID)
	require.NoError(t, err)
	booked := h.book("2027-03-15", 2)
	text := func(body string) activities.Applied {
		return h.event("sms", "inbound", sms.Inbound{From: "+442079460101", To: "+15550100000", Body: body})
	}
	require.Contains(t, text("C").Rung, booked.Journey)
	require.Equal(t, 1, h.scalar(`select count(*) from appointments where status = 'confirmed'`))
	require.Contains(t, text("Stop.").Rung, booked.Journey)
	require.Empty(t, text("STOP").Rung, "a second stop is no news")
	require.Equal(t, 1, h.scalar(`select count(*) from opt_outs where lifted_at is null`))
	require.NotEmpty(t, text("START").Rung)
	require.Equal(t, 0, h.scalar(`select count(*) from opt_outs where lifted_at is null`))
	text("CANCEL")
	require.Equal(t, 1, h.scalar(`select count(*) from opt_outs where lifted_at is null`))
	require.Equal(t, 1, h.scalar(`select count(*) from appointments where status = 'confirmed'`), "the word cancels no visit")
	text("could I perhaps come on Thursday?")
	require.Equal(t, []string{"text_received", "text_received"}, h.openTasks())
	require.Equal(t, "refused", h.event("sms", "inbound", sms.Inbound{From: "+442079460101", To: "+15550109999", Body: "STOP"}).State)
	h.settle(booked.Journey)
	h.sound()
}

func TestInbox_TextStatus_SettlesAnUnknownText(t *testing.T) {
	h := newHouse(t)
	h.exec(`update clients set prefers = 'sms'`)
	h.answers("sms", unclear)
	booked := h.book("2027-03-15", 2)
	step := h.due(booked.Journey)
	h.step(booked.Journey, step)
	require.Equal(t, "unknown", h.effect(step.Key).State)
	ref := h.lastMessage().String()
	require.Equal(t, "ignored", h.event("sms", "status", sms.Status{Ref: ref, State: "read"}).State)
	require.Equal(t, []policy.Subject{booked.Journey}, h.event("sms", "status", sms.Status{Ref: ref, SID: "SM1", State: "delivered"}).Rung)
	require.Equal(t, "accepted", h.effect(step.Key).State)
	require.Equal(t, "ignored", h.event("sms", "status", sms.Status{Ref: "x", State: "delivered"}).State)
	require.Equal(t, "refused", h.event("sms", "status", "text").State)
	h.post.answer = nil
	h.settle(booked.Journey)
	h.sound()
}

func TestCheckout_GatewayAway_SaysSoAndChargesNothing(t *testing.T) {
	h, booked := billed(t, "")
	h.settle(booked.Journey)
	for _, call := range []string{"customer", "checkout"} {
		h.answers(call, unclear)
		_, err := h.acts.Checkout(t.Context(), h.practice.ID, h.invoice().ID, "a", "b")
		require.Equal(t, "gateway_unavailable", policy.CodeOf(err))
	}
	h.post.answer = nil
	_, err := h.acts.Checkout(t.Context(), h.practice.ID, db.NewID(), "a", "b")
	require.Equal(t, policy.NotFound, policy.KindOf(err))
	_, _, err = h.acts.SetupPage(t.Context(), h.by, db.NewID(), "a")
	require.Equal(t, policy.NotFound, policy.KindOf(err))
}
