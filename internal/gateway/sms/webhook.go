package sms

import (
	"crypto/hmac"
	"crypto/sha1" //nolint:gosec // the carrier's scheme; as an HMAC it still holds
	"encoding/base64"
	"errors"
	"maps"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/kept-practice/kept/internal/gateway"
)

// SignatureHeader carries the base64 HMAC-SHA1.
const SignatureHeader = "X-Twilio-Signature"

// Status is one step of a text's way. There is no event id: SID and State together name it.
type Status struct {
	SID   string
	Ref   string // Message.Ref
	State string // queued, sent, delivered, undelivered, failed
	Code  string // error number, empty when all is well
}

// Inbound is a text from a person to one of our numbers.
type Inbound struct {
	SID    string
	From   string
	To     string
	Body   string
	OptOut string // STOP, START or HELP when the carrier understood and acted on it, else empty
}

// Sign is the carrier's signature over an address and the fields of a form POST: values of a repeated field are sorted and
// counted once.
func Sign(address string, form url.Values, token string) string {
	mac := hmac.New(sha1.New, []byte(token))
	mac.Write([]byte(address))
	for _, name := range slices.Sorted(maps.Keys(form)) {
		values := slices.Clone(form[name])
		slices.Sort(values)
		for _, v := range slices.Compact(values) {
			mac.Write([]byte(name))
			mac.Write([]byte(v))
		}
	}
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

// Verify proves a webhook and returns its fields. Address is the configured one, never made from Host; rawQuery is the query
// as received. Any one of the tokens is enough. There is no timestamp: repeats are recognised by message id.
// Errors: policy.Unauthenticated for everything unproven, policy.Unreadable for a proven body that is no form.
func Verify(address, rawQuery string, body []byte, signature string, tokens []string) (url.Values, error) {
	got, err := base64.StdEncoding.Strict().DecodeString(signature)
	if err != nil || len(got) != sha1.Size || base64.StdEncoding.EncodeToString(got) != signature {
		return nil, gateway.ErrSignature(errors.New("signature is not strict base64 of 20 bytes"))
	}
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return nil, gateway.ErrSignature(errors.New("body is not a form"))
	}
	if rawQuery != "" {
		address += "?" + rawQuery
	}
	valid := false
	for _, token := range tokens {
		if token != "" && hmac.Equal([]byte(Sign(address, form, token)), []byte(signature)) {
			valid = true
		}
	}
	if !valid {
		return nil, gateway.ErrSignature(errors.New("no token fits"))
	}
	for _, values := range form {
		if len(values) != 1 || !utf8.ValidString(values[0]) {
			return nil, gateway.ErrUnreadable(errors.New("a field occurs twice or is not UTF-8"))
		}
	}
	return form, nil
}

// ParseStatus reads a proven status callback; rawQuery holds our reference.
func ParseStatus(form url.Values, rawQuery string) (Status, error) {
	query, err := url.ParseQuery(rawQuery)
	if err != nil {
		return Status{}, gateway.ErrUnreadable(errors.New("query unreadable"))
	}
	s := Status{
		SID: form.Get("MessageSid"), Ref: query.Get("ref"),
		State: form.Get("MessageStatus"), Code: form.Get("ErrorCode"),
	}
	if s.SID == "" || s.State == "" {
		return Status{}, gateway.ErrUnreadable(errors.New("no message sid or status"))
	}
	return s, nil
}

// ParseInbound reads a proven inbound text.
func ParseInbound(form url.Values) (Inbound, error) {
	in := Inbound{
		SID: form.Get("MessageSid"), From: form.Get("From"), To: form.Get("To"), Body: form.Get("Body"),
		OptOut: strings.ToUpper(form.Get("OptOutType")),
	}
	if in.SID == "" || in.From == "" || in.To == "" {
		return Inbound{}, gateway.ErrUnreadable(errors.New("no message sid, sender or receiver"))
	}
	return in, nil
}
