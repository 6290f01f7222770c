package wake

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"

	"github.com/kept-practice/kept/db"
	"github.com/kept-practice/kept/internal/policy"
	"github.com/kept-practice/kept/workflows"
)

func anyone(kind string) policy.Subject {
	return policy.Subject{Practice: db.NewID(), Kind: kind, ID: db.NewID()}
}

func TestRing_ReachesTheRunOrStartsIt(t *testing.T) {
	t.Parallel()
	f := &bell{}
	s := anyone(policy.KindRecall)
	require.NoError(t, NewRinger(f, nil).Ring(context.Background(), s, "recall_started x"))
	require.Equal(t, []policy.Subject{s}, f.all())
	require.Equal(t, []string{"recall_started x"}, f.labels)
	o := f.starts[0]
	require.Equal(t, workflows.QueueJourneys, o.TaskQueue)
	require.Equal(t, enums.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE, o.WorkflowIDReusePolicy)
	require.Equal(t, enums.WORKFLOW_ID_CONFLICT_POLICY_USE_EXISTING, o.WorkflowIDConflictPolicy)
	practice, ok := o.TypedSearchAttributes.GetKeyword(practiceAttribute)
	require.True(t, ok)
	require.Equal(t, s.Practice.String(), practice)
}

func TestRestart_EndsTheRunFirst_AndARunThatIsGoneIsNoError(t *testing.T) {
	t.Parallel()
	f := &gone{}
	s := anyone(policy.KindJourney)
	require.NoError(t, NewRinger(f, nil).Restart(context.Background(), s, "rewake"))
	require.Equal(t, []string{s.WorkflowID()}, f.ended)
	require.Equal(t, 1, f.times(s))
}

// gone has no run of anything.
type gone struct{ bell }

func (g *gone) TerminateWorkflow(ctx context.Context, id, run, reason string, details ...any) error {
	if err := g.bell.TerminateWorkflow(ctx, id, run, reason, details...); err != nil {
		return err
	}
	return serviceerror.NewNotFound("no such run")
}

func TestPool_RingsBesideItsCaller(t *testing.T) {
	t.Parallel()
	rung := make(chan policy.Subject, 3)
	p := NewPool(NewRinger(&bell{rung: func(s policy.Subject) { rung <- s }}, nil), quiet)
	a, b := anyone(policy.KindJourney), anyone(policy.KindRecall)
	p.RingAs("appointment_booked", a, b)
	require.ElementsMatch(t, []policy.Subject{a, b}, []policy.Subject{<-rung, <-rung})
	p.Close()
}

func TestPool_TemporalHangs_CallersNeverWait_AndTheRestIsDropped(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	f := &bell{fail: func(policy.Subject) error {
		<-release
		return serviceerror.NewUnavailable("hanging")
	}}
	p := NewPool(NewRinger(f, nil), quiet)
	began := time.Now()
	for range poolQueue + poolWorkers + 1000 {
		p.Ring(anyone(policy.KindJourney))
	}
	require.Less(t, time.Since(began), 500*time.Millisecond)
	close(release)
	p.Close()
	p.Close()
	p.Ring(anyone(policy.KindJourney)) // after the end: dropped, no panic
	require.Empty(t, f.all())
}
