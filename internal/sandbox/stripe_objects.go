package sandbox

import (
	"encoding/json"
	"time"
)

// Stripe's objects in the shape of API version 2023-10-16. Fields that are always null for us are left out: readers treat
// a missing field as null.

type customer struct {
	ID          string            `json:"id"`
	Object      string            `json:"object"`
	Created     int64             `json:"created"`
	Email       *string           `json:"email"`
	Name        *string           `json:"name"`
	Description *string           `json:"description"`
	Balance     int64             `json:"balance"`
	Livemode    bool              `json:"livemode"`
	Metadata    map[string]string `json:"metadata"`
}

type card struct {
	Brand       string `json:"brand"`
	Country     string `json:"country"`
	ExpMonth    int    `json:"exp_month"`
	ExpYear     int    `json:"exp_year"`
	Fingerprint string `json:"fingerprint"`
	Funding     string `json:"funding"`
	Last4       string `json:"last4"`
}

type paymentMethod struct {
	ID       string            `json:"id"`
	Object   string            `json:"object"`
	Type     string            `json:"type"`
	Card     card              `json:"card"`
	Created  int64             `json:"created"`
	Customer *string           `json:"customer"`
	Livemode bool              `json:"livemode"`
	Metadata map[string]string `json:"metadata"`
	Sandbox  *methodPrivate    `json:"sandbox,omitempty"`
}

// methodPrivate is what Stripe knows of a card and does not show.
type methodPrivate struct {
	Authenticated bool `json:"authenticated"` // set up with the client present, so some cards stop asking
}

type setupIntent struct {
	ID                 string            `json:"id"`
	Object             string            `json:"object"`
	ClientSecret       string            `json:"client_secret"`
	Created            int64             `json:"created"`
	Customer           *string           `json:"customer"`
	LastSetupError     *errorBody        `json:"last_setup_error"`
	Livemode           bool              `json:"livemode"`
	Metadata           map[string]string `json:"metadata"`
	PaymentMethod      *string           `json:"payment_method"`
	PaymentMethodTypes []string          `json:"payment_method_types"`
	Status             string            `json:"status"`
	Usage              string            `json:"usage"`
}

type paymentIntent struct {
	ID                 string            `json:"id"`
	Object             string            `json:"object"`
	Amount             int64             `json:"amount"`
	AmountCapturable   int64             `json:"amount_capturable"`
	AmountReceived     int64             `json:"amount_received"`
	CanceledAt         *int64            `json:"canceled_at"`
	CaptureMethod      string            `json:"capture_method"`
	ClientSecret       string            `json:"client_secret"`
	ConfirmationMethod string            `json:"confirmation_method"`
	Created            int64             `json:"created"`
	Currency           string            `json:"currency"`
	Customer           *string           `json:"customer"`
	Description        *string           `json:"description"`
	LastPaymentError   *errorBody        `json:"last_payment_error"`
	LatestCharge       *string           `json:"latest_charge"`
	Livemode           bool              `json:"livemode"`
	Metadata           map[string]string `json:"metadata"`
	NextAction         *nextAction       `json:"next_action"`
	PaymentMethod      *string           `json:"payment_method"`
	PaymentMethodTypes []string          `json:"payment_method_types"`
	SetupFutureUsage   *string           `json:"setup_future_usage"`
	Status             string            `json:"status"`
}

type nextAction struct {
	Type string `json:"type"`
}

type charge struct {
	ID                   string            `json:"id"`
	Object               string            `json:"object"`
	Amount               int64             `json:"amount"`
	AmountCaptured       int64             `json:"amount_captured"`
	AmountRefunded       int64             `json:"amount_refunded"`
	Captured             bool              `json:"captured"`
	Created              int64             `json:"created"`
	Currency             string            `json:"currency"`
	Customer             *string           `json:"customer"`
	Description          *string           `json:"description"`
	FailureCode          *string           `json:"failure_code"`
	FailureMessage       *string           `json:"failure_message"`
	Livemode             bool              `json:"livemode"`
	Metadata             map[string]string `json:"metadata"`
	Outcome              chargeOutcome     `json:"outcome"`
	Paid                 bool              `json:"paid"`
	PaymentIntent        *string           `json:"payment_intent"`
	PaymentMethod        *string           `json:"payment_method"`
	PaymentMethodDetails chargeDetails     `json:"payment_method_details"`
	Refunded             bool              `json:"refunded"`
	Status               string            `json:"status"`
}

type chargeOutcome struct {
	NetworkStatus string  `json:"network_status"`
	Reason        *string `json:"reason"`
	SellerMessage string  `json:"seller_message"`
	Type          string  `json:"type"`
}

type chargeDetails struct {
	Type string `json:"type"`
	Card card   `json:"card"`
}

type refund struct {
	ID            string            `json:"id"`
	Object        string            `json:"object"`
	Amount        int64             `json:"amount"`
	Charge        string            `json:"charge"`
	Created       int64             `json:"created"`
	Currency      string            `json:"currency"`
	Metadata      map[string]string `json:"metadata"`
	PaymentIntent string            `json:"payment_intent"`
	Reason        *string           `json:"reason"`
	Status        string            `json:"status"`
}

type session struct {
	ID                 string            `json:"id"`
	Object             string            `json:"object"`
	AmountSubtotal     *int64            `json:"amount_subtotal"`
	AmountTotal        *int64            `json:"amount_total"`
	CancelURL          *string           `json:"cancel_url"`
	ClientReferenceID  *string           `json:"client_reference_id"`
	Created            int64             `json:"created"`
	Currency           *string           `json:"currency"`
	Customer           *string           `json:"customer"`
	ExpiresAt          int64             `json:"expires_at"`
	Livemode           bool              `json:"livemode"`
	Metadata           map[string]string `json:"metadata"`
	Mode               string            `json:"mode"`
	PaymentIntent      *string           `json:"payment_intent"`
	PaymentMethodTypes []string          `json:"payment_method_types"`
	PaymentStatus      string            `json:"payment_status"`
	SetupIntent        *string           `json:"setup_intent"`
	Status             string            `json:"status"`
	SuccessURL         *string           `json:"success_url"`
	UIMode             string            `json:"ui_mode"`
	URL                *string           `json:"url"`
	Sandbox            *sessionPrivate   `json:"sandbox,omitempty"`
}

// sessionPrivate is what the page needs and the API does not show.
type sessionPrivate struct {
	Description    string            `json:"description"`
	IntentMetadata map[string]string `json:"intent_metadata"`
	SaveCard       bool              `json:"save_card"`
	Challenge      string            `json:"challenge,omitempty"` // payment method waiting for its owner's bank
}

type event struct {
	ID              string       `json:"id"`
	Object          string       `json:"object"`
	APIVersion      string       `json:"api_version"`
	Created         int64        `json:"created"`
	Data            eventData    `json:"data"`
	Livemode        bool         `json:"livemode"`
	PendingWebhooks int          `json:"pending_webhooks"`
	Request         eventRequest `json:"request"`
	Type            string       `json:"type"`
}

type eventData struct {
	Object json.RawMessage `json:"object"`
}

type eventRequest struct {
	IdempotencyKey *string `json:"idempotency_key"`
}

const apiVersion = "2023-10-16"

// subscribed are the events our webhook endpoint asks for; all others are only listed.
var subscribed = map[string]bool{
	"checkout.session.completed": true, "checkout.session.expired": true, "setup_intent.succeeded": true,
	"payment_intent.succeeded": true, "payment_intent.payment_failed": true, "payment_intent.canceled": true,
	"charge.refunded": true,
}

// emit records an event with the object as it is now, and owes its webhook.
func (t *tx) emit(kind string, object any, metadata map[string]string) {
	e := event{
		ID: newID("evt_"), Object: "event", APIVersion: apiVersion, Created: t.now.Unix(), Type: kind,
		Data: eventData{Object: render(object)},
	}
	if t.key != "" {
		e.Request.IdempotencyKey = &t.key
	}
	if subscribed[kind] {
		e.PendingWebhooks = 1
	}
	t.put(kindEvent, e.ID, e)
	if subscribed[kind] {
		body, err := json.Marshal(e)
		if err != nil {
			panic("sandbox: event cannot be written: " + err.Error())
		}
		t.owe(hook{Gateway: gatewayStripe, Type: kind, URL: t.s.o.Webhooks.StripeURL, Body: string(body)}, "", metadata)
	}
}

// render is an object as Stripe shows it: without what only the sandbox knows.
func render(object any) json.RawMessage {
	switch o := object.(type) {
	case *paymentMethod:
		shown := *o
		shown.Sandbox = nil
		object = shown
	case *session:
		shown := *o
		shown.Sandbox = nil
		object = shown
	}
	data, err := json.Marshal(object)
	if err != nil {
		panic("sandbox: object cannot be written: " + err.Error())
	}
	return data
}

func ptr[T any](v T) *T { return &v }

// optional is nil for the empty string, as Stripe shows what was never set.
func optional(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

func text(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

func unix(n int64) time.Time { return time.Unix(n, 0).UTC() }
