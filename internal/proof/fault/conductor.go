package fault

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"sync"
	"time"
)

// Kill is one that a conductor has to carry out, and what came of it.
type Kill struct {
	Victim Process
	When   func(Hit) bool // the first hit for which it holds, once armed
	Goes   func(Hit) bool // hits by which work goes on afterwards; nil where nobody asks how long that took

	mu      sync.Mutex
	armed   bool
	fired   time.Time
	resumed time.Duration
}

// Fired tells whether the kill took place.
func (k *Kill) Fired() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return !k.fired.IsZero()
}

// Arm lets the kill take place from now on.
func (k *Kill) Arm() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.armed = true
}

// Disarm ends the watch and returns how long after the kill work went on: until the first hit by which it does or, when nothing
// was left to do, until now. It is 0 when the kill did not take place.
func (k *Kill) Disarm() time.Duration {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.armed = false
	if !k.fired.IsZero() && k.resumed == 0 {
		k.resumed = time.Since(k.fired)
	}
	return k.resumed
}

// meet tells whether the kill is due at this hit. Once it has taken place, it waits for work to go on.
func (k *Kill) meet(h Hit) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	switch {
	case !k.armed:
	case k.fired.IsZero() && k.When(h):
		k.fired = time.Now()
		return true
	case !k.fired.IsZero() && k.resumed == 0 && k.Goes != nil && k.Goes(h):
		k.resumed = time.Since(k.fired)
	}
	return false
}

// Conductor answers the probes' reports and kills at the boundaries it was told. Processes that report wait meanwhile.
type Conductor struct {
	server *httptest.Server
	slay   func(Process) error

	mu     sync.Mutex
	kills  []*Kill
	failed error
}

// NewConductor listens on a free port of this machine. slay ends a process as kill -9 does and returns once it is dead.
func NewConductor(slay func(Process) error) *Conductor {
	c := &Conductor{slay: slay}
	c.server = httptest.NewServer(http.HandlerFunc(c.answer))
	return c
}

// URL is where probes report.
func (c *Conductor) URL() string { return c.server.URL }

// Close ends the listening; processes that go on reporting are not stopped any more.
func (c *Conductor) Close() {
	c.server.CloseClientConnections()
	c.server.Close()
}

// Watch sets the kills of the next play.
func (c *Conductor) Watch(kills ...*Kill) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.kills = kills
}

// Err is the first kill that could not be carried out.
func (c *Conductor) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.failed
}

func (c *Conductor) answer(_ http.ResponseWriter, r *http.Request) {
	var h Hit
	if json.NewDecoder(r.Body).Decode(&h) != nil {
		return // the reporter was killed while it spoke
	}
	c.mu.Lock()
	kills := c.kills
	c.mu.Unlock()
	for _, k := range kills {
		if !k.meet(h) {
			continue
		}
		if err := c.slay(k.Victim); err != nil {
			c.mu.Lock()
			c.failed = err
			c.mu.Unlock()
		}
	}
}
