package policy

import (
	"fmt"
	"strings"
	"time"
)

// Built-in rules of a journey, beside those of its cadence.
const (
	RuleConfirmation = "confirmation"
	RuleCancellation = "cancellation"
	RuleReminder     = "reminder"
	RuleInvoice      = "invoice"
	RuleCharge       = "charge"
	RuleVisit        = "visit"
	RuleRecall       = "recall"
	RuleFreshLink    = "fresh_link"
)

// PlanJourney says what one appointment's journey does now, next and not at all. It reads no clock: the facts carry it.
func PlanJourney(f JourneyFacts) Outlook {
	s := newSettler(f.Ground, string(f.Status))
	f.wishMessages(s)
	f.wishFreshLinks(s)
	f.wishVisit(s)
	f.wishMoney(s)
	f.wishRecall(s)
	f.wishPacket(s)
	return s.finish(Terminal(f.Status))
}

// wishMessages: one confirmation a version after the grace, each reminder once a version, one notice of a cancellation.
func (f JourneyFacts) wishMessages(s *settler) {
	grace := time.Duration(f.Settings.GraceMinutes) * time.Minute
	confirm := func(channel string) string { return fmt.Sprintf("confirmation/booked/%s/v%d", channel, f.Version) }
	over, why := f.over()
	for _, c := range f.channels(Rule{}, purposeService, confirm) {
		w := f.message(RuleConfirmation, c, confirm(c), f.ChangedAt.Add(grace))
		w.Why, w.until = "the visit was booked", f.StartsAt
		if f.Version > 1 {
			w.Why = "the visit was moved"
		}
		w.exempt = f.ByClient && f.answers(f.ChangedAt, w.At)
		w.drop, w.detail = over, why
		s.wish(w)
	}
	for _, r := range f.Rules {
		f.wishReminder(s, r, over, why)
	}
	if f.Status == StatusCancelled || f.Status == StatusLateCancelled {
		f.wishCancellation(s)
	}
}

func (f JourneyFacts) wishReminder(s *settler, r Rule, over DropReason, why string) {
	key := func(channel string) string { return fmt.Sprintf("reminder/%s/%s/v%d", r.ID, channel, f.Version) }
	for _, c := range f.channels(r, purposeService, key) {
		w := f.message(RuleReminder, c, key(c), r.When.Instant(f.StartsAt, f.Zone))
		w.Rule, w.Why, w.until = r.ID, "the visit is near", f.StartsAt
		w.Summary = "Reminder · " + r.When.Words() + " · " + channelName(c)
		switch {
		case over != "":
			w.drop, w.detail = over, why
		case !w.At.After(f.ChangedAt):
			w.drop, w.detail = DropBookedInside, "its time had passed when the visit was booked or moved"
		}
		s.wish(w)
	}
}

// wishCancellation tells a client who was told of the visit that it is off.
func (f JourneyFacts) wishCancellation(s *settler) {
	key := func(channel string) string { return fmt.Sprintf("cancellation/told/%s/v%d", channel, f.Version) }
	for _, c := range f.channels(Rule{}, purposeService, key) {
		w := f.message(RuleCancellation, c, key(c), f.StatusAt)
		w.Why, w.until, w.exempt = "the visit was cancelled", f.StartsAt, f.EndedBy == ByClient && f.answers(f.StatusAt, w.At)
		if !f.told() {
			w.drop, w.detail = DropCancelled, "the client was never told of the visit"
		}
		s.wish(w)
	}
}

// answers: a message at its time, or now if that has passed, is still an answer to what the client did.
func (f JourneyFacts) answers(did, at time.Time) bool {
	latest := did.Add(answerWindow)
	return !f.Now.After(latest) && !at.After(latest)
}

// told: some message about this visit reached a gateway, or may have.
func (f JourneyFacts) told() bool {
	for key := range f.Effects {
		rule, _, _ := strings.Cut(key, "/")
		if (rule == RuleConfirmation || rule == RuleReminder) && f.carried(key) {
			return true
		}
	}
	return false
}

// over is why nothing more is sent ahead of the visit.
func (f JourneyFacts) over() (DropReason, string) {
	switch f.Status {
	case StatusBooked, StatusConfirmed:
		return "", ""
	case StatusCancelled, StatusLateCancelled, StatusDeclined, StatusExpired:
		return DropCancelled, "the visit is " + string(f.Status)
	case StatusRequested:
		return DropOff, "the visit is not approved yet"
	default:
		return DropStale, "the visit has begun or is over"
	}
}

// wishVisit: what happens by itself when nobody says otherwise.
func (f JourneyFacts) wishVisit(s *settler) {
	if n := f.Settings.AutoNoShowMinutes; n > 0 && (f.Status == StatusBooked || f.Status == StatusConfirmed) {
		s.wish(wish{Step: Step{
			Key: fmt.Sprintf("no_show/v%d", f.Version), Kind: StepMarkNoShow, Rule: RuleVisit,
			At: f.StartsAt.Add(time.Duration(n) * time.Minute), Why: "nobody arrived", Summary: "Mark as no-show",
		}})
	}
	if !Terminal(f.Status) {
		f.wishAnswer(s)
	}
	if f.Settings.AutoComplete && (f.Status == StatusArrived || f.Status == StatusRoomed || f.Status == StatusWithProvider) {
		s.wish(wish{Step: Step{
			Key: fmt.Sprintf("complete/v%d/c%d", f.Version, f.Completions+1), Kind: StepComplete, Rule: RuleVisit,
			At: f.EndsAt, Why: "the visit's time is over", Summary: "Complete the visit",
		}})
	}
}

// visitPatience is how long after its end a visit may stay without an outcome before a person is asked.
const visitPatience = time.Hour

// wishAnswer asks the front desk for what only people know: whether a request is granted, and how a visit ended.
func (f JourneyFacts) wishAnswer(s *settler) {
	if f.Status == StatusRequested {
		s.task(TaskWish{
			Cause: fmt.Sprintf("request/v%d", f.Version), Kind: "request_open", Queue: "front_desk", DueAt: f.BookedAt,
			Title: "A request waits for an answer. Approve or decline it.",
		})
		return
	}
	end := f.EndsAt
	if f.StatusAt.After(end) {
		end = f.StatusAt
	}
	s.task(TaskWish{
		Cause: fmt.Sprintf("outcome/v%d/c%d", f.Version, f.Completions), Kind: "visit_open", Queue: "front_desk", DueAt: end.Add(visitPatience),
		Title: "The visit's time is over. Complete it, mark it as a no-show or cancel it.",
	})
}

// wishMoney: a completed visit makes one draft, issued by the cutoff of the same day, charged where a card is on file,
// then mailed; undoing the completion voids it. One on which money was taken stands, and covers a second completion too.
func (f JourneyFacts) wishMoney(s *settler) {
	n := f.Completions
	step := func(name, kind string, at time.Time, why, summary string) wish {
		return wish{Step: Step{Key: fmt.Sprintf("%s/c%d", name, n), Kind: kind, Rule: RuleInvoice, At: at, Why: why, Summary: summary}}
	}
	inv := f.Invoice
	undone := f.Status != StatusCompleted || (inv != nil && inv.Completion < n) // taken back, and perhaps completed again since
	if undone && inv != nil && inv.Status != InvoiceVoid {
		w := step("void", StepVoidInvoice, f.StatusAt, "the visit is not completed any more", "Void the invoice")
		w.Key = fmt.Sprintf("void/c%d", inv.Completion)
		if s.wish(w) {
			return // the next completion's invoice follows when this one is void
		}
		f.askAboutPaid(s, *inv)
		if f.Status == StatusCompleted {
			kept := step("invoice", StepDraftInvoice, *f.CompletedAt, "the visit was completed again", "Draft the invoice")
			s.not(kept, DropPaid, "the invoice of an earlier completion stands, since money was taken for it")
			return
		}
	}
	if f.Status != StatusCompleted {
		return
	}
	completed := *f.CompletedAt
	s.wish(step("invoice", StepDraftInvoice, completed, "the visit was completed", "Draft the invoice"))
	if inv == nil || inv.Completion != n {
		return
	}
	cutoff := f.Settings.InvoiceCutoff.On(LocalDay(completed, f.Zone), f.Zone)
	if cutoff.Before(completed) {
		cutoff = completed
	}
	issue := step("issue", StepIssueInvoice, cutoff, "invoices go out the same day", "Issue the invoice")
	switch {
	case inv.Status == InvoiceVoid:
		issue.drop, issue.detail = DropVoided, "the invoice was voided"
	case inv.IssuedAt != nil:
		issue.drop, issue.detail = DropSent, "the invoice was issued by hand"
	}
	s.wish(issue)
	if inv.IssuedAt != nil {
		f.wishCharge(s, *inv)
	}
}

// askAboutPaid: an invoice could not be voided, because money was taken. What becomes of the money is a person's decision.
func (f JourneyFacts) askAboutPaid(s *settler, inv InvoiceFacts) {
	if f.Effects[fmt.Sprintf("void/c%d", inv.Completion)].State != EffectAccepted {
		return // staff skipped it: they know
	}
	t := TaskWish{
		Cause: fmt.Sprintf("paid_then_undone/c%d", f.Completions), Kind: "refund_decision", Queue: "billing", DueAt: f.StatusAt,
		Title: "The visit was undone after money was taken. Decide on a refund.",
	}
	if f.Status == StatusCompleted {
		t.Cause, t.Kind = fmt.Sprintf("paid_then_completed/c%d", f.Completions), "invoice_kept"
		t.Title = "The visit was undone after money was taken, and completed again. Its paid invoice stands and no second one was made. Check the amount."
	}
	s.task(t)
}

// wishRecall: a completed visit schedules the next invitation, and undoing the completion takes that back.
func (f JourneyFacts) wishRecall(s *settler) {
	key := fmt.Sprintf("recall/c%d", f.Completions)
	w := wish{Step: Step{Key: key, Kind: StepPlanRecall, Rule: RuleRecall, At: f.StatusAt, Why: "the visit was completed", Summary: "Schedule the recall"}}
	switch {
	case f.Status == StatusCompleted && f.Recalls:
		w.At = *f.CompletedAt
	case f.Status != StatusCompleted && f.Effects[key].State == EffectAccepted:
		w.Key, w.Kind, w.Why, w.Summary = "un"+key, StepUndoRecall, "the visit is not completed any more", "Take the recall back"
	default:
		return
	}
	s.wish(w)
}

// wishCharge: the card on file first; the invoice is mailed when that is settled, so that it says what is still owed.
func (f JourneyFacts) wishCharge(s *settler, inv InvoiceFacts) {
	key := fmt.Sprintf("charge/c%d/a1", inv.Completion)
	w := wish{Step: Step{Key: key, Kind: StepChargeCard, Rule: RuleCharge, Channel: ChannelCard, At: *inv.IssuedAt, Why: "the invoice was issued", Summary: "Charge the card on file"}}
	switch {
	case inv.Status == InvoicePaid:
		w.drop, w.detail = DropPaid, "the invoice is paid"
	case inv.Status == InvoiceVoid:
		w.drop, w.detail = DropVoided, "the invoice was voided"
	case !f.HasCard:
		w.drop, w.detail = DropNoCard, "no card on file"
	case !f.Settings.AutoCharge:
		w.drop, w.detail = DropOff, "charging by itself is switched off"
	}
	if s.wish(w) {
		return
	}
	mail := func(channel string) string { return fmt.Sprintf("invoice/issued/%s/c%d", channel, inv.Completion) }
	for _, c := range f.channels(Rule{Channels: []string{ChannelMail}}, purposeService, mail) {
		m := f.message(RuleInvoice, c, mail(c), *inv.IssuedAt)
		m.Why = "the invoice was issued"
		if inv.Status == InvoiceVoid {
			m.drop, m.detail = DropVoided, "the invoice was voided"
		}
		s.wish(m)
	}
}

// wishPacket: papers still open at their due time are a job for the front desk, until the last form is in.
func (f JourneyFacts) wishPacket(s *settler) {
	over, _ := f.over()
	if f.PacketDue == nil || over != "" {
		return
	}
	s.task(TaskWish{
		Cause: fmt.Sprintf("packet/v%d", f.Version), Kind: "packet_open", Queue: "front_desk", DueAt: *f.PacketDue,
		Title: "Papers are still open shortly before the visit. Ask the client to finish them.",
	})
}

func (f JourneyFacts) message(rule, channel, key string, at time.Time) wish {
	return wish{
		Step: Step{
			Key: key, Kind: sendStep(channel), Rule: rule, Channel: channel, At: at,
			Summary: messageNames[rule] + " · " + channelName(channel),
		},
		purpose: purposeService,
	}
}

// messageNames are how operators read a message, by the first part of its key.
var messageNames = map[string]string{
	RuleConfirmation: "Confirmation", RuleReminder: "Reminder", RuleCancellation: "Notice of cancellation", RuleInvoice: "Invoice", RuleFreshLink: "Fresh links",
	"dunning": "Payment reminder", RuleRecall: "Recall",
}
