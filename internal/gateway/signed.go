package gateway

import (
	"strconv"
	"time"

	"github.com/kept-practice/kept/internal/policy"
)

// Freshness is how far a webhook's own timestamp may lie from now, either way.
const Freshness = 300 * time.Second

// ErrSignature is the one answer to every webhook whose origin is not proven: nobody learns which check it failed.
func ErrSignature(cause error) error {
	return &policy.Error{
		Kind: policy.Unauthenticated, Code: "bad_signature",
		Message: "The signature of this webhook is missing or not valid.", Cause: cause,
	}
}

// ErrUnreadable is the answer to a webhook that is signed but not in a form we can read; the gateway repeats it.
func ErrUnreadable(cause error) error {
	return &policy.Error{
		Kind: policy.Unreadable, Code: "unreadable_event",
		Message: "The signed body could not be read; it was set aside.", Cause: cause,
	}
}

// ParseUnix reads a canonical Unix time in seconds: digits only, no sign, no leading zero.
func ParseUnix(s string) (time.Time, bool) {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n <= 0 || n > 253402300799 || strconv.FormatInt(n, 10) != s {
		return time.Time{}, false
	}
	return time.Unix(n, 0).UTC(), true
}

// Fresh tells that at is within Freshness of now, before or after.
func Fresh(at, now time.Time) bool {
	d := now.Sub(at)
	return d <= Freshness && d >= -Freshness
}
