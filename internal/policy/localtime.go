package policy

import (
	"fmt"
	"time"
)

const (
	secondsPerDay = 24 * 60 * 60
	minutesPerDay = 24 * 60

	// maxShift is more than any offset from UTC and any jump of a zone (Apia skipped a whole day), in seconds.
	maxShift = 26 * 60 * 60
)

// WallTime is a time of day as a clock on the wall shows it, to the minute, in no zone.
type WallTime struct {
	Hour, Minute int
}

// WallTimeAt is the wall time that many minutes after midnight; whole days wrap.
func WallTimeAt(minutesOfDay int) WallTime {
	m := (minutesOfDay%minutesPerDay + minutesPerDay) % minutesPerDay
	return WallTime{Hour: m / 60, Minute: m % 60}
}

// ParseWallTime reads "15:04", 00:00 to 23:59, and nothing else.
func ParseWallTime(s string) (WallTime, error) {
	if len(s) == 5 && s[2] == ':' {
		h, okH := digits(s[0:2])
		m, okM := digits(s[3:5])
		if w := (WallTime{Hour: h, Minute: m}); okH && okM && w.Valid() {
			return w, nil
		}
	}
	return WallTime{}, NewError(Invalid, "invalid_wall_time", "Write the time of day as HH:MM, 00:00 to 23:59.")
}

// MustWallTime is ParseWallTime for constants in tests and defaults.
func MustWallTime(s string) WallTime {
	w, err := ParseWallTime(s)
	if err != nil {
		panic(err)
	}
	return w
}

// Valid tells whether a 24-hour clock shows this time.
func (w WallTime) Valid() bool { return w.Hour >= 0 && w.Hour < 24 && w.Minute >= 0 && w.Minute < 60 }

// Minutes counts from midnight.
func (w WallTime) Minutes() int { return w.Hour*60 + w.Minute }

// On is the instant at which a rule means this wall time on that day; see Resolve.
func (w WallTime) On(d LocalDate, zone *time.Location) time.Time {
	return Resolve(d, w.Minutes(), zone)
}

func (w WallTime) String() string { return fmt.Sprintf("%02d:%02d", w.Hour, w.Minute) }

// MarshalText and UnmarshalText carry "15:04" through JSON.
func (w WallTime) MarshalText() ([]byte, error) {
	if !w.Valid() {
		return nil, fmt.Errorf("no such time of day: %v", w)
	}
	return []byte(w.String()), nil
}

func (w *WallTime) UnmarshalText(b []byte) error {
	parsed, err := ParseWallTime(string(b))
	if err != nil {
		return err
	}
	*w = parsed
	return nil
}

// Resolve is the instant, in UTC, that a rule means by a wall time: a skipped time moves forward by the gap (RFC 5545: 02:30
// becomes 03:30), a repeated one means its first pass. minutesOfDay may be 1440 or more, or negative: it carries into
// the next or previous day before the zone is asked, so a shift until 30:00 ends at 06:00 on the wall.
func Resolve(d LocalDate, minutesOfDay int, zone *time.Location) time.Time {
	return resolveWall(d.dayNumber()*secondsPerDay+int64(minutesOfDay)*60, zone)
}

// ResolveInput is the one instant, in UTC, that a person means by a wall time. A skipped time is refused as skipped_time with
// the next valid instant in Facts["next_valid"], a repeated one as ambiguous_time with both in Facts["instants"], all
// in RFC 3339 with the zone's offset; a time no clock shows is refused as invalid_time.
func ResolveInput(d LocalDate, h, m, s int, zone *time.Location) (time.Time, error) {
	if !d.Valid() || !(WallTime{h, m}).Valid() || s < 0 || s > 59 {
		return time.Time{}, errInstant()
	}
	first, second, gap := readWall(d.dayNumber()*secondsPerDay+int64(h*3600+m*60+s), zone)
	shown := func(unix int64) string { return time.Unix(unix, 0).In(zone).Format(time.RFC3339) }
	switch {
	case gap != nil:
		err := NewError(Invalid, "skipped_time", fmt.Sprintf("Clocks in %s skip this time on that day; the next valid time is %s.", zone, shown(gap.at)))
		err.Facts = map[string]any{"next_valid": shown(gap.at)}
		return time.Time{}, err
	case second != first:
		err := NewError(Invalid, "ambiguous_time", fmt.Sprintf("Clocks in %s show this time twice on that day; say which with its offset: %s or %s.", zone, shown(first), shown(second)))
		err.Facts = map[string]any{"instants": []string{shown(first), shown(second)}}
		return time.Time{}, err
	}
	return time.Unix(first, 0).UTC(), nil
}

// LocalDay is the calendar day that t falls on in the zone.
func LocalDay(t time.Time, zone *time.Location) LocalDate { return dateOf(t.In(zone)) }

// StartOfDay is the day's first valid instant, in UTC: midnight, its first pass where it comes twice, the end of the gap where
// it is skipped. A day that does not exist starts where the next one does.
func StartOfDay(d LocalDate, zone *time.Location) time.Time {
	first, _, gap := readWall(d.dayNumber()*secondsPerDay, zone)
	if gap != nil {
		first = gap.at
	}
	return time.Unix(first, 0).UTC()
}

// DayBounds is the half-open span [start, end) of a day. The spans of following days touch without gap or overlap; a day
// that does not exist is empty. Where clocks fall back over midnight, the repeated hour belongs to the later day.
func DayBounds(d LocalDate, zone *time.Location) (start, end time.Time) {
	return StartOfDay(d, zone), StartOfDay(d.AddDays(1), zone)
}

// shift is a change of a zone's offset: before holds until at, after from at on. Seconds, at since 1970.
type shift struct {
	at            int64
	before, after int64
}

// resolveWall takes a wall time as seconds since 1970 on the wall and gives the instant a rule means by it.
func resolveWall(wall int64, zone *time.Location) time.Time {
	first, _, _ := readWall(wall, zone)
	return time.Unix(first, 0).UTC()
}

// readWall gives every reading of a wall time. Once: first and second are equal. Repeated: the first and the last pass.
// Skipped: gap is the shift that skipped it, first and second are the wall time read with the offset before the gap.
func readWall(wall int64, zone *time.Location) (first, second int64, gap *shift) {
	lo, hi := wall-maxShift, wall+maxShift
	changes := shifts(lo, hi, zone)
	from, offset, found := lo, offsetAt(lo, zone), false
	for i := range len(changes) + 1 {
		until := hi
		if i < len(changes) {
			until = changes[i].at
		}
		if t := wall - offset; from <= t && t < until {
			if !found {
				first, found = t, true
			}
			second = t
		}
		if i < len(changes) {
			from, offset = until, changes[i].after
		}
	}
	if found {
		return first, second, nil
	}
	for _, c := range changes {
		if c.at+c.before <= wall && wall < c.at+c.after {
			return wall - c.before, wall - c.before, &c
		}
	}
	panic(fmt.Sprintf("policy: zone %s shifts by more than %d s at wall second %d", zone, maxShift, wall))
}

// shifts lists the offset changes in (lo, hi]. ZoneBounds only says how far it is safe to leap: past the end of the zone's table
// it cuts periods at year ends, and on 31 December of leap years it names an end that has passed; there small steps are
// taken, shorter than any zone keeps an offset.
func shifts(lo, hi int64, zone *time.Location) []shift {
	const step = 15 * 60
	var found []shift
	offset := offsetAt(lo, zone)
	for t := lo; t < hi; {
		_, end := time.Unix(t, 0).In(zone).ZoneBounds()
		next := end.Unix()
		if end.IsZero() || next > hi {
			break
		}
		if next <= t {
			next = min(t+step, hi)
		}
		if after := offsetAt(next, zone); after != offset {
			found = append(found, shift{at: changeWithin(t, next, zone), before: offset, after: after})
			offset = after
		}
		t = next
	}
	return found
}

// changeWithin is the first second in (lo, hi] with an offset other than that at lo, given that there is exactly one change.
func changeWithin(lo, hi int64, zone *time.Location) int64 {
	offset := offsetAt(lo, zone)
	for hi-lo > 1 {
		if mid := lo + (hi-lo)/2; offsetAt(mid, zone) == offset {
			lo = mid
		} else {
			hi = mid
		}
	}
	return hi
}

func offsetAt(unix int64, zone *time.Location) int64 {
	_, offset := time.Unix(unix, 0).In(zone).Zone()
	return int64(offset)
}
