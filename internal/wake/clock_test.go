package wake

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/serviceerror"

	"github.com/kept-practice/kept/db"
	"github.com/kept-practice/kept/internal/policy"
)

// planner stands in for the runs: a ring makes it plan, in a transaction of its own, beside the ringer. It remembers at
// which instants of the practice's clock each subject was planned, and has it wake up again after the given waits.
type planner struct {
	b     *bench
	mu    sync.Mutex
	waits map[policy.Subject][]time.Duration
	seen  map[policy.Subject][]time.Time
	busy  sync.WaitGroup
}

func newPlanner(b *bench) (*planner, *bell) {
	p := &planner{b: b, waits: map[policy.Subject][]time.Duration{}, seen: map[policy.Subject][]time.Time{}}
	b.t.Cleanup(p.busy.Wait)
	return p, &bell{rung: func(s policy.Subject) { p.busy.Go(func() { p.plan(s) }) }}
}

func (p *planner) plan(s policy.Subject) {
	p.mu.Lock()
	defer p.mu.Unlock()
	ctx := context.Background()
	err := p.b.store.InPractice(ctx, s.Practice, func(tx *db.Tx) error {
		if err := tx.Lock(ctx, db.LockSet{Subjects: []policy.Subject{s}}); err != nil {
			return err
		}
		if _, err := tx.OutboxDelete(ctx, db.OutboxDeleteParams{PracticeID: s.Practice, SubjectKind: s.Kind, SubjectID: s.ID}); err != nil {
			return err
		}
		practice, err := tx.SweepPractice(ctx, s.Practice)
		if err != nil {
			return err
		}
		now := practice.Now.UTC()
		if seen := p.seen[s]; len(seen) > 0 && seen[len(seen)-1].Equal(now) {
			return nil // a doubled ring finds nothing new
		}
		p.seen[s] = append(p.seen[s], now)
		planned := db.SubjectPlannedParams{PracticeID: s.Practice, Kind: s.Kind, ID: s.ID, Status: "done", DueKeys: []string{}}
		if waits := p.waits[s]; len(waits) > 0 {
			wake := now.Add(waits[0])
			planned.Status, planned.WakeAt, p.waits[s] = "open", &wake, waits[1:]
		}
		return tx.SubjectPlanned(ctx, planned)
	})
	if err != nil {
		p.b.t.Errorf("plan: %v", err)
	}
}

func (p *planner) instants(s policy.Subject) []time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.seen[s]
}

func newClocks(b *bench, f Temporal) *Clocks {
	return NewClocks(b.store, NewRinger(f, nil), NewSweeper(b.store, 0), nil, quiet)
}

func (b *bench) advance(to time.Time) {
	b.t.Helper()
	b.exec(`update test_clocks set status = 'advancing', target_at = $1, updated_at = clock_timestamp()`, to)
}

func (b *bench) clockStatus() string { return one[string](b, `select status from test_clocks`) }

func (b *bench) clockNow() time.Time {
	return one[time.Time](b, `select now_at from test_clocks`).UTC()
}

func step(t *testing.T, c *Clocks, b *bench) {
	t.Helper()
	require.NoError(t, c.Step(context.Background(), b.test.ID))
}

func TestClock_StopsAtEveryDueThing_InOrder_AndEndsAtItsTarget(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	p, f := newPlanner(b)
	journey := b.subject(b.test, policy.KindJourney, `wake_at = $1`, clockStart.Add(time.Hour))
	p.waits[journey] = []time.Duration{30 * time.Minute, 365 * 24 * time.Hour}
	recall := policy.Subject{Practice: b.test.ID, Kind: policy.KindRecall, ID: b.recall(b.test, "2026-02-20")}
	collection := policy.Subject{Practice: b.test.ID, Kind: policy.KindCollection, ID: b.invoice(b.test, clockStart.Add(48*time.Hour))}
	p.waits[collection] = []time.Duration{24 * time.Hour}
	b.hold(b.test, clockStart.Add(10*time.Minute))
	live := b.subject(b.live, policy.KindJourney, `wake_at = $1`, clockStart)

	target := clockStart.AddDate(0, 2, 0)
	b.advance(target)
	step(t, newClocks(b, f), b)

	require.Equal(t, "ready", b.clockStatus())
	require.Equal(t, target, b.clockNow())
	require.Equal(t, []time.Time{clockStart.Add(time.Hour), clockStart.Add(90 * time.Minute)}, p.instants(journey))
	require.Equal(t, []time.Time{time.Date(2026, 2, 20, 5, 0, 0, 0, time.UTC)}, p.instants(recall), "its local midnight")
	require.Equal(t, []time.Time{clockStart.Add(48 * time.Hour), clockStart.Add(72 * time.Hour)}, p.instants(collection))
	require.Empty(t, p.instants(live), "a live practice keeps real time")
	require.Zero(t, b.count(`select count(*) from holds`))
	require.Equal(t, 7, b.count(`select steps from test_clocks`), "hold, wake-up, wake-up, follow-up, wake-up, recall, target")
}

func TestClock_LostRings_AreRungAgain(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	p, f := newPlanner(b)
	s := b.subject(b.test, policy.KindJourney, `wake_at = $1`, clockStart.Add(time.Hour))
	var once sync.Once
	f.fail = func(policy.Subject) (err error) {
		once.Do(func() { err = serviceerror.NewUnavailable("restarting") })
		return err
	}
	b.advance(clockStart.Add(2 * time.Hour))
	step(t, newClocks(b, f), b)
	require.Equal(t, "ready", b.clockStatus())
	require.Equal(t, []time.Time{clockStart.Add(time.Hour)}, p.instants(s))
}

func TestClock_NobodyPlans_StuckNamingTheSubject_AndResumable(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	s := b.subject(b.test, policy.KindJourney, `wake_at = $1, waiting = 'reminder 2 h before'`, clockStart.Add(time.Hour))
	b.advance(clockStart.Add(2 * time.Hour))
	c := newClocks(b, &bell{})
	c.patience = 100 * time.Millisecond
	step(t, c, b)
	require.Equal(t, "stuck", b.clockStatus())
	require.Equal(t, clockStart.Add(time.Hour), b.clockNow())
	require.Equal(t, s.WorkflowID()+": no plan has answered its wake-up: reminder 2 h before", one[string](b, `select stuck_on from test_clocks`))

	p, f := newPlanner(b)
	b.exec(`update test_clocks set status = 'advancing'`)
	step(t, newClocks(b, f), b)
	require.Equal(t, "ready", b.clockStatus())
	require.Empty(t, one[string](b, `select stuck_on from test_clocks`))
	require.Equal(t, []time.Time{clockStart.Add(time.Hour)}, p.instants(s))
}

func TestClock_UnderWay_HoldsItUp(t *testing.T) {
	t.Parallel()
	effect := `insert into effects (practice_id, subject_kind, subject_id, key, kind, state, final, owner, call_by, next_at, claimed_for)
		select practice_id, kind, id, 'reminder/r1/mail/v1', 'SendMail', `
	for name, c := range map[string]struct {
		set, then, on string
	}{
		"a due step without an effect": {`due_keys = '{reminder/r1/mail/v1}'`, ``, "not finished: reminder/r1/mail/v1"},
		"a claimed effect": {
			`due_keys = '{reminder/r1/mail/v1}'`,
			effect + `'claimed', false, id, now(), null, now() from subjects`, "not finished: reminder/r1/mail/v1",
		},
		"an effect that failed for good, not planned since": {
			`due_keys = '{reminder/r1/mail/v1}'`,
			effect + `'failed', true, null, null, null, now() from subjects`, "not finished: reminder/r1/mail/v1",
		},
		"a call to be tried again": {
			`retry_at = now() + interval '1 minute'`,
			effect + `'failed', false, null, null, now(), now() from subjects`, "waits for a gateway: reminder/r1/mail/v1",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			b.subject(b.test, policy.KindJourney, c.set)
			if c.then != "" {
				b.exec(c.then)
			}
			b.advance(clockStart.Add(time.Hour))
			clocks := newClocks(b, &bell{})
			clocks.patience = 60 * time.Millisecond
			step(t, clocks, b)
			require.Equal(t, "stuck", b.clockStatus())
			require.Equal(t, clockStart, b.clockNow())
			require.Contains(t, one[string](b, `select stuck_on from test_clocks`), c.on)

			b.exec(`update effects set state = 'accepted', final = true, next_at = null`)
			b.exec(`update subjects set due_keys = '{}' where not exists (select from effects)`)
			b.exec(`update test_clocks set status = 'advancing'`)
			step(t, clocks, b)
			require.Equal(t, "ready", b.clockStatus(), "a final effect settles its step")
		})
	}
}

func TestClock_EventsNotApplied_HoldItUp(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	for i, row := range []struct {
		practice *policy.ID
		state    string
		attempts int
	}{
		{&b.live.ID, "new", 0},     // somebody else's
		{nil, "new", 3},            // nobody knows whose, tried before
		{&b.test.ID, "parked", 3},  // waits for a person
		{&b.test.ID, "applied", 1}, // done
	} {
		b.exec(`insert into inbox (id, practice_id, gateway, event_id, type, body, state, attempts) values ($1, $2, 'stripe', $3, 't', '', $4, $5)`,
			db.NewID(), row.practice, string(rune('a'+i)), row.state, row.attempts)
	}
	c := newClocks(b, &bell{})
	c.patience = 60 * time.Millisecond
	b.advance(clockStart.Add(time.Hour))
	step(t, c, b)
	require.Equal(t, "ready", b.clockStatus())

	b.exec(`insert into inbox (id, practice_id, gateway, event_id, type, body) values ($1, $2, 'stripe', 'evt_9', 't', '')`, db.NewID(), b.test.ID)
	b.advance(clockStart.Add(2 * time.Hour))
	step(t, c, b)
	require.Equal(t, "stuck", b.clockStatus())
	require.Contains(t, one[string](b, `select stuck_on from test_clocks`), "stripe has not been applied")
}

func TestClock_SandboxBusy_WaitsForIt(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	asked := 0
	idle := func(context.Context) (bool, error) { asked++; return asked > 3, nil }
	c := NewClocks(b.store, NewRinger(&bell{}, nil), NewSweeper(b.store, 0), idle, quiet)
	b.advance(clockStart)
	step(t, c, b)
	require.Equal(t, "ready", b.clockStatus())
	require.Equal(t, 4, asked)
}

func TestClock_ThreeWorkers_OneStepsIt(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	p, f := newPlanner(b)
	s := b.subject(b.test, policy.KindJourney, `wake_at = $1`, clockStart.Add(time.Hour))
	for range 4 {
		p.waits[s] = append(p.waits[s], time.Hour)
	}
	b.advance(clockStart.Add(10 * time.Hour))
	ctx, stop := context.WithCancel(context.Background())
	var workers []*Clocks
	for range 3 {
		w := newClocks(b, f)
		workers = append(workers, w)
		for range 3 { // a worker does not step a clock twice either
			require.NoError(t, w.Turn(ctx))
		}
	}
	require.Eventually(t, func() bool { return b.clockStatus() == "ready" }, 20*time.Second, 10*time.Millisecond)
	stop()
	for _, w := range workers {
		w.Wait()
	}
	require.Equal(t, 6, b.count(`select steps from test_clocks`))
	require.Equal(t, 5, f.times(s), "each instant rung once")
}

func TestClock_WorkerDies_AnotherGoesOn(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	s := b.subject(b.test, policy.KindJourney, `wake_at = $1`, clockStart.Add(time.Hour))
	b.advance(clockStart.Add(2 * time.Hour))
	ctx, die := context.WithCancel(context.Background())
	dying := newClocks(b, &bell{rung: func(policy.Subject) { die() }})
	require.ErrorIs(t, dying.Step(ctx, b.test.ID), context.Canceled)
	require.Equal(t, "advancing", b.clockStatus())
	p, f := newPlanner(b)
	step(t, newClocks(b, f), b)
	require.Equal(t, "ready", b.clockStatus())
	require.Equal(t, []time.Time{clockStart.Add(time.Hour)}, p.instants(s))
}
