package main

import (
	"crypto/ecdsa"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/kept-practice/kept/api"
	"github.com/kept-practice/kept/internal/gateway"
	"github.com/kept-practice/kept/internal/gateway/mail"
	"github.com/kept-practice/kept/internal/gateway/sms"
	"github.com/kept-practice/kept/internal/gateway/stripe"
)

// verifiers are those of the gateways as configured. Where a secret is missing nothing is ever proven.
func verifiers(c config) (api.Verifiers, error) {
	secrets := make([]string, len(c.Stripe.WebhookSecrets))
	for i, s := range c.Stripe.WebhookSecrets {
		secrets[i] = s.Reveal()
	}
	mailVerifier, err := newMailVerifier(c.SendGrid.WebhookKeys)
	if err != nil {
		return api.Verifiers{}, fmt.Errorf("SENDGRID_WEBHOOK_KEYS: %w", err)
	}
	tokens := []string{c.Twilio.AuthToken.Reveal()}
	return api.Verifiers{
		Stripe: newStripeVerifier(secrets), SendGrid: mailVerifier,
		SMSStatus:  newSMSVerifier(c.hookURL("/hooks/sms/status"), tokens, textStatus),
		SMSInbound: newSMSVerifier(c.hookURL("/hooks/sms/inbound"), tokens, textInbound),
	}, nil
}

// verifier makes a function an api.Verifier.
type verifier func(header http.Header, rawQuery string, body []byte) ([]api.HookEvent, error)

func (v verifier) Verify(header http.Header, rawQuery string, body []byte) ([]api.HookEvent, error) {
	return v(header, rawQuery, body)
}

// single is a header that was sent exactly once; two of them are as good as none.
func single(header http.Header, name string) string {
	if values := header.Values(name); len(values) == 1 {
		return values[0]
	}
	return ""
}

func newStripeVerifier(secrets []string) verifier {
	return func(header http.Header, _ string, body []byte) ([]api.HookEvent, error) {
		event, err := stripe.Verify(body, single(header, stripe.SignatureHeader), secrets, time.Now())
		if err != nil {
			return nil, err
		}
		return hookEvents(event.ID, event.Type, event)
	}
}

func newMailVerifier(encoded []string) (verifier, error) {
	var keys []*ecdsa.PublicKey
	for _, text := range encoded {
		key, err := mail.ParseKey(text)
		if err != nil {
			return nil, err
		}
		keys = append(keys, key)
	}
	return func(header http.Header, _ string, body []byte) ([]api.HookEvent, error) {
		err := mail.Verify(body, single(header, mail.SignatureHeader), single(header, mail.TimestampHeader), keys, time.Now())
		if err != nil {
			return nil, err
		}
		events, odd, err := mail.ParseEvents(body)
		if err != nil {
			return nil, err
		}
		out := make([]api.HookEvent, 0, len(events)+len(odd))
		for _, e := range events {
			one, err := hookEvents(e.ID, e.Type, e)
			if err != nil {
				return nil, err
			}
			out = append(out, one...)
		}
		for _, raw := range odd {
			out = append(out, api.HookEvent{Body: raw, Odd: "not an event of a known form"})
		}
		return out, nil
	}, nil
}

// newSMSVerifier proves callbacks to one address of ours, which is part of what is signed, and never taken from the request.
func newSMSVerifier(address string, tokens []string, read func(form url.Values, rawQuery string) ([]api.HookEvent, error)) verifier {
	return func(header http.Header, rawQuery string, body []byte) ([]api.HookEvent, error) {
		form, err := sms.Verify(address, rawQuery, body, single(header, sms.SignatureHeader), tokens)
		if err != nil {
			return nil, err
		}
		return read(form, rawQuery)
	}
}

func textStatus(form url.Values, rawQuery string) ([]api.HookEvent, error) {
	status, err := sms.ParseStatus(form, rawQuery)
	if err != nil {
		return nil, err
	}
	return hookEvents(status.SID+"/"+status.State, "status", status)
}

func textInbound(form url.Values, _ string) ([]api.HookEvent, error) {
	in, err := sms.ParseInbound(form)
	if err != nil {
		return nil, err
	}
	return hookEvents(in.SID, "inbound", in)
}

// hookEvents is one event in the form in which it waits in the inbox.
func hookEvents(id, kind string, event any) ([]api.HookEvent, error) {
	body, err := json.Marshal(event)
	if err != nil {
		return nil, gateway.ErrUnreadable(errors.Join(errors.New("the event cannot be written down"), err))
	}
	return []api.HookEvent{{ID: id, Type: kind, Body: body}}, nil
}
