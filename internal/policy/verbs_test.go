package policy

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// reminderDue is a visit whose confirmation went and whose reminder of two days before falls due at 15:00 local.
func reminderDue(now string) JourneyFacts {
	f := bookedVisit(at(now))
	f.Rules = []Rule{rule("two_days", "-2d")}
	f.Effects[confirmMail] = Effect{State: EffectAccepted, Final: true}
	return f
}

func TestPause_HoldsAndResumesByTheStalePolicy(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		value, setting string
		check          func(*testing.T, Outlook)
	}{
		{"send", "", func(t *testing.T, o Outlook) { require.Equal(t, []string{twoDays}, keys(o.Due)) }},
		{"", "send", func(t *testing.T, o Outlook) { require.Equal(t, []string{twoDays}, keys(o.Due)) }},
		{"skip", "send", func(t *testing.T, o Outlook) { require.Equal(t, DropSkipped, droppedFor(t, o, twoDays)) }},
		{"", "skip", func(t *testing.T, o Outlook) { require.Equal(t, DropSkipped, droppedFor(t, o, twoDays)) }},
		{"ask", "send", func(t *testing.T, o Outlook) {
			require.Equal(t, DropPaused, droppedFor(t, o, twoDays))
			require.Equal(t, []string{"stale_step"}, taskKinds(o.Tasks))
			require.True(t, o.Held)
		}},
	} {
		f := reminderDue("2026-06-10T15:00:00Z")
		f.Settings.StalePolicy = c.setting
		say(&f.Ground, VerbPause, "", "")
		o := PlanJourney(f)
		require.True(t, o.Held)
		require.Equal(t, DropPaused, droppedFor(t, o, twoDays))
		setNow(&f.Ground, at("2026-06-17T15:00:00Z"))
		require.Contains(t, taskKinds(PlanJourney(f).Tasks), "paused")
		say(&f.Ground, VerbResume, "", c.value)
		o = PlanJourney(f)
		require.NotContains(t, taskKinds(o.Tasks), "paused")
		c.check(t, o)
	}
}

func TestPause_ResumedAtNight_SendsInTheMorning(t *testing.T) {
	t.Parallel()
	f := reminderDue("2026-06-16T15:00:00Z")
	say(&f.Ground, VerbPause, "", "")
	setNow(&f.Ground, at("2026-06-17T02:00:00Z"))
	say(&f.Ground, VerbResume, "", "send")
	o := PlanJourney(f)
	require.Empty(t, o.Due)
	require.Equal(t, at("2026-06-17T13:00:00Z"), stepOf(t, o.Future, twoDays).At)
}

func TestPause_ASecondPauseDoesNotReviveWhatTheFirstSkipped(t *testing.T) {
	t.Parallel()
	f := reminderDue("2026-06-16T15:00:00Z")
	for _, v := range []struct{ verb, now string }{
		{VerbPause, "2026-06-16T15:00:00Z"},
		{VerbResume, "2026-06-16T20:00:00Z"},
		{VerbPause, "2026-06-16T21:00:00Z"},
		{VerbResume, "2026-06-17T15:00:00Z"},
	} {
		setNow(&f.Ground, at(v.now))
		say(&f.Ground, v.verb, "", "skip")
	}
	require.Equal(t, DropSkipped, droppedFor(t, PlanJourney(f), twoDays))
}

func TestPause_HoldsRetriesToo_AndFireNowGoesThrough(t *testing.T) {
	t.Parallel()
	f := reminderDue("2026-06-16T19:00:00Z")
	failedEffect(&f.Ground, twoDays, -time.Second)
	say(&f.Ground, VerbPause, "", "")
	require.Empty(t, PlanJourney(f).Due)
	require.NoError(t, CheckOverride(PlanJourney(f), f.Ground, Override{Verb: VerbFireNow, StepKey: twoDays}))
	say(&f.Ground, VerbFireNow, twoDays, "")
	require.Equal(t, []string{twoDays}, keys(PlanJourney(f).Due))
}

func TestPause_OfTheSubject_LeavesTheBooksToGoOn(t *testing.T) {
	t.Parallel()
	f := bookedVisit(at("2026-06-18T19:40:00Z"))
	say(&f.Ground, VerbPause, "", "")
	setNow(&f.Ground, at("2026-06-18T19:50:00Z"))
	completed := f.Now
	f.Status, f.Completions, f.CompletedAt = StatusCompleted, 1, &completed
	setNow(&f.Ground, at("2026-06-19T14:00:00Z"))
	say(&f.Ground, VerbResume, "", "skip")
	require.Equal(t, []string{"invoice/c1"}, keys(PlanJourney(f).Due))
}

func TestSkip_ATypedReason(t *testing.T) {
	t.Parallel()
	f := reminderDue("2026-06-10T15:00:00Z")
	say(&f.Ground, VerbSkip, twoDays, "")
	require.Equal(t, DropSkipped, droppedFor(t, PlanJourney(f), twoDays))
}

func TestFireNow_IsDueAtOnce_AtNightToo(t *testing.T) {
	t.Parallel()
	f := reminderDue("2026-06-11T03:00:00Z")
	say(&f.Ground, VerbFireNow, twoDays, "")
	o := PlanJourney(f)
	require.Equal(t, []string{twoDays}, keys(o.Due))
	require.Equal(t, "staff said: now", o.Due[0].Why)
}

func TestFailed_WaitsInRealTime_RetryGoesAtOnce_FinalOpensATask(t *testing.T) {
	t.Parallel()
	f := reminderDue("2026-06-16T19:00:00Z")
	failedEffect(&f.Ground, twoDays, 8*time.Second)
	f.Now = f.Now.Add(time.Hour) // the practice's clock does not shorten a wait for a machine
	o := PlanJourney(f)
	require.Empty(t, o.Due)
	require.Equal(t, f.RealNow.Add(8*time.Second), *o.RetryAt)
	require.Equal(t, "a gateway, looked at again by itself", o.Waiting)
	say(&f.Ground, VerbRetry, twoDays, "")
	require.Equal(t, []string{twoDays}, keys(PlanJourney(f).Due))

	f = reminderDue("2026-06-16T19:00:00Z")
	settleAs(&f.Ground, twoDays, EffectFailed)
	require.Equal(t, []string{"send_failed"}, taskKinds(PlanJourney(f).Tasks))
	say(&f.Ground, VerbRetry, twoDays, "")
	require.Equal(t, []string{twoDays + "/again1"}, keys(PlanJourney(f).Due))
	require.Empty(t, PlanJourney(f).Tasks)
}

func TestRetry_OnAClockThatStandsStill_CountsForOneAttempt(t *testing.T) {
	t.Parallel()
	f := reminderDue("2026-06-16T19:00:00Z")
	failedEffect(&f.Ground, twoDays, 8*time.Second)
	say(&f.Ground, VerbRetry, twoDays, "")
	require.Equal(t, []string{twoDays}, keys(PlanJourney(f).Due))
	failedEffect(&f.Ground, twoDays, 32*time.Second)
	require.Empty(t, PlanJourney(f).Due)

	settleAs(&f.Ground, twoDays, EffectFailed)
	require.Equal(t, []string{"send_failed"}, taskKinds(PlanJourney(f).Tasks))
	say(&f.Ground, VerbRetry, twoDays, "")
	settleAs(&f.Ground, twoDays+"/again1", EffectFailed)
	require.Empty(t, PlanJourney(f).Due)
	settleAs(&f.Ground, twoDays, EffectFailed) // a late event says the same of the first attempt
	require.Equal(t, DropFailed, droppedFor(t, PlanJourney(f), twoDays+"/again1"))
}

func TestReroute_TakesTheOtherChannel_NamedChannelsToo(t *testing.T) {
	t.Parallel()
	sms := "reminder/two_days/sms/v1"
	for _, channels := range [][]string{nil, {ChannelMail}} {
		f := reminderDue("2026-06-16T19:00:00Z")
		f.Rules[0].Channels = channels
		settleAs(&f.Ground, twoDays, EffectFailed)
		o := PlanJourney(f)
		require.NoError(t, CheckOverride(o, f.Ground, Override{Verb: VerbReroute, StepKey: twoDays, Value: ChannelSMS}))
		say(&f.Ground, VerbReroute, twoDays, ChannelSMS)
		o = PlanJourney(f)
		require.Equal(t, []string{sms}, keys(o.Due))
		require.Empty(t, o.Tasks)
		settleAs(&f.Ground, sms, EffectFailed)
		say(&f.Ground, VerbReroute, sms, ChannelMail)
		require.Empty(t, PlanJourney(f).Due, "the mail failed for good; only a retry sends it")
	}
}

func TestSendAgain_AnUnknownOutcomeGetsKeysOfItsOwn_AcceptedIsFinal(t *testing.T) {
	t.Parallel()
	f := reminderDue("2026-06-16T19:00:00Z")
	settleAs(&f.Ground, twoDays, EffectUnknown)
	o := PlanJourney(f)
	require.Equal(t, at("2026-06-17T19:00:00Z"), o.Later[0].DueAt)
	setNow(&f.Ground, o.Later[0].DueAt)
	require.Equal(t, []string{"outcome_unknown"}, taskKinds(PlanJourney(f).Tasks))

	key := twoDays
	for _, again := range []string{twoDays + "/again1", twoDays + "/again2"} {
		require.NoError(t, CheckOverride(PlanJourney(f), f.Ground, Override{Verb: VerbSendAgain, StepKey: key}))
		say(&f.Ground, VerbSendAgain, key, "")
		require.Equal(t, []string{again}, keys(PlanJourney(f).Due))
		require.Equal(t, DropUnknown, droppedFor(t, PlanJourney(f), key))
		f.Now = f.Now.Add(time.Minute)
		settleAs(&f.Ground, again, EffectUnknown)
		f.Now = f.Now.Add(time.Minute)
		key = again
	}
	accepted(&f.Ground, key)
	say(&f.Ground, VerbSendAgain, key, "")
	require.Empty(t, PlanJourney(f).Due)
	require.Equal(t, "not_unknown", CodeOf(CheckOverride(PlanJourney(f), f.Ground, Override{Verb: VerbSendAgain, StepKey: key})))
}

func TestUnknown_ATaskAtTheEndOfUse_AndDoneOnlyAfter(t *testing.T) {
	t.Parallel()
	f := reminderDue("2026-06-18T15:00:00Z")
	settleAs(&f.Ground, twoDays, EffectUnknown)
	f.Status, f.StatusAt = StatusNoShow, f.Now
	o := PlanJourney(f)
	require.Equal(t, at(visitStarts), *o.WakeAt)
	require.False(t, o.Done)
	setNow(&f.Ground, *o.WakeAt)
	o = PlanJourney(f)
	require.Equal(t, []string{"outcome_unknown"}, taskKinds(o.Tasks))
	require.True(t, o.Done)
}

func TestClaimed_WaitsUntilItsCallIsOver_InRealTime(t *testing.T) {
	t.Parallel()
	f := reminderDue("2026-06-16T19:00:00Z")
	claimedEffect(&f.Ground, twoDays)
	o := PlanJourney(f)
	require.Empty(t, o.Due)
	require.Equal(t, f.RealNow.Add(11*time.Second), *o.RetryAt)
	f.RealNow = o.RetryAt.Add(-time.Nanosecond)
	require.Empty(t, PlanJourney(f).Due)
	f.RealNow = *o.RetryAt
	due := stepOf(t, PlanJourney(f).Due, twoDays)
	require.False(t, due.Settle)
	f.Now = at("2026-06-17T03:00:00Z")
	require.True(t, stepOf(t, PlanJourney(f).Due, twoDays).Settle, "at night: no second call")
	f.Now = f.RealNow
	f.Status, f.StatusAt = StatusCancelled, f.Now
	require.True(t, stepOf(t, PlanJourney(f).Due, twoDays).Settle, "cancelled meanwhile: no second call")
}

func TestPausedChannel_HoldsAndIsNotDone(t *testing.T) {
	t.Parallel()
	f := reminderDue("2026-06-16T19:00:00Z")
	f.Paused[ChannelMail] = true
	f.Status, f.StatusAt = StatusCancelled, f.Now
	o := PlanJourney(f)
	require.Empty(t, o.Due)
	require.Equal(t, DropOff, droppedFor(t, o, "cancellation/told/mail/v1"))
	require.False(t, o.Done)
	require.True(t, o.Held)
	setNow(&f.Ground, *o.WakeAt)
	require.Equal(t, at(visitStarts), f.Now, "of no use after the visit")
	require.True(t, PlanJourney(f).Done)
}

func TestCheckOverride_RefusesWhatCannotAct(t *testing.T) {
	t.Parallel()
	f := reminderDue("2026-06-16T19:00:00Z")
	f.Rules = append(f.Rules, rule("week", "-7d"))
	accepted(&f.Ground, weekMail)
	f.Settings.AutoNoShowMinutes = 30
	for _, c := range []struct {
		verb, key, value, code string
	}{
		{"shout", twoDays, "", "invalid_verb"},
		{VerbSkip, "", "", "missing_step"},
		{VerbSkip, "reminder/none/mail/v1", "", "step_not_found"},
		{VerbSkip, weekMail, "", "already_done"},
		{VerbFireNow, weekMail, "", "already_done"},
		{VerbRetry, twoDays, "", "not_failed"},
		{VerbSendAgain, twoDays, "", "not_unknown"},
		{VerbReroute, twoDays, "pigeon", "invalid_channel"},
		{VerbReroute, twoDays, ChannelMail, "same_channel"},
		{VerbReroute, weekMail, ChannelSMS, "already_begun"},
		{VerbReroute, "no_show/v1", ChannelSMS, "not_a_message"},
		{VerbResume, "", "", "not_paused"},
	} {
		err := CheckOverride(PlanJourney(f), f.Ground, Override{Verb: c.verb, StepKey: c.key, Value: c.value})
		require.Equal(t, c.code, CodeOf(err), "%v", c)
	}
	say(&f.Ground, VerbPause, "", "")
	require.Equal(t, "already_paused", CodeOf(CheckOverride(PlanJourney(f), f.Ground, Override{Verb: VerbPause})))
	require.Equal(t, "invalid_stale_policy", CodeOf(CheckOverride(PlanJourney(f), f.Ground, Override{Verb: VerbResume, Value: "drop"})))
	f.Status = StatusCancelled
	require.Equal(t, "will_not_happen", CodeOf(CheckOverride(PlanJourney(f), f.Ground, Override{Verb: VerbFireNow, StepKey: twoDays})))
}
