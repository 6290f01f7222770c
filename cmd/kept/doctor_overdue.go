package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/kept-practice/kept/db"
	"github.com/kept-practice/kept/internal/policy"
	"github.com/kept-practice/kept/internal/wake"
)

// overdueShown is how many subjects one line names; the rest are counted.
const overdueShown = 3

// overdueWords say what each kind of finding means and what to do about it.
var overdueWords = map[string]struct{ what, help string }{
	wake.FindingAdoption: {"adoptions of a cadence that stand still", "is `kept worker` running? its log says why journeys cannot be moved"},
	wake.FindingIdle:     {"open without a wake-up or a task", "look at it (GET /v1/journeys, or the Temporal UI by this id) and fire, skip or close a step"},
	wake.FindingLate:     {"more than 5 minutes late", "is `kept worker` running, does Temporal answer? `kept rewake` rings them at once"},
	wake.FindingOutbox:   {"changes not acted on for 30 seconds", "is `kept worker` running, does Temporal answer? the relay then rings by itself"},
	wake.FindingStuck:    {"stuck, since their plan fails", "the practice has a task for each; the worker's log names the error, by this id"},
}

// checkOverdue is the overdue monitor's look, a line per practice and kind of finding.
func checkOverdue(ctx context.Context, c config) []finding {
	broken := func(err error) []finding {
		return []finding{{what: "overdue", err: errors.New("cannot be read: " + reason(err)), help: "is the login of DATABASE_URL a member of kept_app and kept_system?"}}
	}
	store, err := db.Open(ctx, db.Options{URL: c.DatabaseURL.Reveal(), MaxConns: 2})
	if err != nil {
		return broken(err)
	}
	defer store.Close()
	overdue, err := wake.NewMonitor(store, nil).Look(ctx)
	if err != nil {
		return broken(err)
	}
	findings := overdueLines(overdue, time.Now())
	if overdue.Inbox > 0 {
		findings = append(findings, finding{
			what: "inbox", err: fmt.Errorf("%d events of gateways are not applied", overdue.Inbox),
			help: "is `kept worker` running? its log says why an event cannot be applied",
		})
	}
	if len(findings) == 0 {
		return []finding{{what: "overdue", detail: "nothing: whatever is open waits for something, and nothing is late"}}
	}
	return findings
}

func overdueLines(o wake.Overdue, now time.Time) []finding {
	type group struct {
		practice policy.ID
		kind     string
	}
	groups := map[group][]wake.Finding{}
	for _, f := range o.Findings {
		g := group{f.Practice, f.Kind}
		groups[g] = append(groups[g], f)
	}
	order := make([]group, 0, len(groups))
	for g := range groups {
		order = append(order, g)
	}
	slices.SortFunc(order, func(a, b group) int {
		return cmp.Or(slices.Compare(a.practice[:], b.practice[:]), cmp.Compare(a.kind, b.kind))
	})
	lines := make([]finding, len(order))
	for i, g := range order {
		words := overdueWords[g.kind]
		lines[i] = finding{
			what: "overdue", help: words.help,
			err: fmt.Errorf("practice %s: %s", g.practice, overdueLine(groups[g], words.what, now)),
		}
	}
	return lines
}

// overdueLine is one group in words: who, what, and since when.
func overdueLine(found []wake.Finding, what string, now time.Time) string {
	oldest, facts := time.Duration(0), 0
	var names []string
	for _, f := range found {
		if !f.Since.IsZero() {
			oldest = max(oldest, now.Sub(f.Since))
		}
		if facts += f.Facts; f.Subject.Kind != "" && len(names) < overdueShown {
			names = append(names, f.Subject.WorkflowID())
		}
	}
	line := strings.Join(names, ", ")
	switch {
	case facts > 0:
		line = fmt.Sprintf("%s: %d", what, facts)
	case len(found) > len(names):
		line += fmt.Sprintf(" and %d more are %s", len(found)-len(names), what)
	case len(found) > 1:
		line += " are " + what
	default:
		line += " is " + what
	}
	if oldest > 0 {
		line += fmt.Sprintf(" (since %s)", oldest.Round(time.Second))
	}
	return line
}
