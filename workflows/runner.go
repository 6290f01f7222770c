package workflows

import (
	"fmt"
	"time"

	"go.temporal.io/sdk/workflow"

	"github.com/kept-practice/kept/internal/policy"
)

// Run is the run of one subject, registered under the name of each kind. Look, start what is due, wait beside it, look
// again; it ends when a plan says Done and nothing is in flight. It never ends in failure. Cancelled, it waits for the
// calls under way and ends as cancelled; the subject is still open in PostgreSQL, so the relay rings it to life again,
// and rings that were not looked at are outbox rows of their own.
//
// Replay binds the order of the commands that this file issues and the JSON of policy.Plan and policy.Step.
func Run(ctx workflow.Context, subject policy.Subject) error {
	r := &run{subject: subject, rings: workflow.GetSignalChannel(ctx, SignalWake), look: "first look"}
	for ctx.Err() == nil {
		r.gather(ctx)
		if r.look != "" || r.rings.Len() > 0 {
			r.lookAgain(ctx)
			continue
		}
		// The channel has just been found empty, and nothing may block from there to a return: a ring that a closing run
		// has in its channel would die with it. One that arrives later makes the server refuse the close.
		if len(r.flying) == 0 {
			if r.plan.Done {
				return nil
			}
			if info := workflow.GetInfo(ctx); info.GetContinueAsNewSuggested() {
				return workflow.NewContinueAsNewError(ctx, info.WorkflowType.Name, subject)
			}
		}
		r.arm(ctx)
		if err := workflow.Await(ctx, r.stirs); err != nil {
			break // cancelled: nothing else ends an Await early
		}
	}
	r.land(ctx)
	return ctx.Err()
}

// run is the state of a run: the last plan, what is in flight, and what will wake it.
type run struct {
	subject policy.Subject
	rings   workflow.ReceiveChannel
	look    string // why to look again, for the reader of the history; empty when there is no reason
	plan    policy.Plan
	fresh   bool // plan is newer than the timer

	flying  []flight
	starts  map[string]int // starts in a row of keys that ended and may still be due
	blanks  int            // plans in a row that failed
	timer   alarm          // for the plan's deadline
	respite alarm          // for another try after a failure
}

// flight is a step in flight.
type flight struct {
	key    string
	starts int // how often in a row this key was started while it stayed due, this time included
	done   workflow.Future
}

// gather takes what has happened since the last wait: ended steps and rung alarms.
func (r *run) gather(ctx workflow.Context) {
	flying := r.flying
	r.flying = nil
	for _, f := range flying {
		if f.done.IsReady() {
			r.ended(ctx, f)
		} else {
			r.flying = append(r.flying, f)
		}
	}
	if r.timer.rang() {
		r.timer.cancel()
		r.look = "its time has come"
	}
	if r.respite.rang() {
		r.respite.cancel()
		r.look = "another try"
	}
}

// ended decides what follows a step. One that was done as the plan assumed needs no other look. One that used up its
// attempts, or keeps asking without getting anywhere, is looked at again after a respite; whatever else makes the run
// look before that may start it again, since each attempt re-reads the facts and a person may just have mended them.
func (r *run) ended(ctx workflow.Context, f flight) {
	var again bool
	err := f.done.Get(ctx, &again)
	if err == nil && !again {
		return
	}
	if r.starts == nil {
		r.starts = map[string]int{}
	}
	r.starts[f.key] = f.starts
	failures := f.starts
	if err == nil {
		if failures -= asksInARow; failures <= 0 {
			r.look = "a step asks"
			return
		}
	}
	r.plan.Done = false // it assumed that this step would succeed
	r.respite.sooner(ctx, doubling(stepRespite, failures, stepRespiteMost), "Another try: a step did not get through")
}

// lookAgain plans and starts what is due. After a plan that failed, everything stays as it was until the next look.
func (r *run) lookAgain(ctx workflow.Context) {
	why := r.look
	if why == "" {
		why = "rung"
	}
	r.look = ""
	for r.rings.ReceiveAsync(nil) { // this look answers every ring before it
	}
	var plan policy.Plan
	planning := workflow.WithLocalActivityOptions(ctx, planOptions("Plan: "+why))
	if err := workflow.ExecuteLocalActivity(planning, ActivityPlan, r.subject).Get(ctx, &plan); err != nil {
		if ctx.Err() == nil {
			r.blank(ctx, err)
		}
		return
	}
	r.blanks = 0
	r.respite.cancel() // everything that is due starts now
	r.plan, r.fresh = plan, true
	workflow.SetCurrentDetails(ctx, plan.Detail)
	for _, step := range plan.Due {
		if !r.inFlight(step.Key) {
			r.start(ctx, step)
		}
	}
	r.starts = nil // counted on by the flights; a key that is no longer due starts from nothing
}

// blank waits out a plan that failed.
func (r *run) blank(ctx workflow.Context, err error) {
	r.blanks++
	r.plan.Done = false // said before this look
	wait := doubling(planRespite, r.blanks, planRespiteMost)
	workflow.GetLogger(ctx).Warn("plan failed", "in_a_row", r.blanks, "next_try_in", wait, "error", err)
	said := fmt.Sprintf("The last look failed (%d in a row); the next is in %s or at a ring.", r.blanks, wait)
	if r.plan.Detail != "" {
		said = r.plan.Detail + "\n\n" + said
	}
	workflow.SetCurrentDetails(ctx, said)
	r.respite.set(ctx, wait, fmt.Sprintf("Another try: the plan failed (%d in a row)", r.blanks))
}

func (r *run) start(ctx workflow.Context, step policy.Step) {
	options := workflow.WithActivityOptions(ctx, KindOf(step.Kind).options(step.Summary))
	done := workflow.ExecuteActivity(options, step.Kind, r.subject, step)
	r.flying = append(r.flying, flight{key: step.Key, starts: r.starts[step.Key] + 1, done: done})
}

func (r *run) inFlight(key string) bool {
	for _, f := range r.flying {
		if f.key == key {
			return true
		}
	}
	return false
}

// arm makes the timer follow the newest plan. It is kept while the plan's deadline is the same; each time that the same
// deadline comes back after it rang, the wait at least doubles, so a plan stuck in the past cannot spin.
func (r *run) arm(ctx workflow.Context) {
	if !r.fresh {
		return
	}
	r.fresh = false
	wait, ok := r.plan.Wait()
	until := deadlineOf(r.plan)
	switch {
	case !ok:
		r.timer.cancel()
		r.timer.until = until
		return
	case !until.equal(r.timer.until):
		r.timer.repeats = 0
	case r.timer.future != nil:
		return
	default:
		r.timer.repeats++
	}
	wait = max(wait, doubling(time.Second, r.timer.repeats, time.Minute))
	r.timer.until = until
	r.timer.set(ctx, wait, r.plan.Waiting)
}

// stirs tells whether there is anything to do.
func (r *run) stirs() bool {
	if r.rings.Len() > 0 || r.timer.rang() || r.respite.rang() {
		return true
	}
	for _, f := range r.flying {
		if f.done.IsReady() {
			return true
		}
	}
	return false
}

// land waits for the steps of a cancelled run. What they did stands in effects, so their answers are not needed here.
func (r *run) land(ctx workflow.Context) {
	for _, f := range r.flying {
		if err := f.done.Get(ctx, nil); err != nil {
			workflow.GetLogger(ctx).Info("step ended in a cancelled run", "key", f.key, "error", err)
		}
	}
}
