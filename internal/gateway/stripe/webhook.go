package stripe

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"strings"
	"time"

	api "github.com/stripe/stripe-go/v76"
	"github.com/stripe/stripe-go/v76/event"
	"github.com/stripe/stripe-go/v76/webhook"

	"github.com/kept-practice/kept/internal/gateway"
)

// SignatureHeader carries t=…,v1=… .
const SignatureHeader = "Stripe-Signature"

// Event is what we believe of an event: that something happened to an object. What it is now, the object itself is asked.
type Event struct {
	ID       string
	Type     string
	ObjectID string // empty when the event names none
	Account  string // connected account, empty for our own
	Livemode bool
	Created  time.Time
}

// Verify proves a webhook by its raw body and reads who it speaks of. Any one of the secrets and any one v1 signature is
// enough. Errors: policy.Unauthenticated for everything unproven, policy.Unreadable for a proven body without id and type.
func Verify(payload []byte, header string, secrets []string, now time.Time) (Event, error) {
	at, signatures, err := parseHeader(header)
	if err != nil {
		return Event{}, gateway.ErrSignature(err)
	}
	if !gateway.Fresh(at, now) {
		return Event{}, gateway.ErrSignature(errors.New("timestamp is more than 300 s off"))
	}
	if !anyValid(payload, at, signatures, secrets) {
		return Event{}, gateway.ErrSignature(errors.New("no signature fits"))
	}
	return parseEvent(payload)
}

// parseHeader is stricter than the library: one canonical t, lower-case hex of full length, no pair that is not key=value.
func parseHeader(header string) (time.Time, [][]byte, error) {
	var at time.Time
	var signatures [][]byte
	if len(header) > 4096 {
		return at, nil, errors.New("header too long")
	}
	for _, pair := range strings.Split(header, ",") {
		key, value, ok := strings.Cut(pair, "=")
		if !ok || key == "" || value == "" {
			return at, nil, errors.New("header is not key=value")
		}
		switch key {
		case "t":
			t, ok := gateway.ParseUnix(value)
			if !ok || !at.IsZero() {
				return at, nil, errors.New("timestamp unreadable or doubled")
			}
			at = t
		case "v1":
			mac, err := hex.DecodeString(value)
			if err != nil || len(mac) != sha256.Size || strings.ToLower(value) != value {
				return at, nil, errors.New("signature is not 64 lower-case hex digits")
			}
			signatures = append(signatures, mac)
		}
	}
	if at.IsZero() || len(signatures) == 0 {
		return at, nil, errors.New("no timestamp or no v1 signature")
	}
	return at, signatures, nil
}

// anyValid compares every signature with every secret, so its time does not tell which one fitted.
func anyValid(payload []byte, at time.Time, signatures [][]byte, secrets []string) bool {
	valid := false
	for _, secret := range secrets {
		if secret == "" {
			continue
		}
		want := webhook.ComputeSignature(at, payload, secret)
		for _, got := range signatures {
			if hmac.Equal(want, got) {
				valid = true
			}
		}
	}
	return valid
}

func parseEvent(payload []byte) (Event, error) {
	if err := gateway.StrictJSON(payload); err != nil {
		return Event{}, gateway.ErrUnreadable(err)
	}
	var body struct {
		ID       string `json:"id"`
		Type     string `json:"type"`
		Account  string `json:"account"`
		Created  int64  `json:"created"`
		Livemode bool   `json:"livemode"`
		Data     struct {
			Object struct {
				ID string `json:"id"`
			} `json:"object"`
		} `json:"data"`
	}
	if err := json.Unmarshal(payload, &body); err != nil {
		return Event{}, gateway.ErrUnreadable(errors.New("not an event of a known form"))
	}
	if body.ID == "" || body.Type == "" || len(body.ID) > 255 || len(body.Type) > 255 {
		return Event{}, gateway.ErrUnreadable(errors.New("event without id or type"))
	}
	return Event{
		ID: body.ID, Type: body.Type, ObjectID: body.Data.Object.ID, Account: body.Account,
		Livemode: body.Livemode, Created: time.Unix(body.Created, 0).UTC(),
	}, nil
}

// ListEvents reads events made at or after since, newest first, at most 100, for reconciling after webhooks were lost.
// Before is the id of an event to go on behind; more tells that there are further ones.
func (c *Client) ListEvents(ctx context.Context, since time.Time, before string) (events []Event, more bool, out gateway.Outcome) {
	out = c.call(ctx, func(ctx context.Context) (string, error) {
		p := &api.EventListParams{CreatedRange: &api.RangeQueryParams{GreaterThanOrEqual: since.Unix()}}
		p.Context, p.Single, p.Limit = ctx, true, api.Int64(100)
		if before != "" {
			p.StartingAfter = api.String(before)
		}
		iter := event.Client{B: c.backend, Key: c.key}.List(p)
		for iter.Next() {
			e := iter.Event()
			found := Event{ID: e.ID, Type: string(e.Type), Account: e.Account, Livemode: e.Livemode, Created: time.Unix(e.Created, 0).UTC()}
			if e.Data != nil {
				found.ObjectID, _ = e.Data.Object["id"].(string)
			}
			events = append(events, found)
		}
		more = iter.Meta() != nil && iter.Meta().HasMore
		return "", iter.Err()
	})
	return events, more, out
}
