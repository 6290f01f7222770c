package desk

import (
	"context"
	"fmt"
	"time"

	"github.com/kept-practice/kept/db"
	"github.com/kept-practice/kept/internal/policy"
)

// taskInput asks for a human task, once for its cause.
type taskInput struct {
	cause, kind, title, queue, step string
	client                          policy.ID
	subject                         policy.Subject
	dueAt                           time.Time
}

// openTask opens a task unless its cause had one already, open or ended: what a person has ended stays ended.
func openTask(ctx context.Context, tx *db.Tx, in taskInput) error {
	arg := db.TaskInsertParams{
		PracticeID: tx.Practice, ID: db.NewID(), Kind: in.kind, Title: in.title, Queue: in.queue, Priority: 2, DueAt: in.dueAt,
		StepKey: in.step, Cause: in.cause, OpenedAt: in.dueAt,
	}
	if !in.client.IsZero() {
		arg.ClientID = &in.client
	}
	if in.subject.Kind != "" {
		arg.SubjectKind, arg.SubjectID = &in.subject.Kind, &in.subject.ID
	}
	if _, err := tx.TaskInsert(ctx, arg); err != nil {
		return fmt.Errorf("open task: %w", err)
	}
	return nil
}

// KeepTasks makes the open tasks of a subject equal to what its plan wishes: missing ones are opened, those whose cause is
// gone are closed. Tasks of other origins are left alone.
func (d *Desk) KeepTasks(ctx context.Context, tx *db.Tx, s policy.Subject, client policy.ID, wishes []policy.TaskWish, now time.Time) error {
	prefix := s.WorkflowID() + "#"
	wished := map[string]bool{}
	for _, w := range wishes {
		wished[prefix+w.Cause] = true
		if err := openTask(ctx, tx, taskInput{
			cause: prefix + w.Cause, kind: w.Kind, title: w.Title, queue: w.Queue, step: w.StepKey, client: client, subject: s, dueAt: w.DueAt,
		}); err != nil {
			return err
		}
	}
	open, err := tx.TasksOfSubject(ctx, db.TasksOfSubjectParams{PracticeID: tx.Practice, SubjectKind: &s.Kind, SubjectID: &s.ID})
	if err != nil {
		return fmt.Errorf("read open tasks: %w", err)
	}
	for _, t := range open {
		if wished[t.Cause] || len(t.Cause) < len(prefix) || t.Cause[:len(prefix)] != prefix {
			continue
		}
		if _, err := tx.TaskClose(ctx, db.TaskCloseParams{PracticeID: tx.Practice, ID: t.ID, ClosedReason: "its cause is gone", ClosedAt: &now}); err != nil {
			return fmt.Errorf("close task: %w", err)
		}
	}
	return nil
}
