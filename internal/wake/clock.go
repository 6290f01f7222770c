package wake

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/kept-practice/kept/db"
	"github.com/kept-practice/kept/internal/policy"
)

const (
	settlePoll     = 20 * time.Millisecond
	settlePatience = 30 * time.Second
	settleQuiet    = 2 // looks in a row that find nothing under way, where somebody was rung
	clocksAtOnce   = 4 // per worker; each holds one connection while it steps
)

// Clocks steps the test clocks that are advancing, each from one due thing to the next until its target. Any number of
// workers may run it: a clock is stepped by one at a time, and another takes over when that one dies.
type Clocks struct {
	store    *db.Store
	ringer   *Ringer
	sweeper  *Sweeper
	idle     func(context.Context) (bool, error)
	log      *slog.Logger
	patience time.Duration

	mu       sync.Mutex
	stepping map[policy.ID]bool
	at       sync.WaitGroup
}

// NewClocks takes idle, which tells whether the sandbox gateways have nothing left to deliver; nil when there are none.
func NewClocks(store *db.Store, r *Ringer, s *Sweeper, idle func(context.Context) (bool, error), log *slog.Logger) *Clocks {
	if idle == nil {
		idle = func(context.Context) (bool, error) { return true, nil }
	}
	return &Clocks{
		store: store, ringer: r, sweeper: s, idle: idle, log: log, patience: settlePatience, stepping: map[policy.ID]bool{},
	}
}

// Turn looks for advancing clocks and steps those that this worker does not step yet, beside its caller.
func (c *Clocks) Turn(ctx context.Context) error {
	practices, err := c.store.System().TestClocksAdvancing(ctx)
	if err != nil {
		return db.Classify(err)
	}
	for _, practice := range practices {
		if c.claim(practice) {
			c.at.Go(func() {
				defer c.release(practice)
				if err := c.Step(ctx, practice); err != nil && ctx.Err() == nil {
					c.ringer.metrics.loopErrors.WithLabelValues("test_clock").Inc()
					c.log.Error("test clock interrupted; it goes on", "practice", practice, "error", err)
					_ = pause(ctx, time.Second) // cut short only when the worker stops
				}
			})
		}
	}
	return nil
}

// Wait returns when no clock is being stepped any more; call it after the context has ended.
func (c *Clocks) Wait() { c.at.Wait() }

func (c *Clocks) claim(practice policy.ID) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stepping[practice] || len(c.stepping) >= clocksAtOnce {
		return false
	}
	c.stepping[practice] = true
	return true
}

func (c *Clocks) release(practice policy.ID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.stepping, practice)
}

// Step advances one clock until it is ready or stuck, or another worker has it. The lease is an advisory lock: it dies with
// its connection, and every change of the clock compares what it replaces, so two steppers could not move it twice.
func (c *Clocks) Step(ctx context.Context, practice policy.ID) error {
	return c.store.InSystem(ctx, func(lease *db.Queries) error {
		mine, err := lease.TestClockLease(ctx, practice)
		if err != nil || !mine {
			return err
		}
		for {
			clock, err := c.store.System().TestClockRead(ctx, practice)
			if err != nil {
				return err
			}
			if clock.Status != "advancing" {
				return nil
			}
			blocker, err := c.settle(ctx, practice, clock.NowAt)
			if err != nil {
				return err
			}
			if err := c.move(ctx, practice, clock, blocker); err != nil {
				return err
			}
		}
	})
}

// move says what follows an instant: stuck, ready, or the next instant.
func (c *Clocks) move(ctx context.Context, practice policy.ID, clock db.TestClockReadRow, blocker string) error {
	system := c.store.System()
	switch {
	case blocker != "":
		c.log.Warn("test clock stuck", "practice", practice, "at", clock.NowAt, "on", blocker)
		_, err := system.TestClockStuck(ctx, db.TestClockStuckParams{PracticeID: practice, Now: clock.NowAt, StuckOn: blocker})
		return err
	case !clock.NowAt.Before(clock.TargetAt):
		_, err := system.TestClockReady(ctx, practice)
		return err
	}
	next, err := c.next(ctx, practice, clock)
	if err != nil {
		return err
	}
	moved, err := system.TestClockMove(ctx, db.TestClockMoveParams{PracticeID: practice, WasAt: clock.NowAt, NextAt: next})
	c.ringer.metrics.clockSteps.Add(float64(moved))
	return err
}

// next is the earliest instant after now at which something is due, the target at the latest. A recall is due when its
// local day begins.
func (c *Clocks) next(ctx context.Context, practice policy.ID, clock db.TestClockReadRow) (time.Time, error) {
	q := c.store.In(practice)
	p, err := q.SweepPractice(ctx, practice)
	if err != nil {
		return time.Time{}, err
	}
	zone, err := time.LoadLocation(p.Zone)
	if err != nil {
		return time.Time{}, fmt.Errorf("zone of practice %s: %w", practice, err)
	}
	next := clock.TargetAt
	due, err := q.TestClockNextDue(ctx, practice, clock.NowAt)
	if err != nil {
		return time.Time{}, err
	}
	for _, at := range due {
		if at != nil && at.Before(next) {
			next = *at
		}
	}
	recalls, err := q.TestClockNextRecall(ctx, practice, policy.LocalDay(clock.NowAt, zone))
	if err != nil {
		return time.Time{}, err
	}
	for _, day := range recalls {
		if at := policy.StartOfDay(day, zone); at.After(clock.NowAt) && at.Before(next) {
			next = at
		}
	}
	return next, nil
}

// settle makes everything due at this instant happen, and waits until nothing is under way. It returns what still is when
// patience ran out, "" when settled. What is rung in vain, Temporal being away, is rung again.
func (c *Clocks) settle(ctx context.Context, practice policy.ID, now time.Time) (blocker string, err error) {
	began := time.Now()
	again, every := began, time.Second
	for quiet, needed := 0, 1; ; {
		if !time.Now().Before(again) {
			rung, err := c.arrive(ctx, practice, now)
			if err != nil {
				return "", err
			}
			if rung > 0 {
				needed = settleQuiet
			}
			again, every = time.Now().Add(every), 2*every
		}
		if blocker, err = c.unsettled(ctx, practice, now); err != nil {
			return "", err
		}
		switch {
		case blocker != "" && time.Since(began) > c.patience:
			return blocker, nil
		case blocker != "":
			quiet = 0
		default:
			if quiet++; quiet >= needed {
				return "", nil
			}
		}
		if err := pause(ctx, settlePoll); err != nil {
			return "", err
		}
	}
}

// arrive starts and rings everything that is due at this instant, and tells how many it rang; again does no harm.
func (c *Clocks) arrive(ctx context.Context, practice policy.ID, now time.Time) (int, error) {
	if _, err := c.sweeper.ExpireHoldsOf(ctx, practice); err != nil {
		return 0, err
	}
	if _, err := c.sweeper.Sweep(ctx, practice, now); err != nil {
		return 0, err
	}
	due, err := c.store.In(practice).TestClockDue(ctx, practice, &now)
	if err != nil {
		return 0, err
	}
	jobs := make([]labelled, len(due))
	for i, s := range due {
		jobs[i] = labelled{policy.Subject{Practice: practice, Kind: s.Kind, ID: s.ID}, "test clock at " + now.Format(time.RFC3339)}
	}
	if _, lost := ringAll(ctx, c.ringer, c.log, jobs); lost > 0 {
		c.log.Warn("test clock waits for Temporal", "practice", practice, "rings_lost", lost)
	}
	return len(jobs), nil
}

// unsettled names one thing still under way, "" when there is none.
func (c *Clocks) unsettled(ctx context.Context, practice policy.ID, now time.Time) (string, error) {
	rows, err := c.store.In(practice).TestClockUnsettled(ctx, practice, &now)
	if err != nil {
		return "", err
	}
	for _, row := range rows {
		s := policy.Subject{Kind: row.Kind, ID: row.ID}
		return s.WorkflowID() + ": " + blockers[row.What] + row.Key, nil
	}
	events, err := c.store.System().TestClockInbox(ctx, practice)
	if err != nil {
		return "", err
	}
	for _, e := range events {
		return fmt.Sprintf("event %s of %s has not been applied", e.ID, e.Gateway), nil
	}
	idle, err := c.idle(ctx)
	if err != nil {
		return "", fmt.Errorf("ask the sandbox whether it is idle: %w", err)
	}
	if !idle {
		return "the sandbox gateways still have something to deliver", nil
	}
	return "", nil
}

var blockers = map[string]string{
	"unplanned": "no plan has seen ",
	"wake_up":   "no plan has answered its wake-up: ",
	"step":      "not finished: ",
	"retry":     "waits for a gateway: ",
	"adoption":  "journeys still follow a new cadence; moved so far: ",
}
