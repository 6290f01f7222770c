package sandbox_test

import (
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kept-practice/kept/internal/gateway"
	"github.com/kept-practice/kept/internal/gateway/stripe"
)

func charge(key, customer, method, attempt string) stripe.ChargeInput {
	return stripe.ChargeInput{
		IdemKey: key, AmountMinor: 12_345, Currency: "USD", Customer: customer, Method: method,
		Metadata: map[string]string{"practice": "p-1", "invoice": "inv-1", "attempt": attempt},
	}
}

func TestStripe_CardOnFileThenCharge_MoneyTakenOnceAndTold(t *testing.T) {
	w := newWorld(t)
	customer := w.customer()
	card := w.cardOnFile(customer, "4242 4242 4242 4242")
	require.Equal(t, "4242", card.Last4)
	require.Equal(t, "visa", card.Brand)
	require.Equal(t, customer, card.Customer)
	require.Positive(t, card.ExpYear)

	paid, out := w.stripe.ChargeOffSession(t.Context(), charge("charge:1:1", customer, card.Method, "1"))
	require.True(t, out.OK(), "%+v", out)
	require.True(t, paid.Succeeded())
	require.Equal(t, paid.ID, out.Reference)
	require.Equal(t, int64(12_345), paid.ReceivedMinor)
	require.Equal(t, "usd", paid.Currency)
	require.Equal(t, "inv-1", paid.Metadata["invoice"])

	again, out := w.stripe.ChargeOffSession(t.Context(), charge("charge:1:1", customer, card.Method, "1"))
	require.True(t, out.OK() && out.Replayed, "%+v", out)
	require.Equal(t, paid.ID, again.ID)

	charges := w.ledger("charge")
	require.Len(t, charges, 1)
	require.Equal(t, "succeeded", charges[0].Data.Status)
	require.Equal(t, "1", charges[0].Data.Metadata["attempt"])
	w.settle()
	require.Equal(t, []string{"checkout.session.completed", "payment_intent.succeeded", "setup_intent.succeeded"}, w.hooks.stripeTypes())
}

func TestStripe_DecliningCards_RefusedFinallyWithTheirCodes(t *testing.T) {
	w := newWorld(t)
	customer := w.customer()
	for number, code := range map[string]string{"4000000000000341": "generic_decline", "4000002760003184": "authentication_required"} {
		card := w.cardOnFile(customer, number)
		_, out := w.stripe.ChargeOffSession(t.Context(), charge("charge:"+number, customer, card.Method, number))
		require.Equal(t, gateway.Refused, out.State)
		require.True(t, out.Final)
		require.Equal(t, code, out.Code)
		failed, got := w.stripe.FetchPaymentIntent(t.Context(), out.Reference)
		require.True(t, got.OK())
		require.Equal(t, code, failed.DeclineCode)
		_, repeat := w.stripe.ChargeOffSession(t.Context(), charge("charge:"+number, customer, card.Method, number))
		require.True(t, repeat.Replayed, "a decline is kept for its key")
	}
	card := w.cardOnFile(customer, "4000002500003155")
	_, out := w.stripe.ChargeOffSession(t.Context(), charge("charge:3155", customer, card.Method, "3155"))
	require.True(t, out.OK(), "authenticated when it was put on file: %+v", out)
}

func TestStripe_CheckoutPage_DeclineThenPayThenPressAgain(t *testing.T) {
	w := newWorld(t)
	customer := w.customer()
	page, out := w.stripe.CreateCheckout(t.Context(), stripe.CheckoutInput{
		IdemKey: "checkout:1", AmountMinor: 9_900, Currency: "USD", Customer: customer, Description: "Invoice 2024-0001",
		SuccessURL: "http://kept.test/paid?session={CHECKOUT_SESSION_ID}", CancelURL: "http://kept.test/back",
		ExpiresAt: time.Now().Add(time.Hour), Metadata: map[string]string{"invoice": "inv-1"},
	})
	require.True(t, out.OK(), "%+v", out)
	require.Equal(t, "open", page.Status)
	require.Empty(t, page.PaymentIntent)

	status, _, body := w.press(page.URL, url.Values{"number": {"4000000000000002"}})
	require.Equal(t, http.StatusPaymentRequired, status)
	require.Contains(t, body, "Your card was declined")
	status, _, body = w.press(page.URL, url.Values{"number": {"4000002500003155"}})
	require.Equal(t, http.StatusOK, status)
	require.Contains(t, body, "Your bank asks")
	status, _, _ = w.press(page.URL, url.Values{"number": {"4000002500003155"}, "answer": {"refuse"}})
	require.Equal(t, http.StatusPaymentRequired, status)
	for range 2 {
		status, location, _ := w.press(page.URL, url.Values{"number": {"4242424242424242"}})
		require.Equal(t, http.StatusSeeOther, status)
		require.Equal(t, "http://kept.test/paid?session="+page.ID, location)
	}
	got, out := w.stripe.FetchCheckoutSession(t.Context(), page.ID)
	require.True(t, out.OK())
	require.Equal(t, "complete", got.Status)
	require.Equal(t, "paid", got.PaymentStatus)
	paid, out := w.stripe.FetchPaymentIntent(t.Context(), got.PaymentIntent)
	require.True(t, out.OK())
	require.True(t, paid.Succeeded())
	require.Equal(t, "inv-1", paid.Metadata["invoice"])

	_, out = w.stripe.ExpireCheckout(t.Context(), "expire:1", page.ID)
	require.Equal(t, gateway.Refused, out.State)
	require.True(t, out.Final)
	w.settle()
	require.Equal(t, []string{"checkout.session.completed", "payment_intent.payment_failed", "payment_intent.succeeded"}, w.hooks.stripeTypes())
}

func TestStripe_ExpiredPage_TakesNoMoney(t *testing.T) {
	w := newWorld(t)
	page, out := w.stripe.CreateCheckout(t.Context(), stripe.CheckoutInput{
		IdemKey: "checkout:1", AmountMinor: 100, Currency: "usd", Description: "Invoice 1", SuccessURL: "http://kept.test/paid", CancelURL: "http://kept.test/back",
	})
	require.True(t, out.OK(), "%+v", out)
	_, out = w.stripe.ExpireCheckout(t.Context(), "expire:1", page.ID)
	require.True(t, out.OK(), "%+v", out)
	status, _, body := w.press(page.URL, url.Values{"number": {"4242424242424242"}})
	require.Equal(t, http.StatusGone, status)
	require.Contains(t, body, "Nothing was charged")
	require.Empty(t, w.ledger("charge"))
}

func TestStripe_Refunds_NeverMoreThanTaken(t *testing.T) {
	w := newWorld(t)
	customer := w.customer()
	card := w.cardOnFile(customer, "4242424242424242")
	paid, out := w.stripe.ChargeOffSession(t.Context(), charge("c", customer, card.Method, "1"))
	require.True(t, out.OK())
	part, out := w.stripe.Refund(t.Context(), stripe.RefundInput{IdemKey: "r1", PaymentIntent: paid.ID, AmountMinor: 2_345, Metadata: map[string]string{"refund": "1"}})
	require.True(t, out.OK(), "%+v", out)
	require.Equal(t, "succeeded", part.Status)
	_, out = w.stripe.Refund(t.Context(), stripe.RefundInput{IdemKey: "r2", PaymentIntent: paid.ID, AmountMinor: 10_001})
	require.Equal(t, gateway.Refused, out.State)
	rest, out := w.stripe.Refund(t.Context(), stripe.RefundInput{IdemKey: "r3", PaymentIntent: paid.ID})
	require.True(t, out.OK())
	require.Equal(t, int64(10_000), rest.AmountMinor)
	_, out = w.stripe.Refund(t.Context(), stripe.RefundInput{IdemKey: "r4", PaymentIntent: paid.ID})
	require.Equal(t, "charge_already_refunded", out.Code)
	now, out := w.stripe.FetchPaymentIntent(t.Context(), paid.ID)
	require.True(t, out.OK())
	require.Equal(t, int64(12_345), now.RefundedMinor)
	require.Len(t, w.ledger("refund"), 2)
	require.Len(t, w.ledger("charge"), 1, "a refund is no second charge in the book")
}

// Each fault, and what our client must make of it.
func TestStripe_EachFault_RightOutcomeAndAtMostOneCharge(t *testing.T) {
	for _, c := range []struct {
		fault   string
		state   gateway.State
		code    string
		charges int           // after the faulty call
		after   gateway.State // the same key again
		replay  bool          // and that answer is a replay
	}{
		{fault: "refuse", state: gateway.Refused, code: "400", after: gateway.Accepted},
		{fault: "decline", state: gateway.Refused, code: "generic_decline", charges: 1, after: gateway.Refused, replay: true},
		{fault: "500_before", state: gateway.Unclear, code: "500", after: gateway.Accepted},
		{fault: "500_stored", state: gateway.Unclear, code: "500", after: gateway.Unclear, replay: true},
		{fault: "500_after", state: gateway.Unclear, code: "500", charges: 1, after: gateway.Unclear, replay: true},
		{fault: "502", state: gateway.Unclear, code: "502", after: gateway.Accepted},
		{fault: "timeout_before", state: gateway.Unclear, code: gateway.CodeTimeout, after: gateway.Accepted},
		{fault: "timeout_after", state: gateway.Unclear, code: gateway.CodeTimeout, charges: 1, after: gateway.Accepted, replay: true},
		{fault: "429", state: gateway.Refused, code: "rate_limit", after: gateway.Accepted},
		{fault: "reset", state: gateway.Unclear, code: gateway.CodeUnreadable, charges: 1, after: gateway.Accepted, replay: true},
		{fault: "wrong_json", state: gateway.Unclear, code: gateway.CodeUnreadable, charges: 1, after: gateway.Accepted, replay: true},
	} {
		t.Run(c.fault, func(t *testing.T) {
			w := newWorld(t)
			customer := w.customer()
			card := w.cardOnFile(customer, "4242424242424242")
			if strings.HasPrefix(c.fault, "timeout") {
				w.timeout = 150 * time.Millisecond
				w.clients()
			}
			w.fault(map[string]any{"gateway": "stripe", "fault": c.fault, "match": map[string]any{"op": "charge", "metadata": map[string]string{"attempt": "1"}}})
			_, out := w.stripe.ChargeOffSession(t.Context(), charge("charge:1", customer, card.Method, "1"))
			require.Equal(t, c.state, out.State, "%+v", out)
			require.Equal(t, c.code, out.Code)
			require.Len(t, w.ledger("charge"), c.charges)
			if c.fault == "429" {
				require.True(t, out.Retryable())
				require.Equal(t, time.Second, out.RetryAfter)
			}
			_, again := w.stripe.ChargeOffSession(t.Context(), charge("charge:1", customer, card.Method, "1"))
			require.Equal(t, c.after, again.State, "%+v", again)
			require.Equal(t, c.replay, again.Replayed)
			require.LessOrEqual(t, len(w.ledger("charge")), 1)

			found, search := w.stripe.SearchPaymentIntents(t.Context(), map[string]string{"invoice": "inv-1", "attempt": "1"})
			require.True(t, search.OK(), "%+v", search)
			require.Len(t, found, len(w.ledger("charge")), "what was done can be found by our metadata")
		})
	}
}

func TestStripe_NothingListens_SurelyNotSent(t *testing.T) {
	w := newWorld(t)
	w.http.Close()
	_, out := w.stripe.ChargeOffSession(t.Context(), charge("charge:1", "cus_1", "pm_1", "1"))
	require.Equal(t, gateway.Refused, out.State)
	require.Equal(t, gateway.CodeNotSent, out.Code)
	require.True(t, out.Retryable())
}

func TestStripe_KeyReusedForAnotherRequest_Unclear(t *testing.T) {
	w := newWorld(t)
	customer := w.customer()
	card := w.cardOnFile(customer, "4242424242424242")
	_, out := w.stripe.ChargeOffSession(t.Context(), charge("charge:1", customer, card.Method, "1"))
	require.True(t, out.OK())
	other := charge("charge:1", customer, card.Method, "1")
	other.AmountMinor++
	_, out = w.stripe.ChargeOffSession(t.Context(), other)
	require.Equal(t, gateway.Unclear, out.State, "something was executed under this key")
	require.Equal(t, "idempotency_error", out.Code)
	require.Len(t, w.ledger("charge"), 1)
}

func TestStripe_SameKeyTwiceAtOnce_OneChargeTheOtherConflicts(t *testing.T) {
	w := newWorld(t)
	customer := w.customer()
	card := w.cardOnFile(customer, "4242424242424242")
	w.fault(map[string]any{"gateway": "stripe", "fault": "slow", "delay_ms": 300, "match": map[string]any{"op": "charge"}})
	outcomes := make([]gateway.Outcome, 2)
	var both sync.WaitGroup
	for i := range outcomes {
		both.Go(func() {
			_, outcomes[i] = w.stripe.ChargeOffSession(t.Context(), charge("charge:1", customer, card.Method, "1"))
		})
	}
	both.Wait()
	states := map[gateway.State]int{outcomes[0].State: 1}
	states[outcomes[1].State]++
	require.Len(t, w.ledger("charge"), 1)
	require.GreaterOrEqual(t, states[gateway.Accepted], 1)
	for _, out := range outcomes {
		if !out.OK() {
			require.Equal(t, gateway.Unclear, out.State)
			require.Equal(t, "idempotency_key_in_use", out.Code)
		}
	}
}

func TestStripe_InvalidRequests_RefusedAndNotKeptForTheirKey(t *testing.T) {
	w := newWorld(t)
	customer := w.customer()
	card := w.cardOnFile(customer, "4242424242424242")
	bad := charge("charge:1", customer, "pm_unknown", "1")
	_, out := w.stripe.ChargeOffSession(t.Context(), bad)
	require.Equal(t, gateway.Refused, out.State)
	require.True(t, out.Final)
	require.Equal(t, "resource_missing", out.Code)
	_, out = w.stripe.ChargeOffSession(t.Context(), charge("charge:1", customer, card.Method, "1"))
	require.True(t, out.OK(), "validation failures do not use up the key: %+v", out)

	_, out = w.stripe.ChargeOffSession(t.Context(), stripe.ChargeInput{IdemKey: "k", AmountMinor: 0})
	require.Equal(t, gateway.CodeInvalid, out.Code)
	_, out = w.stripe.ChargeOffSession(t.Context(), stripe.ChargeInput{AmountMinor: 1})
	require.Equal(t, gateway.CodeInvalid, out.Code)

	live, err := stripe.New(stripe.Options{Key: "sk_live_1", BaseURL: w.http.URL + "/stripe"})
	require.NoError(t, err)
	out = live.EnsureCustomer(t.Context(), "k", nil)
	require.Equal(t, gateway.Refused, out.State, "a live key in the sandbox is refused")
	require.False(t, out.Final, "and can be mended")
}

func TestStripe_Events_ListedForReconciling(t *testing.T) {
	w := newWorld(t)
	customer := w.customer()
	card := w.cardOnFile(customer, "4242424242424242")
	w.fault(map[string]any{"gateway": "stripe", "fault": "drop_event", "match": map[string]any{"op": "payment_intent.succeeded"}})
	paid, out := w.stripe.ChargeOffSession(t.Context(), charge("c", customer, card.Method, "1"))
	require.True(t, out.OK())
	w.settle()
	require.NotContains(t, w.hooks.stripeTypes(), "payment_intent.succeeded")
	events, more, out := w.stripe.ListEvents(t.Context(), time.Now().Add(-time.Hour), "")
	require.True(t, out.OK(), "%+v", out)
	require.False(t, more)
	require.Equal(t, "payment_intent.succeeded", events[0].Type)
	require.Equal(t, paid.ID, events[0].ObjectID)
}
