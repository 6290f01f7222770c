package policy

import (
	"fmt"
	"regexp"
	"strings"
	"time"
	_ "time/tzdata" // zones work on machines without a zone database
)

const (
	firstYear = 2000
	lastYear  = 2100
)

var (
	instantForm = regexp.MustCompile(`^(\d{4}-\d{2}-\d{2})T(\d{2}):(\d{2}):(\d{2})(\.\d{1,3})?(Z|[+-]([01]\d|2[0-3]):[0-5]\d)$`)
	wallForm    = regexp.MustCompile(`^(\d{4}-\d{2}-\d{2})T(\d{2}):(\d{2})$`)
	zoneForm    = regexp.MustCompile(`^[A-Z][A-Za-z]+(/[A-Z][A-Za-z]*([-_][A-Za-z]+)*){1,2}$`)
)

// ParseInstant reads an instant in one of two forms and gives it in UTC: RFC 3339 with its offset, to the millisecond at most, or
// YYYY-MM-DDTHH:MM, which is read in the zone (see ResolveInput). The years are 2000 to 2100; all else is Invalid.
func ParseInstant(s string, zone *time.Location) (time.Time, error) {
	if m := wallForm.FindStringSubmatch(s); m != nil {
		d, err := ParseLocalDate(m[1])
		if err != nil || d.Year < firstYear || d.Year > lastYear {
			return time.Time{}, errInstant()
		}
		h, _ := digits(m[2])
		minute, _ := digits(m[3])
		return ResolveInput(d, h, minute, 0, zone)
	}
	if !instantForm.MatchString(s) {
		return time.Time{}, errInstant()
	}
	t, err := time.Parse(time.RFC3339, s)
	if err != nil || t.Year() < firstYear || t.Year() > lastYear {
		return time.Time{}, errInstant()
	}
	return t.UTC(), nil
}

func errInstant() *Error {
	return NewError(Invalid, "invalid_time", fmt.Sprintf("Write the time as RFC 3339 with its offset, to the millisecond at most "+
		"(2026-03-09T14:00:00-04:00), or as YYYY-MM-DDTHH:MM on the location's clock, in the years %d to %d.", firstYear, lastYear))
}

// zoneAreas are the areas of the IANA database whose names say a place. Fixed offsets (Etc/GMT+3, EST5EDT) and old country
// names (US/Eastern) are left out: they do not follow a place's rules or have a newer name.
var zoneAreas = map[string]bool{
	"Africa": true, "America": true, "Antarctica": true, "Arctic": true, "Asia": true,
	"Atlantic": true, "Australia": true, "Europe": true, "Indian": true, "Pacific": true,
}

// LoadZone gives a zone by its IANA region name, written exactly (Europe/London), or UTC. Everything else is Invalid: offsets,
// abbreviations, "Local", an empty name, other casing, anything that looks like a path.
func LoadZone(name string) (*time.Location, error) {
	if name == "UTC" {
		return time.UTC, nil
	}
	area, _, _ := strings.Cut(name, "/")
	if len(name) <= 64 && zoneAreas[area] && zoneForm.MatchString(name) {
		if zone, err := time.LoadLocation(name); err == nil {
			return zone, nil
		}
	}
	return nil, NewError(Invalid, "invalid_zone", "Name the time zone as the IANA database does, such as America/New_York or Europe/London; casing counts.")
}
