package policy

import (
	"fmt"
	"time"
)

// Recall statuses.
const (
	RecallWaiting   = "waiting"
	RecallStarted   = "started"
	RecallBooked    = "booked"
	RecallStopped   = "stopped"
	RecallExhausted = "exhausted"
)

// recallPatience is how long after the last invitation a round counts as unanswered.
const recallPatience = 14 * 24 * time.Hour

// PlanRecall invites a client back by the rules of the cadence, counted from the due day, until a visit is booked, the
// client says stop or every invitation went unanswered.
func PlanRecall(f RecallFacts) Outlook {
	s := newSettler(f.Ground, f.Status)
	over, why := f.over()
	anchor := StartOfDay(f.DueOn, f.Zone)
	last := anchor
	for _, r := range f.Rules {
		at := r.When.Instant(anchor, f.Zone)
		if at.After(last) {
			last = at
		}
		f.wishRule(s, r, at, over, why)
	}
	f.wishClose(s, over, last)
	return s.finish(f.Status != RecallStarted)
}

func (f RecallFacts) over() (DropReason, string) {
	switch {
	case f.Booked || f.Status == RecallBooked:
		return DropBooked, "the client has booked"
	case !f.Client.Active:
		return DropInactive, "the client is no longer active"
	case f.optedOut():
		return DropOptedOut, "the client wants no invitations"
	case f.Status != RecallStarted:
		return DropOff, "the recall is " + f.Status
	}
	return "", ""
}

// optedOut: no channel is left on which the client may be invited, and at least one was refused.
func (f RecallFacts) optedOut() bool {
	refused := false
	for _, c := range []string{ChannelMail, ChannelSMS} {
		r := f.Client.Recall[c]
		if r.Address && !r.OptedOut {
			return false
		}
		refused = refused || r.OptedOut
	}
	return refused
}

func (f RecallFacts) wishRule(s *settler, r Rule, at time.Time, over DropReason, why string) {
	if r.Act == ActTask {
		if over == "" {
			s.task(TaskWish{Cause: fmt.Sprintf("rule/%s/r%d", r.ID, f.Round), Kind: "recall", Queue: "front_desk", Title: r.Title, DueAt: at})
		}
		return
	}
	key := func(channel string) string { return fmt.Sprintf("recall/%s/%s/r%d", r.ID, channel, f.Round) }
	for _, c := range f.channels(r, purposeRecall, key) {
		s.wish(wish{
			Step: Step{
				Key: key(c), Kind: sendStep(c), Rule: r.ID, Channel: c, At: at, Why: "the next visit is due",
				Summary: "Recall · " + r.When.Words() + " · " + channelName(c),
			},
			purpose: purposeRecall, drop: over, detail: why,
		})
	}
}

// wishClose ends the round: at once when its reason is gone, else some time after the last invitation.
func (f RecallFacts) wishClose(s *settler, over DropReason, last time.Time) {
	if f.Status != RecallStarted {
		return
	}
	w := wish{Step: Step{Kind: StepCloseRecall, Rule: RuleRecall, At: f.Now, Summary: "Close the recall"}}
	switch over {
	case DropBooked:
		w.Key, w.Why = fmt.Sprintf("close/%s/r%d", RecallBooked, f.Round), "the client has booked"
	case "":
		w.Key, w.Why, w.At = fmt.Sprintf("close/%s/r%d", RecallExhausted, f.Round), "every invitation went unanswered", last.Add(recallPatience)
	default:
		w.Key, w.Why = fmt.Sprintf("close/%s/r%d", RecallStopped, f.Round), string(over)
	}
	s.wish(w)
}
