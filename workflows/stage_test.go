package workflows_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/testsuite"

	"github.com/kept-practice/kept/internal/policy"
	"github.com/kept-practice/kept/workflows"
)

var someone = policy.Subject{
	Practice: policy.MustID("01900000-0000-7000-8000-000000000001"),
	Kind:     policy.KindJourney,
	ID:       policy.MustID("01900000-0000-7000-8000-000000000002"),
}

// stage plays one run with skipped time. look answers each plan (1 for the first call), act each attempt of a step; both
// may call the stage's own methods. What happened is read after play.
type stage struct {
	t   *testing.T
	env *testsuite.TestWorkflowEnvironment
	mu  sync.Mutex

	look func(n int) (policy.Plan, error)
	act  func(step policy.Step, attempt int32) (again bool, err error)

	looks  []time.Duration // when each plan was made, since the start
	starts []start         // attempts of steps
	waits  []time.Duration // lengths of the timers set by the run, tries of a failed plan left out
	undone int             // timers taken back
	began  time.Time
	rungAt []time.Duration
}

type start struct {
	key     string
	at      time.Duration
	attempt int32
}

func newStage(t *testing.T) *stage {
	t.Helper()
	var suite testsuite.WorkflowTestSuite
	suite.SetLogger(quiet())
	s := &stage{t: t, env: suite.NewTestWorkflowEnvironment()}
	s.act = func(policy.Step, int32) (bool, error) { return false, nil }
	workflows.Register(s.env)
	s.env.RegisterActivityWithOptions(s.plan, activity.RegisterOptions{Name: workflows.ActivityPlan})
	for _, kind := range workflows.StepKinds() {
		s.env.RegisterActivityWithOptions(s.step, activity.RegisterOptions{Name: kind.Name})
	}
	s.env.SetOnTimerScheduledListener(func(_ string, d time.Duration) {
		if d >= time.Second {
			s.waits = append(s.waits, d)
		}
	})
	s.env.SetOnTimerCanceledListener(func(string) { s.undone++ })
	s.env.SetTestTimeout(20 * time.Second)
	return s
}

// play runs the subject to its end, and fails the test when that end is a failure.
func (s *stage) play() {
	s.t.Helper()
	s.playToEnd()
	require.NoError(s.t, s.env.GetWorkflowError())
}

func (s *stage) playToEnd() {
	s.t.Helper()
	s.began = s.env.Now()
	s.env.ExecuteWorkflow(someone.Kind, someone)
	require.True(s.t, s.env.IsWorkflowCompleted(), "the run did not end")
}

func (s *stage) plan(_ context.Context, subject policy.Subject) (policy.Plan, error) {
	s.mu.Lock()
	s.looks = append(s.looks, s.now())
	n := len(s.looks)
	s.mu.Unlock()
	if subject != someone {
		return policy.Plan{}, fmt.Errorf("planned for %v", subject)
	}
	return s.look(n)
}

func (s *stage) step(ctx context.Context, _ policy.Subject, step policy.Step) (bool, error) {
	attempt := activity.GetInfo(ctx).Attempt
	s.mu.Lock()
	s.starts = append(s.starts, start{key: step.Key, at: s.now(), attempt: attempt})
	s.mu.Unlock()
	return s.act(step, attempt)
}

// now is the time since the start, on the run's clock.
func (s *stage) now() time.Duration { return s.env.Now().Sub(s.began) }

// clock is the same as an instant, for plans.
func (s *stage) clock() time.Time { return s.env.Now() }

func (s *stage) ring() {
	s.mu.Lock()
	s.rungAt = append(s.rungAt, s.now())
	s.mu.Unlock()
	s.env.SignalWorkflow(workflows.SignalWake, "appointment.moved jrn_1")
}

func (s *stage) ringAt(after time.Duration) { s.env.RegisterDelayedCallback(s.ring, after) }

// first lists the keys of first attempts, in order.
func (s *stage) first() []string {
	var keys []string
	for _, st := range s.starts {
		if st.attempt == 1 {
			keys = append(keys, st.key)
		}
	}
	return keys
}

// due is a step that is due now.
func due(key string) policy.Step {
	return policy.Step{Key: key, Kind: policy.StepSendMail, Summary: "Reminder · 24 h before · e-mail"}
}

// in is a plan that waits for an instant on the practice's clock.
func in(now time.Time, wait time.Duration, steps ...policy.Step) policy.Plan {
	wake := now.Add(wait)
	return policy.Plan{Due: steps, Now: now, RealNow: now, WakeAt: &wake}
}

// only is a plan without any wait: nothing but a ring or one of its steps wakes the run.
func only(now time.Time, steps ...policy.Step) policy.Plan {
	return policy.Plan{Due: steps, Now: now, RealNow: now}
}

func done(now time.Time) policy.Plan { return policy.Plan{Now: now, RealNow: now, Done: true} }
