package api

import (
	"context"

	"github.com/kept-practice/kept/internal/desk"
	"github.com/kept-practice/kept/internal/policy"
)

// VerbInput goes along with a change of status. All of it may be left out.
type VerbInput struct {
	Version *int32 `json:"version,omitempty" minimum:"1" doc:"Refuses with 409 stale_version when the visit was moved after it was read."`
}

type verbInput struct {
	ID   ID[appointmentKind] `path:"id"`
	Body *VerbInput
}

// visitVerb is the handler of one status verb.
func (s *Server) visitVerb(verb policy.StatusVerb) func(context.Context, *verbInput) (*reply[AppointmentView], error) {
	return func(ctx context.Context, in *verbInput) (*reply[AppointmentView], error) {
		change := desk.StatusInput{Appointment: policy.ID(in.ID), Verb: verb}
		if in.Body != nil {
			change.Version = in.Body.Version
		}
		return s.setStatus(ctx, change)
	}
}

// CancelInput ends a visit that will not take place.
type CancelInput struct {
	Reason  string `json:"reason" minLength:"1" maxLength:"500" example:"The client called."`
	Late    bool   `json:"late,omitempty" doc:"Inside the window that owes a fee."`
	Version *int32 `json:"version,omitempty" minimum:"1"`
}

type cancelInput struct {
	ID   ID[appointmentKind] `path:"id"`
	Body CancelInput
}

func (s *Server) cancelAppointment(ctx context.Context, in *cancelInput) (*reply[AppointmentView], error) {
	reason, err := sentenceOf("/reason", in.Body.Reason)
	if err != nil {
		return nil, err
	}
	change := desk.StatusInput{Appointment: policy.ID(in.ID), Verb: policy.VerbCancel, Reason: reason, Version: in.Body.Version}
	if in.Body.Late {
		change.Verb = policy.VerbCancelLate
	}
	return s.setStatus(ctx, change)
}

// sentenceOf cleans a reason that must say something.
func sentenceOf(pointer, text string) (string, error) {
	out, err := policy.CleanName(text, 500)
	return out, policy.AtField(pointer, err)
}

func (s *Server) setStatus(ctx context.Context, change desk.StatusInput) (*reply[AppointmentView], error) {
	if err := s.reachesVisit(ctx, change.Appointment); err != nil {
		return nil, err
	}
	visit, err := s.deps.Desk.SetStatus(ctx, callerOf(ctx).Principal, change)
	return s.changed(ctx, change.Appointment, visit, err)
}

// changed answers a command on a visit.
func (s *Server) changed(ctx context.Context, id policy.ID, visit desk.Visit, err error) (*reply[AppointmentView], error) {
	if err != nil {
		return nil, s.withVisit(ctx, id, err)
	}
	ring(ctx, visit.Rung...)
	view, err := appointmentView(visit.Appointment)
	return &reply[AppointmentView]{Body: view}, err
}

// UndoInput says why a change is taken back.
type UndoInput struct {
	Reason string `json:"reason,omitempty" maxLength:"500"`
}

type undoInput struct {
	ID   ID[appointmentKind] `path:"id"`
	Body *UndoInput
}

func (s *Server) undoAppointment(ctx context.Context, in *undoInput) (*reply[AppointmentView], error) {
	id, reason := policy.ID(in.ID), ""
	if in.Body != nil && in.Body.Reason != "" {
		var err error
		if reason, err = sentenceOf("/reason", in.Body.Reason); err != nil {
			return nil, err
		}
	}
	if err := s.reachesVisit(ctx, id); err != nil {
		return nil, err
	}
	visit, err := s.deps.Desk.Undo(ctx, callerOf(ctx).Principal, id, reason)
	return s.changed(ctx, id, visit, err)
}

// MoveInput gives a visit another time.
type MoveInput struct {
	StartsAt   string           `json:"starts_at" maxLength:"40" example:"2026-03-09T14:00" doc:"RFC 3339 with its offset, or YYYY-MM-DDTHH:MM on the location's clock."`
	ProviderID ID[providerKind] `json:"provider_id,omitempty" doc:"The same one when missing."`
	Version    *int32           `json:"version,omitempty" minimum:"1" doc:"Refuses with 409 stale_version when the visit was moved after it was read."`
	Override   bool             `json:"override,omitempty" doc:"Outside hours, off the grid or beyond the horizon; for those with appointments:override."`
}

type moveInput struct {
	ID   ID[appointmentKind] `path:"id"`
	Body MoveInput
}

func (s *Server) moveAppointment(ctx context.Context, in *moveInput) (*reply[AppointmentView], error) {
	caller, id := callerOf(ctx), policy.ID(in.ID)
	if err := mayOverride(caller, in.Body.Override); err != nil {
		return nil, err
	}
	if err := s.reachesVisit(ctx, id); err != nil {
		return nil, err
	}
	if !in.Body.ProviderID.IsZero() {
		if err := s.reaches(ctx, policy.ID(in.Body.ProviderID), "provider"); err != nil {
			return nil, err
		}
	}
	visit, err := s.deps.Desk.Move(ctx, caller.Principal, desk.MoveInput{
		Appointment: id, StartsAt: in.Body.StartsAt, Provider: in.Body.ProviderID.OrNil(), Version: in.Body.Version, Override: in.Body.Override,
	})
	if err != nil {
		if current, readErr := s.visit(ctx, id); readErr == nil {
			wanted := SlotInput{
				ServiceID: ID[serviceKind](current.ServiceID), ProviderID: in.Body.ProviderID, LocationID: ID[locationKind](current.LocationID), StartsAt: in.Body.StartsAt,
			}
			if wanted.ProviderID.IsZero() {
				wanted.ProviderID = ID[providerKind](current.ProviderID)
			}
			err = s.withFreeTimes(ctx, wanted, &id, err)
		}
	}
	return s.changed(ctx, id, visit, err)
}
