package policy

import (
	"fmt"
	"regexp"
	"time"
)

// Lead says when something happens relative to an anchor, such as a visit's start: Days before it (the wall time is kept, or set
// to At) or Minutes of elapsed time before it. Negative numbers mean after. Only one of Days and Minutes is set; whole
// multiples of 24 hours in Minutes count as days, so "24 hours before" is the same wall time on the day before.
type Lead struct {
	Days    int
	Minutes int
	At      *WallTime // with Days only, 0 included: that wall time on the day
}

// maxLeadDays bounds a lead either way.
const maxLeadDays = 2 * 366

var leadForm = regexp.MustCompile(`^([+-]?)(\d{1,7})([dhm])(?:@(\d{2}:\d{2}))?$`)

// ParseLead reads -1d, -2h, -90m (before), +3d (after), -1d@18:00 (at that wall time), 0d@08:00 (the same day) or 0m (at the anchor).
func ParseLead(s string) (Lead, error) {
	m := leadForm.FindStringSubmatch(s)
	if m == nil {
		return Lead{}, errLead()
	}
	n, _ := digits(m[2])
	if (m[1] == "") != (n == 0) {
		return Lead{}, errLead()
	}
	if m[1] == "+" {
		n = -n
	}
	var l Lead
	switch m[3] {
	case "d":
		l.Days = n
	case "h":
		l.Minutes = n * 60
	case "m":
		l.Minutes = n
	}
	if m[4] != "" {
		at, err := ParseWallTime(m[4])
		if err != nil {
			return Lead{}, err
		}
		l.At = &at
	}
	if err := l.Validate(); err != nil {
		return Lead{}, err
	}
	return l.plain(), nil
}

// MustLead is ParseLead for constants in tests, seeds and default cadences.
func MustLead(s string) Lead {
	l, err := ParseLead(s)
	if err != nil {
		panic(err)
	}
	return l
}

func errLead() *Error {
	return NewError(Invalid, "invalid_lead", "Write the lead as -1d, -2h or -90m before, +3d after, or -1d@18:00 for a fixed time on that day.")
}

// Validate refuses, as Invalid, days and minutes together, a wall time without days, and more than two years.
func (l Lead) Validate() error {
	switch p := l.plain(); {
	case p.Minutes != 0 && (p.Days != 0 || p.At != nil):
		return errLead()
	case p.At != nil && !p.At.Valid():
		return errLead()
	case max(p.Days, -p.Days) > maxLeadDays || max(p.Minutes, -p.Minutes) > maxLeadDays*minutesPerDay:
		return NewError(Invalid, "lead_too_long", "The lead must be no longer than two years.")
	}
	return nil
}

// Instant is when the lead falls for an anchor, in UTC. Days are counted on the zone's calendar and keep the anchor's wall time to
// the second, resolved as rules are: skipped forward, repeated to the first pass.
func (l Lead) Instant(anchor time.Time, zone *time.Location) time.Time {
	l = l.plain()
	if l.Days == 0 && l.At == nil {
		return anchor.Add(-time.Duration(l.Minutes) * time.Minute).UTC()
	}
	local := anchor.In(zone)
	day := dateOf(local).AddDays(-l.Days)
	if l.At != nil {
		return l.At.On(day, zone)
	}
	h, m, s := local.Clock()
	return resolveWall(day.dayNumber()*secondsPerDay+int64(h*3600+m*60+s), zone).Add(time.Duration(local.Nanosecond()))
}

// Before tells whether the lead points to before its anchor. A wall time on the anchor's own day counts as not before: it may fall on
// either side.
func (l Lead) Before() bool { return l.Days > 0 || l.Minutes > 0 }

// String gives the text form; it reads back as the same lead. Whole hours show as hours.
func (l Lead) String() string {
	n, unit := l.count()
	s := fmt.Sprintf("%+d%s", -n, unit)
	if n == 0 {
		s = "0" + unit
	}
	if l.At != nil {
		s += "@" + l.At.String()
	}
	return s
}

// Words is the lead for people, as in "Reminder · 2 h before": that much before or after what the rule hangs on.
func (l Lead) Words() string {
	n, unit := l.count()
	s := "the same day"
	switch {
	case n > 0:
		s = fmt.Sprintf("%d %s before", n, unit)
	case n < 0:
		s = fmt.Sprintf("%d %s after", -n, unit)
	case unit == "m":
		s = "at once"
	}
	if l.At != nil {
		s += ", " + l.At.String()
	}
	return s
}

// count is the lead in its largest whole unit: d, h or m.
func (l Lead) count() (n int, unit string) {
	l = l.plain()
	switch {
	case l.Days != 0 || l.At != nil:
		return l.Days, "d"
	case l.Minutes != 0 && l.Minutes%60 == 0:
		return l.Minutes / 60, "h"
	}
	return l.Minutes, "m"
}

// MarshalText and UnmarshalText carry the text form through JSON.
func (l Lead) MarshalText() ([]byte, error) { return []byte(l.String()), nil }

func (l *Lead) UnmarshalText(b []byte) error {
	parsed, err := ParseLead(string(b))
	if err != nil {
		return err
	}
	*l = parsed
	return nil
}

// plain turns whole multiples of 24 hours into days.
func (l Lead) plain() Lead {
	if l.Minutes != 0 && l.Minutes%minutesPerDay == 0 && l.Days == 0 {
		l.Days, l.Minutes = l.Minutes/minutesPerDay, 0
	}
	return l
}

// BusinessCutoff is the instant at which a business day closes its books (invoices are issued, unsent drafts flagged), in UTC.
func BusinessCutoff(day LocalDate, at WallTime, zone *time.Location) time.Time {
	return at.On(day, zone)
}
