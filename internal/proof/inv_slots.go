package proof

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/kept-practice/kept/internal/policy"
)

// slotRules: no two live reservations of one resource and seat overlap, none is empty, and calendar and visits agree.
var slotRules = []rule{
	{
		"INV1", "no two reservations of one resource and seat overlap",
		`select count(*) from reservations where $1::uuid[] is null or practice_id = any($1)`,
		`select format('reservations %s and %s', a.id, b.id) from reservations a
		join reservations b on b.resource_id = a.resource_id and b.seat = a.seat and b.during && a.during and b.id > a.id
		where $1::uuid[] is null or a.practice_id = any($1) order by 1`,
	},
	{
		"INV1", "no reservation is empty",
		`select count(*) from reservations where $1::uuid[] is null or practice_id = any($1)`,
		`select format('reservation %s', id) from reservations
		where isempty(during) and ($1::uuid[] is null or practice_id = any($1)) order by 1`,
	},
	{
		"INV1", "every live visit and hold has its provider and room for its whole time",
		`select (select count(*) from appointments where class_id is null and status not in ('cancelled', 'late_cancelled', 'declined', 'expired')
			and ($1::uuid[] is null or practice_id = any($1)))
			+ (select count(*) from holds where $1::uuid[] is null or practice_id = any($1))`,
		`with live as (
			select 'appointment' as kind, practice_id, id, provider_id, room_id, starts_at, ends_at from appointments
			where class_id is null and status not in ('cancelled', 'late_cancelled', 'declined', 'expired')
			union all select 'hold', practice_id, id, provider_id, room_id, starts_at, ends_at from holds)
		select format('%s %s', v.kind, v.id) from live v
		cross join lateral (values (v.provider_id), (v.room_id)) as needed(resource)
		where needed.resource is not null and ($1::uuid[] is null or v.practice_id = any($1))
			and not exists (select from reservations r where r.practice_id = v.practice_id and r.resource_id = needed.resource
				and (r.appointment_id = v.id or r.hold_id = v.id) and r.during @> tstzrange(v.starts_at, v.ends_at))
		order by 1`,
	},
	{
		"INV1", "no ended visit keeps a resource",
		`select count(*) from appointments where status in ('cancelled', 'late_cancelled', 'declined', 'expired')
			and ($1::uuid[] is null or practice_id = any($1))`,
		`select format('appointment %s', a.id) from appointments a
		where a.status in ('cancelled', 'late_cancelled', 'declined', 'expired') and ($1::uuid[] is null or a.practice_id = any($1))
			and exists (select from reservations r where r.practice_id = a.practice_id and r.appointment_id = a.id)
		order by 1`,
	},
}

// hours: every live visit that is not marked as an override lies inside one shift of its provider at its location, and no
// closure that was known when it was booked covers it.
func (j *judge) hours(ctx context.Context) error {
	shifts, err := j.shifts(ctx)
	if err != nil {
		return fmt.Errorf("INV1, read the hours: %w", err)
	}
	rows, err := j.tx.Query(ctx, `
		select a.id, a.provider_id, a.location_id, l.zone, a.starts_at, a.ends_at,
			a.version = 1 and exists (select from closures c where c.practice_id = a.practice_id and c.recorded_at < a.recorded_at
				and (c.lifted_at is null or c.lifted_at > a.recorded_at)
				and (c.resource_id = a.provider_id or c.location_id = a.location_id) and c.during && tstzrange(a.starts_at, a.ends_at))
		from appointments a join locations l on l.practice_id = a.practice_id and l.id = a.location_id
		where not a.override and a.class_id is null and a.status not in ('cancelled', 'late_cancelled', 'declined', 'expired')
			and ($1::uuid[] is null or a.practice_id = any($1))
		order by a.id`, j.books.Practices)
	if err != nil {
		return fmt.Errorf("INV1, read the visits: %w", err)
	}
	var (
		n                      int
		bad                    []string
		id, provider, location policy.ID
		zone                   string
		from, until            time.Time
		closed                 bool
	)
	_, err = pgx.ForEachRow(rows, []any{&id, &provider, &location, &zone, &from, &until, &closed}, func() error {
		place, err := policy.LoadZone(zone)
		if err != nil {
			return err
		}
		n++
		if closed || !covered(shifts[[2]policy.ID{provider, location}], from, until, place) {
			bad = append(bad, "appointment "+id.String())
		}
		return nil
	})
	j.note("INV1", "every visit without override lies inside published hours", n, bad)
	return err
}

type shift struct {
	Resource, Location policy.ID
	Weekday            int
	Start, End         int
	From               policy.LocalDate
	Until              *policy.LocalDate
}

func (j *judge) shifts(ctx context.Context) (map[[2]policy.ID][]shift, error) {
	rows, err := j.tx.Query(ctx, `select resource_id, location_id, weekday, start_minute, end_minute, from_on, until_on from shifts
		where $1::uuid[] is null or practice_id = any($1)`, j.books.Practices)
	if err != nil {
		return nil, err
	}
	all, err := pgx.CollectRows(rows, pgx.RowToStructByPos[shift])
	by := map[[2]policy.ID][]shift{}
	for _, s := range all {
		key := [2]policy.ID{s.Resource, s.Location}
		by[key] = append(by[key], s)
	}
	return by, err
}

// covered: some shift that begins on the local day of the start, or on the day before, holds the whole span.
func covered(shifts []shift, from, until time.Time, zone *time.Location) bool {
	today := policy.LocalDay(from, zone)
	for _, s := range shifts {
		for _, day := range []policy.LocalDate{today.AddDays(-1), today} {
			if int(day.Weekday()) != s.Weekday || day.Before(s.From) || (s.Until != nil && !day.Before(*s.Until)) {
				continue
			}
			if !from.Before(policy.Resolve(day, s.Start, zone)) && !until.After(policy.Resolve(day, s.End, zone)) {
				return true
			}
		}
	}
	return false
}
