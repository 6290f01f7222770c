package api

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/gin-gonic/gin"

	"github.com/kept-practice/kept/db"
	"github.com/kept-practice/kept/internal/policy"
)

// once carries a POST out one time per Idempotency-Key, however often it is sent within 24 hours: the first attempt's reply
// commits in one transaction with what the attempt did, and is repeated. Replies that only say "not now" are not stored, so the
// next attempt is carried out. An attempt whose process died has done nothing and holds the key for 10 seconds.
func (s *Server) once(op *huma.Operation) gin.HandlerFunc {
	resumes, _ := op.Metadata[resumesKey].(bool)
	unkept, _ := op.Metadata[unkeptKey].([]string)
	return func(c *gin.Context) {
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
		a := attempt{
			server: s, practice: r.caller.Practice, account: *r.caller.Key, key: given[0], hash: requestHash(c.Request, r.body),
			resumes: resumes, unkept: unkept,
		}
		claimed, err := a.claim(c)
		if err != nil {
			refuse(c, err)
		}
		if !claimed {
			return
		}
		a.carryOut(c)
	}
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
	lockedUntil time.Time // of the claim; proof that the key is still this attempt's
	resumes     bool      // the operation commits in steps that a repeat finishes
	unkept      []string  // members of the reply that are not stored
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
		return false, errInFlight()
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

func errInFlight() error {
	return &Problem{
		Status: http.StatusConflict, Code: "in_flight", header: http.Header{"Retry-After": {"1"}},
		Detail: "The same request is being carried out. Ask again in a moment for its reply.",
	}
}

// carryOut runs the operation, commits what it did together with its reply, and only then sends that. What the caller does
// meanwhile, hanging up included, changes nothing about the storing.
func (a *attempt) carryOut(c *gin.Context) {
	out := &heldReply{ResponseWriter: c.Writer, status: http.StatusOK}
	header := c.Writer.Header().Clone()
	c.Writer = out
	ctx := context.WithoutCancel(c.Request.Context())
	var held *db.Held
	if !a.resumes {
		var within context.Context
		within, held = a.server.deps.Store.Hold(c.Request.Context(), a.practice)
		c.Request = c.Request.WithContext(within)
	}
	stored := false
	defer func() {
		c.Writer = out.ResponseWriter
		if !stored {
			a.giveBack(ctx, held)
		}
	}()
	c.Next()
	if settled(out.status, requestOf(c.Request.Context()).code) {
		if err := a.store(ctx, held, out); err != nil {
			c.Writer = out.ResponseWriter
			clear(c.Writer.Header())
			maps.Copy(c.Writer.Header(), header)
			refuse(c, err)
			return
		}
		stored = true
	}
	out.send()
}

// settled tells a reply that a repeat should get again from one that only says "not now".
func settled(status int, code string) bool {
	return status < http.StatusInternalServerError && status != http.StatusTooManyRequests && status != statusClientGone &&
		code != "clock_advancing"
}

// store keeps the reply. With a transaction held it commits both, and an error says that nothing was done; an attempt that has
// lost its key to a later one must not commit. Without one there is nothing to lose but the reply.
func (a *attempt) store(ctx context.Context, held *db.Held, out *heldReply) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	body, err := without(out.body.Bytes(), a.unkept)
	if err != nil {
		return err
	}
	complete := db.IdempotencyCompleteParams{
		PracticeID: a.practice, Account: a.account, Key: a.key, LockedUntil: a.lockedUntil,
		Status: int32(out.status), ContentType: out.Header().Get("Content-Type"), Reply: body,
	}
	if held != nil && held.Begun() {
		return held.Commit(ctx, func(tx *db.Tx) error {
			n, err := tx.IdempotencyComplete(ctx, complete)
			if err == nil && n == 0 {
				err = errInFlight()
			}
			return err
		})
	}
	if _, err := a.server.deps.Store.In(a.practice).IdempotencyComplete(ctx, complete); err != nil {
		a.server.warn(errors.Join(errors.New("store the reply of an idempotent request"), err))
	}
	return nil
}

// without takes members out of a JSON object, and leaves a body that has none of them as it is.
func without(body []byte, names []string) ([]byte, error) {
	if len(names) == 0 {
		return body, nil
	}
	var object map[string]json.RawMessage
	if err := json.Unmarshal(body, &object); err != nil {
		return nil, fmt.Errorf("a reply with members that are not kept: %w", err)
	}
	before := len(object)
	for _, name := range names {
		delete(object, name)
	}
	if len(object) == before {
		return body, nil
	}
	return json.Marshal(object)
}

// giveBack undoes what the attempt did and frees its key.
func (a *attempt) giveBack(ctx context.Context, held *db.Held) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	var err error
	if held != nil {
		err = held.Rollback(ctx)
	}
	err = errors.Join(err, a.server.deps.Store.In(a.practice).IdempotencyRelease(ctx, db.IdempotencyReleaseParams{
		PracticeID: a.practice, Account: a.account, Key: a.key, LockedUntil: a.lockedUntil,
	}))
	if err != nil {
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
