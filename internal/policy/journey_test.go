package policy

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const (
	confirmMail = "confirmation/booked/mail/v1"
	weekMail    = "reminder/week/mail/v1"
	twoDays     = "reminder/two_days/mail/v1"
	twoHours    = "reminder/two_hours/mail/v1"
)

func TestPlanJourney_C1_BookedThenCancelledInsideGrace_SendsNothing(t *testing.T) {
	t.Parallel()
	f := bookedVisit(at("2026-06-01T14:01:00Z"))
	o := PlanJourney(f)
	require.Empty(t, o.Due)
	require.Equal(t, at("2026-06-01T14:03:00Z"), *o.WakeAt)

	f.Status, f.StatusAt = StatusCancelled, f.Now
	o = PlanJourney(f)
	require.Empty(t, o.Due)
	require.Empty(t, o.Future)
	require.True(t, o.Done)
	for _, key := range []string{confirmMail, weekMail, twoDays, twoHours, "cancellation/told/mail/v1"} {
		require.Equal(t, DropCancelled, droppedFor(t, o, key))
	}
}

func TestPlanJourney_C1_BookedThenMovedInsideGrace_ConfirmsOnceTheFinalTime(t *testing.T) {
	t.Parallel()
	f := bookedVisit(at("2026-06-01T14:02:00Z"))
	f.Version, f.ChangedAt, f.StartsAt = 2, f.Now, at("2026-06-19T19:00:00Z")
	o := PlanJourney(f)
	require.Empty(t, o.Due)
	setNow(&f.Ground, *o.WakeAt)
	require.Equal(t, at("2026-06-01T14:05:00Z"), f.Now)
	o = PlanJourney(f)
	require.Equal(t, []string{"confirmation/booked/mail/v2"}, keys(o.Due))
	require.Equal(t, "the visit was moved", o.Due[0].Why)
}

func TestPlanJourney_C2_RemindersKeepTheWallTimeOverChangesOfClocks(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ starts, booked, week, twoDays, twoHours string }{
		{"2026-03-08T19:00:00Z", "2026-02-01T15:00:00Z", "2026-03-01T20:00:00Z", "2026-03-06T20:00:00Z", "2026-03-08T17:00:00Z"}, // clocks went forward
		{"2026-11-01T20:00:00Z", "2026-10-01T15:00:00Z", "2026-10-25T19:00:00Z", "2026-10-30T19:00:00Z", "2026-11-01T18:00:00Z"}, // clocks went back
		{visitStarts, visitBooked, "2026-06-11T19:00:00Z", "2026-06-16T19:00:00Z", "2026-06-18T17:00:00Z"},
	} {
		f := bookedVisit(at(c.booked))
		f.StartsAt, f.BookedAt, f.ChangedAt = at(c.starts), at(c.booked), at(c.booked)
		f.EndsAt = f.StartsAt.Add(time.Hour)
		o := PlanJourney(f)
		require.Equal(t, at(c.week), stepOf(t, o.Future, weekMail).At)
		require.Equal(t, at(c.twoDays), stepOf(t, o.Future, twoDays).At)
		require.Equal(t, at(c.twoHours), stepOf(t, o.Future, twoHours).At)
	}
}

func TestPlanJourney_C2_BookedInsideALead_SkipsThatRuleWithItsReason(t *testing.T) {
	t.Parallel()
	f := bookedVisit(at("2026-06-16T20:00:00Z"))
	f.BookedAt, f.ChangedAt = f.Now, f.Now
	o := PlanJourney(f)
	require.Equal(t, DropBookedInside, droppedFor(t, o, weekMail))
	require.Equal(t, DropBookedInside, droppedFor(t, o, twoDays))
	require.Equal(t, []string{confirmMail, twoHours}, keys(o.Future))
}

func TestPlanJourney_C2_AMovePlansAgainOnlyWhatLiesAhead(t *testing.T) {
	t.Parallel()
	f := bookedVisit(at("2026-06-16T20:00:00Z"))
	for _, key := range []string{confirmMail, weekMail, twoDays} {
		accepted(&f.Ground, key)
	}
	f.Version, f.ChangedAt, f.StartsAt = 2, f.Now, at("2026-06-20T19:00:00Z")
	o := PlanJourney(f)
	require.Equal(t, []string{"confirmation/booked/mail/v2", "reminder/two_days/mail/v2", "reminder/two_hours/mail/v2"}, keys(o.Future))
	require.Equal(t, DropBookedInside, droppedFor(t, o, "reminder/week/mail/v2"))
}

func TestPlanJourney_ACancellationIsToldOnlyToAClientWhoWasTold(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		key  string
		told bool
		do   func(*Ground, string)
	}{
		{confirmMail, true, accepted},
		{confirmMail, true, claimedEffect},
		{confirmMail, true, func(g *Ground, key string) { settleAs(g, key, EffectUnknown) }},
		{confirmMail, false, func(g *Ground, key string) { settleAs(g, key, EffectFailed) }},
		{confirmMail, false, func(g *Ground, key string) { settleAs(g, key, EffectRefused) }},
		{weekMail, true, accepted}, // the confirmation was skipped, the reminder went
		{"reminder/two_days/sms/v1/again1", true, accepted},
	} {
		f := bookedVisit(at("2026-06-17T15:00:00Z"))
		c.do(&f.Ground, c.key)
		f.Status, f.StatusAt, f.EndedBy = StatusCancelled, f.Now, ByStaff
		o := PlanJourney(f)
		if c.told {
			require.Contains(t, keys(o.Due), "cancellation/told/mail/v1", "%v", c)
		} else {
			require.Equal(t, DropCancelled, droppedFor(t, o, "cancellation/told/mail/v1"), "%v", c)
		}
	}
}

func TestPlanJourney_C12_QuietHoursShiftOrDrop(t *testing.T) {
	t.Parallel()
	f := bookedVisit(at(visitBooked))
	f.StartsAt = at("2026-06-18T13:30:00Z") // 09:30: two hours before is 07:30
	require.Equal(t, at("2026-06-18T13:00:00Z"), stepOf(t, PlanJourney(f).Future, twoHours).At)
	f.StartsAt = at("2026-06-18T12:45:00Z") // 08:45: past its use at 09:00
	require.Equal(t, DropQuietPast, droppedFor(t, PlanJourney(f), twoHours))
}

func TestPlanJourney_INV6_AMessageLateInTheEveningWaitsForTheMorning(t *testing.T) {
	t.Parallel()
	f := bookedVisit(at("2026-06-12T01:00:00Z")) // 21:00 local; the reminder fell due at 15:00 while nothing ran
	accepted(&f.Ground, confirmMail)
	o := PlanJourney(f)
	require.Empty(t, o.Due)
	require.Equal(t, at("2026-06-12T13:00:00Z"), stepOf(t, o.Future, weekMail).At)
	failedEffect(&f.Ground, weekMail, -time.Second)
	require.Empty(t, PlanJourney(f).Due, "a retry keeps quiet hours too")
}

func TestPlanJourney_AnAnswerWithinTenMinutesIsExemptFromQuietHours_LaterItIsNot(t *testing.T) {
	t.Parallel()
	f := bookedVisit(at("2026-06-02T02:03:00Z")) // 22:03 local
	f.ChangedAt, f.ByClient = at("2026-06-02T02:00:00Z"), true
	require.Equal(t, []string{confirmMail}, keys(PlanJourney(f).Due))
	setNow(&f.Ground, at("2026-06-02T02:10:00Z"))
	require.Equal(t, []string{confirmMail}, keys(PlanJourney(f).Due))
	setNow(&f.Ground, at("2026-06-02T02:10:01Z"))
	o := PlanJourney(f)
	require.Empty(t, o.Due)
	require.Equal(t, at("2026-06-02T13:00:00Z"), stepOf(t, o.Future, confirmMail).At)
	f.ByClient = false
	setNow(&f.Ground, at("2026-06-02T02:03:00Z"))
	require.Empty(t, PlanJourney(f).Due)
}

func TestPlanJourney_AGraceLongerThanAnAnswerPlansTheMorningFromTheStart(t *testing.T) {
	t.Parallel()
	f := bookedVisit(at("2026-06-02T02:00:00Z"))
	f.ChangedAt, f.ByClient, f.Settings.GraceMinutes = f.Now, true, 30
	require.Equal(t, at("2026-06-02T13:00:00Z"), stepOf(t, PlanJourney(f).Future, confirmMail).At)
}

func TestPlanJourney_OptedOutOfTextsFallsBackToMail_ButNeverOnBothChannels(t *testing.T) {
	t.Parallel()
	sms := "reminder/week/sms/v1"
	f := bookedVisit(at("2026-06-11T19:00:00Z"))
	f.Client.Prefers = ChannelSMS
	require.Contains(t, keys(PlanJourney(f).Due), sms)
	f.Client.Service[ChannelSMS] = Reach{Address: true, OptedOut: true}
	o := PlanJourney(f)
	require.Contains(t, keys(o.Due), weekMail)
	require.NotContains(t, keys(o.Due), sms)

	for name, carry := range map[string]func(*Ground){
		"accepted": func(g *Ground) { accepted(g, sms) },
		"unknown":  func(g *Ground) { settleAs(g, sms, EffectUnknown) },
		"claimed":  func(g *Ground) { claimedEffect(g, sms) },
		"again":    func(g *Ground) { settleAs(g, sms, EffectFailed); accepted(g, sms+"/again1") },
	} {
		g := f
		g.Effects = map[string]Effect{}
		carry(&g.Ground)
		o := PlanJourney(g)
		require.NotContains(t, keys(o.Due), weekMail, name)
		require.NotContains(t, keys(o.Future), weekMail, name)
	}
	f.Client.Service[ChannelMail] = Reach{OptedOut: true, Address: true}
	require.Equal(t, DropOptedOut, droppedFor(t, PlanJourney(f), sms))
	f.Client.Service = map[string]Reach{}
	require.Equal(t, DropNoContact, droppedFor(t, PlanJourney(f), sms))
	f.Client.Active = false
	require.Equal(t, DropInactive, droppedFor(t, PlanJourney(f), sms))
}

func TestPlanJourney_B1_CompletedVisit_DraftIssueChargeMail(t *testing.T) {
	t.Parallel()
	f := bookedVisit(at("2026-06-18T19:40:00Z"))
	f.Rules = nil
	f.Status, f.StatusAt, f.Completions, f.CompletedAt, f.HasCard, f.Recalls = StatusCompleted, f.Now, 1, &f.Now, true, true
	completed := f.Now
	f.CompletedAt = &completed
	require.Equal(t, []string{"invoice/c1", "recall/c1"}, keys(PlanJourney(f).Due))

	accepted(&f.Ground, "invoice/c1")
	accepted(&f.Ground, "recall/c1")
	f.Invoice = &InvoiceFacts{Completion: 1, Status: InvoiceDraft}
	o := PlanJourney(f)
	require.Empty(t, o.Due)
	require.Equal(t, at("2026-06-18T22:00:00Z"), *o.WakeAt, "18:00 of the same day")
	require.False(t, o.Done)

	setNow(&f.Ground, *o.WakeAt)
	require.Equal(t, []string{"issue/c1"}, keys(PlanJourney(f).Due))
	issued := f.Now
	accepted(&f.Ground, "issue/c1")
	f.Invoice.Status, f.Invoice.IssuedAt = InvoiceIssued, &issued
	require.Equal(t, []string{"charge/c1/a1"}, keys(PlanJourney(f).Due))

	claimedEffect(&f.Ground, "charge/c1/a1")
	require.Empty(t, PlanJourney(f).Due, "the mail waits for the card")
	settleAs(&f.Ground, "charge/c1/a1", EffectFailed)
	require.Equal(t, []string{"invoice/issued/mail/c1"}, keys(PlanJourney(f).Due))
	require.Empty(t, PlanJourney(f).Tasks, "a decline is followed up by the collection")
	accepted(&f.Ground, "invoice/issued/mail/c1")
	require.True(t, PlanJourney(f).Done)
}

func TestPlanJourney_B1_CompletedAfterTheCutoff_IssuesAtOnce(t *testing.T) {
	t.Parallel()
	f := bookedVisit(at("2026-06-18T23:30:00Z"))
	completed := f.Now
	f.Status, f.Completions, f.CompletedAt, f.Invoice = StatusCompleted, 1, &completed, &InvoiceFacts{Completion: 1, Status: InvoiceDraft}
	accepted(&f.Ground, "invoice/c1")
	require.Equal(t, []string{"issue/c1"}, keys(PlanJourney(f).Due))
}

func TestPlanJourney_TheInvoiceIsMailedWhereTheCardIsNotCharged(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*JourneyFacts){
		"no card":      func(f *JourneyFacts) { f.HasCard = false },
		"switched off": func(f *JourneyFacts) { f.Settings.AutoCharge = false },
		"paid":         func(f *JourneyFacts) { f.Invoice.Status = InvoicePaid },
		"skipped":      func(f *JourneyFacts) { say(&f.Ground, VerbSkip, "charge/c1/a1", "") },
	} {
		issued := at("2026-06-18T22:00:00Z")
		f := bookedVisit(issued)
		f.Status, f.Completions, f.CompletedAt, f.HasCard = StatusCompleted, 1, &issued, true
		f.Invoice = &InvoiceFacts{Completion: 1, Status: InvoiceIssued, IssuedAt: &issued}
		accepted(&f.Ground, "invoice/c1")
		change(&f)
		require.Equal(t, []string{"invoice/issued/mail/c1"}, keys(PlanJourney(f).Due), name)
	}
}

func TestPlanJourney_UndoneCompletionVoids_AndTheSecondMakesItsOwnInvoice(t *testing.T) {
	t.Parallel()
	f := bookedVisit(at("2026-06-18T19:40:00Z"))
	f.Status, f.Completions, f.Invoice = StatusWithProvider, 1, &InvoiceFacts{Completion: 1, Status: InvoiceDraft}
	accepted(&f.Ground, "invoice/c1")
	require.Equal(t, []string{"void/c1"}, keys(PlanJourney(f).Due))

	completed := f.Now // completed again before any plan saw the undo
	f.Status, f.Completions, f.CompletedAt = StatusCompleted, 2, &completed
	require.Equal(t, []string{"void/c1"}, keys(PlanJourney(f).Due))
	accepted(&f.Ground, "void/c1")
	f.Invoice.Status = InvoiceVoid
	require.Equal(t, []string{"invoice/c2"}, keys(PlanJourney(f).Due))
}

func TestPlanJourney_AnAttemptLeftBehindByAMoveOrAnUndoIsStillEnded(t *testing.T) {
	t.Parallel()
	for _, key := range []string{confirmMail, "charge/c1/a1"} {
		f := bookedVisit(at("2026-06-18T15:00:00Z"))
		f.Version, f.Rules = 2, nil
		claimedEffect(&f.Ground, key)
		o := PlanJourney(f)
		require.Equal(t, f.RealNow.Add(11*time.Second), *o.RetryAt)
		f.RealNow = *o.RetryAt
		due := stepOf(t, PlanJourney(f).Due, key)
		require.True(t, due.Settle, "its outcome is wanted, another call is not")
	}
}

func TestPlanJourney_AVisitWithoutAnOutcomeIsShownToTheFrontDesk(t *testing.T) {
	t.Parallel()
	f := bookedVisit(at("2026-06-18T19:31:00Z"))
	f.Rules = nil
	accepted(&f.Ground, confirmMail)
	o := PlanJourney(f)
	require.Equal(t, at("2026-06-18T20:30:00Z"), *o.WakeAt)
	setNow(&f.Ground, *o.WakeAt)
	require.Equal(t, []string{"visit_open"}, taskKinds(PlanJourney(f).Tasks))
	f.Status = StatusRequested
	require.Equal(t, []string{"request_open"}, taskKinds(PlanJourney(f).Tasks))
}

func TestPlanJourney_AutomaticNoShowAndCompletion(t *testing.T) {
	t.Parallel()
	f := bookedVisit(at("2026-06-18T19:20:00Z"))
	f.Settings.AutoNoShowMinutes, f.Settings.AutoComplete = 20, true
	require.Contains(t, keys(PlanJourney(f).Due), "no_show/v1")
	f.Status = StatusArrived
	o := PlanJourney(f)
	require.NotContains(t, keys(o.Due), "no_show/v1")
	require.Equal(t, f.EndsAt, stepOf(t, o.Future, "complete/v1/c1").At)
}

func TestPlanJourney_OpenPapersAskTheFrontDesk_UntilTheyAreIn(t *testing.T) {
	t.Parallel()
	due := at("2026-06-17T19:00:00Z")
	f := bookedVisit(due)
	f.PacketDue = &due
	require.Contains(t, taskKinds(PlanJourney(f).Tasks), "packet_open")
	f.PacketDue = nil
	require.NotContains(t, taskKinds(PlanJourney(f).Tasks), "packet_open")
}
