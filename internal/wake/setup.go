package wake

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/operatorservice/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/kept-practice/kept/workflows"
)

// PracticeAttribute is the one search attribute: an opaque id, so that an operator can list a practice's runs.
const PracticeAttribute = "PracticeId"

// Retention is how long Temporal keeps closed runs; the journal keeps their story for ever.
const Retention = 14 * 24 * time.Hour

// ScheduleSweep is the id of the schedule that sweeps the live practices.
const ScheduleSweep = "sweep"

var practiceAttribute = temporal.NewSearchAttributeKeyKeyword(PracticeAttribute)

// EnsureTemporal makes what lives only in Temporal and is missing: the namespace, the search attribute, the schedule. What
// is there stays as it is, an operator's changes included. It tries again, every 2 s at last, until Temporal answers or
// the context ends; an answer that trying again cannot mend is returned at once with what to do.
func EnsureTemporal(ctx context.Context, options client.Options, log *slog.Logger) error {
	c, err := client.NewLazyClient(options)
	if err != nil {
		return fmt.Errorf("Temporal options: %w", err)
	}
	defer c.Close()
	namespace := options.Namespace
	if namespace == "" {
		namespace = client.DefaultNamespace
	}
	said := ""
	for wait := 250 * time.Millisecond; ; wait = min(2*wait, 2*time.Second) {
		err := ensure(ctx, c, namespace)
		var hopeless *setupError
		if err == nil || errors.As(err, &hopeless) {
			return err
		}
		if said != err.Error() {
			said = err.Error()
			log.Info("Temporal is not ready yet; trying again", "error", err)
		}
		if waitErr := pause(ctx, wait); waitErr != nil {
			return errors.Join(waitErr, err)
		}
	}
}

// setupError is one that a person must mend.
type setupError struct {
	what  string
	cause error
}

func (e *setupError) Error() string { return e.what + ": " + e.cause.Error() }
func (e *setupError) Unwrap() error { return e.cause }

func ensure(ctx context.Context, c client.Client, namespace string) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	if err := ensureNamespace(ctx, c, namespace); err != nil {
		return err
	}
	if err := ensureAttribute(ctx, c, namespace); err != nil {
		return err
	}
	return ensureSchedule(ctx, c)
}

func ensureNamespace(ctx context.Context, c client.Client, namespace string) error {
	_, err := c.WorkflowService().DescribeNamespace(ctx, &workflowservice.DescribeNamespaceRequest{Namespace: namespace})
	var missing *serviceerror.NamespaceNotFound
	var notFound *serviceerror.NotFound
	if !errors.As(err, &missing) && !errors.As(err, &notFound) {
		return err
	}
	_, err = c.WorkflowService().RegisterNamespace(ctx, &workflowservice.RegisterNamespaceRequest{
		Namespace: namespace, WorkflowExecutionRetentionPeriod: durationpb.New(Retention),
	})
	var exists *serviceerror.NamespaceAlreadyExists
	if errors.As(err, &exists) {
		return nil
	}
	return refused(err, fmt.Sprintf("create the Temporal namespace %q (retention 14 days) by hand, this connection may not", namespace))
}

func ensureAttribute(ctx context.Context, c client.Client, namespace string) error {
	list, err := c.OperatorService().ListSearchAttributes(ctx, &operatorservice.ListSearchAttributesRequest{Namespace: namespace})
	byHand := "add the search attribute " + PracticeAttribute + " (Keyword) to the Temporal namespace by hand, this connection may not"
	if err != nil {
		return refused(err, byHand)
	}
	if _, there := list.GetCustomAttributes()[PracticeAttribute]; there {
		return nil
	}
	_, err = c.OperatorService().AddSearchAttributes(ctx, &operatorservice.AddSearchAttributesRequest{
		Namespace:        namespace,
		SearchAttributes: map[string]enums.IndexedValueType{PracticeAttribute: enums.INDEXED_VALUE_TYPE_KEYWORD},
	})
	var exists *serviceerror.AlreadyExists
	if errors.As(err, &exists) {
		return nil
	}
	return refused(err, byHand)
}

func ensureSchedule(ctx context.Context, c client.Client) error {
	if _, err := c.ScheduleClient().GetHandle(ctx, ScheduleSweep).Describe(ctx); err == nil {
		return nil
	}
	_, err := c.ScheduleClient().Create(ctx, client.ScheduleOptions{
		ID:            ScheduleSweep,
		Spec:          client.ScheduleSpec{Intervals: []client.ScheduleIntervalSpec{{Every: 15 * time.Minute}}},
		Overlap:       enums.SCHEDULE_OVERLAP_POLICY_SKIP,
		CatchupWindow: time.Minute,
		Action: &client.ScheduleWorkflowAction{
			ID: ScheduleSweep, Workflow: WorkflowSweep, TaskQueue: workflows.QueueJourneys,
		},
	})
	if errors.Is(err, temporal.ErrScheduleAlreadyRunning) {
		return nil
	}
	return err
}

// refused marks an error that only a person with more rights can mend.
func refused(err error, what string) error {
	var denied *serviceerror.PermissionDenied
	var unknown *serviceerror.Unimplemented
	if errors.As(err, &denied) || errors.As(err, &unknown) {
		return &setupError{what, err}
	}
	return err
}
