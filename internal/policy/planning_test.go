package policy

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// The visit of most tests: Thursday 2026-06-18 15:00 in New York, booked on Monday 2026-06-01 at 10:00.
const (
	visitBooked = "2026-06-01T14:00:00Z"
	visitStarts = "2026-06-18T19:00:00Z"
)

func ny() *time.Location {
	zone, err := LoadZone("America/New_York")
	if err != nil {
		panic(err)
	}
	return zone
}

func at(s string) time.Time {
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		panic(err)
	}
	return t.UTC()
}

func rule(id, when string, channels ...string) Rule {
	return Rule{ID: id, Act: ActMessage, When: MustLead(when), Channels: channels}
}

func reachable() Contact {
	both := func() map[string]Reach {
		return map[string]Reach{ChannelMail: {Address: true}, ChannelSMS: {Address: true}}
	}
	return Contact{Active: true, Prefers: ChannelMail, Service: both(), Recall: both()}
}

func groundAt(now time.Time, rules ...Rule) Ground {
	return Ground{
		Now: now, RealNow: now, Zone: ny(), Client: reachable(), Settings: DefaultSettings(), Effects: map[string]Effect{}, Paused: map[string]bool{},
		Rules: rules,
	}
}

func bookedVisit(now time.Time) JourneyFacts {
	starts := at(visitStarts)
	return JourneyFacts{
		Ground: groundAt(now, rule("week", "-7d"), rule("two_days", "-2d"), rule("two_hours", "-2h")),
		Status: StatusBooked, Version: 1, StartsAt: starts, EndsAt: starts.Add(30 * time.Minute),
		BookedAt: at(visitBooked), ChangedAt: at(visitBooked), StatusAt: at(visitBooked),
	}
}

func issuedInvoice(now time.Time, rules ...Rule) CollectionFacts {
	issued := at("2026-06-18T22:00:00Z")
	return CollectionFacts{
		Ground:  groundAt(now, rules...),
		Invoice: InvoiceFacts{Completion: 1, Status: InvoiceIssued, IssuedAt: &issued, Due: 12_000},
	}
}

func dueRecall(now time.Time) RecallFacts {
	return RecallFacts{
		Ground: groundAt(now, rule("first", "0d@10:00"), rule("second", "+14d@10:00")),
		Status: RecallStarted, Round: 1, DueOn: MustLocalDate("2026-12-18"),
	}
}

func accepted(g *Ground, key string) { settleAs(g, key, EffectAccepted) }

func settleAs(g *Ground, key string, state EffectState) {
	now := g.Now
	g.Effects[key] = Effect{State: state, Final: true, ClaimedFor: now, SettledAt: &now, RecordedAt: stamp(g)}
}

func claimedEffect(g *Ground, key string) {
	by := g.RealNow.Add(10 * time.Second)
	g.Effects[key] = Effect{State: EffectClaimed, CallBy: &by, ClaimedFor: g.Now, RecordedAt: stamp(g)}
}

func failedEffect(g *Ground, key string, wait time.Duration) {
	next := g.RealNow.Add(wait)
	g.Effects[key] = Effect{State: EffectFailed, NextAt: &next, ClaimedFor: g.Now, RecordedAt: stamp(g), Reason: "gateway_away"}
}

func say(g *Ground, verb, key, value string) {
	g.Overrides = append(g.Overrides, Override{Verb: verb, StepKey: key, Value: value, At: g.Now, RecordedAt: stamp(g)})
}

// stamp is real time at the next thing that is written: it never stands still.
func stamp(g *Ground) time.Time {
	last := g.RealNow
	for _, e := range g.Effects {
		last = latest(last, e.RecordedAt)
	}
	for _, o := range g.Overrides {
		last = latest(last, o.RecordedAt)
	}
	return last.Add(time.Microsecond)
}

func setNow(g *Ground, now time.Time) { g.Now, g.RealNow = now, now }

func keys(steps []Step) []string {
	out := []string{}
	for _, s := range steps {
		out = append(out, s.Key)
	}
	return out
}

func taskKinds(wishes []TaskWish) []string {
	out := []string{}
	for _, w := range wishes {
		out = append(out, w.Kind)
	}
	return out
}

func droppedFor(t require.TestingT, o Outlook, key string) DropReason {
	for _, d := range o.Not {
		if d.Key == key {
			return d.Reason
		}
	}
	require.Failf(t, "not dropped", "%s in\n%s", key, written(o, ny()))
	return ""
}

func stepOf(t require.TestingT, steps []Step, key string) Step {
	for _, s := range steps {
		if s.Key == key {
			return s
		}
	}
	require.Failf(t, "no such step", "%s in %v", key, keys(steps))
	return Step{}
}

// written is an outlook as the golden files hold it.
func written(o Outlook, zone *time.Location) string {
	var b strings.Builder
	show := func(t time.Time) string { return t.In(zone).Format("2006-01-02 Mon 15:04:05 -07") }
	fmt.Fprintf(&b, "  stage %s", o.Stage)
	if o.Waiting != "" {
		fmt.Fprintf(&b, ", waiting: %s", o.Waiting)
	}
	if o.WakeAt != nil {
		fmt.Fprintf(&b, ", wakes %s", show(*o.WakeAt))
	}
	if o.Done {
		b.WriteString(", done")
	}
	b.WriteString("\n")
	for _, s := range o.Due {
		fmt.Fprintf(&b, "  due    %s %s (%s; %s)\n", show(s.At), s.Key, s.Summary, s.Why)
	}
	for _, s := range o.Future {
		fmt.Fprintf(&b, "  later  %s %s (%s; %s)\n", show(s.At), s.Key, s.Summary, s.Why)
	}
	for _, d := range o.Not {
		fmt.Fprintf(&b, "  not    %s %s: %s\n", show(d.At), d.Key, strings.TrimSuffix(string(d.Reason)+", "+d.Detail, ", "))
	}
	for _, w := range o.Tasks {
		fmt.Fprintf(&b, "  task   %s for %s: %s\n", w.Cause, w.Queue, w.Title)
	}
	for _, w := range o.Later {
		fmt.Fprintf(&b, "  task later %s %s\n", show(w.DueAt), w.Cause)
	}
	return b.String()
}

// golden compares a timeline with its file; GOLDEN=write writes it.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if os.Getenv("GOLDEN") == "write" {
		require.NoError(t, os.MkdirAll("testdata", 0o755))
		require.NoError(t, os.WriteFile(path, []byte(got), 0o644))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, string(want), got)
}

func latest(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
