package main

import (
	"context"
	"fmt"
	"net/http"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/workflowservice/v1"

	"github.com/kept-practice/kept/db"
	"github.com/kept-practice/kept/internal/desk"
	"github.com/kept-practice/kept/internal/embedded"
	"github.com/kept-practice/kept/internal/policy"
	"github.com/kept-practice/kept/internal/proof"
	"github.com/kept-practice/kept/internal/wake"
)

// TestOutage_PostgresAway_RunsWaitAndGoOn: a plan that finds no database waits and looks again, however often it is rung; the
// API says 503 and when to come back; both are there again within seconds.
func TestOutage_PostgresAway_RunsWaitAndGoOn(t *testing.T) {
	t.Parallel()
	t.Run("kept's own", func(t *testing.T) { postgresAway(t, outage(45*time.Second), false) })
	t.Run("and Temporal's with it", func(t *testing.T) { postgresAway(t, outage(10*time.Second), true) })
}

func postgresAway(t *testing.T, long time.Duration, shared bool) {
	t.Parallel()
	pg, err := embedded.StartPostgres(t.Context(), embedded.PostgresOptions{Dir: stateFolder(t)})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, pg.Remove(context.Background())) })
	require.NoError(t, db.Migrate(t.Context(), pg.URL(), func(string) {}))
	temporal := pg.URL()
	if !shared {
		temporal = proof.NewDatabase(t)
	}
	r := newRig(t, pg.URL(), temporal)
	r.keepTemporal()
	r.open(desk.ModeTest, nil)
	r.clock(testNoon)
	r.run()
	const journeys = 30
	for n := range journeys {
		r.visit(testNoon.AddDate(0, 0, 30).Add(time.Duration(n/10)*time.Hour), n)
	}
	var people []person
	for range 200 {
		people = append(people, r.person())
	}
	r.drained(30 * time.Second)
	open := r.openSubjects()
	require.Len(t, open, journeys)

	require.NoError(t, pg.Kill())
	began := time.Now()
	var asked sync.WaitGroup
	away, stop := context.WithCancel(t.Context())
	rung := 0
	asked.Go(func() { rung = r.ringAll(away, open) })
	var refused int
	for ; time.Since(began) < long; refused++ {
		status, header := r.tryToBook(people[0])
		require.Equal(t, http.StatusServiceUnavailable, status, "answer %d without a database", refused)
		require.NotEmpty(t, header.Get("Retry-After"))
		<-time.After(300 * time.Millisecond)
	}
	stop()
	asked.Wait()
	require.NoError(t, pg.Start(t.Context()))
	back := time.Now()
	for status := 0; status != http.StatusCreated; status, _ = r.tryToBook(people[0]) {
		require.Less(t, time.Since(back), 5*time.Second, "the pool is not back")
	}
	pool := time.Since(back)
	for _, p := range people[1:21] {
		status, _ := r.tryToBook(p)
		require.Equal(t, http.StatusCreated, status)
	}
	since := r.now()
	ringer := wake.NewRinger(r.temporal, nil)
	require.Eventually(t, func() bool {
		for _, s := range open {
			if ringer.Ring(t.Context(), s, "test") != nil {
				return false
			}
		}
		return true
	}, 60*time.Second, time.Second, "Temporal takes rings again")
	r.drained(60 * time.Second)
	require.Eventually(t, func() bool {
		return r.count(`select count(*) from subjects where planned_at < $1 and opened_at < $2`, since, began) == 0
	}, 60*time.Second, 100*time.Millisecond, "runs that did not go on")
	require.Equal(t, journeys+21, r.count(`select count(*) from appointments`), "503 means that nothing was done")
	require.Equal(t, map[string]int{"mail": journeys + 21}, r.ledger())
	events, failed := r.histories(r.openSubjects())
	require.Zero(t, failed, "of %d events", events)
	proof.Tell(t, "away for %s, %d rings meanwhile: 0 of %d runs failed, 0 of %d events a task that failed; 503 and Retry-After %d of %d times; first booking %s after its return; %d comparisons hold",
		long, rung, len(r.openSubjects()), events, refused, refused, pool.Round(10*time.Millisecond), r.judged())
}

// keepTemporal starts the server again when it dies, as `kept up` does.
func (r *rig) keepTemporal() {
	r.t.Helper()
	r.sup.keep(service{name: "temporal", command: func(context.Context) (*exec.Cmd, error) { return r.server.Command(), nil }})
	require.NoError(r.t, r.server.Ready(r.t.Context()))
}

// ringAll rings every subject every few seconds until the context ends, and counts the rings that Temporal took.
func (r *rig) ringAll(ctx context.Context, subjects []policy.Subject) (taken int) {
	ringer := wake.NewRinger(r.temporal, nil)
	for {
		for _, s := range subjects {
			if ringer.Ring(ctx, s, "test") == nil {
				taken++
			}
		}
		select {
		case <-ctx.Done():
			return taken
		case <-time.After(5 * time.Second):
		}
	}
}

// tryToBook asks once for a slot of its own.
func (r *rig) tryToBook(who person) (status int, header http.Header) {
	r.t.Helper()
	n := int(r.slots.Add(1)) - 1
	at := testNoon.AddDate(0, 0, 8).Add(time.Duration(n/len(r.practice.Providers)) * 30 * time.Minute)
	body := fmt.Sprintf(`{"client_id":%q,"service_id":%q,"provider_id":%q,"location_id":%q,"starts_at":%q}`,
		spelled("cli", who.id), spelled("svc", r.practice.Services[2]), spelled("prv", r.practice.Providers[n%len(r.practice.Providers)]),
		spelled("loc", r.practice.Locations[0]), at.Format(time.RFC3339))
	request, err := http.NewRequestWithContext(r.t.Context(), http.MethodPost, r.apiURL()+"/v1/appointments", strings.NewReader(body))
	require.NoError(r.t, err)
	request.Header.Set("Authorization", "Bearer "+r.practice.Key.Text)
	request.Header.Set("Content-Type", "application/json")
	reply, err := http.DefaultClient.Do(request)
	require.NoError(r.t, err)
	require.NoError(r.t, reply.Body.Close())
	return reply.StatusCode, reply.Header
}

// histories reads the latest run of every subject: its events, and how many tell of a failed run or a failed workflow task,
// which is how replay says that a run is not what its history says.
func (r *rig) histories(subjects []policy.Subject) (events, failed int) {
	r.t.Helper()
	for _, s := range subjects {
		history := r.temporal.GetWorkflowHistory(r.t.Context(), s.WorkflowID(), "", false, enums.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
		for history.HasNext() {
			event, err := history.Next()
			require.NoError(r.t, err)
			events++
			switch event.GetEventType() {
			case enums.EVENT_TYPE_WORKFLOW_TASK_FAILED, enums.EVENT_TYPE_WORKFLOW_EXECUTION_FAILED,
				enums.EVENT_TYPE_WORKFLOW_EXECUTION_TERMINATED, enums.EVENT_TYPE_WORKFLOW_EXECUTION_TIMED_OUT:
				failed++
				r.t.Log(event)
			}
		}
	}
	ended, err := r.temporal.CountWorkflow(r.t.Context(), &workflowservice.CountWorkflowExecutionsRequest{
		Query: `ExecutionStatus in ('Failed', 'TimedOut', 'Terminated')`,
	})
	require.NoError(r.t, err)
	return events, failed + int(ended.GetCount())
}
