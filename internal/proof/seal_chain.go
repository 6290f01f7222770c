package proof

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"hash"
	"math"
	"time"

	"github.com/kept-practice/kept/db"
	"github.com/kept-practice/kept/internal/policy"
)

// chainOf computes the chain of one practice again, written apart from the sealer, so that neither can hide the other's
// mistake. It returns how many entries the seals cover, and the number of the first seal that does not fit, 0 when all do.
func chainOf(ctx context.Context, q *db.Queries, practice policy.ID) (covered int, broken int64, err error) {
	var (
		last  []byte
		n     int64
		epoch int32
		from  int64
	)
	for {
		page, err := q.SealPage(ctx, practice, n)
		if err != nil || len(page) == 0 {
			return covered, 0, err
		}
		for _, seal := range page {
			if seal.Epoch != epoch {
				late, err := q.SealEntries(ctx, db.SealEntriesParams{PracticeID: practice, Epoch: epoch, FromXid: from, ToXid: math.MaxInt64})
				if err != nil {
					return covered, 0, err
				}
				if len(late) > 0 {
					return covered, seal.N, nil
				}
				from = 0
			}
			entries, err := q.SealEntries(ctx, db.SealEntriesParams{PracticeID: practice, Epoch: seal.Epoch, FromXid: from, ToXid: seal.UpToXid})
			if err != nil {
				return covered, 0, err
			}
			if seal.N != n+1 || len(entries) != int(seal.Entries) || !bytes.Equal(sealHash(last, seal, entries), seal.Hash) {
				return covered, seal.N, nil
			}
			covered += len(entries)
			last, n, epoch, from = seal.Hash, seal.N, seal.Epoch, seal.UpToXid
		}
	}
}

// sealHash is the published form of a seal: every value preceded by its length, nothing by -1, instants in microseconds.
func sealHash(previous []byte, seal db.SealPageRow, entries []db.SealEntriesRow) []byte {
	f := form{sha256.New()}
	f.text("kept journal seal 1")
	f.text(string(previous))
	for _, n := range []int64{seal.N, int64(seal.Epoch), seal.UpToXid, int64(len(entries))} {
		f.number(n)
	}
	for _, e := range entries {
		f.id(&e.PracticeID)
		f.id(&e.ID)
		for _, n := range []int64{e.Seq, e.Xid, int64(e.Epoch)} {
			f.number(n)
		}
		for _, t := range []time.Time{e.At, e.RecordedAt} {
			f.number(t.UnixMicro())
		}
		f.text(e.Verb)
		f.text(e.ActorKind)
		f.id(e.ActorID)
		f.id(e.OnBehalfOf)
		if e.SubjectKind == nil {
			f.number(-1)
		} else {
			f.text(*e.SubjectKind)
		}
		f.id(e.SubjectID)
		f.text(e.ObjectKind)
		f.id(e.ObjectID)
		for _, s := range []string{e.Reason, e.Before, e.After, e.RequestID} {
			f.text(s)
		}
	}
	return f.Sum(nil)
}

type form struct{ hash.Hash }

func (f form) number(n int64) {
	f.Write(binary.BigEndian.AppendUint64(nil, uint64(n))) // a hash never fails
}

func (f form) text(s string) {
	f.number(int64(len(s)))
	f.Write([]byte(s))
}

func (f form) id(id *policy.ID) {
	if id == nil {
		f.number(-1)
		return
	}
	f.text(string(id[:]))
}
