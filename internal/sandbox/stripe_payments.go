package sandbox

import (
	"net/http"
	"slices"
	"strings"
)

func (s *Server) stripeRoutes(mux *http.ServeMux) {
	for pattern, op := range map[string]stripeOp{
		"POST /stripe/v1/customers":                     {"customer", createCustomer},
		"GET /stripe/v1/customers/{id}":                 {"fetch", fetch("customer", func(st *state, id string) any { return orNil(st.customers[id]) })},
		"POST /stripe/v1/payment_methods":               {"payment_method", createMethod},
		"GET /stripe/v1/payment_methods/{id}":           {"fetch", fetch("PaymentMethod", func(st *state, id string) any { return orNil(st.methods[id]) })},
		"POST /stripe/v1/payment_methods/{id}/attach":   {"payment_method", attachMethod},
		"POST /stripe/v1/payment_methods/{id}/detach":   {"payment_method", detachMethod},
		"POST /stripe/v1/setup_intents":                 {"setup_intent", createSetup},
		"GET /stripe/v1/setup_intents/{id}":             {"fetch", fetch("setupintent", func(st *state, id string) any { return orNil(st.setups[id]) })},
		"POST /stripe/v1/payment_intents":               {"charge", createIntent},
		"GET /stripe/v1/payment_intents/search":         {"search", searchIntents},
		"GET /stripe/v1/payment_intents/{id}":           {"fetch", fetch("payment_intent", func(st *state, id string) any { return orNil(st.intents[id]) })},
		"POST /stripe/v1/payment_intents/{id}/confirm":  {"confirm", confirmIntent},
		"POST /stripe/v1/payment_intents/{id}/cancel":   {"cancel", cancelIntent},
		"GET /stripe/v1/charges/{id}":                   {"fetch", fetch("charge", func(st *state, id string) any { return orNil(st.charges[id]) })},
		"POST /stripe/v1/refunds":                       {"refund", createRefund},
		"GET /stripe/v1/refunds/{id}":                   {"fetch", fetch("refund", func(st *state, id string) any { return orNil(st.refunds[id]) })},
		"POST /stripe/v1/checkout/sessions":             {"checkout", createSession},
		"GET /stripe/v1/checkout/sessions/{id}":         {"fetch", fetchSession},
		"POST /stripe/v1/checkout/sessions/{id}/expire": {"expire", expireSession},
		"GET /stripe/v1/events":                         {"events", listEvents},
		"GET /stripe/v1/events/{id}":                    {"events", fetchEvent},
	} {
		mux.HandleFunc(pattern, s.stripe(op))
	}
	mux.HandleFunc("/stripe/", s.stripe(stripeOp{"unknown", func(*tx, string, form) (any, *stripeError) {
		return nil, &stripeError{status: http.StatusNotFound, body: errorBody{
			Type: "invalid_request_error", Message: "Unrecognized request URL; this sandbox does not have it.",
		}}
	}}))
}

func fetch(what string, find func(*state, string) any) func(*tx, string, form) (any, *stripeError) {
	return func(t *tx, id string, _ form) (any, *stripeError) {
		if object := find(t.st, id); object != nil {
			return object, nil
		}
		return nil, missing(what, id)
	}
}

func createCustomer(t *tx, _ string, f form) (any, *stripeError) {
	if err := f.only("metadata", "email", "name", "description"); err != nil {
		return nil, err
	}
	c := &customer{
		ID: newID("cus_"), Object: "customer", Created: t.now.Unix(), Email: optional(f.get("email")),
		Name: optional(f.get("name")), Description: optional(f.get("description")), Metadata: f.metadata("metadata"),
	}
	t.put(kindCustomer, c.ID, c)
	t.emit("customer.created", c, c.Metadata)
	return c, nil
}

func createMethod(t *tx, _ string, f form) (any, *stripeError) {
	c, ok := cardByNumber(f.get("card[number]"))
	if f.get("type") != "card" || !ok {
		return nil, invalid("card[number]", "incorrect_number", "This sandbox takes Stripe's test card numbers only.")
	}
	m := newMethod(t, c, "")
	t.put(kindMethod, m.ID, m)
	return m, nil
}

// attachMethod puts a card on file. A token (pm_card_visa …) makes a new one each time.
func attachMethod(t *tx, id string, f form) (any, *stripeError) {
	if err := f.only("customer"); err != nil {
		return nil, err
	}
	owner := f.get("customer")
	if t.st.customers[owner] == nil {
		return nil, missingParam("customer", "customer", owner)
	}
	m, err := t.method(id)
	if err != nil {
		return nil, err
	}
	if m.Customer != nil && *m.Customer != owner {
		return nil, unexpectedState("payment_method_already_attached", "The payment method is attached to another customer.")
	}
	if code := cardOf(m).onAttach; code != "" || t.declineAll {
		return nil, declined(orDefault(code, "generic_decline"))
	}
	return t.attach(m, owner, false), nil
}

func detachMethod(t *tx, id string, _ form) (any, *stripeError) {
	m := t.st.methods[id]
	if m == nil {
		return nil, missing("PaymentMethod", id)
	}
	next := *m
	next.Customer = nil
	t.put(kindMethod, id, &next)
	return &next, nil
}

// method finds a stored card, or makes one of a test token.
func (t *tx) method(id string) (*paymentMethod, *stripeError) {
	if number, ok := testTokens[id]; ok {
		c, _ := cardByNumber(number)
		return newMethod(t, c, ""), nil
	}
	if m := t.st.methods[id]; m != nil {
		return m, nil
	}
	return nil, missingParam("payment_method", "PaymentMethod", id)
}

func (t *tx) attach(m *paymentMethod, owner string, authenticated bool) *paymentMethod {
	next := *m
	next.Customer = optional(owner)
	next.Sandbox = &methodPrivate{Authenticated: authenticated || (m.Sandbox != nil && m.Sandbox.Authenticated)}
	t.put(kindMethod, next.ID, &next)
	t.emit("payment_method.attached", &next, next.Metadata)
	return &next
}

// createIntent is a charge when it is confirmed at once, as kept does off session.
func createIntent(t *tx, _ string, f form) (any, *stripeError) {
	if err := f.only("amount", "currency", "customer", "payment_method", "confirm", "off_session", "metadata", "description",
		"payment_method_types", "setup_future_usage", "automatic_payment_methods"); err != nil {
		return nil, err
	}
	pi, err := t.newIntent(f)
	if err != nil {
		return nil, err
	}
	if f.get("off_session") == "true" && f.get("confirm") != "true" {
		return nil, invalid("off_session", "parameter_invalid", "off_session can only be used with confirm=true.")
	}
	var m *paymentMethod
	if id := f.get("payment_method"); id != "" {
		if m, err = t.usableMethod(id, pi.Customer); err != nil {
			return nil, err
		}
		pi.PaymentMethod, pi.Status = &m.ID, "requires_confirmation"
	}
	if f.get("confirm") == "true" && m == nil {
		return nil, invalid("payment_method", "parameter_missing", "You cannot confirm this PaymentIntent because it's missing a payment method.")
	}
	t.put(kindIntent, pi.ID, pi)
	t.emit("payment_intent.created", pi, pi.Metadata)
	if f.get("confirm") != "true" {
		return pi, nil
	}
	return t.confirm(pi, m, f.get("off_session") != "true")
}

func (t *tx) newIntent(f form) (*paymentIntent, *stripeError) {
	amount, err := f.amount("amount")
	if err != nil {
		return nil, err
	}
	currency, err := f.currency("currency")
	if err != nil {
		return nil, err
	}
	owner := f.get("customer")
	if owner != "" && t.st.customers[owner] == nil {
		return nil, missingParam("customer", "customer", owner)
	}
	id := newID("pi_")
	return &paymentIntent{
		ID: id, Object: "payment_intent", Amount: amount, CaptureMethod: "automatic", ConfirmationMethod: "automatic",
		ClientSecret: id + "_secret_" + newID(""), Created: t.now.Unix(), Currency: currency, Customer: optional(owner),
		Description: optional(f.get("description")), Metadata: f.metadata("metadata"), PaymentMethodTypes: []string{"card"},
		SetupFutureUsage: optional(f.get("setup_future_usage")), Status: "requires_payment_method",
	}, nil
}

// usableMethod finds a card that this customer may be charged with, and stores one made of a token.
func (t *tx) usableMethod(id string, owner *string) (*paymentMethod, *stripeError) {
	m, err := t.method(id)
	if err != nil {
		return nil, err
	}
	if m.Customer != nil && text(m.Customer) != text(owner) {
		return nil, invalid("payment_method", "payment_method_unexpected_state",
			"The provided PaymentMethod was attached to another customer.")
	}
	if t.st.methods[m.ID] == nil {
		t.put(kindMethod, m.ID, m)
	}
	return m, nil
}

func confirmIntent(t *tx, id string, f form) (any, *stripeError) {
	if err := f.only("payment_method", "off_session", "return_url"); err != nil {
		return nil, err
	}
	pi := t.st.intents[id]
	if pi == nil {
		return nil, missing("payment_intent", id)
	}
	if pi.Status != "requires_payment_method" && pi.Status != "requires_confirmation" {
		return nil, unexpectedState("payment_intent_unexpected_state", "This PaymentIntent is "+pi.Status+" and cannot be confirmed.")
	}
	chosen := orDefault(f.get("payment_method"), text(pi.PaymentMethod))
	m, err := t.usableMethod(chosen, pi.Customer)
	if err != nil {
		return nil, err
	}
	return t.confirm(pi, m, f.get("off_session") != "true")
}

// confirm tries to take the money. Present means the client is there and has passed every challenge.
func (t *tx) confirm(pi *paymentIntent, m *paymentMethod, present bool) (*paymentIntent, *stripeError) {
	verdict := chargeVerdict(m, present)
	if t.declineAll && verdict == "" {
		verdict = "generic_decline"
	}
	var failed *stripeError
	if verdict != "" {
		failed = declined(verdict)
	}
	ch := t.charge(pi, m, failed)
	next := *pi
	next.PaymentMethod, next.LatestCharge = &m.ID, &ch.ID
	if failed == nil {
		next.Status, next.AmountReceived, next.LastPaymentError = "succeeded", pi.Amount, nil
		t.put(kindIntent, next.ID, &next)
		t.emit("charge.succeeded", ch, ch.Metadata)
		t.emit("payment_intent.succeeded", &next, next.Metadata)
		return &next, nil
	}
	failed.body.Charge = ch.ID
	kept := failed.body
	next.Status, next.PaymentMethod, next.LastPaymentError = "requires_payment_method", nil, &kept
	t.put(kindIntent, next.ID, &next)
	t.emit("charge.failed", ch, ch.Metadata)
	t.emit("payment_intent.payment_failed", &next, next.Metadata)
	failed.body.PaymentIntent = &next
	return nil, failed
}

// charge writes one try into the book, taken or not.
func (t *tx) charge(pi *paymentIntent, m *paymentMethod, failed *stripeError) *charge {
	ch := &charge{
		ID: newID("ch_"), Object: "charge", Amount: pi.Amount, AmountCaptured: pi.Amount, Captured: true, Paid: true,
		Created: t.now.Unix(), Currency: pi.Currency, Customer: pi.Customer, Description: pi.Description, Metadata: pi.Metadata,
		Outcome:       chargeOutcome{NetworkStatus: "approved_by_network", SellerMessage: "Payment complete.", Type: "authorized"},
		PaymentIntent: &pi.ID, PaymentMethod: &m.ID, PaymentMethodDetails: chargeDetails{Type: "card", Card: m.Card}, Status: "succeeded",
	}
	if failed != nil {
		ch.AmountCaptured, ch.Captured, ch.Paid, ch.Status = 0, false, false, "failed"
		ch.FailureCode, ch.FailureMessage = &failed.body.Code, &failed.body.Message
		ch.Outcome = chargeOutcome{
			NetworkStatus: "declined_by_network", Reason: optional(failed.body.DeclineCode),
			SellerMessage: "The bank declined the payment.", Type: "issuer_declined",
		}
	}
	t.put(kindCharge, ch.ID, ch)
	return ch
}

func cancelIntent(t *tx, id string, f form) (any, *stripeError) {
	if err := f.only("cancellation_reason"); err != nil {
		return nil, err
	}
	pi := t.st.intents[id]
	if pi == nil {
		return nil, missing("payment_intent", id)
	}
	if pi.Status == "succeeded" || pi.Status == "canceled" {
		return nil, unexpectedState("payment_intent_unexpected_state", "You cannot cancel a PaymentIntent that is "+pi.Status+".")
	}
	next := *pi
	next.Status, next.CanceledAt = "canceled", ptr(t.now.Unix())
	t.put(kindIntent, id, &next)
	t.emit("payment_intent.canceled", &next, next.Metadata)
	return &next, nil
}

func createRefund(t *tx, _ string, f form) (any, *stripeError) {
	if err := f.only("payment_intent", "charge", "amount", "metadata", "reason"); err != nil {
		return nil, err
	}
	id := f.get("charge")
	if pi := t.st.intents[f.get("payment_intent")]; pi != nil {
		id = text(pi.LatestCharge)
	} else if f.get("payment_intent") != "" {
		return nil, missingParam("payment_intent", "payment_intent", f.get("payment_intent"))
	}
	ch := t.st.charges[id]
	if ch == nil || ch.Status != "succeeded" {
		return nil, missingParam("charge", "successful charge", id)
	}
	left := ch.Amount - ch.AmountRefunded
	amount := left
	if f.get("amount") != "" {
		var err *stripeError
		if amount, err = f.amount("amount"); err != nil {
			return nil, err
		}
	}
	switch {
	case left == 0:
		return nil, unexpectedState("charge_already_refunded", "Charge "+ch.ID+" has already been refunded.")
	case amount > left:
		return nil, invalid("amount", "", "Refund amount is greater than unrefunded amount on charge.")
	}
	r := &refund{
		ID: newID("re_"), Object: "refund", Amount: amount, Charge: ch.ID, Created: t.now.Unix(), Currency: ch.Currency,
		Metadata: f.metadata("metadata"), PaymentIntent: text(ch.PaymentIntent), Reason: optional(f.get("reason")), Status: "succeeded",
	}
	next := *ch
	next.AmountRefunded += amount
	next.Refunded = next.AmountRefunded == next.Amount
	t.put(kindRefund, r.ID, r)
	t.put(kindChargeUpdate, next.ID, &next)
	t.emit("refund.created", r, r.Metadata)
	t.emit("charge.refunded", &next, next.Metadata)
	return r, nil
}

// searchIntents reads metadata['a']:'b' clauses joined by AND. Unlike the real one its index is never behind.
func searchIntents(t *tx, _ string, f form) (any, *stripeError) {
	want, ok := parseQuery(f.get("query"))
	if !ok {
		return nil, invalid("query", "", "This sandbox reads metadata['key']:'value' clauses joined by AND.")
	}
	body := listOf("search_result", "/v1/payment_intents/search", false, nil)
	for _, id := range slices.Backward(t.st.intentIDs) {
		pi := t.st.intents[id]
		if (Match{Metadata: want}).fits("", "", pi.Metadata) && len(body.Data) < 100 {
			body.Data = append(body.Data, render(pi))
		}
	}
	return body, nil
}

func parseQuery(query string) (map[string]string, bool) {
	want := map[string]string{}
	for _, clause := range strings.Split(query, " AND ") {
		key, value, ok := strings.Cut(strings.TrimSpace(clause), "']:'")
		key, prefixed := strings.CutPrefix(key, "metadata['")
		value, suffixed := strings.CutSuffix(value, "'")
		if !ok || !prefixed || !suffixed {
			return nil, false
		}
		plain := strings.NewReplacer(`\'`, `'`, `\\`, `\`)
		want[plain.Replace(key)] = plain.Replace(value)
	}
	return want, true
}

func orDefault(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}
