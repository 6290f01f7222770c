package desk

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/kept-practice/kept/db"
	"github.com/kept-practice/kept/internal/policy"
)

type slotInput struct {
	service, provider, location policy.ID
	startsAt                    string
	override                    bool
}

// slot is one wanted time with everything needed to judge it, read before the first lock. Under the locks the clock, neighbours
// and expired holds are looked at again, and stands tells whether the rest is still as it was.
type slot struct {
	service  db.Service
	provider policy.ID
	location policy.ID
	rooms    []db.ServiceResourcesRow // candidates, when the service needs one
	versions slotVersions
	startsAt time.Time
	endsAt   time.Time
	zone     *time.Location
	settings policy.Settings
	staff    bool // staff or a key: no notice, a longer horizon
	override bool
}

// slotVersions is what a slot was judged by.
type slotVersions struct {
	location  int32
	resources int64      // the sum of provider and rooms; each only rises
	shift     *policy.ID // the hours that the time lies in, and the day on which they begin; nil against the calendar
	shiftDay  *policy.LocalDate
}

// slot reads and judges what the calendar says about a wanted time, apart from whether it is taken.
func (d *Desk) slot(ctx context.Context, q *db.Queries, by policy.Principal, in slotInput) (slot, error) {
	s := slot{provider: in.provider, location: in.location, staff: by.Kind == policy.ByStaff || by.Kind == policy.ByKey, override: in.override}
	var err error
	if s.service, err = q.ServiceByID(ctx, by.Practice, in.service); err != nil {
		return s, notFound(err, "service")
	}
	location, err := q.LocationByID(ctx, by.Practice, in.location)
	if err != nil {
		return s, notFound(err, "location")
	}
	if s.service.ArchivedAt != nil || location.ArchivedAt != nil {
		return s, policy.NewError(policy.Conflict, "archived", "This service or location is no longer offered.")
	}
	s.versions.location = location.Version
	if s.zone, err = policy.LoadZone(location.Zone); err != nil {
		return s, fmt.Errorf("zone of the location: %w", err)
	}
	if s.settings, err = settingsAt(ctx, q, by.Practice, &in.location, &in.service, &in.provider); err != nil {
		return s, err
	}
	if s.startsAt, err = policy.ParseInstant(in.startsAt, s.zone); err != nil {
		return s, policy.AtField("/starts_at", err)
	}
	s.startsAt = s.startsAt.UTC()
	s.endsAt = s.startsAt.Add(time.Duration(s.service.DurationMinutes) * time.Minute)
	if err := s.candidates(ctx, q, by.Practice); err != nil {
		return s, err
	}
	if in.override {
		return s, nil
	}
	if !s.onGrid() {
		return s, policy.InvalidField("/starts_at", "off_grid", fmt.Sprintf("Visits start every %d minutes. Choose a listed time.", s.settings.GridMinutes))
	}
	return s, s.inHours(ctx, q, by.Practice)
}

// onGrid: the start lies on the practice's grid of minutes, counted from midnight on the wall.
func (s *slot) onGrid() bool {
	wall := s.startsAt.In(s.zone)
	return (wall.Hour()*60+wall.Minute())%s.settings.GridMinutes == 0 && wall.Second() == 0 && wall.Nanosecond() == 0
}

// candidates finds who and what the service may use here; a provider of another practice looks like none at all.
func (s *slot) candidates(ctx context.Context, q *db.Queries, practice policy.ID) error {
	provider, err := q.ResourceByID(ctx, practice, s.provider)
	if err != nil {
		return notFound(err, "provider")
	}
	if provider.Kind != "provider" || provider.ArchivedAt != nil {
		return policy.NewError(policy.NotFound, "provider_not_found", "There is no such provider in this practice.")
	}
	rows, err := q.ServiceResources(ctx, db.ServiceResourcesParams{PracticeID: practice, ServiceID: s.service.ID, LocationID: &s.location})
	if err != nil {
		return fmt.Errorf("find what the service uses: %w", err)
	}
	offers := false
	s.versions.resources = int64(provider.Version)
	for _, r := range rows {
		offers = offers || r.ID == s.provider
		if r.Kind == "room" && s.service.NeedsRoom {
			s.rooms = append(s.rooms, r)
			s.versions.resources += int64(r.Version)
		}
	}
	if !offers {
		return policy.InvalidField("/provider", "not_offered", "This provider does not offer the service.")
	}
	if s.service.NeedsRoom && len(s.rooms) == 0 {
		return policy.NewError(policy.Conflict, "no_room", "No room at this location can take the service.")
	}
	return nil
}

// inHours: the whole visit lies inside one shift of the provider at the location, and neither is closed.
func (s *slot) inHours(ctx context.Context, q *db.Queries, practice policy.ID) error {
	day := policy.LocalDay(s.startsAt, s.zone)
	dayBefore := day.AddDays(-1)
	shifts, err := q.ShiftsAround(ctx, db.ShiftsAroundParams{
		PracticeID: practice, ResourceID: s.provider, LocationID: s.location, Day: day, DayBefore: &dayBefore,
	})
	if err != nil {
		return fmt.Errorf("read working hours: %w", err)
	}
	for _, shift := range shifts {
		for _, d := range []policy.LocalDate{dayBefore, day} {
			if s.within(shift, d) {
				s.versions.shift, s.versions.shiftDay = &shift.ID, &d
			}
		}
	}
	if s.versions.shift == nil {
		return policy.NewError(policy.Conflict, "outside_hours", "The provider does not work then at this location. Choose a listed time.")
	}
	closed, err := q.ClosedDuring(ctx, db.ClosedDuringParams{
		PracticeID: practice, ResourceID: &s.provider, LocationID: &s.location, StartsAt: s.startsAt, EndsAt: s.endsAt,
	})
	if err != nil {
		return fmt.Errorf("read closures: %w", err)
	}
	if closed {
		return policy.NewError(policy.Conflict, "closed", "The provider is away or the location is closed then. Choose another time.")
	}
	return nil
}

func (s *slot) within(shift db.ShiftsAroundRow, day policy.LocalDate) bool {
	if int(day.Weekday()) != int(shift.Weekday) || day.Before(shift.FromOn) || (shift.UntilOn != nil && !day.Before(*shift.UntilOn)) {
		return false
	}
	from := policy.Resolve(day, int(shift.StartMinute), s.zone)
	until := policy.Resolve(day, int(shift.EndMinute), s.zone)
	return !s.startsAt.Before(from) && !s.endsAt.After(until)
}

// allowed judges the time against the practice's clock, under the locks.
func (s *slot) allowed(now time.Time) error {
	if !s.startsAt.After(now) {
		return policy.InvalidField("/starts_at", "in_the_past", "A visit must lie in the future.")
	}
	if s.override {
		return nil
	}
	horizon, notice := s.settings.HorizonDays, time.Duration(s.settings.MinNoticeMinutes)*time.Minute
	if s.staff {
		horizon, notice = s.settings.StaffHorizonDays, 0
	}
	if s.startsAt.Before(now.Add(notice)) {
		return policy.NewError(policy.Conflict, "too_late", fmt.Sprintf("This visit must be booked at least %d minutes ahead.", s.settings.MinNoticeMinutes))
	}
	if policy.LocalDay(now, s.zone).DaysUntil(policy.LocalDay(s.startsAt, s.zone)) > horizon {
		return policy.NewError(policy.Conflict, "beyond_horizon", fmt.Sprintf("Visits can be booked up to %d days ahead.", horizon))
	}
	return nil
}

// locks is the slot's part of a lock set: whoever archives, cuts or closes what it stands on takes one of the same locks.
func (s *slot) locks() db.LockSet {
	return db.LockSet{Resources: s.resources(), Standing: []policy.ID{s.service.ID, s.location}}
}

// errSlotChanged: the calendar was changed between the reading of a slot and its locks.
var errSlotChanged = policy.NewError(policy.Conflict, "slot_changed", "The calendar was changed at this very moment. Try again.")

// stands looks, under the locks, whether everything is still as the slot was judged; errSlotChanged when not.
func (s *slot) stands(ctx context.Context, tx *db.Tx) error {
	ok, err := tx.SlotStands(ctx, db.SlotStandsParams{
		PracticeID: tx.Practice, ServiceID: s.service.ID, ServiceVersion: s.service.Version, LocationID: s.location, LocationVersion: s.versions.location,
		ResourceIds: s.resources(), ResourceVersions: s.versions.resources, Override: s.override, ShiftID: s.versions.shift, ShiftDay: s.versions.shiftDay,
		ProviderID: &s.provider, StartsAt: s.startsAt, EndsAt: s.endsAt,
	})
	if err != nil {
		return fmt.Errorf("look at the slot again: %w", err)
	}
	if !ok {
		return errSlotChanged
	}
	return nil
}

// slotTries bounds how often a command starts again because the calendar changed under it.
const slotTries = 3

// untilSlotStands runs a command that reads a slot, takes its locks and commits; again from its reading where the slot had changed.
func untilSlotStands(run func() error) (err error) {
	for range slotTries {
		if err = run(); !errors.Is(err, errSlotChanged) {
			return err
		}
	}
	return err
}

// resources are the provider and every room that may be taken.
func (s *slot) resources() []policy.ID {
	ids := []policy.ID{s.provider}
	for _, r := range s.rooms {
		ids = append(ids, r.ID)
	}
	return ids
}

// except leaves the caller's own appointment and hold out when a slot is judged.
type except struct {
	appointment, hold *policy.ID
}

// seats is where the visit will sit.
type seats struct {
	providerSeat int32
	room         *policy.ID
	roomSeat     int32
}

// neighbourhood is how far from a visit a neighbour's buffers can matter: the longest visit plus the longest buffers.
const neighbourhood = 32 * time.Hour

// free finds the smallest free seat of the provider and of the first room that has one.
func (s *slot) free(ctx context.Context, q *db.Queries, practice policy.ID, not except) (seats, error) {
	clk, err := readClock(ctx, q, practice)
	if err != nil {
		return seats{}, err
	}
	return s.freeAt(ctx, q, practice, clk.now, not)
}

func (s *slot) freeAt(ctx context.Context, q *db.Queries, practice policy.ID, now time.Time, not except) (seats, error) {
	rows, err := q.ReservationTaken(ctx, db.ReservationTakenParams{
		PracticeID: practice, ResourceIds: s.resources(), Now: now, ExceptAppointment: not.appointment, ExceptHold: not.hold,
		WindowFrom: s.startsAt.Add(-neighbourhood), WindowUntil: s.endsAt.Add(neighbourhood),
		BusyFrom:  s.startsAt.Add(-time.Duration(s.service.BufferBeforeMinutes) * time.Minute),
		BusyUntil: s.endsAt.Add(time.Duration(s.service.BufferAfterMinutes) * time.Minute),
	})
	if err != nil {
		return seats{}, fmt.Errorf("look for a free seat: %w", err)
	}
	taken := map[policy.ID]map[int32]bool{}
	for _, r := range rows {
		if taken[r.ResourceID] == nil {
			taken[r.ResourceID] = map[int32]bool{}
		}
		taken[r.ResourceID][r.Seat] = true
	}
	if len(taken[s.provider]) > 0 {
		return seats{}, policy.NewError(policy.Conflict, "slot_taken", "That time is taken. Choose another one.")
	}
	out := seats{providerSeat: 1}
	if !s.service.NeedsRoom {
		return out, nil
	}
	for _, room := range s.rooms {
		for seat := int32(1); seat <= room.Seats; seat++ {
			if !taken[room.ID][seat] {
				out.room, out.roomSeat = &room.ID, seat
				return out, nil
			}
		}
	}
	return seats{}, policy.NewError(policy.Conflict, "no_room", "Every room is taken at that time. Choose another one.")
}

// claim runs under the slot's locks: expired holds met are removed, then the free seat is found.
func (s *slot) claim(ctx context.Context, tx *db.Tx, now time.Time, not except) (seats, error) {
	if _, err := tx.HoldDeleteExpired(ctx, db.HoldDeleteExpiredParams{PracticeID: tx.Practice, Now: now, ResourceIds: s.resources()}); err != nil {
		return seats{}, fmt.Errorf("remove expired holds: %w", err)
	}
	return s.freeAt(ctx, tx.Queries, tx.Practice, now, not)
}

// reserve writes the reservations of a visit or a hold.
func (c seats) reserve(ctx context.Context, tx *db.Tx, s slot, appointment, hold *policy.ID) error {
	insert := db.ReservationInsertParams{
		PracticeID: tx.Practice, ID: db.NewID(), ResourceID: s.provider, Seat: c.providerSeat,
		StartsAt: s.startsAt, EndsAt: s.endsAt, AppointmentID: appointment, HoldID: hold,
	}
	if err := tx.ReservationInsert(ctx, insert); err != nil {
		return err
	}
	if c.room == nil {
		return nil
	}
	insert.ID, insert.ResourceID, insert.Seat = db.NewID(), *c.room, c.roomSeat
	return tx.ReservationInsert(ctx, insert)
}
