package sandbox

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"time"
)

const (
	keyLife  = 24 * time.Hour
	maxForm  = 1 << 20
	hangFor  = 2 * time.Minute // how long an unanswered call holds its connection, unless the caller goes first
	replayed = "Idempotent-Replayed"
)

// savedReply is the first answer to an idempotency key.
type savedReply struct {
	Fingerprint string    `json:"fingerprint"`
	Status      int       `json:"status"`
	Body        string    `json:"body"`
	At          time.Time `json:"at"`
}

// stripeOp is one operation: it validates, then changes, inside one transaction.
type stripeOp struct {
	name string
	run  func(t *tx, id string, f form) (any, *stripeError)
}

// stripeCall is one request on its way.
type stripeCall struct {
	s   *Server
	w   http.ResponseWriter
	r   *http.Request
	op  stripeOp
	f   form
	key string // account and idempotency key, "" for reads and for writes without one
}

func (s *Server) stripe(op stripeOp) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Request-Id", newID("req_"))
		w.Header().Set("Stripe-Version", apiVersion)
		c := &stripeCall{s: s, w: w, r: r, op: op}
		secret, ok := bearer(r)
		if !ok {
			c.fail(&stripeError{status: http.StatusUnauthorized, body: errorBody{
				Type: "invalid_request_error", Message: "You did not provide a secret API key (sk_test_…).",
			}})
			return
		}
		if err := c.readForm(); err != nil {
			c.fail(err)
			return
		}
		if idem := r.Header.Get("Idempotency-Key"); idem != "" && r.Method == http.MethodPost {
			account := sha256.Sum256([]byte(secret))
			c.key = hex.EncodeToString(account[:4]) + "|" + idem
		}
		c.serve()
	}
}

// bearer takes test keys only: a live key pasted into a sandbox configuration is a mistake worth hearing about.
func bearer(r *http.Request) (string, bool) {
	key, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	return key, ok && (strings.HasPrefix(key, "sk_test_") || strings.HasPrefix(key, "rk_test_"))
}

func (c *stripeCall) readForm() *stripeError {
	if c.r.Method == http.MethodGet {
		c.f = form(c.r.URL.Query())
		return nil
	}
	c.r.Body = http.MaxBytesReader(c.w, c.r.Body, maxForm)
	if err := c.r.ParseForm(); err != nil {
		return invalid("", "", "The request body could not be read as a form.")
	}
	c.f = form(c.r.PostForm)
	return nil
}

func (c *stripeCall) serve() {
	s := c.s
	fingerprint := c.f.fingerprint(c.r.Method, c.r.URL.Path)
	s.mu.Lock()
	done := c.answerKnownKey(fingerprint)
	s.mu.Unlock()
	if done != nil {
		done()
		return
	}
	metadata := c.f.metadata("metadata")
	f := s.faults.take(gatewayStripe, callFaults, c.op.name, c.f.get("customer"), metadata)
	if c.strikeBefore(f) {
		return
	}
	if f.named(faultSlow) {
		if !c.holdKey() {
			c.fail(keyInUse())
			return
		}
		wait(c.r.Context(), f.delay(5*time.Second))
	}
	s.mu.Lock()
	if f.named(faultSlow) {
		delete(s.keysInFlight, c.key)
	}
	if done := c.answerKnownKey(fingerprint); done != nil { // an equal request was quicker
		s.mu.Unlock()
		done()
		return
	}
	status, body, seq := c.execute(f, fingerprint)
	s.mu.Unlock()
	if err := s.ledger.wait(seq); err != nil {
		c.fail(apiFailure())
		return
	}
	c.strikeAfter(f, status, body)
}

// answerKnownKey returns how to answer a key that was seen before, nil for a new one. Called with Server.mu held.
func (c *stripeCall) answerKnownKey(fingerprint string) func() {
	if c.key == "" {
		return nil
	}
	if c.s.keysInFlight[c.key] {
		return func() { c.fail(keyInUse()) }
	}
	saved := c.s.state.replies[c.key]
	if saved == nil || c.s.now().Sub(saved.At) > keyLife {
		return nil
	}
	if saved.Fingerprint != fingerprint {
		return func() {
			c.fail(&stripeError{status: http.StatusBadRequest, body: errorBody{
				Type:    "idempotency_error",
				Message: "Keys for idempotent requests can only be used with the same parameters they were first used with.",
			}})
		}
	}
	status, body := saved.Status, saved.Body
	return func() {
		if err := c.s.ledger.wait(c.s.ledger.lastSeq()); err != nil {
			c.fail(apiFailure())
			return
		}
		c.w.Header().Set(replayed, "true")
		c.write(status, []byte(body))
	}
}

func keyInUse() *stripeError {
	return &stripeError{status: http.StatusConflict, body: errorBody{
		Type: "idempotency_error", Code: "idempotency_key_in_use",
		Message: "There is currently another in-progress request using this idempotency key.",
	}}
}

func (c *stripeCall) holdKey() bool {
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	if c.key == "" {
		return true
	}
	if c.s.keysInFlight[c.key] {
		return false
	}
	c.s.keysInFlight[c.key] = true
	return true
}

// execute runs the operation and stores the answer under its key, in one transaction. Called with Server.mu held.
func (c *stripeCall) execute(f *Fault, fingerprint string) (status int, body []byte, seq int64) {
	t := c.s.begin()
	_, t.key, _ = strings.Cut(c.key, "|")
	t.declineAll = f.named(faultDecline)
	var failed *stripeError
	if f.named(fault500Stored) {
		failed = apiFailure()
		failed.executed = true
		status, body = failed.encode()
	} else {
		var object any
		if object, failed = c.op.run(t, c.r.PathValue("id"), c.f); failed != nil {
			status, body = failed.encode()
		} else {
			status, body = http.StatusOK, t.expand(object, c.f.list("expand"))
		}
	}
	stored := body
	storedStatus := status
	if f.named(fault500After) {
		storedStatus, stored = apiFailure().encode()
	}
	if c.key != "" && (failed == nil || failed.executed) {
		t.put(kindKey, c.key, savedReply{Fingerprint: fingerprint, Status: storedStatus, Body: string(stored), At: t.now})
	}
	return status, body, t.commit()
}

func (e *stripeError) encode() (int, []byte) {
	body, err := json.Marshal(map[string]errorBody{"error": e.body})
	if err != nil {
		panic("sandbox: error cannot be written: " + err.Error())
	}
	return e.status, body
}

func (c *stripeCall) fail(e *stripeError) {
	status, body := e.encode()
	c.write(status, body)
}

func (c *stripeCall) write(status int, body []byte) {
	c.w.Header().Set("Content-Type", "application/json")
	c.w.WriteHeader(status)
	c.s.answer(c.w, body)
}

// expand shows an object with the named references replaced by what they name.
func (t *tx) expand(object any, paths []string) []byte {
	data := render(object)
	for _, path := range paths {
		var tree map[string]any
		if json.Unmarshal(data, &tree) != nil {
			return data
		}
		t.expandPath(tree, strings.Split(path, "."))
		grown, err := json.Marshal(tree)
		if err != nil {
			panic("sandbox: object cannot be written: " + err.Error())
		}
		data = grown
	}
	return data
}

func (t *tx) expandPath(tree map[string]any, path []string) {
	if id, ok := tree[path[0]].(string); ok {
		if object := t.st.objectByID(id); object != nil {
			var grown map[string]any
			if json.Unmarshal(render(object), &grown) == nil {
				tree[path[0]] = grown
			}
		}
	}
	if child, ok := tree[path[0]].(map[string]any); ok && len(path) > 1 {
		t.expandPath(child, path[1:])
	}
}

// objectByID finds what an id names by its prefix, nil when there is nothing.
func (st *state) objectByID(id string) any {
	prefix, _, _ := strings.Cut(id, "_")
	switch prefix {
	case "cus":
		return orNil(st.customers[id])
	case "pm":
		return orNil(st.methods[id])
	case "seti":
		return orNil(st.setups[id])
	case "pi":
		return orNil(st.intents[id])
	case "ch":
		return orNil(st.charges[id])
	case "re":
		return orNil(st.refunds[id])
	}
	return nil
}

func orNil[T any](p *T) any {
	if p == nil {
		return nil
	}
	return p
}

type listBody struct {
	Object   string            `json:"object"`
	URL      string            `json:"url"`
	HasMore  bool              `json:"has_more"`
	NextPage *string           `json:"next_page,omitempty"`
	Data     []json.RawMessage `json:"data"`
}

func listOf(object, path string, more bool, items []json.RawMessage) listBody {
	if items == nil {
		items = []json.RawMessage{}
	}
	u := url.URL{Path: path}
	return listBody{Object: object, URL: u.String(), HasMore: more, Data: items}
}
