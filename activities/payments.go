package activities

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/kept-practice/kept/db"
	"github.com/kept-practice/kept/internal/desk"
	"github.com/kept-practice/kept/internal/gateway"
	"github.com/kept-practice/kept/internal/gateway/stripe"
	"github.com/kept-practice/kept/internal/policy"
)

// ChargeCard charges the card on file for what is owed, once for its key: the payment row's id is the idempotency key's core,
// so whatever repeats the call finds the first result. The answer goes through the same applier as events.
func (a *Activities) ChargeCard(ctx context.Context, s policy.Subject, step policy.Step) (again bool, err error) {
	var (
		charge desk.Charge
		paid   stripe.Payment
	)
	return a.run(ctx, s, step, act{
		idempotent: true, turning: true,
		lock: func(ctx context.Context, tx *db.Tx, _ *claim) error {
			return a.desk.LockInvoice(ctx, tx, *charge.Payment.InvoiceID)
		},
		prepare: func(ctx context.Context, tx *db.Tx, c *claim) error {
			invoice, err := a.desk.InvoiceOf(ctx, tx, s)
			if err != nil {
				return err
			}
			if charge, err = a.desk.PrepareCharge(ctx, tx, invoice, step.Key, c.object); err != nil {
				return err
			}
			c.object = &charge.Payment.ID
			if c.idemKey == "" {
				c.idemKey = "charge:" + charge.Payment.ID.String() + ":1"
			}
			return nil
		},
		call: func(ctx context.Context, c *claim) (out gateway.Outcome) {
			paid, out = a.charge(ctx, c, charge)
			return out
		},
		done: func(ctx context.Context, tx *db.Tx, _ *claim, out gateway.Outcome) ([]policy.Subject, error) {
			news := desk.PaymentNews{Payment: charge.Payment.ID, Intent: paid.ID, Code: out.Code}
			switch {
			case out.State == gateway.Accepted && paid.Succeeded():
				news.Status, news.Amount, news.Currency = desk.PaymentSucceeded, paid.ReceivedMinor, strings.ToUpper(paid.Currency)
			case out.State == gateway.Accepted: // on its way; an event says how it ends
				return nil, tx.PaymentAttach(ctx, db.PaymentAttachParams{PracticeID: tx.Practice, ID: charge.Payment.ID, GatewayIntent: orNil(paid.ID)})
			case out.State == gateway.Refused && out.Final:
				news.Status = desk.PaymentFailed
			default:
				return nil, nil
			}
			return a.desk.ApplyPayment(ctx, tx, policy.Principal{Kind: policy.ByGateway, Practice: tx.Practice}, news)
		},
	})
}

// charge repeats the same key while the gateway remembers it. A key that is too old, or under which the gateway stored an
// error, is never simply repeated: what our metadata finds decides.
func (a *Activities) charge(ctx context.Context, c *claim, charge desk.Charge) (stripe.Payment, gateway.Outcome) {
	metadata := paymentMetadata(charge.Payment)
	if c.old || c.settle {
		found, out, ok := a.searchPayment(ctx, metadata)
		switch {
		case ok:
			return found, out
		case c.settle:
			return stripe.Payment{}, gateway.Outcome{State: gateway.Refused, Final: true, Code: "withdrawn"}
		}
		c.idemKey = nextKey(c.idemKey)
	}
	in := stripe.ChargeInput{
		IdemKey: c.idemKey, AmountMinor: charge.Payment.Amount, Currency: charge.Payment.Currency,
		Customer: charge.Customer, Method: charge.Method, Metadata: metadata,
	}
	paid, out := a.cards.ChargeOffSession(ctx, in)
	if out.State == gateway.Unclear && out.Replayed {
		if found, out, ok := a.searchPayment(ctx, metadata); ok {
			return found, out
		}
		in.IdemKey = nextKey(in.IdemKey)
		return a.cards.ChargeOffSession(ctx, in)
	}
	return paid, out
}

func (a *Activities) searchPayment(ctx context.Context, metadata map[string]string) (stripe.Payment, gateway.Outcome, bool) {
	found, out := a.cards.SearchPaymentIntents(ctx, metadata)
	if !out.OK() {
		return stripe.Payment{}, out, true // unclear or refused: come back, do not charge
	}
	for _, p := range found {
		if p.Succeeded() || p.Status == "processing" {
			return p, gateway.Accept(p.ID), true
		}
	}
	return stripe.Payment{}, out, false
}

// nextKey raises the number at the end of an idempotency key.
func nextKey(key string) string {
	at := strings.LastIndexByte(key, ':')
	n := 1
	if _, err := fmt.Sscanf(key[at+1:], "%d", &n); err != nil {
		return key + ":2"
	}
	return fmt.Sprintf("%s:%d", key[:at], n+1)
}

func paymentMetadata(p db.Payment) map[string]string {
	m := map[string]string{"practice": p.PracticeID.String(), "payment": p.ID.String()}
	if p.InvoiceID != nil {
		m["invoice"] = p.InvoiceID.String()
	}
	return m
}

// Checkout gives the address of a hosted page for what is owed on an invoice now, and reuses one that is still open.
// The gateway leads the client back to paid or unpaid. Errors: 409 invoice_settled; 503 when the gateway does not answer.
func (a *Activities) Checkout(ctx context.Context, practice, invoice policy.ID, paid, unpaid string) (string, error) {
	by := policy.Principal{Kind: policy.ByClient, Practice: practice}
	charge, url, err := a.desk.OpenCheckout(ctx, by, invoice)
	if err != nil || url != "" {
		return url, err
	}
	customer, err := a.customer(ctx, charge)
	if err != nil {
		return "", err
	}
	page, out := a.cards.CreateCheckout(ctx, stripe.CheckoutInput{
		IdemKey: "checkout:" + charge.Payment.ID.String() + ":1", AmountMinor: charge.Payment.Amount, Currency: charge.Payment.Currency, Customer: customer,
		Description: "Invoice", SuccessURL: paid, CancelURL: unpaid, ExpiresAt: *charge.Payment.ExpiresAt, Metadata: paymentMetadata(charge.Payment),
	})
	return a.opened(ctx, charge, customer, page, out)
}

// SetupPage gives the address of a hosted page on which a client leaves a card.
func (a *Activities) SetupPage(ctx context.Context, by policy.Principal, client policy.ID, back string) (string, time.Time, error) {
	charge, err := a.desk.OpenSetup(ctx, by, client)
	if err != nil {
		return "", time.Time{}, err
	}
	customer, err := a.customer(ctx, charge)
	if err != nil {
		return "", time.Time{}, err
	}
	page, out := a.cards.CreateSetup(ctx, stripe.SetupInput{
		IdemKey: "setup:" + charge.Payment.ID.String() + ":1", Customer: customer, Currency: charge.Payment.Currency,
		SuccessURL: back, CancelURL: back, ExpiresAt: *charge.Payment.ExpiresAt, Metadata: paymentMetadata(charge.Payment),
	})
	url, err := a.opened(ctx, charge, customer, page, out)
	return url, *charge.Payment.ExpiresAt, err
}

func (a *Activities) customer(ctx context.Context, charge desk.Charge) (string, error) {
	if charge.Customer != "" {
		return charge.Customer, nil
	}
	client := charge.Payment.ClientID.String()
	out := a.cards.EnsureCustomer(ctx, "customer:"+client+":1", map[string]string{"practice": charge.Payment.PracticeID.String(), "client": client})
	if !out.OK() {
		return "", gatewayAway(out)
	}
	return out.Reference, nil
}

func (a *Activities) opened(ctx context.Context, charge desk.Charge, customer string, page stripe.Checkout, out gateway.Outcome) (string, error) {
	if !out.OK() {
		return "", gatewayAway(out)
	}
	return page.URL, a.desk.AttachGateway(ctx, charge.Payment.PracticeID, charge.Payment, customer, page.ID, page.PaymentIntent, page.URL)
}

func gatewayAway(out gateway.Outcome) error {
	return &policy.Error{
		Kind: policy.Unavailable, Code: "gateway_unavailable", Cause: out.Err,
		Message: "The payment page cannot be opened right now. Nothing was charged; try again in a minute.",
	}
}
