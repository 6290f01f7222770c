package desk

import (
	"context"
	"fmt"

	"github.com/kept-practice/kept/db"
	"github.com/kept-practice/kept/internal/policy"
)

// StepStatus is a change of status that a plan makes by itself, in its own transaction, under the subject's lock.
func (d *Desk) StepStatus(ctx context.Context, tx *db.Tx, appointment policy.ID, verb policy.StatusVerb) error {
	visit, clk, err := d.lockVisit(ctx, tx, appointment, nil)
	if err != nil {
		return err
	}
	_, err = d.setStatus(ctx, tx, policy.System(tx.Practice), visit, StatusInput{Appointment: appointment, Verb: verb}, statusVerbs[verb], clk)
	return err
}

// LockInvoice locks what a payment touches, in order: collection, journey, invoice.
func (d *Desk) LockInvoice(ctx context.Context, tx *db.Tx, invoice policy.ID) error {
	_, err := d.lockInvoice(ctx, tx, invoice)
	return err
}

// stuckAfter is how many failures in a row make a subject stuck.
const stuckAfter = 5

// PlanFailed counts a failed plan and asks a person once the subject is stuck. code is the error's code, no text of it.
func (d *Desk) PlanFailed(ctx context.Context, s policy.Subject, code string) error {
	if code == "" {
		code = "internal"
	}
	return d.store.InPractice(ctx, s.Practice, func(tx *db.Tx) error {
		row, err := tx.SubjectPlanFailed(ctx, db.SubjectPlanFailedParams{PracticeID: s.Practice, Kind: s.Kind, ID: s.ID, PlanError: code})
		if db.NoRows(err) || (err == nil && row.PlanFailures != stuckAfter) {
			return nil
		}
		if err != nil {
			return err
		}
		clk, err := readClock(ctx, tx.Queries, tx.Practice)
		if err != nil {
			return err
		}
		if err := openTask(ctx, tx, taskInput{
			cause: s.WorkflowID() + "#stuck/" + db.NewID().String(), kind: "stuck", queue: "owner", client: row.ClientID, subject: s, dueAt: clk.now,
			title: "This journey cannot be planned. It is tried again by itself; call support if it stays.",
		}); err != nil {
			return err
		}
		return tx.Record(ctx, db.Entry{Verb: "subject_stuck", By: policy.System(s.Practice), Subject: s, Object: s.Kind, ID: s.ID, Reason: code})
	})
}

// unknownsInARow pause a channel.
const unknownsInARow = 3

// PauseAfterUnknowns pauses a channel when its last outcomes are unknown, with one task, until staff resume it. Outcomes of one
// instant are counted one after the other, so that the third always pauses.
func (d *Desk) PauseAfterUnknowns(ctx context.Context, tx *db.Tx, channel string) error {
	if channel == "" {
		return nil
	}
	if err := tx.LockChannel(ctx, channel); err != nil {
		return err
	}
	n, err := tx.EffectUnknownStreak(ctx, tx.Practice, channel)
	if err != nil {
		return fmt.Errorf("count unknown outcomes: %w", err)
	}
	if n < unknownsInARow {
		return nil
	}
	clk, err := readClock(ctx, tx.Queries, tx.Practice)
	if err != nil {
		return err
	}
	id := db.NewID()
	paused, err := tx.ChannelPause(ctx, db.ChannelPauseParams{
		PracticeID: tx.Practice, ID: id, Channel: channel, Reason: "three outcomes in a row are unknown", At: clk.now,
	})
	if err != nil || paused == 0 {
		return err
	}
	if err := openTask(ctx, tx, taskInput{
		cause: "channel_paused/" + id.String(), kind: "channel_paused", queue: "front_desk", dueAt: clk.now,
		title: "Sending by " + channel + " is paused: three outcomes in a row are unknown. Check the gateway, then resume the channel.",
	}); err != nil {
		return err
	}
	return tx.Record(ctx, db.Entry{
		Verb: "channel_paused", By: policy.System(tx.Practice), Object: "channel", ID: id, Reason: "three outcomes in a row are unknown",
		After: map[string]string{"channel": channel},
	})
}
