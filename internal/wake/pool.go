package wake

import (
	"context"
	"log/slog"
	"sync"

	"github.com/kept-practice/kept/internal/policy"
)

const (
	poolWorkers = 8
	poolQueue   = 256
)

// Pool rings after an answer is written, without keeping anyone waiting. When its queue is full or Temporal is away it
// drops rings: the outbox row stays until a plan has seen it, and the relay rings again.
type Pool struct {
	ringer  *Ringer
	log     *slog.Logger
	metrics *Metrics
	queue   chan labelled
	closing chan struct{}
	once    sync.Once
	working sync.WaitGroup
}

type labelled struct {
	subject policy.Subject
	label   string
}

// NewPool starts the workers. Close it before the process ends.
func NewPool(r *Ringer, log *slog.Logger) *Pool {
	p := &Pool{
		ringer: r, log: log, metrics: r.metrics,
		queue: make(chan labelled, poolQueue), closing: make(chan struct{}),
	}
	for range poolWorkers {
		p.working.Go(p.work)
	}
	return p
}

// Ring asks for one ring per subject. It never blocks and never fails.
func (p *Pool) Ring(subjects ...policy.Subject) { p.RingAs("command", subjects...) }

// RingAs is Ring with a label for the reader of the history: the journal's verb and entry id.
func (p *Pool) RingAs(label string, subjects ...policy.Subject) {
	for _, s := range subjects {
		select {
		case <-p.closing:
			p.drop()
			continue
		default:
		}
		select {
		case p.queue <- labelled{s, label}:
		default:
			p.drop()
		}
	}
}

// Close lets the workers finish the ring in hand, at most a second each, drops the rest and waits.
func (p *Pool) Close() {
	p.once.Do(func() { close(p.closing) })
	p.working.Wait()
}

func (p *Pool) work() {
	for {
		select {
		case <-p.closing:
			return
		case job := <-p.queue:
			if err := p.ringer.Ring(context.Background(), job.subject, job.label); err != nil {
				p.log.Debug("ring left to the relay", "subject", job.subject.WorkflowID(), "error", err)
			}
		}
	}
}

func (p *Pool) drop() { p.metrics.rings.WithLabelValues("dropped").Inc() }
