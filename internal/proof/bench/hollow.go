//go:build bench

package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/log"
	sdk "go.temporal.io/sdk/worker"

	"github.com/kept-practice/kept/db"
	"github.com/kept-practice/kept/internal/policy"
	"github.com/kept-practice/kept/internal/wake"
	"github.com/kept-practice/kept/workflows"
)

// hollowNamespace holds runs of the same workflow code whose plans and steps do nothing.
const hollowNamespace = "hollow"

// stage is one look of a recorded journey: what made it look, and what it planned.
type stage struct {
	why  string
	plan policy.Plan
}

// hollow replays one recorded journey without any work: the same looks with the same plans, the same timers, steps and
// rings.
type hollow struct {
	client client.Client
	ringer *wake.Ringer
	floor  *floor // for its workers
	script []stage
	again  map[string]bool // by key of a step: whether it asks for another look
	wait   time.Duration

	mu   sync.Mutex
	runs map[policy.Subject]*hollowRun
}

// hollowRun is a journey under way.
type hollowRun struct {
	at    int // last stage planned; -1 before the first
	rings int // sent and not yet seen
	asks  int
	timer time.Time // when the timer rings; zero when none is set
	done  map[string]bool
	rung  int // last stage that was rung for
	ended chan struct{}
}

func startHollow(ctx context.Context, s *stack, script []note, wait time.Duration) (*hollow, error) {
	h := &hollow{floor: &floor{s: s}, again: map[string]bool{}, wait: wait, runs: map[policy.Subject]*hollowRun{}}
	for _, n := range script {
		switch {
		case n.plan != nil:
			plan := *n.plan
			plan.RetryAt = nil
			h.script = append(h.script, stage{n.why, plan})
		case n.step != nil:
			h.again[n.step.Key] = n.again
		}
	}
	options := client.Options{HostPort: s.temporal.Address(), Namespace: hollowNamespace, Logger: log.NewStructuredLogger(quiet)}
	if err := wake.EnsureTemporal(ctx, options, quiet); err != nil {
		return nil, err
	}
	var err error
	if h.client, err = client.NewLazyClient(options); err != nil {
		return nil, fmt.Errorf("Temporal options: %w", err)
	}
	h.ringer = wake.NewRinger(h.client, nil)
	if err := ringable(ctx, h.ringer); err != nil {
		return nil, err
	}
	return h, h.floor.serve(ctx, h.client, func(w sdk.Worker) error {
		w.RegisterActivityWithOptions(h.plan, activity.RegisterOptions{Name: workflows.ActivityPlan})
		for _, kind := range workflows.StepKinds() {
			w.RegisterActivityWithOptions(h.step, activity.RegisterOptions{Name: kind.Name})
		}
		return nil
	})
}

func (h *hollow) stop() {
	for _, w := range h.floor.workers {
		w.Stop()
	}
	h.client.Close()
}

// play lets one hollow journey run from its booking to its end.
func (h *hollow) play(ctx context.Context) (policy.Subject, error) {
	s := policy.Subject{Practice: db.NewID(), Kind: policy.KindJourney, ID: db.NewID()}
	r := &hollowRun{at: -1, done: map[string]bool{}, ended: make(chan struct{})}
	h.mu.Lock()
	h.runs[s] = r
	h.mu.Unlock()
	if err := h.ringer.Ring(ctx, s, "command"); err != nil {
		return s, err
	}
	select {
	case <-r.ended:
		return s, nil
	case <-time.After(3 * time.Minute):
		h.mu.Lock()
		defer h.mu.Unlock()
		return s, fmt.Errorf("a hollow journey stands at look %d of %d", r.at+1, len(h.script))
	case <-ctx.Done():
		return s, ctx.Err()
	}
}

// plan moves the journey on by whatever has come since, and says what was planned there.
func (h *hollow) plan(ctx context.Context, s policy.Subject) (policy.Plan, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	r, ok := h.runs[s]
	if !ok {
		return policy.Plan{Done: true}, nil
	}
	if r.at < 0 {
		r.at = 0
	} else {
		for r.at+1 < len(h.script) && r.comes(h.script[r.at+1].why) {
			r.at++
		}
	}
	plan := h.script[r.at].plan
	plan.Due = nil
	for _, step := range h.script[r.at].plan.Due {
		if !r.done[step.Key] {
			plan.Due = append(plan.Due, step)
		}
	}
	if plan.WakeAt != nil {
		if r.timer.IsZero() || r.at > 0 && h.script[r.at-1].plan.WakeAt != nil && !h.script[r.at-1].plan.WakeAt.Equal(*plan.WakeAt) {
			r.timer = time.Now().Add(h.wait)
		}
		plan.Now, plan.Unarmed = plan.WakeAt.Add(-h.wait), false
	}
	h.follow(ctx, s, r)
	return plan, nil
}

// comes tells whether what the next look waits for has come, and takes it.
func (r *hollowRun) comes(why string) bool {
	switch {
	case why == "timer" && !r.timer.IsZero() && time.Now().Add(early).After(r.timer):
		r.timer = time.Time{}
	case why == "ring" && r.rings > 0:
		r.rings--
	case why == "ask" && r.asks > 0:
		r.asks--
	default:
		return false
	}
	return true
}

func (h *hollow) step(ctx context.Context, s policy.Subject, step policy.Step) (bool, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	r, ok := h.runs[s]
	if !ok {
		return false, nil
	}
	r.done[step.Key] = true
	if h.again[step.Key] {
		r.asks++
	}
	h.follow(ctx, s, r)
	return h.again[step.Key], nil
}

// follow rings as client and staff did at this point: after the steps of a look, where the next one was a ring.
func (h *hollow) follow(ctx context.Context, s policy.Subject, r *hollowRun) {
	for _, step := range h.script[r.at].plan.Due {
		if !r.done[step.Key] {
			return
		}
	}
	switch {
	case r.at == len(h.script)-1:
		delete(h.runs, s)
		close(r.ended)
	case h.script[r.at+1].why == "ring" && r.rung <= r.at:
		r.rung = r.at + 1
		r.rings++
		go func() {
			if err := h.ringer.Ring(context.WithoutCancel(ctx), s, "command"); err != nil {
				fmt.Println("a hollow ring was lost:", err)
			}
		}()
	}
}
