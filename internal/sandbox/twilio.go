package sandbox

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf16"
)

// What a person can text to the carrier, and what it does by itself.
var (
	stopWords  = []string{"STOP", "STOPALL", "UNSUBSCRIBE", "CANCEL", "END", "QUIT", "REVOKE", "OPTOUT"}
	startWords = []string{"START", "YES", "UNSTOP"}
	helpWords  = []string{"HELP", "INFO"}
)

// inbound is the type of the webhook that carries a person's text.
const inbound = "inbound"

// twilioMessage is Twilio's Message resource.
type twilioMessage struct {
	SID         string  `json:"sid"`
	AccountSID  string  `json:"account_sid"`
	APIVersion  string  `json:"api_version"`
	To          string  `json:"to"`
	From        string  `json:"from"`
	Body        string  `json:"body"`
	Status      string  `json:"status"`
	Direction   string  `json:"direction"`
	NumSegments string  `json:"num_segments"`
	ErrorCode   *int    `json:"error_code"`
	ErrorText   *string `json:"error_message"`
	DateCreated string  `json:"date_created"`
	DateSent    *string `json:"date_sent"`
	URI         string  `json:"uri"`
}

func (s *Server) smsRoutes(mux *http.ServeMux) {
	const base = "/twilio/2010-04-01/Accounts/{account}/Messages"
	mux.HandleFunc("POST "+base+".json", s.sendSMS)
	mux.HandleFunc("GET "+base+".json", s.listSMS)
	mux.HandleFunc("GET "+base+"/{sid}", s.fetchSMS)
	mux.HandleFunc("POST /api/reply", s.reply)
}

func (s *Server) refuseSMS(w http.ResponseWriter, status, code int, text string) {
	writeJSON(w, status, map[string]any{
		"code": code, "message": text, "status": status, "more_info": "https://www.twilio.com/docs/errors/" + strconv.Itoa(code),
	})
}

// smsAuthorized wants the account in the path and, where the sandbox was given one, its token.
func (s *Server) smsAuthorized(r *http.Request) bool {
	user, password, ok := r.BasicAuth()
	return ok && user == r.PathValue("account") && password != "" && (s.o.Webhooks.SMSAuthToken == "" || password == s.o.Webhooks.SMSAuthToken)
}

func (s *Server) sendSMS(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	if err := r.ParseForm(); err != nil {
		s.refuseSMS(w, http.StatusBadRequest, 20001, "The body is not a form")
		return
	}
	if !s.smsAuthorized(r) {
		s.refuseSMS(w, http.StatusUnauthorized, 20003, "Authenticate")
		return
	}
	form := r.PostForm
	if code, problem := checkSMS(form); code != 0 {
		s.refuseSMS(w, http.StatusBadRequest, code, problem)
		return
	}
	callback := orDefault(form.Get("StatusCallback"), s.o.Webhooks.SMSStatusURL)
	args := map[string]string{}
	if u, err := url.Parse(callback); err == nil && u.Query().Get("ref") != "" {
		args["ref"] = u.Query().Get("ref")
	}
	f := s.faults.take(gatewaySMS, callFaults, "send", form.Get("To"), args)
	if s.smsStrikeBefore(w, r, f) {
		return
	}
	if f.named(faultSlow) {
		wait(r.Context(), f.delay(5*time.Second))
	}
	m := message{
		ID: newSID("SM"), Channel: channelSMS, Direction: "out", From: orDefault(form.Get("From"), form.Get("MessagingServiceSid")),
		To: form.Get("To"), Text: form.Get("Body"), Args: args, Status: statusDelivered, Segments: segments(form.Get("Body")),
	}
	if f.named(faultDecline) {
		m.Status, m.Reason = statusUndelivered, "30003"
	}
	s.mu.Lock()
	if s.state.stopped[m.From+"|"+m.To] {
		s.mu.Unlock()
		s.refuseSMS(w, http.StatusBadRequest, 21610, "Attempt to send to unsubscribed recipient")
		return
	}
	t := s.begin()
	m.At = t.now
	t.put(kindSMS, m.ID, m)
	t.oweStatus(m, r.PathValue("account"), callback)
	seq := t.commit()
	s.mu.Unlock()
	if err := s.ledger.wait(seq); err != nil {
		s.refuseSMS(w, http.StatusInternalServerError, 20500, "Internal error")
		return
	}
	s.smsAnswer(w, r, f, twilioView(&m, r.PathValue("account"), "queued"))
}

func checkSMS(form url.Values) (code int, problem string) {
	to := form.Get("To")
	switch {
	case to == "":
		return 21604, "A 'To' phone number is required."
	case len(to) < 8 || len(to) > 16 || to[0] != '+' || strings.Trim(to[1:], "0123456789") != "":
		return 21211, "Invalid 'To' Phone Number"
	case form.Get("From") == "" && form.Get("MessagingServiceSid") == "":
		return 21603, "A 'From' phone number is required."
	case form.Get("Body") == "":
		return 21602, "Message body is required."
	case len(utf16.Encode([]rune(form.Get("Body")))) > 1600:
		return 21617, "The concatenated message body exceeds the 1600 character limit."
	}
	return 0, ""
}

func (s *Server) smsStrikeBefore(w http.ResponseWriter, r *http.Request, f *Fault) bool {
	switch {
	case f.named(faultRefuse):
		s.refuseSMS(w, http.StatusBadRequest, 21211, "Refused by a fault of the sandbox.")
	case f.named(fault500Before), f.named(fault500Stored):
		s.refuseSMS(w, http.StatusInternalServerError, 20500, "Internal error")
	case f.named(fault502):
		s.badGateway(w)
	case f.named(fault429):
		w.Header().Set("Retry-After", "1")
		s.refuseSMS(w, http.StatusTooManyRequests, 20429, "Too Many Requests")
	case f.named(faultTimeoutBefore):
		hang(r.Context(), f)
	default:
		return false
	}
	return true
}

func (s *Server) smsAnswer(w http.ResponseWriter, r *http.Request, f *Fault, view twilioMessage) {
	switch {
	case f.named(fault500After):
		s.refuseSMS(w, http.StatusInternalServerError, 20500, "Internal error")
	case f.named(faultTimeoutAfter):
		hang(r.Context(), f)
	case f.named(faultReset):
		s.breakOff(w, http.StatusCreated, []byte(`{"sid":"`+view.SID+`","status":"queued"}`))
	case f.named(faultWrongJSON):
		w.WriteHeader(http.StatusCreated)
		s.answer(w, []byte(`{"sid":`))
	default:
		writeJSON(w, http.StatusCreated, view)
	}
}

// oweStatus owes the callbacks of a text's way: queued, sent, and its end.
func (t *tx) oweStatus(m message, account, callback string) {
	for _, status := range []string{"queued", "sent", m.Status} {
		form := url.Values{
			"MessageSid": {m.ID}, "SmsSid": {m.ID}, "AccountSid": {account}, "From": {m.From}, "To": {m.To},
			"MessageStatus": {status}, "SmsStatus": {status}, "ApiVersion": {"2010-04-01"},
		}
		if status == statusUndelivered {
			form.Set("ErrorCode", m.Reason)
		}
		t.owe(hook{Gateway: gatewaySMS, Type: status, URL: callback, Form: form}, m.To, m.Args)
	}
}

// reply is a person's text to us: {"from","to","body"}, as JSON or form. To may be left out: then it answers the last text.
func (s *Server) reply(w http.ResponseWriter, r *http.Request) {
	var in struct{ From, To, Body string }
	isForm := strings.HasPrefix(r.Header.Get("Content-Type"), "application/x-www-form-urlencoded")
	if isForm {
		r.Body = http.MaxBytesReader(w, r.Body, maxForm)
		in.From, in.To, in.Body = r.PostFormValue("from"), r.PostFormValue("to"), r.PostFormValue("body")
	} else if !readJSON(w, r, &in) {
		return
	}
	s.mu.Lock()
	if in.To == "" {
		in.To = s.state.lastSender(in.From)
	}
	if in.From == "" || in.To == "" || in.Body == "" {
		s.mu.Unlock()
		writeProblem(w, http.StatusUnprocessableEntity, "A reply needs from, body and, unless we texted this number before, to.")
		return
	}
	t := s.begin()
	m := t.acceptReply(in.From, in.To, in.Body)
	seq := t.commit()
	s.mu.Unlock()
	if err := s.ledger.wait(seq); err != nil {
		writeProblem(w, http.StatusInternalServerError, "The ledger cannot be written.")
		return
	}
	if isForm {
		http.Redirect(w, r, "/messages/"+m.ID, http.StatusSeeOther)
		return
	}
	writeJSON(w, http.StatusCreated, m)
}

func (t *tx) acceptReply(from, to, body string) message {
	m := message{
		ID: newSID("SM"), Channel: channelSMS, Direction: "in", At: t.now, From: from, To: to, Text: body,
		Status: statusReceived, Segments: segments(body),
	}
	t.put(kindReply, m.ID, m)
	form := url.Values{
		"MessageSid": {m.ID}, "SmsSid": {m.ID}, "SmsMessageSid": {m.ID}, "AccountSid": {t.s.o.Webhooks.SMSAccount}, "From": {from},
		"To": {to}, "Body": {body}, "NumMedia": {"0"}, "NumSegments": {strconv.Itoa(m.Segments)}, "SmsStatus": {"received"},
		"ApiVersion": {"2010-04-01"},
	}
	word := strings.ToUpper(strings.TrimSpace(body))
	switch {
	case slices.Contains(stopWords, word):
		t.put(kindConsent, "", consent{Pair: to + "|" + from, Stopped: true})
		form.Set("OptOutType", "STOP")
	case slices.Contains(startWords, word) && t.st.stopped[to+"|"+from]:
		t.put(kindConsent, "", consent{Pair: to + "|" + from})
		form.Set("OptOutType", "START")
	case slices.Contains(helpWords, word):
		form.Set("OptOutType", "HELP")
	}
	t.owe(hook{Gateway: gatewaySMS, Type: inbound, URL: t.s.o.Webhooks.SMSInboundURL, Form: form}, from, nil)
	return m
}

// lastSender is our number that last texted theirs, "" when none did.
func (st *state) lastSender(theirs string) string {
	for _, m := range slices.Backward(st.messages) {
		if m.Channel == channelSMS && m.Direction == "out" && m.To == theirs {
			return m.From
		}
	}
	return ""
}

// listSMS knows To, From, DateSent> (a UTC day) and PageSize, newest first.
func (s *Server) listSMS(w http.ResponseWriter, r *http.Request) {
	if !s.smsAuthorized(r) {
		s.refuseSMS(w, http.StatusUnauthorized, 20003, "Authenticate")
		return
	}
	q := r.URL.Query()
	if f := s.faults.take(gatewaySMS, callFaults, "lookup", q.Get("To"), nil); s.smsStrikeBefore(w, r, f) {
		return
	}
	var since time.Time
	if day := q.Get("DateSent>"); day != "" {
		at, err := time.Parse(time.DateOnly, day)
		if err != nil {
			s.refuseSMS(w, http.StatusBadRequest, 20001, "DateSent is YYYY-MM-DD")
			return
		}
		since = at
	}
	limit := 50
	if n, err := strconv.Atoi(q.Get("PageSize")); err == nil && n >= 1 && n <= 1000 {
		limit = n
	}
	list := []twilioMessage{}
	s.mu.Lock()
	for _, m := range slices.Backward(s.state.messages) {
		fits := m.Channel == channelSMS && !m.At.Before(since) && (q.Get("To") == "" || m.To == q.Get("To")) && (q.Get("From") == "" || m.From == q.Get("From"))
		if fits && len(list) < limit {
			list = append(list, twilioView(m, r.PathValue("account"), m.Status))
		}
	}
	s.mu.Unlock()
	if !s.durable(w) {
		return
	}
	writeJSON(w, http.StatusOK, map[string]any{"messages": list, "page": 0, "page_size": limit, "next_page_uri": nil, "uri": r.URL.RequestURI()})
}

func (s *Server) fetchSMS(w http.ResponseWriter, r *http.Request) {
	if !s.smsAuthorized(r) {
		s.refuseSMS(w, http.StatusUnauthorized, 20003, "Authenticate")
		return
	}
	sid, _ := strings.CutSuffix(r.PathValue("sid"), ".json")
	s.mu.Lock()
	m := s.state.byMessage[sid]
	s.mu.Unlock()
	if m == nil || m.Channel != channelSMS {
		s.refuseSMS(w, http.StatusNotFound, 20404, "The requested resource was not found")
		return
	}
	writeJSON(w, http.StatusOK, twilioView(m, r.PathValue("account"), m.Status))
}

func twilioView(m *message, account, status string) twilioMessage {
	v := twilioMessage{
		SID: m.ID, AccountSID: account, APIVersion: "2010-04-01", To: m.To, From: m.From, Body: m.Text, Status: status,
		Direction: "outbound-api", NumSegments: strconv.Itoa(m.Segments), DateCreated: m.At.UTC().Format(time.RFC1123Z),
		URI: "/2010-04-01/Accounts/" + account + "/Messages/" + m.ID + ".json",
	}
	if m.Direction == "in" {
		v.Direction = "inbound"
	}
	if status != "queued" {
		v.DateSent = ptr(v.DateCreated)
	}
	if code, err := strconv.Atoi(m.Reason); err == nil && status == statusUndelivered {
		v.ErrorCode, v.ErrorText = &code, ptr("Unreachable destination handset")
	}
	return v
}

// segments counts as a carrier bills, roughly: the exact count is the sender's business.
func segments(body string) int {
	units, single, each := len(utf16.Encode([]rune(body))), 70, 67
	if isASCII(body) {
		single, each = 160, 153
	}
	if units <= single {
		return 1
	}
	return (units + each - 1) / each
}

func isASCII(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r > 0x7e })
}
