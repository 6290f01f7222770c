package desk

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/kept-practice/kept/db"
	"github.com/kept-practice/kept/internal/policy"
)

// SettingInput writes one setting on one level.
type SettingInput struct {
	Level   policy.Level
	Scope   policy.ID // of the location, service or provider; zero on the practice's level
	Key     string
	Value   json.RawMessage
	Locked  bool  // forbids overriding below
	Version int32 // as read; 0 when it is not written yet
}

// plansTurnOn are the settings that planners read: when one changes, every open subject looks again.
var plansTurnOn = map[string]bool{
	"grace_minutes": true, "quiet_hours": true, "stale_policy": true, "auto_no_show_minutes": true, "auto_complete": true,
	"invoice_cutoff": true, "auto_charge": true,
}

// SetSetting refuses a value that is not valid (422), that contradicts what else is in force (422), that a lock above forbids
// (409), and one that somebody else changed after it was read (409).
func (d *Desk) SetSetting(ctx context.Context, by policy.Principal, in SettingInput) (db.SettingByKeyRow, error) {
	if err := policy.ValidateSetting(policy.SettingValue{Key: in.Key, Level: in.Level, Value: in.Value, Locked: in.Locked}); err != nil {
		return db.SettingByKeyRow{}, err
	}
	var out db.SettingByKeyRow
	err := d.command(ctx, by, func(tx *db.Tx) error {
		scope, err := in.lock(ctx, tx)
		if err != nil {
			return err
		}
		var before any
		if old, err := tx.SettingByKey(ctx, db.SettingByKeyParams{PracticeID: tx.Practice, Level: string(in.Level), ScopeID: scope, Key: in.Key}); err == nil {
			before = settingFacts(in.Level, scope, in.Key, old.Value, old.Locked)
		} else if !db.NoRows(err) {
			return err
		}
		if err := in.write(ctx, tx, scope); err != nil {
			return err
		}
		if err := consistent(ctx, tx); err != nil {
			return err
		}
		if out, err = tx.SettingByKey(ctx, db.SettingByKeyParams{PracticeID: tx.Practice, Level: string(in.Level), ScopeID: scope, Key: in.Key}); err != nil {
			return err
		}
		return recordSetting(ctx, tx, by, in.Key, before, settingFacts(in.Level, scope, in.Key, in.Value, in.Locked))
	})
	return out, err
}

// DeleteSetting takes a value back: the level above, or the default, counts again.
func (d *Desk) DeleteSetting(ctx context.Context, by policy.Principal, in SettingInput) error {
	return d.command(ctx, by, func(tx *db.Tx) error {
		scope, err := in.lock(ctx, tx)
		if err != nil {
			return err
		}
		old, err := tx.SettingByKey(ctx, db.SettingByKeyParams{PracticeID: tx.Practice, Level: string(in.Level), ScopeID: scope, Key: in.Key})
		if err != nil {
			return notFound(err, "setting")
		}
		n, err := tx.SettingDrop(ctx, db.SettingDropParams{PracticeID: tx.Practice, Level: string(in.Level), ScopeID: scope, Key: in.Key, Version: in.Version})
		if err != nil {
			return err
		}
		if n == 0 {
			return staleVersion("setting")
		}
		if err := consistent(ctx, tx); err != nil {
			return err
		}
		return recordSetting(ctx, tx, by, in.Key, settingFacts(in.Level, scope, in.Key, old.Value, old.Locked), nil)
	})
}

// lock serialises changes of settings and finds the scope; one that is not of this practice is not there.
func (in SettingInput) lock(ctx context.Context, tx *db.Tx) (policy.ID, error) {
	if _, err := tx.PracticeLock(ctx, tx.Practice); err != nil {
		return policy.ID{}, notFound(err, "practice")
	}
	var err error
	switch in.Level {
	case policy.LevelPractice:
		if !in.Scope.IsZero() && in.Scope != tx.Practice {
			return policy.ID{}, policy.InvalidField("/scope", "not_scoped", "A setting of the practice has no scope.")
		}
		return tx.Practice, nil
	case policy.LevelLocation:
		_, err = tx.LocationByID(ctx, tx.Practice, in.Scope)
	case policy.LevelService:
		_, err = tx.ServiceByID(ctx, tx.Practice, in.Scope)
	case policy.LevelProvider:
		err = isProvider(ctx, tx, in.Scope)
	default:
		return policy.ID{}, policy.InvalidField("/level", "setting_level", "A level is practice, location, service or provider.")
	}
	return in.Scope, policy.AtField("/scope", notFound(err, string(in.Level)))
}

func (in SettingInput) write(ctx context.Context, tx *db.Tx, scope policy.ID) error {
	if err := in.unlocked(ctx, tx, scope); err != nil {
		return err
	}
	var n int64
	var err error
	if in.Version == 0 {
		n, err = tx.SettingInsert(ctx, db.SettingInsertParams{
			PracticeID: tx.Practice, Level: string(in.Level), ScopeID: scope, Key: in.Key, Value: in.Value, Locked: in.Locked,
		})
	} else {
		n, err = tx.SettingUpdate(ctx, db.SettingUpdateParams{
			PracticeID: tx.Practice, Level: string(in.Level), ScopeID: scope, Key: in.Key, Value: in.Value, Locked: in.Locked, Version: in.Version,
		})
	}
	if err != nil {
		return fmt.Errorf("write the setting: %w", err)
	}
	if n == 0 {
		return staleVersion("setting")
	}
	return nil
}

// unlocked refuses what a lock on any level above forbids, and names the level and whose it is.
func (in SettingInput) unlocked(ctx context.Context, tx *db.Tx, scope policy.ID) error {
	above, err := tx.SettingLockAbove(ctx, db.SettingLockAboveParams{PracticeID: tx.Practice, Key: in.Key, Level: string(in.Level), ScopeID: scope})
	if db.NoRows(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("look for locks above: %w", err)
	}
	locked := policy.NewError(policy.Conflict, "setting_locked", "This setting is locked on the level "+above.Level+". Unlock it there first.")
	locked.Facts = map[string]any{"level": above.Level}
	if above.Level != string(policy.LevelPractice) {
		locked.Facts[above.Level] = above.ScopeID
	}
	return locked
}

// consistent judges what becomes effective: for the practice, and for every place, service and provider that says something of
// its own.
func consistent(ctx context.Context, tx *db.Tx) error {
	rows, err := tx.SettingList(ctx, tx.Practice)
	if err != nil {
		return fmt.Errorf("read settings: %w", err)
	}
	type scope struct {
		level policy.Level
		id    policy.ID
	}
	var everywhere []policy.SettingValue
	own := map[scope][]policy.SettingValue{{level: policy.LevelPractice, id: tx.Practice}: nil}
	for _, r := range rows {
		v := policy.SettingValue{Key: r.Key, Level: policy.Level(r.Level), Value: r.Value, Locked: r.Locked}
		if v.Level == policy.LevelPractice {
			everywhere = append(everywhere, v)
			continue
		}
		s := scope{level: v.Level, id: r.ScopeID}
		own[s] = append(own[s], v)
	}
	for _, values := range own {
		settings, err := policy.ResolveSettings(append(values, everywhere...))
		if err != nil {
			return err
		}
		if err := settings.Check(); err != nil {
			return err
		}
	}
	return nil
}

func recordSetting(ctx context.Context, tx *db.Tx, by policy.Principal, key string, before, after any) error {
	const verb = "setting_changed"
	if err := tx.Record(ctx, db.Entry{Verb: verb, By: by, Object: "setting", Before: before, After: after}); err != nil {
		return err
	}
	if !plansTurnOn[key] {
		return nil
	}
	if _, err := tx.OutboxInsertOpen(ctx, verb, tx.Practice); err != nil {
		return fmt.Errorf("ring the open subjects: %w", err)
	}
	return nil
}

func settingFacts(level policy.Level, scope policy.ID, key string, value json.RawMessage, locked bool) any {
	return map[string]any{"level": level, "scope": scope, "key": key, "value": value, "locked": locked}
}

// terms are the words that a practice may call by names of its own.
var terms = []string{"appointment", "case", "client", "invoice", "location", "provider", "recall", "service"}

// SetWord changes the word shown to people for a term, in one and in several.
func (d *Desk) SetWord(ctx context.Context, by policy.Principal, term, singular, plural string) error {
	if err := choice("/term", term, terms...); err != nil {
		return err
	}
	singular, err := line("/singular", singular, 40)
	if err != nil {
		return err
	}
	if plural, err = line("/plural", plural, 40); err != nil {
		return err
	}
	return d.command(ctx, by, func(tx *db.Tx) error {
		if err := tx.VocabularyUpsert(ctx, db.VocabularyUpsertParams{PracticeID: tx.Practice, Term: term, Singular: singular, Plural: plural}); err != nil {
			return fmt.Errorf("write the word: %w", err)
		}
		return tx.Record(ctx, db.Entry{Verb: "word_changed", By: by, Object: "vocabulary", After: map[string]string{"term": term, "singular": singular, "plural": plural}})
	})
}

// DropWord takes a practice's own word back.
func (d *Desk) DropWord(ctx context.Context, by policy.Principal, term string) error {
	return d.command(ctx, by, func(tx *db.Tx) error {
		n, err := tx.VocabularyDelete(ctx, tx.Practice, term)
		if err != nil {
			return err
		}
		if n == 0 {
			return policy.NewError(policy.NotFound, "word_not_found", "The practice has no word of its own for this term.")
		}
		return tx.Record(ctx, db.Entry{Verb: "word_changed", By: by, Object: "vocabulary", Before: map[string]string{"term": term}})
	})
}
