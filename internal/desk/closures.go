package desk

import (
	"context"
	"time"

	"github.com/kept-practice/kept/db"
	"github.com/kept-practice/kept/internal/policy"
)

// ClosureInput closes a provider's calendar, a room, or a whole location for a while. Exactly one of Resource and Location.
type ClosureInput struct {
	Resource *policy.ID
	Location *policy.ID
	StartsAt string // as policy.ParseInstant reads it, in the location's zone, else the practice's
	EndsAt   string
	Reason   string
}

// Closed is a closure with the visits that stand in it; they stay until somebody moves or cancels them.
type Closed struct {
	ID       policy.ID
	StartsAt time.Time
	EndsAt   time.Time
	Affected []Affected
}

// maxClosure is the longest closure; a longer one is a typing mistake, or an archive.
const maxClosure = 2 * 366 * 24 * time.Hour

// AddClosure overrides shifts: nothing more is booked there. It never refuses for visits that stand, but lists them.
func (d *Desk) AddClosure(ctx context.Context, by policy.Principal, in ClosureInput) (Closed, error) {
	if (in.Resource == nil) == (in.Location == nil) {
		return Closed{}, policy.InvalidField("/location", "one_of", "Close either one resource or one location.")
	}
	var err error
	if in.Reason, err = line("/reason", in.Reason, 200); err != nil {
		return Closed{}, err
	}
	var out Closed
	err = d.command(ctx, by, func(tx *db.Tx) error {
		closed := in.Resource
		if closed == nil {
			closed = in.Location // bookings hold it shared
		}
		if err := tx.Lock(ctx, db.LockSet{Resources: []policy.ID{*closed}}); err != nil {
			return err
		}
		if out, err = in.span(ctx, tx); err != nil {
			return err
		}
		out.ID = db.NewID()
		if err := tx.ClosureInsert(ctx, db.ClosureInsertParams{
			PracticeID: tx.Practice, ID: out.ID, ResourceID: in.Resource, LocationID: in.Location, StartsAt: out.StartsAt, EndsAt: out.EndsAt, Reason: in.Reason,
		}); err != nil {
			return err
		}
		ahead, err := visitsAhead(ctx, tx, aheadOf{resource: in.Resource, location: in.Location, from: &out.StartsAt, until: &out.EndsAt})
		if err != nil {
			return err
		}
		out.Affected = affected(ahead)
		return tx.Record(ctx, db.Entry{
			Verb: "closure_added", By: by, Object: "closure", ID: out.ID, Reason: in.Reason,
			After: map[string]any{"resource": in.Resource, "location": in.Location, "starts_at": out.StartsAt, "ends_at": out.EndsAt, "affected": len(ahead)},
		})
	})
	return out, err
}

// span reads the two instants in the zone of the place.
func (in ClosureInput) span(ctx context.Context, tx *db.Tx) (Closed, error) {
	practice, err := tx.PracticeByID(ctx, tx.Practice)
	if err != nil {
		return Closed{}, notFound(err, "practice")
	}
	place, at := practice.Zone, in.Location
	if in.Resource != nil {
		r, err := tx.ResourceByID(ctx, tx.Practice, *in.Resource)
		if err != nil {
			return Closed{}, notFound(err, "resource")
		}
		at = r.LocationID
	}
	if at != nil {
		location, err := tx.LocationByID(ctx, tx.Practice, *at)
		if err != nil {
			return Closed{}, notFound(err, "location")
		}
		place = location.Zone
	}
	loc, err := policy.LoadZone(place)
	if err != nil {
		return Closed{}, err
	}
	var out Closed
	if out.StartsAt, err = policy.ParseInstant(in.StartsAt, loc); err != nil {
		return out, policy.AtField("/starts_at", err)
	}
	if out.EndsAt, err = policy.ParseInstant(in.EndsAt, loc); err != nil {
		return out, policy.AtField("/ends_at", err)
	}
	switch length := out.EndsAt.Sub(out.StartsAt); {
	case length <= 0:
		return out, policy.InvalidField("/ends_at", "reversed", "A closure ends after it starts.")
	case length > maxClosure:
		return out, policy.InvalidField("/ends_at", "too_long", "A closure lasts at most two years. Archive what is closed for ever.")
	}
	return out, nil
}

// LiftClosure opens the calendar again. Lifting one that is lifted already is no error: its purpose is reached.
func (d *Desk) LiftClosure(ctx context.Context, by policy.Principal, id policy.ID) error {
	return d.command(ctx, by, func(tx *db.Tx) error {
		if _, err := tx.ClosureByID(ctx, tx.Practice, id); err != nil {
			return notFound(err, "closure")
		}
		n, err := tx.ClosureLift(ctx, tx.Practice, id)
		if err != nil || n == 0 {
			return err
		}
		return tx.Record(ctx, db.Entry{Verb: "closure_lifted", By: by, Object: "closure", ID: id})
	})
}
