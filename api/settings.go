package api

import (
	"context"
	"encoding/json"

	"github.com/kept-practice/kept/db"
	"github.com/kept-practice/kept/internal/desk"
	"github.com/kept-practice/kept/internal/policy"
)

// SettingView is what counts of one setting.
type SettingView struct {
	Key    string          `json:"key" example:"grace_minutes"`
	Value  json.RawMessage `json:"value" example:"3" doc:"A number, a text, true or false, or {start, end}: as the setting has it."`
	Level  policy.Level    `json:"level" enum:"default,practice,location,service,provider" doc:"Where the value comes from."`
	Locked bool            `json:"locked" doc:"That level forbids overriding below."`
	Levels []policy.Level  `json:"levels" doc:"Where it may be written; the later one is the more specific and wins."`
}

// SettingScope says for whom settings are read: any of the three, none for the practice.
type SettingScope struct {
	LocationID ID[locationKind] `query:"location_id"`
	ServiceID  ID[serviceKind]  `query:"service_id"`
	ProviderID ID[providerKind] `query:"provider_id"`
}

func (s *Server) listSettings(ctx context.Context, in *SettingScope) (*reply[List[SettingView]], error) {
	practice := callerOf(ctx).Practice
	out := List[SettingView]{}
	err := s.deps.Store.InPractice(ctx, practice, func(tx *db.Tx) error {
		if err := in.exists(ctx, tx); err != nil {
			return err
		}
		rows, err := tx.SettingsFor(ctx, db.SettingsForParams{
			PracticeID: practice, LocationID: in.LocationID.OrNil(), ServiceID: in.ServiceID.OrNil(), ProviderID: in.ProviderID.OrNil(),
		})
		if err != nil {
			return err
		}
		values := convert(rows, func(r db.SettingsForRow) policy.SettingValue {
			return policy.SettingValue{Key: r.Key, Level: policy.Level(r.Level), Value: r.Value, Locked: r.Locked}
		})
		out.Data = convert(policy.EffectiveSettings(values), func(e policy.EffectiveSetting) SettingView { return SettingView(e) })
		return nil
	})
	return &reply[List[SettingView]]{Body: out}, err
}

func (in *SettingScope) exists(ctx context.Context, tx *db.Tx) error {
	if !in.LocationID.IsZero() {
		if _, err := tx.LocationByID(ctx, tx.Practice, policy.ID(in.LocationID)); err != nil {
			return missing(err, "location")
		}
	}
	if !in.ServiceID.IsZero() {
		if _, err := tx.ServiceByID(ctx, tx.Practice, policy.ID(in.ServiceID)); err != nil {
			return missing(err, "service")
		}
	}
	if in.ProviderID.IsZero() {
		return nil
	}
	_, err := resourceOf(ctx, tx, policy.ID(in.ProviderID), true)
	return err
}

// WrittenSettingView is a value as it was written on one level.
type WrittenSettingView struct {
	Key        string            `json:"key" example:"grace_minutes"`
	Level      policy.Level      `json:"level" enum:"practice,location,service,provider"`
	LocationID *ID[locationKind] `json:"location_id,omitempty"`
	ServiceID  *ID[serviceKind]  `json:"service_id,omitempty"`
	ProviderID *ID[providerKind] `json:"provider_id,omitempty"`
	Value      json.RawMessage   `json:"value" example:"3"`
	Locked     bool              `json:"locked"`
	Version    int32             `json:"version"`
}

func writtenSetting(r db.SettingByKeyRow) WrittenSettingView {
	v := WrittenSettingView{Key: r.Key, Level: policy.Level(r.Level), Value: r.Value, Locked: r.Locked, Version: r.Version}
	switch v.Level {
	case policy.LevelLocation:
		v.LocationID = idOrNil[locationKind](&r.ScopeID)
	case policy.LevelService:
		v.ServiceID = idOrNil[serviceKind](&r.ScopeID)
	case policy.LevelProvider:
		v.ProviderID = idOrNil[providerKind](&r.ScopeID)
	}
	return v
}

// listWrittenSettings is one page for ever: there are as many values as keys and scopes that say something of their own.
func (s *Server) listWrittenSettings(ctx context.Context, _ *inputless) (*reply[List[WrittenSettingView]], error) {
	practice := callerOf(ctx).Practice
	rows, err := s.deps.Store.In(practice).SettingList(ctx, practice)
	return &reply[List[WrittenSettingView]]{Body: List[WrittenSettingView]{Data: convert(rows, func(r db.SettingListRow) WrittenSettingView {
		return writtenSetting(db.SettingByKeyRow{Level: r.Level, ScopeID: r.ScopeID, Key: r.Key, Value: r.Value, Locked: r.Locked, Version: r.Version})
	})}}, err
}

// SettingWrite is a value for one level, with the id that goes with the level.
type SettingWrite struct {
	Level      policy.Level     `json:"level" enum:"practice,location,service,provider" example:"practice"`
	LocationID ID[locationKind] `json:"location_id,omitempty" doc:"With the level location."`
	ServiceID  ID[serviceKind]  `json:"service_id,omitempty" doc:"With the level service."`
	ProviderID ID[providerKind] `json:"provider_id,omitempty" doc:"With the level provider."`
	Value      json.RawMessage  `json:"value" example:"5"`
	Locked     bool             `json:"locked,omitempty" doc:"Forbids overriding below."`
	Version    int32            `json:"version,omitempty" minimum:"0" example:"0" doc:"As it was read; 0 when nothing is written there yet."`
}

func (s *Server) putSetting(ctx context.Context, in *struct {
	Key  string `path:"key" example:"grace_minutes"`
	Body SettingWrite
},
) (*reply[WrittenSettingView], error) {
	b := in.Body
	scope, err := scopeOf(b.Level, SettingScope{LocationID: b.LocationID, ServiceID: b.ServiceID, ProviderID: b.ProviderID}, "/")
	if err != nil {
		return nil, err
	}
	row, err := s.deps.Desk.SetSetting(ctx, callerOf(ctx).Principal, desk.SettingInput{
		Level: b.Level, Scope: scope, Key: in.Key, Value: b.Value, Locked: b.Locked, Version: b.Version,
	})
	if err != nil {
		return nil, named(err, map[string]string{"/key": "path:key", "/scope": "/" + string(b.Level) + "_id"})
	}
	return &reply[WrittenSettingView]{Body: writtenSetting(row)}, nil
}

func (s *Server) deleteSetting(ctx context.Context, in *struct {
	SettingScope
	Key     string       `path:"key" example:"grace_minutes"`
	Level   policy.Level `query:"level" enum:"practice,location,service,provider" required:"true"`
	Version int32        `query:"version" minimum:"1" required:"true" doc:"As it was read."`
},
) (*struct{}, error) {
	scope, err := scopeOf(in.Level, in.SettingScope, "query:")
	if err != nil {
		return nil, err
	}
	err = s.deps.Desk.DeleteSetting(ctx, callerOf(ctx).Principal, desk.SettingInput{Level: in.Level, Scope: scope, Key: in.Key, Version: in.Version})
	return nil, named(err, map[string]string{"/key": "path:key", "/scope": "query:" + string(in.Level) + "_id"})
}

// scopeOf is the id that goes with the level: that one and no other.
func scopeOf(level policy.Level, in SettingScope, at string) (scope policy.ID, err error) {
	for _, given := range []struct {
		level policy.Level
		id    policy.ID
	}{{policy.LevelLocation, policy.ID(in.LocationID)}, {policy.LevelService, policy.ID(in.ServiceID)}, {policy.LevelProvider, policy.ID(in.ProviderID)}} {
		pointer := at + string(given.level) + "_id"
		switch {
		case given.level == level && given.id.IsZero():
			return scope, policy.InvalidField(pointer, "required", "This level needs the id of what it speaks for.")
		case given.level != level && !given.id.IsZero():
			return scope, policy.InvalidField(pointer, "not_scoped", "This id does not go with the level.")
		case given.level == level:
			scope = given.id
		}
	}
	return scope, nil
}

// WordView is what the practice calls something.
type WordView struct {
	Term     string `json:"term" example:"client"`
	Singular string `json:"singular" example:"patient"`
	Plural   string `json:"plural" example:"patients"`
}

func (s *Server) listWords(ctx context.Context, _ *inputless) (*reply[List[WordView]], error) {
	practice := callerOf(ctx).Practice
	rows, err := s.deps.Store.In(practice).VocabularyList(ctx, practice)
	return &reply[List[WordView]]{Body: List[WordView]{Data: convert(rows, func(r db.VocabularyListRow) WordView { return WordView(r) })}}, err
}

func (s *Server) putWord(ctx context.Context, in *struct {
	Term string `path:"term" example:"client"`
	Body struct {
		Singular string `json:"singular" example:"patient"`
		Plural   string `json:"plural" example:"patients"`
	}
},
) (*reply[WordView], error) {
	w := WordView{Term: in.Term, Singular: in.Body.Singular, Plural: in.Body.Plural}
	err := s.deps.Desk.SetWord(ctx, callerOf(ctx).Principal, w.Term, w.Singular, w.Plural)
	if err != nil {
		return nil, named(err, map[string]string{"/term": "path:term"})
	}
	return &reply[WordView]{Body: w}, nil
}

func (s *Server) deleteWord(ctx context.Context, in *struct {
	Term string `path:"term" example:"client"`
},
) (*struct{}, error) {
	return nil, s.deps.Desk.DropWord(ctx, callerOf(ctx).Principal, in.Term)
}
