package api

import (
	"encoding/json"
	"net/url"
	"slices"
	"time"

	"github.com/kept-practice/kept/db"
	"github.com/kept-practice/kept/internal/desk"
	"github.com/kept-practice/kept/internal/policy"
)

// JourneyView is the whole chain of one visit: what happened, what it waits for, what comes, and why the rest will not. It is
// planned afresh for every reader, by the planner that the runs use.
type JourneyView struct {
	ID          ID[journeyKind]  `json:"id"`
	Appointment AppointmentView  `json:"appointment"`
	NowAt       Instant          `json:"now_at" doc:"The practice's clock, by which this was planned."`
	Subjects    []JourneySubject `json:"subjects" doc:"The journey itself, then the collections of its invoices and the recall that it led to."`
	Journal     []JournalView    `json:"journal" doc:"What happened, oldest first."`
}

// JourneySubject is one durable process of the chain.
type JourneySubject struct {
	Kind        string        `json:"kind" enum:"journey,collection,recall"`
	ID          string        `json:"id" doc:"jrn_…, inv_… or rcl_…" example:"jrn_01k3gq8w5ne7r9vjzt4xhb2mdc"`
	WorkflowID  string        `json:"workflow_id"`
	TemporalURL string        `json:"temporal_url,omitempty" format:"uri" doc:"The run in the Temporal UI."`
	Status      string        `json:"status" enum:"open,done,stuck" doc:"As the last plan left it."`
	PlannedAt   *Instant      `json:"planned_at,omitempty" doc:"When its run last planned; missing until the first time."`
	Stage       string        `json:"stage"`
	Waiting     string        `json:"waiting,omitempty" doc:"What it waits for, in one clause."`
	WakeAt      *Instant      `json:"wake_at,omitempty" doc:"When it looks again by itself, on the practice's clock."`
	RetryAt     *Instant      `json:"retry_at,omitempty" doc:"When it asks a gateway again, in real time."`
	Held        bool          `json:"held" doc:"Something waits for staff to resume it."`
	Done        bool          `json:"done" doc:"Nothing is due and nothing will be."`
	Past        []EffectView  `json:"past" doc:"Steps that were begun, with what came of each."`
	Due         []StepView    `json:"due" doc:"Steps that are due now."`
	Future      []StepView    `json:"future" doc:"Steps to come, each with its exact time."`
	Not         []DroppedView `json:"not" doc:"Steps that will not happen, each with its reason."`
	Tasks       []TaskBrief   `json:"tasks" doc:"What waits for a person."`
	Later       []TaskWished  `json:"tasks_later" doc:"Tasks that will open unless their cause goes away first."`
}

// StepView is a step with its time.
type StepView struct {
	Key     string  `json:"key" example:"reminder/two_days/mail/v1"`
	Kind    string  `json:"kind" example:"SendMail"`
	At      Instant `json:"at"`
	Local   string  `json:"local" doc:"at on the location's clock." example:"2026-03-09T14:00:00"`
	Rule    string  `json:"rule,omitempty" doc:"The rule that asks for it."`
	Channel string  `json:"channel,omitempty"`
	Why     string  `json:"why,omitempty"`
	Summary string  `json:"summary,omitempty" example:"Reminder · 2 d before · e-mail"`
}

// DroppedView is a step that will not happen.
type DroppedView struct {
	StepView
	Reason policy.DropReason `json:"reason" doc:"For programs." example:"opted_out"`
	Detail string            `json:"detail" doc:"For people, in one clause."`
	Final  bool              `json:"final" doc:"It stays so once its time has come; otherwise it may still turn."`
}

// EffectView is a step that was begun.
type EffectView struct {
	Key       string           `json:"key" example:"reminder/two_days/mail/v1"`
	Kind      string           `json:"kind" example:"SendMail"`
	State     string           `json:"state" enum:"claimed,accepted,refused,failed,unknown"`
	Final     bool             `json:"final"`
	Attempt   int32            `json:"attempt"`
	Rule      string           `json:"rule,omitempty"`
	Channel   string           `json:"channel,omitempty"`
	Reason    string           `json:"reason,omitempty" doc:"Why it was refused or failed."`
	Exempt    string           `json:"exempt,omitempty" doc:"Why quiet hours did not bind it."`
	At        Instant          `json:"at" doc:"The practice's clock when it was begun."`
	Local     string           `json:"local" doc:"at on the location's clock." example:"2026-03-09T14:00:00"`
	NextAt    *Instant         `json:"next_at,omitempty" doc:"When it is tried again, in real time."`
	SettledAt *Instant         `json:"settled_at,omitempty"`
	MessageID *ID[messageKind] `json:"message_id,omitempty"`
	PaymentID *ID[paymentKind] `json:"payment_id,omitempty"`
}

// TaskBrief is an open task of a journey.
type TaskBrief struct {
	ID      ID[taskKind]   `json:"id"`
	Status  string         `json:"status" enum:"open,claimed"`
	Kind    string         `json:"kind"`
	Title   string         `json:"title"`
	Queue   string         `json:"queue" enum:"front_desk,billing,providers,owner"`
	Step    string         `json:"step,omitempty" doc:"The key of the step that it is about."`
	DueAt   Instant        `json:"due_at"`
	OwnerID *ID[staffKind] `json:"owner_id,omitempty"`
}

// TaskWished is a task that may open.
type TaskWished struct {
	Kind  string  `json:"kind"`
	Title string  `json:"title"`
	Queue string  `json:"queue" enum:"front_desk,billing,providers,owner"`
	DueAt Instant `json:"due_at"`
}

func (s *Server) journeyView(j desk.Journey) (JourneyView, error) {
	visit, err := appointmentView(j.Appointment)
	if err != nil {
		return JourneyView{}, err
	}
	zone, err := policy.LoadZone(j.Appointment.Zone)
	if err != nil {
		return JourneyView{}, err
	}
	out := JourneyView{ID: ID[journeyKind](j.Appointment.ID), Appointment: visit, Subjects: []JourneySubject{}}
	for _, v := range j.Subjects {
		if v.Missing {
			continue
		}
		out.NowAt = at(v.Ground.Now)
		out.Subjects = append(out.Subjects, s.journeySubject(v, zone))
	}
	slices.SortStableFunc(j.Entries, func(a, b db.JournalBySubjectRow) int { return int(a.Seq - b.Seq) })
	out.Journal = convert(j.Entries, func(e db.JournalBySubjectRow) JournalView { return journalView(db.JournalOlderRow(e)) })
	return out, nil
}

func (s *Server) journeySubject(v desk.SubjectView, zone *time.Location) JourneySubject {
	o := v.Outlook
	step := func(p policy.Step) StepView {
		return StepView{Key: p.Key, Kind: p.Kind, At: at(p.At), Local: wallOf(p.At, zone), Rule: p.Rule, Channel: p.Channel, Why: p.Why, Summary: p.Summary}
	}
	out := JourneySubject{
		Kind: v.Subject.Kind, ID: subjectID(v.Subject), WorkflowID: v.Subject.WorkflowID(), TemporalURL: s.temporalURL(v.Subject),
		Status: v.Row.Status, PlannedAt: atOrNil(v.Row.PlannedAt), Stage: o.Stage, Waiting: o.Waiting, WakeAt: atOrNil(o.WakeAt), RetryAt: atOrNil(o.RetryAt),
		Held: o.Held, Done: o.Done, Due: convert(o.Due, step), Future: convert(o.Future, step), Not: []DroppedView{},
		Past: convert(v.Effects, func(e db.EffectsOfRow) EffectView { return effectView(e, zone) }),
		Tasks: convert(v.Tasks, func(t db.TasksOfSubjectRow) TaskBrief {
			return TaskBrief{
				ID: ID[taskKind](t.ID), Status: t.Status, Kind: t.Kind, Title: t.Title, Queue: t.Queue, Step: t.StepKey, DueAt: at(t.DueAt),
				OwnerID: idOrNil[staffKind](t.OwnerID),
			}
		}),
		Later: convert(o.Later, func(t policy.TaskWish) TaskWished {
			return TaskWished{Kind: t.Kind, Title: t.Title, Queue: t.Queue, DueAt: at(t.DueAt)}
		}),
	}
	for _, d := range o.Not {
		if d.Reason != policy.DropSent { // past says what came of it
			out.Not = append(out.Not, DroppedView{StepView: step(d.Step), Reason: d.Reason, Detail: d.Detail, Final: d.Reason.Final()})
		}
	}
	return out
}

func effectView(e db.EffectsOfRow, zone *time.Location) EffectView {
	out := EffectView{
		Key: e.Key, Kind: e.Kind, State: e.State, Final: e.Final, Attempt: e.Attempt, Rule: e.Rule, Channel: e.Channel, Reason: e.Reason, Exempt: e.Exempt,
		At: at(e.ClaimedFor), Local: wallOf(e.ClaimedFor, zone), NextAt: atOrNil(e.NextAt), SettledAt: atOrNil(e.SettledAt),
	}
	switch e.Kind {
	case policy.StepSendMail, policy.StepSendSMS:
		out.MessageID = idOrNil[messageKind](e.ObjectID)
	case policy.StepChargeCard:
		out.PaymentID = idOrNil[paymentKind](e.ObjectID)
	}
	return out
}

func wallOf(t time.Time, zone *time.Location) string { return t.In(zone).Format("2006-01-02T15:04:05") }

// subjectID is the id of what the subject is about, in its own form.
func subjectID(s policy.Subject) string {
	switch s.Kind {
	case policy.KindCollection:
		return ID[invoiceKind](s.ID).String()
	case policy.KindRecall:
		return ID[recallKind](s.ID).String()
	default:
		return ID[journeyKind](s.ID).String()
	}
}

// temporalNamespace holds the runs of every practice.
const temporalNamespace = "kept"

// temporalURL leads to a subject's run in the Temporal UI; "" where none is configured.
func (s *Server) temporalURL(subject policy.Subject) string {
	if s.deps.TemporalUI == "" {
		return ""
	}
	return s.deps.TemporalUI + "/namespaces/" + temporalNamespace + "/workflows/" + url.PathEscape(subject.WorkflowID())
}

// JournalView is one entry of the journal.
type JournalView struct {
	ID         ID[journalKind] `json:"id"`
	At         Instant         `json:"at" doc:"On the practice's clock."`
	RecordedAt Instant         `json:"recorded_at" doc:"In real time."`
	Verb       string          `json:"verb" example:"appointment_booked"`
	ActorKind  string          `json:"actor_kind" enum:"system,staff,key,client,gateway"`
	ActorID    string          `json:"actor_id,omitempty" doc:"stf_…, key_… or cli_…"`
	Subject    string          `json:"subject_id,omitempty" doc:"Whose timeline it belongs to: jrn_…, inv_… or rcl_…"`
	ObjectKind string          `json:"object_kind" example:"appointment"`
	ObjectID   string          `json:"object_id,omitempty" doc:"The thing that was changed or read; a plain UUID where its kind has no id of its own here."`
	Reason     string          `json:"reason,omitempty"`
	Before     json.RawMessage `json:"before,omitempty" doc:"Ids, kinds, instants and amounts."`
	After      json.RawMessage `json:"after,omitempty"`
	RequestID  string          `json:"request_id,omitempty"`
}

func journalView(e db.JournalOlderRow) JournalView {
	out := JournalView{
		ID: ID[journalKind](e.ID), At: at(e.At), RecordedAt: at(e.RecordedAt), Verb: e.Verb, ActorKind: e.ActorKind, ActorID: actorID(e.ActorKind, e.ActorID),
		ObjectKind: e.ObjectKind, Reason: e.Reason, Before: e.Before, After: e.After, RequestID: e.RequestID,
	}
	if e.SubjectKind != nil && e.SubjectID != nil {
		out.Subject = subjectID(policy.Subject{Kind: *e.SubjectKind, ID: *e.SubjectID})
	}
	if e.ObjectID != nil {
		out.ObjectID = objectID(e.ObjectKind, *e.ObjectID)
	}
	return out
}

func actorID(kind string, id *policy.ID) string {
	switch {
	case id == nil:
		return ""
	case kind == string(policy.ByStaff):
		return ID[staffKind](*id).String()
	case kind == string(policy.ByKey):
		return ID[keyKind](*id).String()
	case kind == string(policy.ByClient):
		return ID[clientKind](*id).String()
	default:
		return id.String()
	}
}

// objectKinds are the journal's words for things that have an id at this API.
var objectKinds = map[string]Kind{
	"appointment": appointmentKind{}, "api_key": keyKind{}, "cadence": cadenceKind{}, "cadence_version": cadenceVersionKind{}, "client": clientKind{},
	"closure": closureKind{}, "collection": invoiceKind{}, "contact_point": contactPointKind{}, "form": formKind{}, "hold": holdKind{}, "invoice": invoiceKind{},
	"journey": journeyKind{}, "link": linkKind{}, "location": locationKind{}, "message": messageKind{}, "override": overrideKind{}, "packet": packetKind{},
	"payment": paymentKind{}, "payment_method": paymentMethodKind{}, "practice": practiceKind{}, "recall": recallKind{}, "resource": resourceKind{},
	"service": serviceKind{}, "shift": shiftKind{}, "staff": staffKind{}, "task": taskKind{}, "message_template": templateKind{},
}

func objectID(kind string, id policy.ID) string {
	k, ok := objectKinds[kind]
	if !ok {
		return id.String()
	}
	prefix, _ := k.names()
	return prefix + "_" + encodeID(id)
}
