package api

import (
	"context"
	"slices"

	"github.com/kept-practice/kept/db"
	"github.com/kept-practice/kept/internal/desk"
	"github.com/kept-practice/kept/internal/policy"
)

// FreeTimeView is a start that can be booked.
type FreeTimeView struct {
	StartsAt     Instant          `json:"starts_at"`
	Local        string           `json:"local" doc:"starts_at on the location's clock." example:"2026-03-09T14:00:00"`
	ProviderID   ID[providerKind] `json:"provider_id"`
	ProviderName string           `json:"provider_name"`
}

// FreeTimesView is every bookable start of some days, earliest first.
type FreeTimesView struct {
	Zone string         `json:"zone" example:"America/New_York"`
	Data []FreeTimeView `json:"data"`
}

type freeTimesInput struct {
	ID       ID[serviceKind]  `path:"id"`
	Location ID[locationKind] `query:"location" required:"true"`
	Provider ID[providerKind] `query:"provider" doc:"Any who offers the service when missing."`
	From     policy.LocalDate `query:"from" format:"date" example:"2026-03-09" doc:"The first day, on the location's calendar; today when missing."`
	Days     int              `query:"days" minimum:"1" maximum:"31" default:"7"`
}

func (s *Server) freeTimes(ctx context.Context, in *freeTimesInput) (*reply[FreeTimesView], error) {
	practice := callerOf(ctx).Practice
	location, err := s.deps.Store.In(practice).LocationByID(ctx, practice, policy.ID(in.Location))
	if db.NoRows(err) {
		return nil, errNotFound("location")
	}
	if err != nil {
		return nil, err
	}
	if in.From.IsZero() {
		if in.From, err = s.today(ctx, location.Zone); err != nil {
			return nil, err
		}
	}
	free, err := s.deps.Desk.FreeTimes(ctx, practice, desk.FreeInput{
		Service: policy.ID(in.ID), Location: policy.ID(in.Location), Provider: in.Provider.OrNil(), From: in.From, Days: in.Days,
	})
	if err != nil {
		return nil, err
	}
	views, err := freeTimeViews(free, location.Zone)
	return &reply[FreeTimesView]{Body: FreeTimesView{Zone: location.Zone, Data: views}}, err
}

func freeTimeViews(free []desk.FreeTime, zone string) ([]FreeTimeView, error) {
	out := make([]FreeTimeView, 0, len(free))
	for _, f := range free {
		wall, err := local(f.StartsAt, zone)
		if err != nil {
			return nil, err
		}
		out = append(out, FreeTimeView{StartsAt: at(f.StartsAt), Local: wall, ProviderID: ID[providerKind](f.Provider), ProviderName: f.ProviderName})
	}
	return out, nil
}

// today is the local day of the practice's clock.
func (s *Server) today(ctx context.Context, zone string) (policy.LocalDate, error) {
	practice := callerOf(ctx).Practice
	row, err := s.deps.Store.In(practice).PracticeNow(ctx, practice)
	if err != nil {
		return policy.LocalDate{}, err
	}
	location, err := policy.LoadZone(zone)
	if err != nil {
		return policy.LocalDate{}, err
	}
	return policy.LocalDay(row.Now, location), nil
}

// SlotInput names one wanted time.
type SlotInput struct {
	ServiceID  ID[serviceKind]  `json:"service_id"`
	ProviderID ID[providerKind] `json:"provider_id"`
	LocationID ID[locationKind] `json:"location_id"`
	StartsAt   string           `json:"starts_at" maxLength:"40" example:"2026-03-09T14:00" doc:"RFC 3339 with its offset, or YYYY-MM-DDTHH:MM on the location's clock."`
}

// BookInput asks for a visit.
type BookInput struct {
	SlotInput
	ClientID ID[clientKind] `json:"client_id"`
	HoldID   ID[holdKind]   `json:"hold_id,omitempty" doc:"Turns this hold into the visit."`
	Override bool           `json:"override,omitempty" doc:"Outside hours, off the grid or beyond the horizon; for those with appointments:override."`
}

// BookedView is a visit that was just committed.
type BookedView struct {
	AppointmentView
	IntakeURL string `json:"intake_url,omitempty" format:"uri" doc:"Where the client fills in the papers of this visit; missing when none are due. It is given here and in messages only."`
}

func (s *Server) bookAppointment(ctx context.Context, in *struct{ Body BookInput }) (*reply[BookedView], error) {
	caller := callerOf(ctx)
	if err := mayOverride(caller, in.Body.Override); err != nil {
		return nil, err
	}
	if err := s.reaches(ctx, policy.ID(in.Body.ProviderID), "provider"); err != nil {
		return nil, err
	}
	booked, err := s.deps.Desk.Book(ctx, caller.Principal, desk.BookInput{
		Client: policy.ID(in.Body.ClientID), Service: policy.ID(in.Body.ServiceID), Provider: policy.ID(in.Body.ProviderID),
		Location: policy.ID(in.Body.LocationID), StartsAt: in.Body.StartsAt, Hold: in.Body.HoldID.OrNil(), Override: in.Body.Override, Source: "api",
	})
	if err != nil {
		return nil, s.withFreeTimes(ctx, in.Body.SlotInput, nil, err)
	}
	ring(ctx, booked.Rung...)
	out := BookedView{}
	if booked.IntakeToken != "" {
		out.IntakeURL = s.deps.BaseURL + "/l/" + booked.IntakeToken
	}
	out.AppointmentView, err = appointmentView(booked.Appointment)
	return &reply[BookedView]{Body: out}, err
}

// mayOverride: the route's own permission lets a caller book; to book against the calendar takes another one.
func mayOverride(caller Caller, override bool) error {
	if _, ok := policy.Allowed(caller.Role, policy.AppointmentsOverride); override && !ok {
		return policy.NewError(policy.Forbidden, "override_not_permitted", "The role of this API key does not include appointments:override. Leave override out.")
	}
	return nil
}

// alternatives is how many free times a refused booking is shown.
const alternatives = 3

// withFreeTimes answers a refused time with the next ones that are free, and names the field as the wire does.
func (s *Server) withFreeTimes(ctx context.Context, in SlotInput, except *policy.ID, err error) error {
	switch policy.CodeOf(err) {
	case "not_offered":
		return policy.AtField("/provider_id", err)
	case "slot_taken", "no_room", "outside_hours", "closed", "too_late":
	default:
		return err
	}
	return s.withFacts(err, func() (string, any, error) {
		practice := callerOf(ctx).Practice
		location, err := s.deps.Store.In(practice).LocationByID(ctx, practice, policy.ID(in.LocationID))
		if err != nil {
			return "", nil, err
		}
		zone, err := policy.LoadZone(location.Zone)
		if err != nil {
			return "", nil, err
		}
		wanted, err := policy.ParseInstant(in.StartsAt, zone)
		if err != nil {
			return "", nil, err
		}
		provider := policy.ID(in.ProviderID)
		free, err := s.deps.Desk.FreeTimes(ctx, practice, desk.FreeInput{
			Service: policy.ID(in.ServiceID), Location: policy.ID(in.LocationID), Provider: &provider, From: policy.LocalDay(wanted, zone), Days: 7,
			ExceptAppointment: except,
		})
		if err != nil {
			return "", nil, err
		}
		if later := slices.IndexFunc(free, func(f desk.FreeTime) bool { return f.StartsAt.After(wanted) }); later > 0 {
			free = free[later:]
		}
		views, err := freeTimeViews(free[:min(len(free), alternatives)], location.Zone)
		return "free_times", views, err
	})
}

// HoldView is a time that is kept for some minutes.
type HoldView struct {
	ID         ID[holdKind]     `json:"id"`
	ClientID   *ID[clientKind]  `json:"client_id,omitempty"`
	ServiceID  ID[serviceKind]  `json:"service_id"`
	ProviderID ID[providerKind] `json:"provider_id"`
	LocationID ID[locationKind] `json:"location_id"`
	StartsAt   Instant          `json:"starts_at"`
	EndsAt     Instant          `json:"ends_at"`
	ExpiresAt  Instant          `json:"expires_at" doc:"On the practice's clock."`
}

// HoldInput asks for a time to be kept.
type HoldInput struct {
	SlotInput
	ClientID ID[clientKind] `json:"client_id,omitempty"`
}

func (s *Server) placeHold(ctx context.Context, in *struct{ Body HoldInput }) (*reply[HoldView], error) {
	if err := s.reaches(ctx, policy.ID(in.Body.ProviderID), "provider"); err != nil {
		return nil, err
	}
	h, err := s.deps.Desk.PlaceHold(ctx, callerOf(ctx).Principal, desk.HoldInput{
		Client: in.Body.ClientID.OrNil(), Service: policy.ID(in.Body.ServiceID), Provider: policy.ID(in.Body.ProviderID),
		Location: policy.ID(in.Body.LocationID), StartsAt: in.Body.StartsAt,
	})
	if err != nil {
		return nil, s.withFreeTimes(ctx, in.Body.SlotInput, nil, err)
	}
	return &reply[HoldView]{Body: HoldView{
		ID: ID[holdKind](h.ID), ClientID: idOrNil[clientKind](h.ClientID), ServiceID: ID[serviceKind](h.ServiceID), ProviderID: ID[providerKind](h.ProviderID),
		LocationID: ID[locationKind](h.LocationID), StartsAt: at(h.StartsAt), EndsAt: at(h.EndsAt), ExpiresAt: at(h.ExpiresAt),
	}}, nil
}

func (s *Server) releaseHold(ctx context.Context, in *byID[holdKind]) (*struct{}, error) {
	caller := callerOf(ctx)
	h, err := s.deps.Store.In(caller.Practice).HoldByID(ctx, caller.Practice, policy.ID(in.ID))
	if db.NoRows(err) {
		return nil, errNotFound("hold")
	}
	if err != nil {
		return nil, err
	}
	if err := s.reaches(ctx, h.ProviderID, "hold"); err != nil {
		return nil, err
	}
	return nil, s.deps.Desk.ReleaseHold(ctx, caller.Principal, h.ID)
}
