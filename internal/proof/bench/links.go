//go:build bench

package main

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"go.temporal.io/sdk/client"
	sdk "go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"github.com/kept-practice/kept/db"
	"github.com/kept-practice/kept/internal/desk"
	"github.com/kept-practice/kept/internal/policy"
)

const (
	clickRate   = 20 // a second, of every arm; more would measure a full machine
	clicksARun  = 40
	sleepQueue  = "bench-sleepers"
	sleeperType = "bench-sleeper"
)

// links measures a click on a confirm link until it is answered and until a plan has acted on it, against a commit of one
// row and against a bare signal to a bare workflow.
func (b bench) links(ctx context.Context) error {
	fmt.Fprintln(b.out, "links: visits are booked, their runs sleep")
	rounds := 8
	if b.quick {
		rounds = 2
	}
	return b.onFloor(ctx, func(f *floor) error {
		l := &linkArena{f: f, sleepers: clicksARun}
		if err := l.prepare(ctx, rounds); err != nil {
			return err
		}
		defer l.worker.Stop()
		measured, err := interleave(ctx, b.out, rounds, []arm{l.clickArm(), {"commit", l.commits}, {"signal", l.signals}})
		if err != nil {
			return err
		}
		n := fmt.Sprintf("%s, %d each, %d/s", measured.about(), clicksARun, clickRate)
		b.report.add([]figure{
			{"link click until answered, p50, against a commit of one row", "≤ 1.3", measured.ratio("click", "commit") + "; " + measured.rate("click", "ms"), n},
			{"– against a bare signal until it is taken", "≤ 0.5", measured.ratio("click", "signal") + "; " + measured.rate("signal", "ms"), n},
			{"link click until acted on, p50, against a bare signal until its workflow has it", "≤ 1.3", measured.ratio("acted", "woken") + "; " + measured.rate("acted", "ms"), n},
			{"– p99 over all rounds: answered, acted; the bare signal's", "", fmt.Sprintf("%.1f, %.1f; %.1f ms", quantile(l.all["click"], 0.99), quantile(l.all["acted"], 0.99), quantile(l.all["woken"], 0.99)), n},
		}, measured.rows("M6"))
		return nil
	})
}

// linkArena is a practice with visits whose confirm links are known, and as many bare workflows.
type linkArena struct {
	f        *floor
	practice desk.CreatedPractice
	visits   []policy.Subject
	tokens   []string
	used     int
	sleepers int
	woken    chan time.Time
	worker   sdk.Worker

	mu  sync.Mutex
	all map[string][]float64
}

func (l *linkArena) prepare(ctx context.Context, rounds int) error {
	l.all = map[string][]float64{}
	var err error
	if l.practice, err = l.f.s.newPractice(ctx, 8); err != nil {
		return err
	}
	hand := staff{base: l.f.s.api, key: l.practice.Key.Text, http: http.DefaultClient}
	who, err := l.f.newClient(ctx, hand)
	if err != nil {
		return err
	}
	by := policy.System(l.practice.ID)
	for n := range rounds * clicksARun {
		day, slot := n/8/slotsADay, n/8%slotsADay
		at := inNine.AddDate(0, 0, day/5*7+day%5).Add(-5*time.Hour + time.Duration(slot)*30*time.Minute)
		booked, err := l.f.s.desk.Book(ctx, by, desk.BookInput{
			Client: who, Service: l.practice.Services[0], Provider: l.practice.Providers[n%8], Location: l.practice.Locations[0],
			StartsAt: at.Format(time.RFC3339), Source: "api", Override: true,
		})
		if err != nil {
			return fmt.Errorf("book: %w", err)
		}
		l.visits = append(l.visits, booked.Journey)
		if err := errors.Join(l.link(ctx, who, booked.Journey), l.f.ringer.Ring(ctx, booked.Journey, "bench")); err != nil {
			return err
		}
	}
	if _, err := l.f.s.admin.Exec(ctx, "create table bench_rows (id bigint generated always as identity primary key, note text not null)"); err != nil {
		return fmt.Errorf("make a table: %w", err)
	}
	if err := l.lay(ctx); err != nil {
		return err
	}
	return until(ctx, 2*time.Minute, "every run sleeps", func() (bool, error) {
		var waiting int
		err := l.f.s.admin.QueryRow(ctx, "select count(*) from outbox").Scan(&waiting)
		return waiting == 0, err
	})
}

// link makes a confirm link whose token is known.
func (l *linkArena) link(ctx context.Context, who policy.ID, visit policy.Subject) error {
	var secret [32]byte
	_, _ = rand.Read(secret[:]) // never fails since Go 1.24: the program ends instead
	token := base64.RawURLEncoding.EncodeToString(secret[:])
	hash := sha256.Sum256([]byte(token))
	_, err := l.f.s.admin.Exec(ctx, `insert into links (practice_id, id, token_hash, purpose, client_id, subject_kind, subject_id, version, expires_at, created_at)
		values ($1, $2, $3, 'confirm', $4, 'journey', $5, 1, '2030-01-01', now())`, visit.Practice, db.NewID(), hash[:], who, visit.ID)
	if err != nil {
		return fmt.Errorf("make a link: %w", err)
	}
	l.tokens = append(l.tokens, token)
	return nil
}

// lay starts the bare workflows and waits until they sleep.
func (l *linkArena) lay(ctx context.Context) error {
	l.woken = make(chan time.Time, clicksARun)
	asleep := make(chan struct{}, l.sleepers)
	l.worker = sdk.New(l.f.client, sleepQueue, sdk.Options{DisableRegistrationAliasing: true})
	l.worker.RegisterWorkflowWithOptions(func(ctx workflow.Context) error {
		signals := workflow.GetSignalChannel(ctx, "wake")
		asleep <- struct{}{}
		for {
			signals.Receive(ctx, nil)
			l.woken <- time.Now()
		}
	}, workflow.RegisterOptions{Name: sleeperType})
	if err := l.worker.Start(); err != nil {
		return fmt.Errorf("start the bare worker: %w", err)
	}
	for n := range l.sleepers {
		if _, err := l.f.client.ExecuteWorkflow(ctx, client.StartWorkflowOptions{ID: fmt.Sprint("sleeper/", n), TaskQueue: sleepQueue}, sleeperType); err != nil {
			return fmt.Errorf("start a bare workflow: %w", err)
		}
		<-asleep
	}
	return nil
}

// paced does n things at the set rate, each at its own time however long the others take, and returns how long each took
// from the time it was meant to begin.
func paced(n int, act func(i int, meant time.Time) error) ([]float64, error) {
	began := time.Now()
	took := make([]float64, n)
	errs := make([]error, n)
	var all sync.WaitGroup
	for i := range n {
		meant := began.Add(time.Duration(i) * time.Second / clickRate)
		time.Sleep(time.Until(meant))
		all.Go(func() {
			errs[i] = act(i, meant)
			took[i] = ms(time.Since(meant))
		})
	}
	all.Wait()
	return took, errors.Join(errs...)
}

func ms(d time.Duration) float64 { return d.Seconds() * 1000 }

// clickArm opens the pages first, as people do, and then presses their buttons.
func (l *linkArena) clickArm() arm {
	return arm{"click", func(ctx context.Context) (values, error) {
		buttons := make([]*http.Request, clicksARun)
		people := make([]*http.Client, clicksARun)
		acted := make([]<-chan time.Time, clicksARun)
		first := l.used
		l.used += clicksARun
		for i := range clicksARun {
			people[i] = newHTTP()
			p, err := open(ctx, people[i], l.f.s.api+"/l/"+l.tokens[first+i])
			if err != nil {
				return nil, err
			}
			if buttons[i], err = p.posting(ctx, nil); err != nil {
				return nil, err
			}
			acted[i] = l.f.expect(l.visits[first+i])
		}
		until, sent := make([]float64, clicksARun), make([]time.Time, clicksARun)
		answered, err := paced(clicksARun, func(i int, meant time.Time) error {
			status, _, err := do(people[i], buttons[i])
			if err == nil && status != http.StatusOK {
				err = fmt.Errorf("a click answered %d", status)
			}
			sent[i] = meant
			return err
		})
		if err != nil {
			return nil, err
		}
		for i, done := range acted {
			select {
			case at := <-done:
				until[i] = ms(at.Sub(sent[i]))
			case <-time.After(20 * time.Second):
				return nil, errors.New("a click was not acted on within 20 s")
			}
		}
		l.keep("click", answered)
		l.keep("acted", until)
		return values{"click": median(answered), "acted": median(until)}, nil
	}}
}

func (l *linkArena) commits(ctx context.Context) (values, error) {
	took, err := paced(clicksARun, func(int, time.Time) error {
		_, err := l.f.s.admin.Exec(ctx, "insert into bench_rows (note) values ($1)", "one row")
		return err
	})
	l.keep("commit", took)
	return values{"commit": median(took)}, err
}

// signals sends each bare workflow one signal.
func (l *linkArena) signals(ctx context.Context) (values, error) {
	woken := make([]float64, clicksARun)
	began := time.Now()
	took, err := paced(clicksARun, func(i int, _ time.Time) error {
		return l.f.client.SignalWorkflow(ctx, fmt.Sprint("sleeper/", i), "", "wake", "bench")
	})
	if err != nil {
		return nil, err
	}
	for i := range woken { // they wake in the order of their signals, but for a few
		woken[i] = ms((<-l.woken).Sub(began.Add(time.Duration(i) * time.Second / clickRate)))
	}
	l.keep("signal", took)
	l.keep("woken", woken)
	return values{"signal": median(took), "woken": median(woken)}, nil
}

func (l *linkArena) keep(name string, took []float64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all[name] = append(l.all[name], took...)
}
