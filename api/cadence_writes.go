package api

import (
	"context"

	"github.com/kept-practice/kept/internal/desk"
	"github.com/kept-practice/kept/internal/policy"
)

// NewCadence is a cadence with the rules of its first version.
type NewCadence struct {
	Kind       string           `json:"kind" enum:"journey,collection,recall" example:"journey"`
	Name       string           `json:"name" example:"Reminders of first visits"`
	LocationID ID[locationKind] `json:"location_id,omitempty" doc:"Only there."`
	ServiceID  ID[serviceKind]  `json:"service_id,omitempty" doc:"Only for it."`
	Rules      []Rule           `json:"rules"`
}

func (s *Server) createCadence(ctx context.Context, in *create[NewCadence]) (*reply[CadenceVersionView], error) {
	rules, err := parsedRules(in.Body.Rules)
	if err != nil {
		return nil, err
	}
	return versionReply(s.deps.Desk.CreateCadence(ctx, callerOf(ctx).Principal, desk.CadenceInput{
		Kind: in.Body.Kind, Name: in.Body.Name, Location: in.Body.LocationID.OrNil(), Service: in.Body.ServiceID.OrNil(), Rules: rules,
	}))
}

// Rules are all rules of a version.
type Rules struct {
	Rules []Rule `json:"rules" doc:"None: nothing is sent."`
}

func (s *Server) draftCadence(ctx context.Context, in *changeOf[cadenceKind, Rules]) (*reply[CadenceVersionView], error) {
	rules, err := parsedRules(in.Body.Rules)
	if err != nil {
		return nil, err
	}
	return versionReply(s.deps.Desk.DraftCadence(ctx, callerOf(ctx).Principal, policy.ID(in.ID), rules))
}

// EditedRules are all rules of a draft, as they are to be.
type EditedRules struct {
	AsRead
	Rules
}

func (s *Server) editCadence(ctx context.Context, in *changeOf[cadenceVersionKind, EditedRules]) (*reply[CadenceVersionView], error) {
	rules, err := parsedRules(in.Body.Rules.Rules)
	if err != nil {
		return nil, err
	}
	return versionReply(s.deps.Desk.EditCadence(ctx, callerOf(ctx).Principal, desk.CadenceEdit{ID: policy.ID(in.ID), Version: in.Body.Version, Rules: rules}))
}

func (s *Server) archiveCadence(ctx context.Context, in *byID[cadenceKind]) (*reply[CadenceView], error) {
	if err := s.deps.Desk.ArchiveCadence(ctx, callerOf(ctx).Principal, policy.ID(in.ID)); err != nil {
		return nil, err
	}
	return s.getCadence(ctx, in)
}
