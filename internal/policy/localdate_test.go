package policy

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func anyDate() *rapid.Generator[LocalDate] {
	return rapid.Custom(func(t *rapid.T) LocalDate {
		return LocalDate{1970, 1, 1}.AddDays(rapid.IntRange(-40000, 60000).Draw(t, "day"))
	})
}

func TestParseLocalDate(t *testing.T) {
	t.Parallel()
	for _, good := range []string{"2026-03-08", "2024-02-29", "0001-01-01", "9999-12-31", "2000-02-29"} {
		d, err := ParseLocalDate(good)
		require.NoError(t, err)
		require.Equal(t, good, d.String())
	}
	for _, bad := range []string{
		"", "2026-3-08", "2026-03-8", "2025-02-29", "1900-02-29", "2026-13-01", "2026-00-10", "2026-04-31", "2026-01-00", "0000-01-01",
		"2026/03/08", "26-03-08", "+026-03-08", "2026-03-08 ", " 2026-03-08", "2026-03-08T00:00", "2026-0３-08", "-001-01-01", "2026-03- 8",
	} {
		_, err := ParseLocalDate(bad)
		require.Equal(t, "invalid_date", CodeOf(err), bad)
		require.Equal(t, Invalid, KindOf(err), bad)
	}
	require.Panics(t, func() { MustLocalDate("tomorrow") })
}

func TestLocalDate_MonthsClampToTheirEnd(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		from   string
		months int
		want   string
	}{
		{"2025-01-31", 1, "2025-02-28"},
		{"2024-01-31", 1, "2024-02-29"},
		{"2024-08-31", 6, "2025-02-28"},
		{"2025-03-31", -1, "2025-02-28"},
		{"2025-01-15", -1, "2024-12-15"},
		{"2025-12-31", 2, "2026-02-28"},
		{"2025-05-31", 1, "2025-06-30"},
		{"2025-05-30", -24, "2023-05-30"},
		{"2025-05-30", 0, "2025-05-30"},
	} {
		require.Equal(t, c.want, MustLocalDate(c.from).AddMonths(c.months).String(), "%s %+d", c.from, c.months)
	}
	require.Equal(t, LocalDate{0, 12, 15}, MustLocalDate("0001-01-15").AddMonths(-1))
	require.Equal(t, LocalDate{-1, 2, 28}, MustLocalDate("0001-02-28").AddYears(-2))
	require.Equal(t, "2025-02-28", MustLocalDate("2024-02-29").AddYears(1).String())
	require.Equal(t, "2028-02-29", MustLocalDate("2024-02-29").AddYears(4).String())
	require.Equal(t, "2023-02-28", MustLocalDate("2024-02-29").AddYears(-1).String())
}

func TestLocalDate_CalendarArithmetic(t *testing.T) {
	t.Parallel()
	d := MustLocalDate("2026-03-08")
	require.Equal(t, time.Sunday, d.Weekday())
	require.Equal(t, "2026-03-01", d.AddDays(-7).String())
	require.Equal(t, 365, d.DaysUntil(MustLocalDate("2027-03-08")))
	require.Equal(t, -1, d.DaysUntil(MustLocalDate("2026-03-07")))
	require.True(t, d.Before(MustLocalDate("2026-04-01")))
	require.True(t, d.After(MustLocalDate("2025-12-31")))
	require.Zero(t, d.Compare(d))
	require.True(t, LocalDate{}.IsZero())
	require.False(t, d.IsZero())
}

func TestLocalDate_Properties(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		d, n := anyDate().Draw(t, "d"), rapid.IntRange(-20000, 20000).Draw(t, "n")
		require.Equal(t, n, d.DaysUntil(d.AddDays(n)))
		require.Equal(t, d, d.AddDays(n).AddDays(-n))
		require.Equal(t, (int(d.Weekday())+n%7+7)%7, int(d.AddDays(n).Weekday()))
		require.Equal(t, n < 0, d.AddDays(n).Before(d))

		months := n % 1200
		moved := d.AddMonths(months)
		require.True(t, moved.Valid())
		require.Equal(t, months, (moved.Year-d.Year)*12+int(moved.Month-d.Month))
		require.LessOrEqual(t, moved.Day, d.Day)
		require.True(t, moved.Day == d.Day || moved.AddDays(1).Day == 1, "clamped only to a month's end")
	})
}

func TestLocalDate_TravelsThroughJSONAndDatabase(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		d := anyDate().Draw(t, "d")
		b, err := json.Marshal(struct{ On LocalDate }{d})
		require.NoError(t, err)
		var back struct{ On LocalDate }
		require.NoError(t, json.Unmarshal(b, &back))
		require.Equal(t, d, back.On)

		v, err := d.Value()
		require.NoError(t, err)
		for _, stored := range []any{v, []byte(v.(string)), d.utc(), d.utc().In(time.FixedZone("", 0))} {
			var scanned LocalDate
			require.NoError(t, scanned.Scan(stored))
			require.Equal(t, d, scanned)
		}
	})
	var d LocalDate
	require.Error(t, d.Scan(int64(1)))
	require.Error(t, d.Scan(nil))
	require.Error(t, d.Scan("2026-02-30"))
	require.Error(t, json.Unmarshal([]byte(`"soon"`), &d))
	require.Zero(t, d)
	_, err := LocalDate{}.MarshalText()
	require.Error(t, err, "no day has no text")
	_, err = LocalDate{2026, 2, 30}.Value()
	require.Error(t, err)
}
