package wake

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kept-practice/kept/internal/policy"
)

func sweep(t *testing.T, s *Sweeper, practice policy.ID, now time.Time) Swept {
	t.Helper()
	swept, err := s.Sweep(context.Background(), practice, now)
	require.NoError(t, err)
	return swept
}

func TestSweep_RecallBeginsWithItsLocalDay(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	id := b.recall(b.test, "2026-01-20")
	b.recall(b.live, "2026-01-20")
	s := NewSweeper(b.store, 0)
	midnight := time.Date(2026, 1, 20, 5, 0, 0, 0, time.UTC)
	require.Zero(t, sweep(t, s, b.test.ID, midnight.Add(-time.Second)).Recalls, "still the 19th in New York")
	require.Equal(t, 1, sweep(t, s, b.test.ID, midnight).Recalls)

	require.Equal(t, 1, b.count(`select count(*) from recalls where id = $1 and status = 'started' and started_at = $2`, id, midnight))
	require.Equal(t, 1, b.count(`select count(*) from subjects where kind = 'recall' and id = $1 and status = 'open'
		and client_id = (select client_id from recalls where id = $1)`, id))
	require.Equal(t, 1, b.count(`select count(*) from outbox where subject_kind = 'recall' and subject_id = $1 and practice_id = $2`, id, b.test.ID))
	require.Equal(t, 1, b.count(`select count(*) from journal where verb = 'recall_started' and subject_id = $1 and at = $2 and actor_kind = 'system'`, id, midnight))
	require.Equal(t, 1, b.count(`select count(*) from recalls where status = 'waiting'`), "the other practice's recall still waits")

	require.Zero(t, sweep(t, s, b.test.ID, midnight.Add(time.Hour)).Recalls, "nothing starts twice")
	require.Equal(t, 1, b.count(`select count(*) from outbox`))
}

func TestSweep_LivePractice_RecallsSpreadOverTheWindow(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	for range 40 {
		b.recall(b.live, "2026-01-20")
	}
	s := NewSweeper(b.store, 2*time.Hour)
	midnight := time.Date(2026, 1, 20, 5, 0, 0, 0, time.UTC)
	first := sweep(t, s, b.live.ID, midnight.Add(time.Hour)).Recalls
	require.Greater(t, first, 5)
	require.Less(t, first, 35)
	require.Equal(t, 40-first, sweep(t, s, b.live.ID, midnight.Add(2*time.Hour)).Recalls)
}

func TestSweep_CollectionBeginsWithTheFirstFollowUp(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	due := clockStart.Add(72 * time.Hour)
	id, paid := b.invoice(b.test, due), b.invoice(b.test, due)
	b.exec(`update invoices set status = 'paid', paid = total where id = $1`, paid)
	s := NewSweeper(b.store, 0)
	require.Zero(t, sweep(t, s, b.test.ID, due.Add(-time.Second)).Collections)
	require.Equal(t, 1, sweep(t, s, b.test.ID, due).Collections)
	require.Zero(t, sweep(t, s, b.test.ID, due).Collections)
	require.Equal(t, 1, b.count(`select count(*) from invoices where follow_up_started_at = $1 and id = $2`, due, id))
	require.Equal(t, 1, b.count(`select count(*) from outbox where subject_kind = 'collection' and subject_id = $1`, id))
	require.Equal(t, 1, b.count(`select count(*) from journal where verb = 'collection_started' and object_kind = 'invoice' and object_id = $1`, id))
	require.Equal(t, 1, b.count(`select count(*) from subjects where kind = 'collection'`))
}

func TestSweep_FourAtOnce_StartEachOnce(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	for range 25 {
		b.recall(b.test, "2026-01-01")
		b.invoice(b.test, clockStart)
	}
	s := NewSweeper(b.store, 0)
	var all sync.WaitGroup
	var mu sync.Mutex
	total := Swept{}
	for range 4 {
		all.Go(func() {
			swept, err := s.Sweep(context.Background(), b.test.ID, clockStart)
			mu.Lock()
			defer mu.Unlock()
			require.NoError(t, err)
			total.Recalls += swept.Recalls
			total.Collections += swept.Collections
		})
	}
	all.Wait()
	require.Equal(t, Swept{Recalls: 25, Collections: 25}, total)
	require.Equal(t, 50, b.count(`select count(*) from outbox`))
	require.Equal(t, 50, b.count(`select count(distinct subject_id) from outbox`))
}

func TestSweep_NextRound_OpensTheSameSubjectAgain(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	id := b.recall(b.test, "2026-01-10")
	s := NewSweeper(b.store, 0)
	require.Equal(t, 1, sweep(t, s, b.test.ID, clockStart).Recalls)
	b.exec(`update subjects set status = 'done', stage = 'booked'`)
	b.exec(`update recalls set status = 'waiting', calculated_on = '2026-07-10', round = 2`)
	require.Equal(t, 1, sweep(t, s, b.test.ID, clockStart.AddDate(0, 7, 0)).Recalls)
	require.Equal(t, 1, b.count(`select count(*) from subjects where id = $1 and status = 'open' and stage = ''`, id))
}

func TestSweepLive_OnePracticeBroken_TheOthersAreSwept(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.exec(`update practices set mode = 'live', zone = 'Nowhere/Land' where id = $1`, b.test.ID)
	b.recall(b.live, "2026-01-01")
	swept, err := NewSweeper(b.store, 0).SweepLive(context.Background())
	require.ErrorContains(t, err, "Nowhere/Land")
	require.Equal(t, Swept{Practices: 2, Recalls: 1}, swept)
}

func TestSweepLive_TestPracticesFollowTheirClockAlone(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.recall(b.test, "2026-01-01")
	swept, err := NewSweeper(b.store, 0).SweepLive(context.Background())
	require.NoError(t, err)
	require.Equal(t, Swept{Practices: 1}, swept)
}

func TestExpireHolds_ByThePracticesClock_FreesTheSlot(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	real := time.Now()
	b.hold(b.live, real.Add(-time.Second))
	keptLive := b.hold(b.live, real.Add(time.Hour))
	b.hold(b.test, clockStart)
	keptTest := b.hold(b.test, clockStart.Add(time.Minute)) // long past in real time
	n, err := NewSweeper(b.store, 0).ExpireHolds(context.Background())
	require.NoError(t, err)
	require.Equal(t, 2, n)
	require.Equal(t, 2, b.count(`select count(*) from holds where id in ($1, $2)`, keptLive, keptTest))
	require.Equal(t, 2, b.count(`select count(*) from reservations where hold_id is not null`))
	require.Equal(t, 2, b.count(`select count(*) from journal where verb = 'hold_expired'`))
}
