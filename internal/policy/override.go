package policy

import (
	"slices"
	"strings"
)

// CheckOverride tells why a verb cannot act on this plan, nil when it can. A step is named by the key that the plan shows.
func CheckOverride(o Outlook, g Ground, verb Override) error {
	switch verb.Verb {
	case VerbPause, VerbResume:
		return checkPause(g, verb)
	case VerbSkip, VerbRetry, VerbFireNow, VerbReroute, VerbSendAgain:
	default:
		return InvalidField("/verb", "invalid_verb", "A verb is pause, resume, skip, retry, fire_now, reroute or send_again.")
	}
	if verb.StepKey == "" {
		return InvalidField("/step", "missing_step", "Name the step by its key, as the journey shows it.")
	}
	has := func(steps []Step) bool {
		return slices.ContainsFunc(steps, func(s Step) bool { return s.Key == verb.StepKey })
	}
	waiting := has(o.Due) || has(o.Future)
	dropped := slices.IndexFunc(o.Not, func(d Dropped) bool { return d.Key == verb.StepKey })
	if !waiting && dropped < 0 {
		return NewError(NotFound, "step_not_found", "The plan has no step with this key. Read the journey again.")
	}
	effect, begun := g.Effects[verb.StepKey]
	switch verb.Verb {
	case VerbSkip:
		if begun && effect.State == EffectAccepted {
			return NewError(Conflict, "already_done", "The step is done. It cannot be skipped any more.")
		}
	case VerbFireNow:
		if begun && effect.Final {
			return NewError(Conflict, "already_done", "The step is settled. Use send_again or retry.")
		}
		if dropped >= 0 && o.Not[dropped].Reason != DropPaused {
			return NewError(Conflict, "will_not_happen", "The step will not happen: "+o.Not[dropped].Detail+".")
		}
	case VerbRetry:
		if !begun || (effect.State != EffectFailed && effect.State != EffectRefused) {
			return NewError(Conflict, "not_failed", "Only a step that failed or was refused can be retried.")
		}
	case VerbSendAgain:
		if !begun || effect.State != EffectUnknown {
			return NewError(Conflict, "not_unknown", "Only a step whose outcome is unknown can be sent again.")
		}
	case VerbReroute:
		return checkReroute(g, verb)
	}
	return nil
}

func checkReroute(g Ground, verb Override) error {
	from, base := keyChannel(verb.StepKey), baseKey(verb.StepKey)
	effect, begun := g.Effects[verb.StepKey]
	switch {
	case from == "":
		return NewError(Conflict, "not_a_message", "Only a message can be rerouted.")
	case verb.Value != ChannelMail && verb.Value != ChannelSMS:
		return InvalidField("/value", "invalid_channel", "A step can be rerouted to mail or sms.")
	case verb.Value == from:
		return NewError(Conflict, "same_channel", "The step takes this channel already.")
	case begun && effect.State != EffectFailed:
		return NewError(Conflict, "already_begun", "The step has begun on its channel. It cannot be rerouted any more.")
	case g.carried(strings.Replace(base, "/"+from+"/", "/"+verb.Value+"/", 1)):
		return NewError(Conflict, "already_done", "The message went that way already.")
	}
	return nil
}

func checkPause(g Ground, verb Override) error {
	open := newSettler(g, "").open(verb.StepKey) != nil
	switch {
	case verb.Verb == VerbPause && open:
		return NewError(Conflict, "already_paused", "It is paused already.")
	case verb.Verb == VerbResume && !open:
		return NewError(Conflict, "not_paused", "It is not paused.")
	case verb.Verb == VerbResume && !slices.Contains([]string{"", "send", "skip", "ask"}, verb.Value):
		return InvalidField("/value", "invalid_stale_policy", "What fell due meanwhile can be sent, skipped or asked about: send, skip or ask.")
	}
	return nil
}
