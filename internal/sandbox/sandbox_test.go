package sandbox_test

import (
	"bytes"
	"crypto/ecdsa"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kept-practice/kept/internal/gateway/mail"
	"github.com/kept-practice/kept/internal/gateway/sms"
	"github.com/kept-practice/kept/internal/gateway/stripe"
	"github.com/kept-practice/kept/internal/sandbox"
)

const (
	stripeSecret = "whsec_test"
	smsToken     = "token-of-the-sandbox"
	smsAccount   = "AC00000000000000000000000000000001"
	ourNumber    = "+15550100000"
)

// world is a sandbox on a real port, the three real clients pointed at it, and a receiver of its webhooks that proves each
// one with our own verifiers.
type world struct {
	t       *testing.T
	dir     string
	server  *sandbox.Server
	http    *httptest.Server
	hooks   *receiver
	stripe  *stripe.Client
	mail    *mail.Client
	sms     *sms.Client
	timeout time.Duration
}

// receiver is our side of the webhooks.
type receiver struct {
	t    *testing.T
	http *httptest.Server
	keys []*ecdsa.PublicKey

	mu      sync.Mutex
	refuse  int // answer 503 so many times
	stripe  []stripe.Event
	mail    []mail.Event
	status  []sms.Status
	inbound []sms.Inbound
	bad     []string
}

func newReceiver(t *testing.T) *receiver {
	r := &receiver{t: t}
	r.http = httptest.NewServer(r)
	t.Cleanup(r.http.Close)
	return r
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(req.Body)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.refuse > 0 {
		r.refuse--
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	if err == nil {
		err = r.take(req, body)
	}
	if err != nil {
		r.bad = append(r.bad, req.URL.Path+": "+err.Error())
		w.WriteHeader(http.StatusUnauthorized)
	}
}

func (r *receiver) take(req *http.Request, body []byte) error {
	switch req.URL.Path {
	case "/stripe":
		e, err := stripe.Verify(body, req.Header.Get(stripe.SignatureHeader), []string{"whsec_other", stripeSecret}, time.Now())
		r.stripe = append(r.stripe, e)
		return err
	case "/mail":
		if err := mail.Verify(body, req.Header.Get(mail.SignatureHeader), req.Header.Get(mail.TimestampHeader), r.keys, time.Now()); err != nil {
			return err
		}
		events, odd, err := mail.ParseEvents(body)
		r.mail = append(r.mail, events...)
		require.Empty(r.t, odd)
		return err
	}
	form, err := sms.Verify(r.http.URL+req.URL.Path, req.URL.RawQuery, body, req.Header.Get(sms.SignatureHeader), []string{smsToken})
	if err != nil {
		return err
	}
	if req.URL.Path == "/sms/status" {
		s, err := sms.ParseStatus(form, req.URL.RawQuery)
		r.status = append(r.status, s)
		return err
	}
	in, err := sms.ParseInbound(form)
	r.inbound = append(r.inbound, in)
	return err
}

func newWorld(t *testing.T) *world {
	w := &world{t: t, dir: t.TempDir(), hooks: newReceiver(t), timeout: 5 * time.Second}
	w.open()
	t.Cleanup(func() { w.close() })
	return w
}

func (w *world) open() {
	front := httptest.NewUnstartedServer(nil)
	base := "http://" + front.Listener.Addr().String()
	server, err := sandbox.New(sandbox.Options{
		Dir: w.dir, PublicURL: base, Logger: slog.New(slog.DiscardHandler), Retry: []time.Duration{20 * time.Millisecond},
		Webhooks: sandbox.Webhooks{
			StripeURL: w.hooks.http.URL + "/stripe", StripeSecret: stripeSecret, MailURL: w.hooks.http.URL + "/mail",
			SMSInboundURL: w.hooks.http.URL + "/sms/inbound", SMSAuthToken: smsToken,
		},
	})
	require.NoError(w.t, err)
	key, err := mail.ParseKey(server.MailPublicKey())
	require.NoError(w.t, err)
	w.hooks.mu.Lock()
	w.hooks.keys = []*ecdsa.PublicKey{key}
	w.hooks.mu.Unlock()
	front.Config.Handler = server.Handler()
	front.Start()
	w.server, w.http = server, front
	w.clients()
}

func (w *world) clients() {
	var err error
	w.stripe, err = stripe.New(stripe.Options{Key: "sk_test_1", BaseURL: w.http.URL + "/stripe", Timeout: w.timeout})
	require.NoError(w.t, err)
	w.mail, err = mail.New(mail.Options{Key: "SG.1", BaseURL: w.http.URL + "/sendgrid", Timeout: w.timeout})
	require.NoError(w.t, err)
	w.sms, err = sms.New(sms.Options{
		AccountSID: smsAccount, AuthToken: smsToken, From: ourNumber, BaseURL: w.http.URL + "/twilio",
		StatusURL: w.hooks.http.URL + "/sms/status", Timeout: w.timeout,
	})
	require.NoError(w.t, err)
}

func (w *world) close() {
	w.http.CloseClientConnections()
	w.http.Close()
	require.NoError(w.t, w.server.Close())
}

// settle waits until the sandbox owes nothing, and checks that every webhook proved itself.
func (w *world) settle() {
	w.t.Helper()
	require.Eventually(w.t, func() bool {
		var idle struct{ Idle bool }
		w.get("/api/idle", &idle)
		return idle.Idle
	}, 10*time.Second, 5*time.Millisecond)
	w.hooks.mu.Lock()
	defer w.hooks.mu.Unlock()
	require.Empty(w.t, w.hooks.bad)
}

func (w *world) get(path string, into any) {
	w.t.Helper()
	res, err := http.Get(w.http.URL + path)
	require.NoError(w.t, err)
	body, err := io.ReadAll(res.Body)
	require.NoError(w.t, err)
	require.NoError(w.t, res.Body.Close())
	require.Equal(w.t, 200, res.StatusCode, string(body))
	require.NoError(w.t, json.Unmarshal(body, into))
}

func (w *world) fault(f map[string]any) {
	w.t.Helper()
	body, err := json.Marshal(f)
	require.NoError(w.t, err)
	res, err := http.Post(w.http.URL+"/api/faults", "application/json", bytes.NewReader(body))
	require.NoError(w.t, err)
	require.NoError(w.t, res.Body.Close())
	require.Equal(w.t, 201, res.StatusCode)
}

type line struct {
	Seq  int64
	Kind string
	ID   string
	Data struct {
		Status   string
		Amount   int64
		Metadata map[string]string
		Args     map[string]string
		To       string
		Text     string
	}
}

// ledger reads the counterparty's book.
func (w *world) ledger(kind string) []line {
	w.t.Helper()
	res, err := http.Get(w.http.URL + "/api/ledger?kind=" + kind)
	require.NoError(w.t, err)
	body, err := io.ReadAll(res.Body)
	require.NoError(w.t, err)
	require.NoError(w.t, res.Body.Close())
	require.Equal(w.t, 200, res.StatusCode, string(body))
	var lines []line
	for raw := range bytes.Lines(body) {
		var l line
		require.NoError(w.t, json.Unmarshal(raw, &l))
		lines = append(lines, l)
	}
	return lines
}

// press sends a page's form the way a browser does, without following to where it leads.
func (w *world) press(address string, form url.Values) (status int, location, body string) {
	w.t.Helper()
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	res, err := client.PostForm(address, form)
	require.NoError(w.t, err)
	page, err := io.ReadAll(res.Body)
	require.NoError(w.t, err)
	require.NoError(w.t, res.Body.Close())
	return res.StatusCode, res.Header.Get("Location"), string(page)
}

func (w *world) customer() string {
	w.t.Helper()
	out := w.stripe.EnsureCustomer(w.t.Context(), "customer:"+w.t.Name(), map[string]string{"client": "cli-1"})
	require.True(w.t, out.OK(), "%+v", out)
	return out.Reference
}

// cardOnFile walks through the hosted setup page.
func (w *world) cardOnFile(customer, number string) stripe.Card {
	w.t.Helper()
	page, out := w.stripe.CreateSetup(w.t.Context(), stripe.SetupInput{
		IdemKey: "setup:" + customer + number, Customer: customer, SuccessURL: "http://kept.test/done", CancelURL: "http://kept.test/back",
		Metadata: map[string]string{"practice": "p-1"},
	})
	require.True(w.t, out.OK(), "%+v", out)
	status, _, body := w.press(page.URL, url.Values{"number": {number}})
	if strings.Contains(body, "Your bank asks") {
		status, _, body = w.press(page.URL, url.Values{"number": {number}, "answer": {"confirm"}})
	}
	require.Equal(w.t, http.StatusSeeOther, status, body)
	card, out := w.stripe.FetchSetup(w.t.Context(), page.ID)
	require.True(w.t, out.OK(), "%+v", out)
	return card
}

func (r *receiver) stripeTypes() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var types []string
	for _, e := range r.stripe {
		types = append(types, e.Type)
	}
	slices.Sort(types)
	return types
}

func (w *world) page(path string) string {
	w.t.Helper()
	res, err := http.Get(w.http.URL + path)
	require.NoError(w.t, err)
	body, err := io.ReadAll(res.Body)
	require.NoError(w.t, err)
	require.NoError(w.t, res.Body.Close())
	require.Equal(w.t, http.StatusOK, res.StatusCode)
	return string(body)
}
