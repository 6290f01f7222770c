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

func (s *Server) editCadence(ctx context.Context, in *changeOf[cadenceVersionKind, Rules]) (*reply[CadenceVersionView], error) {
	rules, err := parsedRules(in.Body.Rules)
	if err != nil {
		return nil, err
	}
	return versionReply(s.deps.Desk.EditCadence(ctx, callerOf(ctx).Principal, policy.ID(in.ID), rules))
}

func (s *Server) archiveCadence(ctx context.Context, in *byID[cadenceKind]) (*reply[CadenceView], error) {
	if err := s.deps.Desk.ArchiveCadence(ctx, callerOf(ctx).Principal, policy.ID(in.ID)); err != nil {
		return nil, err
	}
	return s.getCadence(ctx, in)
}

// PreviewView is what adopting a version would do to the journeys under way.
type PreviewView struct {
	Journeys  int           `json:"journeys" doc:"Open journeys that the version would move."`
	Changed   int           `json:"changed" doc:"Of which something changes."`
	Moved     int           `json:"moved" doc:"Sends that go at another time."`
	Vanishing int           `json:"vanishing" doc:"Sends that do not go any more."`
	Appearing int           `json:"appearing" doc:"Sends that come in addition."`
	Late      int           `json:"late" doc:"Sends whose time has passed; they are skipped."`
	Repeated  int           `json:"repeated" doc:"Sends that would go out again: always 0."`
	Moves     []PreviewMove `json:"moves" doc:"The first of them."`
}

// PreviewMove is one send before and after.
type PreviewMove struct {
	JourneyID ID[journeyKind] `json:"journey_id"`
	Step      string          `json:"step" example:"reminder/two_days/mail/v1"`
	BeforeAt  *Instant        `json:"before_at,omitempty" doc:"Missing: not at all."`
	AfterAt   *Instant        `json:"after_at,omitempty" doc:"Missing: not at all."`
}

func (s *Server) previewCadence(ctx context.Context, in *byID[cadenceVersionKind]) (*reply[PreviewView], error) {
	p, err := s.deps.Desk.PreviewCadence(ctx, callerOf(ctx).Practice, policy.ID(in.ID))
	if err != nil {
		return nil, err
	}
	return &reply[PreviewView]{Body: PreviewView{
		Journeys: p.Journeys, Changed: p.Change, Moved: p.Move, Vanishing: p.Vanish, Appearing: p.Appear, Late: p.Late, Repeated: p.Repeat,
		Moves: convert(p.Moves, func(m desk.PreviewMove) PreviewMove {
			return PreviewMove{JourneyID: ID[journeyKind](m.Appointment), Step: m.Step, BeforeAt: atOrNil(m.Before), AfterAt: atOrNil(m.After)}
		}),
	}}, nil
}

// Publication says what a version means for journeys under way.
type Publication struct {
	Policy     string            `json:"policy" enum:"new_only,adopt_future,adopt_selected" example:"adopt_future" doc:"new_only: they keep theirs; adopt_future: all follow this one; adopt_selected: the named ones do."`
	JourneyIDs []ID[journeyKind] `json:"journey_ids,omitempty" maxItems:"1000" uniqueItems:"true" doc:"With adopt_selected."`
}

// PublishedView is a version that counts.
type PublishedView struct {
	CadenceVersionView
	Adopted int `json:"adopted" doc:"Journeys that this call moved."`
}

func (s *Server) publishCadence(ctx context.Context, in *changeOf[cadenceVersionKind, Publication]) (*reply[PublishedView], error) {
	published, err := s.deps.Desk.PublishCadence(ctx, callerOf(ctx).Principal, desk.PublishInput{
		Version: policy.ID(in.ID), Adopt: in.Body.Policy, Journeys: plainIDs(in.Body.JourneyIDs),
	})
	if err != nil {
		return nil, named(err, map[string]string{"/adopt": "/policy", "/journeys": "/journey_ids"})
	}
	view, err := cadenceVersionView(published.Version)
	return &reply[PublishedView]{Body: PublishedView{CadenceVersionView: view, Adopted: published.Adopted}}, err
}
