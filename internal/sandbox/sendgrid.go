package sandbox

import (
	"encoding/json"
	"net/http"
	netmail "net/mail"
	"strconv"
	"strings"
	"time"
)

// mailRequest is what POST /v3/mail/send takes, as far as kept uses it.
type mailRequest struct {
	From             mailAddress       `json:"from"`
	ReplyTo          *mailAddress      `json:"reply_to"`
	Subject          string            `json:"subject"`
	Personalizations []personalization `json:"personalizations"`
	Content          []mailContent     `json:"content"`
	Headers          map[string]string `json:"headers"`
	CustomArgs       map[string]string `json:"custom_args"`
}

type mailAddress struct {
	Name  string `json:"name"`
	Email string `json:"email"`
}

type personalization struct {
	To         []mailAddress     `json:"to"`
	Subject    string            `json:"subject"`
	Headers    map[string]string `json:"headers"`
	CustomArgs map[string]string `json:"custom_args"`
}

type mailContent struct {
	Type  string `json:"type"`
	Value string `json:"value"`
}

// mailError is SendGrid's error answer.
type mailError struct {
	Message string  `json:"message"`
	Field   *string `json:"field"`
}

func (s *Server) mailRoutes(mux *http.ServeMux) {
	mux.HandleFunc("POST /sendgrid/v3/mail/send", s.sendMail)
	mux.HandleFunc("GET /sendgrid/v3/suppression/bounces", s.listBounces)
}

func (s *Server) refuseMail(w http.ResponseWriter, status int, field, text string) {
	writeJSON(w, status, map[string]any{"errors": []mailError{{Message: text, Field: optional(field)}}})
}

func mailAuthorized(r *http.Request) bool {
	key, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	return ok && key != ""
}

func (s *Server) sendMail(w http.ResponseWriter, r *http.Request) {
	if !mailAuthorized(r) {
		s.refuseMail(w, http.StatusUnauthorized, "", "The provided authorization grant is invalid, expired, or revoked")
		return
	}
	var in mailRequest
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 30<<20)).Decode(&in); err != nil {
		s.refuseMail(w, http.StatusBadRequest, "", "Bad Request: the body is not readable JSON")
		return
	}
	if field, problem := in.check(); problem != "" {
		s.refuseMail(w, http.StatusBadRequest, field, problem)
		return
	}
	f := s.faults.take(gatewayMail, callFaults, "send", in.Personalizations[0].To[0].Email, in.args(0))
	if s.mailStrikeBefore(w, r, f) {
		return
	}
	if f.named(faultSlow) {
		wait(r.Context(), f.delay(5*time.Second))
	}
	s.mu.Lock()
	t := s.begin()
	id := newID("")
	for i := range in.Personalizations {
		t.acceptMail(id, i, in, f.named(faultDecline))
	}
	seq := t.commit()
	s.mu.Unlock()
	if err := s.ledger.wait(seq); err != nil {
		s.refuseMail(w, http.StatusInternalServerError, "", "internal error")
		return
	}
	s.mailAnswer(w, r, f, id)
}

func (s *Server) mailStrikeBefore(w http.ResponseWriter, r *http.Request, f *Fault) bool {
	switch {
	case f.named(faultRefuse):
		s.refuseMail(w, http.StatusBadRequest, "", "Refused by a fault of the sandbox.")
	case f.named(fault500Before), f.named(fault500Stored):
		s.refuseMail(w, http.StatusInternalServerError, "", "internal error")
	case f.named(fault502):
		s.badGateway(w)
	case f.named(fault429):
		w.Header().Set("X-RateLimit-Remaining", "0")
		w.Header().Set("X-RateLimit-Reset", strconv.FormatInt(s.now().Unix()+2, 10))
		s.refuseMail(w, http.StatusTooManyRequests, "", "too many requests")
	case f.named(faultTimeoutBefore):
		hang(r.Context(), f)
	default:
		return false
	}
	return true
}

func (s *Server) mailAnswer(w http.ResponseWriter, r *http.Request, f *Fault, id string) {
	switch {
	case f.named(fault500After):
		s.refuseMail(w, http.StatusInternalServerError, "", "internal error")
	case f.named(faultTimeoutAfter):
		hang(r.Context(), f)
	case f.named(faultReset):
		s.breakOff(w, 0, nil)
	case f.named(faultWrongJSON):
		w.Header().Set("X-Message-Id", id)
		w.WriteHeader(http.StatusAccepted)
		s.answer(w, []byte(`{"message":`))
	default:
		w.Header().Set("X-Message-Id", id)
		w.WriteHeader(http.StatusAccepted)
	}
}

// check finds the first thing SendGrid would refuse.
func (in mailRequest) check() (field, problem string) {
	if bad(in.From.Email) {
		return "from.email", "The from address does not match a verified Sender Identity or is no mail address."
	}
	if len(in.Personalizations) == 0 {
		return "personalizations", "The personalizations field is required and must have at least one personalization."
	}
	for i, p := range in.Personalizations {
		at := "personalizations." + strconv.Itoa(i)
		if len(p.To) != 1 {
			return at + ".to", "This sandbox takes one receiver in each personalization."
		}
		if bad(p.To[0].Email) {
			return at + ".to.0.email", "Does not contain a valid address."
		}
		if in.Subject == "" && p.Subject == "" {
			return "subject", "The subject is required."
		}
	}
	if len(in.Content) == 0 || in.Content[0].Value == "" {
		return "content", "Unless a valid template_id is provided, the content parameter is required."
	}
	if len(in.Content) > 1 && in.Content[0].Type != "text/plain" {
		return "content.0.type", "If present, text/plain must be first."
	}
	return "", ""
}

func bad(address string) bool {
	parsed, err := netmail.ParseAddress(address)
	return err != nil || parsed.Address != address
}

// args are the custom arguments of one personalization over those of the whole mail.
func (in mailRequest) args(i int) map[string]string {
	out := map[string]string{}
	for _, from := range []map[string]string{in.CustomArgs, in.Personalizations[i].CustomArgs} {
		for k, v := range from {
			out[k] = v
		}
	}
	return out
}

// acceptMail books one mail and owes its events. What becomes of it is known at once: addresses at bounce.example.org
// bounce, at blocked.example.org are refused this time, at spam.example.org complain; a bounced mailbox is dropped later on.
func (t *tx) acceptMail(id string, i int, in mailRequest, bounce bool) {
	p := in.Personalizations[i]
	m := message{
		ID: id, Channel: channelMail, Direction: "out", At: t.now, From: in.From.Email, FromName: in.From.Name, To: p.To[0].Email,
		ToName: p.To[0].Name, Subject: orDefault(p.Subject, in.Subject), Args: in.args(i), Status: statusDelivered, Headers: map[string]string{},
	}
	if i > 0 {
		m.ID += "-" + strconv.Itoa(i)
	}
	for _, from := range []map[string]string{in.Headers, p.Headers} {
		for k, v := range from {
			m.Headers[k] = v
		}
	}
	if in.ReplyTo != nil {
		m.ReplyTo = in.ReplyTo.Email
	}
	for _, c := range in.Content {
		if c.Type == "text/html" {
			m.HTML = c.Value
		} else {
			m.Text = c.Value
		}
	}
	_, domain, _ := strings.Cut(m.To, "@")
	domain = strings.ToLower(domain)
	switch {
	case t.st.bounced[m.To] != "":
		m.Status, m.Reason = statusDropped, "Bounced Address"
	case bounce || domain == "bounce.example.org":
		m.Status, m.Reason = statusBounced, "550 5.1.1 The email account that you tried to reach does not exist"
	case domain == "blocked.example.org":
		m.Status, m.Reason = statusBlocked, "554 5.7.1 Message refused"
	}
	t.put(kindMail, m.ID, m)
	for _, e := range m.events(domain == "spam.example.org") {
		t.oweMail(m, e)
	}
}

type mailEvent struct{ event, class, reason, status string }

func (m message) events(complains bool) []mailEvent {
	processed := mailEvent{event: "processed"}
	switch m.Status {
	case statusDropped:
		return []mailEvent{{event: "dropped", reason: m.Reason}}
	case statusBounced:
		return []mailEvent{processed, {event: "bounce", class: "bounce", reason: m.Reason, status: "5.1.1"}}
	case statusBlocked:
		return []mailEvent{processed, {event: "bounce", class: "blocked", reason: m.Reason, status: "5.7.1"}}
	}
	delivered := []mailEvent{processed, {event: "delivered"}}
	if complains {
		delivered = append(delivered, mailEvent{event: "spamreport"})
	}
	return delivered
}

func (t *tx) oweMail(m message, e mailEvent) {
	body := map[string]any{}
	for k, v := range m.Args {
		body[k] = v
	}
	body["timestamp"] = t.now.Unix()
	for k, v := range map[string]string{
		"email": m.To, "event": e.event, "sg_event_id": newID(""), "sg_message_id": m.ID + ".sandbox-0",
		"smtp-id": "<" + m.ID + "@sandbox>", "type": e.class, "reason": e.reason, "status": e.status,
	} {
		if v != "" {
			body[k] = v
		}
	}
	data, err := json.Marshal(body)
	if err != nil {
		panic("sandbox: mail event cannot be written: " + err.Error())
	}
	t.owe(hook{Gateway: gatewayMail, Type: e.event, URL: t.s.o.Webhooks.MailURL, Body: string(data)}, m.To, m.Args)
}

// listBounces is SendGrid's suppression list, for what webhooks could not tell within their 24 hours.
func (s *Server) listBounces(w http.ResponseWriter, r *http.Request) {
	if !mailAuthorized(r) {
		s.refuseMail(w, http.StatusUnauthorized, "", "The provided authorization grant is invalid, expired, or revoked")
		return
	}
	since, err := strconv.ParseInt(orDefault(r.URL.Query().Get("start_time"), "0"), 10, 64)
	if err != nil {
		s.refuseMail(w, http.StatusBadRequest, "start_time", "start_time is a Unix time")
		return
	}
	type bounce struct {
		Created int64  `json:"created"`
		Email   string `json:"email"`
		Reason  string `json:"reason"`
		Status  string `json:"status"`
	}
	list := []bounce{}
	s.mu.Lock()
	for _, m := range s.state.messages {
		if m.Channel == channelMail && m.Status == statusBounced && m.At.Unix() >= since {
			list = append(list, bounce{m.At.Unix(), m.To, m.Reason, "5.1.1"})
		}
	}
	s.mu.Unlock()
	writeJSON(w, http.StatusOK, list)
}
