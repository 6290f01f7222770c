package api

import (
	"context"
	"errors"
	"maps"
	"time"

	"github.com/kept-practice/kept/db"
	"github.com/kept-practice/kept/internal/policy"
)

// AppointmentView is one client's visit, past or to come.
type AppointmentView struct {
	ID           ID[appointmentKind] `json:"id"`
	JourneyID    ID[journeyKind]     `json:"journey_id" doc:"What is planned and done about this visit."`
	ClientID     ID[clientKind]      `json:"client_id"`
	ServiceID    ID[serviceKind]     `json:"service_id"`
	ProviderID   ID[providerKind]    `json:"provider_id"`
	LocationID   ID[locationKind]    `json:"location_id"`
	RoomID       *ID[resourceKind]   `json:"room_id,omitempty"`
	StartsAt     Instant             `json:"starts_at"`
	EndsAt       Instant             `json:"ends_at"`
	Zone         string              `json:"zone" example:"America/New_York"`
	Local        string              `json:"local" doc:"starts_at on the location's clock." example:"2026-03-09T14:00:00"`
	Status       policy.Status       `json:"status" enum:"requested,booked,confirmed,arrived,roomed,with_provider,completed,no_show,cancelled,late_cancelled,declined,expired"`
	Possible     []policy.StatusVerb `json:"possible" doc:"What the present status allows to do next."`
	Version      int32               `json:"version" doc:"Rises when the visit gets another time."`
	BookedAt     Instant             `json:"booked_at"`
	ChangedAt    Instant             `json:"changed_at" doc:"When the visit last got its time."`
	StatusAt     Instant             `json:"status_at"`
	CompletedAt  *Instant            `json:"completed_at,omitempty"`
	CancelReason string              `json:"cancel_reason,omitempty"`
	CancelledBy  string              `json:"cancelled_by,omitempty" enum:"staff,key,client,gateway,system"`
	Override     bool                `json:"override" doc:"Booked outside hours, off the grid or beyond the horizon, on purpose."`
	Source       string              `json:"source" example:"api"`
}

func appointmentView(a db.Appointment) (AppointmentView, error) {
	wall, err := local(a.StartsAt, a.Zone)
	if err != nil {
		return AppointmentView{}, err
	}
	status := policy.Status(a.Status)
	return AppointmentView{
		ID: ID[appointmentKind](a.ID), JourneyID: ID[journeyKind](a.ID), ClientID: ID[clientKind](a.ClientID), ServiceID: ID[serviceKind](a.ServiceID),
		ProviderID: ID[providerKind](a.ProviderID), LocationID: ID[locationKind](a.LocationID), RoomID: idOrNil[resourceKind](a.RoomID),
		StartsAt: at(a.StartsAt), EndsAt: at(a.EndsAt), Zone: a.Zone, Local: wall, Status: status, Possible: possibleVerbs(status),
		Version: a.Version, BookedAt: at(a.BookedAt), ChangedAt: at(a.ChangedAt), StatusAt: at(a.StatusAt), CompletedAt: atOrNil(a.CompletedAt),
		CancelReason: a.CancelReason, CancelledBy: a.CancelledBy, Override: a.Override, Source: a.Source,
	}, nil
}

// possibleVerbs are those of a status that this API offers, by the names of its paths' verbs.
func possibleVerbs(s policy.Status) []policy.StatusVerb {
	possible := []policy.StatusVerb{}
	for _, v := range policy.StatusVerbsFrom(s) {
		switch v {
		case policy.VerbConfirm, policy.VerbArrive, policy.VerbRoom, policy.VerbStart, policy.VerbComplete, policy.VerbNoShow, policy.VerbCancel:
			possible = append(possible, v)
		case policy.VerbMoveByStaff:
			possible = append(possible, "move")
		}
	}
	if policy.CanUndo(s) {
		possible = append(possible, "undo")
	}
	return possible
}

type listAppointmentsInput struct {
	Page[appointmentKind]
	FromAt     string           `query:"from_at" maxLength:"40" example:"2026-03-09T00:00:00-04:00" doc:"Only visits that start then or later."`
	UntilAt    string           `query:"until_at" maxLength:"40" example:"2026-03-10T00:00:00-04:00" doc:"Only visits that start earlier."`
	ClientID   ID[clientKind]   `query:"client_id"`
	ProviderID ID[providerKind] `query:"provider_id"`
	LocationID ID[locationKind] `query:"location_id"`
	ServiceID  ID[serviceKind]  `query:"service_id"`
	Status     string           `query:"status" enum:"requested,booked,confirmed,arrived,roomed,with_provider,completed,no_show,cancelled,late_cancelled,declined,expired"`
}

func (s *Server) listAppointments(ctx context.Context, in *listAppointmentsInput) (*reply[List[AppointmentView]], error) {
	out := &reply[List[AppointmentView]]{Body: List[AppointmentView]{Data: []AppointmentView{}}}
	staff, ok := ownStaff(ctx)
	if !ok {
		return out, nil
	}
	from, err := queryInstant("from_at", in.FromAt)
	if err != nil {
		return nil, err
	}
	until, err := queryInstant("until_at", in.UntilAt)
	if err != nil {
		return nil, err
	}
	practice := callerOf(ctx).Practice
	queries := s.deps.Store.In(practice)
	older := db.AppointmentPageOlderParams{
		PracticeID: practice, FromAt: from, UntilAt: until, ClientID: in.ClientID.OrNil(), ProviderID: in.ProviderID.OrNil(),
		LocationID: in.LocationID.OrNil(), ServiceID: in.ServiceID.OrNil(), Status: textOrNil(in.Status), OwnStaff: staff,
	}
	rows, more, err := turn(in.Page,
		func(id *policy.ID, limit int32) ([]db.Appointment, error) {
			older.ID, older.PageSize = id, limit
			return queries.AppointmentPageOlder(ctx, older)
		},
		func(id policy.ID, limit int32) ([]db.Appointment, error) {
			return queries.AppointmentPageNewer(ctx, db.AppointmentPageNewerParams{
				PracticeID: practice, ID: id, FromAt: older.FromAt, UntilAt: older.UntilAt, ClientID: older.ClientID, ProviderID: older.ProviderID,
				LocationID: older.LocationID, ServiceID: older.ServiceID, Status: older.Status, OwnStaff: staff, PageSize: limit,
			})
		})
	if err != nil {
		return nil, err
	}
	out.Body.HasMore = more
	for _, a := range rows {
		view, err := appointmentView(a)
		if err != nil {
			return nil, err
		}
		out.Body.Data = append(out.Body.Data, view)
	}
	return out, nil
}

func (s *Server) getAppointment(ctx context.Context, in *byID[appointmentKind]) (*reply[AppointmentView], error) {
	visit, err := s.visit(ctx, policy.ID(in.ID))
	if err != nil {
		return nil, err
	}
	view, err := appointmentView(visit)
	return &reply[AppointmentView]{Body: view}, err
}

// visit reads a visit that is within the caller's reach.
func (s *Server) visit(ctx context.Context, id policy.ID) (db.Appointment, error) {
	practice := callerOf(ctx).Practice
	visit, err := s.deps.Store.In(practice).AppointmentByID(ctx, practice, id)
	if db.NoRows(err) {
		return visit, errNotFound("appointment")
	}
	if err != nil {
		return visit, err
	}
	return visit, s.reaches(ctx, visit.ProviderID, "appointment")
}

// reachesVisit refuses a visit that is not the caller's; whether it exists is left to the command.
func (s *Server) reachesVisit(ctx context.Context, id policy.ID) error {
	if callerOf(ctx).Scope != policy.ScopeOwn {
		return nil
	}
	_, err := s.visit(ctx, id)
	return err
}

// reaches refuses what belongs to another provider when the caller has only their own, as if it did not exist.
func (s *Server) reaches(ctx context.Context, provider policy.ID, noun string) error {
	staff, ok := ownStaff(ctx)
	if !ok {
		return errNotFound(noun)
	}
	if staff == nil {
		return nil
	}
	practice := callerOf(ctx).Practice
	own, err := s.deps.Store.In(practice).ProviderOfStaff(ctx, db.ProviderOfStaffParams{PracticeID: practice, ProviderID: provider, StaffID: *staff})
	if err == nil && !own {
		err = errNotFound(noun)
	}
	return err
}

// reachesClient refuses a client none of whose visits is the caller's, when the caller has only their own.
func (s *Server) reachesClient(ctx context.Context, client policy.ID, noun string) error {
	staff, ok := ownStaff(ctx)
	if !ok {
		return errNotFound(noun)
	}
	if staff == nil {
		return nil
	}
	practice := callerOf(ctx).Practice
	own, err := s.deps.Store.In(practice).SeenByStaff(ctx, db.SeenByStaffParams{PracticeID: practice, ClientID: client, StaffID: *staff})
	if err == nil && !own {
		err = errNotFound(noun)
	}
	return err
}

// errNotFound is the one answer for what is unknown, foreign or out of the caller's reach.
func errNotFound(noun string) error { return notThere[noun] }

// withVisit adds the visit as it stands to a conflict, so that the caller sees what overtook them.
func (s *Server) withVisit(ctx context.Context, id policy.ID, err error) error {
	return s.withFacts(err, func() (string, any, error) {
		visit, err := s.visit(ctx, id)
		if err != nil {
			return "", nil, err
		}
		view, err := appointmentView(visit)
		return "appointment", view, err
	})
}

// withFacts adds a fact to a conflict; when it cannot be read the conflict stands alone.
func (s *Server) withFacts(err error, fact func() (name string, value any, err error)) error {
	var known *policy.Error
	if !errors.As(err, &known) || known.Kind != policy.Conflict {
		return err
	}
	name, value, factErr := fact()
	if factErr != nil {
		s.warn(factErr)
		return err
	}
	out := *known
	out.Facts = map[string]any{name: value}
	maps.Copy(out.Facts, known.Facts)
	return &out
}

// queryInstant reads an optional instant of a query. It has its offset, since a list has no zone of its own.
func queryInstant(name, text string) (*time.Time, error) {
	if text == "" {
		return nil, nil
	}
	t, err := time.Parse(time.RFC3339, text)
	if err == nil {
		t, err = policy.ParseInstant(text, time.UTC)
	} else {
		err = policy.NewError(policy.Invalid, "invalid_time", "Write an instant as RFC 3339 with its offset (2026-03-09T14:00:00Z).")
	}
	if err != nil {
		return nil, policy.AtField("query:"+name, err)
	}
	return &t, nil
}

func textOrNil(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
