package policy

import (
	"maps"
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
	StepUndoRecall   = "UndoRecall"
	StepCloseRecall  = "CloseRecall"
)

// Inside tells the kinds that touch only PostgreSQL: the plan does them in its own transaction.
func Inside(kind string) bool {
	switch kind {
	case StepMarkNoShow, StepComplete, StepDraftInvoice, StepIssueInvoice, StepVoidInvoice, StepPlanRecall, StepUndoRecall, StepCloseRecall:
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
	fired   bool      // staff said now or again: a pause before that does not bind
	pushed  bool      // quiet hours moved it
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
	g    Ground
	out  Outlook
	seen map[string]bool // keys that a wish stood for
}

func newSettler(g Ground, stage string) *settler {
	return &settler{g: g, out: Outlook{Stage: stage}, seen: map[string]bool{}}
}

// wish places one step: due, future or dropped with its reason. open tells that it is still to be settled.
func (s *settler) wish(w wish) (open bool) {
	w = s.again(w)
	s.seen[w.Key] = true
	if at, ok := s.override(VerbFireNow, w.Key); ok && w.drop == "" {
		w.At, w.exempt, w.fired, w.Why = at, true, true, "staff said: now"
	}
	s.outOfQuiet(&w, w.At)
	stale, resumed := s.stale(&w)
	if e, ok := s.g.Effects[w.Key]; ok && (e.Final || e.State == EffectClaimed) {
		return s.begun(w, e)
	}
	if at, ok := s.override(VerbSkip, w.Key); ok {
		s.not(w, DropSkipped, "staff skipped it "+at.In(s.g.Zone).Format("Mon 2 Jan 15:04"))
		return false
	}
	if !w.At.After(s.g.Now) {
		s.outOfQuiet(&w, s.g.Now)
	}
	if reason, detail := s.refusal(w); reason != "" {
		s.not(w, reason, detail)
		return false
	}
	if s.held(w) {
		return true
	}
	switch stale {
	case staleSkip:
		s.not(w, DropSkipped, "fell due while paused")
		return false
	case staleAsk:
		s.askStale(w, resumed)
		return true
	}
	if w.At.After(s.g.Now) {
		s.later(w)
		return true
	}
	return s.refusedBefore(w)
}

// refusedBefore places a step whose time has come: after a sure refusal it waits for its next attempt, unless staff said retry.
func (s *settler) refusedBefore(w wish) (open bool) {
	e, ok := s.g.Effects[w.Key]
	if ok && e.NextAt != nil && e.NextAt.After(s.g.RealNow) {
		if _, asked := s.overrideAfter(w.Key, e, VerbRetry, VerbFireNow); !asked {
			s.retryAt(*e.NextAt)
			w.Why = "the gateway refused (" + e.Reason + "); tried again by itself"
			s.out.Future = append(s.out.Future, w.Step)
			return true
		}
	}
	s.due(w)
	return true
}

// due places a step that is to be done now, and keeps why quiet hours do not bind it.
func (s *settler) due(w wish) {
	s.out.Due = append(s.out.Due, w.Step)
	switch {
	case !w.exempt:
	case w.fired:
		s.out.exempt(w.Key, "staff said so")
	default:
		s.out.exempt(w.Key, "answers the client")
	}
}

func (o *Outlook) exempt(key, why string) {
	if o.Exempt == nil {
		o.Exempt = map[string]string{}
	}
	o.Exempt[key] = why
}

// outOfQuiet moves a message that would start at an instant within quiet hours to their end.
func (s *settler) outOfQuiet(w *wish, start time.Time) {
	if w.purpose == "" || w.exempt {
		return
	}
	if at := s.g.Settings.QuietHours.NextAllowed(start, s.zones()...); !at.Equal(start) {
		w.At, w.pushed = at, true
	}
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
		next := againKey(base, n)
		if begun, ok := s.g.Effects[next]; ok { // an event may have changed the earlier one since
			at, asked = begun.ClaimedFor, true
		}
		if !asked {
			return w
		}
		s.seen[w.Key] = true
		s.not(w, dropOf(e.State), "sent again as "+next)
		w.Key = next
		w.At, w.exempt, w.fired, w.Why = at, true, true, "staff said: send again"
	}
}

// begun places a step that an attempt owns, or whose effect is final. A claim that nobody ended is due again after its call
// must be over; where the facts say no by now, only its outcome is still wanted.
func (s *settler) begun(w wish, e Effect) (open bool) {
	if e.State != EffectClaimed {
		s.not(w, dropOf(e.State), e.Reason)
		s.ask(w, e)
		return false
	}
	if ready := e.CallBy.Add(claimSlack); ready.After(s.g.RealNow) {
		s.retryAt(ready)
		w.Why = "under way"
		s.out.Future = append(s.out.Future, w.Step)
		return true
	}
	w.At = e.ClaimedFor
	now := w
	s.outOfQuiet(&now, s.g.Now)
	reason, _ := s.refusal(w)
	w.Settle = reason != "" || now.pushed
	s.due(w)
	return true
}

// leftBehind follows what was begun and is not planned any more (another version took over, the completion was undone):
// an attempt must still be ended, and an outcome that nobody knows still be told to a person.
func (s *settler) leftBehind() {
	for _, key := range slices.Sorted(maps.Keys(s.g.Effects)) {
		e := s.g.Effects[key]
		if s.seen[key] || (e.State != EffectClaimed && e.State != EffectUnknown) {
			continue
		}
		w := wishOfKey(key)
		w.At, w.Why, w.drop = e.ClaimedFor, "its outcome is still open", DropMoved
		if _, again := s.g.Effects[againAfter(key)]; e.State == EffectUnknown && again {
			continue
		}
		s.begun(w, e)
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
		s.wakeAt(t.DueAt, "a task for people: "+strings.ReplaceAll(t.Kind, "_", " "))
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
		if w.pushed {
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

func (s *settler) override(verb, key string) (time.Time, bool) {
	for _, o := range slices.Backward(s.g.Overrides) {
		if o.Verb == verb && o.StepKey == key {
			return o.At, true
		}
	}
	return time.Time{}, false
}

// overrideAfter finds one of the verbs on the step, said after its effect last changed: each counts for one attempt. Real time
// decides, since the practice's clock may stand still.
func (s *settler) overrideAfter(key string, e Effect, verbs ...string) (time.Time, bool) {
	for _, o := range slices.Backward(s.g.Overrides) {
		if o.StepKey == key && slices.Contains(verbs, o.Verb) && o.RecordedAt.After(e.RecordedAt) {
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
	s.wakeAt(w.At, w.Summary)
}

func (s *settler) wakeAt(t time.Time, what string) {
	if s.out.WakeAt == nil || t.Before(*s.out.WakeAt) {
		s.out.WakeAt, s.out.next = &t, what
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

// finish orders the outlook, says in one clause what the subject waits for, and decides whether it is done: over, and nothing
// due, to come or held. What is not over and has nothing to wait for is shown to a person, so that no subject is forgotten.
func (s *settler) finish(over bool) Outlook {
	s.leftBehind()
	byTime := func(a, b Step) int {
		if c := a.At.Compare(b.At); c != 0 {
			return c
		}
		return strings.Compare(a.Key, b.Key)
	}
	slices.SortFunc(s.out.Due, byTime)
	slices.SortFunc(s.out.Future, byTime)
	slices.SortStableFunc(s.out.Not, func(a, b Dropped) int { return byTime(a.Step, b.Step) })
	quiet := len(s.out.Due) == 0 && len(s.out.Future) == 0 && len(s.out.Later) == 0 && !s.out.Held
	s.out.Done = quiet && over
	if quiet && !over && len(s.out.Tasks) == 0 {
		s.task(TaskWish{
			Cause: "idle", Kind: "idle", Queue: "front_desk", DueAt: s.g.Now,
			Title: "Nothing more happens here by itself. Decide what to do.",
		})
	}
	switch {
	case len(s.out.Due) > 0:
		s.out.Waiting = "doing " + s.out.Due[0].Summary
	case s.out.RetryAt != nil:
		s.out.Waiting = "a gateway, looked at again by itself"
	case s.out.WakeAt != nil:
		s.out.Waiting = s.out.next
	case len(s.out.Tasks) > 0:
		s.out.Waiting = "a person: " + strings.ReplaceAll(s.out.Tasks[0].Kind, "_", " ")
	case s.out.Held:
		s.out.Waiting = "staff to resume it"
	}
	return s.out
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
