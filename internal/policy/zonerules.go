package policy

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"time"
)

// The years whose changes of clocks tell one version of a zone's rules from another: every visit still ahead lies in them.
const (
	rulesFromYear  = 2020
	rulesUntilYear = 2060
)

// ZoneFingerprint names the rules of a zone by what they come to: its offset at the start of 2020 and each change until 2060. It
// differs where a new tzdata moves any of these, and only there; tzdata itself does not tell its version.
func ZoneFingerprint(zone *time.Location) string {
	from := time.Date(rulesFromYear, 1, 1, 0, 0, 0, 0, time.UTC).Unix()
	until := time.Date(rulesUntilYear, 1, 1, 0, 0, 0, 0, time.UTC).Unix()
	sum := sha256.New()
	fmt.Fprintln(sum, offsetAt(from, zone))
	for _, s := range shifts(from, until, zone) {
		fmt.Fprintln(sum, s.at, s.after)
	}
	return hex.EncodeToString(sum.Sum(nil)[:16])
}

// KeepWallTime is the instant that a wall time, such as "2031-03-09T09:00", means by the zone's present rules, given the instant that
// it meant by earlier ones. An instant that still shows the wall time stays, be it the second pass of a repeated hour; a time that
// is skipped by now moves forward by the gap. Seconds are kept.
func KeepWallTime(wall string, was time.Time, zone *time.Location) (time.Time, error) {
	const form = "2006-01-02T15:04"
	if was.In(zone).Format(form) == wall {
		return was, nil
	}
	read, err := time.Parse(form, wall)
	if err != nil {
		return time.Time{}, fmt.Errorf("wall time of a visit: %w", err)
	}
	within := was.Sub(was.Truncate(time.Minute))
	return Resolve(LocalDay(read, time.UTC), read.Hour()*60+read.Minute(), zone).Add(within), nil
}
