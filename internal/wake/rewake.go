package wake

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/time/rate"

	"github.com/kept-practice/kept/db"
	"github.com/kept-practice/kept/internal/policy"
)

// RewakeOptions of Rewake.
type RewakeOptions struct {
	Restart   bool               // end each run first, after a change of the runner that cannot replay
	PerSecond int                // default 50
	Progress  func(done, of int) // called after each ring; optional
	Patience  time.Duration      // how long one ring is tried while Temporal is away; default 30 s
}

// Rewake rings every subject that is not done, once: after the loss of Temporal's database it rebuilds all open runs
// sooner than the relay would. Safe to run again and beside a working system; nothing is sent or charged twice.
func Rewake(ctx context.Context, store *db.Store, r *Ringer, o RewakeOptions) (int, error) {
	if o.PerSecond <= 0 {
		o.PerSecond = 50
	}
	if o.Patience <= 0 {
		o.Patience = 30 * time.Second
	}
	of, err := store.System().RewakeCount(ctx)
	if err != nil {
		return 0, db.Classify(err)
	}
	limit := rate.NewLimiter(rate.Limit(o.PerSecond), 1)
	done, after := 0, db.RewakePageParams{Most: 500}
	for {
		page, err := store.System().RewakePage(ctx, after)
		if err != nil {
			return done, db.Classify(err)
		}
		if len(page) == 0 {
			return done, nil
		}
		for _, row := range page {
			s := policy.Subject{Practice: row.PracticeID, Kind: row.Kind, ID: row.ID}
			after.AfterPractice, after.AfterKind, after.AfterID = s.Practice, s.Kind, s.ID
			if err := limit.Wait(ctx); err != nil {
				return done, err
			}
			if err := rewakeOne(ctx, r, s, o); err != nil {
				return done, fmt.Errorf("%d of %d rung, then Temporal gave up (running it again is safe): %w", done, of, err)
			}
			done++
			if o.Progress != nil {
				o.Progress(done, max(int(of), done))
			}
		}
	}
}

func rewakeOne(ctx context.Context, r *Ringer, s policy.Subject, o RewakeOptions) error {
	ring := r.Ring
	if o.Restart {
		ring = r.Restart
	}
	for began, wait := time.Now(), 250*time.Millisecond; ; wait = min(2*wait, 5*time.Second) {
		err := ring(ctx, s, "rewake")
		if err == nil || !unreached(err) && !unprepared(err) || time.Since(began) > o.Patience {
			return err
		}
		if waitErr := pause(ctx, wait); waitErr != nil {
			return errors.Join(waitErr, err)
		}
	}
}

// pause waits, or returns early with the context's error.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
