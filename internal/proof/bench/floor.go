//go:build bench

package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/log"
	sdk "go.temporal.io/sdk/worker"

	"github.com/kept-practice/kept/activities"
	"github.com/kept-practice/kept/db"
	"github.com/kept-practice/kept/internal/gateway"
	"github.com/kept-practice/kept/internal/gateway/mail"
	"github.com/kept-practice/kept/internal/gateway/sms"
	"github.com/kept-practice/kept/internal/gateway/stripe"
	"github.com/kept-practice/kept/internal/policy"
	"github.com/kept-practice/kept/internal/wake"
	"github.com/kept-practice/kept/workflows"
)

const namespace = "kept"

// quiet drops the logs of what is measured: they would be measured too.
var quiet = slog.New(slog.DiscardHandler)

// note tells a driver what its journey has just done.
type note struct {
	subject policy.Subject
	plan    *policy.Plan // a look has ended with this plan
	why     string       // what made it look: first, ring, timer or ask
	step    *policy.Step // or: this step has ended
	again   bool         // and asks for another look
	mail    string       // or: this mail went out
}

// floor is `kept worker` within this process, with one difference: practices that were named to hasten do not wait. Each
// timer of theirs is cut to a moment, and when it rings their clock has come to the instant it stood for. So a run goes
// through its weeks with real timers, as in a live practice, in seconds.
type floor struct {
	s       *stack
	client  client.Client
	ringer  *wake.Ringer
	sweeper *wake.Sweeper
	plan    func(context.Context, policy.Subject) (policy.Plan, error)
	wallets map[string]*wallet // by number

	mu     sync.Mutex
	hasty  map[policy.ID]*hasty
	sleeps map[policy.Subject]*sleep
	asks   map[policy.Subject]bool

	expected sync.Map // policy.Subject → chan time.Time: when its next plan has committed

	stopping context.CancelFunc
	stopped  sync.WaitGroup
	workers  []sdk.Worker
}

// hasty is a practice whose timers are cut; what happens in it is told to notes.
type hasty struct {
	wait  time.Duration
	notes chan note
	limit time.Time     // timers for later than this wait until people have done what they do before; zero: none waits
	moved chan struct{} // closed when limit changes
}

// sleep is what a subject's timer stands for.
type sleep struct {
	until time.Time // on the practice's clock
	rings time.Time // in real time
	looks int
}

func startFloor(ctx context.Context, s *stack) (f *floor, err error) {
	f = &floor{s: s, wallets: map[string]*wallet{}, hasty: map[policy.ID]*hasty{}, sleeps: map[policy.Subject]*sleep{}, asks: map[policy.Subject]bool{}}
	options := client.Options{HostPort: s.temporal.Address(), Namespace: namespace, Logger: log.NewStructuredLogger(quiet)}
	if err := wake.EnsureTemporal(ctx, options, quiet); err != nil {
		return nil, err
	}
	if f.client, err = client.NewLazyClient(options); err != nil {
		return nil, fmt.Errorf("Temporal options: %w", err)
	}
	acts, err := f.activities()
	if err != nil {
		return nil, err
	}
	f.plan = acts.Plan
	f.ringer, f.sweeper = wake.NewRinger(f.client, nil), wake.NewSweeper(s.store, 0)
	loops, cancel := context.WithCancel(context.WithoutCancel(ctx))
	f.stopping = cancel
	f.stopped.Go(func() {
		err := wake.Run(loops, wake.Options{
			Store: s.store, Ringer: f.ringer, Sweeper: f.sweeper, Log: quiet,
			Apply: func(ctx context.Context, e wake.Event) (wake.Applied, error) {
				done, err := acts.Apply(ctx, activities.Event{Gateway: e.Gateway, Type: e.Type, Body: e.Body})
				return wake.Applied{State: done.State, Note: done.Note, Practice: done.Practice, Rings: done.Rung}, err
			},
		})
		if err != nil {
			fmt.Println("the loops of the worker ended:", err)
		}
	})
	if err := ringable(ctx, f.ringer); err != nil {
		return nil, err
	}
	return f, f.serve(ctx, f.client, func(w sdk.Worker) error {
		w.RegisterActivityWithOptions(f.look, activity.RegisterOptions{Name: workflows.ActivityPlan})
		for kind, step := range acts.Steps() {
			run, ok := step.(func(context.Context, policy.Subject, policy.Step) (bool, error))
			if !ok {
				return fmt.Errorf("step %s has another shape", kind)
			}
			w.RegisterActivityWithOptions(f.watch(run), activity.RegisterOptions{Name: kind})
		}
		return nil
	})
}

// ringable waits until a fresh namespace takes rings: its search attribute is known some moments after it was made.
func ringable(ctx context.Context, r *wake.Ringer) error {
	nobody := policy.Subject{Practice: db.NewID(), Kind: policy.KindJourney, ID: db.NewID()}
	return until(ctx, time.Minute, "the namespace takes rings", func() (bool, error) { return r.Ring(ctx, nobody, "bench") == nil, nil })
}

// serve starts one worker a queue, with the options of `kept worker`.
func (f *floor) serve(ctx context.Context, c client.Client, register func(sdk.Worker) error) error {
	for _, q := range workflows.Queues() {
		w := sdk.New(c, q.Name, sdk.Options{
			TaskQueueActivitiesPerSecond: q.PerSecond, DisableRegistrationAliasing: true,
			Interceptors: []interceptor.WorkerInterceptor{&activities.Classifier{}},
		})
		if err := register(w); err != nil {
			return err
		}
		if q.Name == workflows.QueueJourneys {
			workflows.Register(w)
		}
		if err := until(ctx, 20*time.Second, "the worker of "+q.Name+" starts", func() (bool, error) { return w.Start() == nil, nil }); err != nil {
			return err
		}
		f.workers = append(f.workers, w)
	}
	return nil
}

func (f *floor) stop() {
	f.stopping()
	f.stopped.Wait()
	for _, w := range f.workers {
		w.Stop()
	}
	f.client.Close()
}

func (f *floor) activities() (*activities.Activities, error) {
	cards, cardErr := stripe.New(stripe.Options{Key: stripeKey, BaseURL: f.s.sandbox + "/stripe"})
	mailer, mailErr := mail.New(mail.Options{Key: mailKey, BaseURL: f.s.sandbox + "/sendgrid"})
	texter, smsErr := sms.New(sms.Options{
		AccountSID: smsAccount, AuthToken: smsToken, From: smsFrom, BaseURL: f.s.sandbox + "/twilio", StatusURL: f.s.api + "/hooks/sms/status",
	})
	if err := errors.Join(cardErr, mailErr, smsErr); err != nil {
		return nil, err
	}
	return activities.New(activities.Options{
		Store: f.s.store, Desk: f.s.desk, Mail: reader{mailer, f}, SMS: texter, Cards: cards, BaseURL: f.s.api, MailFrom: mailFrom, Log: quiet,
	})
}

// reader reads each mail on its way out, as its recipient would.
type reader struct {
	*mail.Client
	f *floor
}

func (r reader) Send(ctx context.Context, m mail.Message) gateway.Outcome {
	out := r.Client.Send(ctx, m)
	if practice, err := policy.ParseID(m.Practice); err == nil && out.OK() {
		r.f.tell(practice, note{mail: m.Text})
	}
	return out
}

// hasten cuts the timers of a practice from now on.
func (f *floor) hasten(practice policy.ID, wait time.Duration) <-chan note {
	f.mu.Lock()
	defer f.mu.Unlock()
	h := &hasty{wait: wait, notes: make(chan note, 256), moved: make(chan struct{})}
	f.hasty[practice] = h
	return h.notes
}

// forget ends hasten and drops what was kept of the practice.
func (f *floor) forget(practice policy.ID) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.hasty, practice)
	for s := range f.sleeps {
		if s.Practice == practice {
			delete(f.sleeps, s)
		}
	}
}

func (f *floor) tell(practice policy.ID, n note) {
	f.mu.Lock()
	h, ok := f.hasty[practice]
	f.mu.Unlock()
	if ok {
		h.notes <- n
	}
}

// early is how much before its time a cut timer may be seen to ring.
const early = 30 * time.Millisecond

// look is Plan. A clock whose timer has rung comes first to what the timer stood for; then the plan's wait is cut by moving
// the plan's own instant close to WakeAt, which stays what it is, so the run keeps and moves its timer as ever.
func (f *floor) look(ctx context.Context, s policy.Subject) (policy.Plan, error) {
	f.mu.Lock()
	h, ok := f.hasty[s.Practice]
	f.mu.Unlock()
	if !ok {
		plan, err := f.plan(ctx, s)
		if at, wanted := f.expected.LoadAndDelete(s); wanted && err == nil {
			at.(chan time.Time) <- time.Now()
		}
		return plan, err
	}
	why, arrived := f.cause(s)
	if arrived != nil {
		f.hold(h, *arrived)
		if err := f.s.setClock(ctx, s.Practice, *arrived); err != nil {
			return policy.Plan{}, err
		}
	}
	plan, err := f.plan(ctx, s)
	if err != nil {
		return plan, err
	}
	told := plan
	if plan.WakeAt != nil {
		f.mu.Lock()
		if at := f.sleeps[s]; !at.until.Equal(*plan.WakeAt) || at.rings.IsZero() {
			at.until, at.rings = *plan.WakeAt, time.Now().Add(h.wait)
		}
		f.mu.Unlock()
		plan.Now, plan.Unarmed = plan.WakeAt.Add(-h.wait), false
	}
	h.notes <- note{subject: s, plan: &told, why: why}
	return plan, nil
}

// mostHeld is how long a look is held at most: less than its own deadline.
const mostHeld = 4 * time.Second

// limit lets the clock of a practice come no further than an instant by itself, or as far as it likes again.
func (f *floor) limit(practice policy.ID, to time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if h, ok := f.hasty[practice]; ok {
		h.limit = to
		close(h.moved)
		h.moved = make(chan struct{})
	}
}

// hold waits until the clock may come to an instant.
func (f *floor) hold(h *hasty, to time.Time) {
	enough := time.After(mostHeld)
	for {
		f.mu.Lock()
		limit, moved := h.limit, h.moved
		f.mu.Unlock()
		if limit.IsZero() || !to.After(limit) {
			return
		}
		select {
		case <-moved:
		case <-enough:
			return
		}
	}
}

// cause tells what made the subject look, and where its clock has come to when that was the timer.
func (f *floor) cause(s policy.Subject) (string, *time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	at := f.sleeps[s]
	if at == nil {
		at = &sleep{}
		f.sleeps[s] = at
	}
	at.looks++
	asked := f.asks[s]
	delete(f.asks, s)
	switch {
	case at.looks == 1:
		return "first", nil
	case !at.rings.IsZero() && time.Now().Add(early).After(at.rings):
		at.rings = time.Time{}
		return "timer", &at.until
	case asked:
		return "ask", nil
	}
	return "ring", nil
}

// watch is a step that tells of its end.
func (f *floor) watch(run func(context.Context, policy.Subject, policy.Step) (bool, error)) func(context.Context, policy.Subject, policy.Step) (bool, error) {
	return func(ctx context.Context, s policy.Subject, step policy.Step) (bool, error) {
		again, err := run(ctx, s, step)
		if again || err != nil {
			f.mu.Lock()
			f.asks[s] = true
			f.mu.Unlock()
		}
		if err == nil {
			f.tell(s.Practice, note{subject: s, step: &step, again: again})
		}
		return again, err
	}
}

// expect tells when the subject's next plan has committed.
func (f *floor) expect(s policy.Subject) <-chan time.Time {
	at := make(chan time.Time, 1)
	f.expected.Store(s, at)
	return at
}

// setClock lets the clock of a test practice stand at an instant; it never goes back.
func (s *stack) setClock(ctx context.Context, practice policy.ID, to time.Time) error {
	_, err := s.admin.Exec(ctx, "update test_clocks set now_at = $2, target_at = $2 where practice_id = $1 and now_at < $2", practice, to)
	if err != nil {
		return fmt.Errorf("move the clock: %w", err)
	}
	return nil
}
