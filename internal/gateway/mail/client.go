// Package mail sends through SendGrid's v3 API and verifies its event webhook. The send call knows no idempotency key and no
// look-up, so a call without a clear answer stays unclear until an event tells.
package mail

import (
	"context"
	"errors"
	"fmt"
	netmail "net/mail"
	"net/url"
	"strings"
	"time"

	"github.com/sendgrid/rest"
	"github.com/sendgrid/sendgrid-go"
	sg "github.com/sendgrid/sendgrid-go/helpers/mail"

	"github.com/kept-practice/kept/internal/gateway"
)

// Custom arguments that come back with every event.
const (
	argMessage  = "message"
	argPractice = "practice"
)

// Options configure a Client.
type Options struct {
	Key     string        // API key with the "Mail Send" permission
	BaseURL string        // default https://api.sendgrid.com; the sandbox is <its address>/sendgrid
	Timeout time.Duration // of one call; default and maximum gateway.CallTimeout
}

// Client is safe for concurrent use.
type Client struct {
	http    rest.Client
	key     string
	base    string
	timeout time.Duration
}

// Address is a mailbox with the name shown for it.
type Address struct {
	Name  string
	Email string
}

// Message is one mail to one person. Ref and Practice are opaque ids that come back with its events; Subject and headers name
// no service and no condition, because they are the least private parts of a mail.
type Message struct {
	From        Address
	ReplyTo     *Address
	To          Address
	Subject     string
	Text        string
	HTML        string
	Ref         string
	Practice    string
	Unsubscribe string // https address for one-click unsubscribe (RFC 8058); empty for transactional mail
}

// New refuses a missing key and an unusable base address.
func New(o Options) (*Client, error) {
	if o.Key == "" {
		return nil, errors.New("mail: no API key; set SENDGRID_API_KEY, or use the sandbox")
	}
	if o.BaseURL == "" {
		o.BaseURL = "https://api.sendgrid.com"
	}
	if u, err := url.Parse(o.BaseURL); err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
		return nil, fmt.Errorf("mail: base address %q is not an http(s) URL", o.BaseURL)
	}
	if o.Timeout <= 0 || o.Timeout > gateway.CallTimeout {
		o.Timeout = gateway.CallTimeout
	}
	return &Client{
		http: rest.Client{HTTPClient: gateway.NewHTTPClient()}, key: o.Key,
		base: strings.TrimRight(o.BaseURL, "/"), timeout: o.Timeout,
	}, nil
}

// Send hands one mail over. Accepted means queued by SendGrid; delivery is told by events. Reference is its message id.
func (c *Client) Send(ctx context.Context, m Message) gateway.Outcome {
	if out, ok := check(m); !ok {
		return out
	}
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	ctx, watch := gateway.Watch(ctx, false)
	request := sendgrid.GetRequest(c.key, "/v3/mail/send", c.base)
	request.Method = rest.Post
	request.Body = sg.GetRequestBody(build(m))
	_, err := c.http.SendWithContext(ctx, request)
	out := watch.Outcome(err)
	if watch.Status()/100 == 2 { // its body is empty; the status alone is the promise
		out = gateway.Accept(watch.Header("X-Message-Id"))
	}
	return out
}

func build(m Message) *sg.SGMailV3 {
	v3 := sg.NewV3Mail()
	v3.SetFrom(sg.NewEmail(m.From.Name, m.From.Email))
	v3.Subject = m.Subject
	if m.ReplyTo != nil {
		v3.SetReplyTo(sg.NewEmail(m.ReplyTo.Name, m.ReplyTo.Email))
	}
	person := sg.NewPersonalization()
	person.AddTos(sg.NewEmail(m.To.Name, m.To.Email))
	person.SetCustomArg(argMessage, m.Ref)
	if m.Practice != "" {
		person.SetCustomArg(argPractice, m.Practice)
	}
	v3.AddPersonalizations(person)
	v3.AddContent(sg.NewContent("text/plain", m.Text))
	if m.HTML != "" {
		v3.AddContent(sg.NewContent("text/html", m.HTML))
	}
	if m.Unsubscribe != "" {
		v3.SetHeader("List-Unsubscribe", "<"+m.Unsubscribe+">")
		v3.SetHeader("List-Unsubscribe-Post", "List-Unsubscribe=One-Click")
	}
	// Tracking would rewrite our links, tokens included, to a third party's host.
	v3.SetTrackingSettings(sg.NewTrackingSettings().
		SetClickTracking(sg.NewClickTrackingSetting().SetEnable(false).SetEnableText(false)).
		SetOpenTracking(sg.NewOpenTrackingSetting().SetEnable(false)))
	return v3
}

// check refuses what SendGrid would refuse, and line breaks, which could smuggle headers.
func check(m Message) (gateway.Outcome, bool) {
	for _, f := range []struct{ pointer, value string }{
		{"/subject", m.Subject},
		{"/from/name", m.From.Name},
		{"/to/name", m.To.Name},
		{"/unsubscribe", m.Unsubscribe},
		{"/from/email", m.From.Email},
		{"/to/email", m.To.Email},
	} {
		if strings.ContainsAny(f.value, "\r\n\x00") {
			return gateway.RefuseInvalid(f.pointer, "line_break", "line breaks are not allowed here"), false
		}
	}
	for pointer, address := range map[string]string{"/from/email": m.From.Email, "/to/email": m.To.Email} {
		if parsed, err := netmail.ParseAddress(address); err != nil || parsed.Address != address {
			return gateway.RefuseInvalid(pointer, "mail_address", "this is not one plain mail address"), false
		}
	}
	switch {
	case strings.TrimSpace(m.Subject) == "":
		return gateway.RefuseInvalid("/subject", "empty", "a mail needs a subject"), false
	case m.Text == "":
		return gateway.RefuseInvalid("/text", "empty", "a mail needs a text part"), false
	case m.Ref == "":
		return gateway.RefuseInvalid("/ref", "empty", "a mail needs the id its events come back with"), false
	}
	return gateway.Outcome{}, true
}
