package stripe

import (
	"context"
	"fmt"
	"sort"
	"strings"
	"time"

	api "github.com/stripe/stripe-go/v76"
	"github.com/stripe/stripe-go/v76/paymentintent"
	"github.com/stripe/stripe-go/v76/refund"

	"github.com/kept-practice/kept/internal/gateway"
)

// Payment is a payment intent as we use it. Amounts are minor units of Currency (lower case, "usd").
type Payment struct {
	ID            string
	Status        string // succeeded, processing, requires_payment_method, requires_action, canceled, …
	AmountMinor   int64
	ReceivedMinor int64
	RefundedMinor int64 // of the latest charge
	Currency      string
	Customer      string
	Method        string
	Charge        string // latest charge
	DeclineCode   string // of the last failed try
	Livemode      bool
	Created       time.Time
	Metadata      map[string]string
}

// Succeeded tells that the whole amount was taken.
func (p Payment) Succeeded() bool { return p.Status == string(api.PaymentIntentStatusSucceeded) }

// ChargeInput is one attempt to charge a card on file. Metadata holds opaque ids: practice, invoice, attempt.
type ChargeInput struct {
	IdemKey     string
	AmountMinor int64
	Currency    string
	Customer    string
	Method      string
	Metadata    map[string]string
}

// ChargeOffSession charges while the client is away. A decline is Refused and final with its decline code, and with code
// authentication_required when the bank wants the client present: then a pay link is due. Accepted is money taken or on its way.
func (c *Client) ChargeOffSession(ctx context.Context, in ChargeInput) (Payment, gateway.Outcome) {
	if out, ok := checkKey(in.IdemKey); !ok {
		return Payment{}, out
	}
	if in.AmountMinor <= 0 {
		return Payment{}, gateway.RefuseInvalid("/amount", "amount", "a charge needs an amount above zero")
	}
	var p Payment
	out := c.call(ctx, func(ctx context.Context) (string, error) {
		pi, err := c.intents().New(&api.PaymentIntentParams{
			Params:        params(ctx, in.IdemKey, in.Metadata),
			Amount:        api.Int64(in.AmountMinor),
			Currency:      api.String(strings.ToLower(in.Currency)),
			Customer:      api.String(in.Customer),
			PaymentMethod: api.String(in.Method),
			Confirm:       api.Bool(true),
			OffSession:    api.Bool(true),
		})
		if err != nil {
			return "", err
		}
		p = payment(pi)
		return identified(pi.ID)
	})
	if out.OK() && !p.Succeeded() && p.Status != string(api.PaymentIntentStatusProcessing) {
		code := p.DeclineCode
		if p.Status == string(api.PaymentIntentStatusRequiresAction) {
			code = string(api.ErrorCodeAuthenticationRequired)
		}
		out.State, out.Final, out.Code = gateway.Refused, true, code
		out.Err = fmt.Errorf("payment intent is %s", p.Status)
	}
	return p, out
}

// FetchPaymentIntent reads one intent with its latest charge.
func (c *Client) FetchPaymentIntent(ctx context.Context, id string) (Payment, gateway.Outcome) {
	var p Payment
	out := c.call(ctx, func(ctx context.Context) (string, error) {
		in := &api.PaymentIntentParams{Params: params(ctx, "", nil)}
		in.AddExpand("latest_charge")
		pi, err := c.intents().Get(id, in)
		if err != nil {
			return "", err
		}
		p = payment(pi)
		return identified(pi.ID)
	})
	return p, out
}

// SearchPaymentIntents finds intents that carry all these metadata, newest first, at most 100. Stripe's index runs up to a
// minute behind, so an empty answer proves nothing about the last minute.
func (c *Client) SearchPaymentIntents(ctx context.Context, metadata map[string]string) ([]Payment, gateway.Outcome) {
	if len(metadata) == 0 {
		return nil, gateway.RefuseInvalid("/metadata", "metadata", "a search needs at least one id of ours")
	}
	var found []Payment
	out := c.call(ctx, func(ctx context.Context) (string, error) {
		iter := c.intents().Search(&api.PaymentIntentSearchParams{SearchParams: api.SearchParams{
			Context: ctx, Query: metadataQuery(metadata), Limit: api.Int64(100), Single: true,
		}})
		for iter.Next() {
			found = append(found, payment(iter.PaymentIntent()))
		}
		return "", iter.Err()
	})
	sort.SliceStable(found, func(i, j int) bool { return found[i].Created.After(found[j].Created) })
	return found, out
}

// metadataQuery writes Stripe's search language; keys are sorted so that equal questions are equal requests.
func metadataQuery(metadata map[string]string) string {
	quote := strings.NewReplacer(`\`, `\\`, `'`, `\'`)
	clauses := make([]string, 0, len(metadata))
	for k, v := range metadata {
		clauses = append(clauses, "metadata['"+quote.Replace(k)+"']:'"+quote.Replace(v)+"'")
	}
	sort.Strings(clauses)
	return strings.Join(clauses, " AND ")
}

// RefundInput gives money back. AmountMinor 0 means all that is left.
type RefundInput struct {
	IdemKey       string
	PaymentIntent string
	AmountMinor   int64
	Metadata      map[string]string
}

// Refunded is one refund. Status is succeeded, pending, requires_action, failed or canceled.
type Refunded struct {
	ID            string
	Status        string
	AmountMinor   int64
	Currency      string
	PaymentIntent string
	Metadata      map[string]string
}

// Refund asks for money to be given back.
func (c *Client) Refund(ctx context.Context, in RefundInput) (Refunded, gateway.Outcome) {
	if out, ok := checkKey(in.IdemKey); !ok {
		return Refunded{}, out
	}
	p := &api.RefundParams{Params: params(ctx, in.IdemKey, in.Metadata), PaymentIntent: api.String(in.PaymentIntent)}
	if in.AmountMinor < 0 {
		return Refunded{}, gateway.RefuseInvalid("/amount", "amount", "a refund cannot be negative")
	}
	if in.AmountMinor > 0 {
		p.Amount = api.Int64(in.AmountMinor)
	}
	return c.refund(ctx, func(ctx context.Context) (*api.Refund, error) {
		p.Context = ctx
		return c.refunds().New(p)
	})
}

// FetchRefund reads one refund.
func (c *Client) FetchRefund(ctx context.Context, id string) (Refunded, gateway.Outcome) {
	return c.refund(ctx, func(ctx context.Context) (*api.Refund, error) {
		return c.refunds().Get(id, &api.RefundParams{Params: params(ctx, "", nil)})
	})
}

func (c *Client) refund(ctx context.Context, do func(context.Context) (*api.Refund, error)) (Refunded, gateway.Outcome) {
	var got Refunded
	out := c.call(ctx, func(ctx context.Context) (string, error) {
		r, err := do(ctx)
		if err != nil {
			return "", err
		}
		got = Refunded{
			ID: r.ID, Status: string(r.Status), AmountMinor: r.Amount, Currency: string(r.Currency), Metadata: r.Metadata,
		}
		if r.PaymentIntent != nil {
			got.PaymentIntent = r.PaymentIntent.ID
		}
		return identified(r.ID)
	})
	return got, out
}

func (c *Client) intents() paymentintent.Client {
	return paymentintent.Client{B: c.backend, Key: c.key}
}
func (c *Client) refunds() refund.Client { return refund.Client{B: c.backend, Key: c.key} }

func payment(pi *api.PaymentIntent) Payment {
	p := Payment{
		ID: pi.ID, Status: string(pi.Status), AmountMinor: pi.Amount, ReceivedMinor: pi.AmountReceived,
		Currency: string(pi.Currency), Livemode: pi.Livemode, Created: time.Unix(pi.Created, 0).UTC(), Metadata: pi.Metadata,
	}
	if pi.Customer != nil {
		p.Customer = pi.Customer.ID
	}
	if pi.PaymentMethod != nil {
		p.Method = pi.PaymentMethod.ID
	}
	if pi.LatestCharge != nil {
		p.Charge, p.RefundedMinor = pi.LatestCharge.ID, pi.LatestCharge.AmountRefunded
	}
	if e := pi.LastPaymentError; e != nil {
		if p.DeclineCode = string(e.DeclineCode); p.DeclineCode == "" {
			p.DeclineCode = string(e.Code)
		}
	}
	return p
}
