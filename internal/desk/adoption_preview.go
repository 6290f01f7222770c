package desk

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/kept-practice/kept/db"
	"github.com/kept-practice/kept/internal/policy"
)

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
	page := db.CadenceJourneysParams{PracticeID: practice, VersionID: v.ID, PageSize: previewPage}
	for {
		ids, err := d.store.In(practice).CadenceJourneys(ctx, page)
		if err != nil {
			return out, db.Classify(err)
		}
		changes, err := d.previewPage(ctx, practice, ids, rules)
		if err != nil {
			return out, err
		}
		for i, id := range ids {
			out.add(id, changes[i])
		}
		if len(ids) < previewPage {
			return out, nil
		}
		page.After = &ids[len(ids)-1]
	}
}

const (
	previewPage   = 200 // journeys listed at once
	previewAtOnce = 4   // planned side by side, each in a transaction of its own
)

func (d *Desk) previewPage(ctx context.Context, practice policy.ID, ids []policy.ID, rules []policy.Rule) ([]ruleChange, error) {
	changes := make([]ruleChange, len(ids))
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(previewAtOnce)
	for i, id := range ids {
		g.Go(func() error {
			return d.store.InPractice(ctx, practice, func(tx *db.Tx) error {
				facts, _, err := JourneyFacts(ctx, tx.Queries, journeyOf(practice, id))
				if err != nil {
					return fmt.Errorf("read the journey: %w", err)
				}
				changes[i] = compareRules(facts, rules)
				return nil
			})
		})
	}
	return changes, g.Wait()
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
