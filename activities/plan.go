package activities

import (
	"context"
	"fmt"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/kept-practice/kept/db"
	"github.com/kept-practice/kept/internal/desk"
	"github.com/kept-practice/kept/internal/policy"
)

// planLockTimeout is how long a plan waits for its subject, in milliseconds.
const planLockTimeout = 2000

// planRounds bounds how often one plan does steps of its own and plans again.
const planRounds = 8

// Plan looks at one subject in one transaction: lock its row, eat its outbox rows, load the facts, plan, do the due steps
// that touch only PostgreSQL, plan again, write what the subject waits for. It may run twice or beside a zombie: both queue on
// the lock, and the later one sees all. A subject that does not exist is Done.
func (a *Activities) Plan(ctx context.Context, s policy.Subject) (plan policy.Plan, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("planner panicked: %v", p)
			a.log.Error("planner panicked", "subject", s.WorkflowID(), "panic", p, "stack", string(debug.Stack()))
		}
		if err != nil {
			a.planFailed(ctx, s, err)
		}
	}()
	err = a.store.InPractice(ctx, s.Practice, func(tx *db.Tx) error {
		if err := tx.LockTimeout(ctx, planLockTimeout); err != nil {
			return err
		}
		if err := tx.Lock(ctx, db.LockSet{Subjects: []policy.Subject{s}}); err != nil {
			return err
		}
		if _, err := tx.OutboxDelete(ctx, db.OutboxDeleteParams{PracticeID: s.Practice, SubjectKind: s.Kind, SubjectID: s.ID}); err != nil {
			return fmt.Errorf("eat the outbox: %w", err)
		}
		look, err := a.settle(ctx, tx, s)
		if err != nil {
			return err
		}
		if look.Missing {
			plan = policy.Plan{Done: true, Detail: "Nothing is known of this subject."}
			return nil
		}
		plan = look.Outlook.Plan(look.Ground)
		return a.writeSubject(ctx, tx, s, look)
	})
	return plan, err
}

// settle does the due steps of the plan's own, planning again after each round, and keeps decisions that have become final.
func (a *Activities) settle(ctx context.Context, tx *db.Tx, s policy.Subject) (desk.Looked, error) {
	for range planRounds {
		look, err := desk.Look(ctx, tx.Queries, s)
		if err != nil || look.Missing {
			return look, err
		}
		acted := false
		for _, step := range look.Outlook.Due {
			if !policy.Inside(step.Kind) {
				continue
			}
			did, err := a.inside(ctx, tx, s, step, look)
			if err != nil {
				return look, fmt.Errorf("step %s: %w", step.Key, err)
			}
			acted = acted || did
		}
		if !acted {
			return look, a.keepDropped(ctx, tx, s, look)
		}
	}
	return desk.Looked{}, fmt.Errorf("the plan did not come to rest in %d rounds", planRounds)
}

// inside does one step that touches only PostgreSQL, once: its row in effects stands or falls with it.
func (a *Activities) inside(ctx context.Context, tx *db.Tx, s policy.Subject, step policy.Step, look desk.Looked) (bool, error) {
	now := look.Ground.Now
	n, err := tx.EffectDone(ctx, db.EffectDoneParams{
		PracticeID: s.Practice, SubjectKind: s.Kind, SubjectID: s.ID, Key: step.Key, Kind: step.Kind, ClientID: &look.Client, Rule: step.Rule, ClaimedFor: now,
	})
	if err != nil || n == 0 {
		return false, err
	}
	tx.Cause = step.Why
	defer func() { tx.Cause = "" }()
	switch step.Kind {
	case policy.StepMarkNoShow:
		err = a.desk.StepStatus(ctx, tx, s.ID, policy.VerbNoShow)
	case policy.StepComplete:
		err = a.desk.StepStatus(ctx, tx, s.ID, policy.VerbComplete)
	case policy.StepDraftInvoice:
		err = a.desk.DraftInvoice(ctx, tx, s.ID, step.Key)
	case policy.StepIssueInvoice:
		err = a.desk.IssueInvoice(ctx, tx, s.ID, now)
	case policy.StepVoidInvoice:
		err = a.desk.VoidInvoice(ctx, tx, s.ID, "the visit is not completed any more", now)
	case policy.StepPlanRecall:
		err = a.desk.PlanRecall(ctx, tx, s.ID, now)
	case policy.StepUndoRecall:
		err = a.desk.UndoRecall(ctx, tx, s.ID, now)
	case policy.StepCloseRecall:
		err = a.desk.CloseRecall(ctx, tx, s.ID, strings.Split(step.Key, "/")[1], step.Why, now)
	default:
		err = fmt.Errorf("no step of kind %s is done inside a plan", step.Kind)
	}
	return true, err
}

// keepDropped stores why a step whose time has come did not happen, so that "why did she get nothing?" has an answer.
// What may still turn (a pause, a paused channel) is left open.
func (a *Activities) keepDropped(ctx context.Context, tx *db.Tx, s policy.Subject, look desk.Looked) error {
	for _, d := range look.Outlook.Not {
		e, begun := look.Ground.Effects[d.Key]
		switch {
		case policy.Inside(d.Kind) || !d.Reason.Final():
			continue
		case begun && (e.Final || e.State == policy.EffectClaimed):
			continue
		case !begun && d.At.After(look.Ground.Now):
			continue
		}
		if err := a.refuse(ctx, tx, s, d.Step, look, string(d.Reason)+": "+d.Detail); err != nil {
			return err
		}
	}
	return nil
}

func (a *Activities) writeSubject(ctx context.Context, tx *db.Tx, s policy.Subject, look desk.Looked) error {
	o := look.Outlook
	if err := a.desk.KeepTasks(ctx, tx, s, look.Client, o.Tasks, look.Ground.Now); err != nil {
		return err
	}
	keys := make([]string, len(o.Due))
	for i, step := range o.Due {
		keys[i] = step.Key
	}
	status := "open"
	if o.Done && len(keys) == 0 {
		status = "done"
	}
	err := tx.SubjectPlanned(ctx, db.SubjectPlannedParams{
		PracticeID: s.Practice, Kind: s.Kind, ID: s.ID, Status: status, Stage: o.Stage, Waiting: o.Waiting,
		WakeAt: o.WakeAt, RetryAt: o.RetryAt, DueKeys: keys,
	})
	if err != nil {
		return fmt.Errorf("write the subject: %w", err)
	}
	return nil
}

// planFailed counts failures of the planner itself, in a transaction of its own. An unavailable database is none: it fails
// every plan and mends itself. After five the subject is stuck, a person is asked, and no other subject is delayed.
func (a *Activities) planFailed(ctx context.Context, s policy.Subject, cause error) {
	if policy.KindOf(cause) == policy.Unavailable || ctx.Err() != nil {
		return
	}
	a.log.Error("plan failed", "subject", s.WorkflowID(), "error", cause)
	if err := a.desk.PlanFailed(ctx, s, policy.CodeOf(cause)); err != nil {
		a.log.Error("failure of a plan not recorded", "subject", s.WorkflowID(), "error", err)
	}
}

// lastStep tells that nothing is left after this step: its run must look once more to find itself done.
func lastStep(o policy.Outlook, key string) bool {
	others := slices.ContainsFunc(o.Due, func(s policy.Step) bool { return s.Key != key })
	return !others && len(o.Future) == 0 && len(o.Later) == 0 && o.WakeAt == nil
}
