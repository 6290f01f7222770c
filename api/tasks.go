package api

import (
	"context"

	"github.com/kept-practice/kept/db"
	"github.com/kept-practice/kept/internal/policy"
)

// TaskView is something that waits for a person.
type TaskView struct {
	ID        ID[taskKind]    `json:"id"`
	Kind      string          `json:"kind" example:"unpaid"`
	Title     string          `json:"title"`
	Queue     string          `json:"queue" enum:"front_desk,billing,providers,owner"`
	Priority  int32           `json:"priority" minimum:"1" maximum:"3" doc:"1 is the most urgent."`
	Status    string          `json:"status" enum:"open,claimed,done,closed" doc:"closed: its cause went away by itself."`
	OwnerID   *ID[staffKind]  `json:"owner_id,omitempty"`
	ClientID  *ID[clientKind] `json:"client_id,omitempty"`
	SubjectID string          `json:"subject_id,omitempty" doc:"What it is about: jrn_…, inv_… or rcl_…"`
	Step      string          `json:"step,omitempty" doc:"The key of the step that it is about."`
	DueAt     Instant         `json:"due_at"`
	OpenedAt  Instant         `json:"opened_at"`
	ClosedAt  *Instant        `json:"closed_at,omitempty"`
	Outcome   string          `json:"outcome,omitempty" doc:"What came of it."`
	Version   int32           `json:"version"`
}

func taskView(t db.Task) TaskView {
	out := TaskView{
		ID: ID[taskKind](t.ID), Kind: t.Kind, Title: t.Title, Queue: t.Queue, Priority: t.Priority, Status: t.Status, OwnerID: idOrNil[staffKind](t.OwnerID),
		ClientID: idOrNil[clientKind](t.ClientID), Step: t.StepKey, DueAt: at(t.DueAt), OpenedAt: at(t.OpenedAt), ClosedAt: atOrNil(t.ClosedAt),
		Outcome: t.ClosedReason, Version: t.Version,
	}
	if t.SubjectKind != nil && t.SubjectID != nil {
		out.SubjectID = subjectID(policy.Subject{Kind: *t.SubjectKind, ID: *t.SubjectID})
	}
	return out
}

type listTasksInput struct {
	Page[taskKind]
	Status    string          `query:"status" enum:"open,claimed,done,closed"`
	Queue     string          `query:"queue" enum:"front_desk,billing,providers,owner"`
	OwnerID   ID[staffKind]   `query:"owner_id"`
	JourneyID ID[journeyKind] `query:"journey_id"`
}

func (s *Server) listTasks(ctx context.Context, in *listTasksInput) (*reply[List[TaskView]], error) {
	out := &reply[List[TaskView]]{Body: List[TaskView]{Data: []TaskView{}}}
	staff, ok := ownStaff(ctx)
	if !ok {
		return out, nil
	}
	practice := callerOf(ctx).Practice
	queries := s.deps.Store.In(practice)
	rows, more, err := turn(in.Page,
		func(id *policy.ID, limit int32) ([]db.Task, error) {
			return queries.TaskPageOlder(ctx, db.TaskPageOlderParams{
				PracticeID: practice, ID: id, Status: textOrNil(in.Status), Queue: textOrNil(in.Queue), OwnerID: in.OwnerID.OrNil(),
				SubjectID: in.JourneyID.OrNil(), OwnStaff: staff, PageSize: limit,
			})
		},
		func(id policy.ID, limit int32) ([]db.Task, error) {
			return queries.TaskPageNewer(ctx, db.TaskPageNewerParams{
				PracticeID: practice, ID: id, Status: textOrNil(in.Status), Queue: textOrNil(in.Queue), OwnerID: in.OwnerID.OrNil(),
				SubjectID: in.JourneyID.OrNil(), OwnStaff: staff, PageSize: limit,
			})
		})
	if err != nil {
		return nil, err
	}
	out.Body = List[TaskView]{Data: convert(rows, taskView), HasMore: more}
	return out, nil
}

// task reads a task that is within the caller's reach: a provider has what they hold and the providers' queue.
func (s *Server) task(ctx context.Context, id policy.ID) (db.Task, error) {
	practice := callerOf(ctx).Practice
	t, err := s.deps.Store.In(practice).TaskByID(ctx, practice, id)
	if db.NoRows(err) {
		return t, errNotFound("task")
	}
	if err != nil {
		return t, err
	}
	staff, ok := ownStaff(ctx)
	mine := staff == nil || t.Queue == "providers" || (t.OwnerID != nil && *t.OwnerID == *staff)
	if !ok || !mine {
		return t, errNotFound("task")
	}
	return t, nil
}

func (s *Server) getTask(ctx context.Context, in *byID[taskKind]) (*reply[TaskView], error) {
	t, err := s.task(ctx, policy.ID(in.ID))
	return &reply[TaskView]{Body: taskView(t)}, err
}

func (s *Server) claimTask(ctx context.Context, in *byID[taskKind]) (*reply[TaskView], error) {
	return s.onTask(ctx, in.ID, s.deps.Desk.ClaimTask)
}

func (s *Server) releaseTask(ctx context.Context, in *byID[taskKind]) (*reply[TaskView], error) {
	return s.onTask(ctx, in.ID, s.deps.Desk.ReleaseTask)
}

// OutcomeInput says what came of a task.
type OutcomeInput struct {
	Reason string `json:"reason" minLength:"1" maxLength:"500" example:"Called; the client pays on Friday."`
}

type finishTaskInput struct {
	ID   ID[taskKind] `path:"id"`
	Body OutcomeInput
}

func (s *Server) finishTask(ctx context.Context, in *finishTaskInput) (*reply[TaskView], error) {
	return s.onTask(ctx, in.ID, func(ctx context.Context, by policy.Principal, id policy.ID) (db.Task, error) {
		return s.deps.Desk.FinishTask(ctx, by, id, in.Body.Reason)
	})
}

func (s *Server) onTask(ctx context.Context, id ID[taskKind], command func(context.Context, policy.Principal, policy.ID) (db.Task, error)) (*reply[TaskView], error) {
	if _, err := s.task(ctx, policy.ID(id)); err != nil {
		return nil, err
	}
	t, err := command(ctx, callerOf(ctx).Principal, policy.ID(id))
	if err != nil {
		return nil, err
	}
	return &reply[TaskView]{Body: taskView(t)}, nil
}

// ChannelView is a way out to clients or their cards.
type ChannelView struct {
	Channel  string   `json:"channel" enum:"mail,sms,card"`
	Paused   bool     `json:"paused" doc:"Nothing goes out until staff resume it."`
	Reason   string   `json:"reason,omitempty"`
	PausedAt *Instant `json:"paused_at,omitempty"`
}

func (s *Server) listChannels(ctx context.Context, _ *inputless) (*reply[List[ChannelView]], error) {
	practice := callerOf(ctx).Practice
	rows, err := s.deps.Store.In(practice).ChannelPauses(ctx, practice)
	if err != nil {
		return nil, err
	}
	return &reply[List[ChannelView]]{Body: List[ChannelView]{Data: convert(rows, func(r db.ChannelPausesRow) ChannelView {
		out := ChannelView{Channel: r.Channel, Paused: r.At != nil, PausedAt: atOrNil(r.At)}
		if r.Reason != nil {
			out.Reason = *r.Reason
		}
		return out
	})}}, nil
}

type resumeChannelInput struct {
	Channel string `path:"channel" enum:"mail,sms,card"`
	Body    struct {
		Reason string `json:"reason" minLength:"1" maxLength:"500" example:"The gateway answers again."`
	}
}

// ResumedView says how many processes look again; the relay spreads them over the next seconds.
type ResumedView struct {
	Channel  string `json:"channel" enum:"mail,sms,card"`
	Subjects int    `json:"subjects" doc:"Journeys, collections and recalls that look again."`
}

func (s *Server) resumeChannel(ctx context.Context, in *resumeChannelInput) (*reply[ResumedView], error) {
	reason, err := sentenceOf("/reason", in.Body.Reason)
	if err != nil {
		return nil, err
	}
	if callerOf(ctx).Scope == policy.ScopeOwn { // a channel is the whole practice's
		return nil, errNotFound("channel")
	}
	n, err := s.deps.Desk.ResumeChannel(ctx, callerOf(ctx).Principal, in.Channel, reason)
	return &reply[ResumedView]{Body: ResumedView{Channel: in.Channel, Subjects: n}}, err
}
