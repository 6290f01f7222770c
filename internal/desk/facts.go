package desk

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/kept-practice/kept/db"
	"github.com/kept-practice/kept/internal/policy"
)

// Looked is one look at a subject: the ground it stands on and what the planner says. The run, the journey page, the verbs
// and every claim use it.
type Looked struct {
	Missing bool // no such fact: PostgreSQL was restored older than Temporal, or the id is foreign
	Client  policy.ID
	Ground  policy.Ground
	Outlook policy.Outlook
}

// Look loads the facts of a subject and plans. Inside a transaction it must come after the locks.
func Look(ctx context.Context, q *db.Queries, s policy.Subject) (Looked, error) {
	var (
		look Looked
		err  error
	)
	switch s.Kind {
	case policy.KindJourney:
		var f policy.JourneyFacts
		f, look.Client, err = JourneyFacts(ctx, q, s)
		look.Ground = f.Ground
		if err == nil {
			look.Outlook = policy.PlanJourney(f)
		}
	case policy.KindCollection:
		var f policy.CollectionFacts
		f, look.Client, err = collectionFacts(ctx, q, s)
		look.Ground = f.Ground
		if err == nil {
			look.Outlook = policy.PlanCollection(f)
		}
	case policy.KindRecall:
		var f policy.RecallFacts
		f, look.Client, err = recallFacts(ctx, q, s)
		look.Ground = f.Ground
		if err == nil {
			look.Outlook = policy.PlanRecall(f)
		}
	default:
		return look, policy.NewError(policy.NotFound, "subject_not_found", "There is no subject of this kind.")
	}
	if db.NoRows(err) {
		return Looked{Missing: true}, nil
	}
	return look, err
}

// JourneyFacts loads what PlanJourney reads, and whose journey it is.
func JourneyFacts(ctx context.Context, q *db.Queries, s policy.Subject) (policy.JourneyFacts, policy.ID, error) {
	row, err := q.JourneyFacts(ctx, s.Practice, s.ID)
	if err != nil {
		return policy.JourneyFacts{}, policy.ID{}, err
	}
	ground, err := groundOf(ctx, q, s, groundInput{
		zone: row.Zone, client: row.ClientID, clientStatus: row.ClientStatus, clientZone: row.ClientZone, prefers: row.Prefers, rules: row.Rules,
		location: &row.LocationID, service: &row.ServiceID, provider: &row.ProviderID,
	})
	if err != nil {
		return policy.JourneyFacts{}, policy.ID{}, err
	}
	f := policy.JourneyFacts{
		Ground: ground, Status: policy.Status(row.Status), Version: int(row.Version), StartsAt: row.StartsAt.UTC(), EndsAt: row.EndsAt.UTC(),
		BookedAt: row.BookedAt.UTC(), ChangedAt: row.ChangedAt.UTC(), StatusAt: row.StatusAt.UTC(), EndedBy: policy.PrincipalKind(row.CancelledBy),
		ByClient:    (row.Source == SourceLink && row.Version == 1) || (row.AnsweredAt != nil && row.AnsweredAt.Equal(row.ChangedAt)),
		Completions: int(row.Completions), CompletedAt: row.CompletedAt, PacketDue: row.PacketDueAt, HasCard: row.HasCard, Recalls: row.RecallEvery != "",
	}
	if row.InvoiceID != nil {
		f.Invoice = &policy.InvoiceFacts{Completion: int(*row.InvoiceCompletion), Status: *row.InvoiceStatus, IssuedAt: row.InvoiceIssuedAt}
	}
	return f, row.ClientID, nil
}

// SourceLink marks what a client did behind a link.
const SourceLink = "link"

func collectionFacts(ctx context.Context, q *db.Queries, s policy.Subject) (policy.CollectionFacts, policy.ID, error) {
	row, err := q.CollectionFacts(ctx, s.Practice, s.ID)
	if err != nil {
		return policy.CollectionFacts{}, policy.ID{}, err
	}
	ground, err := groundOf(ctx, q, s, groundInput{
		zone: row.Zone, client: row.ClientID, clientStatus: row.ClientStatus, clientZone: row.ClientZone, prefers: row.Prefers, rules: row.Rules,
		location: &row.LocationID, service: &row.ServiceID, provider: &row.ProviderID,
	})
	return policy.CollectionFacts{
		Ground: ground, HasCard: row.HasCard, Processing: row.Processing,
		Invoice: policy.InvoiceFacts{Completion: int(row.Completion), Status: row.Status, IssuedAt: row.IssuedAt, Due: row.Total - row.Paid},
	}, row.ClientID, err
}

func recallFacts(ctx context.Context, q *db.Queries, s policy.Subject) (policy.RecallFacts, policy.ID, error) {
	row, err := q.RecallFacts(ctx, s.Practice, s.ID)
	if err != nil {
		return policy.RecallFacts{}, policy.ID{}, err
	}
	ground, err := groundOf(ctx, q, s, groundInput{
		zone: row.Zone, client: row.ClientID, clientStatus: row.ClientStatus, clientZone: row.ClientZone, prefers: row.Prefers, rules: row.Rules,
		service: &row.ServiceID,
	})
	return policy.RecallFacts{
		Ground: ground, Status: row.Status, Round: int(row.Round), DueOn: row.DueOn, Booked: row.Booked,
	}, row.ClientID, err
}

type groundInput struct {
	zone, clientStatus, prefers string
	clientZone                  *string
	client                      policy.ID
	rules                       []byte
	location, service, provider *policy.ID
}

// groundOf loads what every planner stands on: clock, settings, reach, effects, overrides, pauses.
func groundOf(ctx context.Context, q *db.Queries, s policy.Subject, in groundInput) (policy.Ground, error) {
	clk, err := readClock(ctx, q, s.Practice)
	if err != nil {
		return policy.Ground{}, err
	}
	g := policy.Ground{Now: clk.now, RealNow: clk.real, TestClock: clk.testClock}
	if g.Zone, err = policy.LoadZone(in.zone); err != nil {
		return g, fmt.Errorf("zone of the subject: %w", err)
	}
	if g.Settings, err = settingsAt(ctx, q, s.Practice, in.location, in.service, in.provider); err != nil {
		return g, err
	}
	if g.Client, err = contactOf(ctx, q, s.Practice, in); err != nil {
		return g, err
	}
	if len(in.rules) > 0 {
		if err := json.Unmarshal(in.rules, &g.Rules); err != nil {
			return g, fmt.Errorf("read the cadence's rules: %w", err)
		}
	}
	if g.Effects, err = effectsOf(ctx, q, s); err != nil {
		return g, err
	}
	overrides, err := q.OverridesOf(ctx, db.OverridesOfParams{PracticeID: s.Practice, SubjectKind: s.Kind, SubjectID: s.ID})
	if err != nil {
		return g, fmt.Errorf("read overrides: %w", err)
	}
	for _, o := range overrides {
		g.Overrides = append(g.Overrides, policy.Override{Verb: o.Verb, StepKey: o.StepKey, Value: o.Value, At: o.At.UTC(), RecordedAt: o.RecordedAt.UTC()})
	}
	paused, err := q.PausedChannels(ctx, s.Practice)
	if err != nil {
		return g, fmt.Errorf("read paused channels: %w", err)
	}
	g.Paused = map[string]bool{}
	for _, p := range paused {
		g.Paused[p.Channel] = true
	}
	return g, nil
}

func contactOf(ctx context.Context, q *db.Queries, practice policy.ID, in groundInput) (policy.Contact, error) {
	c := policy.Contact{
		Active: in.clientStatus == "active", Prefers: in.prefers,
		Service: map[string]policy.Reach{}, Recall: map[string]policy.Reach{},
	}
	if in.clientZone != nil {
		zone, err := policy.LoadZone(*in.clientZone)
		if err != nil {
			return c, fmt.Errorf("zone of the client: %w", err)
		}
		c.Zone = zone
	}
	rows, err := q.ReachOf(ctx, practice, in.client)
	if err != nil {
		return c, fmt.Errorf("read how the client is reached: %w", err)
	}
	for _, r := range rows {
		c.Service[r.Channel] = policy.Reach{Address: true, OptedOut: r.OptedOut || r.OptedOutService || r.RefusedService}
		c.Recall[r.Channel] = policy.Reach{Address: true, OptedOut: r.OptedOut || r.OptedOutRecall || r.RefusedRecall}
	}
	return c, nil
}

func effectsOf(ctx context.Context, q *db.Queries, s policy.Subject) (map[string]policy.Effect, error) {
	rows, err := q.EffectsOf(ctx, db.EffectsOfParams{PracticeID: s.Practice, SubjectKind: s.Kind, SubjectID: s.ID})
	if err != nil {
		return nil, fmt.Errorf("read effects: %w", err)
	}
	effects := make(map[string]policy.Effect, len(rows))
	for _, r := range rows {
		effects[r.Key] = policy.Effect{
			State: policy.EffectState(r.State), Final: r.Final, CallBy: r.CallBy, NextAt: r.NextAt, ClaimedFor: r.ClaimedFor.UTC(),
			SettledAt: r.SettledAt, RecordedAt: r.RecordedAt.UTC(), Reason: r.Reason,
		}
	}
	return effects, nil
}

// Journey is the whole chain of one visit as people read it: what happened, what it waits for, what comes and what will not.
type Journey struct {
	Appointment db.Appointment
	Subjects    []SubjectView
	Entries     []db.JournalBySubjectRow
}

// SubjectView is one subject of the chain with its plan of this moment.
type SubjectView struct {
	Subject policy.Subject
	Row     db.Subject
	Effects []db.EffectsOfRow
	Tasks   []db.TasksOfSubjectRow
	Looked
}

// Journey reads the chain: the visit's own subject, the collections of its invoices and the recall that its completion set.
// Temporal is not asked: the chain stays readable when its runs are gone.
func (d *Desk) Journey(ctx context.Context, practice, appointment policy.ID) (Journey, error) {
	var out Journey
	err := d.store.InPractice(ctx, practice, func(tx *db.Tx) error {
		var err error
		if out.Appointment, err = tx.AppointmentByID(ctx, practice, appointment); err != nil {
			return notFound(err, "journey")
		}
		out.Subjects, out.Entries = nil, nil
		chain, err := tx.ChainOf(ctx, practice, appointment)
		if err != nil {
			return err
		}
		for _, c := range chain {
			s := policy.Subject{Practice: practice, Kind: c.Kind, ID: c.ID}
			view, err := subjectView(ctx, tx, s)
			if err != nil {
				return err
			}
			entries, err := tx.JournalBySubject(ctx, db.JournalBySubjectParams{PracticeID: practice, SubjectKind: &s.Kind, SubjectID: &s.ID})
			if err != nil {
				return err
			}
			out.Subjects, out.Entries = append(out.Subjects, view), append(out.Entries, entries...)
		}
		return nil
	})
	return out, err
}

func subjectView(ctx context.Context, tx *db.Tx, s policy.Subject) (SubjectView, error) {
	view := SubjectView{Subject: s}
	var err error
	if view.Row, err = tx.SubjectByID(ctx, db.SubjectByIDParams{PracticeID: s.Practice, Kind: s.Kind, ID: s.ID}); err != nil {
		return view, err
	}
	if view.Looked, err = Look(ctx, tx.Queries, s); err != nil {
		return view, err
	}
	if view.Effects, err = tx.EffectsOf(ctx, db.EffectsOfParams{PracticeID: s.Practice, SubjectKind: s.Kind, SubjectID: s.ID}); err != nil {
		return view, err
	}
	view.Tasks, err = tx.TasksOfSubject(ctx, db.TasksOfSubjectParams{PracticeID: s.Practice, SubjectKind: &s.Kind, SubjectID: &s.ID})
	return view, err
}
