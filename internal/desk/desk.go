// Package desk holds the commands: what staff, clients and gateways can do, one transaction each. A command commits the
// fact, its journal entry and an outbox row for every subject it concerns, and returns a value. No gateway is called here.
package desk

import (
	"context"
	"fmt"
	"time"

	"github.com/kept-practice/kept/db"
	"github.com/kept-practice/kept/internal/policy"
)

// Desk runs commands against one database.
type Desk struct {
	store *db.Store
	post  *linkPost // the form of a link that its commands answer; nil otherwise
}

// New makes a desk on a store.
func New(store *db.Store) *Desk { return &Desk{store: store} }

// clock is the practice's time and the database's, read inside the transaction after its locks.
type clock struct {
	now       time.Time // the practice's: what everything is judged by
	real      time.Time // the database's
	testClock bool
}

// readClock also refuses writes while a test clock is on its way, since a step must not see half of a change.
func readClock(ctx context.Context, q *db.Queries, practice policy.ID) (clock, error) {
	row, err := q.PracticeNow(ctx, practice)
	if err != nil {
		return clock{}, fmt.Errorf("read the clock: %w", err)
	}
	return clock{now: row.Now.UTC(), real: row.Clock.UTC(), testClock: row.TestClock}, nil
}

// command runs fn in one transaction of the caller's practice. Commands of people are refused while a test clock advances;
// gateways and kept itself go on.
func (d *Desk) command(ctx context.Context, by policy.Principal, fn func(*db.Tx) error) error {
	return d.store.InPractice(ctx, by.Practice, func(tx *db.Tx) error {
		if by.Kind != policy.ByGateway && by.Kind != policy.BySystem {
			if err := clockStands(ctx, tx); err != nil {
				return err
			}
		}
		if d.post != nil {
			return d.post.once(ctx, tx, fn)
		}
		return fn(tx)
	})
}

func clockStands(ctx context.Context, tx *db.Tx) error {
	row, err := tx.ClockByPractice(ctx, tx.Practice)
	switch {
	case db.NoRows(err):
		return nil
	case err != nil:
		return fmt.Errorf("read the test clock: %w", err)
	case row.Status == "advancing":
		return policy.NewError(policy.Conflict, "clock_advancing", "The test clock is on its way. Wait until it is ready again.")
	}
	return nil
}

// settingsAt resolves the settings for one visit; nil ids leave their level out.
func settingsAt(ctx context.Context, q *db.Queries, practice policy.ID, location, service, provider *policy.ID) (policy.Settings, error) {
	rows, err := q.SettingsFor(ctx, db.SettingsForParams{PracticeID: practice, LocationID: location, ServiceID: service, ProviderID: provider})
	if err != nil {
		return policy.Settings{}, fmt.Errorf("read settings: %w", err)
	}
	values := make([]policy.SettingValue, len(rows))
	for i, r := range rows {
		values[i] = policy.SettingValue{Key: r.Key, Level: policy.Level(r.Level), Value: r.Value, Locked: r.Locked}
	}
	return policy.ResolveSettings(values)
}

// notFound names the kind of thing that is not there, foreign things included.
func notFound(err error, kind string) error {
	if db.NoRows(err) {
		return policy.NewError(policy.NotFound, kind+"_not_found", "There is no such "+kind+" in this practice.")
	}
	return err
}
