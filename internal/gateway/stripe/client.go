// Package stripe speaks to Stripe through stripe-go v76 (API version 2023-10-16): cards on file, off-session charges, hosted
// checkout, refunds, look-ups, and the verification of its webhooks. It is the only package that knows the library.
package stripe

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	api "github.com/stripe/stripe-go/v76"

	"github.com/kept-practice/kept/internal/gateway"
)

// Options configure a Client.
type Options struct {
	Key     string        // secret key, sk_test_… or sk_live_…
	BaseURL string        // default https://api.stripe.com; the sandbox is <its address>/stripe
	Timeout time.Duration // of one call; default and maximum gateway.CallTimeout
}

// Client is safe for concurrent use.
type Client struct {
	backend api.Backend
	key     string
	timeout time.Duration
}

// New refuses a missing key and an unusable base address.
func New(o Options) (*Client, error) {
	if o.Key == "" {
		return nil, errors.New("stripe: no API key; set STRIPE_API_KEY, or use the sandbox")
	}
	if o.BaseURL == "" {
		o.BaseURL = api.APIURL
	}
	if u, err := url.Parse(o.BaseURL); err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
		return nil, fmt.Errorf("stripe: base address %q is not an http(s) URL", o.BaseURL)
	}
	if o.Timeout <= 0 || o.Timeout > gateway.CallTimeout {
		o.Timeout = gateway.CallTimeout
	}
	backend := api.GetBackendWithConfig(api.APIBackend, &api.BackendConfig{
		URL:               api.String(strings.TrimRight(o.BaseURL, "/")),
		HTTPClient:        gateway.NewHTTPClient(),
		MaxNetworkRetries: api.Int64(0),
		EnableTelemetry:   api.Bool(false),
		LeveledLogger:     &api.LeveledLogger{Level: api.LevelNull},
	})
	return &Client{backend: backend, key: o.Key, timeout: o.Timeout}, nil
}

// Livemode tells whether the key moves real money.
func (c *Client) Livemode() bool {
	return strings.HasPrefix(c.key, "sk_live_") || strings.HasPrefix(c.key, "rk_live_")
}

// call runs one request under the deadline. Every request may be repeated safely: writes carry a key, the rest only read.
func (c *Client) call(ctx context.Context, do func(context.Context) (reference string, err error)) gateway.Outcome {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	ctx, watch := gateway.Watch(ctx, true)
	reference, err := do(ctx)
	if err != nil {
		return classify(watch, err)
	}
	out := watch.Outcome(nil) // the library takes every status below 400 for success
	out.Reference = reference
	return out
}

var errNoID = errors.New("stripe answered with an object that has no id")

// identified refuses an answer that parsed but is no object of Stripe's.
func identified(id string) (string, error) {
	if id == "" {
		return "", errNoID
	}
	return id, nil
}

// classify reads Stripe's own error, where there is one, into the outcome of the status.
func classify(watch *gateway.Call, err error) gateway.Outcome {
	out := watch.Outcome(err)
	var e *api.Error
	if !errors.As(err, &e) {
		if watch.Status() >= 400 { // the error text holds the raw answer
			out.Err = fmt.Errorf("stripe answered %d without a readable error", watch.Status())
		}
		return out
	}
	out.Err = fmt.Errorf("stripe answered %d %s %s (request %s)", e.HTTPStatusCode, e.Type, e.Code, e.RequestID)
	if e.Code != "" {
		out.Code = string(e.Code)
	}
	switch {
	case e.DeclineCode != "" && e.Code != api.ErrorCodeAuthenticationRequired:
		out.Code = string(e.DeclineCode)
	case e.Type == api.ErrorTypeIdempotency:
		// Another request was or is being executed under this key, so "surely not done" would be a lie.
		out.State, out.Final = gateway.Unclear, false
		if out.Code == strconv.Itoa(e.HTTPStatusCode) {
			out.Code = string(api.ErrorTypeIdempotency)
		}
	case e.Code == "idempotency_key_in_use":
		out.State, out.Final = gateway.Unclear, false
	}
	if e.PaymentIntent != nil {
		out.Reference = e.PaymentIntent.ID
	}
	return out
}

// params carries the context, the key and our opaque ids into any request.
func params(ctx context.Context, idemKey string, metadata map[string]string) api.Params {
	p := api.Params{Context: ctx}
	for name, value := range metadata {
		p.AddMetadata(name, value)
	}
	if idemKey != "" {
		p.IdempotencyKey = api.String(idemKey)
	}
	return p
}

// checkKey refuses writes that Stripe could not recognise when repeated.
func checkKey(idemKey string) (gateway.Outcome, bool) {
	if idemKey == "" || len(idemKey) > 255 || strings.TrimSpace(idemKey) != idemKey {
		return gateway.RefuseInvalid("/idem_key", "idempotency_key", "every write to Stripe needs a key of 1 to 255 characters"), false
	}
	return gateway.Outcome{}, true
}
