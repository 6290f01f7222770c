package db

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/kept-practice/kept/internal/policy"
)

// LockSet names everything a transaction will lock. Lock takes it in one fixed order, so no two transactions wait for
// each other in a circle: resources and standing things → clients → subjects → appointments → invoices, each kind sorted by id. Effects come
// after these and are locked by their own statements, then a channel; journal, outbox and rollups come last, and no lock follows them.
type LockSet struct {
	Resources    []policy.ID // advisory, held until the transaction ends; also a service or location that is taken out of use
	Standing     []policy.ID // advisory and shared: services and locations that have to stay as they are until the commit
	Clients      []policy.ID
	Subjects     []policy.Subject
	Appointments []policy.ID
	Invoices     []policy.ID
}

// Lock takes the set, one statement per lock, so that whatever is read afterwards was committed before. A row that does
// not exist is no error: the read that follows finds out.
func (t *Tx) Lock(ctx context.Context, set LockSet) error {
	if err := t.lockAdvisory(ctx, set); err != nil {
		return err
	}
	for _, id := range sorted(set.Clients) {
		if _, err := t.tx.Exec(ctx, `select from clients where practice_id = $1 and id = $2 for no key update`, t.Practice, id); err != nil {
			return fmt.Errorf("lock client: %w", err)
		}
	}
	subjects := slices.Clone(set.Subjects)
	slices.SortFunc(subjects, func(a, b policy.Subject) int {
		return bytes.Compare([]byte(a.Kind+string(a.ID[:])), []byte(b.Kind+string(b.ID[:])))
	})
	for _, s := range slices.Compact(subjects) {
		if _, err := t.tx.Exec(ctx, `select from subjects where practice_id = $1 and kind = $2 and id = $3 for no key update`,
			t.Practice, s.Kind, s.ID); err != nil {
			return fmt.Errorf("lock subject: %w", err)
		}
	}
	for _, id := range sorted(set.Appointments) {
		if _, err := t.tx.Exec(ctx, `select from appointments where practice_id = $1 and id = $2 for no key update`, t.Practice, id); err != nil {
			return fmt.Errorf("lock appointment: %w", err)
		}
	}
	for _, id := range sorted(set.Invoices) {
		if _, err := t.tx.Exec(ctx, `select from invoices where practice_id = $1 and id = $2 for no key update`, t.Practice, id); err != nil {
			return fmt.Errorf("lock invoice: %w", err)
		}
	}
	return nil
}

// lockAdvisory takes all advisory locks in one statement, one after the other by id, exclusive and shared ones mixed.
func (t *Tx) lockAdvisory(ctx context.Context, set LockSet) error {
	var (
		keys   []int64
		shared []bool
	)
	for _, id := range sorted(append(slices.Clone(set.Resources), set.Standing...)) {
		keys = append(keys, advisoryKey(id))
		shared = append(shared, !slices.Contains(set.Resources, id))
	}
	if len(keys) == 0 {
		return nil
	}
	_, err := t.tx.Exec(ctx, `select case when l.shared then pg_advisory_xact_lock_shared(l.key)::text else pg_advisory_xact_lock(l.key)::text end
		from unnest($1::bigint[], $2::bool[]) as l (key, shared)`, keys, shared)
	if err != nil {
		return fmt.Errorf("lock resources: %w", err)
	}
	return nil
}

// LockChannel lets one transaction at a time count what came of a channel's calls. It follows the lock of the effect.
func (t *Tx) LockChannel(ctx context.Context, channel string) error {
	_, err := t.tx.Exec(ctx, `select pg_advisory_xact_lock(hashtextextended('channel/' || $1::text || '/' || $2::text, 0))`, t.Practice.String(), channel)
	if err != nil {
		return fmt.Errorf("lock channel: %w", err)
	}
	return nil
}

// LockTimeout bounds every lock wait of the transaction; the plan gives up rather than stall its run.
func (t *Tx) LockTimeout(ctx context.Context, milliseconds int) error {
	_, err := t.tx.Exec(ctx, fmt.Sprintf("set local lock_timeout = %d", milliseconds))
	return err
}

func sorted(ids []policy.ID) []policy.ID {
	ids = slices.Clone(ids)
	slices.SortFunc(ids, func(a, b policy.ID) int { return bytes.Compare(a[:], b[:]) })
	return slices.Compact(ids)
}

// advisoryKey folds a UUIDv7 into the 64 bits of an advisory lock; its random half is enough, and a collision only makes
// two resources wait for each other.
func advisoryKey(id policy.ID) int64 { return int64(binary.BigEndian.Uint64(id[8:])) }
