package sandbox

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// Fault is one named misbehaviour, counted down each time it strikes.
type Fault struct {
	ID      string `json:"id"`
	Gateway string `json:"gateway"` // stripe, mail, sms
	Fault   string `json:"fault"`
	Match   Match  `json:"match"`
	Times   int    `json:"times"` // strikes left; default 1
	DelayMS int    `json:"delay_ms,omitempty"`
	Struck  int    `json:"struck"`
}

// Match narrows a fault; empty fields fit everything. Op is the call (charge, checkout, refund, customer, setup_intent,
// payment_method, confirm, cancel, expire, fetch, search, events, pay; send, lookup) or, for event faults, the event's type.
type Match struct {
	Op       string            `json:"op,omitempty"`
	To       string            `json:"to,omitempty"` // mailbox, number or customer
	Metadata map[string]string `json:"metadata,omitempty"`
}

// What faults do. Calls:
const (
	faultRefuse        = "refuse"         // 400, nothing done
	faultDecline       = "decline"        // card declined; mail accepted, then bounced; text accepted, then undelivered
	fault500Before     = "500_before"     // 500, nothing done, nothing stored under the key
	fault500Stored     = "500_stored"     // 500, nothing done, and the 500 is stored under the key
	fault500After      = "500_after"      // done, answered 500, and the 500 is stored under the key
	fault502           = "502"            // a proxy's HTML page, nothing done
	faultTimeoutBefore = "timeout_before" // no answer, nothing done
	faultTimeoutAfter  = "timeout_after"  // done, no answer
	fault429           = "429"            // rate limited with Retry-After, nothing done
	faultReset         = "reset"          // done, the connection breaks amid the answer
	faultWrongJSON     = "wrong_json"     // done, answered with broken JSON
	faultSlow          = "slow"           // waits delay_ms with the key in flight, then does and answers
)

// Webhooks:
const (
	faultDuplicateEvent = "duplicate_event" // delivered twice
	faultDelayEvent     = "delay_event"     // delivered delay_ms later (default 5 s)
	faultReorderEvent   = "reorder_event"   // held until a later event of the gateway was delivered, or delay_ms (default 3 s)
	faultDropEvent      = "drop_event"      // never delivered; still listed by the gateway
)

var (
	callFaults = []string{
		faultRefuse, faultDecline, fault500Before, fault500Stored, fault500After, fault502, faultTimeoutBefore,
		faultTimeoutAfter, fault429, faultReset, faultWrongJSON, faultSlow,
	}
	eventFaults = []string{faultDuplicateEvent, faultDelayEvent, faultReorderEvent, faultDropEvent}
)

func (f *Fault) delay(otherwise time.Duration) time.Duration {
	if f.DelayMS > 0 {
		return time.Duration(f.DelayMS) * time.Millisecond
	}
	return otherwise
}

func (m Match) fits(op, to string, metadata map[string]string) bool {
	if (m.Op != "" && m.Op != op) || (m.To != "" && !strings.EqualFold(m.To, to)) {
		return false
	}
	for k, v := range m.Metadata {
		if metadata[k] != v {
			return false
		}
	}
	return true
}

// faultBook holds the faults in the order in which they were set. They are not part of the ledger: a restart clears them.
type faultBook struct {
	mu   sync.Mutex
	list []*Fault
}

// take strikes with the first fitting fault and counts it down; nil when none fits.
func (b *faultBook) take(gateway string, among []string, op, to string, metadata map[string]string) *Fault {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, f := range b.list {
		if f.Gateway == gateway && f.Times > 0 && slices.Contains(among, f.Fault) && f.Match.fits(op, to, metadata) {
			f.Times--
			f.Struck++
			struck := *f
			return &struck
		}
	}
	return nil
}

// named tells whether this call was struck by the fault of that name; a nil fault is no fault.
func (f *Fault) named(name string) bool { return f != nil && f.Fault == name }

func (b *faultBook) snapshot() []Fault {
	b.mu.Lock()
	defer b.mu.Unlock()
	list := make([]Fault, 0, len(b.list))
	for _, f := range b.list {
		list = append(list, *f)
	}
	return list
}

func (b *faultBook) remove(id string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	before := len(b.list)
	b.list = slices.DeleteFunc(b.list, func(f *Fault) bool { return id == "" || f.ID == id })
	return id == "" || len(b.list) < before
}

func (s *Server) listFaults(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, map[string]any{"faults": s.faults.snapshot()})
}

func (s *Server) addFault(w http.ResponseWriter, r *http.Request) {
	var f Fault
	dec := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<16))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&f); err != nil {
		writeProblem(w, http.StatusBadRequest, "The fault could not be read: "+err.Error())
		return
	}
	if !slices.Contains([]string{gatewayStripe, gatewayMail, gatewaySMS}, f.Gateway) {
		writeProblem(w, http.StatusUnprocessableEntity, "gateway is one of stripe, mail, sms")
		return
	}
	if known := slices.Concat(callFaults, eventFaults); !slices.Contains(known, f.Fault) {
		writeProblem(w, http.StatusUnprocessableEntity, "fault is one of "+strings.Join(known, ", "))
		return
	}
	if f.Times == 0 {
		f.Times = 1
	}
	if f.Times < 0 || f.DelayMS < 0 {
		writeProblem(w, http.StatusUnprocessableEntity, "times and delay_ms are not negative")
		return
	}
	f.ID, f.Struck = newID("flt_"), 0
	s.faults.mu.Lock()
	s.faults.list = append(s.faults.list, &f)
	s.faults.mu.Unlock()
	writeJSON(w, http.StatusCreated, f)
}

func (s *Server) removeFaults(w http.ResponseWriter, r *http.Request) {
	if !s.faults.remove(r.PathValue("id")) {
		writeProblem(w, http.StatusNotFound, "There is no fault with this id.")
		return
	}
	w.WriteHeader(http.StatusNoContent)
}
