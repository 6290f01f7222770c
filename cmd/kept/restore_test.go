package main

import (
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/kept-practice/kept/db"
	"github.com/kept-practice/kept/internal/embedded"
	"github.com/kept-practice/kept/internal/proof"
)

// tool runs one of PostgreSQL's own programs.
func tool(t *testing.T, name string, args ...string) {
	t.Helper()
	out, err := exec.Command(name, args...).CombinedOutput()
	require.NoError(t, err, "%s: %s", name, out)
}

func TestRestore_OntoAnotherServer_TheOldChainHoldsAndTheNewOneGoesOn(t *testing.T) {
	for _, name := range []string{"pg_dump", "pg_restore"} {
		if _, err := exec.LookPath(name); err != nil {
			t.Skip(name + " is not installed: the programs of PostgreSQL's clients make and read the dump")
		}
	}
	old, one, two := sealedJournal(t)
	record(t, old, one, 2) // not sealed when the server was lost
	from := t.TempDir()
	dump := filepath.Join(from, "kept.dump")
	tool(t, "pg_dump", "--format=custom", "--file="+dump, proof.Connect(t, old).Config().ConnString())

	server, err := embedded.StartPostgres(t.Context(), embedded.PostgresOptions{Dir: stateFolder(t), Fast: true})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, server.Close()) })
	t.Setenv("DATABASE_URL", server.URL())
	out, err := runKept(t, "migrate")
	require.NoError(t, err)
	require.NotContains(t, out, "restored")
	tool(t, "pg_restore", "--single-transaction", "--clean", "--if-exists", "--dbname="+server.URL(), dump)
	t.Setenv("TEMPORAL_ADDRESS", "127.0.0.1:1")
	out, err = runKept(t, "doctor")
	require.Error(t, err)
	require.Contains(t, out, "WRONG schema         restored from another server")

	out, err = runKept(t, "migrate")
	require.NoError(t, err)
	require.Contains(t, out, "this database was restored on another server: the journal goes on in epoch 2\n")
	out, err = runKept(t, "migrate")
	require.NoError(t, err, "again is harmless")
	require.NotContains(t, out, "restored")

	store := proof.OpenStore(t, db.Options{URL: server.URL()})
	conn := proof.Connect(t, store)
	var highest, now uint64
	require.NoError(t, conn.QueryRow(t.Context(), `select max(xid::text::bigint), pg_current_xact_id()::text::bigint from journal`).Scan(&highest, &now))
	record(t, store, one, 4)
	sealAll(t, store, one)
	epochs := func() (counts []int) {
		rows, err := conn.Query(t.Context(), `select count(*)::int from journal where practice_id = $1 group by epoch order by epoch`, one.ID)
		require.NoError(t, err)
		counts, err = pgx.CollectRows(rows, pgx.RowTo[int])
		require.NoError(t, err)
		return counts
	}
	require.Equal(t, []int{8, 4}, epochs(), "what is new lies in the new epoch, whatever this server counts (%d, once %d)", now, highest)
	out, err = runKept(t, "journal", "verify")
	require.NoError(t, err, out)
	require.Contains(t, out, "ok     practice "+one.ID.String()+": 4 seals fit their 12 entries, 0 newer ones")
	require.Contains(t, out, "ok     practice "+two.ID.String()+": 1 seals fit their 3 entries")
}
