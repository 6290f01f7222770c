// Package activities acts once. Plan looks at a subject in one transaction; each step is a method of one struct, claims its
// effect under the locks just before it calls a gateway, and records what came of it. Every body is safe twice.
package activities

import (
	"context"
	"errors"
	"log/slog"
	"strings"

	"go.temporal.io/sdk/activity"

	"github.com/kept-practice/kept/db"
	"github.com/kept-practice/kept/internal/desk"
	"github.com/kept-practice/kept/internal/gateway"
	"github.com/kept-practice/kept/internal/gateway/mail"
	"github.com/kept-practice/kept/internal/gateway/sms"
	"github.com/kept-practice/kept/internal/gateway/stripe"
	"github.com/kept-practice/kept/internal/policy"
)

// Mailer, Texter and Cards are the calls that steps make; the gateway clients are all three.
type (
	Mailer interface {
		Send(ctx context.Context, m mail.Message) gateway.Outcome
	}
	Texter interface {
		Send(ctx context.Context, m sms.Message) gateway.Outcome
	}
	Cards interface {
		EnsureCustomer(ctx context.Context, idemKey string, metadata map[string]string) gateway.Outcome
		ChargeOffSession(ctx context.Context, in stripe.ChargeInput) (stripe.Payment, gateway.Outcome)
		CreateCheckout(ctx context.Context, in stripe.CheckoutInput) (stripe.Checkout, gateway.Outcome)
		CreateSetup(ctx context.Context, in stripe.SetupInput) (stripe.Checkout, gateway.Outcome)
		FetchCheckoutSession(ctx context.Context, id string) (stripe.Checkout, gateway.Outcome)
		FetchSetup(ctx context.Context, id string) (stripe.Card, gateway.Outcome)
		FetchPaymentIntent(ctx context.Context, id string) (stripe.Payment, gateway.Outcome)
		SearchPaymentIntents(ctx context.Context, metadata map[string]string) ([]stripe.Payment, gateway.Outcome)
		Livemode() bool
	}
)

// Options of New.
type Options struct {
	Store    *db.Store
	Desk     *desk.Desk
	Mail     Mailer
	SMS      Texter
	Cards    Cards
	BaseURL  string // start of every link, without a slash at its end
	MailFrom string // the sender's address; the practice's own address is the reply-to
	Log      *slog.Logger
}

// Activities holds what steps need. It has no state of its own.
type Activities struct {
	store    *db.Store
	desk     *desk.Desk
	mail     Mailer
	sms      Texter
	cards    Cards
	baseURL  string
	mailFrom string
	log      *slog.Logger
}

// New refuses a configuration in which some step could not act.
func New(o Options) (*Activities, error) {
	if o.Store == nil || o.Desk == nil || o.Mail == nil || o.SMS == nil || o.Cards == nil {
		return nil, errors.New("activities need a store, a desk and all three gateways")
	}
	if o.BaseURL == "" || o.MailFrom == "" {
		return nil, errors.New("activities need the base address of links and the sender's mail address")
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	return &Activities{
		store: o.Store, desk: o.Desk, mail: o.Mail, sms: o.SMS, cards: o.Cards,
		baseURL: strings.TrimRight(o.BaseURL, "/"), mailFrom: o.MailFrom, log: o.Log,
	}, nil
}

// Registry is the part of a worker that Register needs.
type Registry interface {
	RegisterActivityWithOptions(a any, options activity.RegisterOptions)
}

// Steps lists the step activities by the kind that names them.
func (a *Activities) Steps() map[string]any {
	return map[string]any{
		policy.StepSendMail:   a.SendMail,
		policy.StepSendSMS:    a.SendSMS,
		policy.StepChargeCard: a.ChargeCard,
	}
}

// PlanName is the registered name of Plan.
const PlanName = "Plan"

// Register registers Plan and every step under its kind.
func (a *Activities) Register(r Registry) {
	r.RegisterActivityWithOptions(a.Plan, activity.RegisterOptions{Name: PlanName})
	for kind, step := range a.Steps() {
		r.RegisterActivityWithOptions(step, activity.RegisterOptions{Name: kind})
	}
}
