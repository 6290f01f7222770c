package workflows_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"
	historypb "go.temporal.io/api/history/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/worker"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/kept-practice/kept/internal/policy"
	"github.com/kept-practice/kept/workflows"
)

// serverEnv names a Temporal frontend for the tests that need a real one; each of them uses a namespace of its own.
const serverEnv = "KEPT_TEST_TEMPORAL"

// server is a namespace of its own on the real Temporal server.
type server struct {
	t         *testing.T
	address   string
	namespace string
	temporal  client.Client
}

func newServer(t *testing.T) *server {
	t.Helper()
	address := os.Getenv(serverEnv)
	if address == "" {
		t.Skipf("%s is not set: give the host:port of a Temporal server; make test sets it", serverEnv)
	}
	s := &server{t: t, address: address, namespace: fmt.Sprintf("kept-test-%d", time.Now().UnixNano())}
	s.temporal = s.dial()
	frontend := s.temporal.WorkflowService()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	_, err := frontend.RegisterNamespace(ctx, &workflowservice.RegisterNamespaceRequest{
		Namespace: s.namespace, WorkflowExecutionRetentionPeriod: durationpb.New(24 * time.Hour),
	})
	require.NoError(t, err, "make a namespace for the test on %s", address)
	require.Eventually(t, func() bool {
		_, err := s.temporal.DescribeTaskQueue(t.Context(), workflows.QueueJourneys, enumspb.TASK_QUEUE_TYPE_WORKFLOW)
		return err == nil
	}, 30*time.Second, 100*time.Millisecond, "the namespace did not become usable")
	return s
}

// dial connects to the namespace; it fails the test when nobody answers.
func (s *server) dial(options ...grpc.DialOption) client.Client {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), 10*time.Second)
	defer cancel()
	c, err := client.DialContext(ctx, client.Options{
		HostPort: s.address, Namespace: s.namespace, Identity: "test",
		Logger:            quiet(),
		ConnectionOptions: client.ConnectionOptions{DialOptions: options},
	})
	require.NoError(s.t, err, "%s=%s: no Temporal server answers there; start one or unset the variable", serverEnv, s.address)
	s.t.Cleanup(c.Close)
	return c
}

// serve starts a worker for a queue, for runs and their plans or for steps, and stops it at the end of the test.
func (s *server) serve(c client.Client, queue string, runs bool, register func(worker.Worker)) {
	s.t.Helper()
	w := worker.New(c, queue, worker.Options{
		LocalActivityWorkerOnly: runs, DisableWorkflowWorker: !runs,
		MaxConcurrentWorkflowTaskPollers: 8, MaxConcurrentActivityTaskPollers: 8, WorkerStopTimeout: time.Second,
	})
	register(w)
	require.NoError(s.t, w.Start())
	s.t.Cleanup(w.Stop)
}

// ring reaches the run of a subject, or starts one, as the relay does: until the server has taken it. While a run whose
// close was refused has a task open, the server takes no ring and the SDK waits ever longer to ask again; hence the
// short deadline. The pause keeps a crowd of rings from holding a tired server down.
func ring(ctx context.Context, c client.Client, queue string, subject policy.Subject) error {
	for {
		attempt, cancel := context.WithTimeout(ctx, 2*time.Second)
		_, err := c.SignalWithStartWorkflow(attempt, subject.WorkflowID(), workflows.SignalWake, "appointment.moved jrn_1",
			client.StartWorkflowOptions{TaskQueue: queue}, subject.Kind, subject)
		cancel()
		if err == nil {
			return nil
		}
		select {
		case <-time.After(200*time.Millisecond + rand.N(300*time.Millisecond)):
		case <-ctx.Done():
			return errors.Join(err, ctx.Err())
		}
	}
}

// history reads one run's events; an empty run id is the latest run.
func (s *server) history(c client.Client, id, run string) *historypb.History {
	s.t.Helper()
	var h historypb.History
	events := c.GetWorkflowHistory(s.t.Context(), id, run, false, enumspb.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	for events.HasNext() {
		event, err := events.Next()
		require.NoError(s.t, err)
		h.Events = append(h.Events, event)
	}
	return &h
}

// suggestContinueAsNew makes every workflow task but a run's first look as if the server suggested to continue as new,
// which by itself it does only after 4,096 events. A first one with it would make idle runs chase each other.
func suggestContinueAsNew(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
	if err := invoke(ctx, method, req, reply, cc, opts...); err != nil {
		return err
	}
	switch r := reply.(type) {
	case *workflowservice.PollWorkflowTaskQueueResponse:
		suggest(r.GetHistory())
	case *workflowservice.RespondWorkflowTaskCompletedResponse:
		suggest(r.GetWorkflowTask().GetHistory())
	case *workflowservice.GetWorkflowExecutionHistoryResponse:
		suggest(r.GetHistory())
	}
	return nil
}

func suggest(h *historypb.History) {
	for _, event := range h.GetEvents() {
		if started := event.GetWorkflowTaskStartedEventAttributes(); started != nil && event.GetEventId() > 4 {
			started.SuggestContinueAsNew = true
		}
	}
}
