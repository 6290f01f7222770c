package policy

import "time"

// EffectState is where one effect of a step stands.
type EffectState string

const (
	EffectClaimed  EffectState = "claimed"  // an attempt owns it until call_by
	EffectAccepted EffectState = "accepted" // the gateway, or PostgreSQL, has it
	EffectRefused  EffectState = "refused"  // the facts said no when it was claimed
	EffectFailed   EffectState = "failed"   // surely not done; tried again at next_at unless final
	EffectUnknown  EffectState = "unknown"  // nobody can know; an event, a look-up or a person resolves it
)

// Effect is what the planner knows of one row in effects. CallBy, NextAt and RecordedAt are machine time, ClaimedFor is the
// practice's clock when it was judged.
type Effect struct {
	State      EffectState
	Final      bool
	CallBy     *time.Time
	NextAt     *time.Time
	ClaimedFor time.Time
	SettledAt  *time.Time
	RecordedAt time.Time // of the row's last change: what was said after it has not been heeded yet
	Reason     string
}

// Verbs that staff put on a step or on the whole subject.
const (
	VerbPause     = "pause"
	VerbResume    = "resume"
	VerbSkip      = "skip"
	VerbRetry     = "retry"
	VerbFireNow   = "fire_now"
	VerbReroute   = "reroute"
	VerbSendAgain = "send_again"
)

// AskedFreshLink is no verb of staff: the client asked for fresh links behind one that did not open. Value is the visit's version then.
const AskedFreshLink = "fresh_link"

// Override is a verb as a fact. Value is the channel of a reroute, or the stale policy of a resume.
type Override struct {
	Verb       string
	StepKey    string
	Value      string
	At         time.Time // on the practice's clock
	RecordedAt time.Time // in real time
}

// Channels a message can take.
const (
	ChannelMail = "mail"
	ChannelSMS  = "sms"
	ChannelCard = "card"
)

// Reach says how a client can be reached on one channel for one purpose.
type Reach struct {
	Address  bool // an open contact point exists
	OptedOut bool // the address, or the client for this purpose, said stop
}

// Contact is what the planner knows of a client: no name and no address.
type Contact struct {
	Active  bool
	Prefers string
	Service map[string]Reach // by channel, for messages about a visit or a bill
	Recall  map[string]Reach // by channel, for invitations back
	Zone    *time.Location   // nil when unknown: quiet hours then bind in the practice's and the number's zone alike
}

// Ground is what every planner stands on: clocks, zone, what was done, what staff said.
type Ground struct {
	Now       time.Time // the practice's clock
	RealNow   time.Time // the database's clock
	TestClock bool      // a test clock rings at WakeAt
	Zone      *time.Location
	Client    Contact
	Settings  Settings
	Effects   map[string]Effect
	Overrides []Override
	Paused    map[string]bool // channels paused by staff or by three unknowns in a row
	Rules     []Rule          // of the pinned cadence version
}

// JourneyFacts is everything the journey planner reads.
type JourneyFacts struct {
	Ground
	Status      Status
	Version     int
	StartsAt    time.Time
	EndsAt      time.Time
	BookedAt    time.Time
	ChangedAt   time.Time // when the present time was committed
	StatusAt    time.Time
	ByClient    bool // the present time was the client's own choice
	EndedBy     PrincipalKind
	Completions int
	CompletedAt *time.Time
	PacketDue   *time.Time // nil without an open packet
	Invoice     *InvoiceFacts
	HasCard     bool
	Recalls     bool // completing this service schedules a recall
}

// InvoiceFacts is the invoice as planners see it. Completion tells which completion of the visit it belongs to.
type InvoiceFacts struct {
	Completion int
	Status     string // draft, issued, paid, void
	IssuedAt   *time.Time
	Due        int64 // minor units still owed
}

// Invoice statuses.
const (
	InvoiceDraft  = "draft"
	InvoiceIssued = "issued"
	InvoicePaid   = "paid"
	InvoiceVoid   = "void"
)

// CollectionFacts is everything the collection planner reads. Its anchor is the instant of issue.
type CollectionFacts struct {
	Ground
	Invoice    InvoiceFacts
	HasCard    bool
	Processing bool // a payment is under way at the gateway
}

// RecallFacts is everything the recall planner reads.
type RecallFacts struct {
	Ground
	Status string // waiting, started, booked, stopped, exhausted
	Round  int
	DueOn  LocalDate
	Booked bool // the client has a live future appointment of the service
}
