package policy

import (
	"regexp"
	"time"
)

// Period is a distance as ISO 8601 writes it: calendar units, which follow the wall, then hours, minutes and seconds, which
// are elapsed time.
type Period struct {
	Interval
	Elapsed time.Duration
}

var periodForm = regexp.MustCompile(`^P(?:(\d{1,5})Y)?(?:(\d{1,5})M)?(?:(\d{1,5})W)?(?:(\d{1,5})D)?(?:T(?:(\d{1,6})H)?(?:(\d{1,7})M)?(?:(\d{1,9})S)?)?$`)

// ParsePeriod reads a period that is longer than nothing, such as P6M, P1DT2H or PT90S. Its calendar part is at most 50 years.
func ParsePeriod(s string) (Period, error) {
	m := periodForm.FindStringSubmatch(s)
	if m == nil || s[len(s)-1] == 'P' || s[len(s)-1] == 'T' {
		return Period{}, NewError(Invalid, "invalid_period", "Write the period as ISO 8601, such as P6M, P1DT2H or PT90S.")
	}
	var n [7]int
	for i := range n {
		n[i], _ = digits(m[i+1])
	}
	p := Period{
		Interval: Interval{Years: n[0], Months: n[1], Weeks: n[2], Days: n[3]},
		Elapsed:  time.Duration(n[4])*time.Hour + time.Duration(n[5])*time.Minute + time.Duration(n[6])*time.Second,
	}
	if p == (Period{}) {
		return p, NewError(Invalid, "period_not_positive", "The period must be longer than nothing.")
	}
	if p.Interval != (Interval{}) {
		return p, p.Validate()
	}
	return p, nil
}

// After is the instant a period after t: the same wall time some days on, then the elapsed part.
func (p Period) After(t time.Time, zone *time.Location) time.Time {
	if p.Interval != (Interval{}) {
		wall := t.In(zone)
		day := Resolve(p.AddTo(LocalDay(t, zone)), wall.Hour()*60+wall.Minute(), zone)
		t = day.Add(time.Duration(wall.Second())*time.Second + time.Duration(wall.Nanosecond()))
	}
	return t.Add(p.Elapsed).UTC()
}
