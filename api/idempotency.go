package api

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/kept-practice/kept/db"
	"github.com/kept-practice/kept/internal/policy"
)

// once carries a POST out one time per Idempotency-Key, however often it is sent within 24 hours: the first attempt's reply
// is stored and repeated. Replies that only say "not now" are not stored, so the next attempt is carried out. An attempt
// whose process died holds the key for 30 seconds.
func (s *Server) once(c *gin.Context) {
	given := c.Request.Header.Values("Idempotency-Key")
	if len(given) == 0 {
		c.Next()
		return
	}
	if len(given) > 1 || !validIdempotencyKey(given[0]) {
		refuse(c, policy.InvalidField("header:Idempotency-Key", "invalid_idempotency_key",
			"Give Idempotency-Key once, as 1 to 255 visible ASCII characters."))
		return
	}
	r := requestOf(c.Request.Context())
	a := attempt{server: s, practice: r.caller.Practice, account: *r.caller.Key, key: given[0], hash: requestHash(c.Request, r.body)}
	claimed, err := a.claim(c)
	if err != nil {
		refuse(c, err)
	}
	if !claimed {
		return
	}
	a.carryOut(c)
}

func validIdempotencyKey(key string) bool {
	for i := range len(key) {
		if key[i] <= ' ' || key[i] > '~' {
			return false
		}
	}
	return len(key) >= 1 && len(key) <= 255
}

func requestHash(r *http.Request, body []byte) []byte {
	sum := sha256.New()
	fmt.Fprintf(sum, "%s\n%s\n", r.Method, r.URL.RequestURI())
	sum.Write(body)
	return sum.Sum(nil)
}

// attempt is one try at an idempotency key.
type attempt struct {
	server      *Server
	practice    policy.ID
	account     policy.ID
	key         string
	hash        []byte
	lockedUntil time.Time
}

// claim takes the key, or answers from what an earlier attempt left there.
func (a *attempt) claim(c *gin.Context) (claimed bool, err error) {
	ctx, queries := c.Request.Context(), a.server.deps.Store.In(a.practice)
	a.lockedUntil, err = queries.IdempotencyClaim(ctx, db.IdempotencyClaimParams{
		PracticeID: a.practice, Account: a.account, Key: a.key, RequestHash: a.hash,
	})
	if err == nil {
		return true, nil
	}
	if !db.NoRows(err) {
		return false, err
	}
	earlier, err := queries.IdempotencyRead(ctx, db.IdempotencyReadParams{PracticeID: a.practice, Account: a.account, Key: a.key})
	switch {
	case err != nil && !db.NoRows(err):
		return false, err
	case err == nil && !bytes.Equal(earlier.RequestHash, a.hash):
		return false, policy.InvalidField("header:Idempotency-Key", "idempotency_mismatch",
			"This Idempotency-Key was used for another request. Use a fresh key for each new request.")
	case err != nil || earlier.Status == nil: // no row: given back between the two statements
		return false, &Problem{
			Status: http.StatusConflict, Code: "in_flight", header: http.Header{"Retry-After": {"1"}},
			Detail: "The same request is being carried out. Ask again in a moment for its reply.",
		}
	}
	c.Header("Idempotent-Replayed", "true")
	contentType := ""
	if earlier.ContentType != nil {
		contentType = *earlier.ContentType
	}
	c.Abort()
	c.Data(int(*earlier.Status), contentType, earlier.Reply)
	return false, nil
}

// carryOut runs the operation, stores the reply and only then sends it. What the caller does meanwhile, hanging up
// included, changes nothing about the storing.
func (a *attempt) carryOut(c *gin.Context) {
	out := &heldReply{ResponseWriter: c.Writer, status: http.StatusOK}
	c.Writer = out
	stored := false
	ctx := context.WithoutCancel(c.Request.Context())
	defer func() {
		c.Writer = out.ResponseWriter
		if !stored {
			a.release(ctx)
		}
	}()
	c.Next()
	if settled(out.status, requestOf(c.Request.Context()).code) {
		a.store(ctx, out)
		stored = true
	}
	out.send()
}

// settled tells a reply that a repeat should get again from one that only says "not now".
func settled(status int, code string) bool {
	return status < http.StatusInternalServerError && status != http.StatusTooManyRequests && status != statusClientGone &&
		code != "clock_advancing"
}

func (a *attempt) store(ctx context.Context, out *heldReply) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	_, err := a.server.deps.Store.In(a.practice).IdempotencyComplete(ctx, db.IdempotencyCompleteParams{
		PracticeID: a.practice, Account: a.account, Key: a.key, LockedUntil: a.lockedUntil,
		Status: int32(out.status), ContentType: out.Header().Get("Content-Type"), Reply: out.body.Bytes(),
	})
	if err != nil {
		a.server.warn(errors.Join(errors.New("store the reply of an idempotent request"), err))
	}
}

func (a *attempt) release(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	if err := a.server.deps.Store.In(a.practice).IdempotencyRelease(ctx, db.IdempotencyReleaseParams{
		PracticeID: a.practice, Account: a.account, Key: a.key, LockedUntil: a.lockedUntil,
	}); err != nil {
		a.server.warn(errors.Join(errors.New("give an idempotency key back"), err))
	}
}

// heldReply keeps status and body back until the reply is stored. Headers go to the real writer, which has sent nothing yet.
type heldReply struct {
	gin.ResponseWriter
	status  int
	body    bytes.Buffer
	written bool
}

func (h *heldReply) WriteHeader(status int) {
	if status > 0 && !h.written {
		h.status = status
	}
}

func (h *heldReply) Write(p []byte) (int, error) {
	h.written = true
	return h.body.Write(p)
}

func (h *heldReply) WriteString(s string) (int, error) {
	h.written = true
	return h.body.WriteString(s)
}

func (h *heldReply) WriteHeaderNow() { h.written = true }
func (h *heldReply) Flush()          {}
func (h *heldReply) Status() int     { return h.status }
func (h *heldReply) Size() int       { return h.body.Len() }
func (h *heldReply) Written() bool   { return h.written }

func (h *heldReply) send() {
	h.ResponseWriter.WriteHeader(h.status)
	h.ResponseWriter.WriteHeaderNow()
	_, _ = h.ResponseWriter.Write(h.body.Bytes()) // the caller may be gone; a repeat gets the stored reply
}
