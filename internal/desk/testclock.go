package desk

import (
	"context"
	"time"

	"github.com/kept-practice/kept/db"
	"github.com/kept-practice/kept/internal/policy"
)

// AdvanceInput sets a test clock's target: exactly one of an instant, a period from the clock's present and seconds from it.
type AdvanceInput struct {
	To      string
	By      string
	Seconds int64
}

// maxAdvanceYears bounds one advance: longer ones are asked for in turns.
const maxAdvanceYears = 3

// AdvanceClock sends a test clock on its way; workers step it from one due thing to the next. Errors: 409 for a live practice
// and while it is on its way already, 422 for a target in the past or more than three years ahead.
func (d *Desk) AdvanceClock(ctx context.Context, by policy.Principal, in AdvanceInput) (db.ClockByPracticeRow, error) {
	given := 0
	for _, ok := range []bool{in.To != "", in.By != "", in.Seconds != 0} {
		if ok {
			given++
		}
	}
	if given != 1 {
		return db.ClockByPracticeRow{}, policy.InvalidField("/to", "one_target", "Give exactly one of to, by and seconds.")
	}
	var out db.ClockByPracticeRow
	err := d.command(ctx, by, func(tx *db.Tx) error {
		clock, err := tx.ClockByPractice(ctx, tx.Practice)
		if db.NoRows(err) {
			return NoTestClock()
		}
		if err != nil {
			return err
		}
		practice, err := tx.PracticeByID(ctx, tx.Practice)
		if err != nil {
			return err
		}
		zone, err := policy.LoadZone(practice.Zone)
		if err != nil {
			return err
		}
		target, err := in.target(clock.NowAt, zone)
		if err != nil {
			return err
		}
		n, err := tx.ClockAdvance(ctx, target, tx.Practice)
		if err != nil {
			return err
		}
		if n == 0 {
			return policy.NewError(policy.Conflict, "clock_advancing", "The test clock is on its way. Wait until it is ready again.")
		}
		if err := tx.Record(ctx, db.Entry{
			Verb: "test_clock_advanced", By: by, Object: "practice", ID: tx.Practice,
			Before: map[string]time.Time{"now_at": clock.NowAt.UTC()}, After: map[string]time.Time{"target_at": target},
		}); err != nil {
			return err
		}
		out, err = tx.ClockByPractice(ctx, tx.Practice)
		return err
	})
	return out, err
}

// NoTestClock is the answer of a practice that lives by the real time.
func NoTestClock() error {
	return policy.NewError(policy.Conflict, "no_test_clock", "Only a test practice has a clock of its own. A live one goes by the real time.")
}

func (in AdvanceInput) target(now time.Time, zone *time.Location) (time.Time, error) {
	pointer, target := "/seconds", now.Add(time.Duration(in.Seconds)*time.Second)
	switch {
	case in.To != "":
		pointer = "/to"
		at, err := policy.ParseInstant(in.To, zone)
		if err != nil {
			return at, policy.AtField(pointer, err)
		}
		target = at
	case in.By != "":
		pointer = "/by"
		period, err := policy.ParsePeriod(in.By)
		if err != nil {
			return target, policy.AtField(pointer, err)
		}
		target = period.After(now, zone)
	}
	switch {
	case target.Before(now):
		return target, policy.InvalidField(pointer, "in_the_past", "A test clock only goes forward.")
	case target.After(policy.Period{Interval: policy.Interval{Years: maxAdvanceYears}}.After(now, zone)):
		return target, policy.InvalidField(pointer, "too_far", "Advance by three years at most, and then again.")
	}
	return target.UTC(), nil
}
