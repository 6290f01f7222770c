package policy

import "time"

// What becomes of a message that fell due while it was paused.
const (
	staleSend = "send"
	staleSkip = "skip"
	staleAsk  = "ask"
)

// pause is one span in which staff held a step; until is nil while it lasts.
type pause struct {
	from  Override
	until *Override
}

// pauses are the spans that bind a step, in order. A verb without a step binds all of them.
func (s *settler) pauses(key string) []pause {
	var spans []pause
	for i, o := range s.g.Overrides {
		if o.StepKey != "" && o.StepKey != key {
			continue
		}
		open := len(spans) > 0 && spans[len(spans)-1].until == nil
		switch {
		case o.Verb == VerbPause && !open:
			spans = append(spans, pause{from: o})
		case o.Verb == VerbResume && open:
			spans[len(spans)-1].until = &s.g.Overrides[i]
		}
	}
	return spans
}

// open is the pause that still lasts, nil when there is none.
func (s *settler) open(key string) *Override {
	spans := s.pauses(key)
	if len(spans) == 0 || spans[len(spans)-1].until != nil {
		return nil
	}
	return &spans[len(spans)-1].from
}

// stale judges a step that fell due in a pause which is over: to be sent at the resume, skipped or asked about. The policy
// binds what reaches the client; work inside the practice's own books always goes on.
func (s *settler) stale(w *wish) (verdict string, resumed time.Time) {
	if w.fired {
		return staleSend, resumed
	}
	for _, p := range s.pauses(w.Key) {
		if p.until == nil || w.At.Before(p.from.At) || !w.At.Before(p.until.At) {
			continue
		}
		verdict := p.until.Value
		if verdict == "" {
			verdict = s.g.Settings.StalePolicy
		}
		if w.Channel != "" && (verdict == staleSkip || verdict == staleAsk) {
			return verdict, p.until.At
		}
		w.At = p.until.At
		s.outOfQuiet(w, w.At)
	}
	return staleSend, resumed
}

// held places a step that waits for staff: its subject, itself or its channel is paused.
func (s *settler) held(w wish) bool {
	paused := s.open(w.Key)
	switch {
	case paused != nil && (!w.fired || w.At.Before(paused.At)):
		s.not(w, DropPaused, "paused by staff until resumed")
		s.task(TaskWish{
			Cause: "paused/" + paused.At.UTC().Format(time.RFC3339), Kind: "paused", Queue: "front_desk",
			Title: "Paused for a week. Resume, or skip what is left.", DueAt: paused.At.Add(pausePatience),
		})
	case w.Channel != "" && s.g.Paused[w.Channel] && !w.At.After(s.g.Now):
		s.not(w, DropOff, w.Channel+" is paused for the practice; resume the channel to send")
	default:
		return false
	}
	s.hold(w)
	return true
}

// askStale leaves it to a person whether a message that fell due in a pause still goes.
func (s *settler) askStale(w wish, resumed time.Time) {
	s.not(w, DropPaused, "fell due while paused; a person decides")
	s.task(TaskWish{
		Cause: "stale/" + w.Key + "/" + resumed.UTC().Format(time.RFC3339), Kind: "stale_step", Queue: "front_desk", StepKey: w.Key,
		Title: w.Summary + ": fell due while paused. Fire now or skip.", DueAt: resumed,
	})
	s.hold(w)
}

// hold keeps the subject open, and wakes it when the step is of no use any more.
func (s *settler) hold(w wish) {
	s.out.Held = true
	if w.until.After(s.g.Now) {
		s.wakeAt(w.until, "staff, until "+w.Summary+" is of no use")
	}
}
