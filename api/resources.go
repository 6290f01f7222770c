package api

import (
	"context"

	"github.com/kept-practice/kept/db"
	"github.com/kept-practice/kept/internal/desk"
	"github.com/kept-practice/kept/internal/policy"
)

// ProviderView is a person who provides care; their places are said by their shifts.
type ProviderView struct {
	ID         ID[providerKind] `json:"id"`
	Name       string           `json:"name" example:"Dr. Pat Provider"`
	StaffID    *ID[staffKind]   `json:"staff_id,omitempty" doc:"Who they are on the staff."`
	Version    int32            `json:"version"`
	ArchivedAt *Instant         `json:"archived_at,omitempty"`
	CreatedAt  Instant          `json:"created_at"`
}

func providerView(r db.Resource) ProviderView {
	return ProviderView{
		ID: ID[providerKind](r.ID), Name: r.Name, StaffID: idOrNil[staffKind](r.StaffID), Version: r.Version,
		ArchivedAt: atOrNil(r.ArchivedAt), CreatedAt: at(r.CreatedAt),
	}
}

// ResourceView is a room or a piece of equipment.
type ResourceView struct {
	ID         ID[resourceKind]  `json:"id"`
	Kind       string            `json:"kind" enum:"room,equipment"`
	Name       string            `json:"name" example:"Room 2"`
	Seats      int32             `json:"seats" doc:"How many visits at once."`
	LocationID *ID[locationKind] `json:"location_id,omitempty" doc:"Where it stands."`
	Version    int32             `json:"version"`
	ArchivedAt *Instant          `json:"archived_at,omitempty"`
	CreatedAt  Instant           `json:"created_at"`
}

func resourceView(r db.Resource) ResourceView {
	return ResourceView{
		ID: ID[resourceKind](r.ID), Kind: r.Kind, Name: r.Name, Seats: r.Seats, LocationID: idOrNil[locationKind](r.LocationID), Version: r.Version,
		ArchivedAt: atOrNil(r.ArchivedAt), CreatedAt: at(r.CreatedAt),
	}
}

// resourceOf reads a provider, or a room or piece of equipment: one table, two kinds of id.
func resourceOf(ctx context.Context, tx *db.Tx, id policy.ID, provider bool) (db.Resource, error) {
	what := "resource"
	if provider {
		what = "provider"
	}
	r, err := tx.ResourceByID(ctx, tx.Practice, id)
	if err == nil && (r.Kind == desk.ResourceProvider) != provider {
		return r, notThere[what]
	}
	return r, missing(err, what)
}

func (s *Server) resource(ctx context.Context, id policy.ID, provider bool) (r db.Resource, err error) {
	err = s.deps.Store.InPractice(ctx, callerOf(ctx).Practice, func(tx *db.Tx) error {
		r, err = resourceOf(ctx, tx, id, provider)
		return err
	})
	return r, err
}

func (s *Server) resources(ctx context.Context, provider bool) ([]db.Resource, error) {
	practice := callerOf(ctx).Practice
	rows, err := s.deps.Store.In(practice).ResourceList(ctx, practice)
	var out []db.Resource
	for _, r := range rows {
		if (r.Kind == desk.ResourceProvider) == provider {
			out = append(out, r)
		}
	}
	return out, err
}

func resourceID(r db.Resource) policy.ID { return r.ID }

func (s *Server) listProviders(ctx context.Context, in *struct{ Page[providerKind] }) (*reply[List[ProviderView]], error) {
	rows, err := s.resources(ctx, true)
	if err != nil {
		return nil, err
	}
	return list(in.Page, rows, resourceID, providerView)
}

func (s *Server) listResources(ctx context.Context, in *struct{ Page[resourceKind] }) (*reply[List[ResourceView]], error) {
	rows, err := s.resources(ctx, false)
	if err != nil {
		return nil, err
	}
	return list(in.Page, rows, resourceID, resourceView)
}

func (s *Server) getProvider(ctx context.Context, in *byID[providerKind]) (*reply[ProviderView], error) {
	r, err := s.resource(ctx, policy.ID(in.ID), true)
	return &reply[ProviderView]{Body: providerView(r)}, err
}

func (s *Server) getResource(ctx context.Context, in *byID[resourceKind]) (*reply[ResourceView], error) {
	r, err := s.resource(ctx, policy.ID(in.ID), false)
	return &reply[ResourceView]{Body: resourceView(r)}, err
}

// resourceNames are the desk's fields as they are called on the wire.
var resourceNames = map[string]string{"/location": "/location_id", "/staff": "/staff_id"}

// NewProvider is a person who provides care.
type NewProvider struct {
	Name    string        `json:"name" example:"Dr. Pat Provider"`
	StaffID ID[staffKind] `json:"staff_id,omitempty" doc:"Who they are on the staff; their own visits are told by it."`
}

func (s *Server) createProvider(ctx context.Context, in *create[NewProvider]) (*reply[ProviderView], error) {
	r, err := s.deps.Desk.CreateResource(ctx, callerOf(ctx).Principal, desk.ResourceInput{
		Kind: desk.ResourceProvider, Name: in.Body.Name, Staff: in.Body.StaffID.OrNil(),
	})
	return &reply[ProviderView]{Body: providerView(r)}, named(err, resourceNames)
}

// NewResource is a room or a piece of equipment at a location.
type NewResource struct {
	Kind       string           `json:"kind" enum:"room,equipment" example:"room"`
	Name       string           `json:"name" example:"Room 2"`
	Seats      int32            `json:"seats,omitempty" minimum:"1" example:"1" doc:"How many visits at once; 1 when left out."`
	LocationID ID[locationKind] `json:"location_id"`
}

func (s *Server) createResource(ctx context.Context, in *create[NewResource]) (*reply[ResourceView], error) {
	r, err := s.deps.Desk.CreateResource(ctx, callerOf(ctx).Principal, desk.ResourceInput{
		Kind: in.Body.Kind, Name: in.Body.Name, Seats: int(in.Body.Seats), Location: in.Body.LocationID.OrNil(),
	})
	return &reply[ResourceView]{Body: resourceView(r)}, named(err, resourceNames)
}

// ProviderChange is a merge patch: what is left out stays.
type ProviderChange struct {
	AsRead
	Name    *string                  `json:"name,omitempty" example:"Dr. Pat Provider"`
	StaffID clearable[ID[staffKind]] `json:"staff_id,omitempty" doc:"null: nobody on the staff."`
}

func (s *Server) updateProvider(ctx context.Context, in *changeOf[providerKind, ProviderChange]) (*reply[ProviderView], error) {
	r, err := s.changeResource(ctx, true, desk.ResourcePatch{
		ID: policy.ID(in.ID), Version: in.Body.Version, Name: in.Body.Name, Staff: idChange(in.Body.StaffID),
	})
	return &reply[ProviderView]{Body: providerView(r)}, err
}

// ResourceChange is a merge patch: what is left out stays.
type ResourceChange struct {
	AsRead
	Name  *string `json:"name,omitempty" example:"Room 2"`
	Seats *int32  `json:"seats,omitempty" example:"2" minimum:"1"`
}

func (s *Server) updateResource(ctx context.Context, in *changeOf[resourceKind, ResourceChange]) (*reply[ResourceView], error) {
	r, err := s.changeResource(ctx, false, desk.ResourcePatch{
		ID: policy.ID(in.ID), Version: in.Body.Version, Name: in.Body.Name, Seats: intOrNil(in.Body.Seats),
	})
	return &reply[ResourceView]{Body: resourceView(r)}, err
}

func (s *Server) changeResource(ctx context.Context, provider bool, change desk.ResourcePatch) (db.Resource, error) {
	if r, err := s.resource(ctx, change.ID, provider); err != nil {
		return r, err
	}
	r, err := s.deps.Desk.UpdateResource(ctx, callerOf(ctx).Principal, change)
	return r, named(err, resourceNames)
}

func (s *Server) archiveProvider(ctx context.Context, in *changeOf[providerKind, AsRead]) (*reply[ProviderView], error) {
	r, err := s.retireResource(ctx, policy.ID(in.ID), true, in.Body.Version)
	return &reply[ProviderView]{Body: providerView(r)}, err
}

func (s *Server) archiveResource(ctx context.Context, in *changeOf[resourceKind, AsRead]) (*reply[ResourceView], error) {
	r, err := s.retireResource(ctx, policy.ID(in.ID), false, in.Body.Version)
	return &reply[ResourceView]{Body: resourceView(r)}, err
}

func (s *Server) retireResource(ctx context.Context, id policy.ID, provider bool, version int32) (db.Resource, error) {
	if r, err := s.resource(ctx, id, provider); err != nil {
		return r, err
	}
	return s.deps.Desk.ArchiveResource(ctx, callerOf(ctx).Principal, id, version)
}
