package gateway

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strconv"
	"sync"
	"time"
)

// CallTimeout is how long one gateway call may take. It is kept below the 13 s of an activity, so that a step always
// lives to record what it knows.
const CallTimeout = 10 * time.Second

// NewHTTPClient is the client every gateway package uses: it follows no redirects (a gateway that redirects is not the one
// we configured), retries nothing by itself, and reports to the Call in the request's context.
func NewHTTPClient() *http.Client {
	dialer := &net.Dialer{Timeout: 3 * time.Second, KeepAlive: 30 * time.Second}
	return &http.Client{
		Transport: recorder{&http.Transport{
			Proxy:                 http.ProxyFromEnvironment,
			DialContext:           dialer.DialContext,
			ForceAttemptHTTP2:     true,
			MaxIdleConnsPerHost:   32,
			IdleConnTimeout:       30 * time.Second,
			TLSHandshakeTimeout:   5 * time.Second,
			ExpectContinueTimeout: time.Second,
		}},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// Call watches one request: whether it can have reached the gateway, and with what status and headers it was answered.
type Call struct {
	mu     sync.Mutex
	sticky bool // net/http may repeat the request by itself, so one hand-over counts for all
	handed bool
	wrote  bool
	status int
	header http.Header
}

// Watch returns a context under which exactly one request is made. Set repeats when the request carries an
// Idempotency-Key header or is a GET: net/http repeats only those after bytes may have left.
func Watch(ctx context.Context, repeats bool) (context.Context, *Call) {
	c := &Call{sticky: repeats}
	trace := &httptrace.ClientTrace{
		GetConn: func(string) {
			c.mu.Lock()
			c.handed = c.handed && c.sticky
			c.mu.Unlock()
		},
		GotConn: func(httptrace.GotConnInfo) {
			c.mu.Lock()
			c.handed = true
			c.mu.Unlock()
		},
		WroteRequest: func(info httptrace.WroteRequestInfo) {
			c.mu.Lock()
			c.wrote = c.wrote || info.Err == nil
			c.mu.Unlock()
		},
	}
	return context.WithValue(httptrace.WithClientTrace(ctx, trace), callKey{}, c), c
}

// Header is a response header of the answer, "" when there was none.
func (c *Call) Header(name string) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.header.Get(name)
}

// Status is the answer's HTTP status, 0 when no answer came.
func (c *Call) Status() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.status
}

// NeverWritten tells that nothing of the request can have reached the gateway. A request handed to a connection counts as
// written even when WroteRequest did not report: net/http's writer may still be flushing it while the caller gives up.
func (c *Call) NeverWritten() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.status == 0 && !c.wrote && !c.handed
}

// Outcome classifies the call by its status and by err, the error of sending or of reading the answer. It is never Accepted
// with an error; a caller that can prove more (a 202 whose body does not matter) says so itself.
func (c *Call) Outcome(err error) Outcome {
	status := c.Status()
	out := Outcome{
		State: Unclear, Code: strconv.Itoa(status), RetryAfter: c.retryAfter(),
		Replayed: c.Header("Idempotent-Replayed") == "true", Err: Scrub(err),
	}
	switch {
	case status == 0 && c.NeverWritten():
		out.State, out.Code = Refused, CodeNotSent
	case status == 0 && isTimeout(err):
		out.Code = CodeTimeout
	case status == 0:
		out.Code = CodeConnection
	case status/100 == 2 && err == nil:
		out.State, out.Code = Accepted, ""
	case status/100 == 2 && isTimeout(err):
		out.Code = CodeTimeout
	case status/100 == 2:
		out.Code = CodeUnreadable
	case status/100 == 4:
		out.State, out.Final = Refused, finalStatus(status)
	}
	if out.State != Accepted && out.Err == nil {
		out.Err = fmt.Errorf("answered with status %d", status)
	}
	return out
}

// finalStatus tells the refusals that repeat for ever from those that a person or time can mend.
func finalStatus(status int) bool {
	switch status {
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusProxyAuthRequired, http.StatusRequestTimeout,
		http.StatusConflict, http.StatusTooEarly, http.StatusTooManyRequests:
		return false
	}
	return true
}

// retryAfter reads Retry-After in seconds, or SendGrid's X-RateLimit-Reset (an instant) on a 429.
func (c *Call) retryAfter() time.Duration {
	if seconds, err := strconv.ParseInt(c.Header("Retry-After"), 10, 32); err == nil && seconds > 0 {
		return time.Duration(seconds) * time.Second
	}
	if reset, err := strconv.ParseInt(c.Header("X-RateLimit-Reset"), 10, 64); err == nil && c.Status() == http.StatusTooManyRequests {
		return min(max(time.Until(time.Unix(reset, 0)), time.Second), time.Hour)
	}
	return 0
}

// Scrub takes the request's address out of a transport error, since query strings hold phone numbers.
func Scrub(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		return fmt.Errorf("%s: %w", u.Op, u.Err)
	}
	return err
}

func isTimeout(err error) bool {
	var n net.Error
	return errors.Is(err, context.DeadlineExceeded) || (errors.As(err, &n) && n.Timeout())
}

type callKey struct{}

// recorder copies the status and headers of each answer into the Call of its context.
type recorder struct{ next http.RoundTripper }

func (r recorder) RoundTrip(req *http.Request) (*http.Response, error) {
	res, err := r.next.RoundTrip(req)
	if c, ok := req.Context().Value(callKey{}).(*Call); ok && err == nil {
		c.mu.Lock()
		c.status, c.header = res.StatusCode, res.Header
		c.mu.Unlock()
	}
	return res, err
}
