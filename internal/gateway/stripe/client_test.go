package stripe_test

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kept-practice/kept/internal/gateway"
	"github.com/kept-practice/kept/internal/gateway/stripe"
)

func TestNew_ImpossibleConfiguration_Refused(t *testing.T) {
	for name, o := range map[string]stripe.Options{
		"no key": {}, "no scheme": {Key: "sk_test_1", BaseURL: "127.0.0.1:8025"}, "other scheme": {Key: "sk_test_1", BaseURL: "ftp://host"},
	} {
		_, err := stripe.New(o)
		require.Error(t, err, name)
	}
	live, err := stripe.New(stripe.Options{Key: "sk_live_1"})
	require.NoError(t, err)
	require.True(t, live.Livemode())
}

// What Stripe answers, and what it proves.
func TestCall_StatusAndBody_Classified(t *testing.T) {
	const idem = `{"error":{"type":"idempotency_error","message":"m"}}`
	for _, c := range []struct {
		name    string
		status  int
		header  map[string]string
		body    string
		state   gateway.State
		code    string
		final   bool
		replay  bool
		waiting time.Duration
	}{
		{name: "card declined", status: 402, body: `{"error":{"type":"card_error","code":"card_declined","decline_code":"lost_card","message":"m"}}`, state: gateway.Refused, code: "lost_card", final: true},
		{name: "expired card", status: 402, body: `{"error":{"type":"card_error","code":"expired_card","message":"m"}}`, state: gateway.Refused, code: "expired_card", final: true},
		{name: "wrong key", status: 401, body: `{"error":{"type":"invalid_request_error","message":"m"}}`, state: gateway.Refused, code: "401"},
		{name: "not allowed", status: 403, body: `nonsense`, state: gateway.Refused, code: "403"},
		{name: "gone", status: 404, body: `{"error":{"type":"invalid_request_error","code":"resource_missing","message":"m"}}`, state: gateway.Refused, code: "resource_missing", final: true},
		{name: "rate limit", status: 429, header: map[string]string{"Retry-After": "7"}, body: `{}`, state: gateway.Refused, code: "429", waiting: 7 * time.Second},
		{name: "key with other parameters", status: 400, body: idem, state: gateway.Unclear, code: "idempotency_error"},
		{name: "key in use", status: 409, body: `{"error":{"type":"invalid_request_error","code":"idempotency_key_in_use","message":"m"}}`, state: gateway.Unclear, code: "idempotency_key_in_use"},
		{name: "replayed failure", status: 500, header: map[string]string{"Idempotent-Replayed": "true"}, body: `{"error":{"type":"api_error","message":"m"}}`, state: gateway.Unclear, code: "500", replay: true},
		{name: "proxy", status: 503, header: map[string]string{"Retry-After": "2"}, body: `<html>`, state: gateway.Unclear, code: "503", waiting: 2 * time.Second},
		{name: "answer of something else", status: 200, body: `{"hello":"world"}`, state: gateway.Unclear, code: gateway.CodeUnreadable},
		{name: "redirect", status: 302, header: map[string]string{"Location": "/elsewhere"}, body: `{}`, state: gateway.Unclear, code: "302"},
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			for k, v := range c.header {
				w.Header().Set(k, v)
			}
			w.WriteHeader(c.status)
			_, _ = w.Write([]byte(c.body))
		}))
		client, err := stripe.New(stripe.Options{Key: "sk_test_1", BaseURL: server.URL})
		require.NoError(t, err)
		out := client.EnsureCustomer(t.Context(), "key", map[string]string{"client": "secret-looking"})
		require.Equal(t, c.state, out.State, "%s: %+v", c.name, out)
		require.Equal(t, c.code, out.Code, c.name)
		require.Equal(t, c.final, out.Final, c.name)
		require.Equal(t, c.replay, out.Replayed, c.name)
		require.Equal(t, c.waiting, out.RetryAfter, c.name)
		require.Error(t, out.Err, c.name)
		server.Close()
	}
}
