package api

import (
	"context"

	"github.com/kept-practice/kept/db"
	"github.com/kept-practice/kept/internal/desk"
	"github.com/kept-practice/kept/internal/policy"
)

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
	Version    *int32            `json:"version,omitempty" minimum:"1" example:"1" doc:"Of the draft, as it was read. When somebody edited it since: 409 stale_version. Left out: as it is now."`
}

// PublishedView is a version that counts, and the adoption that now moves journeys under way to it.
type PublishedView struct {
	CadenceVersionView
	Adoption *AdoptionView `json:"adoption,omitempty" doc:"Missing with new_only."`
}

// AdoptionView is how far the moving of journeys under way has come. What the preview counted, it counts as it is done.
type AdoptionView struct {
	Policy    string   `json:"policy" enum:"adopt_future,adopt_selected"`
	State     string   `json:"state" enum:"running,done,superseded" doc:"superseded: a newer version took over, or the cadence was archived."`
	Journeys  int32    `json:"journeys" doc:"To be moved when it began."`
	Adopted   int32    `json:"adopted" doc:"Moved so far, in batches."`
	Kept      int32    `json:"kept" doc:"Ended, or under a newer version, when their turn came."`
	Failed    int32    `json:"failed" doc:"Could not be moved; each is a task of the owner."`
	Changed   int32    `json:"changed" doc:"Of the adopted, those for which something changed."`
	Moved     int32    `json:"moved" doc:"Sends that go at another time."`
	Vanishing int32    `json:"vanishing" doc:"Sends that do not go any more."`
	Appearing int32    `json:"appearing" doc:"Sends that come in addition."`
	Late      int32    `json:"late" doc:"Sends whose time had passed; they were skipped."`
	StartedAt Instant  `json:"started_at"`
	EndedAt   *Instant `json:"ended_at,omitempty"`
}

func adoptionView(a db.CadenceAdoption) AdoptionView {
	return AdoptionView{
		Policy: a.Policy, State: a.State, Journeys: a.Journeys, Adopted: a.Moved, Kept: a.Kept, Failed: a.Failed, Changed: a.Changed,
		Moved: a.SendsMoved, Vanishing: a.SendsVanished, Appearing: a.SendsAdded, Late: a.SendsLate, StartedAt: at(a.StartedAt), EndedAt: atOrNil(a.EndedAt),
	}
}

func (s *Server) publishCadence(ctx context.Context, in *changeOf[cadenceVersionKind, Publication]) (*reply[PublishedView], error) {
	published, err := s.deps.Desk.PublishCadence(ctx, callerOf(ctx).Principal, desk.PublishInput{
		Version: policy.ID(in.ID), AsRead: in.Body.Version, Adopt: in.Body.Policy, Journeys: plainIDs(in.Body.JourneyIDs),
	})
	if err != nil {
		return nil, named(err, map[string]string{"/adopt": "/policy", "/journeys": "/journey_ids"})
	}
	view, err := cadenceVersionView(published.Version)
	out := PublishedView{CadenceVersionView: view}
	if published.Adoption != nil {
		adoption := adoptionView(*published.Adoption)
		out.Adoption = &adoption
	}
	return &reply[PublishedView]{Body: out}, err
}

// listAdoptions is one page for ever: a version is published by hand.
func (s *Server) listAdoptions(ctx context.Context, in *byID[cadenceVersionKind]) (*reply[List[AdoptionView]], error) {
	practice := callerOf(ctx).Practice
	queries := s.deps.Store.In(practice)
	if _, err := queries.CadenceVersionByID(ctx, practice, policy.ID(in.ID)); err != nil {
		return nil, missing(err, "cadence_version")
	}
	rows, err := queries.CadenceAdoptions(ctx, practice, policy.ID(in.ID))
	if err != nil {
		return nil, err
	}
	return &reply[List[AdoptionView]]{Body: List[AdoptionView]{Data: convert(rows, adoptionView)}}, nil
}
