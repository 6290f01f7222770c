package wake

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/kept-practice/kept/db"
	"github.com/kept-practice/kept/internal/policy"
)

// defaultSpread is the window after the local midnight over which a day's recalls of a live practice begin.
const defaultSpread = 2 * time.Hour

// Sweeper starts what has waited in tables: recalls whose day has come, and collections of invoices whose first follow-up
// is due. A function of (practice, now): running it again, or two at once, starts nothing twice.
type Sweeper struct {
	store  *db.Store
	spread time.Duration
}

// NewSweeper spreads a live practice's recalls over the given time after midnight; 0 means 2 h.
func NewSweeper(store *db.Store, spread time.Duration) *Sweeper {
	if spread <= 0 {
		spread = defaultSpread
	}
	return &Sweeper{store: store, spread: spread}
}

// Swept counts what a sweep started.
type Swept struct {
	Practices   int
	Recalls     int
	Collections int
}

// SweepLive sweeps every live practice on the database's clock. One practice's failure keeps no other from its turn.
func (s *Sweeper) SweepLive(ctx context.Context) (Swept, error) {
	practices, err := s.store.System().SweepLivePractices(ctx)
	if err != nil {
		return Swept{}, db.Classify(err)
	}
	var all Swept
	var failed []error
	for _, practice := range practices {
		if ctx.Err() != nil {
			return all, ctx.Err()
		}
		one, err := s.Sweep(ctx, practice, time.Time{})
		all.Practices++
		all.Recalls += one.Recalls
		all.Collections += one.Collections
		if err != nil {
			failed = append(failed, fmt.Errorf("sweep practice %s: %w", practice, err))
		}
	}
	return all, errors.Join(failed...)
}

// Sweep starts what is due in one practice at an instant of its clock; zero means the clock as it stands. Each start is
// one transaction with its journal entry and outbox row. A row that fails is reported and the others are started.
func (s *Sweeper) Sweep(ctx context.Context, practice policy.ID, now time.Time) (Swept, error) {
	p, err := s.store.In(practice).SweepPractice(ctx, practice)
	if err != nil {
		return Swept{}, db.Classify(err)
	}
	zone, err := time.LoadLocation(p.Zone)
	if err != nil {
		return Swept{}, fmt.Errorf("zone of practice %s: %w", practice, err)
	}
	if now.IsZero() {
		now = p.Now
	}
	spread := s.spread
	if p.Mode == "test" {
		spread = 0
	}
	swept := Swept{Practices: 1}
	var recalls, collections error
	swept.Recalls, recalls = s.recalls(ctx, practice, now, zone, spread)
	swept.Collections, collections = s.collections(ctx, practice, now)
	return swept, errors.Join(recalls, collections)
}

func (s *Sweeper) recalls(ctx context.Context, practice policy.ID, now time.Time, zone *time.Location, spread time.Duration) (int, error) {
	today := policy.LocalDay(now, zone)
	started, after := 0, policy.ID{}
	var failed []error
	for {
		due, err := s.store.In(practice).SweepRecallsDue(ctx, db.SweepRecallsDueParams{PracticeID: practice, Today: today, AfterID: after})
		if err != nil {
			return started, errors.Join(append(failed, db.Classify(err))...)
		}
		if len(due) == 0 {
			return started, errors.Join(failed...)
		}
		for _, recall := range due {
			after = recall.ID
			if now.Before(policy.StartOfDay(recall.DueOn, zone).Add(share(recall.ID, spread))) {
				continue
			}
			ok, err := s.startRecall(ctx, practice, recall, now, today)
			if err != nil {
				failed = append(failed, fmt.Errorf("start recall %s: %w", recall.ID, err))
			} else if ok {
				started++
			}
		}
	}
}

func (s *Sweeper) startRecall(ctx context.Context, practice policy.ID, recall db.SweepRecallsDueRow, now time.Time, today policy.LocalDate) (bool, error) {
	subject := policy.Subject{Practice: practice, Kind: policy.KindRecall, ID: recall.ID}
	return s.start(ctx, subject, recall.ClientID, start{
		verb: "recall_started", object: "recall", why: "its day has come", before: "waiting", after: "started", at: now,
		mark: func(tx *db.Tx) (int64, error) {
			return tx.SweepRecallStart(ctx, db.SweepRecallStartParams{PracticeID: practice, ID: recall.ID, Now: &now, Today: today})
		},
	})
}

func (s *Sweeper) collections(ctx context.Context, practice policy.ID, now time.Time) (int, error) {
	started, after := 0, policy.ID{}
	var failed []error
	for {
		due, err := s.store.In(practice).SweepInvoicesDue(ctx, db.SweepInvoicesDueParams{PracticeID: practice, Now: &now, AfterID: after})
		if err != nil {
			return started, errors.Join(append(failed, db.Classify(err))...)
		}
		if len(due) == 0 {
			return started, errors.Join(failed...)
		}
		for _, invoice := range due {
			after = invoice.ID
			subject := policy.Subject{Practice: practice, Kind: policy.KindCollection, ID: invoice.ID}
			ok, err := s.start(ctx, subject, invoice.ClientID, start{
				verb: "collection_started", object: "invoice", why: "unpaid when its first follow-up fell due", before: "issued", after: "in_collection", at: now,
				invoices: []policy.ID{invoice.ID},
				mark: func(tx *db.Tx) (int64, error) {
					return tx.SweepInvoiceStart(ctx, db.SweepInvoiceStartParams{PracticeID: practice, ID: invoice.ID, Now: &now})
				},
			})
			if err != nil {
				failed = append(failed, fmt.Errorf("start collection of invoice %s: %w", invoice.ID, err))
			} else if ok {
				started++
			}
		}
	}
}

// start is how one subject begins: what marks its row, and what the journal says about it.
type start struct {
	verb, object  string
	why           string
	before, after string
	at            time.Time
	invoices      []policy.ID
	mark          func(*db.Tx) (int64, error) // 0 when it is no longer due
}

// start takes client, subject and invoice, marks the row, opens the subject and records it, in one transaction. False: it
// was no longer due once the locks were held.
func (s *Sweeper) start(ctx context.Context, subject policy.Subject, client policy.ID, st start) (bool, error) {
	started := false
	err := s.store.InPractice(ctx, subject.Practice, func(tx *db.Tx) error {
		started = false
		err := tx.Lock(ctx, db.LockSet{Clients: []policy.ID{client}, Subjects: []policy.Subject{subject}, Invoices: st.invoices})
		if err != nil {
			return err
		}
		marked, err := st.mark(tx)
		if err != nil || marked == 0 {
			return err
		}
		started = true
		err = tx.SweepSubjectOpen(ctx, db.SweepSubjectOpenParams{
			PracticeID: subject.Practice, Kind: subject.Kind, ID: subject.ID, ClientID: client,
		})
		if err != nil {
			return err
		}
		return tx.Record(ctx, db.Entry{
			Verb: st.verb, By: policy.System(subject.Practice), Subject: subject, Object: st.object, ID: subject.ID, Reason: st.why,
			Before: map[string]string{"state": st.before}, After: map[string]string{"state": st.after},
			At: st.at, Rings: []policy.Subject{subject},
		})
	})
	return started && err == nil, err
}

// ExpireHolds lets go of every hold that has run out on its practice's clock, practice by practice, and returns how many.
func (s *Sweeper) ExpireHolds(ctx context.Context) (int, error) {
	practices, err := s.store.System().SweepExpiredHoldPractices(ctx)
	if err != nil {
		return 0, db.Classify(err)
	}
	expired := 0
	var failed []error
	for _, practice := range practices {
		n, err := s.ExpireHoldsOf(ctx, practice)
		expired += n
		if err != nil {
			failed = append(failed, fmt.Errorf("expire holds of practice %s: %w", practice, err))
		}
	}
	return expired, errors.Join(failed...)
}

// ExpireHoldsOf lets go of one practice's expired holds; their reservations go with them.
func (s *Sweeper) ExpireHoldsOf(ctx context.Context, practice policy.ID) (int, error) {
	for expired := 0; ; {
		var ids []policy.ID
		err := s.store.InPractice(ctx, practice, func(tx *db.Tx) error {
			var err error
			if ids, err = tx.SweepHolds(ctx, practice); err != nil {
				return err
			}
			for _, id := range ids {
				err := tx.Record(ctx, db.Entry{Verb: "hold_expired", By: policy.System(practice), Object: "hold", ID: id})
				if err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil || len(ids) == 0 {
			return expired, err
		}
		expired += len(ids)
	}
}

// share is an id's fixed place within a window.
func share(id policy.ID, window time.Duration) time.Duration {
	if window <= 0 {
		return 0
	}
	return time.Duration(binary.BigEndian.Uint64(id[8:]) % uint64(window))
}
