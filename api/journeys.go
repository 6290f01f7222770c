package api

import (
	"context"

	"github.com/kept-practice/kept/db"
	"github.com/kept-practice/kept/internal/desk"
	"github.com/kept-practice/kept/internal/policy"
)

// JourneyListed is a journey as its last plan left it.
type JourneyListed struct {
	ID          ID[journeyKind]     `json:"id"`
	Appointment ID[appointmentKind] `json:"appointment_id"`
	ClientID    ID[clientKind]      `json:"client_id"`
	ServiceID   ID[serviceKind]     `json:"service_id"`
	ProviderID  ID[providerKind]    `json:"provider_id"`
	LocationID  ID[locationKind]    `json:"location_id"`
	StartsAt    Instant             `json:"starts_at"`
	Zone        string              `json:"zone" example:"America/New_York"`
	Local       string              `json:"local" doc:"starts_at on the location's clock." example:"2026-03-09T14:00:00"`
	VisitStatus policy.Status       `json:"visit_status"`
	Status      string              `json:"status" enum:"open,done,stuck"`
	Stage       string              `json:"stage"`
	Waiting     string              `json:"waiting,omitempty" doc:"What it waits for, in one clause."`
	WakeAt      *Instant            `json:"wake_at,omitempty" doc:"When it looks again by itself, on the practice's clock."`
	RetryAt     *Instant            `json:"retry_at,omitempty" doc:"When it asks a gateway again, in real time."`
	DueKeys     []string            `json:"due_keys" doc:"Steps that are under way."`
	PlannedAt   *Instant            `json:"planned_at,omitempty" doc:"Missing until the first plan."`
	TemporalURL string              `json:"temporal_url,omitempty" format:"uri" doc:"The run in the Temporal UI."`
}

type listJourneysInput struct {
	Page[journeyKind]
	Status   string         `query:"status" enum:"open,done,stuck" doc:"Those that are not done when missing."`
	ClientID ID[clientKind] `query:"client_id"`
}

func (s *Server) listJourneys(ctx context.Context, in *listJourneysInput) (*reply[List[JourneyListed]], error) {
	out := &reply[List[JourneyListed]]{Body: List[JourneyListed]{Data: []JourneyListed{}}}
	staff, ok := ownStaff(ctx)
	if !ok {
		return out, nil
	}
	practice := callerOf(ctx).Practice
	queries := s.deps.Store.In(practice)
	rows, more, err := turn(in.Page,
		func(id *policy.ID, limit int32) ([]db.JourneyPageOlderRow, error) {
			return queries.JourneyPageOlder(ctx, db.JourneyPageOlderParams{
				PracticeID: practice, ID: id, Status: textOrNil(in.Status), ClientID: in.ClientID.OrNil(), OwnStaff: staff, PageSize: limit,
			})
		},
		func(id policy.ID, limit int32) ([]db.JourneyPageOlderRow, error) {
			rows, err := queries.JourneyPageNewer(ctx, db.JourneyPageNewerParams{
				PracticeID: practice, ID: id, Status: textOrNil(in.Status), ClientID: in.ClientID.OrNil(), OwnStaff: staff, PageSize: limit,
			})
			return convert(rows, func(r db.JourneyPageNewerRow) db.JourneyPageOlderRow { return db.JourneyPageOlderRow(r) }), err
		})
	if err != nil {
		return nil, err
	}
	out.Body.HasMore = more
	for _, r := range rows {
		wall, err := local(r.StartsAt, r.Zone)
		if err != nil {
			return nil, err
		}
		out.Body.Data = append(out.Body.Data, JourneyListed{
			ID: ID[journeyKind](r.ID), Appointment: ID[appointmentKind](r.ID), ClientID: ID[clientKind](r.ClientID), ServiceID: ID[serviceKind](r.ServiceID),
			ProviderID: ID[providerKind](r.ProviderID), LocationID: ID[locationKind](r.LocationID), StartsAt: at(r.StartsAt), Zone: r.Zone, Local: wall,
			VisitStatus: policy.Status(r.VisitStatus), Status: r.Status, Stage: r.Stage, Waiting: r.Waiting, WakeAt: atOrNil(r.WakeAt),
			RetryAt: atOrNil(r.RetryAt), DueKeys: r.DueKeys, PlannedAt: atOrNil(r.PlannedAt),
			TemporalURL: s.temporalURL(policy.Subject{Practice: practice, Kind: policy.KindJourney, ID: r.ID}),
		})
	}
	return out, nil
}

func (s *Server) getJourney(ctx context.Context, in *byID[journeyKind]) (*reply[JourneyView], error) {
	return s.journeyReply(ctx, policy.ID(in.ID))
}

func (s *Server) journeyReply(ctx context.Context, id policy.ID) (*reply[JourneyView], error) {
	journey, err := s.deps.Desk.Journey(ctx, callerOf(ctx).Practice, id)
	if err != nil {
		return nil, err
	}
	if err := s.reaches(ctx, journey.Appointment.ProviderID, "journey"); err != nil {
		return nil, err
	}
	view, err := s.journeyView(journey)
	return &reply[JourneyView]{Body: view}, err
}

// VerbOnStep is what staff can do to a journey's steps.
type VerbOnStep struct {
	Verb    string `json:"verb" enum:"pause,resume,skip,retry,fire_now,reroute,send_again" example:"skip"`
	Step    string `json:"step,omitempty" maxLength:"200" doc:"The step's key as the journey shows it. pause and resume without one are for the whole subject." example:"reminder/two_days/mail/v1"`
	Value   string `json:"value,omitempty" maxLength:"20" doc:"reroute: mail or sms. resume: send, skip or ask, for what fell due meanwhile."`
	Reason  string `json:"reason" minLength:"1" maxLength:"500" example:"The client asked for it."`
	Subject string `json:"subject,omitempty" enum:"journey,collection,recall" doc:"Which of the journey's subjects; its own when missing."`
}

type stepVerbInput struct {
	ID   ID[journeyKind] `path:"id"`
	Body VerbOnStep
}

func (s *Server) actOnJourney(ctx context.Context, in *stepVerbInput) (*reply[JourneyView], error) {
	caller, id := callerOf(ctx), policy.ID(in.ID)
	reason, err := sentenceOf("/reason", in.Body.Reason)
	if err != nil {
		return nil, err
	}
	journey, err := s.deps.Desk.Journey(ctx, caller.Practice, id)
	if err != nil {
		return nil, err
	}
	if err := s.reaches(ctx, journey.Appointment.ProviderID, "journey"); err != nil {
		return nil, err
	}
	subject, err := subjectFor(journey, in.Body.Subject, in.Body.Step)
	if err != nil {
		return nil, err
	}
	out, err := s.deps.Desk.Override(ctx, caller.Principal, desk.OverrideInput{
		Subject: subject, Verb: in.Body.Verb, Step: in.Body.Step, Value: in.Body.Value, Reason: reason,
	})
	if err != nil {
		return nil, s.withFacts(err, func() (string, any, error) {
			now, err := s.journeyReply(ctx, id)
			if err != nil {
				return "", nil, err
			}
			return "subjects", now.Body.Subjects, nil
		})
	}
	ring(ctx, out.Rung...)
	return s.journeyReply(ctx, id)
}

// subjectFor is the subject of the kind that has the step; of several the newest, when none has it.
func subjectFor(j desk.Journey, kind, step string) (policy.Subject, error) {
	if kind == "" {
		kind = policy.KindJourney
	}
	var found *policy.Subject
	for _, view := range j.Subjects {
		if view.Subject.Kind != kind {
			continue
		}
		found = &view.Subject
		if step != "" && hasStep(view.Outlook, step) {
			break
		}
	}
	if found == nil {
		return policy.Subject{}, policy.NewError(policy.NotFound, "subject_not_found", "This journey has no "+kind+" yet.")
	}
	return *found, nil
}

func hasStep(o policy.Outlook, key string) bool {
	for _, steps := range [][]policy.Step{o.Due, o.Future} {
		for _, s := range steps {
			if s.Key == key {
				return true
			}
		}
	}
	for _, d := range o.Not {
		if d.Key == key {
			return true
		}
	}
	return false
}
