package api

import (
	"context"

	"github.com/kept-practice/kept/db"
	"github.com/kept-practice/kept/internal/desk"
	"github.com/kept-practice/kept/internal/policy"
)

// ShiftView is a provider's weekly hours at a location, in wall time there.
type ShiftView struct {
	ID          ID[shiftKind]     `json:"id"`
	ProviderID  ID[providerKind]  `json:"provider_id"`
	LocationID  ID[locationKind]  `json:"location_id"`
	Weekday     int32             `json:"weekday" example:"1" doc:"0 is Sunday."`
	StartMinute int32             `json:"start_minute" example:"540" doc:"From midnight: 540 is 09:00."`
	EndMinute   int32             `json:"end_minute" example:"1020" doc:"Past 1440 it runs over midnight."`
	FromOn      policy.LocalDate  `json:"from_on" format:"date"`
	UntilOn     *policy.LocalDate `json:"until_on,omitempty" format:"date" doc:"The first day without it."`
}

func shiftView(r db.Shift) ShiftView {
	return ShiftView{
		ID: ID[shiftKind](r.ID), ProviderID: ID[providerKind](r.ResourceID), LocationID: ID[locationKind](r.LocationID), Weekday: r.Weekday,
		StartMinute: r.StartMinute, EndMinute: r.EndMinute, FromOn: r.FromOn, UntilOn: r.UntilOn,
	}
}

func (s *Server) listShifts(ctx context.Context, in *struct {
	Page[shiftKind]
	ProviderID ID[providerKind] `query:"provider_id" doc:"Only theirs."`
},
) (*reply[List[ShiftView]], error) {
	practice := callerOf(ctx).Practice
	if !in.ProviderID.IsZero() {
		if _, err := s.resource(ctx, policy.ID(in.ProviderID), true); err != nil {
			return nil, err
		}
	}
	rows, err := s.deps.Store.In(practice).ShiftList(ctx, practice, in.ProviderID.OrNil())
	if err != nil {
		return nil, err
	}
	return list(in.Page, rows, func(r db.Shift) policy.ID { return r.ID }, shiftView)
}

// NewShift is weekly hours, in wall time of the location.
type NewShift struct {
	ProviderID  ID[providerKind]  `json:"provider_id"`
	LocationID  ID[locationKind]  `json:"location_id"`
	Weekday     int32             `json:"weekday" example:"1" doc:"0 is Sunday."`
	StartMinute int32             `json:"start_minute" example:"540" doc:"From midnight: 540 is 09:00."`
	EndMinute   int32             `json:"end_minute" example:"1020" doc:"Past 1440 it runs over midnight."`
	FromOn      *policy.LocalDate `json:"from_on,omitempty" format:"date" example:"2027-01-04" doc:"Today or later; today when left out."`
	UntilOn     *policy.LocalDate `json:"until_on,omitempty" format:"date" example:"2027-07-01" doc:"The first day without it; open when left out."`
}

func (s *Server) createShift(ctx context.Context, in *create[NewShift]) (*reply[ShiftView], error) {
	b := in.Body
	row, err := s.deps.Desk.AddShift(ctx, callerOf(ctx).Principal, desk.ShiftInput{
		Provider: policy.ID(b.ProviderID), Location: policy.ID(b.LocationID), Weekday: int(b.Weekday), StartMinute: int(b.StartMinute), EndMinute: int(b.EndMinute),
		FromOn: b.FromOn, UntilOn: b.UntilOn,
	})
	return &reply[ShiftView]{Body: shiftView(row)}, err
}

// ChangedShiftView is what counts after a change of hours.
type ChangedShiftView struct {
	Shift    *ShiftView     `json:"shift,omitempty" doc:"The hours from that day on; missing when they ended."`
	Affected []AffectedView `json:"affected" doc:"Visits left outside hours, which happens with force alone. They stay."`
}

// ShiftChange says what is different from a day on.
type ShiftChange struct {
	FromOn      *policy.LocalDate `json:"from_on,omitempty" format:"date" example:"2027-01-04" doc:"Today or later; today when left out."`
	StartMinute *int32            `json:"start_minute,omitempty" example:"600"`
	EndMinute   *int32            `json:"end_minute,omitempty" example:"960"`
	Force       bool              `json:"force,omitempty" doc:"Although visits ahead then lie outside hours."`
}

func (s *Server) changeShift(ctx context.Context, in *changeOf[shiftKind, ShiftChange]) (*reply[ChangedShiftView], error) {
	return s.rewriteShift(ctx, desk.ShiftChange{
		Shift: policy.ID(in.ID), From: in.Body.FromOn, StartMinute: intOrNil(in.Body.StartMinute), EndMinute: intOrNil(in.Body.EndMinute), Force: in.Body.Force,
	})
}

// ShiftEnd says from which day there are no such hours.
type ShiftEnd struct {
	FromOn *policy.LocalDate `json:"from_on,omitempty" format:"date" example:"2027-01-04" doc:"Today or later; today when left out."`
	Force  bool              `json:"force,omitempty" doc:"Although visits ahead then lie outside hours."`
}

func (s *Server) endShift(ctx context.Context, in *changeOf[shiftKind, ShiftEnd]) (*reply[ChangedShiftView], error) {
	return s.rewriteShift(ctx, desk.ShiftChange{Shift: policy.ID(in.ID), From: in.Body.FromOn, Force: in.Body.Force, End: true})
}

func (s *Server) rewriteShift(ctx context.Context, change desk.ShiftChange) (*reply[ChangedShiftView], error) {
	changed, err := s.deps.Desk.ChangeShift(ctx, callerOf(ctx).Principal, change)
	if err != nil {
		return nil, err
	}
	out := ChangedShiftView{Affected: affectedViews(changed.Affected)}
	if changed.Shift != nil {
		out.Shift = new(shiftView(*changed.Shift))
	}
	return &reply[ChangedShiftView]{Body: out}, nil
}
