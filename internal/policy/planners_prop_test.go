package policy

import (
	"encoding/json"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// canary stands where a gateway's own words come in; no run may carry it.
const canary = "jane.roe@example.com"

func anyRules(t *rapid.T, leads ...string) []Rule {
	var rules []Rule
	for i, when := range rapid.SliceOfNDistinct(rapid.SampledFrom(leads), 0, len(leads), rapid.ID[string]).Draw(t, "rules") {
		channels := rapid.SampledFrom([][]string{nil, {ChannelMail}, {ChannelSMS}, {ChannelMail, ChannelSMS}}).Draw(t, "channels")
		rules = append(rules, rule(string(rune('a'+i)), when, channels...))
	}
	return rules
}

func anyReach(t *rapid.T) map[string]Reach {
	out := map[string]Reach{}
	for _, c := range []string{ChannelMail, ChannelSMS} {
		out[c] = Reach{Address: rapid.Bool().Draw(t, "address"), OptedOut: rapid.Bool().Draw(t, "opted out")}
	}
	return out
}

func anyGround(t *rapid.T, rules []Rule) Ground {
	zone := zone(t, rapid.SampledFrom([]string{"America/New_York", "Europe/London", "Asia/Kathmandu", "Pacific/Kiritimati", "UTC"}).Draw(t, "zone"))
	now := at("2026-02-20T00:00:00Z").Add(time.Duration(rapid.Int64Range(0, 60*24*60).Draw(t, "minute")) * time.Minute)
	g := groundAt(now, rules...)
	g.Zone, g.RealNow = zone, now.Add(time.Duration(rapid.IntRange(-100, 100).Draw(t, "clock days"))*24*time.Hour)
	g.Client = Contact{
		Active: rapid.IntRange(0, 9).Draw(t, "active") > 0, Prefers: rapid.SampledFrom([]string{ChannelMail, ChannelSMS}).Draw(t, "prefers"),
		Service: anyReach(t), Recall: anyReach(t),
	}
	g.Settings.GraceMinutes = rapid.IntRange(0, 120).Draw(t, "grace")
	g.Settings.StalePolicy = rapid.SampledFrom([]string{"send", "skip", "ask"}).Draw(t, "stale")
	g.Settings.AutoComplete = rapid.Bool().Draw(t, "auto complete")
	g.Settings.AutoNoShowMinutes = rapid.SampledFrom([]int{0, 15, 60}).Draw(t, "no show")
	g.Paused[ChannelSMS] = rapid.IntRange(0, 4).Draw(t, "sms paused") == 0
	return g
}

// anyPast gives a subject a history: effects and verbs on the keys that its plans know.
func anyPast(t *rapid.T, g *Ground, known []string) {
	if len(known) == 0 {
		return
	}
	ago := func() time.Time {
		return g.Now.Add(-time.Duration(rapid.IntRange(0, 5000).Draw(t, "ago")) * time.Minute)
	}
	for _, key := range rapid.SliceOfDistinct(rapid.SampledFrom(known), rapid.ID[string]).Draw(t, "begun") {
		state := rapid.SampledFrom([]EffectState{EffectClaimed, EffectAccepted, EffectRefused, EffectFailed, EffectUnknown}).Draw(t, "state")
		soon := g.RealNow.Add(time.Duration(rapid.IntRange(-30, 30).Draw(t, "machine")) * time.Second)
		e := Effect{State: state, ClaimedFor: ago(), Reason: canary, Final: true}
		switch {
		case state == EffectClaimed:
			e.CallBy, e.Final = &soon, false
		case state == EffectFailed && rapid.Bool().Draw(t, "again by itself"):
			e.NextAt, e.Final = &soon, false
		}
		e.RecordedAt = e.ClaimedFor
		g.Effects[key] = e
	}
	verbs := []string{VerbPause, VerbResume, VerbSkip, VerbRetry, VerbFireNow, VerbReroute, VerbSendAgain, AskedFreshLink}
	for range rapid.IntRange(0, 4).Draw(t, "verbs") {
		o := Override{Verb: rapid.SampledFrom(verbs).Draw(t, "verb"), StepKey: rapid.SampledFrom(known).Draw(t, "on"), At: ago()}
		o.RecordedAt = o.At
		switch o.Verb {
		case VerbReroute:
			o.Value = rapid.SampledFrom([]string{ChannelMail, ChannelSMS}).Draw(t, "to")
		case VerbResume:
			o.Value = rapid.SampledFrom([]string{"", "send", "skip", "ask"}).Draw(t, "stale policy")
		}
		if (o.Verb == VerbPause || o.Verb == VerbResume) && rapid.Bool().Draw(t, "whole subject") {
			o.StepKey = ""
		}
		g.Overrides = append(g.Overrides, o)
	}
	slices.SortStableFunc(g.Overrides, func(a, b Override) int { return a.At.Compare(b.At) })
}

func knownKeys(o Outlook) []string {
	all := append(keys(o.Due), keys(o.Future)...)
	for _, d := range o.Not {
		all = append(all, d.Key)
	}
	return all
}

func anyVisit(t *rapid.T) JourneyFacts {
	f := JourneyFacts{Ground: anyGround(t, anyRules(t, "-7d", "-2d", "-1d@18:00", "-2h", "-90m"))}
	f.Status = rapid.SampledFrom(AllStatuses()).Draw(t, "status")
	f.Version = rapid.IntRange(1, 3).Draw(t, "version")
	f.StartsAt = f.Now.Add(time.Duration(rapid.IntRange(-3000, 20_000).Draw(t, "starts")) * time.Minute)
	f.EndsAt = f.StartsAt.Add(45 * time.Minute)
	f.ChangedAt = f.Now.Add(-time.Duration(rapid.IntRange(0, 3000).Draw(t, "changed")) * time.Minute)
	f.BookedAt, f.StatusAt = f.ChangedAt, f.ChangedAt
	f.ByClient, f.HasCard, f.Recalls = rapid.Bool().Draw(t, "by client"), rapid.Bool().Draw(t, "card"), rapid.Bool().Draw(t, "recalls")
	if f.Status == StatusCompleted || rapid.Bool().Draw(t, "completed once") {
		done := f.StatusAt
		f.Completions, f.CompletedAt = rapid.IntRange(1, 2).Draw(t, "completions"), &done
		if status := rapid.SampledFrom([]string{"", InvoiceDraft, InvoiceIssued, InvoicePaid, InvoiceVoid}).Draw(t, "invoice"); status != "" {
			f.Invoice = &InvoiceFacts{Completion: rapid.IntRange(1, f.Completions).Draw(t, "of"), Status: status}
			if status != InvoiceDraft {
				f.Invoice.IssuedAt = &done
			}
		}
	}
	return f
}

func anyCollection(t *rapid.T) CollectionFacts {
	f := CollectionFacts{Ground: anyGround(t, anyRules(t, "+3d@10:00", "+7d", "+30d", "+12h"))}
	issued := f.Now.Add(-time.Duration(rapid.IntRange(0, 60_000).Draw(t, "issued")) * time.Minute)
	f.Invoice = InvoiceFacts{Completion: 1, Status: rapid.SampledFrom([]string{InvoiceIssued, InvoicePaid, InvoiceVoid}).Draw(t, "status"), IssuedAt: &issued}
	f.HasCard, f.Processing = rapid.Bool().Draw(t, "card"), rapid.Bool().Draw(t, "processing")
	if rapid.Bool().Draw(t, "charges") {
		f.Rules = append(f.Rules, Rule{ID: "card", Act: ActCharge, When: MustLead("+5d")}, Rule{ID: "task", Act: ActTask, When: MustLead("+6d"), Title: "Call"})
	}
	return f
}

func anyRecall(t *rapid.T) RecallFacts {
	f := RecallFacts{Ground: anyGround(t, anyRules(t, "0d@10:00", "+14d@10:00", "+30d"))}
	f.Status = rapid.SampledFrom([]string{RecallWaiting, RecallStarted, RecallStarted, RecallBooked, RecallStopped, RecallExhausted}).Draw(t, "status")
	f.Round, f.Booked = rapid.IntRange(1, 3).Draw(t, "round"), rapid.Bool().Draw(t, "booked")
	f.DueOn = LocalDay(f.Now, f.Zone).AddDays(rapid.IntRange(-60, 5).Draw(t, "due"))
	return f
}

// checkOutlook holds what is true of every plan.
func checkOutlook(t *rapid.T, g Ground, o, twin Outlook) {
	require.Equal(t, o, twin, "the same facts give the same plan")
	seen := map[string]bool{}
	for _, s := range append(slices.Clone(o.Due), o.Future...) {
		require.False(t, seen[s.Key], "%s stands twice", s.Key)
		require.NotEmpty(t, s.Kind)
		require.NotEmpty(t, s.Summary)
		seen[s.Key] = true
	}
	for _, s := range o.Due {
		e, begun := g.Effects[s.Key]
		require.False(t, begun && e.Final, "%s is final", s.Key)
	}
	for _, d := range o.Not {
		require.NotEmpty(t, d.Reason)
		require.False(t, seen[d.Key], "%s is dropped and planned", d.Key)
	}
	require.True(t, o.WakeAt == nil || o.WakeAt.After(g.Now), "a wake in the past")
	require.True(t, o.RetryAt == nil || o.RetryAt.After(g.RealNow), "a retry in the past")
	if o.Done {
		require.Empty(t, o.Due)
		require.Empty(t, o.Future)
		require.Empty(t, o.Later)
		require.False(t, o.Held)
	} else {
		require.True(t, o.WakeAt != nil || o.RetryAt != nil || len(o.Due) > 0 || len(o.Tasks) > 0 || o.Held, "INV10: nothing wakes it")
	}
	if o.WakeAt != nil {
		for _, s := range o.Future {
			_, begun := g.Effects[s.Key]
			require.True(t, begun || !s.At.Before(*o.WakeAt), "%s falls due before the wake", s.Key)
		}
	}
	plan := o.Plan(g)
	plan.Due = slices.Clone(plan.Due)
	raw, err := json.Marshal(plan)
	require.NoError(t, err)
	require.NotContains(t, string(raw), canary)
	for _, w := range append(slices.Clone(o.Tasks), o.Later...) {
		require.NotContains(t, w.Title+w.Cause, canary)
	}
	checkQuiet(t, g, o)
}

// checkQuiet: INV6, no message that kept starts by itself is due in quiet hours. Attempts to be ended may be: they do not call.
func checkQuiet(t *rapid.T, g Ground, o Outlook) {
	if !g.Settings.QuietHours.Quiet(g.Now, g.Zone) {
		return
	}
	for _, s := range o.Due {
		staff := slices.ContainsFunc(g.Overrides, func(v Override) bool { return v.Verb != VerbPause && baseKey(v.StepKey) == baseKey(s.Key) })
		answer := slices.Contains([]string{RuleConfirmation, RuleCancellation, RuleFreshLink}, s.Rule) && o.Exempt[s.Key] != ""
		require.True(t, Inside(s.Kind) || s.Channel == ChannelCard || s.Settle || staff || answer, "%s is due in quiet hours", s.Key)
	}
}

func TestPlanners_HoldTheirPromisesForAnyFacts(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		switch rapid.IntRange(0, 2).Draw(t, "kind") {
		case 0:
			f := anyVisit(t)
			anyPast(t, &f.Ground, append(knownKeys(PlanJourney(f)), "confirmation/booked/sms/v1", "charge/c1/a1", "reminder/a/mail/v1/again1"))
			checkOutlook(t, f.Ground, PlanJourney(f), PlanJourney(f))
		case 1:
			f := anyCollection(t)
			anyPast(t, &f.Ground, knownKeys(PlanCollection(f)))
			checkOutlook(t, f.Ground, PlanCollection(f), PlanCollection(f))
		default:
			f := anyRecall(t)
			anyPast(t, &f.Ground, knownKeys(PlanRecall(f)))
			checkOutlook(t, f.Ground, PlanRecall(f), PlanRecall(f))
		}
	})
}

// does applies a step to the facts as the activities would.
func (f *JourneyFacts) does(t require.TestingT, s Step) {
	e, begun := f.Effects[s.Key]
	require.False(t, begun && e.Final, "%s happened twice", s.Key)
	now := f.Now
	accepted(&f.Ground, s.Key)
	switch s.Kind {
	case StepMarkNoShow:
		f.Status, f.StatusAt = StatusNoShow, now
	case StepComplete:
		f.Status, f.StatusAt, f.Completions, f.CompletedAt = StatusCompleted, now, f.Completions+1, &now
	case StepDraftInvoice:
		f.Invoice = &InvoiceFacts{Completion: f.Completions, Status: InvoiceDraft}
	case StepIssueInvoice:
		invoice := *f.Invoice
		invoice.Status, invoice.IssuedAt = InvoiceIssued, &now
		f.Invoice = &invoice
	case StepVoidInvoice:
		invoice := *f.Invoice
		invoice.Status = InvoiceVoid
		f.Invoice = &invoice
	case StepChargeCard:
		invoice := *f.Invoice
		invoice.Status = InvoicePaid
		f.Invoice = &invoice
	}
}

// runOut executes what is due and jumps to the next wake until nothing moves any more. pick chooses among the steps of an instant.
func (f *JourneyFacts) runOut(t require.TestingT, pick func(n int) int) (sent []string, plans int) {
	for plans = 1; plans < 200; plans++ {
		o := PlanJourney(*f)
		if len(o.Due) > 0 {
			step := o.Due[pick(len(o.Due))]
			f.does(t, step)
			sent = append(sent, step.Key)
			continue
		}
		if o.WakeAt == nil {
			slices.Sort(sent)
			return sent, plans
		}
		setNow(&f.Ground, *o.WakeAt)
	}
	return sent, plans
}

func TestPlanJourney_RunsToItsEnd_AndTheOrderOfStepsDoesNotMatter(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		f := anyVisit(t)
		if f.Invoice != nil && f.Invoice.Completion == f.Completions { // drafted by an earlier plan
			accepted(&f.Ground, knownKeysOfInvoice(f.Completions))
		}
		other := f
		other.Effects = map[string]Effect{}
		for k, e := range f.Effects {
			other.Effects[k] = e
		}
		first, plans := f.runOut(t, func(int) int { return 0 })
		require.Less(t, plans, 200)
		require.Len(t, slices.Compact(slices.Clone(first)), len(first), "a key was done twice")
		any, _ := other.runOut(t, func(n int) int { return rapid.IntRange(0, n-1).Draw(t, "pick") })
		require.Equal(t, first, any)
	})
}

func knownKeysOfInvoice(completion int) string {
	return map[int]string{1: "invoice/c1", 2: "invoice/c2"}[completion]
}
