package desk

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/kept-practice/kept/db"
	"github.com/kept-practice/kept/internal/policy"
)

// What a published version means for journeys that are under way.
const (
	AdoptNone     = "new_only"       // they keep the version they were planned by
	AdoptFuture   = "adopt_future"   // all of them follow it from now on
	AdoptSelected = "adopt_selected" // the named ones do
)

// PublishInput makes a draft count for everything booked from now on, and for journeys under way as Adopt says.
type PublishInput struct {
	Version  policy.ID
	Adopt    string
	Journeys []policy.ID // appointments, with adopt_selected
}

// Published is what came of it. Adopted counts the journeys that this call moved.
type Published struct {
	Version db.CadenceVersion
	Adopted int
}

// PublishCadence is safe to repeat: a version that is published already goes on with the journeys that were not moved yet, so a
// run that was interrupted is finished by the same call.
func (d *Desk) PublishCadence(ctx context.Context, by policy.Principal, in PublishInput) (Published, error) {
	if err := in.check(); err != nil {
		return Published{}, err
	}
	var out Published
	err := d.command(ctx, by, func(tx *db.Tx) error {
		v, c, err := cadenceVersion(ctx, tx, in.Version)
		if err != nil {
			return err
		}
		if in.Adopt != AdoptNone && c.Kind != policy.KindJourney {
			return policy.InvalidField("/adopt", "not_adoptable", "Only reminders can be adopted by journeys under way; publish this one with new_only.")
		}
		clk, err := readClock(ctx, tx.Queries, tx.Practice)
		if err != nil {
			return err
		}
		n, err := tx.CadenceVersionPublish(ctx, db.CadenceVersionPublishParams{PracticeID: tx.Practice, ID: in.Version, Now: &clk.now})
		if err != nil {
			return err
		}
		if n > 0 {
			if err := tx.Record(ctx, db.Entry{
				Verb: "cadence_published", By: by, Object: "cadence_version", ID: in.Version,
				After: map[string]any{"cadence": c.ID, "n": v.N, "adopt": in.Adopt, "journeys": in.Journeys},
			}); err != nil {
				return err
			}
		}
		out.Version, err = tx.CadenceVersionByID(ctx, tx.Practice, in.Version)
		return err
	})
	if err != nil || in.Adopt == AdoptNone {
		return out, err
	}
	out.Adopted, err = d.adopt(ctx, by, in, out.Version)
	return out, err
}

func (in PublishInput) check() error {
	if err := choice("/adopt", in.Adopt, AdoptNone, AdoptFuture, AdoptSelected); err != nil {
		return err
	}
	if (in.Adopt == AdoptSelected) != (len(in.Journeys) > 0) {
		return policy.InvalidField("/journeys", "selection", "Name journeys with adopt_selected, and only then.")
	}
	return nil
}

// adoptionBatch is how many journeys are listed at once; each of them moves in a transaction of its own.
const adoptionBatch = 200

func (d *Desk) adopt(ctx context.Context, by policy.Principal, in PublishInput, version db.CadenceVersion) (int, error) {
	rules, err := readRules(version.Rules)
	if err != nil {
		return 0, err
	}
	moved := 0
	one := func(id policy.ID) error {
		ok, err := d.adoptOne(ctx, by, journeyOf(by.Practice, id), version, rules)
		if ok {
			moved++
		}
		return err
	}
	if in.Adopt == AdoptSelected {
		for i, id := range in.Journeys {
			if err := one(id); err != nil {
				return moved, policy.AtField(fmt.Sprintf("/journeys/%d", i), err)
			}
		}
		return moved, nil
	}
	return moved, d.eachJourney(ctx, by.Practice, version, one)
}

// eachJourney walks the open journeys that a version would move, in batches.
func (d *Desk) eachJourney(ctx context.Context, practice policy.ID, version db.CadenceVersion, fn func(policy.ID) error) error {
	var after *policy.ID
	for {
		ids, err := d.store.In(practice).CadenceJourneys(ctx, db.CadenceJourneysParams{
			PracticeID: practice, CadenceID: version.CadenceID, VersionID: version.ID, After: after, PageSize: adoptionBatch,
		})
		if err != nil {
			return db.Classify(err)
		}
		for _, id := range ids {
			if err := fn(id); err != nil {
				return err
			}
		}
		if len(ids) < adoptionBatch {
			return nil
		}
		after = &ids[len(ids)-1]
	}
}

// adoptOne moves one journey's pinned version, under its lock. What the new rules would have sent before now, and the old ones did
// not ask for, is skipped as a fact: adoption changes the future only.
func (d *Desk) adoptOne(ctx context.Context, by policy.Principal, s policy.Subject, version db.CadenceVersion, rules []policy.Rule) (bool, error) {
	moved := false
	err := d.command(ctx, by, func(tx *db.Tx) error {
		moved = false
		if err := tx.Lock(ctx, db.LockSet{Subjects: []policy.Subject{s}, Appointments: []policy.ID{s.ID}}); err != nil {
			return err
		}
		before, err := tx.AppointmentByID(ctx, tx.Practice, s.ID)
		if err != nil {
			return notFound(err, "journey")
		}
		facts, _, err := JourneyFacts(ctx, tx.Queries, s)
		if err != nil {
			return fmt.Errorf("read the journey: %w", err)
		}
		n, err := tx.AppointmentAdoptCadence(ctx, db.AppointmentAdoptCadenceParams{PracticeID: tx.Practice, ID: s.ID, VersionID: version.ID})
		if err != nil || n == 0 {
			return err
		}
		moved = true
		change := compareRules(facts, rules)
		for _, key := range change.late {
			if err := tx.OverrideInsert(ctx, db.OverrideInsertParams{
				PracticeID: tx.Practice, ID: db.NewID(), SubjectKind: s.Kind, SubjectID: s.ID, Verb: policy.VerbSkip, StepKey: key,
				ActorKind: string(by.Kind), ActorID: by.Actor(), Reason: "its time had passed when the cadence was adopted", At: facts.Now,
			}); err != nil {
				return fmt.Errorf("skip %s: %w", key, err)
			}
		}
		return tx.Record(ctx, db.Entry{
			Verb: policy.CadenceAdopted, By: by, Subject: s, Object: "appointment", ID: s.ID,
			Rings:  policy.Rings(policy.CadenceAdopted, policy.SubjectsOf{Practice: tx.Practice, Journeys: []policy.ID{s.ID}}),
			Before: map[string]any{"cadence_version": before.CadenceVersionID}, After: map[string]any{"cadence_version": version.ID, "skipped": change.late},
		})
	})
	return moved, err
}

// Preview is what adopting a version would do to the open journeys. Repeat counts sends that would go out again; it is zero,
// because a rule keeps its id and its id stands in the key of what was sent.
type Preview struct {
	Journeys int // that the version would move
	Change   int // of which something changes
	Move     int // sends that go at another time
	Vanish   int // sends that do not go any more
	Appear   int // sends that come in addition
	Late     int // sends whose time has passed; they are skipped
	Repeat   int
	Moves    []PreviewMove // the first of them, for the reader
}

// PreviewMove is one send before and after; a nil instant means not at all.
type PreviewMove struct {
	Appointment policy.ID
	Step        string
	Before      *time.Time
	After       *time.Time
}

// maxPreviewMoves bounds the list; the counts are of all.
const maxPreviewMoves = 100

// PreviewCadence runs the planner twice over every open journey, with the rules in force and with those of the version, and
// writes nothing.
func (d *Desk) PreviewCadence(ctx context.Context, practice, version policy.ID) (Preview, error) {
	var v db.CadenceVersion
	err := d.store.InPractice(ctx, practice, func(tx *db.Tx) error {
		var c db.Cadence
		var err error
		if v, c, err = cadenceVersion(ctx, tx, version); err != nil {
			return err
		}
		if c.Kind != policy.KindJourney {
			return policy.NewError(policy.Conflict, "not_adoptable", "Only reminders can be adopted by journeys under way, so there is nothing to preview.")
		}
		return nil
	})
	if err != nil {
		return Preview{}, err
	}
	rules, err := readRules(v.Rules)
	if err != nil {
		return Preview{}, err
	}
	out := Preview{Moves: []PreviewMove{}}
	err = d.eachJourney(ctx, practice, v, func(id policy.ID) error {
		return d.store.InPractice(ctx, practice, func(tx *db.Tx) error {
			facts, _, err := JourneyFacts(ctx, tx.Queries, journeyOf(practice, id))
			if err != nil {
				return fmt.Errorf("read the journey: %w", err)
			}
			out.add(id, compareRules(facts, rules))
			return nil
		})
	})
	return out, err
}

func (p *Preview) add(appointment policy.ID, c ruleChange) {
	p.Journeys++
	if len(c.moves) > 0 || len(c.late) > 0 {
		p.Change++
	}
	p.Late += len(c.late)
	p.Repeat += c.repeat
	for _, m := range c.moves {
		switch {
		case m.Before == nil:
			p.Appear++
		case m.After == nil:
			p.Vanish++
		default:
			p.Move++
		}
		if m.Appointment = appointment; len(p.Moves) < maxPreviewMoves {
			p.Moves = append(p.Moves, m)
		}
	}
}

// ruleChange is the difference that other rules make to one journey.
type ruleChange struct {
	moves  []PreviewMove
	late   []string // keys that only the new rules have and whose time has passed
	repeat int
}

// compareRules plans the journey twice. Steps that are the same under both rules are no change.
func compareRules(f policy.JourneyFacts, rules []policy.Rule) ruleChange {
	before := policy.PlanJourney(f)
	f.Rules = rules
	after := policy.PlanJourney(f)
	was, will := stepTimes(before), stepTimes(after)
	var c ruleChange
	for _, s := range append(append([]policy.Step{}, before.Due...), before.Future...) {
		if _, stays := will[s.Key]; !stays {
			c.moves = append(c.moves, PreviewMove{Step: s.Key, Before: &s.At})
		}
	}
	for _, s := range after.Due {
		if _, had := was[s.Key]; !had {
			c.late = append(c.late, s.Key)
		}
	}
	for _, s := range append(append([]policy.Step{}, after.Due...), after.Future...) {
		if e, begun := f.Effects[s.Key]; begun && e.State == policy.EffectAccepted {
			c.repeat++
		}
		switch at, had := was[s.Key]; {
		case had && !at.Equal(s.At):
			c.moves = append(c.moves, PreviewMove{Step: s.Key, Before: &at, After: &s.At})
		case !had && s.At.After(f.Now):
			c.moves = append(c.moves, PreviewMove{Step: s.Key, After: &s.At})
		}
	}
	return c
}

func stepTimes(o policy.Outlook) map[string]time.Time {
	times := map[string]time.Time{}
	for _, s := range append(append([]policy.Step{}, o.Due...), o.Future...) {
		times[s.Key] = s.At
	}
	return times
}

func readRules(raw json.RawMessage) ([]policy.Rule, error) {
	var rules []policy.Rule
	if err := json.Unmarshal(raw, &rules); err != nil {
		return nil, fmt.Errorf("read the cadence's rules: %w", err)
	}
	return rules, nil
}
