package stripe

import (
	"context"
	"strings"
	"time"

	api "github.com/stripe/stripe-go/v76"
	"github.com/stripe/stripe-go/v76/checkout/session"
	"github.com/stripe/stripe-go/v76/customer"
	"github.com/stripe/stripe-go/v76/setupintent"

	"github.com/kept-practice/kept/internal/gateway"
)

// Checkout is a hosted page of Stripe's, for paying or for leaving a card.
type Checkout struct {
	ID            string
	URL           string // where the client goes; empty once the session is complete or expired
	Mode          string // payment or setup
	Status        string // open, complete, expired
	PaymentStatus string // paid, unpaid, no_payment_required
	PaymentIntent string // empty until the client first submits the page
	SetupIntent   string
	Customer      string
	AmountMinor   int64
	Currency      string
	ExpiresAt     time.Time
	Livemode      bool
	Metadata      map[string]string
}

// Card is a card on file, by its payment method. It is empty until the client has finished the page.
type Card struct {
	Method   string
	Customer string
	Brand    string
	Last4    string
	ExpMonth int
	ExpYear  int
}

// CheckoutInput asks for a page on which the client pays one amount. Description is shown by Stripe and kept by it, so it is
// opaque ("Invoice 2024-0012"). ExpiresAt is real time, 30 minutes to 24 hours ahead; zero leaves it to Stripe (24 hours).
type CheckoutInput struct {
	IdemKey     string
	AmountMinor int64
	Currency    string
	Customer    string // may be empty
	Description string
	SuccessURL  string
	CancelURL   string
	ExpiresAt   time.Time
	SaveCard    bool // keep the card for later off-session charges
	Metadata    map[string]string
}

// SetupInput asks for a page on which the client leaves a card without paying.
type SetupInput struct {
	IdemKey    string
	Customer   string
	Currency   string
	SuccessURL string
	CancelURL  string
	ExpiresAt  time.Time
	Metadata   map[string]string
}

// EnsureCustomer makes the Stripe customer of one client. The same key gives the same customer for a day; after that the
// caller has its id. Metadata holds our opaque ids and nothing else is ever sent about a client.
func (c *Client) EnsureCustomer(ctx context.Context, idemKey string, metadata map[string]string) gateway.Outcome {
	if out, ok := checkKey(idemKey); !ok {
		return out
	}
	return c.call(ctx, func(ctx context.Context) (string, error) {
		made, err := customer.Client{B: c.backend, Key: c.key}.New(&api.CustomerParams{Params: params(ctx, idemKey, metadata)})
		if err != nil {
			return "", err
		}
		return identified(made.ID)
	})
}

// CreateCheckout makes a payment page. Session and payment intent both carry the metadata.
func (c *Client) CreateCheckout(ctx context.Context, in CheckoutInput) (Checkout, gateway.Outcome) {
	if out, ok := checkKey(in.IdemKey); !ok {
		return Checkout{}, out
	}
	if in.AmountMinor <= 0 {
		return Checkout{}, gateway.RefuseInvalid("/amount", "amount", "a payment page needs an amount above zero")
	}
	p := &api.CheckoutSessionParams{
		Params:             params(ctx, in.IdemKey, in.Metadata),
		Mode:               api.String(string(api.CheckoutSessionModePayment)),
		PaymentMethodTypes: []*string{api.String("card")},
		SuccessURL:         api.String(in.SuccessURL),
		CancelURL:          api.String(in.CancelURL),
		LineItems: []*api.CheckoutSessionLineItemParams{{
			Quantity: api.Int64(1),
			PriceData: &api.CheckoutSessionLineItemPriceDataParams{
				Currency:    api.String(strings.ToLower(in.Currency)),
				UnitAmount:  api.Int64(in.AmountMinor),
				ProductData: &api.CheckoutSessionLineItemPriceDataProductDataParams{Name: api.String(in.Description)},
			},
		}},
		PaymentIntentData: &api.CheckoutSessionPaymentIntentDataParams{Metadata: in.Metadata},
	}
	if in.SaveCard {
		p.PaymentIntentData.SetupFutureUsage = api.String("off_session")
	}
	return c.newSession(ctx, p, in.Customer, in.ExpiresAt)
}

// CreateSetup makes a page for leaving a card on file.
func (c *Client) CreateSetup(ctx context.Context, in SetupInput) (Checkout, gateway.Outcome) {
	if out, ok := checkKey(in.IdemKey); !ok {
		return Checkout{}, out
	}
	p := &api.CheckoutSessionParams{
		Params:             params(ctx, in.IdemKey, in.Metadata),
		Mode:               api.String(string(api.CheckoutSessionModeSetup)),
		PaymentMethodTypes: []*string{api.String("card")},
		SuccessURL:         api.String(in.SuccessURL),
		CancelURL:          api.String(in.CancelURL),
		SetupIntentData:    &api.CheckoutSessionSetupIntentDataParams{Metadata: in.Metadata},
	}
	if in.Currency != "" {
		p.Currency = api.String(strings.ToLower(in.Currency))
	}
	return c.newSession(ctx, p, in.Customer, in.ExpiresAt)
}

func (c *Client) newSession(ctx context.Context, p *api.CheckoutSessionParams, customer string, expires time.Time) (Checkout, gateway.Outcome) {
	if customer != "" {
		p.Customer = api.String(customer)
	}
	if !expires.IsZero() {
		p.ExpiresAt = api.Int64(expires.Unix())
	}
	return c.session(ctx, func(ctx context.Context) (*api.CheckoutSession, error) {
		p.Context = ctx
		return c.sessions().New(p)
	})
}

// FetchCheckoutSession reads a page's state.
func (c *Client) FetchCheckoutSession(ctx context.Context, id string) (Checkout, gateway.Outcome) {
	return c.session(ctx, func(ctx context.Context) (*api.CheckoutSession, error) {
		return c.sessions().Get(id, &api.CheckoutSessionParams{Params: params(ctx, "", nil)})
	})
}

// ExpireCheckout closes an open page so that nobody can pay there any more. A page that is already complete or expired is
// Refused and final: fetch it to learn which.
func (c *Client) ExpireCheckout(ctx context.Context, idemKey, id string) (Checkout, gateway.Outcome) {
	if out, ok := checkKey(idemKey); !ok {
		return Checkout{}, out
	}
	return c.session(ctx, func(ctx context.Context) (*api.CheckoutSession, error) {
		return c.sessions().Expire(id, &api.CheckoutSessionExpireParams{Params: params(ctx, idemKey, nil)})
	})
}

// FetchSetup reads the card that a setup left, by the id of its checkout session (cs_…) or setup intent (seti_…).
func (c *Client) FetchSetup(ctx context.Context, id string) (Card, gateway.Outcome) {
	var card Card
	out := c.call(ctx, func(ctx context.Context) (string, error) {
		var intent *api.SetupIntent
		var err error
		if strings.HasPrefix(id, "seti_") {
			p := &api.SetupIntentParams{Params: params(ctx, "", nil)}
			p.AddExpand("payment_method")
			intent, err = setupintent.Client{B: c.backend, Key: c.key}.Get(id, p)
		} else {
			p := &api.CheckoutSessionParams{Params: params(ctx, "", nil)}
			p.AddExpand("setup_intent.payment_method")
			var s *api.CheckoutSession
			if s, err = c.sessions().Get(id, p); s != nil {
				intent = s.SetupIntent
			}
		}
		if err != nil {
			return "", err
		}
		card = cardOf(intent)
		return card.Method, nil
	})
	return card, out
}

func cardOf(intent *api.SetupIntent) Card {
	if intent == nil || intent.Status != api.SetupIntentStatusSucceeded || intent.PaymentMethod == nil {
		return Card{}
	}
	card := Card{Method: intent.PaymentMethod.ID}
	if intent.Customer != nil {
		card.Customer = intent.Customer.ID
	}
	if k := intent.PaymentMethod.Card; k != nil {
		card.Brand, card.Last4, card.ExpMonth, card.ExpYear = string(k.Brand), k.Last4, int(k.ExpMonth), int(k.ExpYear)
	}
	return card
}

func (c *Client) session(ctx context.Context, do func(context.Context) (*api.CheckoutSession, error)) (Checkout, gateway.Outcome) {
	var got Checkout
	out := c.call(ctx, func(ctx context.Context) (string, error) {
		s, err := do(ctx)
		if err != nil {
			return "", err
		}
		got = checkout(s)
		return identified(s.ID)
	})
	return got, out
}

func (c *Client) sessions() session.Client { return session.Client{B: c.backend, Key: c.key} }

func checkout(s *api.CheckoutSession) Checkout {
	got := Checkout{
		ID: s.ID, URL: s.URL, Mode: string(s.Mode), Status: string(s.Status), PaymentStatus: string(s.PaymentStatus),
		AmountMinor: s.AmountTotal, Currency: string(s.Currency), ExpiresAt: time.Unix(s.ExpiresAt, 0).UTC(),
		Livemode: s.Livemode, Metadata: s.Metadata,
	}
	if s.PaymentIntent != nil {
		got.PaymentIntent = s.PaymentIntent.ID
	}
	if s.SetupIntent != nil {
		got.SetupIntent = s.SetupIntent.ID
	}
	if s.Customer != nil {
		got.Customer = s.Customer.ID
	}
	return got
}
