package sandbox

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"
)

func writeJSON(w http.ResponseWriter, status int, body any) {
	data, err := json.Marshal(body)
	if err != nil {
		panic("sandbox: answer cannot be written: " + err.Error())
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	if _, err := w.Write(append(data, '\n')); err != nil {
		return // the caller has gone
	}
}

func writeProblem(w http.ResponseWriter, status int, detail string) {
	writeJSON(w, status, map[string]any{"status": status, "title": http.StatusText(status), "detail": detail})
}

func readJSON(w http.ResponseWriter, r *http.Request, into any) bool {
	dec := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxForm))
	dec.DisallowUnknownFields()
	if err := dec.Decode(into); err != nil {
		writeProblem(w, http.StatusBadRequest, "The body could not be read: "+err.Error())
		return false
	}
	return true
}

// durable waits until all that a reader may have seen is on disk: nobody is shown a fact that a crash could take back.
func (s *Server) durable(w http.ResponseWriter) bool {
	if err := s.ledger.wait(s.ledger.lastSeq()); err != nil {
		writeProblem(w, http.StatusInternalServerError, "The ledger cannot be written.")
		return false
	}
	return true
}

// shown is a message with what can be found in it.
type shown struct {
	message
	Links []string `json:"links"`
}

// selectMessages is the newest first: to or from an address, of a channel, newer than a seq, at most limit after skip.
func (s *Server) selectMessages(address, channel string, after int64, skip, limit int) (list []message, more bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, m := range slices.Backward(s.state.messages) {
		if m.Seq <= after {
			break
		}
		if !m.concerns(address) || (channel != "" && m.Channel != channel) {
			continue
		}
		if skip > 0 {
			skip--
			continue
		}
		if len(list) == limit {
			return list, true
		}
		list = append(list, *m)
	}
	return list, false
}

// listMessages: ?to= address, ?channel= mail or sms, ?after= seq, ?limit= up to 1000 (default 100). Newest first.
func (s *Server) listMessages(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	limit, err := strconv.Atoi(orDefault(q.Get("limit"), "100"))
	after, afterErr := strconv.ParseInt(orDefault(q.Get("after"), "0"), 10, 64)
	if err != nil || afterErr != nil || limit < 1 || limit > 1000 {
		writeProblem(w, http.StatusUnprocessableEntity, "limit is 1 to 1000, after is a seq")
		return
	}
	list, more := s.selectMessages(q.Get("to"), q.Get("channel"), after, 0, limit)
	out := make([]shown, len(list))
	for i := range list {
		out[i] = shown{list[i], list[i].links()}
	}
	if s.durable(w) {
		writeJSON(w, http.StatusOK, map[string]any{"messages": out, "has_more": more})
	}
}

func (s *Server) findMessage(id string) (message, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if m := s.state.byMessage[id]; m != nil {
		return *m, true
	}
	return message{}, false
}

func (s *Server) showMessage(w http.ResponseWriter, r *http.Request) {
	m, ok := s.findMessage(r.PathValue("id"))
	if !ok {
		writeProblem(w, http.StatusNotFound, "There is no message with this id.")
		return
	}
	if s.durable(w) {
		writeJSON(w, http.StatusOK, shown{m, m.links()})
	}
}

// showLedger streams the public facts as JSON lines, oldest first. ?since= is a seq (exclusive) or an RFC 3339 time
// (inclusive); ?kind= is one of charge, refund, mail, sms, reply.
func (s *Server) showLedger(w http.ResponseWriter, r *http.Request) {
	since, kind := r.URL.Query().Get("since"), r.URL.Query().Get("kind")
	seq, seqErr := strconv.ParseInt(orDefault(since, "0"), 10, 64)
	at, atErr := time.Parse(time.RFC3339, since)
	if seqErr != nil && atErr != nil {
		writeProblem(w, http.StatusUnprocessableEntity, "since is a seq or an RFC 3339 time")
		return
	}
	s.mu.Lock()
	facts := s.state.public[:len(s.state.public):len(s.state.public)]
	s.mu.Unlock()
	facts = facts[sort.Search(len(facts), func(i int) bool {
		return facts[i].Seq > seq && (seqErr == nil || !facts[i].At.Before(at))
	}):]
	if !s.durable(w) {
		return
	}
	w.Header().Set("Content-Type", "application/x-ndjson")
	w.Header().Set("Cache-Control", "no-store")
	enc := json.NewEncoder(w)
	for _, f := range facts {
		f.End = false
		if kind != "" && f.Kind != kind {
			continue
		}
		if enc.Encode(f) != nil {
			return // the caller has gone
		}
	}
}

// showIdle tells whether webhooks have come to rest: none in flight and none due within half a minute. What a fault or a long
// back-off puts off further is counted in owed and named in next_at, but not waited for.
func (s *Server) showIdle(w http.ResponseWriter, _ *http.Request) {
	s.mu.Lock() // operations under way add their webhooks under this lock
	idle, owed, next := s.courier.idle(s.now())
	s.mu.Unlock()
	body := map[string]any{"idle": idle, "owed": owed}
	if !next.IsZero() {
		body["next_at"] = next.UTC()
	}
	writeJSON(w, http.StatusOK, body)
}

// money shows minor units for people: 12345 usd → 123.45 USD. Currencies without minor units are few; the page knows the
// common ones.
func money(amount int64, currency string) string {
	switch currency {
	case "jpy", "krw", "vnd", "clp":
		return fmt.Sprintf("%d %s", amount, strings.ToUpper(currency))
	}
	return fmt.Sprintf("%d.%02d %s", amount/100, amount%100, strings.ToUpper(currency))
}
