package workflows_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/worker"
	"google.golang.org/grpc"

	"github.com/kept-practice/kept/internal/policy"
	"github.com/kept-practice/kept/workflows"
)

// file is what is known about one subject: how many facts were written and how many of them a plan has seen. Nothing
// but the ring that follows a fact makes a run look, so a ring that gets lost leaves the file unfinished.
type file struct {
	subject policy.Subject
	mu      sync.Mutex
	facts   int
	want    int
	seen    int
	all     chan struct{} // closed once a plan has seen every fact that will be written
}

// archive is the in-memory store of one situation, and the activities that work on it.
type archive struct {
	ctx      context.Context
	temporal client.Client
	queue    string
	files    map[policy.ID]*file
	answer   func(a *archive, f *file, seen int) policy.Plan // the plan, given what it has seen
	rings    sync.WaitGroup
	failed   chan error
}

// write adds a fact and rings.
func (a *archive) write(f *file) {
	f.mu.Lock()
	f.facts++
	f.mu.Unlock()
	if err := ring(a.ctx, a.temporal, a.queue, f.subject); err != nil {
		a.failed <- err
	}
}

// writeSoon does so beside the caller, a random moment later: before, while or after the run closes.
func (a *archive) writeSoon(f *file) {
	a.rings.Go(func() {
		<-time.After(rand.N(12 * time.Millisecond))
		a.write(f)
	})
}

func (a *archive) plan(_ context.Context, subject policy.Subject) (policy.Plan, error) {
	f := a.files[subject.ID]
	f.mu.Lock()
	seen, next := f.facts, f.facts > f.seen || f.facts == 0
	f.seen = f.facts
	f.mu.Unlock()
	if seen == f.want {
		if next {
			close(f.all)
		}
		return done(time.Now()), nil
	}
	if !next { // woken twice for one fact: nothing new to set off
		return only(time.Now()), nil
	}
	return a.answer(a, f, seen), nil
}

func (a *archive) step(_ context.Context, subject policy.Subject, _ policy.Step) (bool, error) {
	a.write(a.files[subject.ID])
	return false, nil
}

// situation is a moment at which a run could miss a ring.
type situation struct {
	name            string
	subjects, rings int // rings one after the other, each when its subject's run is at that moment
	dial            []grpc.DialOption
	answer          func(a *archive, f *file, seen int) policy.Plan
}

var situations = []situation{
	{
		name: "during a step", subjects: 125, rings: 8,
		answer: func(_ *archive, _ *file, seen int) policy.Plan {
			p := only(time.Now(), due(fmt.Sprint(seen)))
			p.Done = seen%2 == 0 // every other time the run ends as soon as the step does
			return p
		},
	},
	{
		name: "during a slow plan", subjects: 125, rings: 8,
		answer: func(a *archive, f *file, _ int) policy.Plan {
			a.write(f)
			return only(time.Now())
		},
	},
	{
		name: "at the end", subjects: 125, rings: 8,
		answer: func(a *archive, f *file, _ int) policy.Plan {
			a.writeSoon(f)
			return done(time.Now())
		},
	},
	{
		name: "at continue-as-new", subjects: 125, rings: 8,
		dial: []grpc.DialOption{grpc.WithChainUnaryInterceptor(suggestContinueAsNew)},
		answer: func(a *archive, f *file, _ int) policy.Plan {
			a.writeSoon(f)
			return only(time.Now())
		},
	},
}

func TestLive_RingsAtEveryBadMoment_NoneIsLost(t *testing.T) {
	s := newServer(t)
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	archives := make([]*archive, len(situations))
	lost := make([]int, len(situations))
	var playing sync.WaitGroup
	for i, situation := range situations {
		archives[i] = open(ctx, s, i, situation)
		playing.Go(func() { lost[i] = archives[i].play() })
	}
	playing.Wait()
	for i, situation := range situations {
		t.Run(situation.name, func(t *testing.T) {
			rings := situation.subjects * situation.rings
			require.GreaterOrEqual(t, rings, 1000)
			close(archives[i].failed)
			for err := range archives[i].failed {
				require.NoError(t, err, "the server never took a ring")
			}
			require.Zero(t, lost[i], "rings lost of %d", rings)
			t.Logf("0 of %d rings lost", rings)
		})
	}
}

// open makes the files of a situation and starts the workers that serve them.
func open(ctx context.Context, s *server, i int, situation situation) *archive {
	a := &archive{
		ctx: ctx, temporal: s.dial(situation.dial...), queue: fmt.Sprintf("live-%d", i),
		files: map[policy.ID]*file{}, answer: situation.answer,
		failed: make(chan error, situation.subjects*(situation.rings+1)),
	}
	for n := range situation.subjects {
		f := &file{subject: subject(i, n), want: situation.rings, all: make(chan struct{})}
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
	atOnce   = 64               // subjects of a situation under way together: enough for crowding, too few for a jam
	patience = 45 * time.Second // a fact that no plan has seen for so long has lost its ring
)

// play takes every subject through the situation and counts the facts that no plan has seen.
func (a *archive) play() (lost int) {
	var playing sync.WaitGroup
	next := make(chan *file)
	for range atOnce {
		playing.Go(func() {
			for f := range next {
				if err := ring(a.ctx, a.temporal, a.queue, f.subject); err != nil {
					a.failed <- err
				}
				f.await(a.ctx)
			}
		})
	}
	for _, f := range a.files {
		next <- f
	}
	close(next)
	playing.Wait()
	a.rings.Wait()
	for _, f := range a.files {
		f.mu.Lock()
		lost += f.want - f.seen
		f.mu.Unlock()
	}
	return lost
}

// await waits until every fact was seen, as long as there is progress.
func (f *file) await(ctx context.Context) {
	for before := -1; ; {
		f.mu.Lock()
		seen := f.seen
		f.mu.Unlock()
		if seen == before {
			return
		}
		before = seen
		select {
		case <-f.all:
			return
		case <-time.After(patience):
		case <-ctx.Done():
			return
		}
	}
}

func subject(situation, n int) policy.Subject {
	var id policy.ID
	binary.BigEndian.PutUint32(id[0:], uint32(situation+1))
	binary.BigEndian.PutUint32(id[12:], uint32(n+1))
	return policy.Subject{Practice: someone.Practice, Kind: policy.KindJourney, ID: id}
}
