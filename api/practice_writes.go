package api

import (
	"context"

	"github.com/kept-practice/kept/internal/desk"
	"github.com/kept-practice/kept/internal/policy"
)

// PracticeChange is a merge patch: what is left out stays.
type PracticeChange struct {
	AsRead
	Name          *string `json:"name,omitempty" example:"Harbour Lane Practice"`
	Mail          *string `json:"mail,omitempty" example:"desk@example.org"`
	Phone         *string `json:"phone,omitempty" example:"+12025550100" doc:"Empty for none."`
	PostalAddress *string `json:"postal_address,omitempty" example:"1 Harbour Lane, Portland" doc:"Empty for none."`
}

func (s *Server) updatePractice(ctx context.Context, in *create[PracticeChange]) (*reply[PracticeView], error) {
	b := in.Body
	if _, err := s.deps.Desk.UpdatePractice(ctx, callerOf(ctx).Principal, desk.PracticePatch{
		Version: b.Version, Name: b.Name, Mail: b.Mail, Phone: b.Phone, PostalAddress: b.PostalAddress,
	}); err != nil {
		return nil, err
	}
	return s.getPractice(ctx, nil)
}

// NewLocation is a place where visits happen.
type NewLocation struct {
	Name          string `json:"name" example:"Harbour Lane"`
	Zone          string `json:"zone,omitempty" example:"America/New_York" doc:"The practice's when left out. It is fixed: rules of wall time hang on it."`
	PostalAddress string `json:"postal_address,omitempty" example:"1 Harbour Lane, Portland"`
	Phone         string `json:"phone,omitempty" example:"+12025550100"`
}

func (s *Server) createLocation(ctx context.Context, in *create[NewLocation]) (*reply[LocationView], error) {
	l, err := s.deps.Desk.CreateLocation(ctx, callerOf(ctx).Principal, desk.LocationInput{
		Name: in.Body.Name, Zone: in.Body.Zone, PostalAddress: in.Body.PostalAddress, Phone: in.Body.Phone,
	})
	return &reply[LocationView]{Body: locationView(l)}, err
}

// LocationChange is a merge patch: what is left out stays.
type LocationChange struct {
	AsRead
	Name          *string `json:"name,omitempty" example:"Harbour Lane"`
	PostalAddress *string `json:"postal_address,omitempty" example:"1 Harbour Lane, Portland" doc:"Empty for none."`
	Phone         *string `json:"phone,omitempty" example:"+12025550100" doc:"Empty for none."`
}

func (s *Server) updateLocation(ctx context.Context, in *changeOf[locationKind, LocationChange]) (*reply[LocationView], error) {
	return s.changeLocation(ctx, desk.LocationPatch{
		ID: policy.ID(in.ID), Version: in.Body.Version, Name: in.Body.Name, PostalAddress: in.Body.PostalAddress, Phone: in.Body.Phone,
	})
}

func (s *Server) archiveLocation(ctx context.Context, in *changeOf[locationKind, AsRead]) (*reply[LocationView], error) {
	return s.changeLocation(ctx, desk.LocationPatch{ID: policy.ID(in.ID), Version: in.Body.Version, Archived: new(true)})
}

func (s *Server) restoreLocation(ctx context.Context, in *changeOf[locationKind, AsRead]) (*reply[LocationView], error) {
	return s.changeLocation(ctx, desk.LocationPatch{ID: policy.ID(in.ID), Version: in.Body.Version, Archived: new(false)})
}

func (s *Server) changeLocation(ctx context.Context, change desk.LocationPatch) (*reply[LocationView], error) {
	l, err := s.deps.Desk.UpdateLocation(ctx, callerOf(ctx).Principal, change)
	return &reply[LocationView]{Body: locationView(l)}, err
}
