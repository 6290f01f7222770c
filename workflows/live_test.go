package workflows_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/worker"
	"google.golang.org/grpc"

	"github.com/kept-practice/kept/internal/policy"
	"github.com/kept-practice/kept/workflows"
)

// file is what is known about one subject. Nothing but the ring that follows a fact makes a run look, so a fact that was
// rung for and that no plan sees has lost its ring.
type file struct {
	subject policy.Subject
	mu      sync.Mutex
	facts   int // written
	rung    int // of those, how many the server took a ring for
	want    int
	seen    int           // by plans
	stirred int           // facts+1 at the last plan that let the next fact be written
	all     chan struct{} // closed once a plan has seen every fact that will be written
}

// archive is the in-memory store of one situation, and the activities that work on it.
type archive struct {
	ctx      context.Context
	temporal client.Client
	queue    string
	files    map[policy.ID]*file
	situation
	rings  sync.WaitGroup
	failed chan error
}

// write adds the fact after those seen, and rings. Steps and plans may run twice, so it is safe twice.
func (a *archive) write(f *file, seen int) {
	f.mu.Lock()
	f.facts = max(f.facts, seen+1)
	f.mu.Unlock()
	if err := ring(a.ctx, a.temporal, a.queue, f.subject); err != nil {
		a.failed <- err
		return
	}
	f.mu.Lock()
	f.rung = max(f.rung, seen+1)
	f.mu.Unlock()
}

// writeSoon does so beside the caller, a random moment later: before, while or after the run closes.
func (a *archive) writeSoon(f *file, seen int) {
	a.rings.Go(func() {
		<-time.After(rand.N(12 * time.Millisecond))
		a.write(f, seen)
	})
}

func (a *archive) plan(_ context.Context, subject policy.Subject) (policy.Plan, error) {
	f := a.files[subject.ID]
	f.mu.Lock()
	seen := f.facts
	first := seen >= f.stirred
	f.seen, f.stirred = seen, seen+1
	f.mu.Unlock()
	if seen == f.want {
		if first {
			close(f.all)
		}
		return done(time.Now()), nil
	}
	if first && a.stir != nil {
		a.stir(a, f, seen)
	}
	return a.answer(seen), nil
}

// step is named after the number of facts that its plan had seen.
func (a *archive) step(_ context.Context, subject policy.Subject, step policy.Step) (bool, error) {
	seen, err := strconv.Atoi(step.Key)
	if err != nil {
		return false, err
	}
	a.write(a.files[subject.ID], seen)
	return false, nil
}

// situation is a moment at which a run could miss a ring.
type situation struct {
	name            string
	subjects, times int // times one after the other, each when its subject's run is at that moment
	dial            []grpc.DialOption
	stir            func(a *archive, f *file, seen int) // sets off the next fact from the first plan that saw so many
	answer          func(seen int) policy.Plan
}

var situations = []situation{
	{
		name: "during a step", subjects: 125, times: 8,
		answer: func(seen int) policy.Plan {
			p := only(time.Now(), due(strconv.Itoa(seen)))
			p.Done = seen%2 == 0 // every other time the run ends as soon as the step does
			return p
		},
	},
	{
		name: "during a slow plan", subjects: 125, times: 8,
		stir:   (*archive).write,
		answer: func(int) policy.Plan { return only(time.Now()) },
	},
	{
		name: "at the end", subjects: 125, times: 8,
		stir:   (*archive).writeSoon,
		answer: func(int) policy.Plan { return done(time.Now()) },
	},
	{
		name: "at continue-as-new", subjects: 125, times: 16, // every other ring meets a run's first look
		dial:   []grpc.DialOption{grpc.WithChainUnaryInterceptor(suggestContinueAsNew)},
		stir:   (*archive).writeSoon,
		answer: func(int) policy.Plan { return only(time.Now()) },
	},
}

func TestLive_RingsAtEveryBadMoment_NoneIsLost(t *testing.T) {
	s := newServer(t)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	archives := make([]*archive, len(situations))
	lost, took := make([]int, len(situations)), make([]time.Duration, len(situations))
	start := time.Now()
	var playing sync.WaitGroup
	for i, situation := range situations {
		situation.subjects = crowd(situation.subjects)
		situations[i] = situation
		archives[i] = open(ctx, s, i, situation)
		playing.Go(func() { lost[i], took[i] = archives[i].play(), time.Since(start) })
	}
	playing.Wait()
	for i, situation := range situations {
		t.Run(situation.name, func(t *testing.T) {
			rings := situation.subjects * situation.times
			require.GreaterOrEqual(t, rings, leastRings())
			close(archives[i].failed)
			for err := range archives[i].failed {
				require.NoError(t, err, "the server never took a ring")
			}
			require.Zero(t, lost[i], "rings lost of %d", rings)
			require.NoError(t, ctx.Err(), "the server was too slow for %d rings", rings)
			t.Logf("0 of %d rings lost in %s", rings, took[i].Round(time.Second))
		})
	}
}

// crowd is all subjects of a situation in `make soak`, at least 1,000 rings each, and every eighth in `make test`, which
// shares its machine and its server with all other tests.
func crowd(subjects int) int {
	if soaking() {
		return subjects
	}
	return (subjects + 7) / 8
}

func soaking() bool { return os.Getenv("KEPT_SOAK_MINUTES") != "" }

// leastRings keeps a situation from being made smaller unseen.
func leastRings() int {
	if soaking() {
		return 1000
	}
	return 128
}

// open makes the files of a situation and starts the workers that serve them.
func open(ctx context.Context, s *server, i int, situation situation) *archive {
	a := &archive{
		ctx: ctx, temporal: s.dial(situation.dial...), queue: fmt.Sprintf("live-%d", i),
		files: map[policy.ID]*file{}, situation: situation,
		failed: make(chan error, situation.subjects*(situation.times+1)),
	}
	for n := range situation.subjects {
		f := &file{subject: subject(i, n), want: situation.times, all: make(chan struct{})}
		a.files[f.subject.ID] = f
	}
	s.serve(a.temporal, a.queue, true, func(w worker.Worker) {
		workflows.Register(w)
		w.RegisterActivityWithOptions(a.plan, activity.RegisterOptions{Name: workflows.ActivityPlan})
	})
	if situation.name == "during a step" {
		s.serve(a.temporal, workflows.KindOf(policy.StepSendMail).TaskQueue, false, func(w worker.Worker) {
			w.RegisterActivityWithOptions(a.step, activity.RegisterOptions{Name: policy.StepSendMail})
		})
	}
	return a
}

const (
	atOnce   = 16               // subjects of a situation under way together: enough for crowding, too few for a jam
	patience = 10 * time.Second // from a ring to its plan, before its run is asked what it waits for
)

// play takes every subject through the situation and counts those whose ring was lost.
func (a *archive) play() (lost int) {
	var playing sync.WaitGroup
	var missed atomic.Int32
	next := make(chan *file)
	for range atOnce {
		playing.Go(func() {
			for f := range next {
				if err := ring(a.ctx, a.temporal, a.queue, f.subject); err != nil {
					a.failed <- err
				}
				if !a.finish(f) {
					missed.Add(1)
				}
			}
		})
	}
	for _, f := range a.files {
		next <- f
	}
	close(next)
	playing.Wait()
	a.rings.Wait()
	return int(missed.Load())
}

// finish waits until every fact was seen; false when a ring was taken, no plan followed, and none will. How long a ring takes on
// a busy machine proves nothing: it is lost only when its subject's run is at rest and neither a task, a step nor a timer
// will make it look. A timer is the respite after a look that a busy machine made too late, which heals by itself.
func (a *archive) finish(f *file) bool {
	look := time.NewTicker(time.Second)
	defer look.Stop()
	since, before := time.Now(), -1
	for {
		select {
		case <-f.all:
			return true
		case <-a.ctx.Done(): // the test says that the server was too slow
			return true
		case <-look.C:
		}
		switch seen, rung := f.state(); {
		case seen != before || rung <= seen:
			since, before = time.Now(), seen
		case time.Since(since) > patience && a.atRest(f):
			if seen, rung := f.state(); seen == before && rung > seen {
				return false
			}
		}
	}
}

func (f *file) state() (seen, rung int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.seen, f.rung
}

// atRest tells that the server will never again make a subject's run look by itself: it has ended, or it waits for a ring only.
// What cannot be asked now is asked again.
func (a *archive) atRest(f *file) bool {
	id := f.subject.WorkflowID()
	run, err := a.temporal.DescribeWorkflowExecution(a.ctx, id, "")
	if err != nil || run.GetPendingWorkflowTask() != nil || len(run.GetPendingActivities()) > 0 {
		return false
	}
	timers := 0
	history := a.temporal.GetWorkflowHistory(a.ctx, id, run.GetWorkflowExecutionInfo().GetExecution().GetRunId(), false, enumspb.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	for history.HasNext() {
		event, err := history.Next()
		if err != nil {
			return false
		}
		switch event.GetEventType() {
		case enumspb.EVENT_TYPE_TIMER_STARTED:
			timers++
		case enumspb.EVENT_TYPE_TIMER_FIRED, enumspb.EVENT_TYPE_TIMER_CANCELED:
			timers--
		}
	}
	ended := run.GetWorkflowExecutionInfo().GetStatus() != enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING
	return ended || timers == 0
}

func subject(situation, n int) policy.Subject {
	var id policy.ID
	binary.BigEndian.PutUint32(id[0:], uint32(situation+1))
	binary.BigEndian.PutUint32(id[12:], uint32(n+1))
	return policy.Subject{Practice: someone.Practice, Kind: policy.KindJourney, ID: id}
}
