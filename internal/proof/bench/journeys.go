//go:build bench

package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/kept-practice/kept/internal/policy"
)

// journeyWait is what each timer is cut to: long enough for people to act in time while so many journeys are under way.
const journeyWait = 2 * time.Second

// journeys measures how many whole chains a second go through, against the same workflow code with nothing in it.
func (b bench) journeys(ctx context.Context) error {
	fmt.Fprintln(b.out, "journeys: recording one, then whole chains against hollow ones")
	rounds, each, open := 4, 160, 100
	if b.quick {
		rounds, each, open = 2, 30, 30
	}
	return b.onFloor(ctx, func(f *floor) error {
		recorded, err := f.newChain(ctx, chainInput{wait: 1500 * time.Millisecond, card: f.wallets[goodCard], apart: true})
		if err != nil {
			return err
		}
		if err := recorded.happy(ctx, inFour); err != nil {
			return fmt.Errorf("record a journey: %w", err)
		}
		h, err := startHollow(ctx, f.s, recorded.seen, journeyWait)
		if err != nil {
			return err
		}
		defer h.stop()
		j := &journeyArena{f: f, h: h, each: each, open: open}
		m, err := interleave(ctx, b.out, rounds, []arm{{"chain", j.chains}, {"hollow", j.hollows}})
		if err != nil {
			return err
		}
		n := fmt.Sprintf("%s, %d journeys each, %d open", m.about(), each, open)
		b.report.add([]figure{
			{"journeys per second, booking to paid, against a hollow workflow", "≥ 0.80", m.ratio("chain", "hollow") + "; " + m.rate("chain", "journeys/s"), n},
			{"– the same, events per second: rings that meet make one look, and not equally often in both", "", m.ratio("chain per event", "hollow per event") + "; " + m.rate("chain per event", "events/s"), n},
			{"– history events of one under that load: ours; hollow", "", fmt.Sprintf("%.0f; %.0f", median(m.values["chain events"]), median(m.values["hollow events"])), "4 a round"},
		}, m.rows("M1"))
		return nil
	})
}

// journeyArena plays so many journeys a run, so many of them open at once.
type journeyArena struct {
	f          *floor
	h          *hollow
	each, open int
}

// sampled is how many journeys of a run have their events counted.
const sampled = 4

// chains makes the practices first; only from booking to paid is timed.
func (j *journeyArena) chains(ctx context.Context) (values, error) {
	made := make([]*chain, j.each)
	err := sideBySide(j.each, 4, func(n int) error {
		var err error
		made[n], err = j.f.newChain(ctx, chainInput{wait: journeyWait, card: j.f.wallets[goodCard]})
		return err
	})
	if err != nil {
		return nil, err
	}
	began := time.Now()
	err = sideBySide(j.each, j.open, func(n int) error { return made[n].happy(ctx, inFour) })
	took := time.Since(began).Seconds()
	if err != nil {
		return nil, err
	}
	events := 0
	for n := range sampled {
		one, err := j.f.count(ctx, made[n*j.each/sampled].journey())
		if err != nil {
			return nil, err
		}
		events += one.events
	}
	for _, c := range made {
		j.f.forget(c.practice.ID)
	}
	return j.values("chain", took, events), nil
}

func (j *journeyArena) hollows(ctx context.Context) (values, error) {
	subjects := make([]policy.Subject, j.each)
	began := time.Now()
	err := sideBySide(j.each, j.open, func(n int) error {
		var err error
		if subjects[n], err = j.h.play(ctx); err != nil {
			return err
		}
		return j.h.client.GetWorkflow(ctx, subjects[n].WorkflowID(), "").Get(ctx, nil)
	})
	took := time.Since(began).Seconds()
	if err != nil {
		return nil, err
	}
	events := 0
	counter := &floor{client: j.h.client}
	for n := range sampled {
		one, err := counter.count(ctx, subjects[n*j.each/sampled])
		if err != nil {
			return nil, err
		}
		events += one.events
	}
	return j.values("hollow", took, events), nil
}

// values are the rates of one run.
func (j *journeyArena) values(arm string, took float64, events int) values {
	rate, each := float64(j.each)/took, float64(events)/sampled
	return values{arm: rate, arm + " events": each, arm + " per event": rate * each}
}

// sideBySide does n things, so many at once, and returns every error.
func sideBySide(n, atOnce int, act func(int) error) error {
	errs := make([]error, n)
	turn := make(chan struct{}, atOnce)
	var all sync.WaitGroup
	for i := range n {
		turn <- struct{}{}
		all.Go(func() {
			defer func() { <-turn }()
			errs[i] = act(i)
		})
	}
	all.Wait()
	return errors.Join(errs...)
}
