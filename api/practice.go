package api

import (
	"context"

	"github.com/kept-practice/kept/db"
	"github.com/kept-practice/kept/internal/policy"
)

// PracticeView is the practice that the API key belongs to.
type PracticeView struct {
	ID            ID[practiceKind] `json:"id"`
	Mode          string           `json:"mode" enum:"test,live" doc:"Fixed when the practice is made."`
	Name          string           `json:"name"`
	Zone          string           `json:"zone" example:"America/New_York"`
	Currency      string           `json:"currency" example:"USD"`
	Country       string           `json:"country" example:"US"`
	Mail          string           `json:"mail"`
	Phone         string           `json:"phone"`
	PostalAddress string           `json:"postal_address"`
	Locale        string           `json:"locale" example:"en"`
	PrivacyMode   string           `json:"privacy_mode" enum:"strict,plain"`
	Version       int32            `json:"version"`
	CreatedAt     Instant          `json:"created_at"`
	NowAt         Instant          `json:"now_at" doc:"The instant by which the practice judges: a test clock's, or the real one."`
	NowLocal      string           `json:"now_local" doc:"now_at on the practice's clock." example:"2026-03-09T14:00:00"`
}

func (s *Server) getPractice(ctx context.Context, _ *inputless) (*reply[PracticeView], error) {
	caller := callerOf(ctx)
	p, err := s.deps.Store.In(caller.Practice).PracticeRead(ctx, caller.Practice)
	if err != nil {
		return nil, err
	}
	now, err := local(p.ClockNow, p.Zone)
	if err != nil {
		return nil, err
	}
	return &reply[PracticeView]{Body: PracticeView{
		ID: ID[practiceKind](p.ID), Mode: p.Mode, Name: p.Name, Zone: p.Zone, Currency: p.Currency, Country: p.Country, Mail: p.Mail, Phone: p.Phone,
		PostalAddress: p.PostalAddress, Locale: p.Locale, PrivacyMode: p.PrivacyMode, Version: p.Version, CreatedAt: at(p.CreatedAt),
		NowAt: at(p.ClockNow), NowLocal: now,
	}}, nil
}

// LocationView is a place where visits happen.
type LocationView struct {
	ID            ID[locationKind] `json:"id"`
	Name          string           `json:"name"`
	Zone          string           `json:"zone" example:"America/New_York"`
	PostalAddress string           `json:"postal_address"`
	Phone         string           `json:"phone"`
	Version       int32            `json:"version"`
	ArchivedAt    *Instant         `json:"archived_at,omitempty"`
	CreatedAt     Instant          `json:"created_at"`
}

func locationView(l db.Location) LocationView {
	return LocationView{
		ID: ID[locationKind](l.ID), Name: l.Name, Zone: l.Zone, PostalAddress: l.PostalAddress, Phone: l.Phone, Version: l.Version,
		ArchivedAt: atOrNil(l.ArchivedAt), CreatedAt: at(l.CreatedAt),
	}
}

func (s *Server) listLocations(ctx context.Context, in *struct{ Page[locationKind] }) (*reply[List[LocationView]], error) {
	practice := callerOf(ctx).Practice
	queries := s.deps.Store.In(practice)
	rows, more, err := turn(in.Page,
		func(id *policy.ID, limit int32) ([]db.Location, error) {
			return queries.LocationPageOlder(ctx, db.LocationPageOlderParams{PracticeID: practice, ID: id, PageSize: limit})
		},
		func(id policy.ID, limit int32) ([]db.Location, error) {
			return queries.LocationPageNewer(ctx, db.LocationPageNewerParams{PracticeID: practice, ID: id, PageSize: limit})
		})
	if err != nil {
		return nil, err
	}
	out := List[LocationView]{Data: []LocationView{}, HasMore: more}
	for _, l := range rows {
		out.Data = append(out.Data, locationView(l))
	}
	return &reply[List[LocationView]]{Body: out}, nil
}

func (s *Server) getLocation(ctx context.Context, in *byID[locationKind]) (*reply[LocationView], error) {
	practice := callerOf(ctx).Practice
	l, err := s.deps.Store.In(practice).LocationByID(ctx, practice, policy.ID(in.ID))
	if err != nil {
		return nil, err
	}
	return &reply[LocationView]{Body: locationView(l)}, nil
}
