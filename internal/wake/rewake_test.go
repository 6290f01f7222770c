package wake

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/serviceerror"

	"github.com/kept-practice/kept/internal/policy"
)

func TestRewake_OneRingPerSubjectThatIsNotDone(t *testing.T) {
	t.Parallel()
	b, f := newBench(t), &bell{}
	var open []policy.Subject
	for range 3 {
		open = append(open, b.subject(b.test, policy.KindJourney, ``), b.subject(b.live, policy.KindRecall, ``))
	}
	open = append(open, b.subject(b.live, policy.KindJourney, `status = 'stuck'`))
	b.subject(b.live, policy.KindJourney, `status = 'done'`)
	var progress [][2]int
	n, err := Rewake(context.Background(), b.store, NewRinger(f, nil), RewakeOptions{
		PerSecond: 1000, Progress: func(done, of int) { progress = append(progress, [2]int{done, of}) },
	})
	require.NoError(t, err)
	require.Equal(t, 7, n)
	require.ElementsMatch(t, open, f.all())
	require.Empty(t, f.ended)
	require.Equal(t, [2]int{7, 7}, progress[6])
}

func TestRewake_Restart_EndsEachRunFirst(t *testing.T) {
	t.Parallel()
	b, f := newBench(t), &bell{}
	s := b.subject(b.live, policy.KindJourney, ``)
	n, err := Rewake(context.Background(), b.store, NewRinger(f, nil), RewakeOptions{Restart: true})
	require.NoError(t, err)
	require.Equal(t, 1, n)
	require.Equal(t, []string{s.WorkflowID()}, f.ended)
	require.Equal(t, 1, f.times(s))
}

func TestRewake_KeepsItsPace(t *testing.T) {
	t.Parallel()
	b, f := newBench(t), &bell{}
	for range 6 {
		b.subject(b.live, policy.KindJourney, ``)
	}
	began := time.Now()
	_, err := Rewake(context.Background(), b.store, NewRinger(f, nil), RewakeOptions{PerSecond: 20})
	require.NoError(t, err)
	require.GreaterOrEqual(t, time.Since(began), 240*time.Millisecond)
}

func TestRewake_TemporalComesBack_GoesOn_OrSaysThatAgainIsSafe(t *testing.T) {
	t.Parallel()
	b, f := newBench(t), &bell{}
	b.subject(b.live, policy.KindJourney, ``)
	tries := 0
	f.fail = func(policy.Subject) error {
		if tries++; tries < 2 {
			return serviceerror.NewUnavailable("starting")
		}
		return nil
	}
	n, err := Rewake(context.Background(), b.store, NewRinger(f, nil), RewakeOptions{})
	require.NoError(t, err)
	require.Equal(t, 1, n)

	f.set(away)
	_, err = Rewake(context.Background(), b.store, NewRinger(f, nil), RewakeOptions{Patience: time.Millisecond})
	require.ErrorContains(t, err, "0 of 1 rung")
	require.ErrorContains(t, err, "running it again is safe")
}

func TestRewake_TemporalMadeAnew_WaitsUntilItKnowsOurSearchAttribute(t *testing.T) {
	t.Parallel()
	b, f := newBench(t), &bell{}
	b.subject(b.live, policy.KindJourney, ``)
	tries := 0
	f.fail = func(policy.Subject) error {
		if tries++; tries < 3 {
			return serviceerror.NewInvalidArgument("Namespace kept has no mapping defined for search attribute PracticeId")
		}
		return nil
	}
	n, err := Rewake(context.Background(), b.store, NewRinger(f, nil), RewakeOptions{})
	require.NoError(t, err)
	require.Equal(t, 1, n)
}
