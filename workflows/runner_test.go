package workflows_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/kept-practice/kept/internal/policy"
	"github.com/kept-practice/kept/workflows"
)

func TestRun_NothingDue_LooksOnceAndEnds(t *testing.T) {
	s := newStage(t)
	s.look = func(int) (policy.Plan, error) { return done(s.clock()), nil }
	s.play()
	require.Len(t, s.looks, 1)
	require.Empty(t, s.waits)
}

func TestRun_WaitsUntilWakeAt_ThenSends(t *testing.T) {
	s := newStage(t)
	sent := false
	s.act = func(policy.Step, int32) (bool, error) { sent = true; return false, nil }
	var start time.Time
	s.look = func(n int) (policy.Plan, error) {
		if n == 1 {
			start = s.clock()
		}
		switch wake := start.Add(24 * time.Hour); {
		case s.clock().Before(wake):
			return in(s.clock(), wake.Sub(s.clock())), nil
		case !sent:
			return in(s.clock(), time.Hour, due("reminder/24h/mail/v1")), nil
		default:
			return done(s.clock()), nil
		}
	}
	s.play()
	require.Equal(t, []time.Duration{0, 24 * time.Hour, 25 * time.Hour}, s.looks)
	require.Equal(t, []string{"reminder/24h/mail/v1"}, s.first())
	require.Equal(t, 24*time.Hour, s.starts[0].at)
	require.Equal(t, []time.Duration{24 * time.Hour, time.Hour}, s.waits, "one timer at a time")
	require.Zero(t, s.undone)
}

func TestRun_RingsTogether_OnePlan(t *testing.T) {
	s := newStage(t)
	s.env.RegisterDelayedCallback(func() {
		for range 5 {
			s.env.SignalWorkflowSkippingWorkflowTask(workflows.SignalWake, nil)
		}
		s.ring()
	}, time.Minute)
	s.look = func(n int) (policy.Plan, error) {
		if n == 1 {
			return only(s.clock()), nil
		}
		return done(s.clock()), nil
	}
	s.play()
	require.Equal(t, []time.Duration{0, time.Minute}, s.looks)
}

func TestRun_RingDuringStep_PlansAtOnceBesideIt(t *testing.T) {
	s := newStage(t)
	planned := make(chan struct{})
	s.act = func(policy.Step, int32) (bool, error) {
		s.ring()
		<-planned // the step cannot end before the ring was looked at
		return false, nil
	}
	s.look = func(n int) (policy.Plan, error) {
		switch n {
		case 1:
			return only(s.clock(), due("a")), nil
		case 2:
			close(planned)
			return done(s.clock()), nil
		}
		return policy.Plan{}, errors.New("looked too often")
	}
	s.play()
	require.Len(t, s.looks, 2)
	require.Equal(t, []string{"a"}, s.first(), "Done, but the run waited for the step in flight")
}

func TestRun_RingDuringSlowPlan_LooksAgain(t *testing.T) {
	s := newStage(t)
	s.look = func(n int) (policy.Plan, error) {
		facts := len(s.rungAt) // what this plan has seen
		if n <= 10 {
			s.ring() // a fact that comes too late for it
		}
		if facts < 10 {
			return only(s.clock()), nil
		}
		return done(s.clock()), nil
	}
	s.play()
	require.Len(t, s.looks, 11, "each ring was looked at")
}

func TestRun_RingAfterDoneBeforeReturn_LooksAgain(t *testing.T) {
	s := newStage(t)
	seen := 0
	s.look = func(n int) (policy.Plan, error) {
		seen = len(s.rungAt)
		if n == 1 {
			s.ring()
		}
		return done(s.clock()), nil
	}
	s.play()
	require.Equal(t, 1, seen)
	require.Len(t, s.looks, 2)
}

func TestRun_ContinueAsNewSuggested_OnlyWithoutFlightsAndRings(t *testing.T) {
	s := newStage(t)
	s.env.SetContinueAsNewSuggested(true)
	ended := false
	s.act = func(policy.Step, int32) (bool, error) { s.ring(); ended = true; return false, nil }
	s.look = func(n int) (policy.Plan, error) {
		if n == 1 {
			return in(s.clock(), time.Hour, due("a")), nil
		}
		if n == 2 {
			s.ring()
		}
		return in(s.clock(), time.Hour), nil
	}
	s.playToEnd()
	var next *workflow.ContinueAsNewError
	require.ErrorAs(t, s.env.GetWorkflowError(), &next)
	require.Equal(t, someone.Kind, next.WorkflowType.Name)
	require.True(t, ended)
	require.Len(t, s.looks, 3, "the ring during the second plan was looked at first")
}

func TestRun_TwoDueSteps_RunSideBySide(t *testing.T) {
	s := newStage(t)
	var together atomic.Int32
	both := make(chan struct{})
	s.act = func(policy.Step, int32) (bool, error) {
		if together.Add(1) == 2 {
			close(both)
		}
		select {
		case <-both:
			return true, nil
		case <-time.After(5 * time.Second):
			return false, errors.New("the other step was not started beside this one")
		}
	}
	s.look = func(n int) (policy.Plan, error) {
		if n == 1 {
			return only(s.clock(), due("a"), due("b")), nil
		}
		return done(s.clock()), nil
	}
	s.play()
	require.ElementsMatch(t, []string{"a", "b"}, s.first())
}

func TestRun_KeyInFlight_IsNotStartedAgain(t *testing.T) {
	s := newStage(t)
	finish := make(chan struct{})
	s.act = func(step policy.Step, _ int32) (bool, error) {
		if step.Key == "slow" {
			s.ring()
			<-finish
		}
		return false, nil
	}
	s.look = func(n int) (policy.Plan, error) {
		switch n {
		case 1:
			return only(s.clock(), due("slow")), nil
		case 2, 3, 4: // still due as the facts have it
			s.ring()
			return only(s.clock(), due("slow"), due("slow"), due("quick")), nil
		case 5:
			close(finish)
		}
		return done(s.clock()), nil
	}
	s.play()
	slow := 0
	for _, key := range s.first() {
		if key == "slow" {
			slow++
		}
	}
	require.Equal(t, 1, slow)
}

func TestRun_CancelWhileStepRetries_SeenAtOnce(t *testing.T) {
	s := newStage(t)
	// Attempts fail at 0 s, 0.5 s and 1.5 s; the client cancels between the first two.
	s.act = func(policy.Step, int32) (bool, error) { return false, errors.New("the gateway is away") }
	s.ringAt(300 * time.Millisecond)
	s.look = func(n int) (policy.Plan, error) {
		if n == 1 {
			return in(s.clock(), time.Hour, due("a")), nil
		}
		return done(s.clock()), nil
	}
	s.play()
	require.Equal(t, []time.Duration{0, 300 * time.Millisecond, 31500 * time.Millisecond}, s.looks,
		"seen beside the waiting step, and once more because that gave up")
	require.Equal(t, []string{"a"}, s.first())
}

func TestRun_StepAsksAgain_PlansAtOnce(t *testing.T) {
	s := newStage(t)
	s.act = func(policy.Step, int32) (bool, error) { return true, nil }
	s.look = func(n int) (policy.Plan, error) {
		if n == 1 {
			return in(s.clock(), time.Hour, due("a")), nil
		}
		return done(s.clock()), nil
	}
	s.play()
	require.Equal(t, []time.Duration{0, 0}, s.looks)
}

func TestRun_StepAsksForEver_BacksOff(t *testing.T) {
	s := newStage(t)
	s.act = func(policy.Step, int32) (bool, error) { return true, nil }
	s.look = func(n int) (policy.Plan, error) {
		if n == 10 {
			return done(s.clock()), nil
		}
		return only(s.clock(), due("a")), nil
	}
	s.play()
	require.Equal(t, []time.Duration{30 * time.Second, time.Minute, 2 * time.Minute, 4 * time.Minute}, s.waits)
}

// That the run waits for the call is proved on the real server, in the path "cancelled": skipped time has no such wait.
func TestRun_OperatorCancelsDuringStep_EndsCancelled(t *testing.T) {
	s := newStage(t)
	s.act = func(policy.Step, int32) (bool, error) {
		s.env.CancelWorkflow()
		return true, nil
	}
	s.look = func(n int) (policy.Plan, error) {
		if n > 1 {
			return policy.Plan{}, errors.New("planned in a cancelled run")
		}
		return in(s.clock(), time.Hour, due("a")), nil
	}
	s.playToEnd()
	var cancelled *temporal.CanceledError
	require.ErrorAs(t, s.env.GetWorkflowError(), &cancelled)
	require.Len(t, s.looks, 1)
}

func TestRun_OperatorCancelsWhileItWaits_EndsCancelled(t *testing.T) {
	s := newStage(t)
	s.look = func(int) (policy.Plan, error) { return in(s.clock(), time.Hour), nil }
	s.env.RegisterDelayedCallback(s.env.CancelWorkflow, time.Minute)
	s.playToEnd()
	var cancelled *temporal.CanceledError
	require.ErrorAs(t, s.env.GetWorkflowError(), &cancelled)
	require.Len(t, s.looks, 1)
}

func TestRun_KindOfALaterRelease_GoesToTheDefaultQueue(t *testing.T) {
	s := newStage(t)
	var seen activity.Info
	s.env.RegisterActivityWithOptions(func(ctx context.Context, _ policy.Subject, _ policy.Step) (bool, error) {
		seen = activity.GetInfo(ctx)
		return false, nil
	}, activity.RegisterOptions{Name: "KindOfALaterRelease"})
	s.look = func(n int) (policy.Plan, error) {
		if n == 1 {
			return in(s.clock(), time.Hour, policy.Step{Key: "x", Kind: "KindOfALaterRelease"}), nil
		}
		return done(s.clock()), nil
	}
	s.play()
	require.Equal(t, workflows.QueueJourneys, seen.TaskQueue)
	require.Equal(t, 13*time.Second, seen.StartToCloseTimeout)
}
