package policy

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func anyInterval() *rapid.Generator[Interval] {
	return rapid.Custom(func(t *rapid.T) Interval {
		return Interval{
			Years:  rapid.IntRange(0, 10).Draw(t, "years"),
			Months: rapid.IntRange(0, 30).Draw(t, "months"),
			Weeks:  rapid.IntRange(0, 60).Draw(t, "weeks"),
			Days:   rapid.IntRange(0, 400).Draw(t, "days"),
		}
	}).Filter(func(i Interval) bool { return i != Interval{} })
}

func TestInterval_AddTo(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ from, every, want string }{
		{"2024-08-31", "P6M1D", "2025-03-01"},
		{"2024-08-31", "P6M", "2025-02-28"},
		{"2023-08-31", "P6M", "2024-02-29"},
		{"2025-01-31", "P1M", "2025-02-28"},
		{"2024-02-29", "P1Y", "2025-02-28"},
		{"2024-02-29", "P1Y1M", "2025-03-28"}, // the year clamps first, then the month
		{"2024-02-29", "P1Y1M1W1D", "2025-04-05"},
		{"2026-03-08", "P2W", "2026-03-22"},
		{"2026-12-31", "P1D", "2027-01-01"},
	} {
		require.Equal(t, c.want, MustInterval(c.every).AddTo(MustLocalDate(c.from)).String(), "%s + %s", c.from, c.every)
	}
}

func TestInterval_RepeatsCountFromTheAnchor(t *testing.T) {
	t.Parallel()
	anchor, monthly := MustLocalDate("2025-01-31"), MustInterval("P1M")
	for n, want := range []string{"2025-01-31", "2025-02-28", "2025-03-31", "2025-04-30", "2025-05-31"} {
		require.Equal(t, want, monthly.Nth(anchor, n).String())
	}
}

func TestParseInterval(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]Interval{
		"P6M1D":      {Months: 6, Days: 1},
		"P1Y":        {Years: 1},
		"P2W":        {Weeks: 2},
		"P1Y2M3W4D":  {Years: 1, Months: 2, Weeks: 3, Days: 4},
		"P50Y":       {Years: 50},
		"P600M":      {Months: 600},
		"P06M":       {Months: 6},
		"P0Y6M":      {Months: 6},
		"P18300D":    {Days: 18300},
		"P0M0D0001W": {}, // wrong order
	} {
		got, err := ParseInterval(in)
		if want == (Interval{}) {
			require.Equal(t, "invalid_interval", CodeOf(err), in)
			continue
		}
		require.NoError(t, err, in)
		require.Equal(t, want, got, in)
	}
	for in, code := range map[string]string{
		"": "invalid_interval", "P": "invalid_interval", "6M": "invalid_interval", "p6m": "invalid_interval", "P6": "invalid_interval",
		"P-6M": "invalid_interval", "-P6M": "invalid_interval", "P1.5M": "invalid_interval", "PT6H": "invalid_interval", "P1DT1H": "invalid_interval",
		"P6M ": "invalid_interval", "P6M\n": "invalid_interval", "P1000000000D": "invalid_interval", "P６M": "invalid_interval",
		"P0D": "interval_not_positive", "P0Y0M": "interval_not_positive",
		"P51Y": "interval_too_long", "P601M": "interval_too_long", "P50Y1M": "interval_too_long", "P99999D": "interval_too_long", "P9999W": "interval_too_long",
	} {
		_, err := ParseInterval(in)
		require.Equal(t, code, CodeOf(err), "%q", in)
		require.Equal(t, Invalid, KindOf(err), "%q", in)
	}
	require.Equal(t, "interval_not_positive", CodeOf(Interval{Months: 6, Days: -1}.Validate()))
	require.Equal(t, "interval_not_positive", CodeOf(Interval{Years: -1}.Validate()))
	require.Equal(t, "interval_too_long", CodeOf(Interval{Days: 1_000_000_000}.Validate()))
	require.Panics(t, func() { MustInterval("half a year") })
}

func TestInterval_TravelsAsText(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		i := anyInterval().Draw(t, "interval")
		require.NoError(t, i.Validate())
		b, err := json.Marshal(i)
		require.NoError(t, err)
		var back Interval
		require.NoError(t, json.Unmarshal(b, &back))
		require.Equal(t, i, back)
	})
	require.Equal(t, "P0D", Interval{}.String())
	var i Interval
	require.Error(t, json.Unmarshal([]byte(`"P0D"`), &i))
}

func TestNextRecall(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, last, every, today, want string }{
		{"ahead", "2026-01-10", "P6M", "2026-02-01", "2026-07-10"},
		{"due today", "2026-01-10", "P6M", "2026-07-10", "2026-07-10"},
		{"imported with an old visit", "2019-01-10", "P6M", "2026-07-10", "2026-07-10"},
		{"month ends clamp", "2025-08-31", "P6M", "2025-09-01", "2026-02-28"},
	} {
		got := NextRecall(MustLocalDate(c.last), MustInterval(c.every), MustLocalDate(c.today))
		require.Equal(t, c.want, got.String(), c.name)
	}
	rapid.Check(t, func(t *rapid.T) {
		last, every, today := anyDate().Draw(t, "last"), anyInterval().Draw(t, "every"), anyDate().Draw(t, "today")
		due := NextRecall(last, every, today)
		require.False(t, due.Before(today))
		require.True(t, due == today || due == every.AddTo(last))
		require.True(t, every.AddTo(last).After(last), "an interval always leads forward")
	})
}
