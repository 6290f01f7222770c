package desk

import (
	"context"

	"github.com/kept-practice/kept/db"
	"github.com/kept-practice/kept/internal/policy"
)

// ClaimTask puts a task into the caller's hands. Of two who claim at once the second gets 409, with who has it.
func (d *Desk) ClaimTask(ctx context.Context, by policy.Principal, id policy.ID) (db.Task, error) {
	if by.Staff == nil {
		return db.Task{}, policy.NewError(policy.Forbidden, "not_a_person", "Only a person can take a task on. Use a key that belongs to somebody on the staff.")
	}
	return d.onTask(ctx, by, id, func(tx *db.Tx, task db.Task) (string, error) {
		if task.Status == "claimed" && *task.OwnerID == *by.Staff {
			return "", nil
		}
		n, err := tx.TaskClaim(ctx, db.TaskClaimParams{PracticeID: tx.Practice, ID: id, OwnerID: by.Staff})
		if err == nil && n == 0 {
			err = taskTaken(ctx, tx, id)
		}
		return "task_claimed", err
	})
}

// ReleaseTask gives a claimed task back to its queue.
func (d *Desk) ReleaseTask(ctx context.Context, by policy.Principal, id policy.ID) (db.Task, error) {
	return d.onTask(ctx, by, id, func(tx *db.Tx, task db.Task) (string, error) {
		if task.Status == "open" {
			return "", nil
		}
		n, err := tx.TaskRelease(ctx, tx.Practice, id)
		if err == nil && n == 0 {
			err = taskOver(task.Status)
		}
		return "task_released", err
	})
}

// FinishTask ends a task with what came of it. What a person has ended is not opened again for the same cause.
func (d *Desk) FinishTask(ctx context.Context, by policy.Principal, id policy.ID, outcome string) (db.Task, error) {
	outcome, err := line("/reason", outcome, 500)
	if err != nil {
		return db.Task{}, err
	}
	return d.onTask(ctx, by, id, func(tx *db.Tx, task db.Task) (string, error) {
		clk, err := readClock(ctx, tx.Queries, tx.Practice)
		if err != nil {
			return "", err
		}
		n, err := tx.TaskDone(ctx, db.TaskDoneParams{PracticeID: tx.Practice, ID: id, ClosedReason: outcome, ClosedAt: &clk.now})
		if err == nil && n == 0 {
			err = taskOver(task.Status)
		}
		return "task_done", err
	})
}

// onTask reads a task, changes it and journals the verb; without a verb nothing was to be changed.
func (d *Desk) onTask(ctx context.Context, by policy.Principal, id policy.ID, change func(*db.Tx, db.Task) (verb string, err error)) (db.Task, error) {
	var out db.Task
	err := d.command(ctx, by, func(tx *db.Tx) error {
		before, err := tx.TaskByID(ctx, tx.Practice, id)
		if err != nil {
			return notFound(err, "task")
		}
		verb, err := change(tx, before)
		if err != nil {
			return err
		}
		if out, err = tx.TaskByID(ctx, tx.Practice, id); err != nil || verb == "" {
			return err
		}
		entry := db.Entry{
			Verb: verb, By: by, Object: "task", ID: id, Reason: out.ClosedReason,
			Before: map[string]any{"status": before.Status, "owner": before.OwnerID}, After: map[string]any{"status": out.Status, "owner": out.OwnerID},
		}
		if out.SubjectKind != nil && out.SubjectID != nil {
			entry.Subject = policy.Subject{Practice: tx.Practice, Kind: *out.SubjectKind, ID: *out.SubjectID}
		}
		return tx.Record(ctx, entry)
	})
	return out, err
}

func taskTaken(ctx context.Context, tx *db.Tx, id policy.ID) error {
	now, err := tx.TaskByID(ctx, tx.Practice, id)
	if err != nil {
		return notFound(err, "task")
	}
	if now.Status != "claimed" {
		return taskOver(now.Status)
	}
	e := policy.NewError(policy.Conflict, "task_taken", "Somebody else has taken this task on.")
	e.Facts = map[string]any{"owner": now.OwnerID}
	return e
}

func taskOver(status string) error {
	e := policy.NewError(policy.Conflict, "task_over", "This task has ended.")
	e.Facts = map[string]any{"status": status}
	return e
}
