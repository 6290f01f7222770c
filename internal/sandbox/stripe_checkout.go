package sandbox

import (
	"encoding/json"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

func createSession(t *tx, _ string, f form) (any, *stripeError) {
	if err := f.only("mode", "payment_method_types", "success_url", "cancel_url", "customer", "metadata", "line_items", "currency",
		"payment_intent_data", "setup_intent_data", "expires_at", "client_reference_id", "locale"); err != nil {
		return nil, err
	}
	id := "cs_test_" + newID("")
	s := &session{
		ID: id, Object: "checkout.session", CancelURL: optional(f.get("cancel_url")), ClientReferenceID: optional(f.get("client_reference_id")),
		Created: t.now.Unix(), Customer: optional(f.get("customer")), Metadata: f.metadata("metadata"), Mode: f.get("mode"),
		PaymentMethodTypes: []string{"card"}, Status: "open", SuccessURL: optional(f.get("success_url")), UIMode: "hosted",
		URL: ptr(t.s.o.PublicURL + "/checkout/" + id), Sandbox: &sessionPrivate{},
	}
	if owner := f.get("customer"); owner != "" && t.st.customers[owner] == nil {
		return nil, missingParam("customer", "customer", owner)
	}
	for _, name := range []string{"success_url", "cancel_url"} {
		u, err := url.Parse(f.get(name))
		if (name == "success_url" && f.get(name) == "") || err != nil || (f.get(name) != "" && (u.Host == "" || !strings.HasPrefix(u.Scheme, "http"))) {
			return nil, invalid(name, "url_invalid", "Not a valid URL")
		}
	}
	if err := t.sessionTerms(s, f); err != nil {
		return nil, err
	}
	var err *stripeError
	if s.ExpiresAt, err = sessionExpiry(f, t.now); err != nil {
		return nil, err
	}
	if s.Mode == "setup" {
		si := newSetup(t, f.get("customer"), s.Sandbox.IntentMetadata)
		t.put(kindSetup, si.ID, si)
		s.SetupIntent = &si.ID
	}
	t.put(kindSession, s.ID, s)
	return s, nil
}

// sessionTerms reads what is to be paid, or that nothing is.
func (t *tx) sessionTerms(s *session, f form) *stripeError {
	switch s.Mode {
	case "setup":
		s.PaymentStatus = "no_payment_required"
		s.Currency = optional(f.get("currency"))
		s.Sandbox.IntentMetadata = f.metadata("setup_intent_data[metadata]")
		return nil
	case "payment":
	default:
		return invalid("mode", "parameter_invalid", "This sandbox knows the modes payment and setup.")
	}
	amount, err := f.amount("line_items[0][price_data][unit_amount]")
	if err != nil {
		return err
	}
	currency, err := f.currency("line_items[0][price_data][currency]")
	if err != nil {
		return err
	}
	if f.get("line_items[0][quantity]") != "1" || f.get("line_items[1][quantity]") != "" {
		return invalid("line_items", "", "This sandbox takes one line item of quantity 1.")
	}
	s.PaymentStatus, s.AmountSubtotal, s.AmountTotal, s.Currency = "unpaid", &amount, &amount, &currency
	s.Sandbox.Description = f.get("line_items[0][price_data][product_data][name]")
	s.Sandbox.IntentMetadata = f.metadata("payment_intent_data[metadata]")
	s.Sandbox.SaveCard = f.get("payment_intent_data[setup_future_usage]") == "off_session"
	if s.Sandbox.Description == "" {
		return invalid("line_items[0][price_data][product_data][name]", "parameter_missing", "A product needs a name.")
	}
	return nil
}

// sessionExpiry is 24 hours, or between 30 minutes and 24 hours as asked. A minute is forgiven for the way here.
func sessionExpiry(f form, now time.Time) (int64, *stripeError) {
	asked := f.get("expires_at")
	if asked == "" {
		return now.Add(24 * time.Hour).Unix(), nil
	}
	at, err := strconv.ParseInt(asked, 10, 64)
	if err != nil || unix(at).Before(now.Add(29*time.Minute)) || unix(at).After(now.Add(24*time.Hour+time.Minute)) {
		return 0, invalid("expires_at", "parameter_invalid", "The expires_at timestamp must be between 30 minutes and 24 hours from Checkout Session creation.")
	}
	return at, nil
}

// lapse expires a session whose time has come; it returns the session as it is now.
func (t *tx) lapse(s *session) *session {
	if s != nil && s.Status == "open" && t.now.Unix() >= s.ExpiresAt {
		return t.expire(s)
	}
	return s
}

// lapseSessions expires what nobody looks at any more, so that its event still comes.
func (s *Server) lapseSessions() {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.begin()
	for _, sess := range s.state.sessions {
		t.lapse(sess)
	}
	t.commit()
}

func (t *tx) expire(s *session) *session {
	next := *s
	next.Status, next.URL = "expired", nil
	t.put(kindSession, next.ID, &next)
	t.emit("checkout.session.expired", &next, next.Metadata)
	return &next
}

func fetchSession(t *tx, id string, _ form) (any, *stripeError) {
	if s := t.lapse(t.st.sessions[id]); s != nil {
		return s, nil
	}
	return nil, missing("checkout.session", id)
}

func expireSession(t *tx, id string, _ form) (any, *stripeError) {
	s := t.st.sessions[id]
	if s == nil {
		return nil, missing("checkout.session", id)
	}
	if s.Status != "open" {
		return nil, unexpectedState("", "Only Checkout Sessions with a status in [\"open\"] can be expired. This one is "+s.Status+".")
	}
	return t.expire(s), nil
}

func newSetup(t *tx, owner string, metadata map[string]string) *setupIntent {
	id := newID("seti_")
	return &setupIntent{
		ID: id, Object: "setup_intent", ClientSecret: id + "_secret_" + newID(""), Created: t.now.Unix(), Customer: optional(owner),
		Metadata: metadata, PaymentMethodTypes: []string{"card"}, Status: "requires_payment_method", Usage: "off_session",
	}
}

// createSetup takes a card by token or id and confirms at once; pages use sessions instead.
func createSetup(t *tx, _ string, f form) (any, *stripeError) {
	if err := f.only("customer", "payment_method", "confirm", "metadata", "usage", "payment_method_types"); err != nil {
		return nil, err
	}
	owner := f.get("customer")
	if owner != "" && t.st.customers[owner] == nil {
		return nil, missingParam("customer", "customer", owner)
	}
	si := newSetup(t, owner, f.metadata("metadata"))
	var m *paymentMethod
	if f.get("confirm") == "true" {
		var err *stripeError
		if m, err = t.usableMethod(f.get("payment_method"), si.Customer); err != nil {
			return nil, err
		}
	}
	t.put(kindSetup, si.ID, si)
	if m == nil {
		return si, nil
	}
	return t.setUp(si, m, false)
}

// setUp puts a card on file through a setup intent.
func (t *tx) setUp(si *setupIntent, m *paymentMethod, authenticated bool) (*setupIntent, *stripeError) {
	next := *si
	if code := cardOf(m).onAttach; code != "" || t.declineAll {
		failed := declined(orDefault(code, "generic_decline"))
		next.LastSetupError = &failed.body
		t.put(kindSetup, next.ID, &next)
		t.emit("setup_intent.setup_failed", &next, next.Metadata)
		return nil, failed
	}
	t.attach(m, text(si.Customer), authenticated)
	next.Status, next.PaymentMethod, next.LastSetupError = "succeeded", &m.ID, nil
	t.put(kindSetup, next.ID, &next)
	t.emit("setup_intent.succeeded", &next, next.Metadata)
	return &next, nil
}

// paySession is the page's form: it pays or sets up with a test card. Challenged means the owner's bank has to be asked first.
func (t *tx) paySession(s *session, c testCard, authenticated bool) (challenged bool, failed *stripeError) {
	m := newMethod(t, c, "")
	if pm := t.st.methods[s.Sandbox.Challenge]; authenticated && pm != nil {
		m = pm
	} else {
		t.put(kindMethod, m.ID, m)
	}
	if c.challenges && !authenticated {
		next := *s
		private := *s.Sandbox
		private.Challenge = m.ID
		next.Sandbox = &private
		t.put(kindSession, next.ID, &next)
		return true, nil
	}
	if s.Mode == "setup" {
		if _, failed = t.setUp(t.st.setups[*s.SetupIntent], m, authenticated); failed == nil {
			t.complete(s, func(s *session) {})
		}
		return false, failed
	}
	pi := t.st.intents[text(s.PaymentIntent)]
	if pi == nil {
		pi = t.sessionIntent(s)
	}
	if s.Sandbox.SaveCard && s.Customer != nil && cardOf(m).onAttach == "" {
		m = t.attach(m, *s.Customer, authenticated)
	}
	_, failed = t.confirm(pi, m, true)
	if failed != nil {
		next := *s
		next.PaymentIntent = &pi.ID
		t.put(kindSession, next.ID, &next)
		return false, failed
	}
	t.complete(s, func(s *session) { s.PaymentStatus, s.PaymentIntent = "paid", &pi.ID })
	return false, nil
}

func (t *tx) sessionIntent(s *session) *paymentIntent {
	id := newID("pi_")
	pi := &paymentIntent{
		ID: id, Object: "payment_intent", Amount: *s.AmountTotal, CaptureMethod: "automatic", ConfirmationMethod: "automatic",
		ClientSecret: id + "_secret_" + newID(""), Created: t.now.Unix(), Currency: *s.Currency, Customer: s.Customer,
		Metadata: s.Sandbox.IntentMetadata, PaymentMethodTypes: []string{"card"}, Status: "requires_payment_method",
	}
	if s.Sandbox.SaveCard {
		pi.SetupFutureUsage = ptr("off_session")
	}
	t.put(kindIntent, pi.ID, pi)
	t.emit("payment_intent.created", pi, pi.Metadata)
	return pi
}

func (t *tx) complete(s *session, change func(*session)) {
	next := *s
	next.Status, next.URL = "complete", nil
	change(&next)
	t.put(kindSession, next.ID, &next)
	t.emit("checkout.session.completed", &next, next.Metadata)
}

// listEvents shows the newest first. It knows created[gte], type, limit and starting_after.
func listEvents(t *tx, _ string, f form) (any, *stripeError) {
	limit := 10
	if n, err := strconv.Atoi(f.get("limit")); err == nil && n >= 1 && n <= 100 {
		limit = n
	}
	var since int64
	if asked := f.get("created[gte]"); asked != "" {
		n, err := strconv.ParseInt(asked, 10, 64)
		if err != nil {
			return nil, invalid("created[gte]", "parameter_invalid_integer", "Invalid integer")
		}
		since = n
	}
	after := f.get("starting_after")
	var found []json.RawMessage
	more := false
	for _, e := range slices.Backward(t.st.events) {
		if after != "" {
			if e.ID == after {
				after = ""
			}
			continue
		}
		if e.Created < since || (f.get("type") != "" && e.Type != f.get("type")) {
			continue
		}
		if len(found) == limit {
			more = true
			break
		}
		found = append(found, render(e))
	}
	return listOf("list", "/v1/events", more, found), nil
}

func fetchEvent(t *tx, id string, _ form) (any, *stripeError) {
	for _, e := range t.st.events {
		if e.ID == id {
			return e, nil
		}
	}
	return nil, missing("event", id)
}
