package wake

import (
	"context"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"github.com/kept-practice/kept/db"
	"github.com/kept-practice/kept/internal/policy"
	"github.com/kept-practice/kept/workflows"
)

// TestLive_TemporalServer runs against a real server, in a namespace of its own that it makes.
func TestLive_TemporalServer(t *testing.T) {
	t.Parallel()
	address := os.Getenv("KEPT_TEST_TEMPORAL")
	if address == "" {
		t.Skip("KEPT_TEST_TEMPORAL is not set: no Temporal server to run against; make test sets it")
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	options := client.Options{HostPort: address, Namespace: "wake-" + db.NewID().String(), Logger: log.NewStructuredLogger(quiet)}
	require.NoError(t, EnsureTemporal(ctx, options, quiet))
	require.NoError(t, EnsureTemporal(ctx, options, quiet), "nothing to do the second time")
	c, err := client.Dial(options)
	require.NoError(t, err)
	defer c.Close()

	namespace, err := c.WorkflowService().DescribeNamespace(ctx, &workflowservice.DescribeNamespaceRequest{Namespace: options.Namespace})
	require.NoError(t, err)
	require.Equal(t, Retention, namespace.GetConfig().GetWorkflowExecutionRetentionTtl().AsDuration())
	schedule, err := c.ScheduleClient().GetHandle(ctx, ScheduleSweep).Describe(ctx)
	require.NoError(t, err)
	require.Equal(t, 15*time.Minute, schedule.Schedule.Spec.Intervals[0].Every)

	b := newBench(t)
	recall := b.recall(b.live, "2026-01-01")
	ringer := NewRinger(c, nil)
	s := b.subject(b.live, policy.KindJourney, ``)
	require.Eventually(t, func() bool { // a new namespace is known everywhere after some seconds
		return ringer.Ring(ctx, s, "appointment_booked") == nil
	}, 30*time.Second, 200*time.Millisecond)

	w := worker.New(c, workflows.QueueJourneys, worker.Options{})
	w.RegisterWorkflowWithOptions(listen, workflow.RegisterOptions{Name: policy.KindJourney})
	RegisterSweep(w, NewSweeper(b.store, time.Nanosecond))
	require.NoError(t, w.Start())
	defer w.Stop()

	t.Run("rings reach the run that is there", func(t *testing.T) {
		require.Eventually(t, func() bool { // a ring has a second; one that came too late for its answer may have arrived
			return ringer.Ring(ctx, s, "appointment_moved") == nil
		}, 30*time.Second, 200*time.Millisecond)
		require.Equal(t, []string{"appointment_booked", "appointment_moved"}, heard(ctx, t, c, s, 2))
		run, err := c.DescribeWorkflowExecution(ctx, s.WorkflowID(), "")
		require.NoError(t, err)
		require.Equal(t, policy.KindJourney, run.GetWorkflowExecutionInfo().GetType().GetName())
		practice := run.GetWorkflowExecutionInfo().GetSearchAttributes().GetIndexedFields()[PracticeAttribute]
		require.Equal(t, `"`+b.live.ID.String()+`"`, string(practice.GetData()))
	})
	t.Run("the relay heals a run that an operator ended", func(t *testing.T) {
		require.NoError(t, c.TerminateWorkflow(ctx, s.WorkflowID(), "", "by hand"))
		b.fact(s, 3*time.Second)
		n, err := NewRelay(b.store, ringer, quiet).Turn(ctx)
		require.NoError(t, err)
		require.Equal(t, 1, n)
		require.Equal(t, []string{"appointment_booked"}, heard(ctx, t, c, s, 1))
	})
	t.Run("rewake with restart begins each run afresh", func(t *testing.T) {
		n, err := Rewake(ctx, b.store, ringer, RewakeOptions{Restart: true})
		require.NoError(t, err)
		require.Equal(t, 1, n)
		require.Equal(t, []string{"rewake"}, heard(ctx, t, c, s, 1))
	})
	t.Run("the schedule's sweep starts what is due", func(t *testing.T) {
		require.NoError(t, c.ScheduleClient().GetHandle(ctx, ScheduleSweep).Trigger(ctx, client.ScheduleTriggerOptions{
			Overlap: enums.SCHEDULE_OVERLAP_POLICY_SKIP,
		}))
		require.Eventually(t, func() bool {
			return b.count(`select count(*) from outbox where subject_kind = 'recall' and subject_id = $1`, recall) == 1
		}, 20*time.Second, 50*time.Millisecond)
	})
}

// listen remembers the labels of its rings until it is ended.
func listen(ctx workflow.Context, _ policy.Subject) error {
	labels := []string{}
	if err := workflow.SetQueryHandler(ctx, "labels", func() ([]string, error) { return labels, nil }); err != nil {
		return err
	}
	for {
		var label string
		workflow.GetSignalChannel(ctx, workflows.SignalWake).Receive(ctx, &label)
		labels = append(labels, label)
	}
}

// heard waits until the subject's present run was rung for n reasons, and gives each once.
func heard(ctx context.Context, t *testing.T, c client.Client, s policy.Subject, n int) []string {
	t.Helper()
	var labels []string
	require.Eventually(t, func() bool {
		answer, err := c.QueryWorkflow(ctx, s.WorkflowID(), "", "labels")
		if err != nil || answer.Get(&labels) != nil {
			return false
		}
		labels = slices.Compact(labels)
		return len(labels) == n
	}, 20*time.Second, 50*time.Millisecond, "%v", labels)
	return labels
}
