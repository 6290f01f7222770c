package wake

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/kept-practice/kept/db"
	"github.com/kept-practice/kept/internal/policy"
)

// Kinds of finding.
const (
	FindingAdoption = "adoption_late"           // journeys stand still on their way to a new cadence for 5 min
	FindingIdle     = "subject_without_wake_up" // open, with neither wake-up nor retry, due step or human task
	FindingLate     = "step_late"               // more than 5 min
	FindingOutbox   = "outbox_old"              // a fact that no plan has seen for 30 s
	FindingStuck    = "subject_stuck"           // its planner fails; the plan opened its task
)

// tasksPerFinding bounds what one practice gets at once: when everything is late, twenty tasks say so well enough.
const tasksPerFinding = 20

// Finding is one thing that is overdue.
type Finding struct {
	Kind     string
	Practice policy.ID
	Subject  policy.Subject // zero for outbox and adoptions, of which a practice has one finding each
	Client   policy.ID
	Since    time.Time // zero where nothing is late: FindingIdle, FindingStuck
	Facts    int       // rows behind a finding that names no subject
}

// Overdue is what the monitor saw in one look.
type Overdue struct {
	Findings []Finding
	Inbox    int // events not applied for a minute, or parked for an hour
}

// Count tells how many findings of a kind there are.
func (o Overdue) Count(kind string) int {
	n := 0
	for _, f := range o.Findings {
		if f.Kind == kind {
			n++
		}
	}
	return n
}

// Monitor looks for what should not be. Any number may run.
type Monitor struct {
	store   *db.Store
	metrics *Metrics
}

// NewMonitor makes a monitor; metrics may be nil.
func NewMonitor(store *db.Store, m *Metrics) *Monitor {
	if m == nil {
		m = NewMetrics(nil)
	}
	return &Monitor{store: store, metrics: m}
}

// Turn looks, sets the gauges, opens one task per finding and closes those whose cause is gone.
func (m *Monitor) Turn(ctx context.Context) error {
	o, err := m.Look(ctx)
	if err != nil {
		return err
	}
	m.gauge(o)
	return m.tasks(ctx, o)
}

// Look only reads; it is what `kept doctor` shows.
func (m *Monitor) Look(ctx context.Context) (Overdue, error) {
	var o Overdue
	q := m.store.System()
	late, err := q.MonitorLate(ctx)
	if err != nil {
		return o, db.Classify(err)
	}
	for _, r := range late {
		o.Findings = append(o.Findings, Finding{
			Kind: FindingLate, Practice: r.PracticeID, Client: r.ClientID, Since: r.Since,
			Subject: policy.Subject{Practice: r.PracticeID, Kind: r.Kind, ID: r.ID},
		})
	}
	outbox, err := q.MonitorOutbox(ctx)
	if err != nil {
		return o, db.Classify(err)
	}
	for _, r := range outbox {
		o.Findings = append(o.Findings, Finding{Kind: FindingOutbox, Practice: r.PracticeID, Since: r.Oldest, Facts: int(r.Facts)})
	}
	adoptions, err := q.MonitorAdoptions(ctx)
	if err != nil {
		return o, db.Classify(err)
	}
	for _, r := range adoptions {
		o.Findings = append(o.Findings, Finding{Kind: FindingAdoption, Practice: r.PracticeID, Since: r.Oldest, Facts: int(r.Adoptions)})
	}
	idle, err := m.idle(ctx, q)
	if err != nil {
		return o, db.Classify(err)
	}
	o.Findings = append(o.Findings, idle...)
	stuck, err := q.MonitorStuck(ctx)
	if err != nil {
		return o, db.Classify(err)
	}
	for _, r := range stuck {
		o.Findings = append(o.Findings, Finding{
			Kind: FindingStuck, Practice: r.PracticeID, Client: r.ClientID,
			Subject: policy.Subject{Practice: r.PracticeID, Kind: r.Kind, ID: r.ID},
		})
	}
	inbox, err := q.MonitorInbox(ctx)
	o.Inbox = int(inbox)
	return o, db.Classify(err)
}

func (m *Monitor) idle(ctx context.Context, q *db.Queries) ([]Finding, error) {
	rows, err := q.MonitorIdle(ctx)
	if err != nil {
		return nil, err
	}
	var found []Finding
	withTask := map[policy.Subject]bool{}
	var read policy.ID
	for _, r := range rows { // in the order of practices
		if r.PracticeID != read {
			read = r.PracticeID
			tasks, err := m.store.In(read).MonitorSubjectsWithTask(ctx, read)
			if err != nil {
				return nil, err
			}
			for _, t := range tasks {
				withTask[policy.Subject{Practice: read, Kind: t.Kind, ID: t.ID}] = true
			}
		}
		s := policy.Subject{Practice: r.PracticeID, Kind: r.Kind, ID: r.ID}
		if !withTask[s] {
			found = append(found, Finding{Kind: FindingIdle, Practice: r.PracticeID, Subject: s, Client: r.ClientID})
		}
	}
	return found, nil
}

func (m *Monitor) gauge(o Overdue) {
	for _, kind := range []string{FindingAdoption, FindingIdle, FindingLate, FindingOutbox, FindingStuck} {
		m.metrics.overdue.WithLabelValues(kind).Set(float64(o.Count(kind)))
	}
	m.metrics.overdue.WithLabelValues("inbox_old").Set(float64(o.Inbox))
	age := 0.0
	for _, f := range o.Findings {
		if f.Kind == FindingOutbox {
			age = max(age, time.Since(f.Since).Seconds())
		}
	}
	m.metrics.outboxAge.Set(age)
}

// tasks makes the open tasks of every practice match the findings.
func (m *Monitor) tasks(ctx context.Context, o Overdue) error {
	byPractice := map[policy.ID][]Finding{}
	for _, f := range o.Findings {
		if f.Kind != FindingStuck { // the plan that failed has opened its task
			byPractice[f.Practice] = append(byPractice[f.Practice], f)
		}
	}
	practices, err := m.store.System().SweepPractices(ctx)
	if err != nil {
		return db.Classify(err)
	}
	var failed []error
	for _, practice := range practices {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err := m.tasksOf(ctx, practice, byPractice[practice]); err != nil {
			failed = append(failed, fmt.Errorf("overdue tasks of practice %s: %w", practice, err))
		}
	}
	return errors.Join(failed...)
}

func (m *Monitor) tasksOf(ctx context.Context, practice policy.ID, findings []Finding) error {
	open, err := m.store.In(practice).MonitorCauses(ctx, practice)
	if err != nil {
		return db.Classify(err)
	}
	has, wanted, count := map[string]bool{}, map[string]bool{}, map[string]int{}
	for _, t := range open {
		has[t.Cause] = true
		count[kindOfCause(t.Cause)]++
	}
	for _, f := range findings {
		wanted[f.cause()] = true
		if has[f.cause()] || count[f.Kind] >= tasksPerFinding {
			continue
		}
		count[f.Kind]++
		if err := m.open(ctx, f); err != nil {
			return err
		}
	}
	for _, t := range open {
		if !wanted[t.Cause] {
			if err := m.close(ctx, practice, t.ID); err != nil {
				return err
			}
		}
	}
	return nil
}

func (m *Monitor) open(ctx context.Context, f Finding) error {
	return m.store.InPractice(ctx, f.Practice, func(tx *db.Tx) error {
		arg := db.MonitorTaskOpenParams{PracticeID: f.Practice, ID: db.NewID(), Title: f.Title(), Cause: f.cause()}
		if f.Subject.Kind != "" {
			arg.SubjectKind, arg.SubjectID, arg.ClientID = &f.Subject.Kind, &f.Subject.ID, &f.Client
		}
		opened, err := tx.MonitorTaskOpen(ctx, arg)
		if err != nil || opened == 0 {
			return err
		}
		return tx.Record(ctx, db.Entry{
			Verb: "task_opened", By: policy.System(f.Practice), Subject: f.Subject, Object: "task", ID: arg.ID, Reason: f.Kind,
		})
	})
}

func (m *Monitor) close(ctx context.Context, practice, task policy.ID) error {
	return m.store.InPractice(ctx, practice, func(tx *db.Tx) error {
		closed, err := tx.MonitorTaskClose(ctx, practice, task)
		if err != nil || closed == 0 {
			return err
		}
		return tx.Record(ctx, db.Entry{
			Verb: "task_closed", By: policy.System(practice), Object: "task", ID: task, Reason: "cause_gone",
		})
	})
}

// Title says what is wrong and what to do, without personal data.
func (f Finding) Title() string {
	switch f.Kind {
	case FindingIdle:
		return fmt.Sprintf("%s waits for nothing: look at it and fire, skip or close a step", f.Subject.WorkflowID())
	case FindingLate:
		return fmt.Sprintf("%s is more than 5 minutes late: is the worker running, does Temporal answer?", f.Subject.WorkflowID())
	case FindingAdoption:
		return "Moving visits to a new cadence stands still: is the worker running, what does its log say?"
	default:
		return "Changes have waited more than 30 seconds to be acted on: is the worker running, does Temporal answer?"
	}
}

func (f Finding) cause() string {
	if f.Subject.Kind == "" {
		return "overdue/" + f.Kind
	}
	return "overdue/" + f.Kind + "/" + f.Subject.WorkflowID()
}

func kindOfCause(cause string) string {
	return strings.SplitN(strings.TrimPrefix(cause, "overdue/"), "/", 2)[0]
}
