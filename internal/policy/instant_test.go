package policy

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestParseInstant_ReadsTwoForms(t *testing.T) {
	t.Parallel()
	ny := zone(t, "America/New_York")
	for _, c := range []struct{ in, want string }{
		{"2026-03-09T14:00:00Z", "2026-03-09T14:00:00Z"},
		{"2026-03-09T14:00:00-04:00", "2026-03-09T18:00:00Z"},
		{"2026-03-09T14:00:00+05:45", "2026-03-09T08:15:00Z"},
		{"2026-03-09T14:00:00.5Z", "2026-03-09T14:00:00.5Z"},
		{"2026-03-09T14:00:00.123Z", "2026-03-09T14:00:00.123Z"},
		{"2026-11-01T01:30:00-05:00", "2026-11-01T06:30:00Z"},
		{"2026-03-09T14:00", "2026-03-09T18:00:00Z"},
		{"2000-01-01T00:00", "2000-01-01T05:00:00Z"},
		{"2100-12-31T23:59", "2101-01-01T04:59:00Z"},
	} {
		got, err := ParseInstant(c.in, ny)
		require.NoError(t, err, c.in)
		require.Equal(t, instant(t, c.want), got, c.in)
		require.Equal(t, time.UTC, got.Location())
	}
}

func TestParseInstant_BADT_RefusesEverythingElse(t *testing.T) {
	t.Parallel()
	for _, bad := range []string{
		"", "now", "2026-03-09", "14:00", "2026-03-09 14:00:00Z", "2026-03-09t14:00:00Z", "2026-03-09T14:00:00z", "2026-03-09T14:00Z",
		"2026-03-09T14:00:00", "2026-03-09T14:00:00.Z", "2026-03-09T14:00:00.1234Z", "2026-03-09T14:00:00,5Z", "2026-03-09T14:00:60Z",
		"2026-03-09T24:00:00Z", "2026-03-09T24:00", "2026-03-09T14:60", "2026-02-30T14:00", "2026-02-30T14:00:00Z", "2026-13-01T00:00:00Z",
		"1999-12-31T23:59:59Z", "1999-12-31T23:59", "2101-01-01T00:00:00Z", "2101-01-01T00:00", "02026-03-09T14:00:00Z", "+2026-03-09T14:00:00Z",
		"2026-03-09T14:00:00+24:00", "2026-03-09T14:00:00+05:60", "2026-03-09T14:00:00+0500", "2026-03-09T14:00:00+05", "2026-03-09T14:00:00 -04:00",
		"2026-03-09T14:00:00Z ", " 2026-03-09T14:00:00Z", "2026-03-09T14:00:00Z\n", "2026-03-09T14:00\n", "1773064800", "2026-W11-1T14:00:00Z", "2026-03-09T１4:00",
	} {
		_, err := ParseInstant(bad, time.UTC)
		require.Equal(t, "invalid_time", CodeOf(err), "%q", bad)
		require.Equal(t, Invalid, KindOf(err), "%q", bad)
	}
}

func TestParseInstant_BADT3_BADT4_WallTimesThatAreNotOneInstant(t *testing.T) {
	t.Parallel()
	ny := zone(t, "America/New_York")
	_, err := ParseInstant("2026-03-08T02:30", ny)
	require.Equal(t, "skipped_time", CodeOf(err))
	_, err = ParseInstant("2026-11-01T01:30", ny)
	require.Equal(t, "ambiguous_time", CodeOf(err))
}

func TestLoadZone(t *testing.T) {
	t.Parallel()
	for _, good := range append([]string{
		"UTC", "America/Argentina/Buenos_Aires", "America/Port-au-Prince", "Africa/Dar_es_Salaam", "Antarctica/DumontDUrville", "Europe/Isle_of_Man",
		"America/North_Dakota/New_Salem", "America/Blanc-Sablon",
	}, listedZones...) {
		z, err := LoadZone(good)
		require.NoError(t, err, good)
		require.Equal(t, good, z.String())
	}
	for _, bad := range []string{
		"", "Local", "local", "utc", "GMT", "EST", "EST5EDT", "Etc/GMT+3", "Etc/UTC", "+02:00", "UTC+2", "US/Eastern", "Japan", "Europe", "Europe/",
		"europe/london", "Europe/london", "EUROPE/LONDON", "Europe/London ", " Europe/London", "Europe/London\x00", "Europe/London\n", "/Europe/London",
		"Europe//London", "../Europe/London", "Europe/../Europe/London", "Europe/./London", "posix/Europe/London", "right/Europe/London",
		"Europe\\London", "America/Argentina", "Europe/Atlantis", "zone.tab", "Factory", "Europe/London/City/Bank",
	} {
		_, err := LoadZone(bad)
		require.Equal(t, "invalid_zone", CodeOf(err), "%q", bad)
	}
}
