package desk

import (
	"context"
	"fmt"
	"slices"

	"github.com/kept-practice/kept/db"
	"github.com/kept-practice/kept/internal/policy"
)

// OverrideInput is a verb on a step, or on the whole subject when Step is empty (pause and resume only).
type OverrideInput struct {
	Subject policy.Subject
	Verb    string
	Step    string
	Value   string // reroute: the channel; resume: send, skip or ask for what fell due meanwhile
	Reason  string
}

// Overridden is the plan after the verb, from the same planner that the run uses.
type Overridden struct {
	Outlook policy.Outlook
	Rung    []policy.Subject
}

// Override commits a verb as a fact. It is judged against the plan of this moment, under the subject's lock, and refused
// with the reason where it cannot act.
func (d *Desk) Override(ctx context.Context, by policy.Principal, in OverrideInput) (Overridden, error) {
	if in.Reason == "" {
		return Overridden{}, policy.InvalidField("/reason", "missing_reason", "Say why.")
	}
	var out Overridden
	err := d.command(ctx, by, func(tx *db.Tx) error {
		if err := tx.Lock(ctx, db.LockSet{Subjects: []policy.Subject{in.Subject}}); err != nil {
			return err
		}
		look, err := Look(ctx, tx.Queries, in.Subject)
		if err != nil {
			return err
		}
		if look.Missing {
			return policy.NewError(policy.NotFound, in.Subject.Kind+"_not_found", "There is no such "+in.Subject.Kind+" in this practice.")
		}
		if err := policy.CheckOverride(look.Outlook, look.Ground, policy.Override{Verb: in.Verb, StepKey: in.Step, Value: in.Value, At: look.Ground.Now}); err != nil {
			return err
		}
		if in.Verb == policy.VerbResume && in.Value == "" {
			in.Value = look.Ground.Settings.StalePolicy // what holds now, so that a later setting does not change the past
		}
		id := db.NewID()
		if err := tx.OverrideInsert(ctx, db.OverrideInsertParams{
			PracticeID: tx.Practice, ID: id, SubjectKind: in.Subject.Kind, SubjectID: in.Subject.ID, Verb: in.Verb, StepKey: in.Step, Value: in.Value,
			ActorKind: string(by.Kind), ActorID: by.Actor(), Reason: in.Reason, At: look.Ground.Now,
		}); err != nil {
			return err
		}
		if err := tx.SubjectReopen(ctx, db.SubjectReopenParams{PracticeID: tx.Practice, Kind: in.Subject.Kind, ID: in.Subject.ID}); err != nil {
			return err
		}
		out.Rung = []policy.Subject{in.Subject}
		if err := tx.Record(ctx, db.Entry{
			Verb: policy.StepOverridden, By: by, Subject: in.Subject, Object: "override", ID: id, Reason: in.Reason, Rings: out.Rung,
			After: map[string]string{"verb": in.Verb, "step": in.Step, "value": in.Value},
		}); err != nil {
			return err
		}
		look, err = Look(ctx, tx.Queries, in.Subject)
		out.Outlook = look.Outlook
		return err
	})
	return out, err
}

// ResumeChannel lets a paused channel send again; every open subject looks again.
func (d *Desk) ResumeChannel(ctx context.Context, by policy.Principal, channel, reason string) (int, error) {
	if !slices.Contains([]string{policy.ChannelMail, policy.ChannelSMS, policy.ChannelCard}, channel) {
		return 0, policy.InvalidField("/channel", "invalid_channel", "A channel is mail, sms or card.")
	}
	if reason == "" {
		return 0, policy.InvalidField("/reason", "missing_reason", "Say why.")
	}
	rung := 0
	err := d.command(ctx, by, func(tx *db.Tx) error {
		n, err := tx.ChannelResume(ctx, tx.Practice, channel)
		if err != nil {
			return err
		}
		if n == 0 {
			return policy.NewError(policy.Conflict, "not_paused", "The channel is not paused.")
		}
		open, err := tx.SubjectsHeldByChannel(ctx, tx.Practice)
		if err != nil {
			return fmt.Errorf("find open subjects: %w", err)
		}
		subjects := make([]policy.Subject, len(open))
		for i, s := range open {
			subjects[i] = policy.Subject{Practice: tx.Practice, Kind: s.Kind, ID: s.ID}
		}
		rung = len(subjects)
		return tx.Record(ctx, db.Entry{
			Verb: policy.ChannelResumed, By: by, Object: "channel", Reason: reason, Rings: subjects, After: map[string]string{"channel": channel},
		})
	})
	return rung, err
}
