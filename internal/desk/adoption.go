package desk

import (
	"context"
	"fmt"
	"slices"

	"github.com/kept-practice/kept/db"
	"github.com/kept-practice/kept/internal/policy"
)

// What a published version means for journeys that are under way.
const (
	AdoptNone     = "new_only"       // they keep the version they were planned by
	AdoptFuture   = "adopt_future"   // all of them follow it from now on
	AdoptSelected = "adopt_selected" // the named ones do
)

// States of an adoption.
const (
	AdoptionRunning    = "running"
	AdoptionDone       = "done"
	AdoptionSuperseded = "superseded" // a newer version took over, or the cadence was archived
)

// PublishInput makes a draft count for everything booked from now on, and for journeys under way as Adopt says.
type PublishInput struct {
	Version  policy.ID
	AsRead   *int32 // the draft's version as the caller saw it; nil publishes whatever it holds
	Adopt    string
	Journeys []policy.ID // appointments, with adopt_selected
}

// Published is what came of it. Adoption is nil with new_only; workers move its journeys in batches afterwards.
type Published struct {
	Version  db.CadenceVersion
	Adoption *db.CadenceAdoption
}

// PublishCadence commits the version and the order to move journeys, nothing of the moving. A version that is published
// already may be published again, to adopt it after all; an adoption that still runs is not begun twice.
func (d *Desk) PublishCadence(ctx context.Context, by policy.Principal, in PublishInput) (Published, error) {
	if err := in.check(); err != nil {
		return Published{}, err
	}
	var out Published
	err := d.command(ctx, by, func(tx *db.Tx) error {
		out = Published{}
		v, c, err := cadenceVersion(ctx, tx, in.Version)
		if err != nil {
			return err
		}
		if in.Adopt != AdoptNone && c.Kind != policy.KindJourney {
			return policy.InvalidField("/adopt", "not_adoptable", "Only reminders can be adopted by journeys under way; publish this one with new_only.")
		}
		clk, err := readClock(ctx, tx.Queries, tx.Practice)
		if err != nil {
			return err
		}
		if v.Status == CadenceDraft {
			n, err := tx.CadenceVersionPublish(ctx, db.CadenceVersionPublishParams{PracticeID: tx.Practice, ID: v.ID, Now: &clk.now, Version: in.AsRead})
			if err != nil {
				return err
			}
			if n == 0 {
				return staleVersion("draft")
			}
			if err := tx.Record(ctx, db.Entry{
				Verb: "cadence_published", By: by, Object: "cadence_version", ID: v.ID,
				After: map[string]any{"cadence": c.ID, "n": v.N, "adopt": in.Adopt, "journeys": in.Journeys},
			}); err != nil {
				return err
			}
		}
		if out.Version, err = tx.CadenceVersionByID(ctx, tx.Practice, v.ID); err != nil || in.Adopt == AdoptNone {
			return err
		}
		out.Adoption, err = beginAdoption(ctx, tx, by, in, out.Version, clk)
		return err
	})
	return out, err
}

func (in PublishInput) check() error {
	if err := choice("/adopt", in.Adopt, AdoptNone, AdoptFuture, AdoptSelected); err != nil {
		return err
	}
	if (in.Adopt == AdoptSelected) != (len(in.Journeys) > 0) {
		return policy.InvalidField("/journeys", "selection", "Name journeys with adopt_selected, and only then.")
	}
	return nil
}

func beginAdoption(ctx context.Context, tx *db.Tx, by policy.Principal, in PublishInput, v db.CadenceVersion, clk clock) (*db.CadenceAdoption, error) {
	if in.Adopt == AdoptFuture {
		if err := endAdoptions(ctx, tx, by, v.CadenceID, v.N); err != nil {
			return nil, err
		}
	}
	journeys, err := adoptable(ctx, tx, in)
	if err != nil {
		return nil, err
	}
	selected := slices.Clone(in.Journeys)
	if selected == nil {
		selected = []policy.ID{}
	}
	id := db.NewID()
	n, err := tx.CadenceAdoptionInsert(ctx, db.CadenceAdoptionInsertParams{
		PracticeID: tx.Practice, ID: id, VersionID: v.ID, Policy: in.Adopt, Selected: selected, Journeys: journeys, ActorID: by.Actor(), StartedAt: clk.now,
	})
	if err != nil {
		return nil, fmt.Errorf("begin the adoption: %w", err)
	}
	if n == 0 { // one of all journeys runs already: it is the answer
		all, err := tx.CadenceAdoptions(ctx, tx.Practice, v.ID)
		for i := range all {
			if all[i].State == AdoptionRunning && all[i].Policy == AdoptFuture {
				return &all[i], nil
			}
		}
		return nil, err
	}
	if err := tx.Record(ctx, db.Entry{
		Verb: "cadence_adoption_started", By: by, Object: "cadence_adoption", ID: id,
		After: map[string]any{"version": v.ID, "policy": in.Adopt, "journeys": journeys},
	}); err != nil {
		return nil, err
	}
	adoption, err := tx.CadenceAdoptionByID(ctx, tx.Practice, id)
	return &adoption, err
}

// adoptable counts the journeys that an adoption will look at, and refuses named ones that are not there.
func adoptable(ctx context.Context, tx *db.Tx, in PublishInput) (int32, error) {
	if in.Adopt == AdoptFuture {
		return tx.CadenceJourneysCount(ctx, in.Version, tx.Practice)
	}
	known, err := tx.AppointmentsKnown(ctx, tx.Practice, in.Journeys)
	if err != nil {
		return 0, fmt.Errorf("read the named journeys: %w", err)
	}
	for i, id := range in.Journeys {
		if !slices.Contains(known, id) {
			return 0, policy.AtField(fmt.Sprintf("/journeys/%d", i), policy.NewError(policy.NotFound, "journey_not_found", "There is no such journey in this practice."))
		}
	}
	return int32(len(known)), nil
}

// endAdoptions ends what runs for versions of a cadence older than n: what they would move, the newer one moves.
func endAdoptions(ctx context.Context, tx *db.Tx, by policy.Principal, cadence policy.ID, n int32) error {
	ended, err := tx.CadenceAdoptionsSupersede(ctx, db.CadenceAdoptionsSupersedeParams{PracticeID: tx.Practice, CadenceID: cadence, BelowN: n})
	if err != nil {
		return fmt.Errorf("end older adoptions: %w", err)
	}
	for _, id := range ended {
		if err := tx.Record(ctx, db.Entry{Verb: "cadence_adoption_superseded", By: by, Object: "cadence_adoption", ID: id}); err != nil {
			return err
		}
	}
	return nil
}
