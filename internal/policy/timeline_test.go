package policy

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// timeline plays one client for two years: every plan is written as the planner says it, every due step is done at once.
type timeline struct {
	b   strings.Builder
	t   *testing.T
	now time.Time
}

func (l *timeline) say(format string, args ...any) {
	fmt.Fprintf(&l.b, "%s  %s\n", l.now.In(ny()).Format("2006-01-02 Mon 15:04"), fmt.Sprintf(format, args...))
}

func (l *timeline) plan(o Outlook) { l.b.WriteString(written(o, ny())) }

// until runs a journey up to an instant.
func (l *timeline) until(f *JourneyFacts, end time.Time, decline bool) {
	for range 100 {
		o := PlanJourney(*f)
		l.plan(o)
		for _, s := range o.Due {
			l.say("%s", s.Key)
			if s.Kind == StepChargeCard && decline {
				settleAs(&f.Ground, s.Key, EffectFailed)
				continue
			}
			f.does(l.t, s)
		}
		if len(o.Due) > 0 {
			continue
		}
		if o.WakeAt == nil || o.WakeAt.After(end) {
			l.now = end
			setNow(&f.Ground, end)
			return
		}
		l.now = *o.WakeAt
		setNow(&f.Ground, l.now)
	}
	require.Fail(l.t, "the journey does not come to rest")
}

// follow runs a collection or a recall: look plans at an instant, and done applies a step.
func (l *timeline) follow(look func(time.Time) Outlook, done func(Step), end time.Time) {
	for range 100 {
		o := look(l.now)
		l.plan(o)
		for _, s := range o.Due {
			l.say("%s", s.Key)
			done(s)
		}
		if len(o.Due) > 0 {
			continue
		}
		if o.WakeAt == nil || o.WakeAt.After(end) {
			l.now = end
			return
		}
		l.now = *o.WakeAt
	}
	require.Fail(l.t, "the subject does not come to rest")
}

func TestTimeline_AClientOverTwoYears(t *testing.T) {
	t.Parallel()
	l := &timeline{t: t, now: at(visitBooked)}
	l.say("the client books")
	f := bookedVisit(l.now)
	f.HasCard, f.Recalls = true, true
	l.until(&f, at("2026-06-18T19:35:00Z"), false)
	l.say("the visit is completed")
	done := l.now
	f.Status, f.StatusAt, f.Completions, f.CompletedAt = StatusCompleted, done, 1, &done
	l.until(&f, at("2026-06-19T00:00:00Z"), true)
	require.True(t, PlanJourney(f).Done)

	c := collecting("2026-06-18T22:00:00Z")
	c.HasCard, c.Invoice.IssuedAt = true, f.Invoice.IssuedAt
	l.now, _ = FirstFollowUp(c.Rules, *c.Invoice.IssuedAt, c.Zone)
	l.say("the first follow-up is due")
	look := func(now time.Time) Outlook { setNow(&c.Ground, now); return PlanCollection(c) }
	fail := func(s Step) {
		if s.Kind == StepChargeCard {
			settleAs(&c.Ground, s.Key, EffectFailed)
			return
		}
		accepted(&c.Ground, s.Key)
	}
	l.follow(look, fail, at("2026-07-03T15:00:00Z"))
	l.say("the client pays")
	c.Invoice.Status = InvoicePaid
	l.follow(look, fail, l.now)
	require.True(t, look(l.now).Done)

	r := dueRecall(l.now)
	recall := func(now time.Time) Outlook { setNow(&r.Ground, now); return PlanRecall(r) }
	close := func(s Step) {
		accepted(&r.Ground, s.Key)
		if s.Kind == StepCloseRecall {
			r.Status = strings.Split(s.Key, "/")[1]
		}
	}
	l.now = StartOfDay(r.DueOn, r.Zone)
	l.say("the recall is due")
	l.follow(recall, close, at("2027-02-01T15:00:00Z"))
	require.Equal(t, RecallExhausted, r.Status)
	r.Status, r.Round, r.DueOn = RecallStarted, 2, MustLocalDate("2027-12-20")
	l.now = StartOfDay(r.DueOn, r.Zone)
	l.say("the next round is due")
	l.follow(recall, close, at("2027-12-22T16:00:00Z"))
	l.say("the client books from the invitation")
	r.Booked = true
	l.follow(recall, close, l.now)
	require.Equal(t, RecallBooked, r.Status)

	again := bookedVisit(l.now)
	again.BookedAt, again.ChangedAt, again.StatusAt, again.ByClient = l.now, l.now, l.now, true
	again.StartsAt, again.EndsAt = at("2028-03-13T14:00:00Z"), at("2028-03-13T14:30:00Z") // the Monday after clocks went forward
	l.until(&again, at("2028-03-13T14:00:00Z"), false)
	l.say("the client is here")
	golden(t, "two_years.txt", l.b.String())
}
