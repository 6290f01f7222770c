package api

import (
	"context"

	"github.com/kept-practice/kept/db"
	"github.com/kept-practice/kept/internal/policy"
)

// RecallView is a client who is invited back.
type RecallView struct {
	ID                  ID[recallKind]       `json:"id"`
	ClientID            ID[clientKind]       `json:"client_id"`
	ServiceID           ID[serviceKind]      `json:"service_id"`
	DueOn               policy.LocalDate     `json:"due_on" format:"date" doc:"The day of the first invitation: the one set by hand, else the calculated one."`
	CalculatedOn        policy.LocalDate     `json:"calculated_on" format:"date"`
	OverrideOn          *policy.LocalDate    `json:"override_on,omitempty" format:"date"`
	Every               string               `json:"every" example:"P6M"`
	Status              string               `json:"status" enum:"waiting,started,booked,stopped,exhausted"`
	StatusReason        string               `json:"status_reason,omitempty"`
	Round               int32                `json:"round"`
	LastAppointmentID   *ID[appointmentKind] `json:"last_appointment_id,omitempty"`
	BookedAppointmentID *ID[appointmentKind] `json:"booked_appointment_id,omitempty"`
	StartedAt           *Instant             `json:"started_at,omitempty"`
	ClosedAt            *Instant             `json:"closed_at,omitempty"`
	TemporalURL         string               `json:"temporal_url,omitempty" format:"uri" doc:"The run in the Temporal UI, once it has started."`
}

func (s *Server) recallView(r db.Recall) RecallView {
	out := RecallView{
		ID: ID[recallKind](r.ID), ClientID: ID[clientKind](r.ClientID), ServiceID: ID[serviceKind](r.ServiceID), DueOn: r.DueOn, CalculatedOn: r.CalculatedOn,
		OverrideOn: r.OverrideOn, Every: r.Every, Status: r.Status, StatusReason: r.StatusReason, Round: r.Round,
		LastAppointmentID: idOrNil[appointmentKind](r.LastVisitID), BookedAppointmentID: idOrNil[appointmentKind](r.BookedAppointmentID),
		StartedAt: atOrNil(r.StartedAt), ClosedAt: atOrNil(r.ClosedAt),
	}
	if r.StartedAt != nil {
		out.TemporalURL = s.temporalURL(recallSubject(r))
	}
	return out
}

func recallSubject(r db.Recall) policy.Subject {
	return policy.Subject{Practice: r.PracticeID, Kind: policy.KindRecall, ID: r.ID}
}

type listRecallsInput struct {
	Page[recallKind]
	Status   string           `query:"status" enum:"waiting,started,booked,stopped,exhausted"`
	ClientID ID[clientKind]   `query:"client_id"`
	DueUntil policy.LocalDate `query:"due_until" format:"date" example:"2026-03-31" doc:"Only those due by this day."`
}

func (s *Server) listRecalls(ctx context.Context, in *listRecallsInput) (*reply[List[RecallView]], error) {
	out := &reply[List[RecallView]]{Body: List[RecallView]{Data: []RecallView{}}}
	staff, ok := ownStaff(ctx)
	if !ok {
		return out, nil
	}
	var until *policy.LocalDate
	if !in.DueUntil.IsZero() {
		until = &in.DueUntil
	}
	practice := callerOf(ctx).Practice
	queries := s.deps.Store.In(practice)
	rows, more, err := turn(in.Page,
		func(id *policy.ID, limit int32) ([]db.Recall, error) {
			return queries.RecallPageOlder(ctx, db.RecallPageOlderParams{
				PracticeID: practice, ID: id, Status: textOrNil(in.Status), ClientID: in.ClientID.OrNil(), DueUntil: until, OwnStaff: staff, PageSize: limit,
			})
		},
		func(id policy.ID, limit int32) ([]db.Recall, error) {
			return queries.RecallPageNewer(ctx, db.RecallPageNewerParams{
				PracticeID: practice, ID: id, Status: textOrNil(in.Status), ClientID: in.ClientID.OrNil(), DueUntil: until, OwnStaff: staff, PageSize: limit,
			})
		})
	if err != nil {
		return nil, err
	}
	out.Body = List[RecallView]{Data: convert(rows, s.recallView), HasMore: more}
	return out, nil
}

// recall reads a recall that is within the caller's reach.
func (s *Server) recall(ctx context.Context, id policy.ID) (db.Recall, error) {
	practice := callerOf(ctx).Practice
	r, err := s.deps.Store.In(practice).RecallByID(ctx, practice, id)
	if db.NoRows(err) {
		return r, errNotFound("recall")
	}
	if err != nil {
		return r, err
	}
	return r, s.reachesClient(ctx, r.ClientID, "recall")
}

func (s *Server) getRecall(ctx context.Context, in *byID[recallKind]) (*reply[RecallView], error) {
	r, err := s.recall(ctx, policy.ID(in.ID))
	return &reply[RecallView]{Body: s.recallView(r)}, err
}

type overrideRecallInput struct {
	ID   ID[recallKind] `path:"id"`
	Body struct {
		On     *policy.LocalDate `json:"on,omitempty" format:"date" example:"2026-09-09" doc:"The day of the first invitation; the calculated one counts again when missing."`
		Reason string            `json:"reason" minLength:"1" maxLength:"500" example:"The client is away until then."`
	}
}

func (s *Server) overrideRecall(ctx context.Context, in *overrideRecallInput) (*reply[RecallView], error) {
	return s.changeRecall(ctx, in.ID, in.Body.Reason, func(by policy.Principal, id policy.ID, reason string) (db.Recall, error) {
		return s.deps.Desk.OverrideRecall(ctx, by, id, in.Body.On, reason)
	})
}

type stopRecallInput struct {
	ID   ID[recallKind] `path:"id"`
	Body struct {
		Reason string `json:"reason" minLength:"1" maxLength:"500" example:"The client has moved away."`
	}
}

func (s *Server) stopRecall(ctx context.Context, in *stopRecallInput) (*reply[RecallView], error) {
	return s.changeRecall(ctx, in.ID, in.Body.Reason, func(by policy.Principal, id policy.ID, reason string) (db.Recall, error) {
		return s.deps.Desk.StopRecall(ctx, by, id, reason)
	})
}

func (s *Server) changeRecall(ctx context.Context, id ID[recallKind], reason string, change func(policy.Principal, policy.ID, string) (db.Recall, error)) (*reply[RecallView], error) {
	reason, err := sentenceOf("/reason", reason)
	if err != nil {
		return nil, err
	}
	before, err := s.recall(ctx, policy.ID(id))
	if err != nil {
		return nil, err
	}
	r, err := change(callerOf(ctx).Principal, before.ID, reason)
	if err != nil {
		return nil, s.withFacts(err, func() (string, any, error) {
			now, err := s.recall(ctx, before.ID)
			return "recall", s.recallView(now), err
		})
	}
	if before.Status == policy.RecallStarted {
		ring(ctx, recallSubject(r))
	}
	return &reply[RecallView]{Body: s.recallView(r)}, nil
}
