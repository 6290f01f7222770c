// Package fault stops kept between two of its steps: named boundaries at which a process reports and waits, a conductor that
// kills whom it was told to at the boundary it was told, and the matrix of step × boundary × process that the fault runs walk.
package fault

import (
	"fmt"
	"math/rand/v2"
	"regexp"
	"slices"
	"sync/atomic"
)

// Process is what a kill -9 ends.
type Process string

// The processes of an installation, the sandbox apart: it is the outside world.
const (
	API      Process = "api"
	Worker   Process = "worker"
	Temporal Process = "temporal"
	Postgres Process = "postgres"
)

// Processes lists them all.
func Processes() []Process { return []Process{API, Worker, Temporal, Postgres} }

// Boundary is a place between two acts of one step.
type Boundary string

// The boundaries of every step, in the order in which they are passed.
const (
	BeforeTransaction Boundary = "b1 before the transaction"
	InTransaction     Boundary = "b2 inside the transaction"
	Committed         Boundary = "b3 after the commit, before the ring"
	Rung              Boundary = "b4 ring accepted, not yet planned"
	Claimed           Boundary = "b5 step claimed, gateway not yet called"
	Accepted          Boundary = "b6 gateway accepted, not recorded"
	Recorded          Boundary = "b7 recorded, activity not returned"
)

// Boundaries lists them all.
func Boundaries() []Boundary {
	return []Boundary{BeforeTransaction, InTransaction, Committed, Rung, Claimed, Accepted, Recorded}
}

// Step is one of the acts of a client's journey.
type Step string

// The steps of a journey, in the order in which the demo plays them.
const (
	Hold         Step = "hold"
	Book         Step = "book"
	IntakeSend   Step = "intake send"
	Confirm      Step = "confirm by link"
	IntakeSubmit Step = "intake submit"
	Reminder     Step = "reminder"
	VisitDone    Step = "visit done"
	Invoice      Step = "invoice"
	Dunning      Step = "dunning"
	Pay          Step = "pay"
	Recall       Step = "recall"
)

// Steps lists them all.
func Steps() []Step {
	return []Step{Hold, Book, IntakeSend, Confirm, IntakeSubmit, Reminder, VisitDone, Invoice, Dunning, Pay, Recall}
}

// Cell is one kill: this process, at this boundary of this step.
type Cell struct {
	Step     Step
	Boundary Boundary
	Process  Process
}

func (c Cell) String() string {
	return fmt.Sprintf("%s · %s · kill %s", c.Step, c.Boundary, c.Process)
}

// Mark tells a hit that passes the boundary.
type Mark struct {
	From Process        // who reports it
	At   Moment         // what it is about to do or has done
	What *regexp.Regexp // its particulars
}

// Matches tells that a hit passes the boundary.
func (m Mark) Matches(h Hit) bool {
	return h.From == m.From && h.At == m.At && m.What.MatchString(h.What)
}

func mark(from Process, at Moment, what string) Mark { return Mark{from, at, regexp.MustCompile(what)} }

// command is a step that a person's request commits: it has no call to a gateway of its own.
func command(request, entry, ring string) map[Boundary]Mark {
	marks := map[Boundary]Mark{
		BeforeTransaction: mark(API, AtRequest, request),
		InTransaction:     mark(API, AtCommit, entry),
		Committed:         mark(API, AtCommitted, entry),
	}
	if ring != "" {
		marks[Rung] = mark(API, AtRung, ring)
	}
	return marks
}

// sending is a step that falls due by the clock and calls a gateway. Its transaction is the plan's, its ring the clock's.
func sending(kind, facts, rule string) map[Boundary]Mark {
	step := "^SendMail " + kind + "/.* " + rule
	return map[Boundary]Mark{
		BeforeTransaction: mark(Worker, AtBegin, "^Plan "+kind+"/"),
		InTransaction:     mark(Worker, AtCommit, facts+" .*SubjectPlanned"),
		Committed:         mark(Worker, AtCommitted, facts+" .*SubjectPlanned"),
		Rung:              mark(Worker, AtRung, "^"+kind+"/"),
		Claimed:           mark(Worker, AtCall, step),
		Accepted:          mark(Worker, AtCalled, step),
		Recorded:          mark(Worker, AtReturned, step),
	}
}

var marks = map[Step]map[Boundary]Mark{
	Hold:         command(`^POST /v1/holds$`, ` hold_placed `, ""),
	Book:         command(`^POST /v1/appointments$`, ` appointment_booked `, `^journey/`),
	IntakeSend:   sending("journey", "JourneyFacts", "confirmation/"),
	Confirm:      command(`^POST /l/`, ` appointment_confirmed `, `^journey/`),
	IntakeSubmit: command(`^POST /l/`, ` form_submitted `, `^journey/`),
	Reminder:     sending("journey", "JourneyFacts", "reminder/"),
	VisitDone:    command(`^POST /v1/appointments/[^/]+/complete$`, ` appointment_completed `, `^journey/`),
	Invoice:      sending("journey", "JourneyFacts", "invoice/"),
	Dunning:      sending("collection", "CollectionFacts", "dunning/"),
	Pay: {
		BeforeTransaction: mark(API, AtRequest, `^POST /l/`),
		InTransaction:     mark(API, AtCommit, ` PaymentInsert `),
		Committed:         mark(Worker, AtCommitted, ` invoice_paid `),
		Rung:              mark(Worker, AtRung, `^collection/`),
		Claimed:           mark(API, AtCall, `^CreateCheckout`),
		Accepted:          mark(API, AtCalled, `^CreateCheckout`),
		Recorded:          mark(API, AtCommitted, ` PaymentAttach$`),
	},
	Recall: sending("recall", "RecallFacts", "recall/"),
}

// Mark of the cell's boundary; false when the step has no such boundary, see Impossible.
func (c Cell) Mark() (Mark, bool) {
	m, ok := marks[c.Step][c.Boundary]
	return m, ok
}

// GoesOn tells a hit by which the killed step is taken up again: its own call from the claim on, before that its request, its
// transaction, its ring or its plan.
func (c Cell) GoesOn(h Hit) bool {
	if !reaches(c.Process, h) {
		return false
	}
	called := slices.Index(Boundaries(), c.Boundary) >= slices.Index(Boundaries(), Claimed)
	for b, m := range marks[c.Step] {
		if later := slices.Index(Boundaries(), b) >= slices.Index(Boundaries(), Claimed); later == called && m.Matches(h) {
			return true
		}
	}
	again := marks[c.Step][Claimed]
	again.At = AtBegin
	return called && again.Matches(h)
}

// Impossible says why a cell cannot exist, "" when it can.
func (c Cell) Impossible() string {
	if _, ok := c.Mark(); ok {
		return ""
	}
	if c.Boundary == Rung {
		return "a hold changes no plan, so nothing is rung"
	}
	return "this step commits a fact and calls no gateway; what follows from it is a step of its own"
}

// Cells lists the whole matrix, step by step.
func Cells() []Cell {
	var all []Cell
	for _, s := range Steps() {
		for _, b := range Boundaries() {
			for _, p := range Processes() {
				all = append(all, Cell{s, b, p})
			}
		}
	}
	return all
}

// Possible lists the cells that exist.
func Possible() []Cell {
	return slices.DeleteFunc(Cells(), func(c Cell) bool { return c.Impossible() != "" })
}

// After tells the n-th report of a play and every one that follows: a kill at a random point.
func After(n int) func(Hit) bool {
	var seen atomic.Int64
	return func(Hit) bool { return seen.Add(1) >= int64(n) }
}

// BackFrom tells a hit that shows that a killed process works again.
func BackFrom(victim Process) func(Hit) bool {
	return func(h Hit) bool {
		reports := victim == API || victim == Worker
		return reaches(victim, h) && (!reports || h.From == victim)
	}
}

// reaches tells whether the hit takes an answer of that process, where it is a server of the others.
func reaches(p Process, h Hit) bool {
	switch p {
	case Temporal:
		return h.At == AtBegin || h.At == AtRung || h.At == AtCall
	case Postgres:
		return h.At == AtCommitted || h.At == AtCall
	}
	return true
}

// Plays deals cells to plays of the demo, so that each play is killed at most `kills` times, at most once in a step, and at
// most once between claim and record of a message: three unknown outcomes in a row would pause the channel.
func Plays(cells []Cell, kills int) [][]Cell {
	var plays [][]Cell
	for _, c := range cells {
		at := slices.IndexFunc(plays, func(p []Cell) bool { return len(p) < kills && !slices.ContainsFunc(p, c.collides) })
		if at < 0 {
			plays, at = append(plays, nil), len(plays)
		}
		plays[at] = append(plays[at], c)
	}
	return plays
}

func (c Cell) collides(other Cell) bool {
	unclear := func(c Cell) bool { return c.Boundary == Claimed || c.Boundary == Accepted }
	return c.Step == other.Step || (unclear(c) && unclear(other))
}

// Shuffled is the cells in an order that the seed decides.
func Shuffled(cells []Cell, seed uint64) []Cell {
	out := slices.Clone(cells)
	rand.New(rand.NewPCG(seed, seed)).Shuffle(len(out), func(i, j int) { out[i], out[j] = out[j], out[i] })
	return out
}
