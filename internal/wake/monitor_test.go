package wake

import (
	"context"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/kept-practice/kept/db"
	"github.com/kept-practice/kept/internal/policy"
)

func TestMonitor_FindsWhatIsOverdue_AndNothingElse(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	idle := b.subject(b.test, policy.KindJourney, ``)
	late := b.subject(b.live, policy.KindCollection, `wake_at = now() - interval '6 minutes'`)
	due := b.subject(b.test, policy.KindJourney, `due_keys = '{k}', due_since = now() - interval '6 minutes'`)
	b.fact(late, 40*time.Second)
	b.fact(late, 35*time.Second)

	b.subject(b.live, policy.KindJourney, `wake_at = now() - interval '4 minutes'`)
	b.subject(b.test, policy.KindJourney, `wake_at = $1`, clockStart.Add(time.Hour)) // past in real time only
	b.subject(b.live, policy.KindJourney, `status = 'done'`)
	stuck := b.subject(b.live, policy.KindJourney, `status = 'stuck', wake_at = now() - interval '1 hour'`)
	rung := b.subject(b.live, policy.KindRecall, ``)
	b.fact(rung, time.Second)
	withTask := b.subject(b.live, policy.KindRecall, ``)
	b.exec(`insert into tasks (practice_id, id, kind, title, queue, due_at, subject_kind, subject_id, cause, opened_at)
		values ($1, $2, 'no_contact', 'Call', 'front_desk', now(), $3, $4, 'no_contact', now())`, b.live.ID, db.NewID(), withTask.Kind, withTask.ID)

	b.adoption(b.live, 4*time.Minute)
	b.adoption(b.test, 6*time.Minute)

	o, err := NewMonitor(b.store, nil).Look(context.Background())
	require.NoError(t, err)
	found := map[string][]policy.Subject{}
	for _, f := range o.Findings {
		found[f.Kind] = append(found[f.Kind], f.Subject)
	}
	require.Equal(t, []policy.Subject{idle}, found[FindingIdle])
	require.ElementsMatch(t, []policy.Subject{late, due}, found[FindingLate])
	require.Equal(t, []policy.Subject{{}}, found[FindingOutbox])
	require.Equal(t, []policy.Subject{stuck}, found[FindingStuck])
	require.Equal(t, []policy.Subject{{}}, found[FindingAdoption])
	require.Len(t, o.Findings, 6)
}

// A worker may die between the record of a subject's last step and the look that follows it.
func TestMonitor_LastStepSettled_WaitsForItsLook(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	s := b.subject(b.test, policy.KindJourney, `due_keys = '{last}', due_since = now()`)
	ahead := b.subject(b.test, policy.KindJourney, `due_keys = '{last}', due_since = now(), wake_at = $1`, clockStart.Add(time.Hour))
	for _, s := range []policy.Subject{s, ahead} {
		require.NoError(t, b.store.In(s.Practice).SubjectStepSettled(context.Background(), db.SubjectStepSettledParams{
			PracticeID: s.Practice, Kind: s.Kind, ID: s.ID, Key: "last",
		}))
	}
	o, err := NewMonitor(b.store, nil).Look(context.Background())
	require.NoError(t, err)
	require.Empty(t, o.Findings)
	require.Equal(t, 1, b.count(`select count(*) from subjects where retry_at between now() and now() + interval '20 seconds'`))
	require.Equal(t, 1, b.count(`select count(*) from subjects where id = $1 and retry_at is null`, ahead.ID), "its wake-up is enough")
}

func TestMonitor_OneTaskPerFinding_ClosedWhenItsCauseIsGone(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	reg := prometheus.NewRegistry()
	m := NewMonitor(b.store, NewMetrics(reg))
	idle := b.subject(b.test, policy.KindJourney, ``)
	b.fact(b.subject(b.live, policy.KindJourney, ``), time.Minute)
	b.subject(b.live, policy.KindJourney, `status = 'stuck'`) // has its task from the plan that failed
	for range 3 {
		require.NoError(t, m.Turn(context.Background()))
	}
	require.Equal(t, 2, b.count(`select count(*) from tasks where status = 'open' and kind = 'overdue' and queue = 'owner'`))
	require.Equal(t, 1, b.count(`select count(*) from tasks where subject_id = $1 and title like 'journey/%waits for nothing%' and opened_at = $2`, idle.ID, clockStart))
	require.Equal(t, 2, b.count(`select count(*) from journal where verb = 'task_opened'`))
	require.InDelta(t, 1, gauge(t, reg, "kept_overdue", FindingIdle), 0)
	require.InDelta(t, 60, gauge(t, reg, "kept_outbox_oldest_seconds", ""), 10)

	b.exec(`update subjects set wake_at = now() + interval '1 hour'`)
	b.exec(`delete from outbox`)
	require.NoError(t, m.Turn(context.Background()))
	require.Zero(t, b.count(`select count(*) from tasks where status = 'open'`))
	require.Equal(t, 2, b.count(`select count(*) from tasks where status = 'closed' and closed_reason = 'cause_gone'`))
	require.InDelta(t, 0, gauge(t, reg, "kept_overdue", FindingIdle), 0)

	b.exec(`update subjects set wake_at = null where id = $1`, idle.ID)
	require.NoError(t, m.Turn(context.Background()))
	require.Equal(t, 1, b.count(`select count(*) from tasks where status = 'open'`), "a cause that comes back opens a new one")
}

func TestMonitor_EverythingLate_TwentyTasksSayIt(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	for range 50 {
		b.subject(b.live, policy.KindJourney, `wake_at = now() - interval '1 hour'`)
	}
	m := NewMonitor(b.store, nil)
	for range 2 {
		require.NoError(t, m.Turn(context.Background()))
	}
	require.Equal(t, tasksPerFinding, b.count(`select count(*) from tasks`))
}

// gauge reads a gauge by its one label's value.
func gauge(t *testing.T, reg *prometheus.Registry, name, label string) float64 {
	t.Helper()
	families, err := reg.Gather()
	require.NoError(t, err)
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if f.GetName() == name && (label == "" || m.GetLabel()[0].GetValue() == label) {
				return m.GetGauge().GetValue()
			}
		}
	}
	t.Fatalf("no gauge %s %s", name, label)
	return 0
}
