package workflows_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/temporal"

	"github.com/kept-practice/kept/internal/policy"
)

func TestRun_PlanFails_TriesAgainUntilItSucceeds(t *testing.T) {
	ladder := []time.Duration{30 * time.Second, time.Minute, 2 * time.Minute, 4 * time.Minute}
	for _, failures := range []int{1, 5, 20} {
		t.Run(fmt.Sprint(failures), func(t *testing.T) {
			s := newStage(t)
			s.look = func(n int) (policy.Plan, error) {
				if n <= failures*3 { // three tries each
					return policy.Plan{}, errors.New("PostgreSQL is away")
				}
				return done(s.clock()), nil
			}
			s.play()
			require.Len(t, s.looks, failures*3+1)
			waits := long(s.waits)
			require.Len(t, waits, failures)
			for i, wait := range waits {
				if i < len(ladder) {
					require.Equal(t, ladder[i], wait)
				} else {
					require.Equal(t, 5*time.Minute, wait)
				}
			}
		})
	}
}

func TestRun_PlanFails_RingLooksAtOnce(t *testing.T) {
	s := newStage(t)
	s.ringAt(10 * time.Second)
	s.look = func(n int) (policy.Plan, error) {
		switch n {
		case 1, 2, 3:
			return policy.Plan{}, errors.New("PostgreSQL is away")
		case 4:
			return in(s.clock(), time.Hour), nil
		}
		return done(s.clock()), nil
	}
	s.play()
	require.Equal(t, []time.Duration{10 * time.Second, time.Hour + 10*time.Second}, s.looks[3:])
	require.Equal(t, 1, s.undone, "the other try is not needed any more")
}

func TestRun_PlanFailsAfterDone_DoesNotEndOnTheOldAnswer(t *testing.T) {
	s := newStage(t)
	s.act = func(step policy.Step, _ int32) (bool, error) {
		return step.Key == "asks", nil
	}
	s.look = func(n int) (policy.Plan, error) {
		switch {
		case n == 1:
			p := done(s.clock())
			p.Due = []policy.Step{due("asks")}
			return p, nil
		case n <= 4:
			return policy.Plan{}, errors.New("PostgreSQL is away")
		}
		return done(s.clock()), nil
	}
	s.play()
	require.Len(t, s.looks, 5)
}

func TestRun_PlanPanics_IsAFailedPlanAndNoFailedRun(t *testing.T) {
	s := newStage(t)
	s.look = func(n int) (policy.Plan, error) {
		if n == 1 {
			panic("a planner's mistake")
		}
		return done(s.clock()), nil
	}
	s.play()
	require.Greater(t, len(s.looks), 1)
}

func TestRun_PlanFailsWhileTimerRuns_TimerIsKept(t *testing.T) {
	s := newStage(t)
	var wake time.Time
	s.ringAt(time.Minute)
	s.look = func(n int) (policy.Plan, error) {
		switch {
		case n == 1:
			wake = s.clock().Add(time.Hour)
		case n <= 4:
			return policy.Plan{}, errors.New("PostgreSQL is away")
		case s.now() >= time.Hour:
			return done(s.clock()), nil
		}
		return in(s.clock(), wake.Sub(s.clock())), nil
	}
	s.play()
	require.Equal(t, []time.Duration{time.Hour, 30 * time.Second}, long(s.waits))
	require.Equal(t, time.Hour, s.looks[len(s.looks)-1])
}

func TestRun_PlanFailsWhenTimerRings_OnlyTheOtherTryIsSet(t *testing.T) {
	s := newStage(t)
	s.look = func(n int) (policy.Plan, error) {
		switch n {
		case 1:
			return in(s.clock(), time.Hour), nil
		case 2, 3, 4:
			return policy.Plan{}, errors.New("PostgreSQL is away")
		}
		return done(s.clock()), nil
	}
	s.play()
	require.Equal(t, []time.Duration{time.Hour, time.Second, 30 * time.Second}, s.waits, "the second is between two tries")
}

func TestRun_PlanFailsNowAndThen_StartsFromThirtySeconds(t *testing.T) {
	s := newStage(t)
	s.look = func(n int) (policy.Plan, error) {
		switch {
		case n == 16:
			return done(s.clock()), nil
		case n%4 == 0:
			return in(s.clock(), 10*time.Second), nil
		}
		return policy.Plan{}, errors.New("PostgreSQL is away")
	}
	s.play()
	require.Equal(t, []time.Duration{30 * time.Second, 30 * time.Second, 30 * time.Second, 30 * time.Second}, long(s.waits))
}

func TestRun_SameWakeAt_KeepsItsTimer(t *testing.T) {
	s := newStage(t)
	for i := range 20 {
		s.ringAt(time.Duration(i+1) * time.Minute)
	}
	var wake time.Time
	s.look = func(n int) (policy.Plan, error) {
		if n == 1 {
			wake = s.clock().Add(time.Hour)
		}
		if n == 22 {
			return done(s.clock()), nil
		}
		p := in(s.clock(), time.Hour)
		there := wake.In(time.FixedZone("elsewhere", n*60)) // the same instant, written differently
		p.WakeAt = &there
		return p, nil
	}
	s.play()
	require.Equal(t, []time.Duration{time.Hour}, s.waits)
	require.Zero(t, s.undone)
	require.Len(t, s.looks, 22)
}

func TestRun_WakeAtMoved_TimerMoves(t *testing.T) {
	s := newStage(t)
	s.ringAt(time.Minute)
	s.look = func(n int) (policy.Plan, error) {
		switch n {
		case 1:
			return in(s.clock(), time.Hour), nil
		case 2:
			return in(s.clock(), 10*time.Minute), nil
		}
		return done(s.clock()), nil
	}
	s.play()
	require.Equal(t, []time.Duration{time.Hour, 10 * time.Minute}, s.waits)
	require.Equal(t, 1, s.undone)
	require.Equal(t, []time.Duration{0, time.Minute, 11 * time.Minute}, s.looks, "the old timer woke nobody")
}

func TestRun_WaitDropped_TimerTakenBack(t *testing.T) {
	s := newStage(t)
	s.ringAt(time.Minute)
	s.ringAt(3 * time.Hour)
	s.look = func(n int) (policy.Plan, error) {
		switch n {
		case 1:
			return in(s.clock(), time.Hour), nil
		case 2:
			return only(s.clock()), nil
		}
		return done(s.clock()), nil
	}
	s.play()
	require.Equal(t, []time.Duration{0, time.Minute, 3 * time.Hour}, s.looks)
	require.Equal(t, 1, s.undone)
}

func TestRun_ClocksFiveMinutesApart_TwoPlansPerStep(t *testing.T) {
	for _, skew := range []time.Duration{-5 * time.Minute, 5 * time.Minute, -20 * time.Second, 20 * time.Second} {
		t.Run(skew.String(), func(t *testing.T) {
			s := newStage(t)
			database := func() time.Time { return s.clock().Add(skew) }
			const steps = 10
			sent := 0
			s.act = func(policy.Step, int32) (bool, error) { sent++; return false, nil }
			var start time.Time
			s.look = func(n int) (policy.Plan, error) {
				if n == 1 {
					start = database()
				}
				if sent == steps {
					return done(database()), nil
				}
				next := start.Add(time.Duration(sent+1) * time.Hour)
				if database().Before(next) {
					return in(database(), next.Sub(database())), nil
				}
				// As if the due step had succeeded.
				return in(database(), next.Add(time.Hour).Sub(database()), due(fmt.Sprint(sent))), nil
			}
			s.play()
			require.Equal(t, steps, sent)
			require.LessOrEqual(t, len(s.looks), 2*steps)
		})
	}
}

func TestRun_WakeAtInThePast_WaitsASecondThenLonger(t *testing.T) {
	s := newStage(t)
	var late time.Time
	s.look = func(n int) (policy.Plan, error) {
		if n == 1 {
			late = s.clock().Add(-time.Hour)
		}
		if n == 12 {
			return done(s.clock()), nil
		}
		return in(s.clock(), late.Sub(s.clock())), nil
	}
	s.play()
	var seconds []int
	for _, wait := range s.waits {
		seconds = append(seconds, int(wait/time.Second))
	}
	require.Equal(t, []int{1, 1, 2, 4, 8, 16, 32, 60, 60, 60, 60}, seconds)
}

func TestRun_UnarmedPlan_OnlyRingsWakeIt(t *testing.T) {
	s := newStage(t)
	s.ringAt(48 * time.Hour)
	s.look = func(n int) (policy.Plan, error) {
		if n == 2 {
			return done(s.clock()), nil
		}
		p := in(s.clock(), time.Hour)
		p.Unarmed = true
		return p, nil
	}
	s.play()
	require.Empty(t, s.waits)
	require.Equal(t, []time.Duration{0, 48 * time.Hour}, s.looks)
}

func TestRun_UnarmedPlan_StillWaitsForMachines(t *testing.T) {
	s := newStage(t)
	s.look = func(n int) (policy.Plan, error) {
		if n == 2 {
			return done(s.clock()), nil
		}
		p := in(s.clock(), time.Hour)
		p.Unarmed = true
		retry := p.RealNow.Add(90 * time.Second)
		p.RetryAt = &retry
		return p, nil
	}
	s.play()
	require.Equal(t, []time.Duration{0, 90 * time.Second}, s.looks)
}

func TestRun_UnarmedWakeAtMoves_WaitForMachineIsKept(t *testing.T) {
	s := newStage(t)
	s.ringAt(10 * time.Second)
	s.ringAt(20 * time.Second)
	var retry time.Time
	s.look = func(n int) (policy.Plan, error) {
		if n == 1 {
			retry = s.clock().Add(90 * time.Second)
		}
		if n == 4 {
			return done(s.clock()), nil
		}
		p := in(s.clock(), time.Hour)
		p.Unarmed, p.RetryAt = true, &retry
		return p, nil
	}
	s.play()
	require.Equal(t, []time.Duration{90 * time.Second}, s.waits)
	require.Equal(t, []time.Duration{0, 10 * time.Second, 20 * time.Second, 90 * time.Second}, s.looks)
}

func TestRun_TwoStepsGaveUp_TheSoonerTryCounts(t *testing.T) {
	s := newStage(t)
	s.act = func(step policy.Step, _ int32) (bool, error) {
		if step.Key == "new" {
			return false, temporal.NewNonRetryableApplicationError("no such template", "invalid", nil)
		}
		return false, errors.New("the gateway is away") // attempts at 0, 0.5 and 1.5 s
	}
	s.look = func(n int) (policy.Plan, error) {
		switch n {
		case 1:
			return only(s.clock(), due("old")), nil
		case 2:
			return only(s.clock(), due("old"), due("new")), nil
		}
		return done(s.clock()), nil
	}
	s.play()
	require.Equal(t, []time.Duration{0, 31500 * time.Millisecond, 61500 * time.Millisecond}, s.looks, "the minute that old would wait is longer")
}

func TestRun_StepGaveUpAndWasNotDueBetween_StartsFromThirtySeconds(t *testing.T) {
	s := newStage(t)
	s.act = func(policy.Step, int32) (bool, error) { return false, errors.New("the gateway is away") }
	s.look = func(n int) (policy.Plan, error) {
		switch n {
		case 1, 3:
			return only(s.clock(), due("a")), nil
		case 2:
			return in(s.clock(), time.Hour), nil
		}
		return done(s.clock()), nil
	}
	s.play()
	require.Equal(t, []time.Duration{30 * time.Second, time.Hour, 30 * time.Second}, long(s.waits))
}

func TestRun_UnknownKind_BacksOffAndDelaysNobody(t *testing.T) {
	s := newStage(t)
	s.act = func(step policy.Step, _ int32) (bool, error) {
		if step.Key == "unknown" {
			return false, errors.New("unable to find activity type")
		}
		return false, nil
	}
	s.look = func(n int) (policy.Plan, error) {
		if n > 8 {
			return done(s.clock()), nil
		}
		return only(s.clock(), due("unknown"), due(fmt.Sprintf("other/%d", n))), nil
	}
	s.play()
	require.Equal(t, []time.Duration{
		30 * time.Second, time.Minute, 2 * time.Minute, 4 * time.Minute, 8 * time.Minute, 10 * time.Minute,
		10 * time.Minute, 10 * time.Minute,
	}, long(s.waits))
	require.Contains(t, s.first(), "other/1")
	require.Less(t, s.startOf("other/1"), time.Second)
}

func TestRun_StepGaveUp_RingTriesAgainAtOnce(t *testing.T) {
	s := newStage(t)
	mended := false
	s.act = func(policy.Step, int32) (bool, error) {
		if !mended {
			return false, errors.New("no key configured")
		}
		return true, nil
	}
	s.env.RegisterDelayedCallback(func() { mended = true; s.ring() }, 20*time.Second)
	s.look = func(n int) (policy.Plan, error) {
		if n == 3 {
			return done(s.clock()), nil
		}
		return in(s.clock(), 24*time.Hour, due("a")), nil
	}
	s.play()
	require.Equal(t, []time.Duration{0, 20 * time.Second, 20 * time.Second}, s.looks)
}

func TestRun_StepGivesUpAfterDone_LooksAgain(t *testing.T) {
	s := newStage(t)
	s.act = func(policy.Step, int32) (bool, error) { return false, errors.New("no worker") }
	s.look = func(n int) (policy.Plan, error) {
		p := done(s.clock())
		if n == 1 {
			p.Due = []policy.Step{due("a")}
		}
		return p, nil
	}
	s.play()
	require.Len(t, s.looks, 2)
}

// long leaves out the short waits between the tries of one failed plan.
func long(waits []time.Duration) []time.Duration {
	var kept []time.Duration
	for _, wait := range waits {
		if wait >= 30*time.Second {
			kept = append(kept, wait)
		}
	}
	return kept
}

// startOf is when a key was first started.
func (s *stage) startOf(key string) time.Duration {
	for _, st := range s.starts {
		if st.key == key {
			return st.at
		}
	}
	s.t.Fatalf("%s was never started", key)
	return 0
}
