package wake

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/kept-practice/kept/db"
)

// Options of Run.
type Options struct {
	Store   *db.Store
	Ringer  *Ringer
	Sweeper *Sweeper
	Apply   Apply                               // applies gateway events; nil: another process does
	Adopt   Adopt                               // moves journeys to new cadences; nil: another process does
	Zones   KeepZones                           // keeps wall times under new rules of zones, once; nil: another process does
	Idle    func(context.Context) (bool, error) // whether the sandbox has nothing left to deliver; nil: there is none
	Ensure  func(context.Context) error         // EnsureTemporal with its options, again and again; nil: never
	Log     *slog.Logger                        // default slog.Default
}

// loop is one thing that a worker does again and again.
type loop struct {
	name  string
	every time.Duration
	turn  func(context.Context) error
}

// slowestRetry bounds how long a loop that fails waits before its next turn.
const slowestRetry = 15 * time.Second

// Run runs relay, test clocks, inbox, hold expiry, adoptions, sealer, monitor and clean-up until the context ends, then waits for
// what is under way. Any number of processes may run it. A loop that fails says so, waits and goes on.
func Run(ctx context.Context, o Options) error {
	if o.Store == nil || o.Ringer == nil || o.Sweeper == nil {
		return errors.New("wake.Run needs Store, Ringer and Sweeper")
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	clocks := NewClocks(o.Store, o.Ringer, o.Sweeper, o.Idle, o.Log)
	var running sync.WaitGroup
	for _, l := range loops(o, clocks) {
		running.Go(func() { l.run(ctx, o.Log, o.Ringer.metrics) })
	}
	running.Wait()
	clocks.Wait()
	return nil
}

func loops(o Options, clocks *Clocks) []loop {
	relay := NewRelay(o.Store, o.Ringer, o.Log)
	sealer := NewSealer(o.Store, o.Ringer.metrics)
	monitor := NewMonitor(o.Store, o.Ringer.metrics)
	all := []loop{
		{"relay", time.Second, func(ctx context.Context) error { _, err := relay.Turn(ctx); return err }},
		{"test_clocks", 50 * time.Millisecond, clocks.Turn},
		{"holds", 5 * time.Second, func(ctx context.Context) error { _, err := o.Sweeper.ExpireHolds(ctx); return err }},
		{"sealer", 10 * time.Second, sealer.SealAll},
		{"monitor", 30 * time.Second, monitor.Turn},
		{"idempotency_keys", 10 * time.Minute, func(ctx context.Context) error {
			_, err := o.Store.System().IdempotencySweep(ctx)
			return db.Classify(err)
		}},
		{"guesses", 10 * time.Minute, func(ctx context.Context) error {
			_, err := o.Store.System().GuessesSweep(ctx)
			return db.Classify(err)
		}},
	}
	if o.Apply != nil {
		inbox := NewInbox(o.Store, o.Ringer, o.Apply, o.Log)
		all = append(all, loop{"inbox", 100 * time.Millisecond, inbox.Turn})
	}
	if o.Adopt != nil {
		all = append(all, loop{"adoptions", time.Second, NewAdopter(o.Store, o.Adopt).Turn})
	}
	if o.Zones != nil {
		all = append(all, keepZones(o.Zones))
	}
	if o.Ensure != nil {
		all = append(all, loop{"temporal_setup", 15 * time.Second, o.Ensure})
	}
	return all
}

// run takes turns until the context ends; after failures the wait doubles, up to slowestRetry or the loop's own rhythm.
func (l loop) run(ctx context.Context, log *slog.Logger, m *Metrics) {
	failures := 0
	for {
		wait := l.every
		if err := l.turn(ctx); err != nil && ctx.Err() == nil {
			failures++
			m.loopErrors.WithLabelValues(l.name).Inc()
			wait = max(l.every, min(slowestRetry, time.Second<<min(failures-1, 5)))
			log.Error("loop failed; it goes on", "loop", l.name, "in_a_row", failures, "next_in", wait, "error", err)
		} else {
			failures = 0
		}
		if pause(ctx, wait) != nil {
			return
		}
	}
}
