package activities_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kept-practice/kept/db"
	"github.com/kept-practice/kept/internal/desk"
	"github.com/kept-practice/kept/internal/gateway"
	"github.com/kept-practice/kept/internal/gateway/stripe"
	"github.com/kept-practice/kept/internal/policy"
	"github.com/kept-practice/kept/internal/wake"
)

var declined = gateway.Outcome{State: gateway.Refused, Final: true, Code: "card_declined", Reference: "pi_declined"}

const chargeKey = "charge/c1/a1"

// billed is a house whose client's visit was completed and whose invoice was issued just now.
func billed(t *testing.T, card string) (*house, desk.Booked) {
	t.Helper()
	h := newHouse(t)
	if card != "" {
		h.cardOnFile(card)
	}
	booked := h.book("2027-03-15", 2)
	h.until(booked.Journey, booked.Appointment.StartsAt.UTC().Format(time.RFC3339))
	h.status(booked.Appointment.ID, policy.VerbArrive, "")
	h.status(booked.Appointment.ID, policy.VerbComplete, "")
	for plan := h.plan(booked.Journey); h.scalar(`select count(*) from invoices where issued_at is not null`) == 0; plan = h.plan(booked.Journey) {
		require.NotNil(t, plan.WakeAt)
		h.setClock(plan.WakeAt.Format(time.RFC3339Nano))
	}
	return h, booked
}

func (h *house) invoice() (inv db.Invoice) {
	h.t.Helper()
	var id policy.ID
	require.NoError(h.t, h.super.QueryRow(h.t.Context(), `select id from invoices order by id desc limit 1`).Scan(&id))
	inv, err := h.store.In(h.practice.ID).InvoiceByID(h.t.Context(), h.practice.ID, id)
	require.NoError(h.t, err)
	return inv
}

func (h *house) collection() policy.Subject {
	return policy.Subject{Practice: h.practice.ID, Kind: policy.KindCollection, ID: h.invoice().ID}
}

// sweep starts what has come due in tables at this instant.
func (h *house) sweep() {
	h.t.Helper()
	_, err := wake.NewSweeper(h.store, time.Nanosecond).Sweep(h.t.Context(), h.practice.ID, h.now())
	require.NoError(h.t, err)
}

// applies hands news of a payment to the one applier.
func (h *house) applies(news desk.PaymentNews) (rung []policy.Subject) {
	h.t.Helper()
	require.NoError(h.t, h.store.InPractice(h.t.Context(), h.practice.ID, func(tx *db.Tx) error {
		var err error
		rung, err = h.desk.ApplyPayment(h.t.Context(), tx, policy.Principal{Kind: policy.ByGateway, Practice: h.practice.ID}, news)
		return err
	}))
	return rung
}

func TestCharge_CardOnFile_PaysOnceAndMailsAReceipt(t *testing.T) {
	h, booked := billed(t, "pm_1")
	step := h.due(booked.Journey)
	require.Equal(t, chargeKey, step.Key)
	for range 3 {
		h.step(booked.Journey, step)
	}
	h.settle(booked.Journey)
	require.Len(t, h.post.charges, 1)
	inv := h.invoice()
	require.Equal(t, policy.InvoicePaid, inv.Status)
	require.Equal(t, inv.Total, inv.Paid)
	require.Equal(t, int(inv.Total), h.scalar(`select sum(amount) from ledger_entries where account = 'cash'`))
	require.Equal(t, 1, h.scalar(`select count(*) from messages where kind = $1`, policy.MessageReceipt))
	h.sound()
}

func TestCharge_Unclear_StaysClaimedAndRepeatsItsKey(t *testing.T) {
	h, booked := billed(t, "pm_1")
	step := h.due(booked.Journey)
	h.answers("charge", unclear)
	require.True(t, h.step(booked.Journey, step))
	require.Equal(t, "claimed", h.effect(chargeKey).State)
	require.True(t, h.step(booked.Journey, step), "its call may still be under way")
	require.Len(t, h.post.keys, 1)

	h.cardOnFile("pm_2")
	h.post.answer = nil
	h.age("12 seconds")
	h.settle(booked.Journey)
	require.Len(t, h.post.keys, 2)
	require.Equal(t, h.post.keys[0], h.post.keys[1])
	require.Equal(t, "pm_1", h.post.charges[0].Method, "a repeat has the same parameters, whatever card came since")
	require.Zero(t, h.post.searches)
	require.Equal(t, policy.InvoicePaid, h.invoice().Status)
	h.sound()
}

func TestCharge_Crashed_RepeatsItsKeyAndFindsTheFirstResult(t *testing.T) {
	h, booked := billed(t, "pm_1")
	step := h.due(booked.Journey)
	h.crash(booked.Journey, step)
	h.post.charges = append(h.post.charges, stripe.ChargeInput{IdemKey: h.post.keys[0], AmountMinor: h.invoice().Total, Currency: "gbp"})
	h.age("12 seconds")
	h.settle(booked.Journey)
	require.Len(t, h.post.charges, 1)
	require.Equal(t, policy.InvoicePaid, h.invoice().Status)
	h.sound()
}

func TestCharge_OlderThanTheGatewayRemembers_IsSearchedFirst(t *testing.T) {
	for _, found := range []bool{true, false} {
		h, booked := billed(t, "pm_1")
		step := h.due(booked.Journey)
		h.answers("charge", unclear)
		h.step(booked.Journey, step)
		h.post.answer = nil
		if found {
			h.post.found = []stripe.Payment{
				{ID: "pi_old", Status: "requires_payment_method"},
				{ID: "pi_7", Status: "succeeded", ReceivedMinor: h.invoice().Total, Currency: "gbp"},
			}
		}
		h.age("21 hours")
		h.settle(booked.Journey)
		require.Equal(t, 1, h.post.searches)
		require.Equal(t, policy.InvoicePaid, h.invoice().Status)
		if found {
			require.Len(t, h.post.keys, 1, "found: not charged again")
			require.Equal(t, 1, h.scalar(`select count(*) from payments where gateway_intent = 'pi_7' and status = 'succeeded'`))
		} else {
			require.Len(t, h.post.keys, 2)
			require.Regexp(t, `:1$`, h.post.keys[0])
			require.Regexp(t, `:2$`, h.post.keys[1], "not found: the next key")
		}
		h.sound()
	}
}

func TestCharge_SearchWithoutAnswer_ChargesNothing(t *testing.T) {
	h, booked := billed(t, "pm_1")
	step := h.due(booked.Journey)
	h.post.answer = func(what string) gateway.Outcome {
		if what == "charge" || what == "search" {
			return unclear
		}
		return gateway.Outcome{}
	}
	h.step(booked.Journey, step)
	h.age("21 hours")
	require.True(t, h.step(booked.Journey, step))
	require.Len(t, h.post.keys, 1)
	require.Equal(t, "claimed", h.effect(chargeKey).State)
}

func TestCharge_ReplayedError_IsSearchedThenTakesTheNextKey(t *testing.T) {
	h, booked := billed(t, "pm_1")
	step := h.due(booked.Journey)
	h.post.answer = func(what string) gateway.Outcome {
		if what == "charge" && len(h.post.keys) == 1 {
			return gateway.Outcome{State: gateway.Unclear, Code: "500", Replayed: true}
		}
		return gateway.Outcome{}
	}
	h.step(booked.Journey, step)
	require.Equal(t, 1, h.post.searches)
	require.Regexp(t, `:2$`, h.post.keys[1])
	require.Equal(t, policy.InvoicePaid, h.invoice().Status)
	h.settle(booked.Journey)
	h.sound()
}

func TestCharge_StillProcessing_WaitsForItsEvent(t *testing.T) {
	h, booked := billed(t, "pm_1")
	step := h.due(booked.Journey)
	h.answers("charge", unclear)
	h.step(booked.Journey, step)
	h.post.answer = nil
	h.post.found = []stripe.Payment{{ID: "pi_9", Status: "processing", Currency: "gbp"}}
	h.age("21 hours")
	h.settle(booked.Journey)
	require.Len(t, h.post.keys, 1)
	require.Equal(t, 1, h.scalar(`select count(*) from payments where status = 'processing' and gateway_intent = 'pi_9'`))
	require.Equal(t, policy.InvoiceIssued, h.invoice().Status)
}

func TestCharge_Declined_MailsTheInvoiceAndTheCollectionFollows(t *testing.T) {
	h, booked := billed(t, "pm_1")
	h.answers("charge", declined)
	require.True(t, h.settle(booked.Journey).Done)
	require.Equal(t, effectRow{State: "failed", Reason: "card_declined", Final: true, Attempt: 1}, h.effect(chargeKey))
	require.Equal(t, 1, h.scalar(`select count(*) from payments where status = 'failed' and decline_code = 'card_declined'`))
	bill := h.post.mails[len(h.post.mails)-1]
	require.Contains(t, bill.Text, "/l/", "the invoice carries a pay link")
	require.Empty(t, h.openTasks(), "a decline is the collection's business")

	inv := h.invoice()
	require.NotNil(t, inv.FollowUpAt)
	h.setClock(inv.FollowUpAt.Format(time.RFC3339Nano))
	h.sweep()
	mails := len(h.post.mails)
	h.until(h.collection(), inv.FollowUpAt.Add(60*24*time.Hour).UTC().Format(time.RFC3339))
	require.Greater(t, len(h.post.mails), mails, "payment reminders went out")
	require.NotEmpty(t, h.openTasks(), "at the end a person is asked")
	require.Equal(t, policy.InvoiceIssued, h.invoice().Status)

	h.post.answer = nil
	url, err := h.acts.Checkout(t.Context(), h.practice.ID, inv.ID, "https://kept.example.org/paid", "https://kept.example.org/unpaid")
	require.NoError(t, err)
	require.Equal(t, "https://pay.example.org/cs_1", url)
	again, err := h.acts.Checkout(t.Context(), h.practice.ID, inv.ID, "https://kept.example.org/paid", "https://kept.example.org/unpaid")
	require.NoError(t, err)
	require.Equal(t, url, again, "an open page is used again")
	h.applies(desk.PaymentNews{Payment: h.payment("checkout"), Status: desk.PaymentSucceeded, Intent: "pi_page", Amount: inv.Total, Currency: "GBP"})
	require.True(t, h.settle(h.collection()).Done)
	h.settle(booked.Journey)
	require.Empty(t, h.openTasks(), "the question closes with its cause")
	_, err = h.acts.Checkout(t.Context(), h.practice.ID, inv.ID, "a", "b")
	require.Equal(t, "invoice_settled", policy.CodeOf(err))
	h.sound()
}

func (h *house) payment(kind string) (id policy.ID) {
	h.t.Helper()
	require.NoError(h.t, h.super.QueryRow(h.t.Context(), `select id from payments where kind = $1 order by id desc limit 1`, kind).Scan(&id))
	return id
}

// Every order and number of the same news leads to the same books.
func TestApplyPayment_ShuffledAndDoubledNews_OneBooking(t *testing.T) {
	h, booked := billed(t, "pm_1")
	h.answers("charge", unclear)
	h.step(booked.Journey, h.due(booked.Journey))
	payment, total := h.payment("charge"), h.invoice().Total
	seed := uint64(time.Now().UnixNano())
	rng := rand.New(rand.NewPCG(seed, 1))
	news := []desk.PaymentNews{
		{Payment: payment, Status: desk.PaymentFailed, Code: "card_declined", Intent: "pi_1"},
		{Payment: payment, Status: desk.PaymentFailed, Code: "card_declined", Intent: "pi_1"},
		{Payment: payment, Status: desk.PaymentExpired, Intent: "pi_1"},
		{Payment: payment, Status: desk.PaymentSucceeded, Intent: "pi_1", Amount: total, Currency: "GBP"},
		{Payment: payment, Status: desk.PaymentSucceeded, Intent: "pi_1", Amount: total, Currency: "GBP"},
		{Payment: payment, Status: desk.PaymentSucceeded, Intent: "pi_1", Amount: total, Currency: "GBP"},
	}
	for range 20 {
		rng.Shuffle(len(news), func(i, j int) { news[i], news[j] = news[j], news[i] })
		for _, n := range news {
			h.applies(n)
		}
		inv := h.invoice()
		require.Equal(t, policy.InvoicePaid, inv.Status, "seed %d", seed)
		require.Equal(t, total, inv.Paid, "seed %d", seed)
		require.Equal(t, 1, h.scalar(`select count(*) from ledger_sets where kind = 'payment'`), "seed %d", seed)
		require.Equal(t, 1, h.scalar(`select count(*) from payments where status = 'succeeded'`), "seed %d", seed)
		h.unpay()
	}
}

// unpay takes a payment out of the books, past kept, to play its news again.
func (h *house) unpay() {
	h.t.Helper()
	for _, query := range []string{
		`set session_replication_role = replica`, `delete from ledger_entries where set_id in (select id from ledger_sets where kind = 'payment')`,
		`delete from ledger_sets where kind = 'payment'`, `update payments set status = 'created', occurred_at = null, decline_code = ''`,
		`update invoices set paid = 0, status = 'issued', paid_at = null`, `set session_replication_role = origin`,
	} {
		h.exec(query)
	}
}

func TestApplyPayment_SuccessThenFailure_StaysPaid(t *testing.T) {
	h, booked := billed(t, "pm_1")
	h.settle(booked.Journey)
	h.applies(desk.PaymentNews{Payment: h.payment("charge"), Status: desk.PaymentFailed, Code: "late"})
	require.Equal(t, policy.InvoicePaid, h.invoice().Status)
	h.settle(booked.Journey)
	h.sound()
}

func TestApplyPayment_FailureThenSuccess_IsBooked(t *testing.T) {
	h, booked := billed(t, "pm_1")
	h.answers("charge", declined)
	h.settle(booked.Journey)
	rung := h.applies(desk.PaymentNews{Payment: h.payment("charge"), Status: desk.PaymentSucceeded, Intent: "pi_1", Amount: h.invoice().Total, Currency: "GBP"})
	require.Empty(t, rung, "the journey has ended, and money does not reopen it")
	require.Equal(t, policy.InvoicePaid, h.invoice().Status)
	h.settle(booked.Journey)
	h.sound()
}

func TestApplyPayment_WrongAmountOrCurrency_BooksNothingAndAsksAPerson(t *testing.T) {
	for _, news := range []desk.PaymentNews{{Amount: 1, Currency: "GBP"}, {Amount: 6000, Currency: "USD"}, {Amount: -6000, Currency: "GBP"}} {
		h, booked := billed(t, "pm_1")
		h.answers("charge", unclear)
		h.step(booked.Journey, h.due(booked.Journey))
		news.Payment, news.Status = h.payment("charge"), desk.PaymentSucceeded
		require.NotEqual(t, desk.PaymentNews{Payment: news.Payment, Status: news.Status, Amount: h.invoice().Total, Currency: "GBP"}, news)
		for range 2 {
			require.Empty(t, h.applies(news))
		}
		require.Equal(t, policy.InvoiceIssued, h.invoice().Status)
		require.Zero(t, h.invoice().Paid)
		require.Equal(t, []string{"payment_differs"}, h.openTasks())
	}
}

func TestApplyPayment_OnAVoidInvoice_StaysVoidAndAsksAPerson(t *testing.T) {
	h, booked := billed(t, "pm_1")
	h.answers("charge", unclear)
	h.step(booked.Journey, h.due(booked.Journey))
	_, _, err := h.desk.Void(t.Context(), h.by, h.invoice().ID, "billed by mistake")
	require.NoError(t, err)
	h.applies(desk.PaymentNews{Payment: h.payment("charge"), Status: desk.PaymentSucceeded, Intent: "pi_1", Amount: h.invoice().Total, Currency: "GBP"})
	require.Equal(t, policy.InvoiceVoid, h.invoice().Status)
	require.Contains(t, h.openTasks(), "overpaid")
	h.post.answer, h.post.found = nil, []stripe.Payment{{ID: "pi_1", Status: "succeeded", ReceivedMinor: h.invoice().Total, Currency: "gbp"}}
	h.age("12 seconds")
	h.settle(booked.Journey)
	require.Len(t, h.post.keys, 1, "the attempt's outcome is found, nothing more is charged")
	require.Equal(t, "accepted", h.effect(chargeKey).State)
	h.sound()
}

func TestCharge_VoidedWhileUnclear_IsWithdrawn(t *testing.T) {
	h, booked := billed(t, "pm_1")
	h.answers("charge", unclear)
	h.step(booked.Journey, h.due(booked.Journey))
	_, _, err := h.desk.Void(t.Context(), h.by, h.invoice().ID, "billed by mistake")
	require.NoError(t, err)
	h.post.answer = nil
	h.age("12 seconds")
	require.True(t, h.settle(booked.Journey).Done)
	require.Equal(t, effectRow{State: "failed", Reason: "withdrawn", Final: true, Attempt: 2}, h.effect(chargeKey))
	require.Len(t, h.post.keys, 1)
	require.Equal(t, 1, h.scalar(`select count(*) from payments where status = 'failed'`))
	h.sound()
}

func TestCharge_ThrottledThenPaidByPage_EndsRefusedAndChargesNothing(t *testing.T) {
	h, booked := billed(t, "pm_1")
	step := h.due(booked.Journey)
	h.answers("charge", throttled)
	h.step(booked.Journey, step)
	h.post.answer = nil
	inv := h.invoice()
	_, err := h.acts.Checkout(t.Context(), h.practice.ID, inv.ID, "a", "b")
	require.NoError(t, err)
	h.applies(desk.PaymentNews{Payment: h.payment("checkout"), Status: desk.PaymentSucceeded, Intent: "pi_page", Amount: inv.Total, Currency: "GBP"})
	h.age("1 hour")
	h.step(booked.Journey, step)
	require.Len(t, h.post.keys, 2, "one charge that was throttled, one page")
	require.Empty(t, h.post.charges)
	require.Equal(t, "refused", h.effect(chargeKey).State)
	require.Equal(t, 1, h.scalar(`select count(*) from payments where kind = 'charge' and status = 'expired'`))
	h.settle(booked.Journey)
	h.sound()
}

// A charge whose outcome is open for days: nobody else may take the money meanwhile.
func TestCharge_UnclearForDays_NeitherCollectionNorPageChargesBeside(t *testing.T) {
	h, booked := billed(t, "pm_1")
	h.answers("charge", unclear)
	h.step(booked.Journey, h.due(booked.Journey))
	inv := h.invoice()
	_, err := h.acts.Checkout(t.Context(), h.practice.ID, inv.ID, "a", "b")
	require.Equal(t, "payment_under_way", policy.CodeOf(err))

	h.setClock(inv.FollowUpAt.Format(time.RFC3339Nano))
	h.sweep()
	h.exec(`update effects set call_by = clock_timestamp() + interval '1 hour' where state = 'claimed'`)
	h.until(h.collection(), inv.FollowUpAt.Add(60*24*time.Hour).UTC().Format(time.RFC3339))
	require.Len(t, h.post.keys, 1, "the collection charges nothing beside it")
	h.post.answer = nil
	h.age("2 hours")
	h.settle(booked.Journey)
	require.Len(t, h.post.charges, 1)
	require.Equal(t, policy.InvoicePaid, h.invoice().Status)
	require.True(t, h.settle(h.collection()).Done)
	h.sound()
}

func TestInvoice_CompletionUndone_IsVoidedWithItsReversal_AndTheNextTakesTheNextNumber(t *testing.T) {
	h, booked := billed(t, "")
	h.settle(booked.Journey)
	first := h.invoice()
	require.EqualValues(t, 1, *first.Number)
	h.exec(`insert into settings (practice_id, level, scope_id, key, value) values ($1, 'practice', $1, 'undo_minutes', '10080')`, h.practice.ID)

	_, err := h.desk.Undo(t.Context(), h.by, booked.Appointment.ID, "wrong client")
	require.NoError(t, err)
	h.settle(booked.Journey)
	require.Equal(t, policy.InvoiceVoid, h.invoice().Status)
	require.Equal(t, 1, h.scalar(`select count(*) from ledger_sets where kind = 'reversal' and reverses_id is not null`))
	require.Equal(t, 0, h.scalar(`select sum(amount) from ledger_entries where account = 'receivable'`))
	require.Equal(t, 0, h.scalar(`select count(*) from links where purpose = 'pay' and revoked_at is null`))

	h.status(booked.Appointment.ID, policy.VerbComplete, "")
	h.until(booked.Journey, h.now().Add(24*time.Hour).Format(time.RFC3339))
	second := h.invoice()
	require.EqualValues(t, 2, second.Completion)
	require.EqualValues(t, 2, *second.Number, "numbers have no gap")
	require.Equal(t, policy.InvoiceIssued, second.Status)
	require.Equal(t, int(second.Total), h.scalar(`select sum(amount) from ledger_entries where account = 'receivable'`))
	h.sound()
}

func TestInvoice_PaidThenUndone_IsLeftToAPerson_AndStandsForTheSecondCompletion(t *testing.T) {
	h, booked := billed(t, "pm_1")
	h.settle(booked.Journey)
	h.exec(`insert into settings (practice_id, level, scope_id, key, value) values ($1, 'practice', $1, 'undo_minutes', '10080')`, h.practice.ID)
	_, err := h.desk.Undo(t.Context(), h.by, booked.Appointment.ID, "wrong client")
	require.NoError(t, err)
	h.settle(booked.Journey)
	require.Equal(t, policy.InvoicePaid, h.invoice().Status)
	require.Contains(t, h.openTasks(), "refund_decision")

	h.status(booked.Appointment.ID, policy.VerbComplete, "")
	h.until(booked.Journey, h.now().Add(48*time.Hour).Format(time.RFC3339))
	require.Equal(t, 1, h.scalar(`select count(*) from invoices`), "what is paid covers the visit")
	require.Len(t, h.post.charges, 1)
	require.Contains(t, h.openTasks(), "invoice_kept")
	require.NotContains(t, h.openTasks(), "refund_decision")
	h.sound()
}
