package policy

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestQuietHours_DefaultWindow(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ at, zone, want string }{
		{"2026-05-04T09:00:00-04:00", "America/New_York", "2026-05-04T09:00:00-04:00"},
		{"2026-05-04T19:59:59.9-04:00", "America/New_York", "2026-05-04T19:59:59.9-04:00"},
		{"2026-05-04T20:00:00-04:00", "America/New_York", "2026-05-05T09:00:00-04:00"},
		{"2026-05-04T08:59:59.5-04:00", "America/New_York", "2026-05-04T09:00:00-04:00"},
		{"2026-05-04T03:12:45-04:00", "America/New_York", "2026-05-04T09:00:00-04:00"},
		{"2026-03-07T23:00:00-05:00", "America/New_York", "2026-03-08T09:00:00-04:00"}, // the short night
		{"2026-10-31T23:00:00-04:00", "America/New_York", "2026-11-01T09:00:00-05:00"}, // the long night
		{"2026-07-01T02:00:00Z", "Asia/Kathmandu", "2026-07-01T03:15:00Z"},
		{"2011-12-29T21:00:00-10:00", "Pacific/Apia", "2011-12-31T09:00:00+14:00"}, // over the day that does not exist
	} {
		z := zone(t, c.zone)
		at, want := instant(t, c.at), instant(t, c.want)
		require.Equal(t, want, DefaultQuietHours.NextAllowed(at, z), c.at)
		require.Equal(t, !at.Equal(want), DefaultQuietHours.Quiet(at, z), c.at)
	}
}

func TestQuietHours_TheWallDecidesInNightsWhenClocksChange(t *testing.T) {
	t.Parallel()
	ny := zone(t, "America/New_York")
	endsInTheGap := QuietHours{Start: WallTime{20, 0}, End: WallTime{2, 30}}
	require.Equal(t, instant(t, "2026-03-08T03:00:00-04:00"), endsInTheGap.NextAllowed(instant(t, "2026-03-08T01:00:00-05:00"), ny))

	endsInTheRepeat := QuietHours{Start: WallTime{20, 0}, End: WallTime{1, 30}}
	require.Equal(t, instant(t, "2026-11-01T01:30:00-04:00"), endsInTheRepeat.NextAllowed(instant(t, "2026-11-01T00:00:00-04:00"), ny))
	require.True(t, endsInTheRepeat.Quiet(instant(t, "2026-11-01T01:10:00-05:00"), ny), "clocks fall back into quiet hours")
	require.Equal(t, instant(t, "2026-11-01T01:30:00-05:00"), endsInTheRepeat.NextAllowed(instant(t, "2026-11-01T01:10:00-05:00"), ny))

	startsInTheGap := QuietHours{Start: WallTime{2, 30}, End: WallTime{9, 0}}
	require.Equal(t, instant(t, "2026-03-08T09:00:00-04:00"), startsInTheGap.NextAllowed(instant(t, "2026-03-08T03:00:00-04:00"), ny))

	overTheWholeGap := QuietHours{Start: WallTime{2, 0}, End: WallTime{3, 0}}
	require.False(t, overTheWholeGap.Quiet(instant(t, "2026-03-08T01:59:59-05:00"), ny))
	require.False(t, overTheWholeGap.Quiet(instant(t, "2026-03-08T03:00:00-04:00"), ny))

	byDay := QuietHours{Start: WallTime{9, 0}, End: WallTime{17, 0}}
	require.Equal(t, instant(t, "2026-03-08T17:00:00-04:00"), byDay.NextAllowed(instant(t, "2026-03-08T09:00:00-04:00"), ny))
	require.False(t, QuietHours{}.Quiet(instant(t, "2026-03-08T00:00:00-05:00"), ny), "equal ends: nothing is quiet")
}

func TestQuietHours_UnknownZoneNeedsAllLikelyZonesToAgree(t *testing.T) {
	t.Parallel()
	ny, la, tokyo := zone(t, "America/New_York"), zone(t, "America/Los_Angeles"), zone(t, "Asia/Tokyo")
	at := instant(t, "2026-05-04T09:30:00-04:00")
	require.False(t, DefaultQuietHours.Quiet(at, ny))
	require.True(t, DefaultQuietHours.Quiet(at, ny, la))
	require.True(t, DefaultQuietHours.Quiet(at, la, ny))
	require.Equal(t, instant(t, "2026-05-04T09:00:00-07:00"), DefaultQuietHours.NextAllowed(at, ny, la))
	require.Equal(t, instant(t, "2026-05-05T12:00:00-04:00"), DefaultQuietHours.NextAllowed(instant(t, "2026-05-04T20:00:00-04:00"), ny, la))

	require.False(t, DefaultQuietHours.Quiet(at, ny, tokyo), "windows that never meet: the first zone decides")
	require.True(t, DefaultQuietHours.Quiet(at, tokyo, ny))
	require.Equal(t, instant(t, "2026-05-05T09:00:00-04:00"), DefaultQuietHours.NextAllowed(instant(t, "2026-05-04T22:00:00-04:00"), ny, tokyo))

	require.Equal(t, instant(t, "2026-05-04T09:00:00Z"), DefaultQuietHours.NextAllowed(instant(t, "2026-05-04T03:00:00Z")), "no zone is UTC")
}

// Tokyo is 13 hours ahead of New York in summer and 14 in winter, so windows of ten and a half hours meet for half an hour in winter
// and never in summer. Whatever is answered in the week of the change must hold when asked again.
func TestQuietHours_WindowsThatMeetOnlyAfterTheClocksChange(t *testing.T) {
	t.Parallel()
	ny, tokyo := zone(t, "America/New_York"), zone(t, "Asia/Tokyo")
	q := QuietHours{Start: WallTime{18, 30}, End: WallTime{8, 0}}
	for at := instant(t, "2026-10-26T00:00:00Z"); at.Before(instant(t, "2026-11-05T00:00:00Z")); at = at.Add(7 * time.Minute) {
		next := q.NextAllowed(at, ny, tokyo)
		require.False(t, q.Quiet(next, ny, tokyo), "%s → %s", at, next)
		require.Equal(t, next, q.NextAllowed(next, ny, tokyo))
	}
	require.Equal(t, instant(t, "2026-10-27T12:00:00Z"), q.NextAllowed(instant(t, "2026-10-27T00:00:00Z"), ny, tokyo), "summer: New York alone")
	require.Equal(t, instant(t, "2026-11-01T23:00:00Z"), q.NextAllowed(instant(t, "2026-10-30T22:45:00Z"), ny, tokyo), "winter, seen from summer")
	require.Equal(t, instant(t, "2026-11-03T23:00:00Z"), q.NextAllowed(instant(t, "2026-11-03T00:00:00Z"), ny, tokyo), "winter: both")
}

func TestQuietHours_NextAllowedIsTheEarliestMinute(t *testing.T) {
	t.Parallel()
	near := map[string][]time.Time{}
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.SampledFrom(listedZones).Draw(t, "zone")
		zones := []*time.Location{zone(t, name)}
		if _, ok := near[name]; !ok {
			near[name] = bruteTransitions(zones[0])
		}
		at := time.Unix(rapid.Int64Range(946684800, 2240611200).Draw(t, "at"), 0).UTC()
		if len(near[name]) > 0 && rapid.Bool().Draw(t, "near a transition") {
			at = rapid.SampledFrom(near[name]).Draw(t, "transition").Add(time.Duration(rapid.IntRange(-1500, 600).Draw(t, "minutes")) * time.Minute).UTC()
		}
		if rapid.Bool().Draw(t, "unknown zone") {
			zones = append(zones, zone(t, rapid.SampledFrom(listedZones).Draw(t, "other zone")))
		}
		q := QuietHours{Start: WallTimeAt(rapid.IntRange(0, 1439).Draw(t, "start")), End: WallTimeAt(rapid.IntRange(0, 1439).Draw(t, "end"))}
		got := q.NextAllowed(at, zones...)
		require.False(t, q.Quiet(got, zones...), "never quiet")
		require.False(t, got.Before(at), "never earlier")
		for m := at; m.Before(got); m = m.Truncate(time.Minute).Add(time.Minute) {
			require.True(t, q.Quiet(m, zones...), "%s would have done, not %s", m, got)
		}
		for _, m := range []time.Time{at, got} { // one zone's rule, read off the wall
			w := m.In(zones[0])
			now, start, end := WallTime{w.Hour(), w.Minute()}.Minutes(), q.Start.Minutes(), q.End.Minutes()
			inside := (now-start+1440)%1440 < (end-start+1440)%1440
			require.Equal(t, inside, q.Quiet(m, zones[0]))
		}
	})
}

func TestQuietHours_Validate(t *testing.T) {
	t.Parallel()
	require.NoError(t, DefaultQuietHours.Validate())
	require.NoError(t, QuietHours{Start: WallTime{12, 0}, End: WallTime{11, 0}}.Validate())
	require.Equal(t, "send_window_too_short", CodeOf(QuietHours{Start: WallTime{12, 0}, End: WallTime{11, 1}}.Validate()))
	require.Equal(t, "send_window_too_short", CodeOf(QuietHours{Start: WallTime{12, 0}, End: WallTime{12, 0}}.Validate()))
	require.Equal(t, "invalid_wall_time", CodeOf(QuietHours{Start: WallTime{24, 0}, End: WallTime{9, 0}}.Validate()))
	require.Equal(t, "invalid_wall_time", CodeOf(QuietHours{Start: WallTime{20, 0}, End: WallTime{9, 60}}.Validate()))
	b, err := json.Marshal(DefaultQuietHours)
	require.NoError(t, err)
	require.JSONEq(t, `{"start":"20:00","end":"09:00"}`, string(b))
}
