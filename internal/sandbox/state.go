package sandbox

import (
	"encoding/json"
	"fmt"
	"time"
)

// Kinds of fact. The public ones are the counterparty's book, as GET /api/ledger shows it.
const (
	kindCustomer     = "customer"
	kindMethod       = "payment_method"
	kindSetup        = "setup_intent"
	kindIntent       = "payment_intent"
	kindSession      = "checkout_session"
	kindCharge       = "charge"        // public: one try to take money, succeeded or failed, as it ended
	kindChargeUpdate = "charge_update" // the same charge after a refund
	kindRefund       = "refund"        // public
	kindMail         = "mail"          // public: one accepted mail
	kindSMS          = "sms"           // public: one accepted text
	kindReply        = "reply"         // public: one text from a person to us
	kindConsent      = "consent"       // a number said STOP or START
	kindEvent        = "event"
	kindKey          = "idempotency_key"
	kindHook         = "hook"     // a webhook that is owed
	kindHookEnd      = "hook_end" // and its end
)

var publicKinds = map[string]bool{kindCharge: true, kindRefund: true, kindMail: true, kindSMS: true, kindReply: true}

// state is all that the fakes know, rebuilt from the ledger at start. Server.mu guards it.
type state struct {
	seq       int64
	customers map[string]*customer
	methods   map[string]*paymentMethod
	setups    map[string]*setupIntent
	intents   map[string]*paymentIntent
	sessions  map[string]*session
	charges   map[string]*charge
	refunds   map[string]*refund
	events    []*event // oldest first
	intentIDs []string // oldest first
	replies   map[string]*savedReply
	messages  []*message // oldest first
	byMessage map[string]*message
	bounced   map[string]string // mailbox → reason of its first bounce
	stopped   map[string]bool   // our number + "|" + theirs
	hooks     map[string]*hook  // owed
	public    []fact            // oldest first
}

func newState() *state {
	return &state{
		customers: map[string]*customer{}, methods: map[string]*paymentMethod{}, setups: map[string]*setupIntent{},
		intents: map[string]*paymentIntent{}, sessions: map[string]*session{}, charges: map[string]*charge{},
		refunds: map[string]*refund{}, replies: map[string]*savedReply{}, byMessage: map[string]*message{},
		bounced: map[string]string{}, stopped: map[string]bool{}, hooks: map[string]*hook{},
	}
}

type consent struct {
	Pair    string `json:"pair"`
	Stopped bool   `json:"stopped"`
}

// apply brings one fact into the state. It is the only writer, at start and while running alike.
func (st *state) apply(f fact) error {
	st.seq = f.Seq
	if publicKinds[f.Kind] {
		st.public = append(st.public, f)
	}
	switch f.Kind {
	case kindCustomer:
		return keep(st.customers, f)
	case kindMethod:
		return keep(st.methods, f)
	case kindSetup:
		return keep(st.setups, f)
	case kindIntent:
		if st.intents[f.ID] == nil {
			st.intentIDs = append(st.intentIDs, f.ID)
		}
		return keep(st.intents, f)
	case kindSession:
		return keep(st.sessions, f)
	case kindCharge, kindChargeUpdate:
		return keep(st.charges, f)
	case kindRefund:
		return keep(st.refunds, f)
	case kindKey:
		return keep(st.replies, f)
	case kindHook:
		return keep(st.hooks, f)
	case kindHookEnd:
		delete(st.hooks, f.ID)
		return nil
	case kindEvent:
		return st.applyEvent(f)
	case kindMail, kindSMS, kindReply:
		return st.applyMessage(f)
	case kindConsent:
		var c consent
		if err := json.Unmarshal(f.Data, &c); err != nil {
			return err
		}
		st.stopped[c.Pair] = c.Stopped
		return nil
	}
	return fmt.Errorf("a fact of kind %q is not known to this version", f.Kind)
}

func keep[T any](into map[string]*T, f fact) error {
	v := new(T)
	if err := json.Unmarshal(f.Data, v); err != nil {
		return fmt.Errorf("%s %s: %w", f.Kind, f.ID, err)
	}
	into[f.ID] = v
	return nil
}

func (st *state) applyEvent(f fact) error {
	var e event
	if err := json.Unmarshal(f.Data, &e); err != nil {
		return err
	}
	st.events = append(st.events, &e)
	return nil
}

func (st *state) applyMessage(f fact) error {
	var m message
	if err := json.Unmarshal(f.Data, &m); err != nil {
		return err
	}
	m.Seq = f.Seq
	st.messages = append(st.messages, &m)
	st.byMessage[m.ID] = &m
	if m.Channel == channelMail && m.Status == statusBounced {
		st.bounced[m.To] = m.Reason
	}
	return nil
}

// tx collects the facts of one operation. Each is applied at once, so later steps of the operation see it; nobody else
// does, since Server.mu is held until commit.
type tx struct {
	s          *Server
	st         *state
	now        time.Time
	facts      []fact
	key        string // idempotency key of the request, shown in events
	declineAll bool   // a decline fault struck
}

// begin is called with Server.mu held.
func (s *Server) begin() *tx { return &tx{s: s, st: s.state, now: s.now().UTC()} }

// put records and applies one fact. A value that cannot be stored is a mistake in this package.
func (t *tx) put(kind, id string, value any) {
	data, err := json.Marshal(value)
	if err != nil {
		panic(fmt.Sprintf("sandbox: %s cannot be stored: %v", kind, err))
	}
	f := fact{Seq: t.st.seq + 1, At: t.now, Kind: kind, ID: id, Data: data}
	if err := t.st.apply(f); err != nil {
		panic(fmt.Sprintf("sandbox: %s cannot be applied: %v", kind, err))
	}
	t.facts = append(t.facts, f)
}

// commit queues the facts for the disk and lets their webhooks go once they are there. It returns the seq to wait for.
func (t *tx) commit() int64 {
	if len(t.facts) == 0 {
		return t.s.ledger.lastSeq()
	}
	seq := t.s.ledger.append(t.facts)
	for _, f := range t.facts {
		if h := t.st.hooks[f.ID]; f.Kind == kindHook && h != nil {
			h.seq = seq
			t.s.courier.add(h)
		}
	}
	return seq
}
