package sandbox_test

import (
	"bytes"
	"encoding/json"
	"html"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kept-practice/kept/internal/gateway"
	"github.com/kept-practice/kept/internal/gateway/mail"
	"github.com/kept-practice/kept/internal/gateway/sms"
)

func letter(ref, to string) mail.Message {
	return mail.Message{
		From: mail.Address{Name: "Harbour Lane Practice", Email: "front-desk@harbour.example"}, To: mail.Address{Name: "Ada", Email: to},
		Subject: "Your appointment", Text: "See you Tuesday. Confirm: http://kept.test/l/abc.", Ref: ref, Practice: "p-1",
		HTML: `<p>See you Tuesday. <a href="http://kept.test/l/abc?a=1&amp;b=2">Confirm</a></p><script>alert(1)</script>`,
	}
}

func (r *receiver) mailTypes(ref string) []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var types []string
	for _, e := range r.mail {
		if e.MessageRef == ref {
			types = append(types, e.Type)
		}
	}
	slices.Sort(types)
	return types
}

func TestMail_Accepted_InMailboxLedgerAndEvents(t *testing.T) {
	w := newWorld(t)
	m := letter("msg-1", "ada@client.example")
	m.Unsubscribe = "http://kept.test/u/xyz"
	out := w.mail.Send(t.Context(), m)
	require.True(t, out.OK(), "%+v", out)
	require.NotEmpty(t, out.Reference)
	w.settle()
	require.Equal(t, []string{"delivered", "processed"}, w.hooks.mailTypes("msg-1"))
	require.Equal(t, out.Reference, w.hooks.mail[0].GatewayRef)
	require.Equal(t, "p-1", w.hooks.mail[0].Practice)

	var box struct {
		Messages []struct {
			ID, Subject, Status string
			Links               []string
			Headers             map[string]string
			Args                map[string]string
		}
	}
	w.get("/api/messages?to=ADA@client.example", &box)
	require.Len(t, box.Messages, 1)
	require.Equal(t, out.Reference, box.Messages[0].ID)
	require.Equal(t, []string{"http://kept.test/l/abc", "http://kept.test/l/abc?a=1&b=2"}, box.Messages[0].Links)
	require.Equal(t, "<http://kept.test/u/xyz>", box.Messages[0].Headers["List-Unsubscribe"])
	require.Equal(t, "List-Unsubscribe=One-Click", box.Messages[0].Headers["List-Unsubscribe-Post"])
	w.get("/api/messages?to=other@client.example", &box)
	require.Empty(t, box.Messages)
	require.Equal(t, "msg-1", w.ledger("mail")[0].Data.Args["message"])
}

func TestMail_BouncingAddress_ToldOnceThenDropped(t *testing.T) {
	w := newWorld(t)
	for _, ref := range []string{"msg-1", "msg-2"} {
		require.True(t, w.mail.Send(t.Context(), letter(ref, "gone@bounce.example.org")).OK())
	}
	w.settle()
	require.Equal(t, []string{"bounce", "processed"}, w.hooks.mailTypes("msg-1"))
	require.Equal(t, []string{"dropped"}, w.hooks.mailTypes("msg-2"))
	for _, e := range w.hooks.mail {
		if e.Type == "bounce" {
			require.Equal(t, "bounce", e.Class)
			require.Contains(t, e.Reason, "5.1.1")
		}
	}
}

// SendGrid has no key and no look-up, so what is not surely refused stays unclear.
func TestMail_EachFault_RightOutcome(t *testing.T) {
	for _, c := range []struct {
		fault string
		state gateway.State
		code  string
		sent  int
	}{
		{"refuse", gateway.Refused, "400", 0},
		{"decline", gateway.Accepted, "", 1},
		{"500_before", gateway.Unclear, "500", 0},
		{"500_after", gateway.Unclear, "500", 1},
		{"502", gateway.Unclear, "502", 0},
		{"timeout_before", gateway.Unclear, gateway.CodeTimeout, 0},
		{"timeout_after", gateway.Unclear, gateway.CodeTimeout, 1},
		{"429", gateway.Refused, "429", 0},
		{"reset", gateway.Unclear, gateway.CodeConnection, 1},
		{"wrong_json", gateway.Accepted, "", 1},
	} {
		t.Run(c.fault, func(t *testing.T) {
			w := newWorld(t)
			if strings.HasPrefix(c.fault, "timeout") {
				w.timeout = 150 * time.Millisecond
				w.clients()
			}
			w.fault(map[string]any{"gateway": "mail", "fault": c.fault, "match": map[string]any{"to": "ada@client.example"}})
			require.True(t, w.mail.Send(t.Context(), letter("msg-0", "other@client.example")).OK(), "the fault is not for this one")
			out := w.mail.Send(t.Context(), letter("msg-1", "ada@client.example"))
			require.Equal(t, c.state, out.State, "%+v", out)
			require.Equal(t, c.code, out.Code)
			require.Len(t, w.ledger("mail"), 1+c.sent)
			if c.fault == "429" {
				require.True(t, out.Retryable())
				require.Positive(t, out.RetryAfter)
			}
			w.settle()
			if c.fault == "decline" {
				require.Equal(t, []string{"bounce", "processed"}, w.hooks.mailTypes("msg-1"))
			}
		})
	}
}

func TestMail_NothingListens_SurelyNotSent(t *testing.T) {
	w := newWorld(t)
	w.http.Close()
	out := w.mail.Send(t.Context(), letter("msg-1", "ada@client.example"))
	require.Equal(t, gateway.Refused, out.State, "%+v", out)
	require.Equal(t, gateway.CodeNotSent, out.Code)
	require.True(t, out.Retryable())
}

func TestMail_BadInput_NeverSent(t *testing.T) {
	w := newWorld(t)
	for name, spoil := range map[string]func(*mail.Message){
		"header in subject": func(m *mail.Message) { m.Subject = "Hi\r\nBcc: all@evil.example" },
		"header in name":    func(m *mail.Message) { m.To.Name = "Ada\nX: y" },
		"two addresses":     func(m *mail.Message) { m.To.Email = "a@b.example, c@d.example" },
		"named address":     func(m *mail.Message) { m.To.Email = "Ada <a@b.example>" },
		"no reference":      func(m *mail.Message) { m.Ref = "" },
		"no text":           func(m *mail.Message) { m.Text = "" },
		"blank subject":     func(m *mail.Message) { m.Subject = "  " },
	} {
		m := letter("msg-1", "ada@client.example")
		spoil(&m)
		out := w.mail.Send(t.Context(), m)
		require.True(t, out.State == gateway.Refused && out.Final && out.Code == gateway.CodeInvalid, "%s: %+v", name, out)
	}
	require.Empty(t, w.ledger("mail"))
}

func TestMail_EventFaults_DropDoubleDelayReorder(t *testing.T) {
	w := newWorld(t)
	w.fault(map[string]any{"gateway": "mail", "fault": "drop_event", "match": map[string]any{"op": "processed", "metadata": map[string]string{"message": "msg-1"}}})
	w.fault(map[string]any{"gateway": "mail", "fault": "duplicate_event", "match": map[string]any{"op": "delivered", "metadata": map[string]string{"message": "msg-1"}}})
	require.True(t, w.mail.Send(t.Context(), letter("msg-1", "ada@client.example")).OK())
	w.settle()
	require.Equal(t, []string{"delivered", "delivered"}, w.hooks.mailTypes("msg-1"))
	require.Equal(t, w.hooks.mail[0].ID, w.hooks.mail[1].ID, "a doubled event keeps its id")

	w.fault(map[string]any{"gateway": "mail", "fault": "delay_event", "delay_ms": 3_600_000, "match": map[string]any{"op": "delivered"}})
	require.True(t, w.mail.Send(t.Context(), letter("msg-2", "ada@client.example")).OK())
	w.settle()
	require.Equal(t, []string{"processed"}, w.hooks.mailTypes("msg-2"), "an event an hour away keeps nobody waiting")

	w.fault(map[string]any{"gateway": "mail", "fault": "reorder_event", "delay_ms": 20_000, "match": map[string]any{"op": "processed"}})
	require.True(t, w.mail.Send(t.Context(), letter("msg-3", "ada@client.example")).OK())
	w.settle()
	var order []string
	for _, e := range w.hooks.mail {
		if e.MessageRef == "msg-3" {
			order = append(order, e.Type)
		}
	}
	require.Equal(t, []string{"delivered", "processed"}, order)
	var faults struct{ Faults []struct{ Times, Struck int } }
	w.get("/api/faults", &faults)
	for _, f := range faults.Faults {
		require.Equal(t, 0, f.Times)
		require.Equal(t, 1, f.Struck)
	}
}

func TestWebhooks_Refused_RepeatedUntilTaken(t *testing.T) {
	w := newWorld(t)
	w.hooks.mu.Lock()
	w.hooks.refuse = 3
	w.hooks.mu.Unlock()
	require.True(t, w.mail.Send(t.Context(), letter("msg-1", "ada@client.example")).OK())
	w.settle()
	require.Equal(t, []string{"delivered", "processed"}, w.hooks.mailTypes("msg-1"))
}

const client = "+15550100099"

func TestSMS_Sent_StatusComesBackWithOurReference(t *testing.T) {
	w := newWorld(t)
	out := w.sms.Send(t.Context(), sms.Message{To: client, Body: "See you Tuesday. http://kept.test/l/abc Reply C to confirm.", Ref: "msg 1&2"})
	require.True(t, out.OK(), "%+v", out)
	w.settle()
	var states []string
	for _, s := range w.hooks.status {
		require.Equal(t, "msg 1&2", s.Ref)
		require.Equal(t, out.Reference, s.SID)
		states = append(states, s.State)
	}
	require.ElementsMatch(t, []string{"queued", "sent", "delivered"}, states)
	found, look := w.sms.Lookup(t.Context(), client, time.Now().Add(-time.Minute), "/l/abc")
	require.True(t, look.OK(), "%+v", look)
	require.Len(t, found, 1)
	require.Equal(t, out.Reference, found[0].SID)
	none, look := w.sms.Lookup(t.Context(), client, time.Now().Add(-time.Minute), "/l/other")
	require.True(t, look.OK())
	require.Empty(t, none)
	one, look := w.sms.Fetch(t.Context(), out.Reference)
	require.True(t, look.OK())
	require.Equal(t, "delivered", one.Status)
	require.Equal(t, "msg 1&2", w.ledger("sms")[0].Data.Args["ref"])
}

func (w *world) reply(from, body string) {
	w.t.Helper()
	data, err := json.Marshal(map[string]string{"from": from, "body": body})
	require.NoError(w.t, err)
	res, err := http.Post(w.http.URL+"/api/reply", "application/json", bytes.NewReader(data))
	require.NoError(w.t, err)
	require.NoError(w.t, res.Body.Close())
	require.Equal(w.t, http.StatusCreated, res.StatusCode)
}

func TestSMS_Stop_CarrierRefusesUntilStart(t *testing.T) {
	w := newWorld(t)
	text := sms.Message{To: client, Body: "See you Tuesday.", Ref: "msg-1"}
	require.True(t, w.sms.Send(t.Context(), text).OK())
	w.reply(client, " stop ")
	out := w.sms.Send(t.Context(), text)
	require.Equal(t, gateway.Refused, out.State)
	require.True(t, out.Final)
	require.Equal(t, sms.CodeOptedOut, out.Code)
	w.reply(client, "START")
	require.True(t, w.sms.Send(t.Context(), text).OK())
	w.reply(client, "C")
	w.settle()
	var said []string
	for _, in := range w.hooks.inbound {
		require.Equal(t, client, in.From)
		require.Equal(t, ourNumber, in.To)
		said = append(said, strings.TrimSpace(in.Body)+"/"+in.OptOut)
	}
	require.ElementsMatch(t, []string{"stop/STOP", "START/START", "C/"}, said)
	require.Len(t, w.ledger("sms"), 2)
	require.Len(t, w.ledger("reply"), 3)
}

func TestSMS_EachFault_RightOutcome(t *testing.T) {
	for _, c := range []struct {
		fault string
		state gateway.State
		code  string
		sent  int
	}{
		{"refuse", gateway.Refused, sms.CodeBadNumber, 0},
		{"decline", gateway.Accepted, "", 1},
		{"500_before", gateway.Unclear, "500", 0},
		{"500_after", gateway.Unclear, "500", 1},
		{"502", gateway.Unclear, "502", 0},
		{"timeout_before", gateway.Unclear, gateway.CodeTimeout, 0},
		{"timeout_after", gateway.Unclear, gateway.CodeTimeout, 1},
		{"429", gateway.Refused, "20429", 0},
		{"reset", gateway.Unclear, gateway.CodeUnreadable, 1},
		{"wrong_json", gateway.Unclear, gateway.CodeUnreadable, 1},
	} {
		t.Run(c.fault, func(t *testing.T) {
			w := newWorld(t)
			if strings.HasPrefix(c.fault, "timeout") {
				w.timeout = 150 * time.Millisecond
				w.clients()
			}
			w.fault(map[string]any{"gateway": "sms", "fault": c.fault, "match": map[string]any{"op": "send", "metadata": map[string]string{"ref": "msg-1"}}})
			out := w.sms.Send(t.Context(), sms.Message{To: client, Body: "http://kept.test/l/abc", Ref: "msg-1"})
			require.Equal(t, c.state, out.State, "%+v", out)
			require.Equal(t, c.code, out.Code)
			require.Len(t, w.ledger("sms"), c.sent)
			found, look := w.sms.Lookup(t.Context(), client, time.Now().Add(-time.Minute), "/l/abc")
			require.True(t, look.OK())
			require.Len(t, found, c.sent, "the look-up resolves what was unclear")
			w.settle()
			if c.fault == "decline" {
				last := w.hooks.status[len(w.hooks.status)-1]
				require.Equal(t, "undelivered", found[0].Status)
				require.NotEmpty(t, last.SID)
			}
			if out.Err != nil {
				require.NotContains(t, out.Err.Error(), client[1:], "no phone number in an error")
			}
		})
	}
}

func TestPages_WithoutScript_ListOpenAnswer(t *testing.T) {
	w := newWorld(t)
	out := w.mail.Send(t.Context(), letter("msg-1", "ada@client.example"))
	require.True(t, out.OK())
	require.True(t, w.sms.Send(t.Context(), sms.Message{To: client, Body: "See you <b>Tuesday</b>.", Ref: "msg-2"}).OK())
	page := w.page("/?to=" + url.QueryEscape(client))
	require.Contains(t, page, "See you &lt;b&gt;Tuesday&lt;/b&gt;.")
	require.NotContains(t, page, "ada@client.example")
	page = w.page("/messages/" + out.Reference)
	require.Contains(t, page, `<a href="http://kept.test/l/abc"`)
	require.Contains(t, page, `sandbox="allow-popups`)
	require.NotContains(t, page, "<script")
	res, err := http.Get(w.http.URL + "/messages/" + out.Reference + "/html")
	require.NoError(t, err)
	require.NoError(t, res.Body.Close())
	require.Contains(t, res.Header.Get("Content-Security-Policy"), "sandbox allow-popups")
	require.NotContains(t, res.Header.Get("Content-Security-Policy"), "allow-scripts")
	status, location, _ := w.press(w.http.URL+"/api/reply", url.Values{"from": {client}, "body": {"C"}})
	require.Equal(t, http.StatusSeeOther, status)
	require.Contains(t, html.UnescapeString(w.page(location)), "Texts with "+client)
}
