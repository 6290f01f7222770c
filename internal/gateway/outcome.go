// Package gateway is what the clients of Stripe, SendGrid and the SMS carrier share: how a call ended, seen as the effects
// machine must see it, and the transport that makes this knowable.
package gateway

import (
	"time"

	"github.com/kept-practice/kept/internal/policy"
)

// State is how a call ended.
type State string

const (
	Accepted State = "accepted" // the gateway has it; what follows comes by event or look-up
	Refused  State = "refused"  // surely not done: 4xx, 429, declined, or never written to the wire
	Unclear  State = "unclear"  // may or may not have been done: timeout, reset, 5xx, an answer that cannot be read
)

// Codes that kept itself gives; all others are the gateway's own.
const (
	CodeNotSent    = "not_sent"   // nothing reached the wire
	CodeTimeout    = "timeout"    // no answer within the deadline
	CodeConnection = "connection" // the connection broke before the whole answer was read
	CodeUnreadable = "unreadable_answer"
	CodeInvalid    = "invalid_request" // refused by our own client before anything was sent
)

// Outcome is one call's end. Err is for the operator's log: it never holds an address, a body or a card.
type Outcome struct {
	State      State
	Reference  string        // the gateway's id of what was made or found; also on a decline that left an object behind
	Code       string        // decline code, the gateway's error code, or the HTTP status when there is none
	RetryAfter time.Duration // how long the gateway asks to wait; 0 when it does not say
	Final      bool          // refused, and the same request under the same key cannot succeed later
	Replayed   bool          // the answer is an earlier one, repeated because of its idempotency key
	Err        error
}

// OK tells an accepted call.
func (o Outcome) OK() bool { return o.State == Accepted }

// Retryable tells a sure refusal that may pass later: rate limits, a wrong key that gets mended, an unreachable gateway.
func (o Outcome) Retryable() bool { return o.State == Refused && !o.Final }

// Accept is the outcome of a call that the gateway took.
func Accept(reference string) Outcome { return Outcome{State: Accepted, Reference: reference} }

// RefuseInvalid is the final outcome of a request that our own client will not send.
func RefuseInvalid(pointer, code, detail string) Outcome {
	return Outcome{State: Refused, Final: true, Code: CodeInvalid, Err: policy.InvalidField(pointer, code, detail)}
}
