package main

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kept-practice/kept/db"
	"github.com/kept-practice/kept/internal/proof"
)

func TestDoctor_Overdue_NamesPracticesSubjectsAndWhatToDo(t *testing.T) {
	url := proof.NewDatabase(t)
	t.Setenv("DATABASE_URL", url)
	t.Setenv("TEMPORAL_ADDRESS", "127.0.0.1:1")
	store := proof.OpenStore(t, db.Options{URL: url})
	one, two := proof.TwoPractices(t, store)
	out, err := runKept(t, "doctor")
	require.ErrorContains(t, err, "1 of 9 checks failed", "Temporal is not there")
	require.Contains(t, out, "ok    overdue        nothing")

	conn := proof.Connect(t, store)
	subject := func(p proof.Practice, set string) string {
		id := db.NewID()
		_, err := conn.Exec(t.Context(), `insert into subjects (practice_id, kind, id, client_id, planned_at) values ($1, 'journey', $2, $3, now())`, p.ID, id, p.Client)
		require.NoError(t, err)
		_, err = conn.Exec(t.Context(), `update subjects set `+set+` where id = $1`, id)
		require.NoError(t, err)
		return "journey/" + id.String()
	}
	idle := subject(one, `stage = ''`)
	late := subject(one, `due_keys = '{k}', due_since = now() - interval '10 minutes'`)
	stuck := subject(two, `status = 'stuck'`)
	for range 5 {
		subject(two, `due_keys = '{k}', due_since = now() - interval '7 minutes'`)
	}
	_, err = conn.Exec(t.Context(), `insert into outbox (practice_id, id, subject_kind, subject_id, label, created_at)
		values ($1, $2, 'journey', $2, 'x', now() - interval '1 minute')`, two.ID, db.NewID())
	require.NoError(t, err)
	out, err = runKept(t, "doctor")
	require.ErrorContains(t, err, "6 of 13 checks failed")
	for _, line := range []string{
		"practice " + one.ID.String() + ": " + idle + " is open without a wake-up or a task\n",
		"practice " + one.ID.String() + ": " + late + " is more than 5 minutes late (since 10m0s)\n",
		"practice " + two.ID.String() + ": " + stuck + " is stuck",
		" and 2 more are more than 5 minutes late (since 7m0s)\n",
		"practice " + two.ID.String() + ": changes not acted on for 30 seconds: 1 (since 1m0s)\n",
		"→ is `kept worker` running, does Temporal answer? `kept rewake` rings them at once",
	} {
		require.Contains(t, out, line)
	}
	require.NotContains(t, out, "Casey")
}
