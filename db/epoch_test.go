package db_test

import (
	"context"
	"io/fs"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kept-practice/kept/db"
	"github.com/kept-practice/kept/internal/policy"
	"github.com/kept-practice/kept/internal/proof"
)

func TestKeepEpoch_OnAnotherServer_RaisesOnce_HoweverOftenItIsCalled(t *testing.T) {
	t.Parallel()
	url := proof.NewDatabase(t)
	conn := proof.Connect(t, proof.OpenStore(t, db.Options{URL: url}))
	raised, err := db.KeepEpoch(t.Context(), url)
	require.NoError(t, err)
	require.Zero(t, raised, "the server that made it")
	_, err = conn.Exec(t.Context(), `update journal_epoch set server = 'another'`)
	require.NoError(t, err)
	elsewhere, err := db.EpochElsewhere(t.Context(), url)
	require.NoError(t, err)
	require.True(t, elsewhere)

	var mu sync.Mutex
	var all sync.WaitGroup
	found := map[int]int{}
	for range 4 {
		all.Go(func() {
			n, err := db.KeepEpoch(context.Background(), url)
			require.NoError(t, err)
			mu.Lock()
			defer mu.Unlock()
			found[n]++
		})
	}
	all.Wait()
	require.Equal(t, map[int]int{0: 3, 2: 1}, found)
	require.Equal(t, []int{2}, collect[int](t, conn, `select epoch from journal_epoch`))
}

// Writers that were there first end in the old epoch before the new one begins.
func TestKeepEpoch_BesideAWriter_NothingJoinsAnEpochThatIsOver(t *testing.T) {
	t.Parallel()
	url := proof.NewDatabase(t)
	store := proof.OpenStore(t, db.Options{URL: url})
	conn := proof.Connect(t, store)
	p, _ := proof.TwoPractices(t, store)
	_, err := conn.Exec(t.Context(), `update journal_epoch set server = 'another'`)
	require.NoError(t, err)
	raised := make(chan error, 1)
	entry := db.Entry{Verb: "setting_changed", By: policy.System(p.ID), Object: "setting"}
	require.NoError(t, store.InPractice(t.Context(), p.ID, func(tx *db.Tx) error {
		if err := tx.Record(t.Context(), entry); err != nil {
			return err
		}
		go func() {
			_, err := db.KeepEpoch(context.Background(), url)
			raised <- err
		}()
		require.Eventually(t, func() bool {
			return len(collect[int](t, conn, `select 1 from pg_locks where relation = 'journal'::regclass and not granted`)) > 0
		}, 20*time.Second, 10*time.Millisecond)
		return tx.Record(t.Context(), entry)
	}))
	require.NoError(t, <-raised)
	require.NoError(t, store.InPractice(t.Context(), p.ID, func(tx *db.Tx) error { return tx.Record(t.Context(), entry) }))
	require.Equal(t, []int{1, 1, 2}, collect[int](t, conn, `select epoch from journal order by seq`))
}

// A dump of a release that did not write down its server may lie on any: its journal begins a new epoch, an empty one does not.
func TestMigration_JournalWithoutServer_BeginsANewEpochUnlessItIsEmpty(t *testing.T) {
	t.Parallel()
	store := proof.NewStore(t)
	conn := proof.Connect(t, store)
	p, _ := proof.TwoPractices(t, store)
	migration, err := fs.ReadFile(db.Migrations(), "00013_journal_server.sql")
	require.NoError(t, err)
	for want := 1; want <= 2; want++ {
		_, err := conn.PgConn().Exec(t.Context(), `begin; alter table journal_epoch drop column server;`+string(migration)+`; commit`).ReadAll()
		require.NoError(t, err)
		require.Equal(t, []int{want}, collect[int](t, conn, `select epoch from journal_epoch`))
		require.NoError(t, store.InPractice(t.Context(), p.ID, func(tx *db.Tx) error {
			return tx.Record(t.Context(), db.Entry{Verb: "setting_changed", By: policy.System(p.ID), Object: "setting"})
		}))
	}
}
