package policy

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// twelveZones cover both hemispheres, half and quarter hours, a half-hour change (Lord Howe), zones without changes, the far ends
// of the day (Kiritimati, Apia) and Morocco, which changes around Ramadan.
var twelveZones = []string{
	"America/New_York", "America/St_Johns", "America/Sao_Paulo", "Europe/London", "Europe/Berlin", "Africa/Casablanca", "Asia/Kolkata", "Asia/Kathmandu",
	"Australia/Adelaide", "Australia/Lord_Howe", "Pacific/Kiritimati", "Pacific/Chatham",
}

// TestZones_S10_NineOClockForTwoYears_HoursHoldAndRemindersKeepTheWallTime: each day of two years in twelve zones, over every
// change of clocks: nine o'clock is nine o'clock, the working day is as long as the wall says, and what counts in days comes at the same
// wall time, what counts in hours that many hours before.
func TestZones_S10_NineOClockForTwoYears_HoursHoldAndRemindersKeepTheWallTime(t *testing.T) {
	t.Parallel()
	days, err := ParseLead("-2d")
	require.NoError(t, err)
	hours, err := ParseLead("-2h")
	require.NoError(t, err)
	changes := map[string]int{}
	for _, name := range twelveZones {
		zone, err := LoadZone(name)
		require.NoError(t, err, name)
		before := ""
		for day := MustLocalDate("2026-01-01"); day.Before(MustLocalDate("2028-01-01")); day = day.AddDays(1) {
			at, err := ParseInstant(day.String()+"T09:00", zone)
			require.NoError(t, err, "%s %s", name, day)
			require.Equal(t, day.String()+"T09:00:00", at.In(zone).Format("2006-01-02T15:04:05"), name)
			require.Equal(t, at.UTC(), WallTime{Hour: 9}.On(day, zone), name)
			require.Equal(t, 8*time.Hour, Resolve(day, 17*60, zone).Sub(at), "hours of work on %s in %s", day, name)
			require.Equal(t, day.AddDays(-2).String()+" 09:00", days.Instant(at, zone).In(zone).Format("2006-01-02 15:04"), name)
			require.Equal(t, 2*time.Hour, at.Sub(hours.Instant(at, zone)), name)
			if shown := at.In(zone).Format("-07:00"); before != "" && shown != before {
				changes[name]++
			}
			before = at.In(zone).Format("-07:00")
		}
	}
	require.Equal(t, 4, changes["America/New_York"], changes)
	require.Equal(t, 4, changes["Australia/Lord_Howe"], changes)
	require.Equal(t, 4, changes["Pacific/Chatham"], changes)
	require.GreaterOrEqual(t, len(changes), 7, changes)
}

func TestZoneFingerprint_TellsRulesApartAndNothingElse(t *testing.T) {
	t.Parallel()
	seen := map[string]string{}
	for _, name := range twelveZones {
		zone, err := LoadZone(name)
		require.NoError(t, err)
		print := ZoneFingerprint(zone)
		require.Len(t, print, 32)
		require.Equal(t, print, ZoneFingerprint(zone), "the same rules, the same name")
		require.Empty(t, seen[print], "%s and %s", name, seen[print])
		seen[print] = name
	}
	helsinki, err := LoadZone("Europe/Helsinki")
	require.NoError(t, err)
	kyiv, err := LoadZone("Europe/Kyiv")
	require.NoError(t, err)
	require.Equal(t, ZoneFingerprint(helsinki), ZoneFingerprint(kyiv), "rules, not names")
}

func TestKeepWallTime_MovesOnlyWhatShowsAnotherTime(t *testing.T) {
	t.Parallel()
	zone, err := LoadZone("America/New_York")
	require.NoError(t, err)
	at := func(text string) time.Time {
		parsed, err := time.Parse(time.RFC3339Nano, text)
		require.NoError(t, err)
		return parsed.UTC()
	}
	for name, c := range map[string]struct{ wall, was, want string }{
		"rules as before":                     {"2031-07-01T09:00", "2031-07-01T13:00:00Z", "2031-07-01T13:00:00Z"},
		"computed without summer time":        {"2031-07-01T09:00", "2031-07-01T14:00:00Z", "2031-07-01T13:00:00Z"},
		"seconds of an override are kept":     {"2031-07-01T09:00", "2031-07-01T14:00:07.5Z", "2031-07-01T13:00:07.5Z"},
		"second pass of a repeated hour":      {"2031-11-02T01:30", "2031-11-02T06:30:00Z", "2031-11-02T06:30:00Z"},
		"skipped by now, forward by the gap":  {"2031-03-09T02:30", "2031-03-09T06:30:00Z", "2031-03-09T07:30:00Z"},
		"skipped, and computed so before too": {"2031-03-09T02:30", "2031-03-09T07:30:00Z", "2031-03-09T07:30:00Z"},
	} {
		got, err := KeepWallTime(c.wall, at(c.was), zone)
		require.NoError(t, err, name)
		require.Equal(t, at(c.want), got.UTC(), name)
	}
	_, err = KeepWallTime("nine o'clock", at("2031-03-09T07:30:00Z"), zone)
	require.Error(t, err)
}
