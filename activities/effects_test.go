package activities_test

import (
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kept-practice/kept/internal/desk"
	"github.com/kept-practice/kept/internal/gateway"
	"github.com/kept-practice/kept/internal/policy"
	"github.com/kept-practice/kept/internal/proof"
)

var (
	throttled = gateway.Outcome{State: gateway.Refused, Code: "429"}
	unclear   = gateway.Outcome{State: gateway.Unclear, Code: gateway.CodeTimeout}
	rejected  = gateway.Outcome{State: gateway.Refused, Final: true, Code: "400"}
)

// confirming is a house in which the confirmation of a visit is due now.
func confirming(t *testing.T) (*house, desk.Booked, policy.Step) {
	t.Helper()
	h := newHouse(t)
	booked := h.book("2027-03-15", 2)
	return h, booked, h.due(booked.Journey)
}

func TestEffect_NoRow_ClaimsCallsAndRecords(t *testing.T) {
	h, booked, step := confirming(t)
	require.Equal(t, "confirmation/booked/mail/v1", step.Key)
	h.step(booked.Journey, step)
	require.Equal(t, effectRow{State: "accepted", Final: true, Attempt: 1}, h.effect(step.Key))
	require.Len(t, h.post.mails, 1)
	require.Equal(t, 1, h.scalar(`select count(*) from messages m join effects e on e.object_id = m.id and e.reference = m.gateway_id where m.status = 'sent'`))
	require.Equal(t, 1, h.scalar(`select count(*) from journal where verb = 'step_done' and after ->> 'key' = $1`, step.Key))
	h.settle(booked.Journey)
	h.sound()
}

func TestEffect_AcceptedRepeated_CallsOnce(t *testing.T) {
	h, booked, step := confirming(t)
	for range 5 {
		h.step(booked.Journey, step)
	}
	require.Len(t, h.post.mails, 1)
	require.Equal(t, 1, h.scalar(`select count(*) from messages`))
}

func TestEffect_FailedNotDue_WaitsForItsTime_ThenGoesOnce(t *testing.T) {
	h, booked, step := confirming(t)
	h.answers("mail", throttled)
	require.True(t, h.step(booked.Journey, step), "the run looks again")
	require.Equal(t, effectRow{State: "failed", Reason: "429", Attempt: 1}, h.effect(step.Key))

	h.post.answer = nil
	require.True(t, h.step(booked.Journey, step))
	require.Empty(t, h.post.mails, "its next attempt is not due")
	plan := h.plan(booked.Journey)
	require.Empty(t, plan.Due)
	require.NotNil(t, plan.RetryAt)
	require.WithinDuration(t, plan.RealNow.Add(2*time.Second), *plan.RetryAt, time.Second)

	h.age("3 seconds")
	h.settle(booked.Journey)
	require.Len(t, h.post.mails, 1)
	require.Equal(t, effectRow{State: "accepted", Final: true, Attempt: 2}, h.effect(step.Key))
	h.sound()
}

func TestEffect_FailedThenRetried_GoesAtOnce(t *testing.T) {
	h, booked, step := confirming(t)
	h.answers("mail", throttled)
	h.step(booked.Journey, step)
	h.post.answer = nil
	h.override(booked.Journey, policy.VerbRetry, step.Key)
	h.settle(booked.Journey)
	require.Len(t, h.post.mails, 1)
}

func TestEffect_RetriedOnAClockThatStandsStill_OneMoreAttempt(t *testing.T) {
	h, booked, step := confirming(t)
	h.answers("mail", throttled)
	h.step(booked.Journey, step)
	for n := 2; n <= 4; n++ {
		h.override(booked.Journey, policy.VerbRetry, step.Key)
		h.settle(booked.Journey)
		require.Equal(t, n, h.effect(step.Key).Attempt)
	}
	require.Empty(t, h.plan(booked.Journey).Due)
}

func TestEffect_FailedThenCancelled_EndsRefusedWithTheReason(t *testing.T) {
	h, booked, step := confirming(t)
	h.answers("mail", throttled)
	h.step(booked.Journey, step)
	h.post.answer = nil
	h.status(booked.Appointment.ID, policy.VerbCancel, "client asked")
	h.age("1 hour")
	require.True(t, h.step(booked.Journey, step), "the attempt that was on its way")
	require.Equal(t, effectRow{State: "refused", Reason: "cancelled: the visit is cancelled", Final: true, Attempt: 1}, h.effect(step.Key))
	require.Empty(t, h.post.mails)
	require.True(t, h.settle(booked.Journey).Done)
	h.sound()
}

func TestEffect_FailedThenCancelled_ThePlanAloneEndsIt(t *testing.T) {
	h, booked, step := confirming(t)
	h.answers("mail", throttled)
	h.step(booked.Journey, step)
	h.post.answer = nil
	h.status(booked.Appointment.ID, policy.VerbCancel, "client asked")
	require.True(t, h.plan(booked.Journey).Done)
	require.Equal(t, "refused", h.effect(step.Key).State)
	h.plan(booked.Journey)
	require.Equal(t, 1, h.scalar(`select count(*) from journal where verb = 'step_dropped' and after ->> 'key' = $1`, step.Key))
	h.sound()
}

func TestEffect_ClaimedCallAhead_SecondAttemptWaits(t *testing.T) {
	h, booked, step := confirming(t)
	h.crash(booked.Journey, step)
	require.Equal(t, "claimed", h.effect(step.Key).State)
	require.True(t, h.step(booked.Journey, step))
	require.Empty(t, h.post.mails)
	plan := h.plan(booked.Journey)
	require.Empty(t, plan.Due)
	require.NotNil(t, plan.RetryAt, "looked at again after its call must be over")
}

func TestEffect_MailClaimedAndOver_IsUnknownThenATaskThenSentAgain(t *testing.T) {
	h, booked, step := confirming(t)
	h.crash(booked.Journey, step)
	h.age("12 seconds")
	plan := h.settle(booked.Journey)
	require.Equal(t, "unknown", h.effect(step.Key).State)
	require.Empty(t, h.post.mails, "what may have gone out is never sent again by itself")
	require.Equal(t, 1, h.scalar(`select count(*) from messages where status = 'unknown'`))
	require.Empty(t, h.openTasks(), "an event may still tell")

	require.NotNil(t, plan.WakeAt)
	require.Equal(t, 24*time.Hour, plan.WakeAt.Sub(h.now()).Round(time.Hour))
	h.until(booked.Journey, plan.WakeAt.Format(time.RFC3339))
	require.Equal(t, []string{"outcome_unknown"}, h.openTasks())

	h.override(booked.Journey, policy.VerbSendAgain, step.Key)
	h.settle(booked.Journey)
	require.Len(t, h.post.mails, 1)
	require.Equal(t, "accepted", h.effect(step.Key+"/again1").State)
	require.Equal(t, "staff said so", h.effect(step.Key+"/again1").Exempt)
	require.Equal(t, "unknown", h.effect(step.Key).State, "the first outcome stays unknown")
	require.Empty(t, h.openTasks(), "the task closes with its cause")
	h.sound()
}

func TestEffect_UnknownReminder_IsATaskByTheStartOfTheVisit(t *testing.T) {
	h := newHouse(t)
	booked := h.bookAt("2027-03-15", 2, 14)
	step := h.due(booked.Journey)
	for step.Rule != "two_hours" {
		h.step(booked.Journey, step)
		step = h.due(booked.Journey)
	}
	h.crash(booked.Journey, step)
	h.age("12 seconds")
	h.settle(booked.Journey)
	require.Equal(t, "unknown", h.effect(step.Key).State)
	h.setClock(booked.Appointment.StartsAt.Add(-time.Minute).Format(time.RFC3339))
	h.settle(booked.Journey)
	require.NotContains(t, h.openTasks(), "outcome_unknown", "an event may still tell")
	h.until(booked.Journey, booked.Appointment.StartsAt.UTC().Format(time.RFC3339))
	require.Contains(t, h.openTasks(), "outcome_unknown")
}

func TestEffect_MailUnclear_IsUnknownAtOnce(t *testing.T) {
	h, booked, step := confirming(t)
	h.answers("mail", unclear)
	require.True(t, h.step(booked.Journey, step))
	require.Equal(t, effectRow{State: "unknown", Reason: "timeout", Final: true, Attempt: 1}, h.effect(step.Key))
	h.post.answer = nil
	h.step(booked.Journey, step)
	require.Empty(t, h.post.mails)
}

func TestEffect_RefusedForGood_IsATaskAndRetryGivesItsOwnKey(t *testing.T) {
	h, booked, step := confirming(t)
	h.answers("mail", rejected)
	h.step(booked.Journey, step)
	h.post.answer = nil
	h.settle(booked.Journey)
	require.Equal(t, effectRow{State: "failed", Reason: "400", Final: true, Attempt: 1}, h.effect(step.Key))
	require.Equal(t, []string{"send_failed"}, h.openTasks())
	h.override(booked.Journey, policy.VerbRetry, step.Key)
	h.settle(booked.Journey)
	require.Equal(t, "accepted", h.effect(step.Key+"/again1").State)
	require.Empty(t, h.openTasks())
	h.sound()
}

func TestEffect_CancelledBetweenPlanAndClaim_NothingIsSent(t *testing.T) {
	h, booked, step := confirming(t)
	h.status(booked.Appointment.ID, policy.VerbCancel, "client asked")
	require.True(t, h.step(booked.Journey, step), "the run plans anew")
	require.Equal(t, effectRow{State: "refused", Reason: "cancelled: the visit is cancelled", Final: true, Attempt: 1}, h.effect(step.Key))
	require.Empty(t, h.post.mails)
	require.Equal(t, 0, h.scalar(`select count(*) from messages`))
	require.Equal(t, 1, h.scalar(`select count(*) from journal where verb = 'step_dropped' and reason like 'cancelled%'`))
	h.settle(booked.Journey)
	h.sound()
}

func TestEffect_OptedOutBetweenPlanAndClaim_NothingIsSent(t *testing.T) {
	h, booked, step := confirming(t)
	_, err := h.desk.OptOut(t.Context(), h.by, desk.OptOutInput{Channel: policy.ChannelMail, Address: "zoe@example.org", Purpose: "all", Source: "phone"})
	require.NoError(t, err)
	require.True(t, h.step(booked.Journey, step))
	require.Empty(t, h.post.mails)
	require.Equal(t, "refused", h.effect(step.Key).State)
	h.settle(booked.Journey)
	require.Len(t, h.post.texts, 1, "the client can still be reached by text")
	h.sound()
}

func TestEffect_MovedBetweenPlanAndClaim_TheOldVersionIsNotSent(t *testing.T) {
	h, booked, step := confirming(t)
	_, err := h.desk.Move(t.Context(), h.by, desk.MoveInput{Appointment: booked.Appointment.ID, StartsAt: booked.Appointment.StartsAt.Add(24 * time.Hour).Format(time.RFC3339)})
	require.NoError(t, err)
	require.True(t, h.step(booked.Journey, step))
	require.Empty(t, h.post.mails)
	require.Contains(t, h.effect(step.Key).Reason, "superseded")
}

func TestEffect_TwentyAttemptsAtOnce_OneCall(t *testing.T) {
	h, booked, step := confirming(t)
	var (
		all    sync.WaitGroup
		failed = make(chan error, 20)
	)
	for range 20 {
		all.Go(func() {
			_, err := h.attempt(booked.Journey, step)
			failed <- err
		})
	}
	all.Wait()
	close(failed)
	for err := range failed {
		require.NoError(t, err)
	}
	require.Len(t, h.post.mails, 1)
	require.Equal(t, 1, h.scalar(`select count(*) from effects where key = $1`, step.Key))
	h.settle(booked.Journey)
	h.sound()
}

func TestEffect_ConnectionsLostDuringTheCall_TheOutcomeIsStillRecorded(t *testing.T) {
	h, booked, step := confirming(t)
	h.post.answer = func(string) gateway.Outcome {
		h.exec(`select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()`)
		return gateway.Outcome{}
	}
	h.step(booked.Journey, step)
	require.Equal(t, "accepted", h.effect(step.Key).State)
	require.Len(t, h.post.mails, 1)
	h.post.answer = nil
	h.settle(booked.Journey)
	h.sound()
}

func TestEffect_EventBeforeTheAnswer_TheAttemptFindsItSettled(t *testing.T) {
	h, booked, step := confirming(t)
	h.post.answer = func(string) gateway.Outcome {
		id := h.lastMessage()
		_, err := h.desk.ApplyMessage(t.Context(), h.practice.ID, desk.MessageNews{Message: id, Status: "delivered", GatewayID: "mail-" + id.String()})
		require.NoError(t, err)
		return unclear
	}
	h.step(booked.Journey, step)
	h.post.answer = nil
	require.Equal(t, "accepted", h.effect(step.Key).State)
	require.Equal(t, 1, h.scalar(`select count(*) from messages where status = 'delivered'`))
	h.settle(booked.Journey)
	h.sound()
}

func TestEffect_ThreeUnknownsInARow_PauseTheChannelUntilResumed(t *testing.T) {
	h := newHouse(t)
	h.answers("mail", unclear)
	var journeys []policy.Subject
	for range 4 {
		journeys = append(journeys, h.book("2027-03-15", 2).Journey)
	}
	for _, s := range journeys[:3] {
		h.step(s, h.due(s))
	}
	require.Equal(t, 1, h.scalar(`select count(*) from channel_pauses where channel = 'mail' and resumed_at is null`))
	require.Equal(t, []string{"channel_paused"}, h.openTasks())

	h.post.answer = nil
	held := h.plan(journeys[3])
	require.Empty(t, held.Due)
	require.False(t, held.Done)
	require.Empty(t, h.post.mails)
	h.step(journeys[3], policy.Step{Key: "confirmation/booked/mail/v1", Kind: policy.StepSendMail, Channel: policy.ChannelMail})
	require.Empty(t, h.post.mails, "an attempt under way finds the channel paused")

	rung, err := h.desk.ResumeChannel(t.Context(), h.by, policy.ChannelMail, "SendGrid answers again")
	require.NoError(t, err)
	require.Equal(t, 4, rung)
	h.settle(journeys[3])
	require.Len(t, h.post.mails, 1)
	h.answers("mail", unclear)
	more := h.book("2027-03-15", 2).Journey
	h.step(more, h.due(more))
	require.Equal(t, 0, h.scalar(`select count(*) from channel_pauses where resumed_at is null`), "unknowns before the resume count no more")
}

func TestEffect_ThreeUnknownsAtOneInstant_PauseTheChannel(t *testing.T) {
	h := newHouse(t)
	var asked, judged sync.WaitGroup
	asked.Add(3)
	judged.Add(1)
	h.post.answer = func(string) gateway.Outcome {
		asked.Done()
		judged.Wait()
		return unclear
	}
	failed := make(chan error, 3)
	for range 3 {
		journey := h.book("2027-03-15", 2).Journey
		step := h.due(journey)
		go func() {
			_, err := h.attempt(journey, step)
			failed <- err
		}()
	}
	asked.Wait()
	door := proof.Connect(t, h.store)
	_, err := door.Exec(t.Context(), `begin; lock table journal in share mode`) // nobody gets past the counting
	require.NoError(t, err)
	judged.Done()
	require.Eventually(t, func() bool {
		return h.scalar(`select count(*) from pg_locks where not granted and database = (select oid from pg_database where datname = current_database())`) == 3
	}, 20*time.Second, 2*time.Millisecond)
	_, err = door.Exec(t.Context(), `rollback`)
	require.NoError(t, err)
	for range 3 {
		require.NoError(t, <-failed)
	}
	require.Equal(t, 1, h.scalar(`select count(*) from channel_pauses where channel = 'mail' and resumed_at is null`))
	require.Equal(t, []string{"channel_paused"}, h.openTasks())
}

func TestNews_LateEvent_SettlesAnUnknownEffectAndItsTask(t *testing.T) {
	h, booked, step := confirming(t)
	h.answers("mail", unclear)
	h.step(booked.Journey, step)
	h.post.answer = nil
	plan := h.settle(booked.Journey)
	h.until(booked.Journey, plan.WakeAt.Format(time.RFC3339))
	require.Equal(t, []string{"outcome_unknown"}, h.openTasks())

	rung, err := h.desk.ApplyMessage(t.Context(), h.practice.ID, desk.MessageNews{Message: h.lastMessage(), Status: "delivered", GatewayID: "late"})
	require.NoError(t, err)
	require.Equal(t, []policy.Subject{booked.Journey}, rung)
	require.Equal(t, effectRow{State: "accepted", Reason: "an event says so", Final: true, Attempt: 1}, h.effect(step.Key))
	h.settle(booked.Journey)
	require.Empty(t, h.openTasks())
	again, err := h.desk.ApplyMessage(t.Context(), h.practice.ID, desk.MessageNews{Message: h.lastMessage(), Status: "sent", GatewayID: "late"})
	require.NoError(t, err)
	require.Empty(t, again, "an older event changes nothing")
	h.sound()
}

func TestNews_Bounce_ClosesTheAddressOpensATaskAndLeavesTheOtherChannel(t *testing.T) {
	h, booked, step := confirming(t)
	h.step(booked.Journey, step)
	for range 3 {
		_, err := h.desk.ApplyMessage(t.Context(), h.practice.ID, desk.MessageNews{Message: h.lastMessage(), Status: "bounced", GatewayID: "x"})
		require.NoError(t, err)
	}
	require.Equal(t, 1, h.scalar(`select count(*) from contact_points where channel = 'mail' and closed_reason = 'bounced'`))
	require.Equal(t, []string{"undelivered"}, h.openTasks())
	h.until(booked.Journey, booked.Appointment.StartsAt.UTC().Format(time.RFC3339))
	require.Len(t, h.post.mails, 1)
	require.NotEmpty(t, h.post.texts, "reminders go by text")
	h.sound()
}

func TestEffect_CarrierKnowsOfAStop_OptsTheNumberOut(t *testing.T) {
	h := newHouse(t)
	h.exec(`update clients set prefers = 'sms'`)
	h.answers("sms", gateway.Outcome{State: gateway.Refused, Final: true, Code: "21610"})
	booked := h.book("2027-03-15", 2)
	h.step(booked.Journey, h.due(booked.Journey))
	require.Equal(t, 1, h.scalar(`select count(*) from opt_outs where channel = 'sms' and address = '+442079460101' and source = 'carrier'`))
	h.until(booked.Journey, booked.Appointment.StartsAt.UTC().Format(time.RFC3339))
	require.Empty(t, h.post.texts)
	require.NotEmpty(t, h.post.mails, "reminders go by mail")
	h.sound()
}

// lastMessage is the newest message that was written.
func (h *house) lastMessage() (id policy.ID) {
	h.t.Helper()
	require.NoError(h.t, h.super.QueryRow(h.t.Context(), `select id from messages order by id desc limit 1`).Scan(&id))
	return id
}

func TestEffect_AnswerToTheClientAtNight_GoesAndSaysWhyQuietHoursDoNotBind(t *testing.T) {
	h := newHouse(t)
	h.setClock("2027-03-01T22:00:00Z")
	free, err := h.desk.FreeTimes(t.Context(), h.practice.ID, desk.FreeInput{
		Service: h.practice.Services[2], Location: h.practice.Locations[0], From: policy.MustLocalDate("2027-03-15"), Days: 7,
	})
	require.NoError(t, err)
	booked, err := h.desk.Book(t.Context(), policy.Principal{Kind: policy.ByClient, Practice: h.practice.ID, Client: &h.client}, desk.BookInput{
		Client: h.client, Service: h.practice.Services[2], Provider: free[0].Provider, Location: h.practice.Locations[0],
		StartsAt: free[0].StartsAt.Format(time.RFC3339), Source: desk.SourceLink,
	})
	require.NoError(t, err)
	step := h.due(booked.Journey)
	h.step(booked.Journey, step)
	require.Equal(t, effectRow{State: "accepted", Exempt: "answers the client", Final: true, Attempt: 1}, h.effect(step.Key))
	require.Equal(t, "2027-03-01T22:03:00Z", h.now().Format(time.RFC3339))
	h.settle(booked.Journey)
	h.sound()
}

func TestEffect_BookedByStaffAtNight_IsToldInTheMorning(t *testing.T) {
	h := newHouse(t)
	h.setClock("2027-03-01T22:00:00Z")
	booked := h.book("2027-03-15", 2)
	h.due(booked.Journey)
	require.Equal(t, "2027-03-02T09:00:00Z", h.now().Format(time.RFC3339))
}
