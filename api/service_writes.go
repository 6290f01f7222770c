package api

import (
	"context"
	"strconv"

	"github.com/kept-practice/kept/db"
	"github.com/kept-practice/kept/internal/desk"
	"github.com/kept-practice/kept/internal/policy"
)

// NewService is a bookable kind of appointment.
type NewService struct {
	Name                string             `json:"name" example:"Check-up"`
	DurationMinutes     int32              `json:"duration_minutes" example:"30"`
	BufferBeforeMinutes int32              `json:"buffer_before_minutes,omitempty" example:"0"`
	BufferAfterMinutes  int32              `json:"buffer_after_minutes,omitempty" example:"5"`
	LocationKind        string             `json:"location_kind,omitempty" enum:"in_person,phone,video" example:"in_person"`
	URLTemplate         string             `json:"url_template,omitempty" example:"https://video.example.org/room" doc:"Of a video visit."`
	NeedsRoom           bool               `json:"needs_room,omitempty"`
	Code                string             `json:"code,omitempty" example:"99213"`
	TaxBP               int32              `json:"tax_bp,omitempty" example:"700" doc:"Hundredths of a percent: 700 is 7 %."`
	RecallEvery         string             `json:"recall_every,omitempty" example:"P6M" doc:"ISO 8601 period of years, months, weeks and days."`
	RecallServiceID     ID[serviceKind]    `json:"recall_service_id,omitempty" doc:"What clients are invited back for; left out: the same."`
	Online              bool               `json:"online,omitempty" doc:"Clients book it by themselves."`
	Price               Money              `json:"price" doc:"In the practice's currency, from today on."`
	ProviderIDs         []ID[providerKind] `json:"provider_ids,omitempty" maxItems:"200" uniqueItems:"true" doc:"Who offers it."`
	ResourceIDs         []ID[resourceKind] `json:"resource_ids,omitempty" maxItems:"200" uniqueItems:"true" doc:"Rooms and equipment that it may use."`
	Forms               []string           `json:"forms,omitempty" maxItems:"20" uniqueItems:"true" doc:"Keys of the forms in its packet, in order." example:"[\"intake\",\"consent\"]"`
}

func (s *Server) createService(ctx context.Context, in *create[NewService]) (*reply[ServiceView], error) {
	b := in.Body
	if err := s.inOwnCurrency(ctx, "/price/currency", b.Price); err != nil {
		return nil, err
	}
	if err := s.areOfTheirKind(ctx, b.ProviderIDs, b.ResourceIDs); err != nil {
		return nil, err
	}
	made, err := s.deps.Desk.CreateService(ctx, callerOf(ctx).Principal, desk.ServiceInput{
		Name: b.Name, DurationMinutes: int(b.DurationMinutes), BufferBeforeMinutes: int(b.BufferBeforeMinutes), BufferAfterMinutes: int(b.BufferAfterMinutes),
		LocationKind: b.LocationKind, URLTemplate: b.URLTemplate, NeedsRoom: b.NeedsRoom, Code: b.Code, TaxBP: int(b.TaxBP), RecallEvery: b.RecallEvery,
		RecallService: b.RecallServiceID.OrNil(), Online: b.Online, Price: b.Price.Amount,
		Resources: append(plainIDs(b.ProviderIDs), plainIDs(b.ResourceIDs)...), Forms: b.Forms,
	})
	if err != nil {
		return nil, named(err, serviceNames)
	}
	return s.serviceNow(ctx, made.ID)
}

var serviceNames = map[string]string{"/recall_service": "/recall_service_id", "/price": "/price/amount"}

// inOwnCurrency refuses money in another currency than the practice's.
func (s *Server) inOwnCurrency(ctx context.Context, pointer string, m Money) error {
	practice := callerOf(ctx).Practice
	p, err := s.deps.Store.In(practice).PracticeByID(ctx, practice)
	if err == nil && p.Currency != m.Currency {
		return policy.InvalidField(pointer, "wrong_currency", "Money is in the practice's currency, "+p.Currency+".")
	}
	return err
}

// areOfTheirKind refuses what is not there, and rooms named as providers or the other way round; the desk knows both as
// resources.
func (s *Server) areOfTheirKind(ctx context.Context, providers []ID[providerKind], resources []ID[resourceKind]) error {
	return s.deps.Store.InPractice(ctx, callerOf(ctx).Practice, func(tx *db.Tx) error {
		for i, id := range providers {
			if _, err := resourceOf(ctx, tx, policy.ID(id), true); err != nil {
				return policy.AtField("/provider_ids/"+strconv.Itoa(i), err)
			}
		}
		for i, id := range resources {
			if _, err := resourceOf(ctx, tx, policy.ID(id), false); err != nil {
				return policy.AtField("/resource_ids/"+strconv.Itoa(i), err)
			}
		}
		return nil
	})
}

// ServiceChange is a merge patch: what is left out stays; a list replaces the list.
type ServiceChange struct {
	AsRead
	Name                *string                    `json:"name,omitempty" example:"Check-up"`
	DurationMinutes     *int32                     `json:"duration_minutes,omitempty" example:"30"`
	BufferBeforeMinutes *int32                     `json:"buffer_before_minutes,omitempty" example:"0"`
	BufferAfterMinutes  *int32                     `json:"buffer_after_minutes,omitempty" example:"5"`
	LocationKind        *string                    `json:"location_kind,omitempty" enum:"in_person,phone,video" example:"in_person"`
	URLTemplate         clearable[string]          `json:"url_template,omitempty" example:"https://video.example.org/room"`
	NeedsRoom           *bool                      `json:"needs_room,omitempty"`
	Code                clearable[string]          `json:"code,omitempty" example:"99213"`
	TaxBP               *int32                     `json:"tax_bp,omitempty" example:"700"`
	RecallEvery         clearable[string]          `json:"recall_every,omitempty" example:"P6M" doc:"null: nobody is invited back."`
	RecallServiceID     clearable[ID[serviceKind]] `json:"recall_service_id,omitempty" doc:"null: the same service."`
	Online              *bool                      `json:"online,omitempty"`
	ProviderIDs         []ID[providerKind]         `json:"provider_ids,omitempty" maxItems:"200" uniqueItems:"true"`
	ResourceIDs         []ID[resourceKind]         `json:"resource_ids,omitempty" maxItems:"200" uniqueItems:"true"`
	Forms               []string                   `json:"forms,omitempty" maxItems:"20" uniqueItems:"true"`
}

func (s *Server) updateService(ctx context.Context, in *changeOf[serviceKind, ServiceChange]) (*reply[ServiceView], error) {
	b := in.Body
	if err := s.areOfTheirKind(ctx, b.ProviderIDs, b.ResourceIDs); err != nil {
		return nil, err
	}
	uses, err := s.usesOf(ctx, in.ID, b)
	if err != nil {
		return nil, err
	}
	_, err = s.deps.Desk.UpdateService(ctx, callerOf(ctx).Principal, desk.ServicePatch{
		ID: policy.ID(in.ID), Version: b.Version, Name: b.Name, DurationMinutes: intOrNil(b.DurationMinutes), BufferBeforeMinutes: intOrNil(b.BufferBeforeMinutes),
		BufferAfterMinutes: intOrNil(b.BufferAfterMinutes), LocationKind: b.LocationKind, URLTemplate: orEmpty(b.URLTemplate), NeedsRoom: b.NeedsRoom,
		Code: orEmpty(b.Code), TaxBP: intOrNil(b.TaxBP), RecallEvery: orEmpty(b.RecallEvery), RecallService: idChange(b.RecallServiceID), Online: b.Online,
		Resources: uses, Forms: b.Forms,
	})
	if err != nil {
		return nil, named(err, serviceNames)
	}
	return s.serviceNow(ctx, policy.ID(in.ID))
}

// usesOf is everything that the service may use after the change; nil when neither list was given. Should the other list
// change meanwhile, so does the version, and the desk refuses.
func (s *Server) usesOf(ctx context.Context, id ID[serviceKind], b ServiceChange) ([]policy.ID, error) {
	if b.ProviderIDs == nil && b.ResourceIDs == nil {
		return nil, nil
	}
	practice := callerOf(ctx).Practice
	rows, err := s.deps.Store.In(practice).ServicesUse(ctx, practice, []policy.ID{policy.ID(id)})
	if err != nil {
		return nil, err
	}
	uses := append(append([]policy.ID{}, plainIDs(b.ProviderIDs)...), plainIDs(b.ResourceIDs)...)
	for _, r := range rows {
		if provider := r.Kind == desk.ResourceProvider; (provider && b.ProviderIDs == nil) || (!provider && b.ResourceIDs == nil) {
			uses = append(uses, r.ID)
		}
	}
	return uses, nil
}

func intOrNil(n *int32) *int {
	if n == nil {
		return nil
	}
	return new(int(*n))
}

func (s *Server) archiveService(ctx context.Context, in *changeOf[serviceKind, AsRead]) (*reply[ServiceView], error) {
	if _, err := s.deps.Desk.ArchiveService(ctx, callerOf(ctx).Principal, policy.ID(in.ID), in.Body.Version); err != nil {
		return nil, err
	}
	return s.serviceNow(ctx, policy.ID(in.ID))
}

// NewPrice is what a service costs from a day on.
type NewPrice struct {
	Price  Money             `json:"price"`
	FromOn *policy.LocalDate `json:"from_on,omitempty" format:"date" example:"2027-01-01" doc:"Today or later; today when left out."`
}

func (s *Server) setPrice(ctx context.Context, in *changeOf[serviceKind, NewPrice]) (*reply[List[PriceView]], error) {
	if err := s.inOwnCurrency(ctx, "/price/currency", in.Body.Price); err != nil {
		return nil, err
	}
	err := s.deps.Desk.SetPrice(ctx, callerOf(ctx).Principal, policy.ID(in.ID), in.Body.Price.Amount, in.Body.FromOn)
	if err != nil {
		return nil, named(err, serviceNames)
	}
	return s.listPrices(ctx, &byID[serviceKind]{ID: in.ID})
}
