package wake

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kept-practice/kept/db"
	"github.com/kept-practice/kept/internal/policy"
)

func TestRun_DoesAllItsParts_SurvivesFailures_AndStopsWhenTold(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	p, f := newPlanner(b)
	s := b.subject(b.test, policy.KindJourney, `wake_at = $1`, clockStart.Add(time.Hour))
	waiting := b.subject(b.live, policy.KindJourney, ``)
	b.fact(waiting, 3*time.Second)
	id := b.event("evt_1")
	b.hold(b.live, time.Now().Add(-time.Minute))
	b.advance(clockStart.Add(2 * time.Hour))
	ensured := make(chan struct{}, 10)
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() {
		ended <- Run(ctx, Options{
			Store: b.store, Ringer: NewRinger(f, nil), Sweeper: NewSweeper(b.store, 0), Log: quiet,
			Apply: func(context.Context, Event) (Applied, error) { return Applied{State: "applied"}, nil },
			Ensure: func(context.Context) error {
				ensured <- struct{}{}
				return errors.New("not yet")
			},
		})
	}()
	require.Eventually(t, func() bool {
		return b.clockStatus() == "ready" && b.eventState(id) == "applied" && f.times(waiting) > 0 &&
			b.count(`select count(*) from holds`) == 0
	}, 20*time.Second, 20*time.Millisecond)
	require.NotEmpty(t, ensured)
	require.Len(t, p.instants(s), 1)
	stop()
	select {
	case err := <-ended:
		require.NoError(t, err)
	case <-time.After(5 * time.Second):
		t.Fatal("Run did not stop")
	}
}

func TestRun_RefusesToStartWithoutItsParts(t *testing.T) {
	t.Parallel()
	require.ErrorContains(t, Run(context.Background(), Options{}), "needs Store, Ringer and Sweeper")
}

func TestLoop_DatabaseAway_GoesOnWhenItIsBack(t *testing.T) {
	t.Parallel()
	turns := make(chan time.Time, 100)
	l := loop{"relay", 10 * time.Millisecond, func(context.Context) error {
		turns <- time.Now()
		if len(turns) < 2 {
			return db.Classify(context.DeadlineExceeded)
		}
		return nil
	}}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		l.run(ctx, quiet, NewMetrics(nil))
		close(done)
	}()
	first, second := <-turns, <-turns
	require.GreaterOrEqual(t, second.Sub(first), 900*time.Millisecond, "a failure is not retried in a hurry")
	stop()
	<-done
}
