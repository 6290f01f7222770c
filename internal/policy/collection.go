package policy

import "time"

// PlanCollection says how an unpaid invoice is followed up: the rules of its cadence, counted from the instant of issue,
// each once, all dropped as soon as it is paid or voided.
func PlanCollection(f CollectionFacts) Outlook {
	s := newSettler(f.Ground, f.Invoice.Status)
	if f.Invoice.IssuedAt == nil { // a draft is followed by its visit's journey
		return s.finish(true)
	}
	over, why := f.over()
	last := *f.Invoice.IssuedAt
	for _, r := range f.Rules {
		at := r.When.Instant(*f.Invoice.IssuedAt, f.Zone)
		if at.After(last) {
			last = at
		}
		f.wishRule(s, r, at, over, why)
	}
	if over == "" {
		s.task(TaskWish{
			Cause: "unpaid", Kind: "unpaid", Queue: "billing", DueAt: last.Add(unpaidPatience),
			Title: "Every follow-up went out and the invoice is still unpaid. Call, agree a plan or write it off.",
		})
	}
	return s.finish(over != "")
}

// unpaidPatience is how long after the last rule a person is asked.
const unpaidPatience = 7 * 24 * time.Hour

func (f CollectionFacts) over() (DropReason, string) {
	switch f.Invoice.Status {
	case InvoicePaid:
		return DropPaid, "the invoice is paid"
	case InvoiceVoid:
		return DropVoided, "the invoice was voided"
	}
	return "", ""
}

func (f CollectionFacts) wishRule(s *settler, r Rule, at time.Time, over DropReason, why string) {
	switch r.Act {
	case ActMessage:
		key := func(channel string) string { return "dunning/" + r.ID + "/" + channel + "/v1" }
		for _, c := range f.channels(r, purposeService, key) {
			s.wish(wish{
				Step: Step{
					Key: key(c), Kind: sendStep(c), Rule: r.ID, Channel: c, At: at, Why: "the invoice is unpaid",
					Summary: "Payment reminder · " + r.When.Words() + " · " + channelName(c),
				},
				purpose: purposeService, drop: over, detail: why,
			})
		}
	case ActCharge:
		w := wish{
			Step: Step{
				Key: "charge/" + r.ID + "/a1", Kind: StepChargeCard, Rule: r.ID, Channel: ChannelCard, At: at, Why: "the invoice is unpaid",
				Summary: "Charge the card on file · " + r.When.Words(),
			},
			drop: over, detail: why,
		}
		switch {
		case over != "":
		case !f.HasCard:
			w.drop, w.detail = DropNoCard, "no card on file"
		case f.Processing && f.Effects[w.Key].State != EffectClaimed:
			w.drop, w.detail = DropOff, "a payment is under way"
		}
		s.wish(w)
	case ActTask:
		if over == "" {
			s.task(TaskWish{Cause: "rule/" + r.ID, Kind: "collection", Queue: "billing", Title: r.Title, DueAt: at})
		}
	}
}
