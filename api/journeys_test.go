package api

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kept-practice/kept/internal/policy"
)

func (f *dayFixture) journey() JourneyView {
	f.t.Helper()
	var view JourneyView
	f.read(f.journeyPath("")).ok(&view)
	return view
}

func TestJourney_ShowsWhatComesAndWhyTheRestWillNot(t *testing.T) {
	t.Parallel()
	f := newDayFixture(t)
	j := f.journey()
	require.Equal(t, f.visit.ID, policy.ID(j.Appointment.ID))
	require.Equal(t, linkMonday, j.NowAt.UTC())
	require.Len(t, j.Subjects, 1)
	s := j.Subjects[0]
	require.Equal(t, "journey", s.Kind)
	require.Equal(t, j.ID.String(), s.ID)
	require.Equal(t, "http://127.0.0.1:8233/namespaces/kept/workflows/journey%2F"+f.visit.ID.String(), s.TemporalURL)
	require.Equal(t, "booked", s.Stage)
	byKey := map[string]StepView{}
	for _, step := range append(s.Due, s.Future...) {
		byKey[step.Key] = step
	}
	reminder := byKey["reminder/two_days/mail/v1"]
	require.Equal(t, "2031-03-04T10:00:00", reminder.Local)
	require.Equal(t, "SendMail", reminder.Kind)
	require.Equal(t, "two_days", reminder.Rule)
	reasons := map[string]policy.DropReason{}
	for _, d := range s.Not {
		reasons[d.Key] = d.Reason
		require.NotEmpty(t, d.Detail, d.Key)
	}
	require.Equal(t, policy.DropBookedInside, reasons["reminder/week/mail/v1"])
	require.NotEmpty(t, j.Journal)
	require.Equal(t, "appointment_booked", j.Journal[len(j.Journal)-1].Verb)
	require.Equal(t, ID[appointmentKind](f.visit.ID).String(), j.Journal[len(j.Journal)-1].ObjectID)

	var list List[JourneyListed]
	f.read("/v1/journeys").ok(&list)
	require.Len(t, list.Data, 1)
	require.Equal(t, j.ID, list.Data[0].ID)
	require.Empty(t, f.read("/v1/journeys?status=done").ok(&list).Body[:0])
	require.Empty(t, list.Data)
}

func TestJourney_StepSkipped_StandsInTheNewPlanWithItsReason(t *testing.T) {
	t.Parallel()
	f := newDayFixture(t)
	const key = "reminder/two_days/mail/v1"
	rung := len(f.waker.rings)
	var after JourneyView
	f.say(f.journeyPath("/verbs"), map[string]any{"verb": "skip", "step": key, "reason": "The client asked for it."}).ok(&after)
	require.Len(t, f.waker.rings, rung+1)
	found := false
	for _, d := range after.Subjects[0].Not {
		if d.Key == key {
			found = true
			require.Equal(t, policy.DropSkipped, d.Reason)
		}
	}
	require.True(t, found)
	require.Equal(t, "step_overridden", after.Journal[len(after.Journal)-1].Verb)
	require.Equal(t, "The client asked for it.", after.Journal[len(after.Journal)-1].Reason)

	f.say(f.journeyPath("/verbs"), `{"verb":"pause","reason":"Away."}`).ok(&after)
	p := f.say(f.journeyPath("/verbs"), `{"verb":"pause","reason":"Away."}`).refused(http.StatusConflict, "already_paused")
	require.Contains(t, p.Facts, "subjects")
	f.say(f.journeyPath("/verbs"), `{"verb":"resume","value":"skip","reason":"Back."}`).ok(&after)
}

func TestJourney_BadVerbs_ChangeNothing(t *testing.T) {
	t.Parallel()
	f := newDayFixture(t)
	before := f.facts()
	good := func(change ...func(map[string]any)) map[string]any {
		out := map[string]any{"verb": "skip", "step": "reminder/two_days/mail/v1", "reason": "So."}
		for _, c := range change {
			c(out)
		}
		return out
	}
	for _, c := range []struct {
		name   string
		body   any
		status int
		code   string
	}{
		{"unknown verb", good(set("verb", "drop")), 422, "not_a_choice"},
		{"no reason", good(set("reason", "")), 422, "too_short"},
		{"only spaces", good(set("reason", "   ")), 422, "empty"},
		{"a line break", good(set("reason", "a\nb")), 422, "line_break"},
		{"a NUL", good(set("reason", "a\u0000b")), 422, "control_character"},
		{"no step", map[string]any{"verb": "skip", "reason": "So."}, 422, "missing_step"},
		{"a step of nobody", good(set("step", "reminder/nobody/mail/v1")), 404, "step_not_found"},
		{"a step with a NUL", good(set("step", "reminder\u0000")), 422, "control_character"},
		{"another channel", good(set("verb", "reroute"), set("value", "pigeon")), 422, "invalid_channel"},
		{"nothing failed", good(set("verb", "retry")), 409, "not_failed"},
		{"nothing unknown", good(set("verb", "send_again")), 409, "not_unknown"},
		{"no collection yet", good(set("subject", "collection")), 404, "subject_not_found"},
		{"another subject", good(set("subject", "invoice")), 422, "not_a_choice"},
		{"an extra field", good(set("role", "owner")), 422, "unknown_field"},
		{"no body", "", 400, "empty_body"},
		{"doubled keys", `{"verb":"skip","verb":"pause","reason":"x"}`, 400, "duplicate_key"},
	} {
		a := f.say(f.journeyPath("/verbs"), c.body)
		require.Equal(t, c.status, a.Status, "%s: %s", c.name, a.Body)
		a.refused(c.status, c.code)
	}
	f.say("/v1/journeys/"+ID[appointmentKind](f.visit.ID).String()+"/verbs", good()).refused(404, "wrong_kind_of_id")
	f.say("/v1/journeys/"+ID[journeyKind](f.client).String()+"/verbs", good()).refused(404, "journey_not_found")
	require.Equal(t, before, f.facts())
}

func TestTestClock_AdvancesOnce_AndRefusesWhatItCannotReach(t *testing.T) {
	t.Parallel()
	f := newDayFixture(t)
	var clock TestClockView
	f.read("/v1/test-clock").ok(&clock)
	require.Equal(t, "ready", clock.Status)
	require.Equal(t, "2031-03-03T09:00:00", clock.NowLocal)
	before := f.facts()
	for body, code := range map[string]string{
		`{}`:                               "one_target",
		`{"by":"P1D","seconds":5}`:         "one_target",
		`{"to":"2031-03-03T08:59"}`:        "in_the_past",
		`{"to":"2034-03-03T09:01"}`:        "too_far",
		`{"by":"P3Y1D"}`:                   "too_far",
		`{"by":"PT0S"}`:                    "period_not_positive",
		`{"by":"six months"}`:              "invalid_period",
		`{"to":"tomorrow"}`:                "invalid_time",
		`{"to":"2031-03-09T02:30"}`:        "skipped_time",
		`{"seconds":-1}`:                   "out_of_range",
		`{"seconds":1e12}`:                 "out_of_range",
		`{"to":"2031-03-04T09:00Z","x":1}`: "unknown_field",
	} {
		f.say("/v1/test-clock/advance", body).refused(http.StatusUnprocessableEntity, code)
	}
	require.Equal(t, before, f.facts())
	a := f.say("/v1/test-clock/advance", `{"by":"P6M"}`).ok(&clock)
	require.Equal(t, http.StatusAccepted, a.Status)
	require.Equal(t, "advancing", clock.Status)
	require.Equal(t, "2031-09-03T13:00:00Z", clock.TargetAt.UTC().Format("2006-01-02T15:04:05Z"))
	f.say("/v1/test-clock/advance", `{"by":"P1D"}`).refused(http.StatusConflict, "clock_advancing")
	f.say("/v1/appointments", f.wanted()).refused(http.StatusConflict, "clock_advancing")
	f.say(f.visitPath("/confirm"), nil).refused(http.StatusConflict, "clock_advancing")

	f.exec(`update practices set mode = 'live'`)
	f.exec(`delete from test_clocks`)
	f.read("/v1/test-clock").refused(http.StatusConflict, "no_test_clock")
	f.say("/v1/test-clock/advance", `{"by":"P1D"}`).refused(http.StatusConflict, "no_test_clock")
}
