package wake

import (
	"context"
	"errors"
	"fmt"

	"github.com/kept-practice/kept/db"
	"github.com/kept-practice/kept/internal/policy"
)

// Adopt moves the next batch of journeys of a running cadence adoption; false when there is nothing to do for this caller.
type Adopt func(ctx context.Context, practice, adoption policy.ID) (bool, error)

// adoptionsLooked is how many running adoptions one turn looks at for one that no other worker is at.
const adoptionsLooked = 10

// Adopter moves journeys to newly published cadences, one batch a turn, the adoption that waited longest first. A turn a second
// is as fast as the relay rings, so that moving thousands of journeys leaves room for everything else. Any number may run.
type Adopter struct {
	store *db.Store
	adopt Adopt
}

// NewAdopter makes an adopter; Turn is called each second.
func NewAdopter(store *db.Store, adopt Adopt) *Adopter { return &Adopter{store: store, adopt: adopt} }

// Turn does at most one batch. An adoption that fails keeps no other from its turn.
func (a *Adopter) Turn(ctx context.Context) error {
	running, err := a.store.System().CadenceAdoptionsDue(ctx, adoptionsLooked)
	if err != nil {
		return db.Classify(err)
	}
	var failed []error
	for _, r := range running {
		did, err := a.adopt(ctx, r.PracticeID, r.ID)
		if err != nil {
			failed = append(failed, fmt.Errorf("adoption %s of practice %s: %w", r.ID, r.PracticeID, err))
		}
		if did || ctx.Err() != nil {
			break
		}
	}
	return errors.Join(failed...)
}
