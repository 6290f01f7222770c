package wake

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"math"
	"time"

	"github.com/kept-practice/kept/db"
	"github.com/kept-practice/kept/internal/policy"
)

// sealChunk is about how many entries one seal covers at most; it ends with a whole transaction.
const sealChunk = 2000

// Sealer chains the journal per practice: each seal is SHA-256 over the seal before it and every column of the entries it
// covers, in the order (epoch, transaction, sequence). It seals below the horizon only, where every transaction is over,
// so that an entry that commits late under a lower id cannot slip below a seal.
type Sealer struct {
	store   *db.Store
	metrics *Metrics
	chunk   int32
}

// NewSealer makes a sealer; any number may run.
func NewSealer(store *db.Store, m *Metrics) *Sealer {
	if m == nil {
		m = NewMetrics(nil)
	}
	return &Sealer{store: store, metrics: m, chunk: sealChunk}
}

// SealAll seals every practice; one failure keeps no other from its turn.
func (s *Sealer) SealAll(ctx context.Context) error {
	practices, err := s.store.System().SweepPractices(ctx)
	if err != nil {
		return db.Classify(err)
	}
	var failed []error
	for _, practice := range practices {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if _, err := s.Seal(ctx, practice); err != nil {
			failed = append(failed, fmt.Errorf("seal practice %s: %w", practice, err))
		}
	}
	return errors.Join(failed...)
}

// Seal seals what lies beyond the last seal and below the horizon, and returns how many entries that were. While another
// sealer is at it, none.
func (s *Sealer) Seal(ctx context.Context, practice policy.ID) (int, error) {
	for entries := 0; ; {
		n := 0
		err := s.store.InPractice(ctx, practice, func(tx *db.Tx) error {
			var err error
			n, err = s.sealChunk(ctx, tx)
			return err
		})
		if err != nil || n == 0 {
			return entries, err
		}
		entries += n
		s.metrics.seals.Inc()
	}
}

// head is the end of a chain.
type head struct {
	n     int64
	epoch int32
	xid   int64 // the first transaction that is not covered
	hash  []byte
}

func (s *Sealer) sealChunk(ctx context.Context, tx *db.Tx) (int, error) {
	if mine, err := tx.SealLock(ctx, tx.Practice); err != nil || !mine {
		return 0, err
	}
	last, err := lastSeal(ctx, tx.Queries, tx.Practice)
	if err != nil {
		return 0, err
	}
	from, to, err := s.reach(ctx, tx, last)
	if err != nil || from.xid >= to {
		return 0, err
	}
	entries, err := tx.SealEntries(ctx, db.SealEntriesParams{PracticeID: tx.Practice, Epoch: from.epoch, FromXid: from.xid, ToXid: to})
	if err != nil || len(entries) == 0 {
		return 0, err
	}
	return len(entries), tx.SealInsert(ctx, db.SealInsertParams{
		PracticeID: tx.Practice, N: last.n + 1, Epoch: from.epoch, UpToXid: to, Entries: int32(len(entries)),
		FirstID: entries[0].ID, LastID: entries[len(entries)-1].ID,
		Hash: chain(last.hash, last.n+1, from.epoch, to, entries),
	})
}

// reach is the span of the next seal. An epoch before the current one is over: all of it may be sealed.
func (s *Sealer) reach(ctx context.Context, tx *db.Tx, last head) (from head, to int64, err error) {
	epochs, err := tx.SealNextEpoch(ctx, db.SealNextEpochParams{PracticeID: tx.Practice, Epoch: last.epoch, FromXid: last.xid})
	if err != nil || len(epochs) == 0 {
		return last, last.xid, err
	}
	from = last
	if epochs[0] != last.epoch {
		from.epoch, from.xid = epochs[0], 0
	}
	horizon, err := tx.SealHorizon(ctx)
	if err != nil {
		return from, 0, err
	}
	to = horizon.Xid
	if from.epoch < horizon.Epoch {
		to = math.MaxInt64
	}
	bound, err := tx.SealBound(ctx, db.SealBoundParams{
		PracticeID: tx.Practice, Epoch: from.epoch, FromXid: from.xid, ToXid: to, Chunk: s.chunk - 1,
	})
	if err != nil {
		return from, 0, err
	}
	if len(bound) > 0 && bound[0] < to-1 {
		to = bound[0] + 1
	}
	return from, to, nil
}

// Verdict of Verify.
type Verdict struct {
	Seals    int
	Entries  int   // covered by seals
	Unsealed int   // the newest entries, too young for a seal
	Broken   int64 // number of the first seal that does not fit its entries; 0 when all do
}

// Verify computes the whole chain again. An altered, removed or slipped-in entry breaks the seal that covers it. progress,
// which may be nil, is told after each seal how many of how many fit so far.
func (s *Sealer) Verify(ctx context.Context, practice policy.ID, progress func(done, of int64)) (Verdict, error) {
	var v Verdict
	last := head{}
	q := s.store.In(practice)
	newest, err := lastSeal(ctx, q, practice)
	if err != nil {
		return v, db.Classify(err)
	}
	for {
		page, err := q.SealPage(ctx, practice, last.n)
		if err != nil {
			return v, db.Classify(err)
		}
		if len(page) == 0 {
			break
		}
		for _, seal := range page {
			fits, err := s.fits(ctx, q, practice, last, seal)
			if err != nil {
				return v, db.Classify(err)
			}
			if !fits {
				v.Broken = seal.N
				return v, nil
			}
			v.Seals++
			v.Entries += int(seal.Entries)
			last = head{seal.N, seal.Epoch, seal.UpToXid, seal.Hash}
			if progress != nil {
				progress(seal.N, max(newest.n, seal.N))
			}
		}
	}
	tail, err := q.SealTail(ctx, db.SealTailParams{PracticeID: practice, Epoch: last.epoch, FromXid: last.xid})
	v.Unsealed = int(tail)
	return v, db.Classify(err)
}

func (s *Sealer) fits(ctx context.Context, q *db.Queries, practice policy.ID, last head, seal db.SealPageRow) (bool, error) {
	from := last.xid
	if seal.Epoch != last.epoch {
		from = 0
		left, err := q.SealEntries(ctx, db.SealEntriesParams{PracticeID: practice, Epoch: last.epoch, FromXid: last.xid, ToXid: math.MaxInt64})
		if err != nil || len(left) > 0 { // slipped into an epoch that is over
			return false, err
		}
	}
	entries, err := q.SealEntries(ctx, db.SealEntriesParams{PracticeID: practice, Epoch: seal.Epoch, FromXid: from, ToXid: seal.UpToXid})
	if err != nil {
		return false, err
	}
	return seal.N == last.n+1 && len(entries) == int(seal.Entries) &&
		string(chain(last.hash, seal.N, seal.Epoch, seal.UpToXid, entries)) == string(seal.Hash), nil
}

func lastSeal(ctx context.Context, q *db.Queries, practice policy.ID) (head, error) {
	rows, err := q.SealLast(ctx, practice)
	if err != nil || len(rows) == 0 {
		return head{}, err
	}
	return head{rows[0].N, rows[0].Epoch, rows[0].UpToXid, rows[0].Hash}, nil
}

// chain hashes the previous seal, this one's numbers, and its entries. Every value is preceded by its length, so that no
// two journals have the same form; instants count microseconds, as PostgreSQL keeps them.
func chain(previous []byte, n int64, epoch int32, upTo int64, entries []db.SealEntriesRow) []byte {
	w := canonical{sha256.New()}
	w.bytes([]byte("kept journal seal 1"))
	w.bytes(previous)
	w.number(n)
	w.number(int64(epoch))
	w.number(upTo)
	w.number(int64(len(entries)))
	for _, e := range entries {
		w.id(&e.PracticeID)
		w.id(&e.ID)
		w.number(e.Seq)
		w.number(e.Xid)
		w.number(int64(e.Epoch))
		w.instant(e.At)
		w.instant(e.RecordedAt)
		w.text(&e.Verb)
		w.text(&e.ActorKind)
		w.id(e.ActorID)
		w.id(e.OnBehalfOf)
		w.text(e.SubjectKind)
		w.id(e.SubjectID)
		w.text(&e.ObjectKind)
		w.id(e.ObjectID)
		w.text(&e.Reason)
		w.text(&e.Before)
		w.text(&e.After)
		w.text(&e.RequestID)
	}
	return w.Sum(nil)
}

type canonical struct{ hash.Hash }

func (c canonical) bytes(b []byte) {
	c.number(int64(len(b)))
	c.Write(b) // a hash never fails
}

func (c canonical) number(n int64) {
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], uint64(n))
	c.Write(b[:])
}

func (c canonical) instant(t time.Time) { c.number(t.UnixMicro()) }

// text and id tell nothing (length −1) from empty.
func (c canonical) text(s *string) {
	if s == nil {
		c.number(-1)
		return
	}
	c.bytes([]byte(*s))
}

func (c canonical) id(id *policy.ID) {
	if id == nil {
		c.number(-1)
		return
	}
	c.bytes(id[:])
}
