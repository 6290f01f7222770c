package main

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kept-practice/kept/db"
	"github.com/kept-practice/kept/internal/policy"
	"github.com/kept-practice/kept/internal/proof"
	"github.com/kept-practice/kept/internal/wake"
)

// sealedJournal gives two practices with sealed journals, one of them of two seals.
func sealedJournal(t *testing.T) (store *db.Store, one, two proof.Practice) {
	t.Helper()
	url := proof.NewDatabase(t)
	t.Setenv("DATABASE_URL", url)
	store = proof.OpenStore(t, db.Options{URL: url})
	one, two = proof.TwoPractices(t, store)
	for _, p := range []proof.Practice{one, two, one} {
		record(t, store, p, 3)
		sealAll(t, store, p)
	}
	return store, one, two
}

func record(t *testing.T, store *db.Store, p proof.Practice, times int) {
	t.Helper()
	for range times {
		require.NoError(t, store.InPractice(context.Background(), p.ID, func(tx *db.Tx) error {
			return tx.Record(context.Background(), db.Entry{Verb: "setting_changed", By: policy.System(p.ID), Object: "setting"})
		}))
	}
}

// sealAll seals until nothing is left, however long another transaction of the server holds the horizon back.
func sealAll(t *testing.T, store *db.Store, p proof.Practice) {
	t.Helper()
	s := wake.NewSealer(store, nil)
	require.Eventually(t, func() bool {
		_, err := s.Seal(context.Background(), p.ID)
		require.NoError(t, err)
		v, err := s.Verify(context.Background(), p.ID, nil)
		require.NoError(t, err)
		return v.Unsealed == 0
	}, 30*time.Second, 20*time.Millisecond)
}

func TestJournalVerify_O9_WholeChains_AndTheFirstBrokenSeal(t *testing.T) {
	store, one, two := sealedJournal(t)
	out, err := runKept(t, "journal", "verify")
	require.NoError(t, err, out)
	require.Contains(t, out, "ok     practice "+one.ID.String()+": 2 seals fit their 6 entries, 0 newer ones")
	require.Contains(t, out, "ok     practice "+two.ID.String()+": 1 seals fit their 3 entries")

	conn := proof.Connect(t, store)
	for _, sql := range []string{
		`set session_replication_role = replica`,
		`update journal set reason = 'else' where seq = (select max(seq) from journal where practice_id = '` + one.ID.String() + `')`,
		`set session_replication_role = origin`,
	} {
		_, err := conn.Exec(t.Context(), sql)
		require.NoError(t, err)
	}
	out, err = runKept(t, "journal", "verify")
	require.ErrorContains(t, err, "the journal of 1 of 2 practices was altered")
	require.Contains(t, out, "BROKEN practice "+one.ID.String()+": seal 2 does not fit its entries; the 1 seals before it fit theirs")
	require.Contains(t, out, "ok     practice "+two.ID.String())
	out, err = runKept(t, "journal", "verify", "--practice", two.ID.String())
	require.NoError(t, err, "only the one that was asked for")
	require.NotContains(t, out, one.ID.String())
}

func TestJournalVerify_OddPractice_SaysWhat(t *testing.T) {
	t.Setenv("DATABASE_URL", proof.NewDatabase(t))
	_, err := runKept(t, "journal", "verify", "--practice", "nonsense")
	require.ErrorContains(t, err, "--practice is not a UUID")
	_, err = runKept(t, "journal", "verify", "--practice", db.NewID().String())
	require.ErrorContains(t, err, "there is no practice")
}

func TestEveryFewSeconds_ShortJournal_SaysNothing(t *testing.T) {
	said := 0
	say := everyFewSeconds(func(int64, int64) { said++ })
	for n := range int64(1000) {
		say(n, 1000)
	}
	require.Zero(t, said)
}
