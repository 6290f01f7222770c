package desk

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/kept-practice/kept/db"
	"github.com/kept-practice/kept/internal/policy"
)

// ZonesKept is what came of new rules of zones in one practice.
type ZonesKept struct {
	Zones []string // whose rules are not those by which the practice's visits were computed
	Moved int      // visits that keep their wall time at a new instant
	Stuck int      // visits that cannot: their new instant is taken, and a person decides
}

// KeepWallTimes looks whether the rules of a practice's zones are those by which its visits ahead were computed. Where they are
// not, every visit keeps its wall time: instants are computed anew, reservations move with them, and each visit that moves gets
// a new version, so that its messages are planned anew. A worker asks this when it starts, since new rules come with a new
// binary or a new system; asking again, or two at once, moves nothing twice.
func (d *Desk) KeepWallTimes(ctx context.Context, practice policy.ID) (ZonesKept, error) {
	var kept ZonesKept
	known, err := d.store.In(practice).ZonesAhead(ctx, practice)
	if err != nil {
		return kept, db.Classify(err)
	}
	for _, z := range known {
		zone, err := policy.LoadZone(z.Zone)
		if err != nil {
			return kept, fmt.Errorf("zone %s of practice %s: %w", z.Zone, practice, err)
		}
		rules := policy.ZoneFingerprint(zone)
		if rules == z.Fingerprint {
			continue
		}
		var moved, stuck int
		if err := untilSlotStands(func() error {
			moved, stuck, err = d.rezone(ctx, practice, zone, rules)
			return err
		}); err != nil {
			return kept, fmt.Errorf("new rules of zone %s in practice %s: %w", zone, practice, err)
		}
		kept.Moved, kept.Stuck = kept.Moved+moved, kept.Stuck+stuck
		if z.Fingerprint != "" || moved+stuck > 0 {
			kept.Zones = append(kept.Zones, z.Zone)
		}
	}
	return kept, nil
}

// rezoned is one visit with the instant that its wall time means now.
type rezoned struct {
	db.VisitsAheadInRow
	startsAt time.Time
}

func (r rezoned) endsAt() time.Time { return r.startsAt.Add(r.EndsAt.Sub(r.StartsAt)) }

func (r rezoned) resources() []policy.ID {
	if r.RoomID == nil {
		return []policy.ID{r.ProviderID}
	}
	return []policy.ID{r.ProviderID, *r.RoomID}
}

// rezone moves all visits of one zone in one transaction: where every visit of a day goes an hour on, one alone would meet the next.
func (d *Desk) rezone(ctx context.Context, practice policy.ID, zone *time.Location, rules string) (moved, stuck int, err error) {
	err = d.store.InPractice(ctx, practice, func(tx *db.Tx) error {
		tx.Cause = "the rules of " + zone.String() + " have changed; the time on the wall stays"
		clk, err := readClock(ctx, tx.Queries, practice)
		if err != nil {
			return err
		}
		before, err := visitsToMove(ctx, tx, zone, clk.now)
		if err != nil {
			return err
		}
		set := db.LockSet{}
		for _, v := range before {
			set.Resources = append(set.Resources, v.resources()...)
			set.Subjects = append(set.Subjects, journeyOf(practice, v.ID))
			set.Appointments = append(set.Appointments, v.ID)
		}
		if err := tx.Lock(ctx, set); err != nil {
			return err
		}
		visits, err := visitsToMove(ctx, tx, zone, clk.now)
		if err != nil {
			return err
		}
		if !slices.EqualFunc(before, visits, func(a, b rezoned) bool {
			return a.ID == b.ID && a.ProviderID == b.ProviderID && slices.Equal(a.resources(), b.resources()) && a.StartsAt.Equal(b.StartsAt)
		}) {
			return errSlotChanged // the locks may lack a resource: read again
		}
		moved, stuck, err = d.moveAll(ctx, tx, zone, visits, clk)
		if err != nil {
			return err
		}
		return tx.ZoneRulesPut(ctx, db.ZoneRulesPutParams{PracticeID: practice, Zone: zone.String(), Fingerprint: rules})
	})
	return moved, stuck, err
}

func visitsToMove(ctx context.Context, tx *db.Tx, zone *time.Location, now time.Time) ([]rezoned, error) {
	rows, err := tx.VisitsAheadIn(ctx, db.VisitsAheadInParams{PracticeID: tx.Practice, Zone: zone.String(), Now: now})
	if err != nil {
		return nil, fmt.Errorf("read the visits ahead: %w", err)
	}
	var out []rezoned
	for _, row := range rows {
		at, err := policy.KeepWallTime(row.LocalStart, row.StartsAt, zone)
		if err != nil {
			return nil, err
		}
		if !at.Equal(row.StartsAt) {
			out = append(out, rezoned{row, at})
		}
	}
	return out, nil
}

// moveAll deletes all old reservations, then writes all new ones. Visits whose new time is taken stay where they are, and become tasks.
func (d *Desk) moveAll(ctx context.Context, tx *db.Tx, zone *time.Location, visits []rezoned, clk clock) (moved, stuck int, err error) {
	if len(visits) == 0 {
		return 0, 0, nil
	}
	seats, fits, err := whoFits(ctx, tx, visits, clk.now)
	if err != nil {
		return 0, 0, err
	}
	for _, v := range visits {
		if fits[v.ID] {
			if _, err := tx.ReservationDeleteByAppointment(ctx, tx.Practice, v.ID); err != nil {
				return 0, 0, err
			}
		}
	}
	for _, v := range visits {
		if !fits[v.ID] {
			stuck++
			if err := d.askAboutZone(ctx, tx, v, clk); err != nil {
				return 0, 0, err
			}
			continue
		}
		moved++
		if err := d.moveByZone(ctx, tx, v, seats[v.ID], clk); err != nil {
			return 0, 0, err
		}
	}
	return moved, stuck, openTask(ctx, tx, taskInput{
		cause: "zone_rules/" + zone.String() + "/" + db.NewID().String(), kind: "zone_rules_changed", queue: "owner", dueAt: clk.now,
		title: fmt.Sprintf("The rules for clocks in %s have changed. %d visits keep their time on the wall at a new instant; %d cannot.", zone, moved, stuck),
	})
}

// whoFits finds the visits that can all move together: nothing that stays meets them, nor do they meet each other. Whoever cannot
// move stays, and may be in another's way, so the question is asked again until the answer holds. Holds that have run out give way.
func whoFits(ctx context.Context, tx *db.Tx, visits []rezoned, now time.Time) (map[policy.ID][]db.ReservationsOverRow, map[policy.ID]bool, error) {
	over := db.ReservationsOverParams{PracticeID: tx.Practice, FromAt: visits[0].StartsAt, UntilAt: visits[0].EndsAt}
	target := map[policy.ID]time.Duration{}
	for _, v := range visits {
		over.ResourceIds = append(over.ResourceIds, v.resources()...)
		for _, t := range []time.Time{v.StartsAt, v.startsAt, v.EndsAt, v.endsAt()} {
			if t.Before(over.FromAt) {
				over.FromAt = t
			}
			if t.After(over.UntilAt) {
				over.UntilAt = t
			}
		}
		target[v.ID] = v.startsAt.Sub(v.StartsAt)
	}
	if _, err := tx.HoldDeleteExpired(ctx, db.HoldDeleteExpiredParams{PracticeID: tx.Practice, Now: now, ResourceIds: over.ResourceIds}); err != nil {
		return nil, nil, fmt.Errorf("remove expired holds: %w", err)
	}
	rows, err := tx.ReservationsOver(ctx, over)
	if err != nil {
		return nil, nil, fmt.Errorf("read what is taken: %w", err)
	}
	seats, fits := map[policy.ID][]db.ReservationsOverRow{}, map[policy.ID]bool{}
	for _, r := range rows {
		if r.AppointmentID != nil && target[*r.AppointmentID] != 0 {
			seats[*r.AppointmentID] = append(seats[*r.AppointmentID], r)
			fits[*r.AppointmentID] = true
		}
	}
	for again := true; again; {
		again = false
		for _, id := range clashing(rows, fits, target) {
			fits[id], again = false, true
		}
	}
	return seats, fits, nil
}

// clashing lists the moving visits that would meet something once all of them have moved, by resource and seat.
func clashing(rows []db.ReservationsOverRow, fits map[policy.ID]bool, target map[policy.ID]time.Duration) (out []policy.ID) {
	type place struct {
		resource policy.ID
		seat     int32
	}
	type span struct {
		from, until time.Time
		mover       *policy.ID
	}
	at := map[place][]span{}
	for _, r := range rows {
		s := span{from: r.StartsAt, until: r.EndsAt}
		if r.AppointmentID != nil && fits[*r.AppointmentID] {
			by := target[*r.AppointmentID]
			s = span{r.StartsAt.Add(by), r.EndsAt.Add(by), r.AppointmentID}
		}
		p := place{r.ResourceID, r.Seat}
		at[p] = append(at[p], s)
	}
	for _, spans := range at {
		slices.SortFunc(spans, func(a, b span) int { return a.from.Compare(b.from) })
		last := 0 // reaches furthest so far
		for i := 1; i < len(spans); i++ {
			a, b := spans[last], spans[i]
			if b.from.Before(a.until) {
				if b.mover != nil {
					out = append(out, *b.mover)
				} else if a.mover != nil {
					out = append(out, *a.mover)
				}
			}
			if b.until.After(a.until) {
				last = i
			}
		}
	}
	return out
}

func (d *Desk) moveByZone(ctx context.Context, tx *db.Tx, v rezoned, seats []db.ReservationsOverRow, clk clock) error {
	id := v.ID
	for _, r := range seats {
		if err := tx.ReservationInsert(ctx, db.ReservationInsertParams{
			PracticeID: tx.Practice, ID: db.NewID(), ResourceID: r.ResourceID, Seat: r.Seat, StartsAt: v.startsAt, EndsAt: v.endsAt(), AppointmentID: &id,
		}); err != nil {
			return err
		}
	}
	if err := tx.AppointmentRezone(ctx, db.AppointmentRezoneParams{
		PracticeID: tx.Practice, ID: id, StartsAt: v.startsAt, EndsAt: v.endsAt(), Now: clk.now,
	}); err != nil {
		return err
	}
	journey := journeyOf(tx.Practice, id)
	if err := revokeLinks(ctx, tx, journey, linksOfTime, "moved", clk.now); err != nil {
		return err
	}
	if err := tx.PacketMoveDue(ctx, db.PacketMoveDueParams{PracticeID: tx.Practice, AppointmentID: id, DueAt: packetDue(v.startsAt, clk.now)}); err != nil {
		return err
	}
	if err := tx.LinksExtend(ctx, db.LinksExtendParams{PracticeID: tx.Practice, SubjectID: id, Purpose: LinkIntake, ExpiresAt: v.startsAt}); err != nil {
		return err
	}
	return tx.Record(ctx, db.Entry{
		Verb: policy.ZoneRulesMoved, By: policy.System(tx.Practice), Subject: journey, Object: "appointment", ID: id,
		Rings:  policy.Rings(policy.ZoneRulesMoved, policy.SubjectsOf{Practice: tx.Practice, Journeys: []policy.ID{id}}),
		Before: visitFacts{StartsAt: v.StartsAt.UTC(), EndsAt: v.EndsAt.UTC(), Status: v.Status, Version: v.Version},
		After:  visitFacts{StartsAt: v.startsAt, EndsAt: v.endsAt(), Status: v.Status, Version: v.Version + 1},
	})
}

// askAboutZone leaves a visit where it is and asks the front desk: what it promised on the wall is somebody else's by now.
func (d *Desk) askAboutZone(ctx context.Context, tx *db.Tx, v rezoned, clk clock) error {
	journey := journeyOf(tx.Practice, v.ID)
	if err := openTask(ctx, tx, taskInput{
		cause: journey.WorkflowID() + "@zone/" + v.startsAt.UTC().Format(time.RFC3339), kind: "zone_conflict", queue: "front_desk", client: v.ClientID, subject: journey,
		dueAt: clk.now,
		title: "The rules for clocks have changed, and this visit's time on the wall is taken. Agree on another time with the client and move the visit.",
	}); err != nil {
		return err
	}
	return tx.Record(ctx, db.Entry{
		Verb: "zone_rules_conflict", By: policy.System(tx.Practice), Subject: journey, Object: "appointment", ID: v.ID,
		Before: visitFacts{StartsAt: v.StartsAt.UTC(), EndsAt: v.EndsAt.UTC(), Status: v.Status, Version: v.Version},
		After:  visitFacts{StartsAt: v.startsAt, EndsAt: v.endsAt(), Status: v.Status},
	})
}

// KeepAllWallTimes is KeepWallTimes for every practice. One practice's failure keeps no other from its turn.
func (d *Desk) KeepAllWallTimes(ctx context.Context) (ZonesKept, error) {
	practices, err := d.store.System().SweepPractices(ctx)
	if err != nil {
		return ZonesKept{}, db.Classify(err)
	}
	var all ZonesKept
	var failed []error
	for _, practice := range practices {
		one, err := d.KeepWallTimes(ctx, practice)
		all.Moved, all.Stuck = all.Moved+one.Moved, all.Stuck+one.Stuck
		for _, zone := range one.Zones {
			if !slices.Contains(all.Zones, zone) {
				all.Zones = append(all.Zones, zone)
			}
		}
		if err != nil {
			failed = append(failed, err)
		}
		if ctx.Err() != nil {
			break
		}
	}
	return all, errors.Join(failed...)
}
