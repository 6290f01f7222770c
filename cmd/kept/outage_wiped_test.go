package main

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/enums/v1"

	"github.com/kept-practice/kept/internal/desk"
	"github.com/kept-practice/kept/internal/policy"
	"github.com/kept-practice/kept/internal/proof"
)

// crowdOfSubjects leaves open subjects of every kind: visits ahead, unpaid invoices being followed up and clients invited
// back, each of a client of their own. The clock rests, so nothing of it is due.
func crowdOfSubjects(r *rig) {
	r.t.Helper()
	r.open(desk.ModeTest, func(s *desk.Setup) { s.Services[2].RecallEvery = "P7D" })
	begin := time.Date(2027, 3, 1, 9, 0, 0, 0, time.UTC)
	r.clock(begin)
	day := begin.Add(29 * time.Hour)
	var past []desk.Booked
	for n := range 20 {
		past = append(past, r.visit(day.Add(time.Duration(n/10)*30*time.Minute), n))
	}
	r.advance(day.Add(time.Hour))
	for _, visit := range past {
		_, err := r.desk.SetStatus(r.t.Context(), r.by, desk.StatusInput{Appointment: visit.Appointment.ID, Verb: policy.VerbComplete})
		require.NoError(r.t, err)
	}
	now := day.AddDate(0, 0, 8)
	r.advance(now)
	for n := range 20 {
		r.visit(now.AddDate(0, 0, 3).Add(time.Duration(n/10)*30*time.Minute), n)
	}
	r.drained(30 * time.Second)
}

// requireMixed asks for at least 50 open subjects, some of every kind.
func requireMixed(r *rig) []policy.Subject {
	r.t.Helper()
	open := r.openSubjects()
	require.GreaterOrEqual(r.t, len(open), 50)
	for _, kind := range []string{policy.KindJourney, policy.KindCollection, policy.KindRecall} {
		n := 0
		for _, s := range open {
			if s.Kind == kind {
				n++
			}
		}
		require.GreaterOrEqual(r.t, n, 5, kind)
	}
	return open
}

// runsOf tells the run that each subject has in Temporal; those without a running one are left out.
func (r *rig) runsOf(subjects []policy.Subject) map[policy.Subject]string {
	runs := map[policy.Subject]string{}
	for _, s := range subjects {
		answer, err := r.temporal.DescribeWorkflowExecution(r.t.Context(), s.WorkflowID(), "")
		if err == nil && answer.GetWorkflowExecutionInfo().GetStatus() == enums.WORKFLOW_EXECUTION_STATUS_RUNNING {
			runs[s] = answer.GetWorkflowExecutionInfo().GetExecution().GetRunId()
		}
	}
	return runs
}

// everyRunBack waits until every open subject has a run other than before, and all have looked at the facts since an instant of
// PostgreSQL's clock.
func (r *rig) everyRunBack(open []policy.Subject, before map[policy.Subject]string, since time.Time, within time.Duration) time.Duration {
	r.t.Helper()
	began := time.Now()
	missing := slices.Clone(open)
	require.Eventually(r.t, func() bool {
		runs := r.runsOf(missing)
		missing = slices.DeleteFunc(missing, func(s policy.Subject) bool { return runs[s] != "" && runs[s] != before[s] })
		return len(missing) == 0
	}, within, 200*time.Millisecond, "open subjects without a new run")
	require.Eventually(r.t, func() bool {
		return r.count(`select count(*) from subjects where status = 'open' and planned_at < $1`, since) == 0
	}, within, 100*time.Millisecond, "runs that have not looked yet")
	return time.Since(began)
}

// TestOutage_TemporalLosesItsDatabase_EverySubjectRunsAgain: facts and effects stand in PostgreSQL, so that an empty
// Temporal costs no journey and nothing happens twice.
func TestOutage_TemporalLosesItsDatabase_EverySubjectRunsAgain(t *testing.T) {
	t.Parallel()
	database := proof.NewDatabase(t)
	r := newRig(t, database, database)
	r.startTemporal()
	r.run()
	crowdOfSubjects(r)
	open := requireMixed(r)
	ledger := r.ledger()

	wiped := func(heal func()) func(*testing.T) {
		return func(t *testing.T) {
			defer r.in(t)()
			before := r.runsOf(open)
			require.Len(t, before, len(open))
			since := r.now()
			r.stopTemporal()
			r.wipeTemporal(database)
			require.NoError(t, r.server.Start(t.Context()))
			heal()
			took := r.everyRunBack(open, before, since, 120*time.Second)
			r.drained(30 * time.Second)
			require.Equal(t, ledger, r.ledger(), "sent or charged again")
			require.Equal(t, open, r.openSubjects())
			proof.Tell(t, "%d of %d open subjects have a run again after %s; 0 of %d sent or charged again, %d comparisons hold",
				len(open), len(open), took.Round(100*time.Millisecond), total(ledger), r.judged())
		}
	}
	t.Run("rewake hurries", wiped(func() {
		require.Contains(r.t, r.command("rewake"), fmt.Sprintf("rang %d open subjects", len(open)))
	}))
	t.Run("the relay heals what is overdue", wiped(func() {
		_, err := r.sql.Exec(r.t.Context(), `update subjects set retry_at = now() - interval '3 minutes' where status = 'open'`)
		require.NoError(r.t, err)
	}))
	t.Run("rewake restarts every run under load after a breaking change of the runner", func(t *testing.T) {
		defer r.in(t)()
		r.fault("mail", "slow", 1000, 2000)
		day := time.Date(2027, 3, 17, 9, 0, 0, 0, time.UTC)
		for n := range 20 {
			r.visit(day.Add(time.Duration(n/10)*time.Hour), n)
		}
		require.Eventually(t, func() bool { return r.count(`select count(*) from effects where state = 'claimed'`) >= 10 }, 20*time.Second, 20*time.Millisecond)
		open, since := r.openSubjects(), r.now()
		before, calls := r.runsOf(open), r.count(`select count(*) from effects where state = 'claimed'`)
		require.Contains(t, r.command("rewake", "--restart", "--per-second", "100"), fmt.Sprintf("rang %d open subjects", len(open)))
		r.everyRunBack(open, before, since, 60*time.Second)
		r.drained(60 * time.Second)
		ledger["mail"] += 20
		require.Equal(t, ledger, r.ledger(), "one confirmation each")
		require.Zero(t, r.count(`select count(*) from effects where state = 'unknown'`))
		proof.Tell(t, "%d runs restarted with %d calls under way; 0 of %d sent or charged twice, 0 unknown, %d comparisons hold",
			len(open), calls, total(ledger), r.judged())
	})
}

func total(counts map[string]int) (n int) {
	for _, c := range counts {
		n += c
	}
	return n
}
