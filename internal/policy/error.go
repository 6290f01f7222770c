package policy

import "errors"

// ErrorKind says what an error means to whoever caused it. Package api maps it to an HTTP status, the worker to a retry.
type ErrorKind string

const (
	Unreadable      ErrorKind = "unreadable"      // could not be parsed at all
	Invalid         ErrorKind = "invalid"         // parsed, but outside the schema or a rule
	Unauthenticated ErrorKind = "unauthenticated" // no valid key, session or signature
	Forbidden       ErrorKind = "forbidden"       // known caller, not allowed
	NotFound        ErrorKind = "not_found"       // unknown, foreign, erased, or of another kind
	Gone            ErrorKind = "gone"            // was real once: cancelled, moved, replaced
	Conflict        ErrorKind = "conflict"        // the true state refuses
	Throttled       ErrorKind = "throttled"       // too many, try later
	Unavailable     ErrorKind = "unavailable"     // something the commit needs is away; nothing was done
	Internal        ErrorKind = "internal"        // our mistake
)

// Error has two audiences: Code for programs (lower snake case, listed in docs/errors.md) and Message, one sentence that
// tells a person what to do. Fields name what was wrong by JSON pointer, never by value. Cause is for the operator's log.
type Error struct {
	Kind    ErrorKind
	Code    string
	Message string
	Fields  []FieldError
	Facts   map[string]any // what a conflict shows the caller: alternatives, the current state; no personal data
	Cause   error
}

// FieldError points at one input field.
type FieldError struct {
	Pointer string `json:"pointer"`
	Code    string `json:"code"`
	Detail  string `json:"detail"`
}

func (e *Error) Error() string {
	if e.Cause != nil {
		return string(e.Kind) + ": " + e.Code + ": " + e.Cause.Error()
	}
	return string(e.Kind) + ": " + e.Code + ": " + e.Message
}

func (e *Error) Unwrap() error { return e.Cause }

// NewError is an error of a kind, with its code and its sentence.
func NewError(kind ErrorKind, code, message string) *Error {
	return &Error{Kind: kind, Code: code, Message: message}
}

// InvalidField is an Invalid error about one field.
func InvalidField(pointer, code, detail string) *Error {
	return &Error{Kind: Invalid, Code: code, Message: detail, Fields: []FieldError{{Pointer: pointer, Code: code, Detail: detail}}}
}

// KindOf is the kind of the first *Error in the chain, Internal when there is none.
func KindOf(err error) ErrorKind {
	var e *Error
	if errors.As(err, &e) {
		return e.Kind
	}
	return Internal
}

// CodeOf is the code of the first *Error in the chain, "" when there is none.
func CodeOf(err error) string {
	var e *Error
	if errors.As(err, &e) {
		return e.Code
	}
	return ""
}

// AtField says which input field a policy error is about; other errors pass through.
func AtField(pointer string, err error) error {
	var e *Error
	if !errors.As(err, &e) {
		return err
	}
	at := *e
	at.Fields = []FieldError{{Pointer: pointer, Code: e.Code, Detail: e.Message}}
	return &at
}
