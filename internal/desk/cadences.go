package desk

import (
	"context"
	"encoding/json"
	"fmt"
	"math"

	"github.com/kept-practice/kept/db"
	"github.com/kept-practice/kept/internal/policy"
)

// States of a cadence's version.
const (
	CadenceDraft     = "draft"
	CadencePublished = "published"
)

// CadenceInput makes a cadence for the practice, or for a location, a service or both; the most specific one counts.
type CadenceInput struct {
	Kind     string
	Name     string
	Location *policy.ID
	Service  *policy.ID
	Rules    []policy.Rule
}

// CreateCadence makes a cadence whose first version is a draft: nothing follows it until that is published.
func (d *Desk) CreateCadence(ctx context.Context, by policy.Principal, in CadenceInput) (db.CadenceVersion, error) {
	name, err := line("/name", in.Name, maxName)
	if err != nil {
		return db.CadenceVersion{}, err
	}
	if err := choice("/kind", in.Kind, policy.KindJourney, policy.KindCollection, policy.KindRecall); err != nil {
		return db.CadenceVersion{}, err
	}
	rules, err := writtenRules(in.Kind, in.Rules)
	if err != nil {
		return db.CadenceVersion{}, err
	}
	var out db.CadenceVersion
	err = d.command(ctx, by, func(tx *db.Tx) error {
		if in.Location != nil {
			if _, err := tx.LocationByID(ctx, tx.Practice, *in.Location); err != nil {
				return policy.AtField("/location", notFound(err, "location"))
			}
		}
		if in.Service != nil {
			if _, err := tx.ServiceByID(ctx, tx.Practice, *in.Service); err != nil {
				return policy.AtField("/service", notFound(err, "service"))
			}
		}
		id := db.NewID()
		if err := tx.CadenceInsert(ctx, db.CadenceInsertParams{
			PracticeID: tx.Practice, ID: id, Kind: in.Kind, Name: name, LocationID: in.Location, ServiceID: in.Service,
		}); err != nil {
			return err
		}
		out, err = addDraft(ctx, tx, by, id, 1, rules)
		return err
	})
	return out, err
}

// DraftCadence begins the next version of a cadence. There is one draft at a time.
func (d *Desk) DraftCadence(ctx context.Context, by policy.Principal, cadence policy.ID, rules []policy.Rule) (db.CadenceVersion, error) {
	var out db.CadenceVersion
	err := d.command(ctx, by, func(tx *db.Tx) error {
		if _, err := tx.PracticeLock(ctx, tx.Practice); err != nil {
			return notFound(err, "practice")
		}
		c, err := cadenceByID(ctx, tx, cadence)
		if err != nil {
			return err
		}
		raw, err := writtenRules(c.Kind, rules)
		if err != nil {
			return err
		}
		versions, err := tx.CadenceVersions(ctx, tx.Practice, cadence)
		if err != nil {
			return fmt.Errorf("read the versions: %w", err)
		}
		n := int32(1)
		for _, v := range versions {
			if v.Status == CadenceDraft {
				e := policy.NewError(policy.Conflict, "draft_exists", "This cadence has a draft already. Edit or publish it.")
				e.Facts = map[string]any{"version": v.ID}
				return e
			}
			n = max(n, v.N+1)
		}
		out, err = addDraft(ctx, tx, by, cadence, n, raw)
		return err
	})
	return out, err
}

func addDraft(ctx context.Context, tx *db.Tx, by policy.Principal, cadence policy.ID, n int32, rules json.RawMessage) (db.CadenceVersion, error) {
	id := db.NewID()
	if err := tx.CadenceVersionInsert(ctx, db.CadenceVersionInsertParams{
		PracticeID: tx.Practice, ID: id, CadenceID: cadence, N: n, Status: CadenceDraft, Rules: rules,
	}); err != nil {
		return db.CadenceVersion{}, err
	}
	if err := tx.Record(ctx, db.Entry{
		Verb: "cadence_drafted", By: by, Object: "cadence_version", ID: id, After: map[string]any{"cadence": cadence, "n": n, "rules": rules},
	}); err != nil {
		return db.CadenceVersion{}, err
	}
	return tx.CadenceVersionByID(ctx, tx.Practice, id)
}

// CadenceEdit replaces all rules of a draft.
type CadenceEdit struct {
	ID      policy.ID
	Version int32 // as the caller read it
	Rules   []policy.Rule
}

// EditCadence replaces the rules of a draft. A published version never changes, and a draft that somebody else changed since
// it was read is not overwritten: both 409.
func (d *Desk) EditCadence(ctx context.Context, by policy.Principal, in CadenceEdit) (db.CadenceVersion, error) {
	var out db.CadenceVersion
	err := d.command(ctx, by, func(tx *db.Tx) error {
		before, c, err := cadenceVersion(ctx, tx, in.ID)
		if err != nil {
			return err
		}
		raw, err := writtenRules(c.Kind, in.Rules)
		if err != nil {
			return err
		}
		if before.Status != CadenceDraft {
			return policy.NewError(policy.Conflict, "already_published", "A published version never changes. Draft the next one.")
		}
		n, err := tx.CadenceVersionSetRules(ctx, db.CadenceVersionSetRulesParams{PracticeID: tx.Practice, ID: in.ID, Version: in.Version, Rules: raw})
		if err != nil {
			return err
		}
		if n == 0 {
			return staleVersion("draft")
		}
		if err := tx.Record(ctx, db.Entry{
			Verb: "cadence_edited", By: by, Object: "cadence_version", ID: in.ID,
			Before: map[string]any{"rules": before.Rules}, After: map[string]any{"rules": raw},
		}); err != nil {
			return err
		}
		out, err = tx.CadenceVersionByID(ctx, tx.Practice, in.ID)
		return err
	})
	return out, err
}

// ArchiveCadence takes a cadence out of use for what is booked from now on; the less specific one counts again. The
// practice's own cadences stay, since every journey needs one.
func (d *Desk) ArchiveCadence(ctx context.Context, by policy.Principal, id policy.ID) error {
	return d.command(ctx, by, func(tx *db.Tx) error {
		c, err := cadenceByID(ctx, tx, id)
		if err != nil {
			return err
		}
		if c.LocationID == nil && c.ServiceID == nil {
			return policy.NewError(policy.Conflict, "cadence_needed", "The practice's own cadence stays. Publish a version without rules to send nothing.")
		}
		n, err := tx.CadenceArchive(ctx, tx.Practice, id)
		if err != nil || n == 0 {
			return err
		}
		if err := endAdoptions(ctx, tx, by, id, math.MaxInt32); err != nil {
			return err
		}
		return tx.Record(ctx, db.Entry{Verb: "cadence_archived", By: by, Object: "cadence", ID: id})
	})
}

// writtenRules checks rules and gives them as they are stored.
func writtenRules(kind string, rules []policy.Rule) (json.RawMessage, error) {
	if rules == nil {
		rules = []policy.Rule{}
	}
	for i, r := range rules {
		if r.Title == "" {
			continue
		}
		if _, err := line(fmt.Sprintf("/rules/%d/title", i), r.Title, 200); err != nil {
			return nil, err
		}
	}
	if err := policy.CheckRules(kind, rules); err != nil {
		return nil, err
	}
	for i, r := range rules {
		if err := policy.AtField(fmt.Sprintf("/rules/%d/when", i), r.When.Validate()); err != nil {
			return nil, err
		}
	}
	raw, err := json.Marshal(rules)
	if err != nil {
		return nil, fmt.Errorf("write the rules: %w", err)
	}
	return raw, nil
}

func cadenceByID(ctx context.Context, tx *db.Tx, id policy.ID) (db.Cadence, error) {
	c, err := tx.CadenceByID(ctx, tx.Practice, id)
	if err != nil {
		return c, notFound(err, "cadence")
	}
	if c.ArchivedAt != nil {
		return c, policy.NewError(policy.Conflict, "archived", "This cadence is no longer in use.")
	}
	return c, nil
}

func cadenceVersion(ctx context.Context, tx *db.Tx, id policy.ID) (db.CadenceVersion, db.Cadence, error) {
	v, err := tx.CadenceVersionByID(ctx, tx.Practice, id)
	if err != nil {
		return v, db.Cadence{}, notFound(err, "cadence_version")
	}
	c, err := cadenceByID(ctx, tx, v.CadenceID)
	return v, c, err
}
