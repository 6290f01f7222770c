package policy

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Kinds of step. Each is the name of a registered activity, or of a step done inside the plan; names are for ever.
const (
	StepSendMail     = "SendMail"
	StepSendSMS      = "SendSMS"
	StepChargeCard   = "ChargeCard"
	StepMarkNoShow   = "MarkNoShow"
	StepComplete     = "CompleteVisit"
	StepDraftInvoice = "DraftInvoice"
	StepIssueInvoice = "IssueInvoice"
	StepVoidInvoice  = "VoidInvoice"
	StepPlanRecall   = "PlanRecall"
	StepCloseRecall  = "CloseRecall"
)

// Inside tells the kinds that touch only PostgreSQL: the plan does them in its own transaction.
func Inside(kind string) bool {
	switch kind {
	case StepMarkNoShow, StepComplete, StepDraftInvoice, StepIssueInvoice, StepVoidInvoice, StepPlanRecall, StepCloseRecall:
		return true
	}
	return false
}

// wish is a step that a planner would like at an instant, with what bounds it. settle turns wishes into an Outlook; the
// planners themselves never look at effects, overrides, pauses or quiet hours.
type wish struct {
	Step
	until   time.Time // no use at or after this instant; zero: always of use
	purpose string    // service or recall: a message, bound by quiet hours, opt-outs and channel pauses
	exempt  bool      // answers what the client did in the last 10 minutes: quiet hours do not bind
	drop    DropReason
	detail  string
}

const (
	purposeService = "service"
	purposeRecall  = "recall"
)

// answerWindow is how long a message still counts as an answer to what the client did.
const answerWindow = 10 * time.Minute

// claimSlack is added to call_by before another attempt takes over.
const claimSlack = time.Second

// unknownPatience is how long an unknown outcome may wait for an event or a look-up before a person is asked.
const unknownPatience = 24 * time.Hour

// pausePatience is how long staff may leave a subject paused before they are reminded of it.
const pausePatience = 7 * 24 * time.Hour

// TaskWish is a task that should stand open. The plan opens the missing ones and closes those that are no longer wished;
// one that a person has ended is not opened again for the same cause.
type TaskWish struct {
	Cause   string // unique for this incident
	Kind    string
	Title   string // no personal data
	Queue   string
	StepKey string
	DueAt   time.Time
}

func (t TaskWish) same(o TaskWish) bool { return t.Cause == o.Cause }

// settler collects the outlook of one subject.
type settler struct {
	g   Ground
	out Outlook
}

func (s *settler) wish(w wish) {
	w = s.again(w)
	if at, ok := s.override(VerbFireNow, w.Key); ok && w.drop == "" {
		w.At, w.exempt, w.Why = at, true, "staff said: now"
	}
	if w.purpose != "" && !w.exempt {
		w.At = s.g.Settings.QuietHours.NextAllowed(w.At, s.zones()...)
	}
	if e, ok := s.g.Effects[w.Key]; ok {
		s.begun(w, e)
		return
	}
	if at, ok := s.override(VerbSkip, w.Key); ok {
		s.not(w, DropSkipped, "staff skipped it "+at.In(s.g.Zone).Format("Mon 2 Jan 15:04"))
		return
	}
	if reason, detail := s.refusal(w); reason != "" {
		s.not(w, reason, detail)
		return
	}
	if s.held(&w) {
		return
	}
	if w.At.After(s.g.Now) {
		s.later(w)
		return
	}
	s.out.Due = append(s.out.Due, w.Step)
}

// again follows send_again and retry: each gives a settled effect a key of its own.
func (s *settler) again(w wish) wish {
	base := w.Key
	for n := 1; ; n++ {
		e, ok := s.g.Effects[w.Key]
		if !ok || !e.Final || e.State == EffectAccepted {
			return w
		}
		at, asked := s.overrideAfter(w.Key, e, VerbSendAgain, VerbRetry)
		if !asked {
			return w
		}
		old := w
		old.Step.Key = w.Key
		s.not(old, dropOf(e.State), "sent again as "+fmt.Sprintf("%s/again%d", base, n))
		w.Key = fmt.Sprintf("%s/again%d", base, n)
		w.At, w.exempt, w.Why = at, true, "staff said: send again"
	}
}

// begun places a step whose effect row exists.
func (s *settler) begun(w wish, e Effect) {
	switch {
	case e.State == EffectClaimed:
		ready := e.CallBy.Add(claimSlack)
		if ready.After(s.g.RealNow) {
			s.retryAt(ready)
			w.Why = "under way"
			s.out.Future = append(s.out.Future, w.Step)
			return
		}
		s.out.Due = append(s.out.Due, w.Step)
	case e.State == EffectFailed && !e.Final:
		if reason, detail := s.refusal(w); reason != "" {
			s.not(w, reason, detail)
			return
		}
		if _, ok := s.override(VerbSkip, w.Key); ok {
			s.not(w, DropSkipped, "staff skipped it")
			return
		}
		if _, ok := s.overrideAfter(w.Key, e, VerbRetry, VerbFireNow); ok || !e.NextAt.After(s.g.RealNow) {
			s.out.Due = append(s.out.Due, w.Step)
			return
		}
		s.retryAt(*e.NextAt)
		w.Why = "the gateway refused (" + e.Reason + "); tried again by itself"
		s.out.Future = append(s.out.Future, w.Step)
	default:
		s.not(w, dropOf(e.State), e.Reason)
		s.ask(w, e)
	}
}

// ask wishes a human task for what only a person can settle.
func (s *settler) ask(w wish, e Effect) {
	if _, ok := s.override(VerbSkip, w.Key); ok {
		return
	}
	t := TaskWish{StepKey: w.Key, Queue: "front_desk", DueAt: s.g.Now}
	if w.Kind == StepChargeCard {
		t.Queue = "billing"
	}
	switch e.State {
	case EffectUnknown:
		t.Cause, t.Kind = "unknown/"+w.Key, "outcome_unknown"
		t.Title = w.Summary + ": nobody knows whether it was sent. Send again or skip."
		t.DueAt = e.ClaimedFor.Add(unknownPatience)
		if !w.until.IsZero() && w.until.Before(t.DueAt) {
			t.DueAt = w.until
		}
	case EffectFailed:
		if w.Kind == StepChargeCard {
			return // a decline is the collection's business, not a task
		}
		t.Cause, t.Kind = "failed/"+w.Key, "send_failed"
		t.Title = w.Summary + ": could not be sent. Retry, reroute or skip."
	default:
		return
	}
	s.task(t)
}

// task wishes a task now, or wakes the plan when it falls due.
func (s *settler) task(t TaskWish) {
	if slices.ContainsFunc(s.out.Tasks, t.same) || slices.ContainsFunc(s.out.Later, t.same) {
		return
	}
	if t.DueAt.After(s.g.Now) {
		s.wakeAt(t.DueAt)
		s.out.Later = append(s.out.Later, t)
		return
	}
	s.out.Tasks = append(s.out.Tasks, t)
}

// refusal is why the facts say no to a step that has not begun.
func (s *settler) refusal(w wish) (DropReason, string) {
	if w.drop != "" {
		return w.drop, w.detail
	}
	if !w.until.IsZero() && !w.At.Before(w.until) {
		if w.purpose != "" && !w.exempt {
			return DropQuietPast, "quiet hours push it past its use"
		}
		return DropStale, "of no use any more"
	}
	if !w.until.IsZero() && !s.g.Now.Before(w.until) {
		return DropStale, "fell due while nobody could act; of no use any more"
	}
	if w.purpose == "" {
		return "", ""
	}
	reach := s.g.Client.reach(w.purpose)[w.Channel]
	switch {
	case !s.g.Client.Active:
		return DropInactive, "the client is no longer active"
	case !reach.Address:
		return DropNoContact, "no " + w.Channel + " address"
	case reach.OptedOut:
		return DropOptedOut, "opted out of " + w.Channel
	}
	return "", ""
}

// held places a step that waits for staff: its journey or channel is paused. After resume the stale policy decides.
func (s *settler) held(w *wish) bool {
	paused, resumed := s.pause(w.Key)
	if paused != nil && resumed == nil {
		s.not(*w, DropPaused, "paused by staff until resumed")
		s.out.Held = true
		s.task(TaskWish{
			Cause: "paused/" + paused.At.UTC().Format(time.RFC3339), Kind: "paused", Queue: "front_desk",
			Title: "Paused for a week. Resume, or skip what is left.", DueAt: paused.At.Add(pausePatience),
		})
		return true
	}
	if w.Channel != "" && s.g.Paused[w.Channel] && !w.At.After(s.g.Now) {
		s.not(*w, DropOff, w.Channel+" is paused for the practice; resume the channel to send")
		return true
	}
	if paused == nil || w.At.Before(paused.At) || !w.At.Before(resumed.At) {
		return false
	}
	policy := resumed.Value
	if policy == "" {
		policy = s.g.Settings.StalePolicy
	}
	switch policy {
	case "skip":
		s.not(*w, DropSkipped, "fell due while paused")
		return true
	case "ask":
		s.not(*w, DropPaused, "fell due while paused; a person decides")
		s.out.Held = true
		s.task(TaskWish{
			Cause: "stale/" + w.Key + "/" + resumed.At.UTC().Format(time.RFC3339), Kind: "stale_step", Queue: "front_desk", StepKey: w.Key,
			Title: w.Summary + ": fell due while paused. Fire now or skip.", DueAt: resumed.At,
		})
		return true
	}
	w.At = resumed.At
	return false
}

// pause is the last pause that binds this step, and the resume that followed it.
func (s *settler) pause(key string) (paused, resumed *Override) {
	for i, o := range s.g.Overrides {
		if o.StepKey != "" && o.StepKey != key {
			continue
		}
		switch o.Verb {
		case VerbPause:
			if paused == nil || resumed != nil {
				paused, resumed = &s.g.Overrides[i], nil
			}
		case VerbResume:
			if paused != nil && resumed == nil {
				resumed = &s.g.Overrides[i]
			}
		}
	}
	return paused, resumed
}

func (s *settler) override(verb, key string) (time.Time, bool) {
	for _, o := range slices.Backward(s.g.Overrides) {
		if o.Verb == verb && o.StepKey == key {
			return o.At, true
		}
	}
	return time.Time{}, false
}

// overrideAfter finds one of the verbs on the step, given after its effect was first judged.
func (s *settler) overrideAfter(key string, e Effect, verbs ...string) (time.Time, bool) {
	since := e.ClaimedFor
	if e.SettledAt != nil && e.SettledAt.After(since) {
		since = *e.SettledAt
	}
	for _, o := range slices.Backward(s.g.Overrides) {
		if o.StepKey == key && slices.Contains(verbs, o.Verb) && !o.At.Before(since) {
			return o.At, true
		}
	}
	return time.Time{}, false
}

func (s *settler) not(w wish, reason DropReason, detail string) {
	s.out.Not = append(s.out.Not, Dropped{Step: w.Step, Reason: reason, Detail: detail})
}

func (s *settler) later(w wish) {
	s.out.Future = append(s.out.Future, w.Step)
	s.wakeAt(w.At)
}

func (s *settler) wakeAt(t time.Time) {
	if s.out.WakeAt == nil || t.Before(*s.out.WakeAt) {
		s.out.WakeAt = &t
	}
}

func (s *settler) retryAt(t time.Time) {
	if s.out.RetryAt == nil || t.Before(*s.out.RetryAt) {
		s.out.RetryAt = &t
	}
}

func (s *settler) zones() []*time.Location {
	if s.g.Client.Zone != nil {
		return []*time.Location{s.g.Client.Zone}
	}
	return []*time.Location{s.g.Zone}
}

// finish orders the outlook and says in one clause what the subject waits for.
func (s *settler) finish() Outlook {
	byTime := func(a, b Step) int {
		if c := a.At.Compare(b.At); c != 0 {
			return c
		}
		return strings.Compare(a.Key, b.Key)
	}
	slices.SortFunc(s.out.Due, byTime)
	slices.SortFunc(s.out.Future, byTime)
	slices.SortStableFunc(s.out.Not, func(a, b Dropped) int { return byTime(a.Step, b.Step) })
	switch {
	case len(s.out.Due) > 0:
		s.out.Waiting = "doing " + s.out.Due[0].Summary
	case s.out.RetryAt != nil:
		s.out.Waiting = "a gateway, looked at again by itself"
	case len(s.out.Future) > 0:
		s.out.Waiting = s.out.Future[0].Summary
	case len(s.out.Tasks) > 0:
		s.out.Waiting = "a person: " + s.out.Tasks[0].Kind
	}
	s.out.quiet = len(s.out.Due) == 0 && len(s.out.Future) == 0 && len(s.out.Later) == 0 && !s.out.Held
	return s.out
}

// channels resolves a rule's channels for one client. With none named it is the preferred one, or the other where that
// cannot be used; a channel that already carried the rule's message stays, so that an opt-out in between sends nothing twice.
func (g Ground) channels(r Rule, purpose string, key func(channel string) string) []string {
	if len(r.Channels) > 0 {
		return r.Channels
	}
	both := []string{g.Client.Prefers, ChannelMail, ChannelSMS}
	for _, c := range both {
		if e, ok := g.Effects[key(c)]; ok && (e.State == EffectAccepted || e.State == EffectUnknown || e.State == EffectClaimed) {
			return []string{c}
		}
	}
	if c, ok := g.rerouted(key); ok {
		return []string{c}
	}
	for _, c := range both {
		if r := g.Client.reach(purpose)[c]; r.Address && !r.OptedOut {
			return []string{c}
		}
	}
	return []string{g.Client.Prefers}
}

// rerouted is the channel that staff chose for a step, under whichever channel it was planned.
func (g Ground) rerouted(key func(channel string) string) (string, bool) {
	for _, o := range slices.Backward(g.Overrides) {
		if o.Verb == VerbReroute && (o.StepKey == key(ChannelMail) || o.StepKey == key(ChannelSMS)) {
			return o.Value, true
		}
	}
	return "", false
}

func (c Contact) reach(purpose string) map[string]Reach {
	if purpose == purposeRecall {
		return c.Recall
	}
	return c.Service
}

func dropOf(s EffectState) DropReason {
	switch s {
	case EffectAccepted:
		return DropSent
	case EffectUnknown:
		return DropUnknown
	case EffectFailed:
		return DropFailed
	default:
		return DropRefused
	}
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
