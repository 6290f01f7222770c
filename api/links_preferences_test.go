package api

import (
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kept-practice/kept/internal/desk"
	"github.com/kept-practice/kept/internal/policy"
)

const casePhone = "+12025550123"

// choosing is a link fixture whose client has a number besides the mail address and likes texts better.
type choosing struct {
	*linkFixture
	path string
}

func newChoosing(t *testing.T) choosing {
	t.Helper()
	f := newLinkFixture(t)
	_, err := f.desk.AddContact(t.Context(), f.staff(), f.client, policy.ChannelSMS, casePhone)
	require.NoError(t, err)
	f.exec(`update clients set prefers = 'sms' where id = $1`, f.client)
	return choosing{f, "/l/" + f.mint(desk.LinkPreferences, policy.KindJourney, f.visit.ID, 0, linkMonday.Add(365*24*time.Hour))}
}

// save opens the page, sets the ticks to those named and saves.
func (c choosing) save(ticks ...string) answer {
	c.t.Helper()
	return c.post(c.path, c.ticked(ticks...))
}

func (c choosing) ticked(ticks ...string) url.Values {
	c.t.Helper()
	form := c.withNonce(c.path, nil)
	link := c.opened()
	for _, p := range link.Preferences {
		if p.State != desk.PreferenceLocked {
			form.Set("was."+p.Purpose+"."+p.Channel, p.State)
		}
	}
	for _, tick := range ticks {
		form.Set(tick, "yes")
	}
	return form
}

func (c choosing) opened() desk.Link {
	c.t.Helper()
	link, err := c.desk.OpenLink(c.t.Context(), c.path[len("/l/"):])
	require.NoError(c.t, err)
	return link
}

func (c choosing) states() map[string]string {
	c.t.Helper()
	out := map[string]string{}
	for _, p := range c.opened().Preferences {
		out[p.Purpose+"."+p.Channel] = p.State
	}
	return out
}

func (c choosing) text(body string) {
	c.t.Helper()
	_, err := c.desk.ApplyText(c.t.Context(), c.practice.ID, casePhone, body)
	require.NoError(c.t, err)
}

// reminders are the channels of the reminders to come, and the reasons of those that will not.
func (c choosing) reminders() (channels, dropped []string) {
	c.t.Helper()
	look, err := desk.Look(c.t.Context(), c.store.In(c.practice.ID), policy.Subject{Practice: c.practice.ID, Kind: policy.KindJourney, ID: c.visit.ID})
	require.NoError(c.t, err)
	for _, s := range look.Outlook.Future {
		if s.Channel != "" {
			channels = append(channels, s.Channel)
		}
	}
	for _, n := range look.Outlook.Not {
		if n.Step.Channel != "" {
			dropped = append(dropped, string(n.Reason))
		}
	}
	return channels, dropped
}

func TestPreferences_C13_EachPurposeIsChosenByItself(t *testing.T) {
	t.Parallel()
	c := newChoosing(t)
	page := c.get(c.path).Body
	require.Contains(t, page, "E-mail to c•••@example.org")
	require.Contains(t, page, "Text to ••• 0123")
	rung := len(c.waker.rings)
	saved := c.save("service.mail", "service.sms", "recall.sms")
	require.Equal(t, http.StatusSeeOther, saved.Status, saved.Body)
	require.Equal(t, c.path+"?saved=1", saved.Header.Get("Location"))
	require.Contains(t, c.get(c.path+"?saved=1").Body, "Saved. This is what we send you from now on.")
	require.Equal(t, map[string]string{"service.mail": "on", "service.sms": "on", "recall.mail": "off", "recall.sms": "on"}, c.states())
	require.Equal(t, 1, c.count(`select count(*) from journal where verb = 'client_opted_out' and actor_kind = 'client'`))
	require.Contains(t, c.waker.rings[rung:], policy.Subject{Practice: c.practice.ID, Kind: policy.KindJourney, ID: c.visit.ID})

	before := c.count(`select count(*) from journal`)
	require.Equal(t, http.StatusSeeOther, c.save("service.mail", "service.sms", "recall.sms").Status, "the page can be used again")
	require.Equal(t, before, c.count(`select count(*) from journal`), "and what stands is no news")
	require.Equal(t, http.StatusSeeOther, c.save("service.mail", "service.sms", "recall.mail", "recall.sms").Status)
	require.Equal(t, map[string]string{"service.mail": "on", "service.sms": "on", "recall.mail": "on", "recall.sms": "on"}, c.states())
	require.Zero(t, c.count(`select count(*) from opt_outs where lifted_at is null`))
}

func TestPreferences_C13_TextsStopped_NextScheduledTextFallsBackToMail(t *testing.T) {
	t.Parallel()
	c := newChoosing(t)
	channels, _ := c.reminders()
	require.NotEmpty(t, channels)
	require.NotContains(t, channels, policy.ChannelMail)
	c.save("service.mail", "recall.mail", "recall.sms")
	after, _ := c.reminders()
	require.Len(t, after, len(channels))
	require.NotContains(t, after, policy.ChannelSMS)
	c.save("recall.mail", "recall.sms")
	none, dropped := c.reminders()
	require.Empty(t, none)
	require.Contains(t, dropped, string(policy.DropOptedOut))
}

func TestPreferences_C13_StopByText_HoldsUntilStartOrAPageThatSaysSo(t *testing.T) {
	t.Parallel()
	c := newChoosing(t)
	stale := c.ticked("service.mail", "service.sms", "recall.mail") // shown before the text came
	c.text("STOP")
	require.Equal(t, http.StatusSeeOther, c.post(c.path, stale).Status)
	require.Equal(t, map[string]string{"service.mail": "on", "service.sms": "stopped", "recall.mail": "on", "recall.sms": "stopped"}, c.states(), "a page left open lifts nothing")
	channels, _ := c.reminders()
	require.NotContains(t, channels, policy.ChannelSMS)
	c.save("service.mail", "recall.mail")
	require.Equal(t, 1, c.count(`select count(*) from opt_outs where purpose = 'all' and lifted_at is null`))

	c.text("START")
	require.Equal(t, "on", c.states()["service.sms"])
	require.Equal(t, "on", c.states()["recall.sms"])
	c.text("Stop.")
	require.Contains(t, c.get(c.path).Body, "All texts to this number were stopped, as the answer STOP does. A tick here allows these again.")
	require.Equal(t, http.StatusSeeOther, c.save("service.mail", "service.sms", "recall.mail").Status)
	require.Equal(t, map[string]string{"service.mail": "on", "service.sms": "on", "recall.mail": "on", "recall.sms": "off"}, c.states(), "what was not ticked stays stopped")
	c.save("service.mail", "recall.mail")
	c.text("START")
	require.Equal(t, "on", c.states()["service.sms"], "START takes back what the page stopped on the number")
	c.text("STOP")
	require.Equal(t, 1, c.count(`select count(*) from opt_outs where purpose = 'all' and lifted_at is null`))
}

func TestPreferences_PageOlderThanAStop_IsShownAgain(t *testing.T) {
	t.Parallel()
	c := newChoosing(t)
	c.save("service.mail", "recall.mail", "recall.sms")
	wants := c.ticked("service.mail", "service.sms", "recall.mail", "recall.sms")
	c.text("STOP")
	again := c.post(c.path, wants)
	require.Equal(t, http.StatusConflict, again.Status)
	require.Contains(t, again.Body, "This has changed meanwhile.")
	require.Contains(t, again.Body, "All texts to this number were stopped")
	require.Equal(t, "stopped", c.states()["service.sms"])
}

func TestPreferences_C13_SharedNumber_OptsOutAllAndOpensATask(t *testing.T) {
	t.Parallel()
	c := newChoosing(t)
	twin, err := c.desk.CreateClient(t.Context(), c.staff(), desk.ClientInput{GivenName: "Twin", FamilyName: "Client", Phone: casePhone})
	require.NoError(t, err)
	reached := func() bool {
		rows, err := c.store.In(c.practice.ID).ReachOf(t.Context(), c.practice.ID, twin.ID)
		require.NoError(t, err)
		return !rows[0].OptedOut && !rows[0].OptedOutService
	}
	require.True(t, reached())
	c.save("service.mail", "recall.mail", "recall.sms")
	require.False(t, reached())
	require.Equal(t, 1, c.count(`select count(*) from tasks where kind = 'shared_opt_out' and status = 'open'`))
	c.save("service.mail", "service.sms", "recall.mail", "recall.sms")
	require.True(t, reached(), "one's own choice can be taken back")

	c.text("STOP")
	require.False(t, reached())
	require.Equal(t, "locked", c.states()["service.sms"])
	require.Contains(t, c.get(c.path).Body, "Stopped for everybody who uses this number. To start again, send START from it, or call us.")
	c.save("service.mail", "service.sms", "recall.mail", "recall.sms")
	require.False(t, reached(), "nobody takes back what another may have said")
	c.text("START")
	require.True(t, reached())
}

func TestPreferences_TwoSavesOfOnePage_AreOne(t *testing.T) {
	t.Parallel()
	c := newChoosing(t)
	form := c.ticked("service.mail")
	require.Equal(t, http.StatusSeeOther, c.post(c.path, form).Status)
	after := c.fingerprint()
	require.Equal(t, http.StatusSeeOther, c.post(c.path, form).Status)
	require.Equal(t, after, c.fingerprint())
	form = c.ticked("service.mail")
	form.Set("marketing.mail", "yes")
	require.Equal(t, http.StatusUnprocessableEntity, c.post(c.path, form).Status)
}

func TestPreferences_LinkDies_AfterItsYear_OnAChangedAddress_OnErasure(t *testing.T) {
	t.Parallel()
	c := newChoosing(t)
	late := c.ticked("service.mail")
	c.setClock(linkMonday.Add(366 * 24 * time.Hour))
	require.Contains(t, c.get(c.path).Body, "This link has run out")
	require.Equal(t, http.StatusConflict, c.post(c.path, late).Status)
	c.setClock(linkMonday.Add(400 * 24 * time.Hour))
	require.Equal(t, http.StatusNotFound, c.get(c.path).Status)
	c.setClock(linkMonday)
	require.Equal(t, http.StatusOK, c.get(c.path).Status)
	_, err := c.desk.AddContact(t.Context(), c.staff(), c.client, policy.ChannelMail, "casey.new@example.org")
	require.NoError(t, err)
	require.Equal(t, http.StatusNotFound, c.get(c.path).Status)
	require.Zero(t, c.count(`select count(*) from opt_outs`))

	e := newChoosing(t)
	_, err = e.desk.SetStatus(t.Context(), e.staff(), desk.StatusInput{Appointment: e.visit.ID, Verb: policy.VerbCancel, Reason: "asked"})
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, e.get(e.path).Status, "it is about the client, not about the visit")
	_, err = e.desk.EraseClient(t.Context(), e.staff(), e.client, int32(e.count(`select version from clients where id = $1`, e.client)), "asked")
	require.NoError(t, err)
	require.Equal(t, http.StatusNotFound, e.get(e.path).Status)
}
