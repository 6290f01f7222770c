package policy

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func zone(t require.TestingT, name string) *time.Location {
	z, err := LoadZone(name)
	require.NoError(t, err)
	return z
}

func instant(t require.TestingT, s string) time.Time {
	at, err := time.Parse(time.RFC3339, s)
	require.NoError(t, err)
	return at.UTC()
}

func TestResolve_RulesMeanOneInstant(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, zone, day, wall, want string }{
		{"skipped moves forward by the gap", "America/New_York", "2026-03-08", "02:30", "2026-03-08T03:30:00-04:00"},
		{"the gap's first minute", "America/New_York", "2026-03-08", "02:00", "2026-03-08T03:00:00-04:00"},
		{"the minute before the gap", "America/New_York", "2026-03-08", "01:59", "2026-03-08T01:59:00-05:00"},
		{"the minute after the gap", "America/New_York", "2026-03-08", "03:00", "2026-03-08T03:00:00-04:00"},
		{"repeated means the first pass", "America/New_York", "2026-11-01", "01:30", "2026-11-01T05:30:00Z"},
		{"hours on the day before the change", "America/New_York", "2026-03-07", "13:00", "2026-03-07T18:00:00Z"},
		{"hours on the day of the change", "America/New_York", "2026-03-08", "13:00", "2026-03-08T17:00:00Z"},
		{"skipped in Berlin", "Europe/Berlin", "2026-03-29", "02:30", "2026-03-29T03:30:00+02:00"},
		{"repeated in Berlin", "Europe/Berlin", "2026-10-25", "02:30", "2026-10-25T00:30:00Z"},
		{"skipped in Sydney", "Australia/Sydney", "2026-10-04", "02:30", "2026-10-04T03:30:00+11:00"},
		{"a gap of half an hour", "Australia/Lord_Howe", "2026-10-04", "02:15", "2026-10-04T02:45:00+11:00"},
		{"a repeat of half an hour", "Australia/Lord_Howe", "2026-04-05", "01:45", "2026-04-05T01:45:00+11:00"},
		{"a gap of two hours", "Antarctica/Troll", "2026-03-29", "01:30", "2026-03-29T03:30:00+02:00"},
		{"a gap at midnight", "Africa/Cairo", "2026-04-24", "00:30", "2026-04-24T01:30:00+03:00"},
		{"a day that does not exist", "Pacific/Apia", "2011-12-30", "09:00", "2011-12-31T09:00:00+14:00"},
		{"an offset of 5:45", "Asia/Kathmandu", "2026-07-01", "09:00", "2026-07-01T03:15:00Z"},
		{"an offset of 14 hours", "Pacific/Kiritimati", "2026-07-01", "09:00", "2026-06-30T19:00:00Z"},
		{"the last day of a leap year beyond the zone's table", "America/New_York", "2040-12-31", "09:00", "2040-12-31T14:00:00Z"},
		{"a gap beyond the zone's table", "America/New_York", "2096-03-11", "02:30", "2096-03-11T03:30:00-04:00"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got := MustWallTime(c.wall).On(MustLocalDate(c.day), zone(t, c.zone))
			require.Equal(t, instant(t, c.want), got)
			require.Equal(t, time.UTC, got.Location())
		})
	}
}

func TestResolve_NightShiftOverTheShortNightIsSevenHours(t *testing.T) {
	t.Parallel()
	ny, d := zone(t, "America/New_York"), MustLocalDate("2026-03-07")
	require.Equal(t, 7*time.Hour, Resolve(d, 30*60, ny).Sub(Resolve(d, 22*60, ny)))
	d = MustLocalDate("2026-10-31")
	require.Equal(t, 9*time.Hour, Resolve(d, 30*60, ny).Sub(Resolve(d, 22*60, ny)))
	require.Equal(t, Resolve(d, 22*60, ny), Resolve(d.AddDays(1), -2*60, ny))
}

func TestResolveInput_RefusesWhatIsNotOneInstant(t *testing.T) {
	t.Parallel()
	ny := zone(t, "America/New_York")
	got, err := ResolveInput(MustLocalDate("2026-03-09"), 14, 5, 6, ny)
	require.NoError(t, err)
	require.Equal(t, instant(t, "2026-03-09T14:05:06-04:00"), got)

	_, err = ResolveInput(MustLocalDate("2026-03-08"), 2, 30, 0, ny)
	var e *Error
	require.ErrorAs(t, err, &e)
	require.Equal(t, Invalid, e.Kind)
	require.Equal(t, "skipped_time", e.Code)
	require.Equal(t, map[string]any{"next_valid": "2026-03-08T03:00:00-04:00"}, e.Facts)

	_, err = ResolveInput(MustLocalDate("2026-11-01"), 1, 30, 0, ny)
	require.ErrorAs(t, err, &e)
	require.Equal(t, Invalid, e.Kind)
	require.Equal(t, "ambiguous_time", e.Code)
	require.Equal(t, map[string]any{"instants": []string{"2026-11-01T01:30:00-04:00", "2026-11-01T01:30:00-05:00"}}, e.Facts)

	d := MustLocalDate("2026-03-09")
	for _, bad := range [][3]int{{24, 0, 0}, {-1, 0, 0}, {0, 60, 0}, {0, -1, 0}, {0, 0, 60}, {0, 0, -1}} {
		_, err = ResolveInput(d, bad[0], bad[1], bad[2], ny)
		require.Equal(t, "invalid_time", CodeOf(err), bad)
	}
	_, err = ResolveInput(LocalDate{2026, 2, 30}, 9, 0, 0, ny)
	require.Equal(t, "invalid_time", CodeOf(err))
}

func TestStartOfDay_IsTheFirstValidInstant(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ zone, day, want string }{
		{"America/New_York", "2026-03-08", "2026-03-08T00:00:00-05:00"},
		{"Africa/Cairo", "2026-04-24", "2026-04-24T01:00:00+03:00"},         // midnight is skipped
		{"America/Havana", "2026-11-01", "2026-11-01T00:00:00-04:00"},       // midnight comes twice
		{"America/Santiago", "2026-09-06", "2026-09-06T01:00:00-03:00"},     // midnight is skipped
		{"America/Santiago", "2026-04-05", "2026-04-05T00:00:00-04:00"},     // the hour before midnight comes twice
		{"Pacific/Apia", "2011-12-30", "2011-12-31T00:00:00+14:00"},         // the day does not exist
		{"America/Scoresbysund", "2024-03-31", "2024-03-31T00:00:00-01:00"}, // one gap after another in the same night
	} {
		require.Equal(t, instant(t, c.want), StartOfDay(MustLocalDate(c.day), zone(t, c.zone)), c.zone+" "+c.day)
	}
	start, end := DayBounds(MustLocalDate("2026-03-08"), zone(t, "America/New_York"))
	require.Equal(t, 23*time.Hour, end.Sub(start))
	start, end = DayBounds(MustLocalDate("2011-12-30"), zone(t, "Pacific/Apia"))
	require.Equal(t, start, end)
	require.Equal(t, MustLocalDate("2026-07-01"), LocalDay(instant(t, "2026-06-30T19:00:00Z"), zone(t, "Pacific/Kiritimati")))
}

func TestWallTime(t *testing.T) {
	t.Parallel()
	for _, good := range []string{"00:00", "09:05", "23:59"} {
		w, err := ParseWallTime(good)
		require.NoError(t, err)
		require.Equal(t, good, w.String())
		require.Equal(t, w, WallTimeAt(w.Minutes()))
		b, err := json.Marshal(w)
		require.NoError(t, err)
		var back WallTime
		require.NoError(t, json.Unmarshal(b, &back))
		require.Equal(t, w, back)
	}
	for _, bad := range []string{"", "9:05", "24:00", "23:60", "09:05:00", "09.05", "+9:05", "0９:5", "-1:00"} {
		_, err := ParseWallTime(bad)
		require.Equal(t, "invalid_wall_time", CodeOf(err), bad)
	}
	require.Equal(t, WallTime{1, 30}, WallTimeAt(25*60+30))
	require.Equal(t, WallTime{23, 0}, WallTimeAt(-60))
	var w WallTime
	require.Error(t, json.Unmarshal([]byte(`"noon"`), &w))
	_, err := WallTime{24, 0}.MarshalText()
	require.Error(t, err)
	require.Panics(t, func() { MustWallTime("noon") })
}

func TestDayBounds_TileTime(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		z := zone(t, rapid.SampledFrom(listedZones).Draw(t, "zone"))
		d := LocalDate{2000, 1, 1}.AddDays(rapid.IntRange(0, 36890).Draw(t, "day"))
		start, end := DayBounds(d, z)
		require.False(t, end.Before(start))
		require.Equal(t, end, StartOfDay(d.AddDays(1), z))
		if end.After(start) {
			require.Equal(t, d, LocalDay(start, z))
			require.False(t, LocalDay(start.Add(-time.Second), z).After(d), "clocks may fall back over midnight")
		}
	})
}
