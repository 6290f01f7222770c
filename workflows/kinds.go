// Package workflows waits. One level-triggered run per subject asks the plan what is due, starts it, and waits for the
// next wake. It reads no clock and holds no data: facts live in PostgreSQL, and a run can be thrown away at any time.
package workflows

import (
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/kept-practice/kept/internal/policy"
)

// SignalWake is the name of a ring. Its payload is a label for the reader of the history; runs never look at it.
const SignalWake = "wake"

// ActivityPlan is the registered name of the local activity that looks at the facts:
// func(context.Context, policy.Subject) (policy.Plan, error).
const ActivityPlan = "Plan"

// Task queues. Rings start runs on QueueJourneys; a step's queue follows from its kind.
const (
	QueueJourneys = "kept-journeys" // runs, their plans, and steps that only touch PostgreSQL
	QueueStripe   = "kept-stripe"
	QueueMail     = "kept-mail"
	QueueSMS      = "kept-sms"
)

// Queue is a task queue that a worker must serve. PerSecond limits the starts of its activities over all workers; 0 is
// no limit.
type Queue struct {
	Name      string
	PerSecond float64
}

// StepKind is how one kind of step runs. The activity has the shape
// func(context.Context, policy.Subject, policy.Step) (again bool, err error).
type StepKind struct {
	Name            string
	TaskQueue       string
	ScheduleToStart time.Duration // no worker took it: its attempts count as used up, and the facts are looked at again
	StartToClose    time.Duration // without heartbeats this is how a crashed worker is noticed; a call takes 10 s at most
	MaximumAttempts int32         // patience is a fact (next_at), not a retry policy
}

// SubjectKinds lists the kinds of subject that have runs; a kind is the name of its workflow type.
func SubjectKinds() []string {
	return []string{policy.KindJourney, policy.KindCollection, policy.KindRecall}
}

// Queues lists what `kept worker` serves. Stripe allows 25 calls a second per endpoint; a fifth stays free for people.
func Queues() []Queue {
	return []Queue{
		{Name: QueueJourneys},
		{Name: QueueStripe, PerSecond: 20},
		{Name: QueueMail},
		{Name: QueueSMS},
	}
}

// StepKinds lists every kind of step that runs outside the plan, for the check that each has a registered activity.
func StepKinds() []StepKind {
	return []StepKind{
		step(policy.StepSendMail, QueueMail),
		step(policy.StepSendSMS, QueueSMS),
		step(policy.StepChargeCard, QueueStripe),
	}
}

// step gives a call its 10 s and its record 3 more: a step whose worker was killed is in other hands within 15 s.
func step(name, queue string) StepKind {
	return StepKind{
		Name: name, TaskQueue: queue,
		ScheduleToStart: 10 * time.Minute, StartToClose: 13 * time.Second, MaximumAttempts: 3,
	}
}

// KindOf returns how a kind of step runs. An unknown kind, named by a planner newer than this worker, goes to
// QueueJourneys with the usual limits: a newer worker may know it, and if none does the run backs off.
func KindOf(name string) StepKind {
	for _, kind := range StepKinds() {
		if kind.Name == name {
			return kind
		}
	}
	return step(name, QueueJourneys)
}

// options are the activity options of a kind. WaitForCancellation makes a cancelled run wait for the calls that are
// under way (StartToClose at most) while the server withdraws those that no worker has taken yet.
func (k StepKind) options(summary string) workflow.ActivityOptions {
	return workflow.ActivityOptions{
		TaskQueue:              k.TaskQueue,
		ScheduleToStartTimeout: k.ScheduleToStart,
		StartToCloseTimeout:    k.StartToClose,
		WaitForCancellation:    true,
		RetryPolicy: &temporal.RetryPolicy{
			InitialInterval: 500 * time.Millisecond, BackoffCoefficient: 2, MaximumInterval: 10 * time.Second,
			MaximumAttempts: k.MaximumAttempts,
		},
		Summary: summary,
	}
}

// planOptions give a plan three tries within 7 s: below the 8 s at which the SDK would begin to heartbeat the workflow
// task, and the count is bounded too, since the SDK compares the 7 s across the server's and the worker's clocks.
func planOptions(summary string) workflow.LocalActivityOptions {
	return workflow.LocalActivityOptions{
		ScheduleToCloseTimeout: 7 * time.Second,
		StartToCloseTimeout:    5 * time.Second,
		RetryPolicy: &temporal.RetryPolicy{
			InitialInterval: 500 * time.Millisecond, BackoffCoefficient: 2, MaximumAttempts: 3,
		},
		Summary: summary,
	}
}

// Registry is the part of a worker that Register needs; test environments and replayers have it too.
type Registry interface {
	RegisterWorkflowWithOptions(w any, options workflow.RegisterOptions)
}

// Register registers Run as the workflow type of each kind of subject.
func Register(r Registry) {
	for _, kind := range SubjectKinds() {
		r.RegisterWorkflowWithOptions(Run, workflow.RegisterOptions{Name: kind})
	}
}
