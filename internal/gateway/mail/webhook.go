package mail

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/sendgrid/sendgrid-go/helpers/eventwebhook"

	"github.com/kept-practice/kept/internal/gateway"
)

// Headers of the signed event webhook.
const (
	SignatureHeader = eventwebhook.VerificationHTTPHeader
	TimestampHeader = eventwebhook.TimestampHTTPHeader
)

// Event is one element of a webhook's array. Raw is the element as received, for the inbox.
type Event struct {
	ID         string // sg_event_id; "sha256:…" of the element when SendGrid sent none
	Type       string // processed, delivered, bounce, dropped, deferred, spamreport, unsubscribe, …
	At         time.Time
	MessageRef string // Message.Ref; empty for mail that is not ours
	Practice   string // Message.Practice
	GatewayRef string // Outcome.Reference of the send
	Class      string // of a bounce: bounce (the address is dead) or blocked (refused this time)
	Reason     string // in the receiving server's words; may hold an address
	Raw        json.RawMessage
}

// ParseKey reads SendGrid's verification key: base64 of a DER public key on P-256, without PEM lines.
func ParseKey(s string) (*ecdsa.PublicKey, error) {
	der, err := base64.StdEncoding.Strict().DecodeString(strings.TrimSpace(s))
	if err != nil {
		return nil, errors.New("mail: the webhook key is not base64; copy it from SendGrid without PEM lines")
	}
	parsed, err := x509.ParsePKIXPublicKey(der)
	if err != nil {
		return nil, fmt.Errorf("mail: the webhook key is not a DER public key: %w", err)
	}
	key, ok := parsed.(*ecdsa.PublicKey)
	if !ok || key.Curve != elliptic.P256() {
		return nil, errors.New("mail: the webhook key is not an ECDSA key on P-256")
	}
	return key, nil
}

// Verify proves a webhook by its raw body; any one of the keys is enough. Its error is policy.Unauthenticated. Signatures are
// malleable, so repeats are recognised by event id, never by signature.
func Verify(body []byte, signature, timestamp string, keys []*ecdsa.PublicKey, now time.Time) error {
	at, ok := gateway.ParseUnix(timestamp)
	if !ok {
		return gateway.ErrSignature(errors.New("timestamp unreadable"))
	}
	if !gateway.Fresh(at, now) {
		return gateway.ErrSignature(errors.New("timestamp is more than 300 s off"))
	}
	der, err := base64.StdEncoding.Strict().DecodeString(signature)
	if err != nil || base64.StdEncoding.EncodeToString(der) != signature {
		return gateway.ErrSignature(errors.New("signature is not strict base64"))
	}
	hash := sha256.New()
	hash.Write([]byte(timestamp))
	hash.Write(body)
	sum := hash.Sum(nil)
	valid := false
	for _, key := range keys {
		if key != nil && ecdsa.VerifyASN1(key, sum, der) {
			valid = true
		}
	}
	if !valid {
		return gateway.ErrSignature(errors.New("no key fits"))
	}
	return nil
}

// ParseEvents reads a proven webhook. Elements stand alone: the odd ones come back as they are, beside the events. The error
// is policy.Unreadable, when the body is no array at all.
func ParseEvents(body []byte) (events []Event, odd []json.RawMessage, err error) {
	var elements []json.RawMessage
	if err := json.Unmarshal(body, &elements); err != nil || elements == nil {
		return nil, nil, gateway.ErrUnreadable(errors.New("not an array of events"))
	}
	for _, raw := range elements {
		if e, ok := parseEvent(raw); ok {
			events = append(events, e)
		} else {
			odd = append(odd, raw)
		}
	}
	return events, odd, nil
}

func parseEvent(raw json.RawMessage) (Event, bool) {
	var e struct {
		ID        string `json:"sg_event_id"`
		MessageID string `json:"sg_message_id"`
		Event     string `json:"event"`
		Type      string `json:"type"`
		Reason    string `json:"reason"`
		Timestamp int64  `json:"timestamp"`
		Message   string `json:"message"`
		Practice  string `json:"practice"`
	}
	if gateway.StrictJSON(raw) != nil || json.Unmarshal(raw, &e) != nil || e.Event == "" || e.Timestamp <= 0 {
		return Event{}, false
	}
	if e.ID == "" {
		sum := sha256.Sum256(raw)
		e.ID = "sha256:" + hex.EncodeToString(sum[:])
	}
	reference, _, _ := strings.Cut(e.MessageID, ".") // SendGrid appends where it was filtered
	return Event{
		ID: e.ID, Type: e.Event, At: time.Unix(e.Timestamp, 0).UTC(), MessageRef: e.Message, Practice: e.Practice,
		GatewayRef: reference, Class: e.Type, Reason: e.Reason, Raw: raw,
	}, true
}
