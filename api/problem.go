package api

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/gin-gonic/gin"

	"github.com/kept-practice/kept/db"
	"github.com/kept-practice/kept/internal/policy"
)

// Problem is the body of every answer from 400 on (RFC 9457). It names fields by pointer and repeats no value that was
// sent; what went wrong inside stays in the log, under the same request id.
type Problem struct {
	Type      string              `json:"type" format:"uri" doc:"The page that explains this code."`
	Title     string              `json:"title" doc:"The code in words; the same for every occurrence."`
	Status    int                 `json:"status" doc:"The HTTP status."`
	Detail    string              `json:"detail" doc:"What happened and what to do, for a person."`
	Instance  string              `json:"instance" format:"uri" doc:"This occurrence."`
	Code      string              `json:"code" doc:"For programs; docs/errors.md lists all." example:"slot_taken"`
	DocURL    string              `json:"doc_url" format:"uri"`
	RequestID string              `json:"request_id" doc:"Name it when you ask for help."`
	Errors    []policy.FieldError `json:"errors,omitempty" doc:"Every field that was refused: a JSON pointer into the body, or path:, query: or header: and a name."`
	Facts     map[string]any      `json:"facts,omitempty" doc:"With a conflict: the current state or the alternatives."`

	header http.Header
	cause  error
}

// statusOfKind is the whole mapping from what went wrong to HTTP. Refusals below the level of meaning (size, type, method,
// time) have no kind and bring their own status.
var statusOfKind = map[policy.ErrorKind]int{
	policy.Unreadable:      http.StatusBadRequest,
	policy.Invalid:         http.StatusUnprocessableEntity,
	policy.Unauthenticated: http.StatusUnauthorized,
	policy.Forbidden:       http.StatusForbidden,
	policy.NotFound:        http.StatusNotFound,
	policy.Gone:            http.StatusGone,
	policy.Conflict:        http.StatusConflict,
	policy.Throttled:       http.StatusTooManyRequests,
	policy.Unavailable:     http.StatusServiceUnavailable,
	policy.Internal:        http.StatusInternalServerError,
}

// statusClientGone is logged, never read: the caller hung up before the answer.
const statusClientGone = 499

func (p *Problem) Error() string { return p.Code + ": " + p.Detail }

// GetStatus, GetHeaders and ContentType let huma write a Problem as it is.
func (p *Problem) GetStatus() int            { return p.Status }
func (p *Problem) GetHeaders() http.Header   { return p.header }
func (p *Problem) ContentType(string) string { return "application/problem+json" }

// protocolError refuses a request that never got as far as a meaning.
func protocolError(status int, code, message string) *Problem {
	return &Problem{Status: status, Code: code, Detail: message}
}

// problem makes the answer to an error. An error that no table knows is Internal, and its text is only logged.
func (r *request) problem(err error) *Problem {
	p := &Problem{}
	var known *policy.Error
	switch err = db.Classify(err); {
	case errors.As(err, &p):
		copied := *p
		p = &copied
	case errors.As(err, &known) && statusOfKind[known.Kind] != 0 && known.Kind != policy.Internal:
		*p = Problem{Status: statusOfKind[known.Kind], Code: known.Code, Detail: known.Message, Errors: known.Fields, Facts: wireFacts(known.Facts), cause: known.Cause}
	case errors.Is(err, context.Canceled):
		*p = Problem{Status: statusClientGone, Code: "client_gone", Detail: "The caller hung up before the answer was ready.", cause: err}
	case errors.Is(err, context.DeadlineExceeded):
		*p = Problem{
			Status: http.StatusServiceUnavailable, Code: "took_too_long",
			Detail: "The answer was not ready in time. Try again, with the same Idempotency-Key if it was a POST.", cause: err,
		}
	default:
		*p = Problem{
			Status: http.StatusInternalServerError, Code: "internal",
			Detail: "Something went wrong on our side. It has been logged under this request's id; try again later.", cause: err,
		}
	}
	p.Title = titleOf(p.Code)
	p.RequestID, p.Instance = r.id, "urn:kept:request:"+r.id
	p.Type = r.server.deps.BaseURL + "/docs/errors#" + p.Code
	p.DocURL = p.Type
	p.header = p.header.Clone()
	if p.header == nil {
		p.header = http.Header{}
	}
	switch {
	case p.Status == http.StatusUnauthorized:
		p.header.Set("WWW-Authenticate", `Bearer realm="kept"`)
	case p.Status == http.StatusServiceUnavailable && p.header.Get("Retry-After") == "":
		p.header.Set("Retry-After", "2")
	}
	r.code, r.cause = p.Code, p.cause
	return p
}

// refuse writes the problem and ends the request.
func refuse(c *gin.Context, err error) {
	p := requestOf(c.Request.Context()).problem(err)
	for name, values := range p.header {
		c.Writer.Header()[name] = slices.Clone(values)
	}
	c.Abort()
	if c.Writer.Written() {
		return
	}
	body, marshalErr := json.Marshal(p)
	if marshalErr != nil { // facts that cannot be written: the rest still can
		p.Facts = nil
		requestOf(c.Request.Context()).cause = errors.Join(p.cause, marshalErr)
		body, _ = json.Marshal(p)
	}
	c.Data(p.Status, p.ContentType(""), append(body, '\n'))
}

// titleOf is a code in words: slot_taken → "Slot taken".
func titleOf(code string) string {
	words := strings.ReplaceAll(code, "_", " ")
	if words == "" {
		return ""
	}
	return strings.ToUpper(words[:1]) + words[1:]
}
