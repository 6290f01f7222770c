package policy

import (
	"fmt"
	"time"
)

// QuietHours is the part of each local day in which no message is started: from Start up to, not including, End; over midnight
// when End is the earlier. Messages may go from End to Start. With Start equal to End no hour is quiet.
type QuietHours struct {
	Start WallTime `json:"start"`
	End   WallTime `json:"end"`
}

// DefaultQuietHours let messages go from 09:00 to 20:00, an hour inside what United States telephone law allows (TCPA: 8:00–21:00).
var DefaultQuietHours = QuietHours{Start: WallTime{20, 0}, End: WallTime{9, 0}}

// minSendWindow is the shortest part of a day that must stay open for messages.
const minSendWindow = 60

// Validate refuses, as Invalid, times that do not exist, equal ends and a send window of less than an hour.
func (q QuietHours) Validate() error {
	if !q.Start.Valid() || !q.End.Valid() {
		return NewError(Invalid, "invalid_wall_time", "Write the time of day as HH:MM, 00:00 to 23:59.")
	}
	if window := (q.Start.Minutes() - q.End.Minutes() + minutesPerDay) % minutesPerDay; window < minSendWindow {
		return NewError(Invalid, "send_window_too_short", fmt.Sprintf("Quiet hours must leave at least %d minutes of each day for messages.", minSendWindow))
	}
	return nil
}

// agreeWithin is how far ahead the send windows of several zones must meet for all of them to bind.
const agreeWithin = 48 * time.Hour

// Quiet tells whether t is quiet for a client in these zones. A client of known zone has one; for one of unknown zone give the
// likely zones, the likeliest first: a message goes only when all of them allow it. Where zones lie so far apart that
// their send windows do not meet within two days, the first alone decides. No zone at all is read as UTC.
func (q QuietHours) Quiet(t time.Time, zones ...*time.Location) bool {
	zones = orUTC(zones)
	if at, ok := q.firstCommon(t, zones); ok {
		return !at.Equal(t)
	}
	return q.quietIn(t, zones[0])
}

// NextAllowed is the earliest instant from t on that is not Quiet, in UTC: t itself, or the second at which the clock on the wall
// leaves quiet hours, in nights with a change of clocks too.
func (q QuietHours) NextAllowed(t time.Time, zones ...*time.Location) time.Time {
	zones = orUTC(zones)
	if at, ok := q.firstCommon(t, zones); ok {
		return at.UTC()
	}
	likeliest := t
	if q.quietIn(t, zones[0]) {
		likeliest = q.endOfQuiet(t, zones[0])
	}
	if at, ok := q.firstCommon(likeliest, zones); ok {
		return at.UTC()
	}
	return likeliest.UTC()
}

// firstCommon is the earliest instant from t on that no zone calls quiet, if one comes within agreeWithin.
func (q QuietHours) firstCommon(t time.Time, zones []*time.Location) (time.Time, bool) {
	at := t
	for moved := true; moved; {
		moved = false
		for _, zone := range zones {
			if q.quietIn(at, zone) {
				at, moved = q.endOfQuiet(at, zone), true
			}
		}
		if at.Sub(t) > agreeWithin {
			return time.Time{}, false
		}
	}
	return at, true
}

// endOfQuiet is the first instant after t, which is quiet, that is not. It follows the wall from one change of clocks to the
// next, since a change may jump out of quiet hours, over their end, or back into them.
func (q QuietHours) endOfQuiet(t time.Time, zone *time.Location) time.Time {
	for {
		left := (int64(q.End.Minutes()*60) - secondOfDay(t, zone) + secondsPerDay) % secondsPerDay
		end := t.Unix() + left
		if changes := shifts(t.Unix(), end, zone); len(changes) > 0 {
			end = changes[0].at
		}
		t = time.Unix(end, 0)
		if !q.quietIn(t, zone) {
			return t
		}
	}
}

func (q QuietHours) quietIn(t time.Time, zone *time.Location) bool {
	start, end, now := int64(q.Start.Minutes()*60), int64(q.End.Minutes()*60), secondOfDay(t, zone)
	if start <= end {
		return start <= now && now < end
	}
	return now >= start || now < end
}

func secondOfDay(t time.Time, zone *time.Location) int64 {
	h, m, s := t.In(zone).Clock()
	return int64(h*3600 + m*60 + s)
}

func orUTC(zones []*time.Location) []*time.Location {
	if len(zones) == 0 {
		return []*time.Location{time.UTC}
	}
	return zones
}
