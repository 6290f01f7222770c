package desk_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kept-practice/kept/internal/desk"
	"github.com/kept-practice/kept/internal/policy"
	"github.com/kept-practice/kept/internal/proof"
)

// slotRace is a booking and a change of the calendar that meet: the first of them waits at its journal entry, all its locks
// taken, until the second waits for one of these.
type slotRace struct {
	*office
	slot  desk.BookInput
	shift policy.ID // the provider's hours on the day of the slot
}

func newSlotRace(t *testing.T) *slotRace {
	t.Helper()
	r := &slotRace{office: newOffice(t)}
	free, err := r.FreeTimes(t.Context(), r.made.ID, desk.FreeInput{Service: r.made.Services[1], Location: r.made.Locations[0], From: r.today().AddDays(3), Days: 14})
	require.NoError(t, err)
	require.NotEmpty(t, free)
	r.slot = desk.BookInput{
		Client: r.newClient("Casey", "Client", desk.ClientInput{}).ID, Service: r.made.Services[1], Provider: free[0].Provider,
		Location: r.made.Locations[0], StartsAt: free[0].StartsAt.Format(time.RFC3339), Source: "test",
	}
	require.NoError(t, r.conn.QueryRow(t.Context(), `select id from shifts where resource_id = $1 and weekday = $2`,
		r.slot.Provider, int(free[0].StartsAt.Weekday())).Scan(&r.shift))
	return r
}

func (r *slotRace) book() error {
	_, err := r.Book(context.Background(), r.by, r.slot)
	return err
}

// meet runs both so that the second asks for its locks while the first holds all of its own.
func (r *slotRace) meet(first, second func() error) (firstErr, secondErr error) {
	r.t.Helper()
	door := proof.Connect(r.t, r.store)
	_, err := door.Exec(r.t.Context(), `begin; lock table journal in share mode`)
	require.NoError(r.t, err)
	waiting := func(what string, n int) {
		r.t.Helper()
		require.Eventually(r.t, func() bool {
			return r.count(`select count(*) from pg_locks where not granted and locktype = $1 and database = (select oid from pg_database where datname = current_database())`, what) == n
		}, 10*time.Second, 2*time.Millisecond)
	}
	var both sync.WaitGroup
	both.Go(func() { firstErr = first() })
	waiting("relation", 1)
	both.Go(func() { secondErr = second() })
	waiting("advisory", 1)
	_, err = door.Exec(r.t.Context(), `rollback`)
	require.NoError(r.t, err)
	both.Wait()
	return firstErr, secondErr
}

func TestBook_AgainstAChangeOfTheCalendar_OneOfTheTwoOrders(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	for name, c := range map[string]struct {
		change func(*slotRace) error
		after  string // the booking, when it comes second
		inUse  string // the change, when it comes second; "" when it lists the visit instead
	}{
		"service archived": {func(r *slotRace) error {
			_, err := r.ArchiveService(ctx, r.by, r.slot.Service, 1)
			return err
		}, "archived", "service_in_use"},
		"location archived": {func(r *slotRace) error {
			_, err := r.UpdateLocation(ctx, r.by, desk.LocationPatch{ID: r.slot.Location, Version: 1, Archived: ptr(true)})
			return err
		}, "archived", "location_in_use"},
		"provider archived": {func(r *slotRace) error {
			_, err := r.ArchiveResource(ctx, r.by, r.slot.Provider, 1)
			return err
		}, "provider_not_found", "resource_in_use"},
		"hours ended": {func(r *slotRace) error {
			_, err := r.ChangeShift(ctx, r.by, desk.ShiftChange{Shift: r.shift, End: true})
			return err
		}, "outside_hours", "hours_in_use"},
		"location closed": {func(r *slotRace) error {
			at, err := time.Parse(time.RFC3339, r.slot.StartsAt)
			require.NoError(r.t, err)
			_, err = r.AddClosure(ctx, r.by, desk.ClosureInput{
				Location: &r.slot.Location, StartsAt: r.slot.StartsAt, EndsAt: at.Add(time.Hour).Format(time.RFC3339), Reason: "Water",
			})
			return err
		}, "closed", ""},
	} {
		t.Run(name+", then booked", func(t *testing.T) {
			t.Parallel()
			r := newSlotRace(t)
			changed, booked := r.meet(func() error { return c.change(r) }, r.book)
			require.NoError(t, changed)
			require.Equal(t, c.after, policy.CodeOf(booked), "%v", booked)
			require.Zero(t, r.count(`select count(*) from appointments`))
		})
		t.Run("booked, then "+name, func(t *testing.T) {
			t.Parallel()
			r := newSlotRace(t)
			booked, changed := r.meet(r.book, func() error { return c.change(r) })
			require.NoError(t, booked)
			if c.inUse == "" {
				require.NoError(t, changed)
			} else {
				require.Equal(t, c.inUse, policy.CodeOf(changed), "%v", changed)
			}
			require.Equal(t, 1, r.count(`select count(*) from appointments`))
		})
	}
}
