package desk

import (
	"context"
	"fmt"

	"github.com/kept-practice/kept/db"
	"github.com/kept-practice/kept/internal/policy"
)

// adoptionBatch is how many journeys one transaction moves. A worker does one batch a second, which is as fast as the relay
// rings, so an adoption never makes the outbox old; and the journeys' locks are held for a moment only.
const adoptionBatch = 50

// AdoptBatch moves the next journeys of a running adoption and tells whether it did anything: false when it has ended or
// another worker is at it. Cursor, counts, journal and outbox rows are committed with the journeys, so a worker that dies
// leaves either the whole batch or none of it, and the next call goes on there.
//
// A journey that cannot be read holds up no other: where a batch fails, its journeys are moved one by one, and the failing one
// becomes a task.
func (d *Desk) AdoptBatch(ctx context.Context, practice, adoption policy.ID) (bool, error) {
	did, err := d.adoptNext(ctx, practice, adoption, adoptionBatch)
	if err == nil || policy.KindOf(err) == policy.Unavailable || ctx.Err() != nil {
		return did, err
	}
	for range adoptionBatch {
		did, err := d.adoptNext(ctx, practice, adoption, 1)
		if err != nil && policy.KindOf(err) != policy.Unavailable && ctx.Err() == nil {
			did, err = true, d.adoptionFailed(ctx, practice, adoption, err)
		}
		if err != nil || !did {
			return true, err
		}
	}
	return true, nil
}

// adoptionTally is what one batch came to.
type adoptionTally struct {
	moved, kept, failed int32
	Preview
}

func (d *Desk) adoptNext(ctx context.Context, practice, adoption policy.ID, most int32) (did bool, err error) {
	err = d.store.InPractice(ctx, practice, func(tx *db.Tx) error {
		did = false
		a, err := tx.CadenceAdoptionTake(ctx, practice, adoption)
		if db.NoRows(err) {
			return nil
		}
		if err != nil {
			return err
		}
		did = true
		ids, err := adoptionPage(ctx, tx, a, most)
		if err != nil {
			return err
		}
		if len(ids) == 0 {
			return endAdoption(ctx, tx, a)
		}
		version, err := tx.CadenceVersionByID(ctx, practice, a.VersionID)
		if err != nil {
			return fmt.Errorf("read the version: %w", err)
		}
		rules, err := readRules(version.Rules)
		if err != nil {
			return err
		}
		set := db.LockSet{Appointments: ids}
		for _, id := range ids {
			set.Subjects = append(set.Subjects, journeyOf(practice, id))
		}
		if err := tx.Lock(ctx, set); err != nil {
			return err
		}
		var tally adoptionTally
		for _, id := range ids {
			if err := adoptOne(ctx, tx, a, journeyOf(practice, id), rules, &tally); err != nil {
				return err
			}
		}
		return tally.write(ctx, tx, a, ids[len(ids)-1])
	})
	return did, err
}

func adoptionPage(ctx context.Context, tx *db.Tx, a db.CadenceAdoption, most int32) ([]policy.ID, error) {
	if a.Policy == AdoptSelected {
		return tx.CadenceAdoptionSelected(ctx, db.CadenceAdoptionSelectedParams{PracticeID: tx.Practice, ID: a.ID, After: a.AfterID, PageSize: most})
	}
	return tx.CadenceJourneys(ctx, db.CadenceJourneysParams{PracticeID: tx.Practice, VersionID: a.VersionID, After: a.AfterID, PageSize: most})
}

// adoptOne moves one journey's pinned version, under its lock. What the new rules would have sent before now, and the old ones did
// not ask for, is skipped as a fact: adoption changes the future only.
func adoptOne(ctx context.Context, tx *db.Tx, a db.CadenceAdoption, s policy.Subject, rules []policy.Rule, tally *adoptionTally) error {
	before, err := tx.AppointmentByID(ctx, tx.Practice, s.ID)
	if err != nil {
		return notFound(err, "journey")
	}
	facts, _, err := JourneyFacts(ctx, tx.Queries, s)
	if err != nil {
		return fmt.Errorf("read the journey: %w", err)
	}
	n, err := tx.AppointmentAdoptCadence(ctx, db.AppointmentAdoptCadenceParams{PracticeID: tx.Practice, ID: s.ID, VersionID: a.VersionID})
	if err != nil {
		return err
	}
	if n == 0 { // ended, or under a newer version, meanwhile
		tally.kept++
		return nil
	}
	tally.moved++
	change := compareRules(facts, rules)
	tally.add(s.ID, change)
	by := policy.System(tx.Practice)
	by.OnBehalfOf = a.ActorID
	for _, key := range change.late {
		if err := tx.OverrideInsert(ctx, db.OverrideInsertParams{
			PracticeID: tx.Practice, ID: db.NewID(), SubjectKind: s.Kind, SubjectID: s.ID, Verb: policy.VerbSkip, StepKey: key,
			ActorKind: string(by.Kind), ActorID: by.Actor(), Reason: "its time had passed when the cadence was adopted", At: facts.Now,
		}); err != nil {
			return fmt.Errorf("skip %s: %w", key, err)
		}
	}
	return tx.Record(ctx, db.Entry{
		Verb: policy.CadenceAdopted, By: by, Subject: s, Object: "appointment", ID: s.ID,
		Rings:  policy.Rings(policy.CadenceAdopted, policy.SubjectsOf{Practice: tx.Practice, Journeys: []policy.ID{s.ID}}),
		Before: map[string]any{"cadence_version": before.CadenceVersionID},
		After:  map[string]any{"cadence_version": a.VersionID, "adoption": a.ID, "skipped": change.late},
	})
}

func (t adoptionTally) write(ctx context.Context, tx *db.Tx, a db.CadenceAdoption, last policy.ID) error {
	err := tx.CadenceAdoptionProgress(ctx, db.CadenceAdoptionProgressParams{
		PracticeID: tx.Practice, ID: a.ID, AfterID: &last, Moved: t.moved, Kept: t.kept, Failed: t.failed, Changed: int32(t.Change),
		SendsMoved: int32(t.Move), SendsVanished: int32(t.Vanish), SendsAdded: int32(t.Appear), SendsLate: int32(t.Late),
	})
	if err != nil {
		return fmt.Errorf("write the adoption's progress: %w", err)
	}
	return nil
}

func endAdoption(ctx context.Context, tx *db.Tx, a db.CadenceAdoption) error {
	if _, err := tx.CadenceAdoptionEnd(ctx, db.CadenceAdoptionEndParams{PracticeID: tx.Practice, ID: a.ID, State: AdoptionDone}); err != nil {
		return err
	}
	by := policy.System(tx.Practice)
	by.OnBehalfOf = a.ActorID
	return tx.Record(ctx, db.Entry{
		Verb: "cadence_adoption_finished", By: by, Object: "cadence_adoption", ID: a.ID,
		After: map[string]any{"moved": a.Moved, "kept": a.Kept, "failed": a.Failed},
	})
}

// adoptionFailed passes over the next journey, which cannot be moved, and asks a person.
func (d *Desk) adoptionFailed(ctx context.Context, practice, adoption policy.ID, cause error) error {
	return d.store.InPractice(ctx, practice, func(tx *db.Tx) error {
		a, err := tx.CadenceAdoptionTake(ctx, practice, adoption)
		if db.NoRows(err) {
			return nil
		}
		if err != nil {
			return err
		}
		ids, err := adoptionPage(ctx, tx, a, 1)
		if err != nil || len(ids) == 0 {
			return err
		}
		clk, err := readClock(ctx, tx.Queries, practice)
		if err != nil {
			return err
		}
		s, code := journeyOf(practice, ids[0]), policy.CodeOf(cause)
		if code == "" {
			code = "internal"
		}
		if err := (adoptionTally{failed: 1}).write(ctx, tx, a, s.ID); err != nil {
			return err
		}
		if err := openTask(ctx, tx, taskInput{
			cause: s.WorkflowID() + "#adoption/" + a.ID.String(), kind: "not_adopted", queue: "owner", subject: s, dueAt: clk.now,
			title: "This visit could not be moved to the new cadence and keeps the old one. Look at it, then publish with adopt_selected.",
		}); err != nil {
			return err
		}
		return tx.Record(ctx, db.Entry{Verb: "cadence_adoption_failed", By: policy.System(practice), Subject: s, Object: "cadence_adoption", ID: a.ID, Reason: code})
	})
}
