package wake

import (
	"context"
	"fmt"
	"time"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"
)

// Registered names of the sweep's run and its one activity.
const (
	WorkflowSweep = "sweep"
	ActivitySweep = "SweepLive"
)

// RegisterSweep registers the sweep's run and activity on a worker of workflows.QueueJourneys.
func RegisterSweep(r worker.Registry, s *Sweeper) {
	r.RegisterWorkflowWithOptions(SweepWorkflow, workflow.RegisterOptions{Name: WorkflowSweep})
	r.RegisterActivityWithOptions(func(ctx context.Context) (Swept, error) { return s.SweepLive(ctx) },
		activity.RegisterOptions{Name: ActivitySweep})
}

// SweepWorkflow is one sweep of the live practices. What it could not start, the next one 15 minutes later will.
func SweepWorkflow(ctx workflow.Context) error {
	ctx = workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		StartToCloseTimeout:    10 * time.Minute,
		ScheduleToCloseTimeout: 14 * time.Minute,
		RetryPolicy:            &temporal.RetryPolicy{InitialInterval: 5 * time.Second, MaximumInterval: time.Minute, MaximumAttempts: 3},
		Summary:                "Recalls and collections that have come due",
	})
	var swept Swept
	if err := workflow.ExecuteActivity(ctx, ActivitySweep).Get(ctx, &swept); err != nil {
		return err
	}
	workflow.SetCurrentDetails(ctx, fmt.Sprintf("Practices: %d. Started: %d recalls, %d collections.",
		swept.Practices, swept.Recalls, swept.Collections))
	return nil
}
