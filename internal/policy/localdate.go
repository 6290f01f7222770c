package policy

import (
	"cmp"
	"database/sql/driver"
	"fmt"
	"time"
)

// LocalDate is a day on a calendar, in no zone. The zero value is no day: it has no text and cannot be stored.
type LocalDate struct {
	Year  int
	Month time.Month
	Day   int
}

// ParseLocalDate reads "2006-01-02", a day that exists in the years 0001 to 9999, and nothing else.
func ParseLocalDate(s string) (LocalDate, error) {
	if len(s) == 10 && s[4] == '-' && s[7] == '-' {
		y, okY := digits(s[0:4])
		m, okM := digits(s[5:7])
		d, okD := digits(s[8:10])
		date := LocalDate{Year: y, Month: time.Month(m), Day: d}
		if okY && okM && okD && date.Valid() {
			return date, nil
		}
	}
	return LocalDate{}, NewError(Invalid, "invalid_date", "Write the date as YYYY-MM-DD, naming a day that exists.")
}

// MustLocalDate is ParseLocalDate for constants in tests and seeds.
func MustLocalDate(s string) LocalDate {
	d, err := ParseLocalDate(s)
	if err != nil {
		panic(err)
	}
	return d
}

// IsZero tells a date that was never set.
func (d LocalDate) IsZero() bool { return d == LocalDate{} }

// Valid tells whether the calendar has this day, in the years 0001 to 9999.
func (d LocalDate) Valid() bool {
	return d.Year >= 1 && d.Year <= 9999 && d.Month >= time.January && d.Month <= time.December &&
		d.Day >= 1 && d.Day <= daysIn(d.Year, d.Month)
}

func (d LocalDate) String() string { return fmt.Sprintf("%04d-%02d-%02d", d.Year, int(d.Month), d.Day) }

// AddDays moves by whole calendar days; negative goes back.
func (d LocalDate) AddDays(n int) LocalDate { return dateOfDay(d.dayNumber() + int64(n)) }

// AddMonths moves by calendar months and clamps to the month's end: 31 Jan + 1 month is 28 or 29 Feb, never March.
func (d LocalDate) AddMonths(n int) LocalDate {
	months := d.Year*12 + int(d.Month) - 1 + n
	year, month := months/12, months%12
	if month < 0 {
		year, month = year-1, month+12
	}
	m := time.Month(month + 1)
	return LocalDate{Year: year, Month: m, Day: min(d.Day, daysIn(year, m))}
}

// AddYears moves by calendar years; 29 Feb becomes 28 Feb in years without it.
func (d LocalDate) AddYears(n int) LocalDate { return d.AddMonths(12 * n) }

// Weekday is the day of the week.
func (d LocalDate) Weekday() time.Weekday { return d.utc().Weekday() }

// DaysUntil is the number of days from d to other, negative when other is earlier.
func (d LocalDate) DaysUntil(other LocalDate) int { return int(other.dayNumber() - d.dayNumber()) }

// Compare is -1 when d is earlier than other, 0 when equal, 1 when later.
func (d LocalDate) Compare(other LocalDate) int {
	return cmp.Or(cmp.Compare(d.Year, other.Year), cmp.Compare(d.Month, other.Month), cmp.Compare(d.Day, other.Day))
}

func (d LocalDate) Before(other LocalDate) bool { return d.Compare(other) < 0 }
func (d LocalDate) After(other LocalDate) bool  { return d.Compare(other) > 0 }

// MarshalText and UnmarshalText carry "2006-01-02" through JSON. A day that does not exist has no text.
func (d LocalDate) MarshalText() ([]byte, error) {
	if !d.Valid() {
		return nil, fmt.Errorf("no such day: %v", d)
	}
	return []byte(d.String()), nil
}

func (d *LocalDate) UnmarshalText(b []byte) error {
	parsed, err := ParseLocalDate(string(b))
	if err != nil {
		return err
	}
	*d = parsed
	return nil
}

// Value and Scan let database drivers carry a date column. A nullable column is a *LocalDate.
func (d LocalDate) Value() (driver.Value, error) {
	if !d.Valid() {
		return nil, fmt.Errorf("no such day: %v", d)
	}
	return d.String(), nil
}

// Scan takes a time.Time by its own calendar day (drivers give midnight UTC), or the text form.
func (d *LocalDate) Scan(src any) error {
	switch v := src.(type) {
	case time.Time:
		d.Year, d.Month, d.Day = v.Date()
		return nil
	case string:
		return d.UnmarshalText([]byte(v))
	case []byte:
		return d.UnmarshalText(v)
	default:
		return fmt.Errorf("cannot read a LocalDate from %T", src)
	}
}

// utc is midnight UTC of the day. In UTC time.Date has no skipped or repeated hour, so calendar arithmetic is exact.
func (d LocalDate) utc() time.Time { return time.Date(d.Year, d.Month, d.Day, 0, 0, 0, 0, time.UTC) }

// dayNumber counts days from 1970-01-01.
func (d LocalDate) dayNumber() int64 { return d.utc().Unix() / secondsPerDay }

func dateOfDay(n int64) LocalDate { return dateOf(time.Unix(n*secondsPerDay, 0).UTC()) }

func dateOf(t time.Time) LocalDate {
	y, m, d := t.Date()
	return LocalDate{Year: y, Month: m, Day: d}
}

func daysIn(year int, month time.Month) int {
	return time.Date(year, month+1, 0, 0, 0, 0, 0, time.UTC).Day()
}

// digits reads a number that is written in ASCII digits only.
func digits(s string) (n int, ok bool) {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return 0, false
		}
		n = n*10 + int(s[i]-'0')
	}
	return n, s != ""
}
