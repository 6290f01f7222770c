package sandbox

import (
	"context"
	"net"
	"net/http"
	"strconv"
	"time"
)

// strikeBefore answers for a fault that keeps the operation from running; false lets it run.
func (c *stripeCall) strikeBefore(f *Fault) bool {
	switch {
	case f.named(faultRefuse):
		c.fail(invalid("", "", "Refused by a fault of the sandbox."))
	case f.named(fault500Before):
		c.fail(apiFailure())
	case f.named(fault502):
		c.s.badGateway(c.w)
	case f.named(fault429):
		c.w.Header().Set("Retry-After", "1")
		c.fail(&stripeError{status: http.StatusTooManyRequests, body: errorBody{
			Type: "invalid_request_error", Code: "rate_limit", Message: "Too many requests hit the API too quickly.",
		}})
	case f.named(faultTimeoutBefore):
		hang(c.r.Context(), f)
	default:
		return false
	}
	return true
}

// strikeAfter answers once the operation is on disk.
func (c *stripeCall) strikeAfter(f *Fault, status int, body []byte) {
	switch {
	case f.named(fault500After):
		c.fail(apiFailure())
	case f.named(faultTimeoutAfter):
		hang(c.r.Context(), f)
	case f.named(faultReset):
		c.s.breakOff(c.w, status, body)
	case f.named(faultWrongJSON):
		c.write(status, []byte(`{"id": "pi_`))
	default:
		c.write(status, body)
	}
}

func (s *Server) badGateway(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "text/html")
	w.WriteHeader(http.StatusBadGateway)
	s.answer(w, []byte("<html><body><h1>502 Bad Gateway</h1></body></html>"))
}

// hang never answers: it holds the connection until the caller gives up, at most delay_ms or two minutes, and drops it.
func hang(ctx context.Context, f *Fault) {
	wait(ctx, f.delay(hangFor))
	panic(http.ErrAbortHandler)
}

func wait(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

// breakOff sends the head and half of the answer, then resets the connection. Without a body it resets before the head.
func (s *Server) breakOff(w http.ResponseWriter, status int, body []byte) {
	if len(body) > 0 {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Content-Length", strconv.Itoa(len(body)))
		w.WriteHeader(status)
		s.answer(w, body[:len(body)/2])
		if err := http.NewResponseController(w).Flush(); err != nil {
			panic(http.ErrAbortHandler)
		}
	}
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		err = tcp.SetLinger(0)
	}
	if closeErr := conn.Close(); err != nil || closeErr != nil {
		s.o.Logger.Debug("connection was gone before it was broken")
	}
}
