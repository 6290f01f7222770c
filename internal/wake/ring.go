// Package wake rings. It is the only room with a Temporal client: the relay heals lost rings, the sweep starts what has
// come due in tables, test clocks step from one due thing to the next, and the monitor says what is overdue.
package wake

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"

	"github.com/kept-practice/kept/internal/policy"
	"github.com/kept-practice/kept/workflows"
)

// ringDeadline bounds one ring. A run that is just closing answers after seconds; the relay rings it again.
const ringDeadline = time.Second

// Temporal is the part of client.Client that ringing needs.
type Temporal interface {
	SignalWithStartWorkflow(ctx context.Context, workflowID, signalName string, signalArg any,
		options client.StartWorkflowOptions, workflow any, workflowArgs ...any) (client.WorkflowRun, error)
	TerminateWorkflow(ctx context.Context, workflowID, runID, reason string, details ...any) error
}

// Ringer tells runs to look again. A ring carries no data: lost, doubled, late and reordered ones are harmless.
type Ringer struct {
	temporal Temporal
	metrics  *Metrics
}

// NewRinger takes a lazy client, so that it can be made while Temporal is away. Metrics may be nil.
func NewRinger(t Temporal, m *Metrics) *Ringer {
	if m == nil {
		m = NewMetrics(nil)
	}
	return &Ringer{temporal: t, metrics: m}
}

// Ring signals the subject's run, or starts one, within a second. The label (journal verb and entry id) is for the reader
// of the history. An unknown or closed subject is rung without harm: its run finds nothing due and ends.
func (r *Ringer) Ring(ctx context.Context, s policy.Subject, label string) error {
	ctx, cancel := context.WithTimeout(ctx, ringDeadline)
	defer cancel()
	began := time.Now()
	_, err := r.temporal.SignalWithStartWorkflow(ctx, s.WorkflowID(), workflows.SignalWake, label, client.StartWorkflowOptions{
		TaskQueue:                workflows.QueueJourneys,
		WorkflowIDReusePolicy:    enums.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE,
		WorkflowIDConflictPolicy: enums.WORKFLOW_ID_CONFLICT_POLICY_USE_EXISTING,
		TypedSearchAttributes:    temporal.NewSearchAttributes(practiceAttribute.ValueSet(s.Practice.String())),
	}, s.Kind, s)
	r.metrics.ringSeconds.Observe(time.Since(began).Seconds())
	if err != nil {
		r.metrics.rings.WithLabelValues("failed").Inc()
		return fmt.Errorf("ring %s: %w", s.WorkflowID(), err)
	}
	r.metrics.rings.WithLabelValues("ok").Inc()
	return nil
}

// Restart ends the subject's run, where there is one, and starts it afresh; facts and effects stay as they are.
func (r *Ringer) Restart(ctx context.Context, s policy.Subject, label string) error {
	limited, cancel := context.WithTimeout(ctx, ringDeadline)
	defer cancel()
	err := r.temporal.TerminateWorkflow(limited, s.WorkflowID(), "", "restarted: facts stay, the new run plans from them")
	var gone *serviceerror.NotFound
	if err != nil && !errors.As(err, &gone) {
		return fmt.Errorf("end the run of %s: %w", s.WorkflowID(), err)
	}
	return r.Ring(ctx, s, label)
}

// unreached tells that a ring did not get to Temporal at all, or nobody knows; it says nothing about its subject.
func unreached(err error) bool {
	var (
		unavailable *serviceerror.Unavailable
		deadline    *serviceerror.DeadlineExceeded
		namespace   *serviceerror.NamespaceNotFound
	)
	return errors.Is(err, context.DeadlineExceeded) || errors.As(err, &unavailable) || errors.As(err, &deadline) ||
		errors.As(err, &namespace)
}

// unprepared tells of a ring that a Temporal made anew may refuse for seconds: its frontend does not know of our search
// attribute yet.
func unprepared(err error) bool {
	var invalid *serviceerror.InvalidArgument
	return errors.As(err, &invalid)
}
