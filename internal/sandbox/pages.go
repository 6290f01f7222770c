package sandbox

import (
	"bytes"
	"embed"
	"html/template"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

//go:embed pages
var pageFiles embed.FS

var pages = template.Must(template.New("").Funcs(template.FuncMap{
	"when":  func(t time.Time) string { return t.UTC().Format("Mon 2 Jan 2006 15:04:05") + " UTC" },
	"stamp": func(t time.Time) string { return t.UTC().Format(time.RFC3339) },
	"short": func(s string) string {
		s = strings.Join(strings.Fields(s), " ")
		if r := []rune(s); len(r) > 110 {
			return string(r[:110]) + "…"
		}
		return s
	},
	"host": func(link string) string {
		if u, err := url.Parse(link); err == nil {
			return u.Host
		}
		return ""
	},
}).ParseFS(pageFiles, "pages/*.html"))

const pageSize = 50

func (s *Server) pageRoutes(mux *http.ServeMux) {
	mux.HandleFunc("GET /{$}", s.mailboxPage)
	mux.HandleFunc("GET /messages/{id}", s.messagePage)
	mux.HandleFunc("GET /messages/{id}/html", s.messageHTML)
	mux.HandleFunc("GET /style.css", s.stylesheet)
	mux.HandleFunc("GET /checkout/{session}", s.checkoutPage)
	mux.HandleFunc("POST /checkout/{session}", s.checkoutPay)
}

func (s *Server) page(w http.ResponseWriter, status int, name string, view any) {
	var out bytes.Buffer
	if err := pages.ExecuteTemplate(&out, name, view); err != nil {
		s.o.Logger.Error("page cannot be written", "page", name, "error", err)
		http.Error(w, "This page could not be written.", http.StatusInternalServerError)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; frame-src 'self'; img-src 'self' data:; base-uri 'none'; frame-ancestors 'none'")
	h.Set("Cache-Control", "no-store")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	s.answer(w, out.Bytes())
}

func (s *Server) stylesheet(w http.ResponseWriter, _ *http.Request) {
	data, err := pageFiles.ReadFile("pages/style.css")
	if err != nil {
		http.Error(w, "missing", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/css; charset=utf-8")
	s.answer(w, data)
}

type mailboxView struct {
	To, Channel  string
	Messages     []message
	Newer, Older string // addresses of the neighbouring pages
}

func (s *Server) mailboxPage(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	number, err := strconv.Atoi(orDefault(q.Get("page"), "1"))
	if err != nil || number < 1 {
		number = 1
	}
	view := mailboxView{To: strings.TrimSpace(q.Get("to")), Channel: q.Get("channel")}
	list, more := s.selectMessages(view.To, view.Channel, 0, (number-1)*pageSize, pageSize)
	view.Messages = list
	at := func(n int) string {
		return "/?" + url.Values{"to": {view.To}, "channel": {view.Channel}, "page": {strconv.Itoa(n)}}.Encode()
	}
	if number > 1 {
		view.Newer = at(number - 1)
	}
	if more {
		view.Older = at(number + 1)
	}
	s.page(w, http.StatusOK, "mailbox.html", view)
}

type messageView struct {
	message
	Links   []string
	Person  string // whose mailbox this is
	Ours    string // the number that a reply goes to
	Thread  []message
	Stopped bool
}

func (s *Server) messagePage(w http.ResponseWriter, r *http.Request) {
	m, ok := s.findMessage(r.PathValue("id"))
	if !ok {
		s.page(w, http.StatusNotFound, "missing.html", "There is no such message.")
		return
	}
	view := messageView{message: m, Links: m.links(), Person: m.To, Ours: m.From}
	if m.Direction == "in" {
		view.Person, view.Ours = m.From, m.To
	}
	if m.Channel == channelSMS {
		thread, _ := s.selectMessages(view.Person, channelSMS, 0, 0, pageSize)
		for i := len(thread) - 1; i >= 0; i-- {
			view.Thread = append(view.Thread, thread[i])
		}
		s.mu.Lock()
		view.Stopped = s.state.stopped[view.Ours+"|"+view.Person]
		s.mu.Unlock()
	}
	s.page(w, http.StatusOK, "message.html", view)
}

// messageHTML is shown in a frame that runs no script and opens links in a new tab.
func (s *Server) messageHTML(w http.ResponseWriter, r *http.Request) {
	m, ok := s.findMessage(r.PathValue("id"))
	if !ok || m.HTML == "" {
		http.NotFound(w, r)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", "sandbox allow-popups allow-popups-to-escape-sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; form-action 'none'; frame-ancestors 'self'")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Content-Type-Options", "nosniff")
	s.answer(w, []byte(`<!doctype html><base target="_blank">`+m.HTML))
}

type checkoutView struct {
	ID          string
	Setup       bool
	Amount      string
	Description string
	CancelURL   string
	Problem     string
	Challenge   bool // the card's bank asks its owner
	Number      string
	Cards       []testCard
}

func (s *Server) viewOf(sess *session) checkoutView {
	v := checkoutView{ID: sess.ID, Setup: sess.Mode == "setup", CancelURL: text(sess.CancelURL), Cards: testCards, Number: testCards[0].Number}
	if !v.Setup {
		v.Amount, v.Description = money(*sess.AmountTotal, *sess.Currency), sess.Sandbox.Description
	}
	return v
}

// openSession finds a page that can still be used; otherwise it answers and returns nil. GET changes nothing but what time
// itself has changed.
func (s *Server) openSession(t *tx, id string) (sess *session, instead func(w http.ResponseWriter, r *http.Request)) {
	sess = t.lapse(t.st.sessions[id])
	switch {
	case sess == nil:
		return nil, func(w http.ResponseWriter, _ *http.Request) {
			s.page(w, http.StatusNotFound, "missing.html", "There is no such checkout page.")
		}
	case sess.Status == "expired":
		back := text(sess.CancelURL)
		return nil, func(w http.ResponseWriter, _ *http.Request) { s.page(w, http.StatusGone, "expired.html", back) }
	case sess.Status == "complete":
		return nil, redirectTo(sess)
	}
	return sess, nil
}

func redirectTo(sess *session) func(w http.ResponseWriter, r *http.Request) {
	target := strings.ReplaceAll(text(sess.SuccessURL), "{CHECKOUT_SESSION_ID}", sess.ID)
	return func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, target, http.StatusSeeOther) }
}

func (s *Server) checkoutPage(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	t := s.begin()
	sess, instead := s.openSession(t, r.PathValue("session"))
	seq := t.commit()
	s.mu.Unlock()
	if err := s.ledger.wait(seq); err != nil {
		s.page(w, http.StatusInternalServerError, "missing.html", "The ledger cannot be written.")
		return
	}
	if instead != nil {
		instead(w, r)
		return
	}
	s.page(w, http.StatusOK, "checkout.html", s.viewOf(sess))
}

// checkoutPay is the page's form. A second press after success only leads on to the success address.
func (s *Server) checkoutPay(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	number, answer := r.PostFormValue("number"), r.PostFormValue("answer")
	s.mu.Lock()
	t := s.begin()
	sess, instead := s.openSession(t, r.PathValue("session"))
	status, view := http.StatusOK, checkoutView{}
	if instead == nil {
		f := s.faults.take(gatewayStripe, []string{faultDecline}, "pay", text(sess.Customer), sess.Metadata)
		t.declineAll = f != nil
		status, view = s.pay(t, sess, number, answer)
		if status == http.StatusSeeOther {
			instead = redirectTo(sess)
		}
	}
	seq := t.commit()
	s.mu.Unlock()
	if err := s.ledger.wait(seq); err != nil {
		s.page(w, http.StatusInternalServerError, "missing.html", "The ledger cannot be written.")
		return
	}
	if instead != nil {
		instead(w, r)
		return
	}
	s.page(w, status, "checkout.html", view)
}

// pay returns 303 when the client is done here, else the page to show again.
func (s *Server) pay(t *tx, sess *session, number, answer string) (int, checkoutView) {
	view := s.viewOf(sess)
	view.Number = number
	c, ok := cardByNumber(number)
	switch {
	case !ok:
		view.Problem = "Your card number is incorrect. This sandbox takes the test numbers below only."
		return http.StatusUnprocessableEntity, view
	case answer == "refuse":
		view.Problem = "Your bank could not confirm that it is you. Try again or use another card."
		return http.StatusPaymentRequired, view
	}
	challenged, failed := t.paySession(sess, c, answer == "confirm")
	switch {
	case failed != nil:
		view.Problem = failed.body.Message
		return http.StatusPaymentRequired, view
	case challenged:
		view.Challenge = true
		return http.StatusOK, view
	}
	return http.StatusSeeOther, view
}
