package main

import (
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
)

func TestDemo_FromBookingToRecall_EveryInvariantHolds(t *testing.T) {
	dir := stateFolder(t)
	up := startUp(t, dir)
	up.out.waitFor(t, 1, "Links in messages work on this machine only")
	var out strings.Builder
	require.NoError(t, runDemo(t.Context(), &out, dir), "%s\n%s", out.String(), up.out.String())
	for _, line := range []string{"she confirms by the link", "one of them signed", "the card on file was declined", "she pays on the hosted page", "the recall is answered", "INV14"} {
		require.Contains(t, out.String(), line)
	}
	requireFewEvents(t, readRunning(t, dir))
}

// mostEvents is the ratchet on history events of the demo's first chain, booking to paid with a declined charge, two payment
// reminders and a second charge, and of its recall. Rings that meet coalesce, so a run may have fewer; none may have more.
var mostEvents = map[string]int{"journey": 107, "collection": 54, "recall": 29}

func requireFewEvents(t *testing.T, at running) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), at.DatabaseURL)
	require.NoError(t, err)
	defer func() { require.NoError(t, conn.Close(t.Context())) }()
	temporal, err := client.Dial(client.Options{HostPort: at.TemporalAddress, Namespace: "kept"})
	require.NoError(t, err)
	defer temporal.Close()
	rows, err := conn.Query(t.Context(), `
		select kind, min(kind || '/' || id) from subjects
		where practice_id = (select practice_id from recalls limit 1)
			and (kind <> 'journey' or id in (select last_visit_id from recalls))
		group by kind order by kind`)
	require.NoError(t, err)
	for rows.Next() {
		var kind, id string
		require.NoError(t, rows.Scan(&kind, &id))
		events, runs := countEvents(t, temporal, id)
		t.Logf("%s: %d events in %d runs", kind, events, runs)
		require.LessOrEqual(t, events, mostEvents[kind], kind)
	}
	require.NoError(t, rows.Err())
}

// countEvents reads the histories of all runs of a subject; one that was rung after its end has a short run more.
func countEvents(t *testing.T, temporal client.Client, workflowID string) (events, runs int) {
	t.Helper()
	found, err := temporal.ListWorkflow(t.Context(), &workflowservice.ListWorkflowExecutionsRequest{Query: fmt.Sprintf("WorkflowId = '%s'", workflowID)})
	require.NoError(t, err)
	for _, run := range found.GetExecutions() {
		history := temporal.GetWorkflowHistory(t.Context(), workflowID, run.GetExecution().GetRunId(), false, enums.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
		for history.HasNext() {
			_, err := history.Next()
			require.NoError(t, err)
			events++
		}
		runs++
	}
	return events, runs
}
