package wake

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/kept-practice/kept/db"
	"github.com/kept-practice/kept/internal/policy"
	"github.com/kept-practice/kept/internal/proof"
)

func (b *bench) record(p proof.Practice, times int) {
	b.t.Helper()
	for range times {
		require.NoError(b.t, b.store.InPractice(context.Background(), p.ID, func(tx *db.Tx) error {
			return tx.Record(context.Background(), db.Entry{
				Verb: "appointment_booked", By: policy.System(p.ID), Object: "appointment", ID: db.NewID(), Reason: "tést",
				After: map[string]any{"b": 1, "a": []int{1, 2}},
			})
		}))
	}
}

// sealed seals what is recorded, in one go: it waits until no transaction elsewhere in the server holds the horizon below it.
func (b *bench) sealed(s *Sealer, p proof.Practice, want int) {
	b.t.Helper()
	require.Eventually(b.t, func() bool {
		return b.count(`select count(*) from journal where practice_id = $1 and epoch = (select epoch from journal_epoch)
			and xid >= pg_snapshot_xmin(pg_current_snapshot())`, p.ID) == 0
	}, 20*time.Second, 20*time.Millisecond)
	n, err := s.Seal(context.Background(), p.ID)
	require.NoError(b.t, err)
	require.Equal(b.t, want, n)
}

func verify(t *testing.T, s *Sealer, p proof.Practice) Verdict {
	t.Helper()
	v, err := s.Verify(context.Background(), p.ID, nil)
	require.NoError(t, err)
	return v
}

// tamper changes the journal as somebody with the database's superuser could.
func (b *bench) tamper(sql string, args ...any) {
	b.t.Helper()
	b.exec(`set session_replication_role = replica`)
	b.exec(sql, args...)
	b.exec(`set session_replication_role = origin`)
}

func TestSeal_ChainsEachPractice(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	s := NewSealer(b.store, nil)
	b.record(b.test, 5)
	b.record(b.live, 2)
	b.sealed(s, b.test, 5)
	b.record(b.test, 3)
	b.sealed(s, b.test, 3)
	b.record(b.test, 1)
	require.Equal(t, Verdict{Seals: 2, Entries: 8, Unsealed: 1}, verify(t, s, b.test))
	require.Equal(t, Verdict{Unsealed: 2}, verify(t, s, b.live))
	n, err := s.Seal(context.Background(), db.NewID())
	require.NoError(t, err)
	require.Zero(t, n, "nobody's journal is empty")
}

func TestVerify_FindsOneAlteredEntry_WhateverTheColumn(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	s := NewSealer(b.store, nil)
	for range 3 {
		b.record(b.test, 3)
		b.sealed(s, b.test, 3)
	}
	victim := one[policy.ID](b, `select id from journal where practice_id = $1 order by seq offset 4 limit 1`, b.test.ID)
	for _, change := range []string{
		`reason = 'else'`, `at = at + interval '1 microsecond'`, `recorded_at = recorded_at - interval '1 second'`, `verb = 'appointment_moved'`,
		`actor_id = id`, `actor_kind = 'staff'`, `on_behalf_of = id`, `subject_kind = ''`, `subject_id = id`, `object_kind = 'invoice'`,
		`object_id = null`, `before = '{}'`, `after = '{"a": [1, 2], "b": 2}'`, `after = null`, `request_id = 'r'`,
	} {
		b.tamper(`create table kept_copy as select * from journal where id = $1`, victim)
		b.tamper(`update journal set `+change+` where id = $1`, victim)
		require.Equal(t, int64(2), verify(t, s, b.test).Broken, change)
		b.tamper(`delete from journal where id = $1`, victim)
		require.Equal(t, int64(2), verify(t, s, b.test).Broken, "a removed entry")
		b.tamper(`insert into journal overriding system value select * from kept_copy`)
		b.tamper(`drop table kept_copy`)
		require.Zero(t, verify(t, s, b.test).Broken)
	}
}

func TestVerify_FindsASlippedInEntry_AndAMissingSeal(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	s := NewSealer(b.store, nil)
	for range 3 {
		b.record(b.test, 2)
		b.sealed(s, b.test, 2)
	}
	b.tamper(`insert into journal (practice_id, id, xid, epoch, at, verb, actor_kind, object_kind)
		select practice_id, gen_random_uuid(), xid, epoch, at, verb, actor_kind, object_kind from journal where practice_id = $1 order by seq limit 1`, b.test.ID)
	require.Equal(t, int64(1), verify(t, s, b.test).Broken)
	b.tamper(`delete from journal where seq = (select max(seq) from journal)`)
	require.Zero(t, verify(t, s, b.test).Broken)
	b.tamper(`delete from journal_seals where n = 2`)
	require.Equal(t, int64(3), verify(t, s, b.test).Broken)
}

func TestSeal_LateCommitUnderALowerId_IsNotSlippedBelowASeal(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	s := NewSealer(b.store, nil)
	early := proof.Connect(t, b.store)
	insert := func(conn *pgx.Conn) {
		_, err := conn.Exec(context.Background(), `insert into journal (practice_id, id, epoch, at, verb, actor_kind, object_kind)
			values ($1, $2, 1, now(), 'appointment_booked', 'system', 'appointment')`, b.test.ID, db.NewID())
		require.NoError(t, err)
	}
	_, err := early.Exec(context.Background(), `begin`)
	require.NoError(t, err)
	insert(early)       // lower transaction, id and sequence …
	b.record(b.test, 2) // … these commit first
	for range 3 {
		n, err := s.Seal(context.Background(), b.test.ID)
		require.NoError(t, err)
		require.Zero(t, n, "whatever is at or above an open transaction waits")
	}
	_, err = early.Exec(context.Background(), `commit`)
	require.NoError(t, err)
	b.sealed(s, b.test, 3)
	require.Equal(t, Verdict{Seals: 1, Entries: 3}, verify(t, s, b.test))
}

func TestSeal_ManySealersAtOnce_OneChain(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	s := NewSealer(b.store, nil)
	s.chunk = 3
	b.record(b.test, 20)
	var all sync.WaitGroup
	for range 5 {
		all.Go(func() {
			_, err := s.Seal(context.Background(), b.test.ID)
			require.NoError(t, err)
		})
	}
	all.Wait()
	b.sealedAtLeast(s, b.test, 20)
	v := verify(t, s, b.test)
	require.Equal(t, Verdict{Seals: v.Seals, Entries: 20}, v)
	require.GreaterOrEqual(t, v.Seals, 7, "seals of three entries")
}

func (b *bench) sealedAtLeast(s *Sealer, p proof.Practice, want int) {
	b.t.Helper()
	require.Eventually(b.t, func() bool {
		require.NoError(b.t, s.SealAll(context.Background()))
		return b.count(`select coalesce(sum(entries), 0) from journal_seals where practice_id = $1`, p.ID) >= want
	}, 20*time.Second, 20*time.Millisecond)
}

func TestSeal_OneTransactionLongerThanAChunk_IsSealedWhole(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	s := NewSealer(b.store, nil)
	s.chunk = 2
	require.NoError(t, b.store.InPractice(context.Background(), b.test.ID, func(tx *db.Tx) error {
		for range 5 {
			if err := tx.Record(context.Background(), db.Entry{Verb: "x", By: policy.System(b.test.ID), Object: "y"}); err != nil {
				return err
			}
		}
		return nil
	}))
	b.sealed(s, b.test, 5)
	require.Equal(t, Verdict{Seals: 1, Entries: 5}, verify(t, s, b.test))
}

func TestSeal_RestoredCluster_TransactionIdsRestart(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	s := NewSealer(b.store, nil)
	b.record(b.test, 3)
	b.sealed(s, b.test, 2+1)
	b.record(b.test, 2) // still unsealed when the cluster is lost
	b.exec(`update journal_epoch set epoch = 2`)
	// The new cluster counts transactions from a low number again.
	b.tamper(`insert into journal (practice_id, id, xid, epoch, at, verb, actor_kind, object_kind)
		select $1, gen_random_uuid(), n::text::xid8, 2, now(), 'appointment_booked', 'system', 'appointment' from generate_series(5, 8) n`, b.test.ID)
	b.sealed(s, b.test, 6)
	require.Equal(t, Verdict{Seals: 3, Entries: 9}, verify(t, s, b.test))
	b.tamper(`insert into journal (practice_id, id, epoch, at, verb, actor_kind, object_kind)
		values ($1, gen_random_uuid(), 1, now(), 'appointment_booked', 'system', 'appointment')`, b.test.ID)
	require.Equal(t, int64(2), verify(t, s, b.test).Broken, "nothing joins an epoch that is over")
}
