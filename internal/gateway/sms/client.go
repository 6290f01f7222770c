// Package sms sends texts through Twilio's Messages resource, looks up what became of them, and verifies its webhooks. Own
// code instead of Twilio's library: one form POST against 27 MB of generated source.
package sms

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/kept-practice/kept/internal/gateway"
)

// Codes of the carrier that callers act on.
const (
	CodeOptedOut   = "21610" // the number said STOP
	CodeBadNumber  = "21211" // not a phone number
	CodeNotAMobile = "21614"
)

const maxAnswer = 4 << 20

// Options configure a Client.
type Options struct {
	AccountSID string
	AuthToken  string
	From       string        // our number in E.164, or a messaging service id (MG…)
	BaseURL    string        // default https://api.twilio.com; the sandbox is <its address>/twilio
	StatusURL  string        // where status callbacks go; Message.Ref is added as ?ref=…
	Timeout    time.Duration // of one call; default and maximum gateway.CallTimeout
}

// Client is safe for concurrent use.
type Client struct {
	http *http.Client
	o    Options
}

// Message is one text. Ref is our opaque id; it comes back with every status callback.
type Message struct {
	To   string // E.164
	From string // empty: Options.From
	Body string
	Ref  string
}

// Sent is a message as the carrier remembers it.
type Sent struct {
	SID       string
	To        string
	Body      string
	Status    string // queued, sent, delivered, undelivered, failed
	ErrorCode string
	Created   time.Time
}

// New refuses missing credentials and unusable addresses.
func New(o Options) (*Client, error) {
	if o.AccountSID == "" || o.AuthToken == "" || o.From == "" {
		return nil, errors.New("sms: set TWILIO_ACCOUNT_SID, TWILIO_AUTH_TOKEN and TWILIO_FROM, or use the sandbox")
	}
	if o.BaseURL == "" {
		o.BaseURL = "https://api.twilio.com"
	}
	o.BaseURL = strings.TrimRight(o.BaseURL, "/")
	for _, address := range []string{o.BaseURL, o.StatusURL} {
		u, err := url.Parse(address)
		if address != "" && (err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https")) {
			return nil, fmt.Errorf("sms: %q is not an http(s) URL", address)
		}
	}
	if o.Timeout <= 0 || o.Timeout > gateway.CallTimeout {
		o.Timeout = gateway.CallTimeout
	}
	return &Client{http: gateway.NewHTTPClient(), o: o}, nil
}

// Send hands one text over. Accepted means queued; Reference is its sid. The carrier refuses numbers that said STOP with
// CodeOptedOut, finally.
func (c *Client) Send(ctx context.Context, m Message) gateway.Outcome {
	if out, ok := check(m); !ok {
		return out
	}
	from := m.From
	if from == "" {
		from = c.o.From
	}
	form := url.Values{"To": {m.To}, "Body": {m.Body}}
	if strings.HasPrefix(from, "MG") {
		form.Set("MessagingServiceSid", from)
	} else {
		form.Set("From", from)
	}
	if c.o.StatusURL != "" {
		form.Set("StatusCallback", withRef(c.o.StatusURL, m.Ref))
	}
	var made struct {
		SID string `json:"sid"`
	}
	out := c.call(ctx, http.MethodPost, "/Messages.json", form, &made)
	if out.OK() {
		out.Reference = made.SID
	}
	return out
}

// Lookup finds the texts to a number made at or after since whose body contains ref, for a send without a clear answer. Give
// as ref what only that text contains, such as the path of its link; "" finds all.
func (c *Client) Lookup(ctx context.Context, to string, since time.Time, ref string) ([]Sent, gateway.Outcome) {
	query := url.Values{"To": {to}, "DateSent>": {since.UTC().Format(time.DateOnly)}, "PageSize": {"200"}}
	var list struct {
		Messages []resource `json:"messages"`
	}
	out := c.call(ctx, http.MethodGet, "/Messages.json?"+query.Encode(), nil, &list)
	var found []Sent
	for _, r := range list.Messages {
		if s := r.sent(); strings.Contains(s.Body, ref) && !s.Created.Before(since.Truncate(time.Second)) {
			found = append(found, s)
		}
	}
	return found, out
}

// Fetch reads one text by its sid.
func (c *Client) Fetch(ctx context.Context, sid string) (Sent, gateway.Outcome) {
	var r resource
	out := c.call(ctx, http.MethodGet, "/Messages/"+url.PathEscape(sid)+".json", nil, &r)
	if out.OK() {
		out.Reference = r.SID
	}
	return r.sent(), out
}

// call makes one request and reads its JSON answer into into.
func (c *Client) call(ctx context.Context, method, path string, form url.Values, into any) gateway.Outcome {
	ctx, cancel := context.WithTimeout(ctx, c.o.Timeout)
	defer cancel()
	ctx, watch := gateway.Watch(ctx, method == http.MethodGet)
	address := c.o.BaseURL + "/2010-04-01/Accounts/" + url.PathEscape(c.o.AccountSID) + path
	req, err := http.NewRequestWithContext(ctx, method, address, strings.NewReader(form.Encode()))
	if err != nil {
		return gateway.RefuseInvalid("/base_url", "address", "the carrier's address cannot be used")
	}
	req.SetBasicAuth(c.o.AccountSID, c.o.AuthToken)
	if form != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	res, err := c.http.Do(req)
	if err != nil {
		return watch.Outcome(err)
	}
	body, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if closeErr := res.Body.Close(); err == nil {
		err = closeErr
	}
	if err == nil && res.StatusCode/100 == 2 {
		err = json.Unmarshal(body, into)
	}
	out := watch.Outcome(err)
	if res.StatusCode/100 == 4 {
		nameRefusal(&out, body)
	}
	return out
}

// nameRefusal takes the carrier's error number, never its message, which quotes the phone number.
func nameRefusal(out *gateway.Outcome, body []byte) {
	var e struct {
		Code int `json:"code"`
	}
	if json.Unmarshal(body, &e) == nil && e.Code != 0 {
		out.Err = fmt.Errorf("the carrier answered %s with error %d", out.Code, e.Code)
		out.Code = strconv.Itoa(e.Code)
	}
}

type resource struct {
	SID         string `json:"sid"`
	To          string `json:"to"`
	Body        string `json:"body"`
	Status      string `json:"status"`
	ErrorCode   *int   `json:"error_code"`
	DateCreated string `json:"date_created"`
}

func (r resource) sent() Sent {
	s := Sent{SID: r.SID, To: r.To, Body: r.Body, Status: r.Status}
	if r.ErrorCode != nil {
		s.ErrorCode = strconv.Itoa(*r.ErrorCode)
	}
	if at, err := time.Parse(time.RFC1123Z, r.DateCreated); err == nil {
		s.Created = at.UTC()
	}
	return s
}

func check(m Message) (gateway.Outcome, bool) {
	if len(m.To) < 8 || len(m.To) > 16 || m.To[0] != '+' || strings.Trim(m.To[1:], "0123456789") != "" {
		return gateway.RefuseInvalid("/to", "phone", "a text goes to one phone number in international form"), false
	}
	if strings.TrimSpace(m.Body) == "" || len(m.Body) > 6400 || strings.ContainsRune(m.Body, 0) {
		return gateway.RefuseInvalid("/body", "body", "a text needs 1 to 1,600 characters"), false
	}
	if m.Ref == "" {
		return gateway.RefuseInvalid("/ref", "empty", "a text needs the id its status comes back with"), false
	}
	return gateway.Outcome{}, true
}

func withRef(address, ref string) string {
	sep := "?"
	if strings.Contains(address, "?") {
		sep = "&"
	}
	return address + sep + "ref=" + url.QueryEscape(ref)
}
