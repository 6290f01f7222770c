package desk_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kept-practice/kept/internal/desk"
	"github.com/kept-practice/kept/internal/policy"
	"github.com/kept-practice/kept/internal/proof"
)

// TestZones_S10_TwelveZonesTwoYears_NineOClockAroundEveryChange books nine o'clock on the day before, the day of and the day after
// every change of clocks of two years, in practices of twelve zones: the day's hours hold, and so does the reminder's wall time.
func TestZones_S10_TwelveZonesTwoYears_NineOClockAroundEveryChange(t *testing.T) {
	t.Parallel()
	store := proof.NewStore(t)
	d := desk.New(store)
	start := time.Now()
	booked, changed := 0, 0
	for _, name := range []string{
		"America/New_York", "America/St_Johns", "America/Sao_Paulo", "Europe/London", "Europe/Berlin", "Africa/Casablanca", "Asia/Kolkata", "Asia/Kathmandu",
		"Australia/Adelaide", "Australia/Lord_Howe", "Pacific/Kiritimati", "Pacific/Chatham",
	} {
		zone, err := policy.LoadZone(name)
		require.NoError(t, err)
		in := practiceInput(name)
		setup := desk.DefaultSetup("Olive Owner", name)
		setup.Providers[0].Hours = []desk.SetupHours{{
			Days: []time.Weekday{0, 1, 2, 3, 4, 5, 6}, From: policy.MustWallTime("09:00"), Until: policy.MustWallTime("17:00"),
		}}
		in.Zone, in.Setup = name, &setup
		made, err := d.CreatePractice(t.Context(), in)
		require.NoError(t, err)
		by := policy.Principal{Kind: policy.ByStaff, Practice: made.ID, Staff: &made.Owner, Role: policy.RoleOwner}
		client, err := d.CreateClient(t.Context(), by, desk.ClientInput{GivenName: "Casey", FamilyName: "Client", Mail: "casey@example.org"})
		require.NoError(t, err)
		changes := changeDays(start, zone)
		changed += len(changes)
		days := map[policy.LocalDate]bool{policy.LocalDay(start, zone).AddDays(100): true} // zones without changes too
		for _, day := range changes {
			days[day.AddDays(-1)], days[day], days[day.AddDays(1)] = true, true, true
		}
		for day := range days {
			free, err := d.FreeTimes(t.Context(), made.ID, desk.FreeInput{Service: made.Services[1], Location: made.Locations[0], From: day, Days: 1})
			require.NoError(t, err)
			if policy.LocalDay(start, zone).DaysUntil(day) <= 180 { // as far ahead as clients book
				require.Equal(t, day.String()+" 09:00", free[0].StartsAt.In(zone).Format("2006-01-02 15:04"), name)
				require.Equal(t, day.String()+" 16:30", free[len(free)-1].StartsAt.In(zone).Format("2006-01-02 15:04"), name)
				require.Len(t, free, 91, "every five minutes from 9:00 to 16:30 on %s in %s", day, name)
			}
			visit, err := d.Book(t.Context(), by, desk.BookInput{
				Client: client.ID, Service: made.Services[1], Provider: made.Providers[0], Location: made.Locations[0], StartsAt: day.String() + "T09:00", Source: "test",
			})
			require.NoError(t, err, "%s in %s", day, name)
			require.Equal(t, day.String()+" 09:00", visit.Appointment.StartsAt.In(zone).Format("2006-01-02 15:04"), name)
			for _, early := range []string{"T08:55", "T16:35"} { // the hours hold to the minute
				_, err := d.Book(t.Context(), by, desk.BookInput{
					Client: client.ID, Service: made.Services[1], Provider: made.Providers[0], Location: made.Locations[0], StartsAt: day.String() + early, Source: "test",
				})
				require.Equal(t, "outside_hours", policy.CodeOf(err), "%s%s in %s", day, early, name)
			}
			look, err := desk.Look(t.Context(), store.In(made.ID), visit.Journey)
			require.NoError(t, err)
			reminders := map[string]string{}
			for _, step := range look.Outlook.Future {
				reminders[step.Key] = step.At.In(zone).Format("2006-01-02 15:04")
			}
			require.Equal(t, day.AddDays(-7).String()+" 09:00", reminders["reminder/week/mail/v1"], "%s in %s", day, name)
			require.Equal(t, day.AddDays(-2).String()+" 09:00", reminders["reminder/two_days/mail/v1"], "%s in %s", day, name)
			booked++
		}
	}
	require.GreaterOrEqual(t, changed, 24, "most of the zones change twice a year")
	t.Logf("%d visits around %d changes of clocks", booked, changed)
}

// changeDays are the days of the next two years on which clocks show another offset at their end than at their start.
func changeDays(start time.Time, zone *time.Location) (days []policy.LocalDate) {
	offset := func(at time.Time) string { return at.In(zone).Format("-0700") }
	first := policy.LocalDay(start, zone)
	for day := first.AddDays(10); first.DaysUntil(day) < 728; day = day.AddDays(1) {
		if from, until := policy.DayBounds(day, zone); offset(from) != offset(until) {
			days = append(days, day)
		}
	}
	return days
}
