package desk

import (
	"context"
	"fmt"
	"time"

	"github.com/kept-practice/kept/db"
	"github.com/kept-practice/kept/internal/policy"
)

// ShiftInput is a provider's weekly hours at a location. Minutes count from midnight; an end past 1440 runs over midnight.
type ShiftInput struct {
	Provider    policy.ID
	Location    policy.ID
	Weekday     int // 0 is Sunday
	StartMinute int
	EndMinute   int
	FromOn      *policy.LocalDate // nil: today
	UntilOn     *policy.LocalDate // the first day without it; nil: open
}

func (in ShiftInput) check() error {
	return firstOf(within("/weekday", in.Weekday, 0, 6), shiftMinutes(in.StartMinute, in.EndMinute))
}

func shiftMinutes(start, end int) error {
	if err := within("/start_minute", start, 0, 1439); err != nil {
		return err
	}
	if end <= start || end > start+1440 {
		return policy.InvalidField("/end_minute", "out_of_range", "A shift ends after it starts, at most 24 hours later.")
	}
	return nil
}

// AddShift gives a provider hours. Hours that overlap others of the provider answer 409.
func (d *Desk) AddShift(ctx context.Context, by policy.Principal, in ShiftInput) (db.Shift, error) {
	if err := in.check(); err != nil {
		return db.Shift{}, err
	}
	var out db.Shift
	err := d.command(ctx, by, func(tx *db.Tx) error {
		if err := tx.Lock(ctx, db.LockSet{Resources: []policy.ID{in.Provider}}); err != nil {
			return err
		}
		id, err := addShift(ctx, tx, by, in)
		if err != nil {
			return err
		}
		out, err = tx.ShiftByID(ctx, tx.Practice, id)
		return err
	})
	return out, err
}

func addShift(ctx context.Context, tx *db.Tx, by policy.Principal, in ShiftInput) (policy.ID, error) {
	id := db.NewID()
	if err := isProvider(ctx, tx, in.Provider); err != nil {
		return id, err
	}
	location, err := tx.LocationByID(ctx, tx.Practice, in.Location)
	if err != nil {
		return id, notFound(err, "location")
	}
	from, err := today(ctx, tx, location.Zone)
	if err != nil {
		return id, err
	}
	if in.FromOn != nil && in.FromOn.Before(from) {
		return id, policy.InvalidField("/from_on", "in_the_past", "Hours start today or later.")
	}
	put(&from, in.FromOn)
	if in.UntilOn != nil && !from.Before(*in.UntilOn) {
		return id, policy.InvalidField("/until_on", "reversed", "Hours end after the day on which they start.")
	}
	if err := noOverlap(ctx, tx, in, from); err != nil {
		return id, err
	}
	if err := tx.ShiftInsert(ctx, db.ShiftInsertParams{
		PracticeID: tx.Practice, ID: id, ResourceID: in.Provider, LocationID: in.Location, Weekday: int32(in.Weekday),
		StartMinute: int32(in.StartMinute), EndMinute: int32(in.EndMinute), FromOn: from, UntilOn: in.UntilOn,
	}); err != nil {
		return id, err
	}
	return id, tx.Record(ctx, db.Entry{
		Verb: "shift_added", By: by, Object: "shift", ID: id,
		After: map[string]any{"provider": in.Provider, "weekday": in.Weekday, "start_minute": in.StartMinute, "end_minute": in.EndMinute, "from_on": from, "until_on": in.UntilOn},
	})
}

// isProvider answers 404 for everything else, other resources included.
func isProvider(ctx context.Context, tx *db.Tx, id policy.ID) error {
	r, err := tx.ResourceByID(ctx, tx.Practice, id)
	if err != nil {
		return notFound(err, "provider")
	}
	if r.Kind != ResourceProvider || r.ArchivedAt != nil {
		return policy.NewError(policy.NotFound, "provider_not_found", "There is no such provider in this practice.")
	}
	return nil
}

// noOverlap: a provider is in one place at a time. Minutes are compared on a week of wall time, so that a shift over
// midnight meets the next day's.
func noOverlap(ctx context.Context, tx *db.Tx, in ShiftInput, from policy.LocalDate) error {
	rows, err := tx.ShiftList(ctx, tx.Practice, &in.Provider)
	if err != nil {
		return fmt.Errorf("read working hours: %w", err)
	}
	const week = 7 * 1440
	start := in.Weekday*1440 + in.StartMinute
	length := in.EndMinute - in.StartMinute
	for _, r := range rows {
		if (in.UntilOn != nil && !r.FromOn.Before(*in.UntilOn)) || (r.UntilOn != nil && !from.Before(*r.UntilOn)) {
			continue
		}
		other := int(r.Weekday)*1440 + int(r.StartMinute)
		otherLength := int(r.EndMinute - r.StartMinute)
		if (other-start+week)%week < length || (start-other+week)%week < otherLength {
			e := policy.NewError(policy.Conflict, "shift_overlaps", "The provider has other hours then. Change those instead.")
			e.Facts = map[string]any{"shift": r.ID}
			return e
		}
	}
	return nil
}

// ShiftChange alters hours from a day on: the row closes and the next one opens, so that the past stays as it was.
type ShiftChange struct {
	Shift       policy.ID
	From        *policy.LocalDate // nil: today
	StartMinute *int
	EndMinute   *int
	End         bool // no hours from that day on
	Force       bool // although visits ahead then lie outside hours; they stay, and the answer lists them
}

// ChangedShift is the row that counts from now on, nil when the hours ended, and the visits left outside hours.
type ChangedShift struct {
	Shift    *db.Shift
	Affected []Affected
}

// ChangeShift answers 409 with the visits that would lie outside hours, unless forced.
func (d *Desk) ChangeShift(ctx context.Context, by policy.Principal, in ShiftChange) (ChangedShift, error) {
	var out ChangedShift
	err := d.command(ctx, by, func(tx *db.Tx) error {
		old, err := tx.ShiftByID(ctx, tx.Practice, in.Shift)
		if err != nil {
			return notFound(err, "shift")
		}
		if err := tx.Lock(ctx, db.LockSet{Resources: []policy.ID{old.ResourceID}}); err != nil {
			return err
		}
		if old, err = tx.ShiftByID(ctx, tx.Practice, in.Shift); err != nil {
			return notFound(err, "shift")
		}
		out, err = in.change(ctx, tx, by, old)
		return err
	})
	return out, err
}

func (in ShiftChange) change(ctx context.Context, tx *db.Tx, by policy.Principal, old db.Shift) (ChangedShift, error) {
	location, err := tx.LocationByID(ctx, tx.Practice, old.LocationID)
	if err != nil {
		return ChangedShift{}, notFound(err, "location")
	}
	from, err := today(ctx, tx, location.Zone)
	if err != nil {
		return ChangedShift{}, err
	}
	if in.From != nil && in.From.Before(from) {
		return ChangedShift{}, policy.InvalidField("/from_on", "in_the_past", "Hours change today or later.")
	}
	put(&from, in.From)
	if old.UntilOn != nil && !from.Before(*old.UntilOn) {
		return ChangedShift{}, policy.NewError(policy.Conflict, "shift_over", "These hours end before that day. Add new ones.")
	}
	loc, err := policy.LoadZone(location.Zone)
	if err != nil {
		return ChangedShift{}, fmt.Errorf("zone of the location: %w", err)
	}
	inside, err := visitsInHours(ctx, tx, old, policy.StartOfDay(from, loc), loc)
	if err != nil {
		return ChangedShift{}, err
	}
	out := ChangedShift{}
	if out.Shift, err = in.rewrite(ctx, tx, by, old, from); err != nil {
		return ChangedShift{}, err
	}
	still, err := visitsInHours(ctx, tx, old, policy.StartOfDay(from, loc), loc)
	if err != nil {
		return ChangedShift{}, err
	}
	lost := without(inside, still)
	if len(lost) > 0 && !in.Force {
		return ChangedShift{}, stranded("hours_in_use", "Visits ahead would lie outside hours. Move or cancel them first, or say force.", lost)
	}
	out.Affected = affected(lost)
	return out, nil
}

// rewrite closes the old row, or drops it when it had not begun, and opens the next.
func (in ShiftChange) rewrite(ctx context.Context, tx *db.Tx, by policy.Principal, old db.Shift, from policy.LocalDate) (*db.Shift, error) {
	if dropped, err := tx.ShiftDrop(ctx, db.ShiftDropParams{PracticeID: tx.Practice, ID: old.ID, Day: from}); err != nil {
		return nil, err
	} else if dropped == 0 {
		if _, err := tx.ShiftCut(ctx, db.ShiftCutParams{PracticeID: tx.Practice, ID: old.ID, UntilOn: from}); err != nil {
			return nil, err
		}
	}
	if err := tx.Record(ctx, db.Entry{
		Verb: "shift_ended", By: by, Object: "shift", ID: old.ID,
		Before: map[string]any{"provider": old.ResourceID, "weekday": old.Weekday, "start_minute": old.StartMinute, "end_minute": old.EndMinute, "from_on": old.FromOn, "until_on": old.UntilOn},
		After:  map[string]any{"until_on": from},
	}); err != nil {
		return nil, err
	}
	if in.End {
		return nil, nil
	}
	next := ShiftInput{
		Provider: old.ResourceID, Location: old.LocationID, Weekday: int(old.Weekday), StartMinute: int(old.StartMinute), EndMinute: int(old.EndMinute),
		FromOn: &from, UntilOn: old.UntilOn,
	}
	put(&next.StartMinute, in.StartMinute)
	put(&next.EndMinute, in.EndMinute)
	if err := next.check(); err != nil {
		return nil, err
	}
	if old.FromOn.After(from) {
		next.FromOn = &old.FromOn // hours that had not begun keep their first day
	}
	id, err := addShift(ctx, tx, by, next)
	if err != nil {
		return nil, err
	}
	row, err := tx.ShiftByID(ctx, tx.Practice, id)
	return &row, err
}

// visitsInHours are the provider's visits ahead at the shift's location that lie inside some shift of theirs there.
func visitsInHours(ctx context.Context, tx *db.Tx, shift db.Shift, from time.Time, loc *time.Location) ([]db.VisitsAheadRow, error) {
	visits, err := visitsAhead(ctx, tx, aheadOf{resource: &shift.ResourceID, location: &shift.LocationID, from: &from})
	if err != nil {
		return nil, err
	}
	rows, err := tx.ShiftList(ctx, tx.Practice, &shift.ResourceID)
	if err != nil {
		return nil, fmt.Errorf("read working hours: %w", err)
	}
	var inside []db.VisitsAheadRow
	for _, v := range visits {
		s := slot{startsAt: v.StartsAt, endsAt: v.EndsAt, zone: loc}
		day := policy.LocalDay(v.StartsAt, loc)
		for _, r := range rows {
			row := db.ShiftsAroundRow{Weekday: r.Weekday, StartMinute: r.StartMinute, EndMinute: r.EndMinute, FromOn: r.FromOn, UntilOn: r.UntilOn}
			if r.LocationID == v.LocationID && (s.within(row, day) || s.within(row, day.AddDays(-1))) {
				inside = append(inside, v)
				break
			}
		}
	}
	return inside, nil
}

func without(all, some []db.VisitsAheadRow) []db.VisitsAheadRow {
	kept := map[policy.ID]bool{}
	for _, v := range some {
		kept[v.ID] = true
	}
	var left []db.VisitsAheadRow
	for _, v := range all {
		if !kept[v.ID] {
			left = append(left, v)
		}
	}
	return left
}
