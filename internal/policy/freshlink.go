package policy

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// MaxFreshLinks is how often a day a client is sent fresh links of one visit.
const MaxFreshLinks = 3

// freshUse is how long after the client asked fresh links are still what they wait for.
const freshUse = 24 * time.Hour

// wishFreshLinks answers each time that the client asked behind a link which did not open: fresh links go to the address on file,
// and where none can go a person sees to it.
func (f JourneyFacts) wishFreshLinks(s *settler) {
	n := 0
	for _, o := range f.Overrides {
		if o.Verb != AskedFreshLink {
			continue
		}
		n++
		key := func(channel string) string { return fmt.Sprintf("%s/%d/%s/v%s", RuleFreshLink, n, channel, o.Value) }
		for _, c := range f.channels(Rule{}, purposeService, key) {
			w := f.message(RuleFreshLink, c, key(c), o.At)
			w.Why, w.until, w.exempt = "the client asked for a fresh link", o.At.Add(freshUse), f.answers(o.At, w.At)
			if !f.linkable() {
				w.drop, w.detail = DropStale, "no link of the visit has anything left to do"
			}
			s.wish(w)
			f.askForLink(s, w, n)
		}
	}
}

// linkable: some link can still act, on the visit ahead or on its unpaid invoice.
func (f JourneyFacts) linkable() bool {
	over, _ := f.over()
	return over == "" || (f.Invoice != nil && f.Invoice.Status == InvoiceIssued)
}

// askForLink hands the client's wish to a person when the facts forbid the message. Failures and unknown outcomes have tasks of
// their own, and what staff skipped or paused they know of.
func (f JourneyFacts) askForLink(s *settler, w wish, n int) {
	i := slices.IndexFunc(s.out.Not, func(d Dropped) bool { return d.Key == w.Key })
	if i < 0 {
		return
	}
	switch s.out.Not[i].Reason {
	case DropNoContact, DropOptedOut, DropInactive, DropStale, DropQuietPast, DropRefused:
	default:
		return
	}
	s.task(TaskWish{
		Cause: fmt.Sprintf("%s/%d", RuleFreshLink, n), Kind: "fresh_link", Queue: "front_desk", StepKey: w.Key, DueAt: w.At,
		Title: "A client's link does not open, and no message can bring a fresh one. Reach the client.",
	})
}

// LinksOnTheWay: an answer to an earlier wish for fresh links has yet to go out, so another wish adds nothing.
func (o Outlook) LinksOnTheWay() bool {
	fresh := func(s Step) bool { return strings.HasPrefix(s.Key, RuleFreshLink+"/") }
	return slices.ContainsFunc(o.Due, fresh) || slices.ContainsFunc(o.Future, fresh)
}
