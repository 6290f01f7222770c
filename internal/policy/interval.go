package policy

import (
	"regexp"
	"strconv"
	"strings"
)

// Interval is a distance in calendar units, as a cadence says it: "6 months and a day". It has no length in hours.
type Interval struct {
	Years, Months, Weeks, Days int
}

// maxIntervalYears bounds an interval; beyond it a recall is a typing mistake.
const maxIntervalYears = 50

var intervalForm = regexp.MustCompile(`^P(?:(\d{1,5})Y)?(?:(\d{1,5})M)?(?:(\d{1,5})W)?(?:(\d{1,5})D)?$`)

// ParseInterval reads an ISO 8601 period of whole years, months, weeks and days, such as P6M1D or P2W, from a day to 50 years.
func ParseInterval(s string) (Interval, error) {
	m := intervalForm.FindStringSubmatch(s)
	if m == nil || s == "P" {
		return Interval{}, NewError(Invalid, "invalid_interval", "Write the interval as an ISO 8601 period of years, months, weeks and days, such as P6M or P1Y2M1D.")
	}
	var n [4]int
	for i := range n {
		n[i], _ = digits(m[i+1])
	}
	every := Interval{Years: n[0], Months: n[1], Weeks: n[2], Days: n[3]}
	if err := every.Validate(); err != nil {
		return Interval{}, err
	}
	return every, nil
}

// MustInterval is ParseInterval for constants in tests and seeds.
func MustInterval(s string) Interval {
	every, err := ParseInterval(s)
	if err != nil {
		panic(err)
	}
	return every
}

// Validate refuses, as Invalid, a negative part, an interval of nothing and one of more than 50 years.
func (i Interval) Validate() error {
	const maxDays = maxIntervalYears * 366
	switch {
	case i.Years < 0 || i.Months < 0 || i.Weeks < 0 || i.Days < 0 || i == Interval{}:
		return NewError(Invalid, "interval_not_positive", "The interval must be a day or more.")
	case i.Years > maxIntervalYears || i.Months > maxIntervalYears*12 || i.Weeks > maxDays/7 || i.Days > maxDays,
		(i.Years*12+i.Months)*31+i.Weeks*7+i.Days > maxIntervalYears*12*31:
		return NewError(Invalid, "interval_too_long", "The interval must be no longer than 50 years.")
	}
	return nil
}

// AddTo applies years, then months, both clamped to the month's end, then weeks and days: 31 Aug 2024 + P6M1D = 1 Mar 2025.
func (i Interval) AddTo(d LocalDate) LocalDate {
	return d.AddYears(i.Years).AddMonths(i.Months).AddDays(7*i.Weeks + i.Days)
}

// Nth is the n-th repeat after anchor. It counts from the anchor and not from the last result, so a clamped February does not
// pull the following months to the 28th.
func (i Interval) Nth(anchor LocalDate, n int) LocalDate {
	return Interval{Years: n * i.Years, Months: n * i.Months, Weeks: n * i.Weeks, Days: n * i.Days}.AddTo(anchor)
}

// String gives the ISO 8601 form, parts of zero left out; the empty interval is P0D.
func (i Interval) String() string {
	var b strings.Builder
	b.WriteByte('P')
	for _, part := range []struct {
		n    int
		unit byte
	}{{i.Years, 'Y'}, {i.Months, 'M'}, {i.Weeks, 'W'}, {i.Days, 'D'}} {
		if part.n != 0 {
			b.WriteString(strconv.Itoa(part.n))
			b.WriteByte(part.unit)
		}
	}
	if b.Len() == 1 {
		return "P0D"
	}
	return b.String()
}

// MarshalText and UnmarshalText carry the ISO 8601 form through JSON.
func (i Interval) MarshalText() ([]byte, error) { return []byte(i.String()), nil }

func (i *Interval) UnmarshalText(b []byte) error {
	parsed, err := ParseInterval(string(b))
	if err != nil {
		return err
	}
	*i = parsed
	return nil
}

// NextRecall returns the local day to invite a client back: interval after the last completed visit, never in the past,
// so a client imported with an old visit is invited today and not backdated. Month ends clamp (31 Aug + 6m = 28/29 Feb).
func NextRecall(last LocalDate, every Interval, today LocalDate) LocalDate {
	if due := every.AddTo(last); due.After(today) {
		return due
	}
	return today
}
