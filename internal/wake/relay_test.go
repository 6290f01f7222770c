package wake

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/serviceerror"

	"github.com/kept-practice/kept/internal/policy"
)

func away(policy.Subject) error { return serviceerror.NewUnavailable("connection refused") }

func newRelay(b *bench, f Temporal) *Relay { return NewRelay(b.store, NewRinger(f, nil), quiet) }

func turn(t *testing.T, r *Relay) int {
	t.Helper()
	n, err := r.Turn(context.Background())
	require.NoError(t, err)
	return n
}

func TestRelay_FactsOverTwoSecondsOld_OneRingPerSubject(t *testing.T) {
	t.Parallel()
	b, f := newBench(t), &bell{}
	s, other := b.subject(b.test, policy.KindJourney, ""), b.subject(b.live, policy.KindCollection, "")
	for range 7 {
		b.fact(s, 3*time.Second)
	}
	b.fact(other, 3*time.Second)
	fresh := b.subject(b.live, policy.KindJourney, "")
	b.fact(fresh, time.Second)
	r := newRelay(b, f)
	require.Equal(t, 2, turn(t, r))
	require.Equal(t, 1, f.times(s))
	require.Equal(t, 1, f.times(other))
	require.Zero(t, f.times(fresh))
	require.Equal(t, 9, b.count(`select count(*) from outbox`), "a row stays until a plan has seen it")

	require.Zero(t, turn(t, r), "put off")
	wait := one[float64](b, `select extract(epoch from min(next_ring_at) - now())::float8 from outbox where subject_id = $1`, s.ID)
	require.InDelta(t, 4, wait, 1)
	require.Equal(t, 7, b.count(`select count(*) from outbox where rings = 1 and subject_id = $1`, s.ID))
}

func TestRelay_BackOffGrowsToAMinute(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	r := newRelay(b, &bell{})
	s := b.subject(b.live, policy.KindJourney, "")
	b.fact(s, 3*time.Second)
	var waits []int
	for range 7 {
		require.Equal(t, 1, turn(t, r))
		waits = append(waits, b.count(`select round(extract(epoch from next_ring_at - clock_timestamp()))::int from outbox`))
		b.exec(`update outbox set next_ring_at = now()`)
	}
	require.Equal(t, []int{4, 8, 16, 32, 60, 60, 60}, waits)
}

func TestRelay_MassChange_FiftyPerTurn_TwoRelaysRingNobodyTwice(t *testing.T) {
	t.Parallel()
	b, f := newBench(t), &bell{}
	for range 140 {
		b.fact(b.subject(b.live, policy.KindJourney, ""), 3*time.Second)
	}
	one, two := newRelay(b, f), newRelay(b, f)
	for range 2 {
		var both sync.WaitGroup
		for _, r := range []*Relay{one, two} {
			both.Go(func() {
				n, err := r.Turn(context.Background())
				require.NoError(t, err)
				require.LessOrEqual(t, n, relayPerTurn)
			})
		}
		both.Wait()
	}
	seen := map[policy.Subject]int{}
	for _, s := range f.all() {
		seen[s]++
		require.Equal(t, 1, seen[s])
	}
	require.Len(t, seen, 140)
}

func TestRelay_PlanHoldsTheRow_NotWaitedFor(t *testing.T) {
	t.Parallel()
	b, f := newBench(t), &bell{}
	held, free := b.subject(b.live, policy.KindJourney, ""), b.subject(b.live, policy.KindJourney, "")
	b.fact(held, 3*time.Second)
	b.fact(free, 3*time.Second)
	b.exec(`begin`)
	b.exec(`delete from outbox where subject_id = $1`, held.ID)
	began := time.Now()
	require.Equal(t, 1, turn(t, newRelay(b, f)))
	require.Less(t, time.Since(began), time.Second)
	b.exec(`commit`)
	require.Equal(t, 1, f.times(free))
}

func TestRelay_TemporalAway_BacklogKeepsShortDelays_AndDrainsWhenItIsBack(t *testing.T) {
	t.Parallel()
	b, f := newBench(t), &bell{fail: away}
	for range 60 {
		b.fact(b.subject(b.live, policy.KindJourney, ""), 3*time.Second)
	}
	r := newRelay(b, f)
	for range 8 {
		require.Zero(t, turn(t, r))
	}
	require.Zero(t, b.count(`select count(*) from outbox where rings > 0`), "tries that reach nobody do not count")
	require.Zero(t, b.count(`select count(*) from outbox where next_ring_at > clock_timestamp() + interval '1 second'`))
	f.set(nil)
	b.exec(`update outbox set next_ring_at = now()`)
	require.Equal(t, relayProbes, turn(t, r), "one probe shows that it is back")
	require.Equal(t, relayPerTurn, turn(t, r))
	require.Equal(t, 60-relayProbes-relayPerTurn, turn(t, r))
}

func TestRelay_OneSubjectRefused_OthersGoOn(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	bad := b.subject(b.live, policy.KindJourney, "")
	f := &bell{fail: func(s policy.Subject) error {
		if s == bad {
			return serviceerror.NewInvalidArgument("too many signals")
		}
		return nil
	}}
	b.fact(bad, time.Minute)
	good := b.subject(b.live, policy.KindJourney, "")
	b.fact(good, 3*time.Second)
	r := newRelay(b, f)
	require.Equal(t, 1, turn(t, r))
	require.Equal(t, 1, f.times(good))
	require.False(t, r.away)
}

func TestRelay_Overdue_RungByWhatTheyWaitFor(t *testing.T) {
	t.Parallel()
	b, f := newBench(t), &bell{}
	subject := func(p string, set string, args ...any) policy.Subject {
		practice := b.live
		if p == "test" {
			practice = b.test
		}
		return b.subject(practice, policy.KindJourney, set, args...)
	}
	rung := map[string]policy.Subject{
		"live, wake-up 3 min over":   subject("live", `wake_at = now() - interval '3 minutes'`),
		"retry 3 min over":           subject("live", `retry_at = now() - interval '3 minutes'`),
		"test, retry 3 min over":     subject("test", `retry_at = now() - interval '3 minutes'`),
		"due key for 3 min":          subject("live", `due_keys = '{k}', due_since = now() - interval '3 minutes'`),
		"test, wake-up on its clock": subject("test", `wake_at = $1`, clockStart),
	}
	spared := map[string]policy.Subject{
		"live, wake-up 1 min over":       subject("live", `wake_at = now() - interval '1 minute'`),
		"live, wake-up ahead":            subject("live", `wake_at = now() + interval '1 hour'`),
		"waits for nothing":              subject("live", ``),
		"done":                           subject("live", `status = 'done', wake_at = now() - interval '1 hour'`),
		"rung less than a minute ago":    subject("live", `wake_at = now() - interval '1 hour', next_ring_at = now() + interval '30 seconds'`),
		"test, past in real time only":   subject("test", `wake_at = $1`, clockStart.Add(time.Minute)),
		"due key, still in its first go": subject("live", `due_keys = '{k}', due_since = now() - interval '1 minute'`),
	}
	b.exec(`update test_clocks set updated_at = now() - interval '3 minutes'`)
	r := newRelay(b, f)
	require.Equal(t, len(rung), turn(t, r))
	for name, s := range rung {
		require.Equal(t, 1, f.times(s), name)
	}
	for name, s := range spared {
		require.Zero(t, f.times(s), name)
	}
	r.overdue = time.Time{}
	require.Zero(t, turn(t, r), "each at most once a minute")
}

func TestRelay_Overdue_ClockOnItsWay_LeftToIt(t *testing.T) {
	t.Parallel()
	b, f := newBench(t), &bell{}
	b.subject(b.test, policy.KindJourney, `wake_at = $1`, clockStart)
	b.exec(`update test_clocks set status = 'advancing', updated_at = now() - interval '3 minutes'`)
	require.Zero(t, turn(t, newRelay(b, f)))
}

func TestRelay_LostTemporal_EveryOverdueSubjectIsRungInTime(t *testing.T) {
	t.Parallel()
	b, f := newBench(t), &bell{}
	for range 120 {
		b.subject(b.live, policy.KindJourney, `wake_at = now() - interval '1 hour'`)
	}
	r := newRelay(b, f)
	require.Equal(t, []int{50, 50, 20, 0}, []int{turn(t, r), turn(t, r), turn(t, r), turn(t, r)})
}

func TestRelay_TemporalAway_TheOverdueAreTriedAgainSoon(t *testing.T) {
	t.Parallel()
	for name, fail := range map[string]func(policy.Subject) error{
		"away":           away,
		"not yet set up": func(policy.Subject) error { return serviceerror.NewInvalidArgument("no mapping for PracticeId") },
	} {
		t.Run(name, func(t *testing.T) { overdueAreTriedAgainSoon(t, fail) })
	}
}

func overdueAreTriedAgainSoon(t *testing.T, fail func(policy.Subject) error) {
	t.Helper()
	b, f := newBench(t), &bell{fail: fail}
	for range 20 {
		b.subject(b.live, policy.KindJourney, `wake_at = now() - interval '1 hour'`)
	}
	r := newRelay(b, f)
	for range 4 {
		require.Zero(t, turn(t, r))
		require.Zero(t, b.count(`select count(*) from subjects where rings > 0 or next_ring_at > clock_timestamp() + interval '1 second'`))
	}
	f.set(nil)
	b.exec(`update subjects set next_ring_at = now()`)
	require.Equal(t, []int{relayProbes, 20 - relayProbes}, []int{turn(t, r), turn(t, r)})
}
