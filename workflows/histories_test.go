package workflows_test

import (
	"context"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"
	historypb "go.temporal.io/api/history/v1"
	"go.temporal.io/api/temporalproto"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/worker"
	"google.golang.org/grpc"

	"github.com/kept-practice/kept/internal/policy"
	"github.com/kept-practice/kept/workflows"
)

// record adds the histories of TestHistories to the corpus that every later release must replay:
//
//	KEPT_TEST_TEMPORAL=127.0.0.1:7233 go test ./workflows -run Histories -record 0.1
var record = flag.String("record", "", "release under which to keep the histories of this run")

// path is one way through the runner, played on a real server.
type path struct {
	name   string
	look   func(p *play, n int) (policy.Plan, error) // n counts the calls, from 1
	act    func(p *play, n int) (bool, error)        // the same for attempts of steps
	ends   enumspb.EventType
	events map[enumspb.EventType]int // how many of a type the history holds; others are free
}

// play is a path under way.
type play struct {
	path
	ctx      context.Context
	temporal client.Client
	queue    string
	subject  policy.Subject
	mu       sync.Mutex
	looks    int
	acts     int
	reached  chan struct{} // closed by look or act to let the other go on
}

func (p *play) ring() error { return ring(p.ctx, p.temporal, p.queue, p.subject) }

func (p *play) plan() (policy.Plan, error) {
	p.mu.Lock()
	p.looks++
	n := p.looks
	p.mu.Unlock()
	return p.look(p, n)
}

func (p *play) step() (bool, error) {
	p.mu.Lock()
	p.acts++
	n := p.acts
	p.mu.Unlock()
	return p.act(p, n)
}

// await waits until the run's history has an event of that type.
func (p *play) await(kind enumspb.EventType) error {
	for p.ctx.Err() == nil {
		events := p.temporal.GetWorkflowHistory(p.ctx, p.subject.WorkflowID(), "", true, enumspb.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
		for events.HasNext() {
			event, err := events.Next()
			if err != nil {
				return err
			}
			if event.GetEventType() == kind {
				return nil
			}
		}
	}
	return p.ctx.Err()
}

var errAway = errors.New("PostgreSQL is away")

func paths() []path {
	return []path{
		{
			name: "happy",
			look: func(_ *play, n int) (policy.Plan, error) {
				switch n {
				case 1:
					return in(time.Now(), time.Second, due("a"), due("b")), nil
				case 2:
					return in(time.Now(), time.Hour, due("c")), nil
				}
				return done(time.Now()), nil
			},
			act:  func(_ *play, n int) (bool, error) { return n == 3, nil },
			ends: enumspb.EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED,
			events: map[enumspb.EventType]int{
				enumspb.EVENT_TYPE_ACTIVITY_TASK_COMPLETED: 3, enumspb.EVENT_TYPE_MARKER_RECORDED: 3,
				enumspb.EVENT_TYPE_TIMER_STARTED: 2, enumspb.EVENT_TYPE_TIMER_FIRED: 1,
			},
		},
		{
			name: "ring-during-step",
			look: func(p *play, n int) (policy.Plan, error) {
				if n == 1 {
					return in(time.Now(), time.Hour, due("a")), nil
				}
				close(p.reached)
				return done(time.Now()), nil
			},
			act: func(p *play, _ int) (bool, error) {
				if err := p.ring(); err != nil {
					return false, err
				}
				<-p.reached
				return false, nil
			},
			ends: enumspb.EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED,
			events: map[enumspb.EventType]int{
				enumspb.EVENT_TYPE_MARKER_RECORDED: 2, enumspb.EVENT_TYPE_ACTIVITY_TASK_COMPLETED: 1,
			},
		},
		{
			name: "plan-failed",
			look: func(p *play, n int) (policy.Plan, error) {
				switch n {
				case 1:
					return in(time.Now(), time.Hour), p.ring()
				case 2, 3:
					return policy.Plan{}, errAway
				case 4:
					return policy.Plan{}, errors.Join(errAway, p.ring())
				case 5: // the other try is taken back
					return in(time.Now(), time.Second), nil
				}
				return done(time.Now()), nil
			},
			ends: enumspb.EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED,
			events: map[enumspb.EventType]int{
				enumspb.EVENT_TYPE_MARKER_RECORDED: 4, enumspb.EVENT_TYPE_TIMER_STARTED: 3,
				enumspb.EVENT_TYPE_TIMER_CANCELED: 2, enumspb.EVENT_TYPE_TIMER_FIRED: 1,
			},
		},
		{
			name: "timer-moved",
			look: func(p *play, n int) (policy.Plan, error) {
				switch n {
				case 1:
					return in(time.Now(), time.Hour), p.ring()
				case 2:
					return in(time.Now(), time.Second), nil
				}
				return done(time.Now()), nil
			},
			ends: enumspb.EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED,
			events: map[enumspb.EventType]int{
				enumspb.EVENT_TYPE_TIMER_STARTED: 2, enumspb.EVENT_TYPE_TIMER_CANCELED: 1, enumspb.EVENT_TYPE_TIMER_FIRED: 1,
			},
		},
		{
			name: "step-gave-up",
			look: func(_ *play, n int) (policy.Plan, error) {
				if n < 3 {
					return only(time.Now(), due("a")), nil
				}
				return done(time.Now()), nil
			},
			act: func(p *play, n int) (bool, error) {
				if n > 1 {
					return true, nil
				}
				go func() {
					if err := errors.Join(p.await(enumspb.EVENT_TYPE_TIMER_STARTED), p.ring()); err != nil {
						panic(err)
					}
				}()
				return false, temporal.NewNonRetryableApplicationError("no such kind", "unknown", nil)
			},
			ends: enumspb.EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED,
			events: map[enumspb.EventType]int{
				enumspb.EVENT_TYPE_ACTIVITY_TASK_FAILED: 1, enumspb.EVENT_TYPE_ACTIVITY_TASK_COMPLETED: 1,
				enumspb.EVENT_TYPE_TIMER_STARTED: 1, enumspb.EVENT_TYPE_TIMER_CANCELED: 1,
			},
		},
		{
			name: "cancelled",
			look: func(*play, int) (policy.Plan, error) { return in(time.Now(), time.Hour, due("a")), nil },
			act: func(p *play, _ int) (bool, error) {
				err := p.temporal.CancelWorkflow(p.ctx, p.subject.WorkflowID(), "")
				return false, errors.Join(err, p.await(enumspb.EVENT_TYPE_ACTIVITY_TASK_CANCEL_REQUESTED))
			},
			ends: enumspb.EVENT_TYPE_WORKFLOW_EXECUTION_CANCELED,
			events: map[enumspb.EventType]int{
				enumspb.EVENT_TYPE_ACTIVITY_TASK_COMPLETED: 1, enumspb.EVENT_TYPE_MARKER_RECORDED: 1,
			},
		},
		{
			name: "continue-as-new",
			look: func(_ *play, n int) (policy.Plan, error) {
				if n == 1 {
					return in(time.Now(), time.Hour, due("a")), nil
				}
				return done(time.Now()), nil
			},
			act:  func(*play, int) (bool, error) { return false, nil },
			ends: enumspb.EVENT_TYPE_WORKFLOW_EXECUTION_CONTINUED_AS_NEW,
			events: map[enumspb.EventType]int{
				enumspb.EVENT_TYPE_MARKER_RECORDED: 1, enumspb.EVENT_TYPE_ACTIVITY_TASK_COMPLETED: 1,
			},
		},
	}
}

func TestHistories_EveryPath_EndsAsItShouldAndReplays(t *testing.T) {
	s := newServer(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	normal, hasty := s.dial(), s.dial(grpc.WithChainUnaryInterceptor(suggestContinueAsNew))
	plays := map[policy.ID]*play{}
	var order []*play
	for n, path := range paths() {
		p := &play{path: path, ctx: ctx, temporal: normal, queue: workflows.QueueJourneys, subject: subject(0, n), reached: make(chan struct{})}
		if path.ends == enumspb.EVENT_TYPE_WORKFLOW_EXECUTION_CONTINUED_AS_NEW {
			p.temporal, p.queue = hasty, "hasty"
		}
		plays[p.subject.ID] = p
		order = append(order, p)
	}
	runs := func(w worker.Worker) {
		workflows.Register(w)
		w.RegisterActivityWithOptions(func(_ context.Context, subject policy.Subject) (policy.Plan, error) {
			return plays[subject.ID].plan()
		}, activity.RegisterOptions{Name: workflows.ActivityPlan})
	}
	s.serve(normal, workflows.QueueJourneys, true, runs)
	s.serve(hasty, "hasty", true, runs)
	s.serve(normal, workflows.QueueMail, false, func(w worker.Worker) {
		w.RegisterActivityWithOptions(func(_ context.Context, subject policy.Subject, _ policy.Step) (bool, error) {
			return plays[subject.ID].step()
		}, activity.RegisterOptions{Name: policy.StepSendMail})
	})
	firsts := map[policy.ID]string{}
	for _, p := range order {
		run, err := p.temporal.SignalWithStartWorkflow(ctx, p.subject.WorkflowID(), workflows.SignalWake, "appointment.booked jrn_1",
			client.StartWorkflowOptions{TaskQueue: p.queue}, p.subject.Kind, p.subject)
		require.NoError(t, err)
		firsts[p.subject.ID] = run.GetRunID()
	}
	for _, p := range order {
		t.Run(p.name, func(t *testing.T) { s.check(t, p, firsts[p.subject.ID]) })
	}
}

// check waits for the end of a run, holds its history against the path, and replays it.
func (s *server) check(t *testing.T, p *play, run string) {
	end := p.temporal.GetWorkflowHistory(p.ctx, p.subject.WorkflowID(), run, true, enumspb.HISTORY_EVENT_FILTER_TYPE_CLOSE_EVENT)
	require.True(t, end.HasNext())
	closed, err := end.Next()
	require.NoError(t, err)
	h := s.history(p.temporal, p.subject.WorkflowID(), run)
	require.Equal(t, p.ends.String(), closed.GetEventType().String())
	count := map[enumspb.EventType]int{}
	for _, event := range h.Events {
		count[event.GetEventType()]++
	}
	for kind, want := range p.events {
		require.Equal(t, want, count[kind], kind.String())
	}
	require.Zero(t, count[enumspb.EVENT_TYPE_WORKFLOW_TASK_FAILED])
	t.Logf("%d events", len(h.Events))

	replayer := worker.NewWorkflowReplayer()
	workflows.Register(replayer)
	require.NoError(t, replayer.ReplayWorkflowHistory(quiet(), h))
	if *record != "" {
		keep(t, h, *record+"-"+p.name+".json")
	}
}

// keep writes a history into the corpus, without the name of this machine; one that is there is never replaced.
func keep(t *testing.T, h *historypb.History, name string) {
	for _, event := range h.Events {
		if q := event.GetWorkflowTaskScheduledEventAttributes().GetTaskQueue(); q.GetKind() == enumspb.TASK_QUEUE_KIND_STICKY {
			q.Name = "sticky"
		}
	}
	text, err := temporalproto.CustomJSONMarshalOptions{Indent: " "}.Marshal(h)
	require.NoError(t, err)
	file, err := os.OpenFile(filepath.Join("testdata", "histories", name), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	require.NoError(t, err)
	_, err = file.Write(append(text, '\n'))
	require.NoError(t, errors.Join(err, file.Close()))
}
