package desk_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kept-practice/kept/internal/desk"
	"github.com/kept-practice/kept/internal/policy"
	"github.com/kept-practice/kept/internal/proof"
)

// oldRules is an office whose visits were computed by other rules for clocks in New York: an hour later on the same wall.
type oldRules struct {
	*office
	client policy.ID
	visits []desk.Booked
}

// newOldRules books visits one after the other through a morning, then puts them where the older rules had them.
func newOldRules(t *testing.T, visits int) *oldRules {
	t.Helper()
	o := &oldRules{office: newOffice(t)}
	o.client = o.newClient("Casey", "Client", desk.ClientInput{Mail: "casey@example.org"}).ID
	kept, err := o.KeepWallTimes(t.Context(), o.made.ID)
	require.NoError(t, err)
	require.Equal(t, desk.ZonesKept{}, kept, "a new practice has no older rules")
	day := o.today().AddDays(7)
	for day.Weekday() == time.Saturday || day.Weekday() == time.Sunday {
		day = day.AddDays(1)
	}
	for n := range visits {
		o.visits = append(o.visits, o.at(day, 10*60+30*n))
	}
	o.exec(`update reservations set during = tstzrange(lower(during) + interval '1 day', upper(during) + interval '1 day') where practice_id = $1`)
	o.exec(`update reservations set during = tstzrange(lower(during) - interval '23 hours', upper(during) - interval '23 hours') where practice_id = $1`)
	o.exec(`update appointments set starts_at = starts_at + interval '1 hour', ends_at = ends_at + interval '1 hour' where practice_id = $1`)
	o.exec(`update zone_rules set fingerprint = 'rules of another year' where practice_id = $1`)
	o.exec(`delete from outbox where practice_id = $1`)
	return o
}

func (o *oldRules) exec(sql string) {
	o.t.Helper()
	_, err := o.conn.Exec(o.t.Context(), sql, o.made.ID)
	require.NoError(o.t, err)
}

func (o *oldRules) at(day policy.LocalDate, minute int) desk.Booked {
	o.t.Helper()
	booked, err := o.Book(o.t.Context(), o.by, desk.BookInput{
		Client: o.client, Service: o.made.Services[1], Provider: o.made.Providers[0], Location: o.made.Locations[0],
		StartsAt: day.String() + "T" + policy.WallTimeAt(minute).String(), Source: "test",
	})
	require.NoError(o.t, err)
	return booked
}

func (o *oldRules) requireNoOverlap() {
	o.t.Helper()
	violations, report, err := proof.Check(o.t.Context(), proof.Books{Database: o.conn.Config().ConnString(), Practices: []policy.ID{o.made.ID}})
	require.NoError(o.t, err)
	for _, v := range violations {
		require.NotEqual(o.t, "INV1", v.Invariant, "%s\n%s", v.Detail, report)
	}
}

// TestZones_S10_NewRules_VisitsKeepTheWallTimeAndPlanAnew: back to back, so that one alone could not move.
func TestZones_S10_NewRules_VisitsKeepTheWallTimeAndPlanAnew(t *testing.T) {
	t.Parallel()
	o := newOldRules(t, 4)
	kept, err := o.KeepWallTimes(t.Context(), o.made.ID)
	require.NoError(t, err)
	require.Equal(t, desk.ZonesKept{Zones: []string{"America/New_York"}, Moved: 4}, kept)
	for _, v := range o.visits {
		now, err := o.store.In(o.made.ID).AppointmentByID(t.Context(), o.made.ID, v.Appointment.ID)
		require.NoError(t, err)
		require.Equal(t, v.Appointment.StartsAt.UTC(), now.StartsAt.UTC(), "the instant that its wall time means")
		require.Equal(t, v.Appointment.EndsAt.UTC(), now.EndsAt.UTC())
		require.Equal(t, v.Appointment.LocalStart, now.LocalStart)
		require.EqualValues(t, 2, now.Version, "a version of its own, so messages are planned anew")
		require.Equal(t, v.Appointment.Status, now.Status)
		look, err := desk.Look(t.Context(), o.store.In(o.made.ID), v.Journey)
		require.NoError(t, err)
		reminded := 0
		for _, step := range look.Outlook.Future {
			if step.Key == "reminder/two_days/mail/v2" {
				reminded++
				zone, err := policy.LoadZone(now.Zone)
				require.NoError(t, err)
				require.Equal(t, now.LocalStart[11:], step.At.In(zone).Format("15:04"), "two days before, at the same wall time")
			}
			require.NotContains(t, step.Key, "/v1")
		}
		require.Equal(t, 1, reminded)
		require.Equal(t, 1, o.count(`select count(*) from journal where verb = 'zone_rules_changed' and subject_id = $1 and reason like '%America/New\_York%'`, v.Appointment.ID))
		require.Equal(t, 1, o.count(`select count(*) from outbox where subject_id = $1`, v.Appointment.ID), "its run looks again")
	}
	require.Equal(t, 1, o.count(`select count(*) from tasks where kind = 'zone_rules_changed' and practice_id = $1`, o.made.ID))
	o.requireNoOverlap()

	again, err := o.KeepAllWallTimes(t.Context())
	require.NoError(t, err)
	require.Equal(t, desk.ZonesKept{}, again, "once")
	require.Equal(t, 4, o.count(`select count(*) from journal where verb = 'zone_rules_changed'`))
}

func TestZones_S10_NewRules_AVisitWhoseTimeIsTakenStaysAndBecomesATask(t *testing.T) {
	t.Parallel()
	o := newOldRules(t, 2) // 10:00 and 10:30 on the wall, kept at 11:00 and 11:30
	first, second := o.visits[0].Appointment, o.visits[1].Appointment
	day, err := policy.ParseLocalDate(first.LocalStart[:10])
	require.NoError(t, err)
	o.exec(`update appointments set local_start = left(local_start, 11) || '12:15' where practice_id = $1 and local_start like '%T10:30'`)
	taken := o.at(day, 12*60+30).Appointment // by the new rules, in the way of the second's 12:15

	kept, err := o.KeepWallTimes(t.Context(), o.made.ID)
	require.NoError(t, err)
	require.Equal(t, desk.ZonesKept{Zones: []string{"America/New_York"}, Moved: 1, Stuck: 1}, kept)
	starts := func(id policy.ID) (time.Time, int32) {
		now, err := o.store.In(o.made.ID).AppointmentByID(t.Context(), o.made.ID, id)
		require.NoError(t, err)
		return now.StartsAt.UTC(), now.Version
	}
	at, version := starts(second.ID)
	require.Equal(t, second.StartsAt.UTC().Add(time.Hour), at, "where it was")
	require.EqualValues(t, 1, version)
	at, _ = starts(taken.ID)
	require.Equal(t, taken.StartsAt.UTC(), at)
	at, _ = starts(first.ID)
	require.Equal(t, first.StartsAt.UTC(), at)
	require.Equal(t, 1, o.count(`select count(*) from tasks where kind = 'zone_conflict' and subject_id = $1`, second.ID))
	require.Equal(t, 1, o.count(`select count(*) from journal where verb = 'zone_rules_conflict' and subject_id = $1`, second.ID))
	o.requireNoOverlap()
}

// TestZones_S10_TwoWorkersStartAtOnce_EachVisitMovesOnce: both find the new rules.
func TestZones_S10_TwoWorkersStartAtOnce_EachVisitMovesOnce(t *testing.T) {
	t.Parallel()
	o := newOldRules(t, 3)
	done := make(chan error, 2)
	for range cap(done) {
		go func() {
			_, err := o.KeepAllWallTimes(t.Context())
			done <- err
		}()
	}
	for range cap(done) {
		require.NoError(t, <-done)
	}
	require.Equal(t, 3, o.count(`select count(*) from journal where verb = 'zone_rules_changed'`))
	require.Equal(t, 3, o.count(`select count(*) from appointments where version = 2`))
	o.requireNoOverlap()
}
