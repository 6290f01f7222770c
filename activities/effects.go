package activities

import (
	"context"
	"fmt"
	"time"

	"github.com/kept-practice/kept/db"
	"github.com/kept-practice/kept/internal/desk"
	"github.com/kept-practice/kept/internal/gateway"
	"github.com/kept-practice/kept/internal/policy"
)

// callTime bounds one gateway call, counted from before its claim began, so that nothing leaves later than this after the
// instant by which it was judged.
const callTime = 10 * time.Second

// searchAfter is the age from which an idempotency key may have been forgotten by the gateway: search, do not repeat.
const searchAfter = 20 * time.Hour

// claim is an attempt that owns its effect row.
type claim struct {
	subject  policy.Subject
	step     policy.Step
	look     desk.Looked
	owner    policy.ID
	idemKey  string
	object   *policy.ID // the message or payment row that an earlier attempt made, or this one
	exempt   string     // why quiet hours do not bind it
	attempt  int32
	old      bool // the key is older than the gateway remembers: search first
	settle   bool // the facts say no by now: find the outcome of the earlier attempt, act no more
	deadline time.Time
}

// act claims a step, makes its call and records the outcome. prepare runs in the claiming transaction, under the locks, and
// may write rows of its own; call runs after the commit, within the deadline; done runs in the recording transaction.
type act struct {
	idempotent bool // the gateway refuses the second time by itself
	turning    bool // later steps turn on the outcome, so the run looks again in any case
	prepare    func(context.Context, *db.Tx, *claim) error
	call       func(context.Context, *claim) gateway.Outcome
	lock       func(context.Context, *db.Tx, *claim) error // what the recording touches, in the one order
	done       func(context.Context, *db.Tx, *claim, gateway.Outcome) ([]policy.Subject, error)
}

// lockSubject is the lock of recordings that touch nothing beyond their own subject.
func lockSubject(ctx context.Context, tx *db.Tx, c *claim) error {
	return tx.Lock(ctx, db.LockSet{Subjects: []policy.Subject{c.subject}})
}

// run is the whole life of one attempt. again asks the run to look again, because the outcome was not the assumed one.
func (a *Activities) run(ctx context.Context, s policy.Subject, step policy.Step, act act) (again bool, err error) {
	deadline := time.Now().Add(callTime)
	var c *claim
	err = a.store.InPractice(ctx, s.Practice, func(tx *db.Tx) error {
		c, again, err = a.claim(ctx, tx, s, step, act)
		return err
	})
	if err != nil || c == nil {
		return again, err
	}
	c.deadline = deadline
	out := gateway.Outcome{State: gateway.Refused, Code: gateway.CodeNotSent, Err: context.DeadlineExceeded}
	if call, cancel := context.WithDeadline(ctx, deadline); call.Err() == nil {
		out = act.call(call, c)
		cancel()
	} else {
		cancel()
	}
	if err := a.record(ctx, c, act, out); err != nil {
		return true, err
	}
	return act.turning || out.State != gateway.Accepted || lastStep(c.look.Outlook, step.Key), nil
}

// claim takes the locks, looks again at the facts and decides by the state of the effect row. A nil claim means that there is
// nothing to call; again tells whether the run should look.
func (a *Activities) claim(ctx context.Context, tx *db.Tx, s policy.Subject, step policy.Step, act act) (*claim, bool, error) {
	look, err := a.lockAndLook(ctx, tx, s)
	if err != nil || look.Missing {
		return nil, false, err
	}
	row, err := tx.EffectLock(ctx, db.EffectLockParams{PracticeID: s.Practice, SubjectKind: s.Kind, SubjectID: s.ID, Key: step.Key})
	found := err == nil
	if err != nil && !db.NoRows(err) {
		return nil, false, fmt.Errorf("lock the effect: %w", err)
	}
	switch {
	case found && row.Final:
		return nil, false, nil
	case found && row.State == string(policy.EffectClaimed) && row.CallBy.After(look.Ground.RealNow):
		return nil, true, nil
	case found && row.State == string(policy.EffectClaimed) && !act.idempotent:
		return nil, true, a.settleUnknown(ctx, tx, s, step, look, row.ObjectID)
	}
	resumed := found && row.State == string(policy.EffectClaimed)
	if !resumed {
		wanted, reason := judge(look.Outlook, step.Key)
		if reason != "" {
			return nil, true, a.refuse(ctx, tx, s, step, look, reason)
		}
		if !wanted {
			return nil, true, nil
		}
	}
	c := &claim{subject: s, step: step, look: look, owner: db.NewID(), attempt: 1, exempt: look.Outlook.Exempt[step.Key]}
	if found {
		c.object, c.attempt = row.ObjectID, row.Attempt+1
		c.old = resumed && look.Ground.RealNow.Sub(row.FirstClaimedAt) > searchAfter
		c.settle = resumed && !actable(look.Outlook, step.Key)
		if row.IdemKey != nil {
			c.idemKey = *row.IdemKey
		}
	}
	if err := act.prepare(ctx, tx, c); err != nil {
		return nil, false, err
	}
	return c, false, c.write(ctx, tx, found)
}

// lockAndLook takes the client, since caps and opt-outs are judged under it, then the subject, then reads the facts.
func (a *Activities) lockAndLook(ctx context.Context, tx *db.Tx, s policy.Subject) (desk.Looked, error) {
	row, err := tx.SubjectByID(ctx, db.SubjectByIDParams{PracticeID: s.Practice, Kind: s.Kind, ID: s.ID})
	if db.NoRows(err) {
		return desk.Looked{Missing: true}, nil
	}
	if err != nil {
		return desk.Looked{}, err
	}
	if err := tx.Lock(ctx, db.LockSet{Clients: []policy.ID{row.ClientID}, Subjects: []policy.Subject{s}}); err != nil {
		return desk.Looked{}, err
	}
	return desk.Look(ctx, tx.Queries, s)
}

// judge asks the planner of this moment: is the step still due, and if not, why. Neither: it is not due yet.
func judge(o policy.Outlook, key string) (wanted bool, reason string) {
	for _, s := range o.Due {
		if s.Key == key {
			return true, ""
		}
	}
	for _, s := range o.Future {
		if s.Key == key {
			return false, ""
		}
	}
	for _, d := range o.Not {
		if d.Key != key {
			continue
		}
		if !d.Reason.Final() {
			return false, ""
		}
		return false, string(d.Reason) + ": " + d.Detail
	}
	return false, string(policy.DropMoved) + ": another version of the visit took over"
}

// actable: the planner of this moment wants the step done, and not only its outcome found.
func actable(o policy.Outlook, key string) bool {
	for _, s := range o.Due {
		if s.Key == key {
			return !s.Settle
		}
	}
	return false
}

func (c *claim) write(ctx context.Context, tx *db.Tx, found bool) error {
	callBy := c.look.Ground.RealNow.Add(callTime)
	if found {
		return tx.EffectReclaim(ctx, db.EffectReclaimParams{
			PracticeID: c.subject.Practice, SubjectKind: c.subject.Kind, SubjectID: c.subject.ID, Key: c.step.Key,
			Owner: &c.owner, CallBy: &callBy, IdemKey: orNil(c.idemKey), ClaimedFor: c.look.Ground.Now, ObjectID: c.object, Exempt: c.exempt,
		})
	}
	return tx.EffectInsert(ctx, db.EffectInsertParams{
		PracticeID: c.subject.Practice, SubjectKind: c.subject.Kind, SubjectID: c.subject.ID, Key: c.step.Key, Kind: c.step.Kind,
		State: string(policy.EffectClaimed), Owner: &c.owner, IdemKey: orNil(c.idemKey), ClientID: &c.look.Client,
		Rule: c.step.Rule, Channel: c.step.Channel, ClaimedFor: c.look.Ground.Now, CallBy: &callBy, ObjectID: c.object, Exempt: c.exempt,
	})
}

// refuse keeps why a step did not happen, as the final state of its effect and as a journal entry. An attempt that surely
// failed before ends with it, and so does its payment row.
func (a *Activities) refuse(ctx context.Context, tx *db.Tx, s policy.Subject, step policy.Step, look desk.Looked, reason string) error {
	row, err := tx.EffectLock(ctx, db.EffectLockParams{PracticeID: s.Practice, SubjectKind: s.Kind, SubjectID: s.ID, Key: step.Key})
	switch {
	case err == nil:
		err = a.withdraw(ctx, tx, s, step, look, reason, row.ObjectID)
	case db.NoRows(err):
		err = a.insertRefusal(ctx, tx, s, step, look, reason)
	}
	if err != nil {
		return fmt.Errorf("keep the refusal: %w", err)
	}
	return tx.Record(ctx, stepEntry("step_dropped", s, step, reason))
}

func (a *Activities) withdraw(ctx context.Context, tx *db.Tx, s policy.Subject, step policy.Step, look desk.Looked, reason string, object *policy.ID) error {
	if _, err := tx.EffectSettle(ctx, db.EffectSettleParams{
		PracticeID: s.Practice, SubjectKind: s.Kind, SubjectID: s.ID, Key: step.Key, State: string(policy.EffectRefused), Final: true,
		Reason: reason, SettledAt: look.Ground.Now,
	}); err != nil {
		return err
	}
	if step.Kind != policy.StepChargeCard || object == nil {
		return nil
	}
	_, err := tx.PaymentSettle(ctx, db.PaymentSettleParams{PracticeID: s.Practice, ID: *object, Status: desk.PaymentExpired})
	return err
}

func (a *Activities) insertRefusal(ctx context.Context, tx *db.Tx, s policy.Subject, step policy.Step, look desk.Looked, reason string) error {
	return tx.EffectInsert(ctx, db.EffectInsertParams{
		PracticeID: s.Practice, SubjectKind: s.Kind, SubjectID: s.ID, Key: step.Key, Kind: step.Kind,
		State: string(policy.EffectRefused), Final: true, ClientID: &look.Client, Rule: step.Rule, Channel: step.Channel,
		Reason: reason, ClaimedFor: look.Ground.Now, SettledAt: &look.Ground.Now,
	})
}

// settleUnknown gives up an attempt whose outcome nobody can know. Three in a row on one channel pause it.
func (a *Activities) settleUnknown(ctx context.Context, tx *db.Tx, s policy.Subject, step policy.Step, look desk.Looked, message *policy.ID) error {
	if _, err := tx.EffectSettle(ctx, db.EffectSettleParams{
		PracticeID: s.Practice, SubjectKind: s.Kind, SubjectID: s.ID, Key: step.Key, State: string(policy.EffectUnknown), Final: true,
		Reason: "no answer came before its attempt ended", SettledAt: look.Ground.Now,
	}); err != nil {
		return err
	}
	if message != nil {
		if _, err := tx.MessageSettle(ctx, db.MessageSettleParams{PracticeID: s.Practice, ID: *message, Status: "unknown"}); err != nil {
			return err
		}
	}
	return a.afterUnknown(ctx, tx, s, step)
}

func (a *Activities) afterUnknown(ctx context.Context, tx *db.Tx, s policy.Subject, step policy.Step) error {
	if err := a.desk.PauseAfterUnknowns(ctx, tx, step.Channel); err != nil {
		return err
	}
	return tx.Record(ctx, stepEntry("step_unknown", s, step, "the outcome of the call is unknown"))
}

// record writes what came of the call. It tries for as long as the activity lives: an accepted call that is not recorded
// becomes an unknown one.
func (a *Activities) record(ctx context.Context, c *claim, act act, out gateway.Outcome) error {
	wait := 50 * time.Millisecond
	for {
		err := a.store.InPractice(ctx, c.subject.Practice, func(tx *db.Tx) error { return a.recordOnce(ctx, tx, c, act, out) })
		if err == nil || policy.KindOf(err) != policy.Unavailable {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(wait):
			wait = min(2*wait, time.Second)
		}
	}
}

func (a *Activities) recordOnce(ctx context.Context, tx *db.Tx, c *claim, act act, out gateway.Outcome) error {
	set := a.outcomeRow(c, act, out)
	if set.State == "" { // idempotent and unclear: it stays claimed, the next attempt repeats the same key
		return nil
	}
	if err := act.lock(ctx, tx, c); err != nil {
		return err
	}
	rung, err := act.done(ctx, tx, c, out)
	if err != nil {
		return err
	}
	n, err := tx.EffectSettle(ctx, set)
	if err != nil || n == 0 { // someone else settled it: an event, a look-up, a later attempt
		return err
	}
	if err := tx.SubjectStepSettled(ctx, db.SubjectStepSettledParams{
		PracticeID: c.subject.Practice, Kind: c.subject.Kind, ID: c.subject.ID, Key: c.step.Key,
	}); err != nil {
		return err
	}
	if set.State == string(policy.EffectUnknown) {
		return a.afterUnknown(ctx, tx, c.subject, c.step)
	}
	verb := map[string]string{string(policy.EffectAccepted): "step_done", string(policy.EffectFailed): "step_failed"}[set.State]
	entry := stepEntry(verb, c.subject, c.step, set.Reason)
	entry.Rings = rung
	return tx.Record(ctx, entry)
}

// outcomeRow is the table from a call's end to the state of its effect; an empty state leaves the row claimed.
func (a *Activities) outcomeRow(c *claim, act act, out gateway.Outcome) db.EffectSettleParams {
	set := db.EffectSettleParams{
		PracticeID: c.subject.Practice, SubjectKind: c.subject.Kind, SubjectID: c.subject.ID, Key: c.step.Key, Owner: &c.owner,
		Reference: orNil(out.Reference), SettledAt: c.look.Ground.Now,
	}
	switch {
	case out.State == gateway.Accepted:
		set.State, set.Final = string(policy.EffectAccepted), true
	case out.State == gateway.Refused:
		set.State, set.Final, set.Reason = string(policy.EffectFailed), out.Final, out.Code
		if !out.Final {
			next := c.look.Ground.RealNow.Add(max(backoff(c.attempt), out.RetryAfter))
			set.NextAt = &next
		}
	case !act.idempotent:
		set.State, set.Final, set.Reason = string(policy.EffectUnknown), true, out.Code
	}
	if set.State != "" {
		a.log.Info("step", "subject", c.subject.WorkflowID(), "key", c.step.Key, "state", set.State, "code", out.Code, "attempt", c.attempt)
	} else {
		a.log.Warn("step unclear; the same key is tried again", "subject", c.subject.WorkflowID(), "key", c.step.Key, "code", out.Code)
	}
	return set
}

// backoff is the patience after the n-th sure refusal, in real time: 2 s, 8 s, 32 s … up to an hour.
func backoff(n int32) time.Duration {
	wait := 2 * time.Second
	for ; n > 1 && wait < time.Hour; n-- {
		wait *= 4
	}
	return min(wait, time.Hour)
}

// stepEntry is the one journal line that a done, dropped or failed step leaves.
func stepEntry(verb string, s policy.Subject, step policy.Step, reason string) db.Entry {
	return db.Entry{
		Verb: verb, By: policy.System(s.Practice), Subject: s, Object: "step", Reason: reason,
		After: map[string]any{"key": step.Key, "kind": step.Kind, "rule": step.Rule, "why": step.Why, "due_at": step.At},
	}
}

func orNil(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
