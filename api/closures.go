package api

import (
	"context"

	"github.com/kept-practice/kept/db"
	"github.com/kept-practice/kept/internal/desk"
	"github.com/kept-practice/kept/internal/policy"
)

// ClosureView is a time in which a provider, a room, a piece of equipment or a whole location is not booked.
type ClosureView struct {
	ID         ID[closureKind]   `json:"id"`
	LocationID *ID[locationKind] `json:"location_id,omitempty"`
	ProviderID *ID[providerKind] `json:"provider_id,omitempty"`
	ResourceID *ID[resourceKind] `json:"resource_id,omitempty"`
	StartsAt   Instant           `json:"starts_at"`
	EndsAt     Instant           `json:"ends_at"`
	Reason     string            `json:"reason" example:"Public holiday"`
	LiftedAt   *Instant          `json:"lifted_at,omitempty"`
}

// closureViews tells providers from rooms and equipment, which the table does not.
func closureViews(ctx context.Context, tx *db.Tx, rows []db.ClosureListRow) ([]ClosureView, error) {
	kinds := map[policy.ID]string{}
	for _, r := range rows {
		if r.ResourceID == nil || kinds[*r.ResourceID] != "" {
			continue
		}
		resource, err := tx.ResourceByID(ctx, tx.Practice, *r.ResourceID)
		if err != nil {
			return nil, err
		}
		kinds[resource.ID] = resource.Kind
	}
	return convert(rows, func(r db.ClosureListRow) ClosureView {
		v := ClosureView{
			ID: ID[closureKind](r.ID), LocationID: idOrNil[locationKind](r.LocationID), StartsAt: at(r.StartsAt), EndsAt: at(r.EndsAt),
			Reason: r.Reason, LiftedAt: atOrNil(r.LiftedAt),
		}
		switch {
		case r.ResourceID == nil:
		case kinds[*r.ResourceID] == desk.ResourceProvider:
			v.ProviderID = idOrNil[providerKind](r.ResourceID)
		default:
			v.ResourceID = idOrNil[resourceKind](r.ResourceID)
		}
		return v
	}), nil
}

func (s *Server) listClosures(ctx context.Context, in *struct{ Page[closureKind] }) (*reply[List[ClosureView]], error) {
	out := &reply[List[ClosureView]]{}
	practice := callerOf(ctx).Practice
	return out, s.deps.Store.InPractice(ctx, practice, func(tx *db.Tx) error {
		clock, err := tx.PracticeNow(ctx, practice)
		if err != nil {
			return err
		}
		rows, err := tx.ClosureList(ctx, practice, clock.Now)
		if err != nil {
			return err
		}
		rows, out.Body.HasMore, err = pageOf(in.Page, rows, func(r db.ClosureListRow) policy.ID { return r.ID })
		if err != nil {
			return err
		}
		out.Body.Data, err = closureViews(ctx, tx, rows)
		return err
	})
}

// NewClosure closes exactly one of a location, a provider and a room or piece of equipment.
type NewClosure struct {
	LocationID ID[locationKind] `json:"location_id,omitempty"`
	ProviderID ID[providerKind] `json:"provider_id,omitempty"`
	ResourceID ID[resourceKind] `json:"resource_id,omitempty"`
	StartsAt   string           `json:"starts_at" example:"2027-12-24T00:00" doc:"RFC 3339 with its offset, or wall time of the place: YYYY-MM-DDTHH:MM."`
	EndsAt     string           `json:"ends_at" example:"2027-12-27T00:00"`
	Reason     string           `json:"reason" example:"Public holiday"`
}

// CreatedClosureView is a closure with the visits that stand in it.
type CreatedClosureView struct {
	ClosureView
	Affected []AffectedView `json:"affected" doc:"They stay until somebody moves or cancels them."`
}

func (s *Server) createClosure(ctx context.Context, in *create[NewClosure]) (*reply[CreatedClosureView], error) {
	b := in.Body
	closure, err := s.closureOf(ctx, b)
	if err != nil {
		return nil, err
	}
	caller := callerOf(ctx).Principal
	closed, err := s.deps.Desk.AddClosure(ctx, caller, closure)
	if err != nil {
		return nil, named(err, map[string]string{"/location": "/location_id"})
	}
	out := &reply[CreatedClosureView]{Body: CreatedClosureView{Affected: affectedViews(closed.Affected)}}
	return out, s.deps.Store.InPractice(ctx, caller.Practice, func(tx *db.Tx) error {
		row, err := tx.ClosureByID(ctx, caller.Practice, closed.ID)
		if err != nil {
			return err
		}
		views, err := closureViews(ctx, tx, []db.ClosureListRow{db.ClosureListRow(row)})
		if err != nil {
			return err
		}
		out.Body.ClosureView = views[0]
		return nil
	})
}

func (s *Server) closureOf(ctx context.Context, b NewClosure) (desk.ClosureInput, error) {
	in := desk.ClosureInput{Location: b.LocationID.OrNil(), Resource: b.ResourceID.OrNil(), StartsAt: b.StartsAt, EndsAt: b.EndsAt, Reason: b.Reason}
	if b.ProviderID.IsZero() && b.ResourceID.IsZero() {
		return in, nil
	}
	if !b.ProviderID.IsZero() && !b.ResourceID.IsZero() {
		return in, policy.InvalidField("/resource_id", "one_of", "Close either one provider, one resource or one location.")
	}
	provider := !b.ProviderID.IsZero()
	if provider {
		in.Resource = b.ProviderID.OrNil()
	}
	_, err := s.resource(ctx, *in.Resource, provider)
	return in, err
}

func (s *Server) liftClosure(ctx context.Context, in *byID[closureKind]) (*struct{}, error) {
	return nil, s.deps.Desk.LiftClosure(ctx, callerOf(ctx).Principal, policy.ID(in.ID))
}
