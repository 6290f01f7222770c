package policy

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestPeriod_CalendarPartFollowsTheWall_TheRestElapses(t *testing.T) {
	t.Parallel()
	newYork := zone(t, "America/New_York")
	for _, c := range []struct{ period, from, to string }{
		{"PT90S", "2026-03-07T17:00:00Z", "2026-03-07T17:01:30Z"},
		{"P1D", "2026-03-07T17:00:00Z", "2026-03-08T16:00:00Z"},   // noon to noon over the short night
		{"PT24H", "2026-03-07T17:00:00Z", "2026-03-08T17:00:00Z"}, // 24 hours end at one
		{"P1DT1H", "2026-03-07T17:00:00Z", "2026-03-08T17:00:00Z"},
		{"P6M", "2024-08-31T12:00:30Z", "2025-02-28T13:00:30Z"},
		{"P1Y2M1W3DT4H5M6S", "2026-01-01T05:00:00Z", "2027-03-11T09:05:06Z"},
	} {
		p, err := ParsePeriod(c.period)
		require.NoError(t, err, c.period)
		require.Equal(t, c.to, p.After(instant(t, c.from), newYork).Format(time.RFC3339), c.period)
	}
}

func TestParsePeriod_RefusesWhatIsNone(t *testing.T) {
	t.Parallel()
	for text, code := range map[string]string{
		"": "invalid_period", "P": "invalid_period", "PT": "invalid_period", "P1DT": "invalid_period", "6M": "invalid_period", "-P1D": "invalid_period",
		"P1.5D": "invalid_period", "PT1D": "invalid_period", "P0D": "period_not_positive", "PT0S": "period_not_positive", "P51Y": "interval_too_long",
	} {
		_, err := ParsePeriod(text)
		require.Equal(t, Invalid, KindOf(err), text)
		require.Equal(t, code, CodeOf(err), text)
	}
}
