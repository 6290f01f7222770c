package policy

import (
	"fmt"
	"slices"
	"strings"
)

// channels resolves a rule's channels for one client. With none named it is the preferred one, or the other where that
// cannot be used; a channel that already carried the rule's message stays, so that an opt-out in between sends nothing twice.
// What staff rerouted goes the way they chose.
func (g Ground) channels(r Rule, purpose string, key func(channel string) string) []string {
	if len(r.Channels) > 0 {
		var out []string
		for _, c := range r.Channels {
			if c = g.rerouted(c, key); !slices.Contains(out, c) {
				out = append(out, c)
			}
		}
		return out
	}
	both := []string{g.Client.Prefers, ChannelMail, ChannelSMS}
	for _, c := range both {
		if to := g.rerouted(c, key); to != c {
			return []string{to}
		}
		if g.carried(key(c)) {
			return []string{c}
		}
	}
	for _, c := range both {
		if r := g.Client.reach(purpose)[c]; r.Address && !r.OptedOut {
			return []string{c}
		}
	}
	return []string{g.Client.Prefers}
}

// rerouted follows what staff said of a step from the channel it was planned for to the one they chose last.
func (g Ground) rerouted(channel string, key func(channel string) string) string {
	for _, o := range g.Overrides {
		if o.Verb == VerbReroute && baseKey(o.StepKey) == key(channel) {
			channel = o.Value
		}
	}
	return channel
}

// carried tells that a message under this key reached a gateway, or may have; a step sent again counts for its first key.
func (g Ground) carried(key string) bool {
	for e, ok := g.Effects[key]; ok; e, ok = g.Effects[key] {
		if e.State == EffectAccepted || e.State == EffectUnknown || e.State == EffectClaimed {
			return true
		}
		key = againAfter(key)
	}
	return false
}

// againKey is the key under which a step is sent for the n-th time again.
func againKey(base string, n int) string { return fmt.Sprintf("%s/again%d", base, n) }

// baseKey is a key without its /again part.
func baseKey(key string) string {
	base, _ := splitAgain(key)
	return base
}

// againAfter is the key that follows when a step is sent again.
func againAfter(key string) string {
	base, n := splitAgain(key)
	return againKey(base, n+1)
}

func splitAgain(key string) (base string, n int) {
	i := strings.LastIndex(key, "/")
	if i < 0 {
		return key, 0
	}
	if _, err := fmt.Sscanf(key[i:], "/again%d", &n); err != nil {
		return key, 0
	}
	return key[:i], n
}

// wishOfKey is as much of a step as its key tells: rule, channel and kind.
func wishOfKey(key string) wish {
	parts := strings.Split(baseKey(key), "/")
	w := wish{Step: Step{Key: key, Rule: parts[0]}}
	if parts[0] == RuleCharge {
		w.Kind, w.Channel, w.Summary = StepChargeCard, ChannelCard, "Charge the card on file"
		return w
	}
	w.Channel = keyChannel(key)
	w.Kind, w.Summary = sendStep(w.Channel), messageNames[parts[0]]+" · "+channelName(w.Channel)
	w.purpose = purposeService
	if parts[0] == RuleRecall {
		w.purpose = purposeRecall
	}
	return w
}

// keyChannel is the channel in a message's key, "" for a step that carries no message.
func keyChannel(key string) string {
	parts := strings.Split(baseKey(key), "/")
	if len(parts) == 4 && (parts[2] == ChannelMail || parts[2] == ChannelSMS) {
		return parts[2]
	}
	return ""
}

func (c Contact) reach(purpose string) map[string]Reach {
	if purpose == purposeRecall {
		return c.Recall
	}
	return c.Service
}

// sendStep is the kind of step that carries a message over a channel.
func sendStep(channel string) string {
	if channel == ChannelSMS {
		return StepSendSMS
	}
	return StepSendMail
}

// channelName is how operators read a channel.
func channelName(channel string) string {
	if channel == ChannelSMS {
		return "text"
	}
	return "e-mail"
}
