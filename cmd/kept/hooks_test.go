package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/kept-practice/kept/api"
	"github.com/kept-practice/kept/internal/gateway/mail"
	"github.com/kept-practice/kept/internal/gateway/sms"
	"github.com/kept-practice/kept/internal/gateway/stripe"
	"github.com/kept-practice/kept/internal/policy"
	"github.com/kept-practice/kept/internal/proof"
)

// hooksFixture is an API that gateways with known secrets may call.
type hooksFixture struct {
	t      *testing.T
	server *httptest.Server
	conn   *pgx.Conn
	key    *ecdsa.PrivateKey
}

type silentWaker struct{}

func (silentWaker) Ring(...policy.Subject) {}

func newHooksFixture(t *testing.T) *hooksFixture {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	der, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	require.NoError(t, err)
	c := config{BaseURL: "https://kept.example.org"}
	c.Stripe.WebhookSecrets = []secret{"whsec_new", "whsec_old"}
	c.SendGrid.WebhookKeys = []string{base64.StdEncoding.EncodeToString(der)}
	c.Twilio.AuthToken = "twilio-token"
	hooks, err := verifiers(c)
	require.NoError(t, err)
	store := proof.NewStore(t)
	server, err := api.New(api.Deps{
		Store: store, Waker: silentWaker{}, BaseURL: c.BaseURL, Verifiers: hooks, BodyTimeout: time.Second, Logger: slog.New(slog.DiscardHandler),
	})
	require.NoError(t, err)
	t.Cleanup(server.Close)
	f := &hooksFixture{t: t, server: httptest.NewServer(server), conn: proof.Connect(t, store), key: key}
	t.Cleanup(f.server.Close)
	return f
}

type header map[string]string

func (f *hooksFixture) post(path, body string, h header) (status int, text string) {
	f.t.Helper()
	r, err := http.NewRequestWithContext(context.Background(), http.MethodPost, f.server.URL+path, strings.NewReader(body))
	require.NoError(f.t, err)
	for name, value := range h {
		for _, v := range strings.Split(value, "\n") {
			r.Header.Add(name, v)
		}
	}
	reply, err := http.DefaultClient.Do(r)
	require.NoError(f.t, err)
	raw, err := io.ReadAll(reply.Body)
	require.NoError(f.t, err)
	require.NoError(f.t, reply.Body.Close())
	return reply.StatusCode, string(raw)
}

func (f *hooksFixture) count(sql string, args ...any) (n int) {
	f.t.Helper()
	require.NoError(f.t, f.conn.QueryRow(context.Background(), sql, args...).Scan(&n))
	return n
}

func signStripe(body, secret string, at time.Time) string {
	mac := hmac.New(sha256.New, []byte(secret))
	fmt.Fprintf(mac, "%d.%s", at.Unix(), body)
	return fmt.Sprintf("t=%d,v1=%s", at.Unix(), hex.EncodeToString(mac.Sum(nil)))
}

func (f *hooksFixture) signMail(body string, at time.Time) header {
	f.t.Helper()
	stamp := fmt.Sprint(at.Unix())
	sum := sha256.Sum256([]byte(stamp + body))
	signature, err := ecdsa.SignASN1(rand.Reader, f.key, sum[:])
	require.NoError(f.t, err)
	return header{mail.SignatureHeader: base64.StdEncoding.EncodeToString(signature), mail.TimestampHeader: stamp}
}

func signText(path string, form url.Values) header {
	return header{"Content-Type": "application/x-www-form-urlencoded", sms.SignatureHeader: sms.Sign("https://kept.example.org"+path, form, "twilio-token")}
}

const stripeBody = `{"id":"evt_1","type":"payment_intent.succeeded","created":1900000000,"livemode":false,"data":{"object":{"id":"pi_1"}}}`

func TestHooks_Forged_AreRefusedWithOneTextAndNoRow(t *testing.T) {
	t.Parallel()
	f := newHooksFixture(t)
	now := time.Now()
	right := signStripe(stripeBody, "whsec_new", now)
	mailBody := `[{"sg_event_id":"a","event":"delivered","timestamp":1900000000}]`
	mailHeader := f.signMail(mailBody, now)
	form := url.Values{"MessageSid": {"SM1"}, "MessageStatus": {"delivered"}}
	textHeader := signText("/hooks/sms/status?ref=x", form)
	cases := []struct {
		name, path, body string
		header           header
	}{
		{"no header", "/hooks/stripe", stripeBody, nil},
		{"empty header", "/hooks/stripe", stripeBody, header{stripe.SignatureHeader: ""}},
		{"malformed header", "/hooks/stripe", stripeBody, header{stripe.SignatureHeader: "v1"}},
		{"two headers", "/hooks/stripe", stripeBody, header{stripe.SignatureHeader: right + "\n" + right}},
		{"old scheme", "/hooks/stripe", stripeBody, header{stripe.SignatureHeader: strings.Replace(right, "v1=", "v0=", 1)}},
		{"upper case hex", "/hooks/stripe", stripeBody, header{stripe.SignatureHeader: strings.ToUpper(right)}},
		{"wrong secret", "/hooks/stripe", stripeBody, header{stripe.SignatureHeader: signStripe(stripeBody, "whsec_other", now)}},
		{"empty secret", "/hooks/stripe", stripeBody, header{stripe.SignatureHeader: signStripe(stripeBody, "", now)}},
		{"301 s old", "/hooks/stripe", stripeBody, header{stripe.SignatureHeader: signStripe(stripeBody, "whsec_new", now.Add(-302*time.Second))}},
		{"301 s ahead", "/hooks/stripe", stripeBody, header{stripe.SignatureHeader: signStripe(stripeBody, "whsec_new", now.Add(303*time.Second))}},
		{"of another body", "/hooks/stripe", stripeBody + " ", header{stripe.SignatureHeader: right}},
		{"serialised again", "/hooks/stripe", strings.Replace(stripeBody, `"created"`, ` "created"`, 1), header{stripe.SignatureHeader: right}},
		{"unsigned mail", "/hooks/sendgrid", mailBody, nil},
		{"mail without time", "/hooks/sendgrid", mailBody, header{mail.SignatureHeader: mailHeader[mail.SignatureHeader]}},
		{"mail signed at another time", "/hooks/sendgrid", mailBody, header{mail.SignatureHeader: mailHeader[mail.SignatureHeader], mail.TimestampHeader: fmt.Sprint(now.Unix() - 9)}},
		{"mail of another body", "/hooks/sendgrid", `[]`, mailHeader},
		{"old mail", "/hooks/sendgrid", mailBody, f.signMail(mailBody, now.Add(-302*time.Second))},
		{"unsigned text", "/hooks/sms/status?ref=x", form.Encode(), header{"Content-Type": "application/x-www-form-urlencoded"}},
		{"text of another address", "/hooks/sms/inbound?ref=x", form.Encode(), textHeader},
		{"text of another query", "/hooks/sms/status?ref=y", form.Encode(), textHeader},
		{"text of another body", "/hooks/sms/status?ref=x", form.Encode() + "&ErrorCode=1", textHeader},
		{"text to another host", "/hooks/sms/status?ref=x", form.Encode(), header{sms.SignatureHeader: sms.Sign(f.server.URL+"/hooks/sms/status?ref=x", form, "twilio-token")}},
	}
	details := map[string]bool{}
	for _, c := range cases {
		status, text := f.post(c.path, c.body, c.header)
		require.Equal(t, http.StatusUnauthorized, status, "%s: %s", c.name, text)
		var p api.Problem
		require.NoError(t, json.Unmarshal([]byte(text), &p))
		require.Equal(t, "bad_signature", p.Code, c.name)
		details[p.Detail] = true
	}
	require.Len(t, details, 1, "one text for all")
	require.Zero(t, f.count(`select count(*) from inbox`)+f.count(`select count(*) from quarantine`))
	t.Logf("%d forged webhooks", len(cases))
}

func TestHooks_SizeFormAndTime_AreBounded(t *testing.T) {
	t.Parallel()
	f := newHooksFixture(t)
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	_, err := z.Write(bytes.Repeat([]byte("0"), 10<<20))
	require.NoError(t, err)
	require.NoError(t, z.Close())
	status, _ := f.post("/hooks/stripe", packed.String(), header{"Content-Encoding": "gzip"})
	require.Equal(t, http.StatusUnsupportedMediaType, status)
	status, _ = f.post("/hooks/stripe", strings.Repeat("x", 1<<20+1), nil)
	require.Equal(t, http.StatusRequestEntityTooLarge, status)
	status, _ = f.post("/hooks/sendgrid", strings.Repeat("x", 4<<20+1), nil)
	require.Equal(t, http.StatusRequestEntityTooLarge, status)
	status, _ = f.post("/hooks/sms/status", strings.Repeat("x", 64<<10+1), nil)
	require.Equal(t, http.StatusRequestEntityTooLarge, status)
	status, _ = f.post("/hooks/stripe", strings.Repeat("x", 1<<20), nil)
	require.Equal(t, http.StatusUnauthorized, status, "exactly 1 MiB is read")

	conn, err := net.Dial("tcp", strings.TrimPrefix(f.server.URL, "http://"))
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	_, err = io.WriteString(conn, "POST /hooks/stripe HTTP/1.1\r\nHost: kept\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
	require.NoError(t, err)
	require.NoError(t, conn.SetReadDeadline(time.Now().Add(10*time.Second)))
	line := make([]byte, 12)
	_, err = io.ReadFull(conn, line)
	require.NoError(t, err)
	require.Equal(t, "HTTP/1.1 408", string(line), "a body without end")

	reply, err := http.Get(f.server.URL + "/hooks/stripe")
	require.NoError(t, err)
	require.NoError(t, reply.Body.Close())
	require.Equal(t, http.StatusMethodNotAllowed, reply.StatusCode)
	require.Zero(t, f.count(`select count(*) from inbox`)+f.count(`select count(*) from quarantine`))
}

func TestHooks_Proven_AreKeptOnceHoweverOftenTheyCome(t *testing.T) {
	t.Parallel()
	f := newHooksFixture(t)
	now := time.Now()
	var all sync.WaitGroup
	statuses := make(chan int, 20)
	for i := range 20 {
		secret := []string{"whsec_new", "whsec_old"}[i%2]
		all.Go(func() {
			status, _ := f.post("/hooks/stripe", stripeBody, header{stripe.SignatureHeader: signStripe(stripeBody, secret, now)})
			statuses <- status
		})
	}
	all.Wait()
	close(statuses)
	for status := range statuses {
		require.Equal(t, http.StatusOK, status)
	}
	other := strings.Replace(stripeBody, "pi_1", "pi_2", 1)
	status, _ := f.post("/hooks/stripe", other, header{stripe.SignatureHeader: signStripe(other, "whsec_new", now)})
	require.Equal(t, http.StatusOK, status)
	var body []byte
	require.Equal(t, 1, f.count(`select count(*) from inbox`))
	require.NoError(t, f.conn.QueryRow(context.Background(), `select body from inbox where gateway = 'stripe' and event_id = 'evt_1' and state = 'new'`).Scan(&body))
	var event stripe.Event
	require.NoError(t, json.Unmarshal(body, &event))
	require.Equal(t, "pi_1", event.ObjectID, "the first content stays")

	wrong := `{"type":"payment_intent.succeeded"}`
	status, text := f.post("/hooks/stripe", wrong, header{stripe.SignatureHeader: signStripe(wrong, "whsec_new", now)})
	require.Equal(t, http.StatusBadRequest, status)
	require.Contains(t, text, "unreadable_event")
	twice := strings.Replace(stripeBody, `"id":"evt_1"`, `"id":"evt_9","id":"evt_8"`, 1)
	status, _ = f.post("/hooks/stripe", twice, header{stripe.SignatureHeader: signStripe(twice, "whsec_new", now)})
	require.Equal(t, http.StatusBadRequest, status)
	nul := strings.Replace(stripeBody, "evt_1", `evt\u0000`, 1)
	status, _ = f.post("/hooks/stripe", nul, header{stripe.SignatureHeader: signStripe(nul, "whsec_new", now)})
	require.Equal(t, http.StatusOK, status)
	require.Equal(t, 3, f.count(`select count(*) from quarantine where gateway = 'stripe'`))
	require.Equal(t, 1, f.count(`select count(*) from inbox`))
}

func TestHooks_Texts_WaitUnderTheirIds(t *testing.T) {
	t.Parallel()
	f := newHooksFixture(t)
	for _, state := range []string{"queued", "sent", "delivered", "delivered"} {
		form := url.Values{"MessageSid": {"SM1"}, "MessageStatus": {state}}
		status, text := f.post("/hooks/sms/status?ref=x", form.Encode(), signText("/hooks/sms/status?ref=x", form))
		require.Equal(t, http.StatusOK, status, text)
		require.Empty(t, text)
	}
	form := url.Values{"MessageSid": {"SM2"}, "From": {"+12025550123"}, "To": {"+12025550100"}, "Body": {"STOP"}}
	status, _ := f.post("/hooks/sms/inbound", form.Encode(), signText("/hooks/sms/inbound", form))
	require.Equal(t, http.StatusOK, status)
	rows, err := f.conn.Query(context.Background(), `select gateway || ' ' || type || ' ' || event_id from inbox order by received_at, event_id`)
	require.NoError(t, err)
	got, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	require.Equal(t, []string{"sms status SM1/queued", "sms status SM1/sent", "sms status SM1/delivered", "sms inbound SM2"}, got)
}

func TestHooks_TenThousandMailEvents_AreAllKeptInTime(t *testing.T) {
	t.Parallel()
	f := newHooksFixture(t)
	var b strings.Builder
	b.WriteString(`[42,{"event":"delivered"},`)
	for i := range 10_000 {
		fmt.Fprintf(&b, `{"sg_event_id":"event-%d","event":"delivered","timestamp":1900000000,"message":"%d","email":"casey@example.org"},`, i, i)
	}
	b.WriteString(`{"sg_event_id":"event-0","event":"bounce","timestamp":1900000001}]`)
	body := b.String()
	for range 2 {
		began := time.Now()
		status, text := f.post("/hooks/sendgrid", body, f.signMail(body, time.Now()))
		require.Equal(t, http.StatusOK, status, text)
		t.Logf("10,000 events in %s", time.Since(began))
	}
	require.Equal(t, 10_000, f.count(`select count(*) from inbox where gateway = 'mail' and type = 'delivered'`))
	require.Equal(t, 2, f.count(`select count(*) from quarantine`), "the odd ones of each webhook, kept together")
	status, _ := f.post("/hooks/sendgrid", `{"not":"an array"}`, f.signMail(`{"not":"an array"}`, time.Now()))
	require.Equal(t, http.StatusBadRequest, status)
	status, _ = f.post("/hooks/sendgrid", `[]`, f.signMail(`[]`, time.Now()))
	require.Equal(t, http.StatusOK, status)
}
