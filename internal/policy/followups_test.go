package policy

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func collecting(now string) CollectionFacts {
	return issuedInvoice(at(now),
		rule("first", "+3d@10:00"),
		Rule{ID: "card", Act: ActCharge, When: MustLead("+7d@10:00")},
		Rule{ID: "call", Act: ActTask, When: MustLead("+14d@10:00"), Title: "Call about the bill"},
	)
}

func TestPlanCollection_B12_RulesCountFromTheIssue_EachOnce(t *testing.T) {
	t.Parallel()
	f := collecting("2026-06-21T14:00:00Z")
	f.HasCard = true
	o := PlanCollection(f)
	require.Equal(t, []string{"dunning/first/mail/v1"}, keys(o.Due))
	require.Equal(t, at("2026-06-25T14:00:00Z"), stepOf(t, o.Future, "charge/card/a1").At)
	require.Equal(t, []string{"collection", "unpaid"}, taskKinds(o.Later))
	accepted(&f.Ground, "dunning/first/mail/v1")
	require.Empty(t, PlanCollection(f).Due)

	setNow(&f.Ground, at("2026-06-25T14:00:00Z"))
	f.HasCard = false
	require.Equal(t, DropNoCard, droppedFor(t, PlanCollection(f), "charge/card/a1"))
	f.HasCard, f.Processing = true, true
	require.Equal(t, DropOff, droppedFor(t, PlanCollection(f), "charge/card/a1"))

	setNow(&f.Ground, at("2026-07-09T14:00:00Z"))
	o = PlanCollection(f)
	require.ElementsMatch(t, []string{"collection", "unpaid"}, taskKinds(o.Tasks))
	require.False(t, o.Done, "someone owes; a person has it")
}

func TestPlanCollection_B12_PaidOrVoidedAtAnyMomentDropsEverythingAtOnce(t *testing.T) {
	t.Parallel()
	for status, reason := range map[string]DropReason{InvoicePaid: DropPaid, InvoiceVoid: DropVoided} {
		for _, now := range []string{"2026-06-18T22:00:00Z", "2026-06-21T14:00:00Z", "2026-06-30T10:00:00Z", "2026-08-01T10:00:00Z"} {
			f := collecting(now)
			failedEffect(&f.Ground, "dunning/first/mail/v1", time.Minute) // also while a step is being retried
			f.Invoice.Status, f.HasCard = status, true
			o := PlanCollection(f)
			require.True(t, o.Done, now)
			require.Empty(t, o.Tasks)
			require.Equal(t, reason, droppedFor(t, o, "dunning/first/mail/v1"))
			require.Equal(t, reason, droppedFor(t, o, "charge/card/a1"))
		}
	}
}

func TestPlanCollection_ADraftIsNotFollowedUp(t *testing.T) {
	t.Parallel()
	f := collecting("2026-06-18T22:00:00Z")
	f.Invoice.Status, f.Invoice.IssuedAt = InvoiceDraft, nil
	require.True(t, PlanCollection(f).Done)
}

func TestPlanCollection_WithoutRulesAPersonIsAskedAfterAWeek(t *testing.T) {
	t.Parallel()
	f := issuedInvoice(at("2026-06-20T22:00:00Z"))
	require.Equal(t, at("2026-06-25T22:00:00Z"), *PlanCollection(f).WakeAt)
}

func TestFirstFollowUp_IsTheEarliestRule(t *testing.T) {
	t.Parallel()
	f := collecting("2026-06-18T22:00:00Z")
	first, ok := FirstFollowUp(f.Rules, *f.Invoice.IssuedAt, f.Zone)
	require.True(t, ok)
	require.Equal(t, at("2026-06-21T14:00:00Z"), first)
	_, ok = FirstFollowUp(nil, *f.Invoice.IssuedAt, f.Zone)
	require.False(t, ok)
}

func TestPlanRecall_C9_InvitesByRulesThenCountsAsUnanswered(t *testing.T) {
	t.Parallel()
	f := dueRecall(at("2026-12-18T15:00:00Z"))
	o := PlanRecall(f)
	require.Equal(t, []string{"recall/first/mail/r1"}, keys(o.Due))
	require.Equal(t, []string{"recall/second/mail/r1", "close/exhausted/r1"}, keys(o.Future))
	require.Equal(t, at("2027-01-15T15:00:00Z"), stepOf(t, o.Future, "close/exhausted/r1").At)
	accepted(&f.Ground, "recall/first/mail/r1")
	f.Round = 2
	require.Equal(t, []string{"recall/first/mail/r2"}, keys(PlanRecall(f).Due), "a new round invites anew")
}

func TestPlanRecall_C9_ClosesAtOnceWhenItsReasonIsGone(t *testing.T) {
	t.Parallel()
	refused := map[string]Reach{ChannelMail: {Address: true, OptedOut: true}, ChannelSMS: {Address: true, OptedOut: true}}
	for name, c := range map[string]struct {
		change func(*RecallFacts)
		key    string
		reason DropReason
	}{
		"booked":    {func(f *RecallFacts) { f.Booked = true }, "close/booked/r1", DropBooked},
		"opted out": {func(f *RecallFacts) { f.Client.Recall = refused }, "close/stopped/r1", DropOptedOut},
		"inactive":  {func(f *RecallFacts) { f.Client.Active = false }, "close/stopped/r1", DropInactive},
	} {
		f := dueRecall(at("2026-12-18T15:00:00Z"))
		c.change(&f)
		o := PlanRecall(f)
		require.Equal(t, []string{c.key}, keys(o.Due), name)
		require.Equal(t, c.reason, droppedFor(t, o, "recall/first/mail/r1"), name)
		accepted(&f.Ground, c.key)
		f.Status = RecallStopped
		require.True(t, PlanRecall(f).Done, name)
	}
}

func TestPlanRecall_OptOutOfRecallsLeavesServiceMessagesAlone(t *testing.T) {
	t.Parallel()
	f := dueRecall(at("2026-12-18T15:00:00Z"))
	f.Client.Recall[ChannelMail] = Reach{Address: true, OptedOut: true}
	require.Equal(t, []string{"recall/first/sms/r1"}, keys(PlanRecall(f).Due))
	j := bookedVisit(at("2026-06-01T14:03:00Z"))
	j.Client.Recall = f.Client.Recall
	require.Equal(t, []string{confirmMail}, keys(PlanJourney(j).Due))
}

func TestCheckRules_TellsTheFirstRuleThatCannotStand(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ kind, raw, code string }{
		{KindJourney, `{}`, "invalid_rules"},
		{KindJourney, `[{"id":"A","act":"message","when":"-1d"}]`, "invalid_rule_id"},
		{KindJourney, `[{"id":"a/b","act":"message","when":"-1d"}]`, "invalid_rule_id"},
		{KindJourney, `[{"id":"a","act":"message","when":"-1d"},{"id":"a","act":"message","when":"-2d"}]`, "duplicate_rule_id"},
		{KindJourney, `[{"id":"a","act":"charge","when":"-1d"}]`, "invalid_act"},
		{KindJourney, `[{"id":"a","act":"message","when":"+1d"}]`, "not_before"},
		{KindCollection, `[{"id":"a","act":"message","when":"-1d"}]`, "not_after"},
		{KindCollection, `[{"id":"a","act":"task","when":"+1d"}]`, "missing_title"},
		{KindRecall, `[{"id":"a","act":"charge","when":"+1d"}]`, "invalid_act"},
		{KindRecall, `[{"id":"a","act":"message","when":"+1d","channels":["fax"]}]`, "invalid_channel"},
		{KindRecall, `[{"id":"a","act":"message","when":"+1d","channels":["sms","sms"]}]`, "duplicate_channel"},
	} {
		_, err := ParseRules(c.kind, []byte(c.raw))
		require.Equal(t, c.code, CodeOf(err), c.raw)
	}
	rules, err := ParseRules(KindCollection, []byte(`[{"id":"a","act":"task","when":"+1d","title":"Call"}]`))
	require.NoError(t, err)
	require.Len(t, rules, 1)
	require.Equal(t, "too_many_rules", CodeOf(CheckRules(KindRecall, make([]Rule, 21))))
}

func TestRings_NameTheSubjectsThatTheVerbConcerns(t *testing.T) {
	t.Parallel()
	id := func(n byte) ID { return ID{15: n} }
	of := SubjectsOf{Practice: id(9), Journeys: []ID{id(1)}, Collections: []ID{id(2)}, Recalls: []ID{id(3)}}
	require.Equal(t, []Subject{{id(9), KindJourney, id(1)}, {id(9), KindRecall, id(3)}}, Rings(VisitBooked, of))
	require.Equal(t, []Subject{{id(9), KindJourney, id(1)}, {id(9), KindCollection, id(2)}}, Rings(InvoiceSettled, of))
	require.Empty(t, Rings("client_renamed", of))
	for _, verb := range RingingVerbs() {
		require.NotEmpty(t, Rings(verb, of), verb)
	}
}

func TestOutlookPlan_UnarmedWithATestClock_AndSaysWhatItWaitsFor(t *testing.T) {
	t.Parallel()
	f := bookedVisit(at("2026-06-01T14:10:00Z"))
	accepted(&f.Ground, confirmMail)
	p := PlanJourney(f).Plan(f.Ground)
	require.Equal(t, "Waiting until Thu 11 Jun 2026 15:00 EDT: Reminder · 7 d before · e-mail", p.Waiting)
	require.Equal(t, "Stage: booked\n\n"+p.Waiting, p.Detail)
	wait, armed := p.Wait()
	require.True(t, armed)
	require.Equal(t, p.WakeAt.Sub(f.Now), wait)
	f.TestClock = true
	_, armed = PlanJourney(f).Plan(f.Ground).Wait()
	require.False(t, armed)
	claimedEffect(&f.Ground, weekMail)
	wait, armed = PlanJourney(f).Plan(f.Ground).Wait()
	require.True(t, armed, "waits for machines stay real")
	require.Equal(t, 11*time.Second, wait)
}
