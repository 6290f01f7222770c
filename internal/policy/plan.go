package policy

import "time"

// Kinds of subject. The workflow type of a run is its subject's kind.
const (
	KindJourney    = "journey"    // one per appointment; id = appointment id
	KindCollection = "collection" // one per unpaid invoice, from its first follow-up on; id = invoice id
	KindRecall     = "recall"     // one per due recall; id = recall id
)

// Subject is anything with a durable process. It is the whole input of a run; fields are added, never renamed.
type Subject struct {
	Practice ID     `json:"practice"`
	Kind     string `json:"kind"`
	ID       ID     `json:"id"`
}

// WorkflowID is the run's id in Temporal: <kind>/<uuid>.
func (s Subject) WorkflowID() string { return s.Kind + "/" + s.ID.String() }

// Step is one thing that a plan wants done. Its Kind is the name of the registered activity that does it, so a new kind
// needs no workflow change. Key is unique within the subject and names its row in effects. Replay binds the JSON of
// Plan and Step: fields are added, never renamed.
type Step struct {
	Key     string    `json:"key"`
	Kind    string    `json:"kind"`
	At      time.Time `json:"at"`                // when it fell or falls due, on the practice's clock
	Rule    string    `json:"rule,omitempty"`    // the cadence rule or built-in rule that asks for it
	Channel string    `json:"channel,omitempty"` // mail or sms, for messages
	Why     string    `json:"why,omitempty"`     // what caused it, in one clause, without personal data
	Summary string    `json:"summary,omitempty"` // how operators read it in the Temporal UI: "Reminder · 24 h before · e-mail"
	Settle  bool      `json:"settle,omitempty"`  // an attempt may have acted and the facts say no by now: find its outcome, act no more
}

// Plan is what a run needs to know after each look. Instants only; nothing personal.
type Plan struct {
	Due     []Step     `json:"due,omitempty"`      // start these now, beside the wait
	Now     time.Time  `json:"now"`                // the practice's clock when planned
	WakeAt  *time.Time `json:"wake_at,omitempty"`  // next reason to look, on the practice's clock
	RealNow time.Time  `json:"real_now"`           // the database's clock when planned
	RetryAt *time.Time `json:"retry_at,omitempty"` // next wait for a machine, in real time
	Unarmed bool       `json:"unarmed,omitempty"`  // a test clock rings at WakeAt, so no timer is set for it
	Done    bool       `json:"done,omitempty"`     // nothing is due and nothing will be
	Detail  string     `json:"detail,omitempty"`   // stage, what it waits for and until when, for the Temporal UI
	Waiting string     `json:"waiting,omitempty"`  // summary of the timer: "Waiting until Tue 09:00: reminder 2 h before"
}

// Wait is how long a run sleeps before it looks again by itself; ok is false when only a ring can wake it.
// Both differences are taken between instants of one clock, so a worker's own clock never matters.
func (p Plan) Wait() (wait time.Duration, ok bool) {
	if p.WakeAt != nil && !p.Unarmed {
		wait, ok = p.WakeAt.Sub(p.Now), true
	}
	if p.RetryAt != nil {
		if retry := p.RetryAt.Sub(p.RealNow); !ok || retry < wait {
			wait, ok = retry, true
		}
	}
	return max(wait, time.Second), ok
}

// Outlook is the planner's whole answer: Plan is drawn from it, and the journey page, preview and "why / why not" show it.
type Outlook struct {
	Stage   string     // booked, confirmed, arrived, …, done
	Due     []Step     // due now and not yet final
	Future  []Step     // later, each with its exact time
	Not     []Dropped  // what will not happen, and why
	Tasks   []TaskWish // human tasks that should stand open now
	Later   []TaskWish // tasks that will open unless their cause goes away first
	WakeAt  *time.Time
	RetryAt *time.Time        // earliest wait for a machine (a refused call's next_at, a claim's call_by)
	Waiting string            // reason of the current wait, one clause
	Held    bool              // something waits for staff to resume it
	Exempt  map[string]string // by key of a due step: why quiet hours do not bind it
	Done    bool

	next string // what happens at WakeAt
}

// Dropped is a step that will not happen, with a typed reason and the rule that decides it.
type Dropped struct {
	Step
	Reason DropReason
	Detail string // one clause for people
}

// DropReason is why a step will not happen.
type DropReason string

const (
	DropBookedInside DropReason = "booked_inside_lead" // its time had passed when the appointment was made or moved
	DropCancelled    DropReason = "cancelled"
	DropMoved        DropReason = "superseded" // another version of the appointment took over
	DropOptedOut     DropReason = "opted_out"
	DropNoContact    DropReason = "no_contact"   // no usable address for the channel
	DropQuietPast    DropReason = "quiet_hours"  // quiet hours pushed it past its usefulness
	DropStale        DropReason = "too_late"     // fell due while nobody could act, and is no longer useful
	DropSkipped      DropReason = "skipped"      // staff said skip
	DropPaused       DropReason = "paused"       // waits for resume
	DropSent         DropReason = "already_done" // its effect is final
	DropPaid         DropReason = "paid"
	DropVoided       DropReason = "voided"
	DropBooked       DropReason = "booked_again" // a recall's client has a future appointment
	DropLimit        DropReason = "limit"        // maximum count or frequency cap reached
	DropInactive     DropReason = "inactive"     // client archived, inactive or erased
	DropNoCard       DropReason = "no_card"
	DropOff          DropReason = "off" // the rule or channel is switched off or paused
	DropFailed       DropReason = "failed"
	DropUnknown      DropReason = "outcome_unknown" // waits for an event, a look-up or a person
	DropRefused      DropReason = "refused"
)

// Plan is the part of the outlook that a run needs. Steps done inside the plan's own transaction never reach the run.
func (o Outlook) Plan(g Ground) Plan {
	p := Plan{Due: o.Due, Now: g.Now, WakeAt: o.WakeAt, RealNow: g.RealNow, RetryAt: o.RetryAt, Unarmed: g.TestClock, Done: o.Done}
	p.Detail = "Stage: " + o.Stage
	if len(o.Due) > 0 {
		p.Detail += "\n\nNow: " + o.Waiting
	}
	switch {
	case o.WakeAt != nil && o.RetryAt == nil:
		p.Waiting = "Waiting until " + o.WakeAt.In(g.Zone).Format("Mon 2 Jan 2006 15:04 MST") + ": " + o.next
	case o.Waiting != "" && len(o.Due) == 0:
		p.Waiting = "Waiting: " + o.Waiting
	}
	if p.Waiting != "" {
		p.Detail += "\n\n" + p.Waiting
	}
	return p
}

// Final tells a reason that stays once the step's time has come. The others may still turn: a pause is resumed, a channel
// works again, a payment under way fails.
func (r DropReason) Final() bool {
	switch r {
	case DropPaused, DropOff, DropSent, DropUnknown, DropFailed, DropRefused:
		return false
	}
	return true
}
