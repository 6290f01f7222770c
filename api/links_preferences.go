package api

import (
	"net/http"
	"net/url"

	"github.com/kept-practice/kept/api/web"
	"github.com/kept-practice/kept/internal/desk"
	"github.com/kept-practice/kept/internal/policy"
)

var (
	preferredPurposes = []string{desk.PurposeService, desk.PurposeRecall}
	preferredChannels = []string{policy.ChannelMail, policy.ChannelSMS}
)

// preferenceField names a tick; what the page showed travels beside it, so that a page left open overruns nothing.
func preferenceField(purpose, channel string) (tick, was string) {
	return purpose + "." + channel, "was." + purpose + "." + channel
}

func preferenceFields() []string {
	var names []string
	for _, purpose := range preferredPurposes {
		for _, channel := range preferredChannels {
			tick, was := preferenceField(purpose, channel)
			names = append(names, tick, was)
		}
	}
	return names
}

// prefer saves the ticks and goes back to the page, so that reloading sends nothing twice.
func (l *links) prefer(v visitor, form url.Values, p desk.Post) {
	var choices []desk.Choice
	for _, purpose := range preferredPurposes {
		for _, channel := range preferredChannels {
			tick, was := preferenceField(purpose, channel)
			if !form.Has(was) {
				continue
			}
			choices = append(choices, desk.Choice{Purpose: purpose, Channel: channel, Was: form.Get(was), Want: form.Get(tick) == "yes"})
		}
	}
	acted, err := l.deps.Desk.SavePreferencesByLink(v.Request.Context(), v.token, p, choices)
	if err != nil {
		l.after(v, nil)(acted, err)
		return
	}
	ring(v.Request.Context(), acted.Rung...)
	v.Header("Location", "/l/"+url.PathEscape(v.token)+"?saved=1")
	v.Status(http.StatusSeeOther)
}

func (l *links) preferencesPage(v visitor, status int, d draft) {
	k := v.link
	page := web.Preferences{
		Shell: l.shell(k, "Choose what we send you"), Hello: k.GivenName, Nonce: l.newNonce(v), Error: d.sentence,
		Saved: d.sentence == "" && v.Request.URL.Query().Get("saved") == "1",
	}
	words := map[string][2]string{
		desk.PurposeService: {"About your visits", "Confirmations, reminders and invoices."},
		desk.PurposeRecall:  {"Invitations back", "When it is time for your next visit."},
	}
	for _, purpose := range preferredPurposes {
		group := web.PreferenceGroup{Legend: words[purpose][0], Help: words[purpose][1]}
		for _, p := range k.Preferences {
			if p.Purpose == purpose {
				group.Choices = append(group.Choices, preferenceView(p))
			}
		}
		if len(group.Choices) > 0 {
			page.Groups = append(page.Groups, group)
		}
	}
	l.write(v.Context, status, web.PreferencesPage(page))
}

func preferenceView(p desk.Preference) web.PreferenceChoice {
	tick, was := preferenceField(p.Purpose, p.Channel)
	c := web.PreferenceChoice{Field: tick, WasField: was, Was: p.State, Ticked: p.State == desk.PreferenceOn, Locked: p.State == desk.PreferenceLocked, Label: "E-mail to " + p.Hint}
	if p.Channel == policy.ChannelSMS {
		c.Label = "Text to " + p.Hint
	}
	switch {
	case p.State == desk.PreferenceStopped && p.Channel == policy.ChannelSMS:
		c.Note = "All texts to this number were stopped, as the answer STOP does. A tick here allows these again. If none come, send START to our number."
	case p.State == desk.PreferenceStopped:
		c.Note = "All mail to this address was stopped. A tick here allows these again."
	case c.Locked && p.Channel == policy.ChannelSMS:
		c.Note = "Stopped for everybody who uses this number. To start again, send START from it, or call us."
	case c.Locked:
		c.Note = "Stopped for everybody who uses this address. To start again, call us."
	}
	return c
}
