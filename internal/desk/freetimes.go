package desk

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/kept-practice/kept/db"
	"github.com/kept-practice/kept/internal/policy"
)

// FreeInput asks for the times at which a service can be booked.
type FreeInput struct {
	Service           policy.ID
	Location          policy.ID
	Provider          *policy.ID // any who offers the service when nil
	From              policy.LocalDate
	Days              int        // 1 to 31
	ExceptAppointment *policy.ID // a visit about to move does not stand in its own way
}

// FreeTime is one bookable start.
type FreeTime struct {
	StartsAt     time.Time
	Provider     policy.ID
	ProviderName string
}

// FreeTimes lists every start that Book takes in a quiet system, earliest first, judged as for a client.
func (d *Desk) FreeTimes(ctx context.Context, practice policy.ID, in FreeInput) ([]FreeTime, error) {
	if in.Days < 1 || in.Days > 31 {
		return nil, policy.InvalidField("/days", "invalid_days", "Ask for 1 to 31 days.")
	}
	var out []FreeTime
	err := d.store.InPractice(ctx, practice, func(tx *db.Tx) error {
		service, err := tx.ServiceByID(ctx, practice, in.Service)
		if err != nil {
			return notFound(err, "service")
		}
		location, err := tx.LocationByID(ctx, practice, in.Location)
		if err != nil {
			return notFound(err, "location")
		}
		zone, err := policy.LoadZone(location.Zone)
		if err != nil {
			return err
		}
		cal, err := readCalendar(ctx, tx, in, zone)
		if err != nil {
			return err
		}
		out = nil
		for _, p := range cal.providers {
			if in.Provider != nil && p.ID != *in.Provider {
				continue
			}
			settings, err := settingsAt(ctx, tx.Queries, practice, &in.Location, &in.Service, &p.ID)
			if err != nil {
				return err
			}
			s := slot{service: service, provider: p.ID, location: in.Location, rooms: cal.rooms, zone: zone, settings: settings}
			if !service.NeedsRoom {
				s.rooms = nil
			}
			out = append(out, cal.free(s, p.Name, in)...)
		}
		return nil
	})
	slices.SortFunc(out, func(a, b FreeTime) int {
		if c := a.StartsAt.Compare(b.StartsAt); c != 0 {
			return c
		}
		return slices.Compare(a.Provider[:], b.Provider[:])
	})
	return out, err
}

// calendar is what bears on a stretch of days at one location.
type calendar struct {
	now       time.Time
	providers []db.ServiceResourcesRow
	rooms     []db.ServiceResourcesRow
	shifts    map[policy.ID][]db.ShiftsAroundRow
	busy      map[policy.ID][]db.BusyOfRow
	closures  []db.ClosuresInRow
}

func readCalendar(ctx context.Context, tx *db.Tx, in FreeInput, zone *time.Location) (calendar, error) {
	clk, err := readClock(ctx, tx.Queries, tx.Practice)
	if err != nil {
		return calendar{}, err
	}
	c := calendar{now: clk.now, shifts: map[policy.ID][]db.ShiftsAroundRow{}, busy: map[policy.ID][]db.BusyOfRow{}}
	rows, err := tx.ServiceResources(ctx, db.ServiceResourcesParams{PracticeID: tx.Practice, ServiceID: in.Service, LocationID: &in.Location})
	if err != nil {
		return c, fmt.Errorf("find what the service uses: %w", err)
	}
	ids := make([]policy.ID, len(rows))
	for i, r := range rows {
		ids[i] = r.ID
		switch r.Kind {
		case "provider":
			c.providers = append(c.providers, r)
		case "room":
			c.rooms = append(c.rooms, r)
		}
	}
	from, until := policy.StartOfDay(in.From, zone), policy.StartOfDay(in.From.AddDays(in.Days), zone)
	dayBefore := in.From.AddDays(-1)
	shifts, err := tx.ShiftsOf(ctx, db.ShiftsOfParams{
		PracticeID: tx.Practice, LocationID: in.Location, ResourceIds: ids, UntilDay: in.From.AddDays(in.Days), FromDay: &dayBefore,
	})
	if err != nil {
		return c, fmt.Errorf("read working hours: %w", err)
	}
	for _, s := range shifts {
		c.shifts[s.ResourceID] = append(c.shifts[s.ResourceID], db.ShiftsAroundRow{
			Weekday: s.Weekday, StartMinute: s.StartMinute, EndMinute: s.EndMinute, FromOn: s.FromOn, UntilOn: s.UntilOn,
		})
	}
	busy, err := tx.BusyOf(ctx, db.BusyOfParams{
		PracticeID: tx.Practice, ResourceIds: ids, Now: clk.now, ExceptAppointment: in.ExceptAppointment,
		FromAt: from.Add(-neighbourhood), UntilAt: until.Add(neighbourhood),
	})
	if err != nil {
		return c, fmt.Errorf("read what is taken: %w", err)
	}
	for _, b := range busy {
		c.busy[b.ResourceID] = append(c.busy[b.ResourceID], b)
	}
	c.closures, err = tx.ClosuresIn(ctx, db.ClosuresInParams{PracticeID: tx.Practice, FromAt: from, UntilAt: until.Add(neighbourhood)})
	return c, err
}

// free walks the grid inside each shift of one provider.
func (c calendar) free(s slot, name string, in FreeInput) []FreeTime {
	var out []FreeTime
	first := policy.StartOfDay(in.From, s.zone)
	last := policy.StartOfDay(in.From.AddDays(in.Days), s.zone)
	length := time.Duration(s.service.DurationMinutes) * time.Minute
	for offset := -1; offset < in.Days; offset++ {
		day := in.From.AddDays(offset)
		for _, shift := range c.shifts[s.provider] {
			if int(day.Weekday()) != int(shift.Weekday) {
				continue
			}
			step := s.settings.GridMinutes
			for m := (int(shift.StartMinute) + step - 1) / step * step; m < int(shift.EndMinute); m += step {
				s.startsAt = policy.Resolve(day, m, s.zone).UTC()
				s.endsAt = s.startsAt.Add(length)
				if s.startsAt.Before(first) || !s.startsAt.Before(last) || !c.takes(s, shift, day) {
					continue
				}
				out = append(out, FreeTime{StartsAt: s.startsAt, Provider: s.provider, ProviderName: name})
			}
		}
	}
	return slices.CompactFunc(out, func(a, b FreeTime) bool { return a.StartsAt.Equal(b.StartsAt) })
}

// takes asks the same questions as Book: hours, notice and horizon, closures, neighbours, a room.
func (c calendar) takes(s slot, shift db.ShiftsAroundRow, day policy.LocalDate) bool {
	if !s.within(shift, day) || s.allowed(c.now) != nil || !s.onGrid() {
		return false
	}
	for _, x := range c.closures {
		ours := (x.ResourceID != nil && *x.ResourceID == s.provider) || (x.LocationID != nil && *x.LocationID == s.location)
		if ours && s.startsAt.Before(x.EndsAt) && x.StartsAt.Before(s.endsAt) {
			return false
		}
	}
	if c.taken(s, s.provider, 1) {
		return false
	}
	if !s.service.NeedsRoom {
		return true
	}
	for _, r := range s.rooms {
		for seat := int32(1); seat <= r.Seats; seat++ {
			if !c.taken(s, r.ID, seat) {
				return true
			}
		}
	}
	return false
}

func (c calendar) taken(s slot, resource policy.ID, seat int32) bool {
	from := s.startsAt.Add(-time.Duration(s.service.BufferBeforeMinutes) * time.Minute)
	until := s.endsAt.Add(time.Duration(s.service.BufferAfterMinutes) * time.Minute)
	for _, b := range c.busy[resource] {
		if b.Seat == seat && from.Before(b.EndsAt.Add(time.Duration(b.BufferAfter)*time.Minute)) &&
			b.StartsAt.Add(-time.Duration(b.BufferBefore)*time.Minute).Before(until) {
			return true
		}
	}
	return false
}
