//go:build bench

package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/kept-practice/kept/internal/policy"
)

// path is one way through a client's journey.
type path struct {
	name, about string
	card        string // on file: its number; empty for none
	play        func(*chain, context.Context) error
}

func paths() []path {
	return []path{
		{
			"happy", "booked 4 days ahead, 2 reminders, confirmed, papers, checked in, completed, card charged",
			goodCard, func(c *chain, ctx context.Context) error { return c.happy(ctx, inFour) },
		},
		{
			"happy, 3 reminders", "the same, booked 9 days ahead",
			goodCard, func(c *chain, ctx context.Context) error { return c.happy(ctx, inNine) },
		},
		{"happy, no card", "the same as the first; the invoice is mailed and paid by its link", "", (*chain).payByLink},
		{"no-show", "booked 4 days ahead, confirmed, reminded; nobody comes", "", (*chain).noShow},
		{"reschedule", "confirmed, then moved by 5 days, then as happy", goodCard, (*chain).reschedule},
		{"cancel", "cancelled by the link in the confirmation; the notice goes out", "", (*chain).cancel},
		{"dunning", "card declined, a reminder, the card again, another reminder, then paid by link", badCard, (*chain).dunning},
		{"recall", "as happy; half a year later the recall, and the next visit booked by its link", goodCard, (*chain).recall},
	}
}

// happy is the whole chain from booking to paid, with the card on file.
func (c *chain) happy(ctx context.Context, at time.Time) error {
	if err := c.upToVisit(ctx, at); err != nil {
		return err
	}
	if err := c.comeAndGo(ctx, at); err != nil {
		return err
	}
	return errors.Join(c.done(ctx, policy.KindJourney), c.closed(ctx, c.journey()))
}

// upToVisit books, confirms, fills in the papers and gets every reminder.
func (c *chain) upToVisit(ctx context.Context, at time.Time) error {
	return inTurn(
		func() error { return c.confirmed(ctx, at) },
		func() error { return c.fillIn(ctx) },
		func() error { return c.looked(ctx) },
		func() error { return c.reminded(ctx, at) },
	)
}

// reminded waits until the last reminder has gone out.
func (c *chain) reminded(ctx context.Context, at time.Time) error {
	c.f.limit(c.practice.ID, at.Add(-2*time.Hour))
	return inTurn(
		func() error { return c.sent(ctx, "reminder/two_hours") },
		func() error { return c.rest(ctx, c.journey()) },
	)
}

// confirmed books and confirms by the link in the confirmation.
func (c *chain) confirmed(ctx context.Context, at time.Time) error {
	c.f.limit(c.practice.ID, bookedAt.Add(time.Hour))
	return inTurn(
		func() error { return c.book(ctx, at) },
		func() error { return c.sent(ctx, policy.RuleConfirmation) },
		func() error { return c.rest(ctx, c.journey()) },
		func() error { return c.follow(ctx, "Confirm that you will come", nil) },
		func() error { return c.looked(ctx) },
	)
}

// comeAndGo checks in by the link in the reminder, and completes the visit after its time.
func (c *chain) comeAndGo(ctx context.Context, at time.Time) error {
	defer c.f.limit(c.practice.ID, time.Time{})
	return inTurn(
		func() error { return c.follow(ctx, "Check in when you arrive", nil) },
		func() error { return c.looked(ctx) },
		func() error { return c.f.s.setClock(ctx, c.practice.ID, at.Add(35*time.Minute)) },
		func() error { return c.act(ctx, "complete", map[string]any{}) },
	)
}

func (c *chain) payByLink(ctx context.Context) error {
	return inTurn(
		func() error { return c.upToVisit(ctx, inFour) },
		func() error { return c.comeAndGo(ctx, inFour) },
		func() error { return c.sent(ctx, policy.RuleInvoice) },
		func() error { return c.pay(ctx) },
	)
}

// pay follows the link to the hosted page and waits until the run and its facts are at rest.
func (c *chain) pay(ctx context.Context) error {
	address, err := linkIn(c.mails[len(c.mails)-1], "Pay online")
	if err != nil {
		return err
	}
	bill, err := open(ctx, c.browser, address)
	if err != nil {
		return err
	}
	checkout, err := press(ctx, c.browser, bill, nil)
	if err != nil {
		return err
	}
	if _, err := press(ctx, c.browser, checkout, map[string]string{"number": goodCard}); err != nil {
		return err
	}
	return c.settled(ctx)
}

// settled waits until everything paid is booked, no subject is open and no event is under way.
func (c *chain) settled(ctx context.Context) error {
	return until(ctx, 30*time.Second, "the invoice is paid and every run has seen it", func() (bool, error) {
		var left int
		err := c.f.s.admin.QueryRow(ctx, `select (select count(*) from invoices where practice_id = $1 and status <> 'paid')
			+ (select count(*) from subjects where practice_id = $1 and status <> 'done')
			+ (select count(*) from outbox where practice_id = $1) + (select count(*) from inbox where state = 'new')`, c.practice.ID).Scan(&left)
		return left == 0, err
	})
}

func (c *chain) noShow(ctx context.Context) error {
	defer c.f.limit(c.practice.ID, time.Time{})
	return inTurn(
		func() error { return c.confirmed(ctx, inFour) },
		func() error { return c.reminded(ctx, inFour) },
		func() error { return c.f.s.setClock(ctx, c.practice.ID, inFour.Add(40*time.Minute)) },
		func() error { return c.act(ctx, "no-show", map[string]any{}) },
		func() error { return c.done(ctx, policy.KindJourney) },
		func() error { return c.closed(ctx, c.journey()) },
	)
}

func (c *chain) reschedule(ctx context.Context) error {
	return inTurn(
		func() error { return c.confirmed(ctx, inFour) },
		func() error { return c.act(ctx, "move", map[string]any{"starts_at": inNine.Format(time.RFC3339)}) },
		func() error { return c.sent(ctx, policy.RuleConfirmation) },
		func() error { return c.rest(ctx, c.journey()) },
		func() error { return c.follow(ctx, "Confirm that you will come", nil) },
		func() error { return c.looked(ctx) },
		func() error { return c.fillIn(ctx) },
		func() error { return c.looked(ctx) },
		func() error { return c.reminded(ctx, inNine) },
		func() error { return c.comeAndGo(ctx, inNine) },
		func() error { return c.done(ctx, policy.KindJourney) },
		func() error { return c.closed(ctx, c.journey()) },
	)
}

func (c *chain) cancel(ctx context.Context) error {
	return inTurn(
		func() error { return c.book(ctx, inFour) },
		func() error { return c.sent(ctx, policy.RuleConfirmation) },
		func() error { return c.rest(ctx, c.journey()) },
		func() error { return c.follow(ctx, "Cancel", nil) },
		func() error { return c.done(ctx, policy.KindJourney) },
		func() error { return c.closed(ctx, c.journey()) },
	)
}

// dunning plays the sweep as well: it starts the collection on its day.
func (c *chain) dunning(ctx context.Context) error {
	return inTurn(
		func() error { return c.upToVisit(ctx, inFour) },
		func() error { return c.comeAndGo(ctx, inFour) },
		func() error { return c.sent(ctx, policy.RuleInvoice) },
		func() error { return c.closed(ctx, c.journey()) },
		func() error { return c.begin(ctx, policy.KindCollection) },
		func() error { return c.sent(ctx, "dunning/second") },
		func() error { return c.rest(ctx, c.latest(policy.KindCollection)) },
		func() error { return c.pay(ctx) },
		func() error { return c.closed(ctx, c.latest(policy.KindCollection)) },
	)
}

func (c *chain) recall(ctx context.Context) error {
	return inTurn(
		func() error { return c.happy(ctx, inFour) },
		func() error { return c.begin(ctx, policy.KindRecall) },
		func() error { return c.sent(ctx, "recall/first") },
		func() error { return c.rest(ctx, c.latest(policy.KindRecall)) },
		func() error { return c.follow(ctx, "Choose a time", nil) },
		func() error { return c.done(ctx, policy.KindRecall) },
		func() error { return c.closed(ctx, c.latest(policy.KindRecall)) },
	)
}

// begin lets time pass until the one collection or recall of the practice is due, sweeps, and rings it.
func (c *chain) begin(ctx context.Context, kind string) error {
	due := "select follow_up_at, id from invoices where practice_id = $1"
	if kind == policy.KindRecall {
		due = "select due_on::timestamptz + interval '12 hours', id from recalls where practice_id = $1"
	}
	var at time.Time
	s := policy.Subject{Practice: c.practice.ID, Kind: kind}
	if err := c.f.s.admin.QueryRow(ctx, due, c.practice.ID).Scan(&at, &s.ID); err != nil {
		return fmt.Errorf("when the %s is due: %w", kind, err)
	}
	if err := c.f.s.setClock(ctx, c.practice.ID, at); err != nil {
		return err
	}
	if _, err := c.f.sweeper.Sweep(ctx, c.practice.ID, at); err != nil {
		return err
	}
	return c.f.ringer.Ring(ctx, s, "swept")
}

// latest is the subject of the kind that was last heard of.
func (c *chain) latest(kind string) policy.Subject {
	for i := len(c.seen) - 1; i >= 0; i-- {
		if c.seen[i].subject.Kind == kind {
			return c.seen[i].subject
		}
	}
	return policy.Subject{}
}

// inTurn does one thing after the other, up to the first that fails.
func inTurn(acts ...func() error) error {
	for _, act := range acts {
		if err := act(); err != nil {
			return err
		}
	}
	return nil
}
