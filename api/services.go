package api

import (
	"context"
	"fmt"

	"github.com/kept-practice/kept/db"
	"github.com/kept-practice/kept/internal/desk"
	"github.com/kept-practice/kept/internal/policy"
)

// ServiceView is a bookable kind of appointment.
type ServiceView struct {
	ID                  ID[serviceKind]    `json:"id"`
	Name                string             `json:"name" example:"Check-up"`
	DurationMinutes     int32              `json:"duration_minutes" example:"30"`
	BufferBeforeMinutes int32              `json:"buffer_before_minutes" example:"0"`
	BufferAfterMinutes  int32              `json:"buffer_after_minutes" example:"5"`
	LocationKind        string             `json:"location_kind" enum:"in_person,phone,video"`
	URLTemplate         string             `json:"url_template,omitempty" example:"https://video.example.org/room"`
	NeedsRoom           bool               `json:"needs_room"`
	Code                string             `json:"code,omitempty" example:"99213"`
	TaxBP               int32              `json:"tax_bp" example:"700" doc:"Hundredths of a percent: 700 is 7 %."`
	RecallEvery         string             `json:"recall_every,omitempty" example:"P6M" doc:"ISO 8601 period from a completed visit to the next invitation."`
	RecallServiceID     *ID[serviceKind]   `json:"recall_service_id,omitempty" doc:"What the invitation is for; missing: the same."`
	Online              bool               `json:"online" doc:"Clients book it by themselves."`
	Price               *Money             `json:"price,omitempty" doc:"Today's."`
	ProviderIDs         []ID[providerKind] `json:"provider_ids" doc:"Who offers it."`
	ResourceIDs         []ID[resourceKind] `json:"resource_ids" doc:"Rooms and equipment that it may use."`
	Forms               []string           `json:"forms" doc:"Keys of the forms in its packet, in order." example:"[\"intake\",\"consent\"]"`
	Version             int32              `json:"version"`
	ArchivedAt          *Instant           `json:"archived_at,omitempty"`
	CreatedAt           Instant            `json:"created_at"`
}

// serviceViews shows services with what hangs on them.
func serviceViews(ctx context.Context, tx *db.Tx, rows []db.Service) ([]ServiceView, error) {
	ids := convert(rows, func(s db.Service) policy.ID { return s.ID })
	practice, err := tx.PracticeRead(ctx, tx.Practice)
	if err != nil {
		return nil, err
	}
	zone, err := policy.LoadZone(practice.Zone)
	if err != nil {
		return nil, fmt.Errorf("zone of the practice: %w", err)
	}
	uses, err := tx.ServicesUse(ctx, tx.Practice, ids)
	if err != nil {
		return nil, err
	}
	forms, err := tx.ServicesForms(ctx, tx.Practice, ids)
	if err != nil {
		return nil, err
	}
	prices, err := tx.ServicesPriced(ctx, db.ServicesPricedParams{
		PracticeID: tx.Practice, ServiceIds: ids, Day: policy.LocalDay(practice.ClockNow, zone),
	})
	if err != nil {
		return nil, err
	}
	views := convert(rows, serviceView)
	byID := map[policy.ID]*ServiceView{}
	for i := range views {
		byID[policy.ID(views[i].ID)] = &views[i]
	}
	for _, u := range uses {
		if v := byID[u.ServiceID]; u.Kind == desk.ResourceProvider {
			v.ProviderIDs = append(v.ProviderIDs, ID[providerKind](u.ID))
		} else {
			v.ResourceIDs = append(v.ResourceIDs, ID[resourceKind](u.ID))
		}
	}
	for _, f := range forms {
		byID[f.ServiceID].Forms = append(byID[f.ServiceID].Forms, f.FormKey)
	}
	for _, p := range prices {
		byID[p.ServiceID].Price = &Money{Amount: p.Amount, Currency: p.Currency}
	}
	return views, nil
}

func serviceView(s db.Service) ServiceView {
	return ServiceView{
		ID: ID[serviceKind](s.ID), Name: s.Name, DurationMinutes: s.DurationMinutes, BufferBeforeMinutes: s.BufferBeforeMinutes,
		BufferAfterMinutes: s.BufferAfterMinutes, LocationKind: s.LocationKind, URLTemplate: s.UrlTemplate, NeedsRoom: s.NeedsRoom, Code: s.Code,
		TaxBP: s.TaxBp, RecallEvery: s.RecallEvery, RecallServiceID: idOrNil[serviceKind](s.RecallServiceID), Online: s.Online,
		ProviderIDs: []ID[providerKind]{}, ResourceIDs: []ID[resourceKind]{}, Forms: []string{},
		Version: s.Version, ArchivedAt: atOrNil(s.ArchivedAt), CreatedAt: at(s.CreatedAt),
	}
}

func (s *Server) listServices(ctx context.Context, in *struct{ Page[serviceKind] }) (*reply[List[ServiceView]], error) {
	out := &reply[List[ServiceView]]{}
	practice := callerOf(ctx).Practice
	return out, s.deps.Store.InPractice(ctx, practice, func(tx *db.Tx) error {
		rows, err := tx.ServiceList(ctx, practice)
		if err != nil {
			return err
		}
		rows, out.Body.HasMore, err = pageOf(in.Page, rows, func(r db.Service) policy.ID { return r.ID })
		if err != nil {
			return err
		}
		out.Body.Data, err = serviceViews(ctx, tx, rows)
		return err
	})
}

func (s *Server) getService(ctx context.Context, in *byID[serviceKind]) (*reply[ServiceView], error) {
	return s.serviceNow(ctx, policy.ID(in.ID))
}

func (s *Server) serviceNow(ctx context.Context, id policy.ID) (*reply[ServiceView], error) {
	out := &reply[ServiceView]{}
	practice := callerOf(ctx).Practice
	return out, s.deps.Store.InPractice(ctx, practice, func(tx *db.Tx) error {
		row, err := tx.ServiceByID(ctx, practice, id)
		if err != nil {
			return missing(err, "service")
		}
		views, err := serviceViews(ctx, tx, []db.Service{row})
		if err != nil {
			return err
		}
		out.Body = views[0]
		return nil
	})
}

// PriceView is what a service costs from a day on.
type PriceView struct {
	FromOn policy.LocalDate `json:"from_on" format:"date" example:"2026-01-01"`
	Price  Money            `json:"price"`
}

func (s *Server) listPrices(ctx context.Context, in *byID[serviceKind]) (*reply[List[PriceView]], error) {
	practice := callerOf(ctx).Practice
	queries := s.deps.Store.In(practice)
	if _, err := queries.ServiceByID(ctx, practice, policy.ID(in.ID)); err != nil {
		return nil, missing(err, "service")
	}
	rows, err := queries.PriceList(ctx, practice, policy.ID(in.ID))
	return &reply[List[PriceView]]{Body: List[PriceView]{Data: convert(rows, func(r db.PriceListRow) PriceView {
		return PriceView{FromOn: r.FromOn, Price: Money{Amount: r.Amount, Currency: r.Currency}}
	})}}, err
}
