package desk_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kept-practice/kept/db"
	"github.com/kept-practice/kept/internal/desk"
	"github.com/kept-practice/kept/internal/policy"
)

func message(id, when string) policy.Rule {
	return policy.Rule{ID: id, Act: policy.ActMessage, When: policy.MustLead(when)}
}

// reminders is the practice's own reminder cadence.
func (o *office) reminders() policy.ID {
	o.t.Helper()
	rows, err := o.store.In(o.made.ID).CadenceList(o.t.Context(), o.made.ID)
	require.NoError(o.t, err)
	for _, r := range rows {
		if r.Kind == policy.KindJourney {
			return r.ID
		}
	}
	o.t.Fatal("no reminders")
	return policy.ID{}
}

func (o *office) draft(rules ...policy.Rule) db.CadenceVersion {
	o.t.Helper()
	v, err := o.DraftCadence(o.t.Context(), o.by, o.reminders(), rules)
	require.NoError(o.t, err)
	return v
}

// steps are the times at which a journey's reminders will go, by rule.
func (o *office) steps(appointment policy.ID) map[string]time.Time {
	o.t.Helper()
	look, err := desk.Look(o.t.Context(), o.store.In(o.made.ID), policy.Subject{Practice: o.made.ID, Kind: policy.KindJourney, ID: appointment})
	require.NoError(o.t, err)
	out := map[string]time.Time{}
	for _, s := range append(append([]policy.Step{}, look.Outlook.Due...), look.Outlook.Future...) {
		if s.Rule != policy.RuleConfirmation {
			out[s.Rule] = s.At
		}
	}
	return out
}

func TestCadence_PreviewAndAdoption_MoveWhatLiesAheadAndRepeatNothing(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	client := o.newClient("Casey", "Client", desk.ClientInput{Mail: "casey@example.org"}).ID
	far := o.book(client, o.made.Services[1], 20, 60).Appointment.ID // in the afternoon, far from quiet hours
	near := o.book(client, o.made.Services[1], 8, 60).Appointment
	cancelled := o.book(client, o.made.Services[1], 9, 60).Appointment.ID
	_, err := o.SetStatus(t.Context(), o.by, desk.StatusInput{Appointment: cancelled, Verb: policy.VerbCancel, Reason: "no"})
	require.NoError(t, err)
	// The near visit's first reminder went out; three days are left.
	o.setClock(near.StartsAt.Add(-72 * time.Hour))
	o.exec(`insert into effects (practice_id, subject_kind, subject_id, key, kind, state, final, channel, claimed_for)
		values ($1, 'journey', $2, 'reminder/week/mail/v1', 'SendMail', 'accepted', true, 'mail', $3)`, o.made.ID, near.ID, o.now())
	require.Equal(t, []string{"two_days", "two_hours"}, keys(o.steps(near.ID)))

	// Two days become one, two hours vanish, the week stays; five days and one hour come in addition.
	draft := o.draft(message("week", "-7d"), message("two_days", "-1d"), message("five_days", "-5d"), message("hour", "-1h"))
	before := o.count(`select count(*) from journal`)
	preview, err := o.PreviewCadence(t.Context(), o.made.ID, draft.ID)
	require.NoError(t, err)
	require.Equal(t, desk.Preview{Journeys: 2, Change: 2, Move: 2, Vanish: 2, Appear: 3, Late: 1, Moves: preview.Moves}, preview)
	require.Len(t, preview.Moves, 7)
	require.Equal(t, before, o.count(`select count(*) from journal`), "a preview writes nothing")

	o.rings()
	published, err := o.PublishCadence(t.Context(), o.by, desk.PublishInput{Version: draft.ID, Adopt: desk.AdoptFuture})
	require.NoError(t, err)
	require.Equal(t, desk.AdoptionRunning, published.Adoption.State)
	require.Zero(t, o.rings(), "the call moves nothing itself")
	adopted := o.adopt(published)
	require.Equal(t, 2, o.rings())
	require.Equal(t, preview, told(adopted, preview.Moves), "what the preview said is what was done")
	got := o.steps(near.ID)
	require.Equal(t, []string{"hour", "two_days"}, keys(got), "five days have passed, the week was sent")
	require.Equal(t, near.StartsAt.Add(-24*time.Hour).UTC(), got["two_days"])
	require.Equal(t, []string{"five_days", "hour", "two_days", "week"}, keys(o.steps(far)))
	require.Equal(t, 1, o.count(`select count(*) from overrides where subject_id = $1 and verb = 'skip' and step_key = 'reminder/five_days/mail/v1'`, near.ID))

	again, err := o.PublishCadence(t.Context(), o.by, desk.PublishInput{Version: draft.ID, Adopt: desk.AdoptFuture})
	require.NoError(t, err, "a publish may be repeated")
	require.Zero(t, again.Adoption.Journeys)
	require.Zero(t, o.adopt(again).Moved)
	require.Equal(t, 2, o.count(`select count(*) from journal where verb = 'cadence_adopted'`))
	next := o.book(client, o.made.Services[1], 10, 3).Appointment
	require.Equal(t, draft.ID, next.CadenceVersionID)
}

func keys(m map[string]time.Time) []string {
	out := []string{}
	for _, k := range []string{"five_days", "hour", "two_days", "two_hours", "week"} {
		if _, ok := m[k]; ok {
			out = append(out, k)
		}
	}
	return out
}

func TestCadence_NewOnlyAndSelected_LeaveTheOthers(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	client := o.newClient("Casey", "Client", desk.ClientInput{Mail: "casey@example.org"}).ID
	one := o.book(client, o.made.Services[1], 20, 40).Appointment
	two := o.book(client, o.made.Services[1], 20, 60).Appointment
	draft := o.draft(message("two_days", "-2d"))
	published, err := o.PublishCadence(t.Context(), o.by, desk.PublishInput{Version: draft.ID, Adopt: desk.AdoptNone})
	require.NoError(t, err)
	require.Nil(t, published.Adoption)
	require.Len(t, o.steps(one.ID), 3)

	published, err = o.PublishCadence(t.Context(), o.by, desk.PublishInput{Version: draft.ID, Adopt: desk.AdoptSelected, Journeys: []policy.ID{two.ID}})
	require.NoError(t, err)
	require.EqualValues(t, 1, o.adopt(published).Moved)
	require.Len(t, o.steps(one.ID), 3)
	require.Len(t, o.steps(two.ID), 1)
	_, err = o.PublishCadence(t.Context(), o.by, desk.PublishInput{Version: draft.ID, Adopt: desk.AdoptSelected, Journeys: []policy.ID{o.made.Services[0]}})
	refused(t, err, policy.NotFound, "journey_not_found", "/journeys/0")
	_, err = o.PublishCadence(t.Context(), o.by, desk.PublishInput{Version: draft.ID, Adopt: desk.AdoptFuture, Journeys: []policy.ID{two.ID}})
	refused(t, err, policy.Invalid, "selection", "/journeys")
}

// A cadence for one service takes over that service's journeys and nobody else's.
func TestCadence_ForAService_ConcernsItsJourneysOnly(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	client := o.newClient("Casey", "Client", desk.ClientInput{Mail: "casey@example.org"}).ID
	mine := o.book(client, o.made.Services[2], 20, 0).Appointment
	other := o.book(client, o.made.Services[1], 20, 40).Appointment
	v, err := o.CreateCadence(t.Context(), o.by, desk.CadenceInput{Kind: policy.KindJourney, Name: "Check-ups", Service: &o.made.Services[2], Rules: []policy.Rule{message("two_days", "-3d")}})
	require.NoError(t, err)
	preview, err := o.PreviewCadence(t.Context(), o.made.ID, v.ID)
	require.NoError(t, err)
	require.Equal(t, 1, preview.Journeys)
	published, err := o.PublishCadence(t.Context(), o.by, desk.PublishInput{Version: v.ID, Adopt: desk.AdoptFuture})
	require.NoError(t, err)
	o.adopt(published)
	require.Equal(t, []string{"two_days"}, keys(o.steps(mine.ID)))
	require.Len(t, o.steps(other.ID), 3)

	general := o.draft(message("week", "-7d"))
	preview, err = o.PreviewCadence(t.Context(), o.made.ID, general.ID)
	require.NoError(t, err)
	require.Equal(t, 1, preview.Journeys, "the more specific one keeps its own")
	_, err = o.CreateCadence(t.Context(), o.by, desk.CadenceInput{Kind: policy.KindJourney, Name: "Again", Service: &o.made.Services[2]})
	refused(t, err, policy.Conflict, "cadence_exists")
	require.NoError(t, o.ArchiveCadence(t.Context(), o.by, v.CadenceID))
	refused(t, o.ArchiveCadence(t.Context(), o.by, o.reminders()), policy.Conflict, "cadence_needed")
}

func TestCadence_BadInput(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	for name, bad := range map[string]struct {
		rules []policy.Rule
		code  string
	}{
		"BAD-O1 zero days":        {[]policy.Rule{{ID: "x", Act: policy.ActMessage}}, "not_before"},
		"BAD-O1 after the visit":  {[]policy.Rule{{ID: "x", Act: policy.ActMessage, When: policy.Lead{Days: -1}}}, "not_before"},
		"BAD-O1 in 10^9 days":     {[]policy.Rule{{ID: "x", Act: policy.ActMessage, When: policy.Lead{Days: 1_000_000_000}}}, "lead_too_long"},
		"two of one id":           {[]policy.Rule{message("x", "-1d"), message("x", "-2d")}, "duplicate_rule_id"},
		"odd id":                  {[]policy.Rule{message("X/../y", "-1d")}, "invalid_rule_id"},
		"a charge as reminder":    {[]policy.Rule{{ID: "x", Act: policy.ActCharge, When: policy.MustLead("-1d")}}, "invalid_act"},
		"a pigeon":                {[]policy.Rule{{ID: "x", Act: policy.ActMessage, When: policy.MustLead("-1d"), Channels: []string{"pigeon"}}}, "invalid_channel"},
		"too many":                {make([]policy.Rule, 21), "too_many_rules"},
		"BAD-X4 title with break": {[]policy.Rule{{ID: "x", Act: policy.ActMessage, When: policy.MustLead("-1d"), Title: "a\nb"}}, "line_break"},
	} {
		_, err := o.DraftCadence(t.Context(), o.by, o.reminders(), bad.rules)
		require.Equal(t, bad.code, policy.CodeOf(err), "%s: %v", name, err)
	}
	draft := o.draft(message("x", "-1d"))
	_, err := o.DraftCadence(t.Context(), o.by, o.reminders(), nil)
	refused(t, err, policy.Conflict, "draft_exists")
	_, err = o.EditCadence(t.Context(), o.by, desk.CadenceEdit{ID: draft.ID, Version: 1, Rules: []policy.Rule{message("x", "-3d")}})
	require.NoError(t, err)
	_, err = o.PublishCadence(t.Context(), o.by, desk.PublishInput{Version: draft.ID, Adopt: desk.AdoptNone})
	require.NoError(t, err)
	_, err = o.EditCadence(t.Context(), o.by, desk.CadenceEdit{ID: draft.ID, Version: 2})
	refused(t, err, policy.Conflict, "already_published")
	_, err = o.PublishCadence(t.Context(), o.by, desk.PublishInput{Version: draft.ID, Adopt: "everybody"})
	refused(t, err, policy.Invalid, "not_a_choice", "/adopt")
	_, err = o.PublishCadence(t.Context(), o.by, desk.PublishInput{Version: o.foreign.ID, Adopt: desk.AdoptNone})
	refused(t, err, policy.NotFound, "cadence_version_not_found")
	_, err = o.PreviewCadence(t.Context(), o.foreign.ID, draft.ID)
	refused(t, err, policy.NotFound, "cadence_version_not_found")
}
