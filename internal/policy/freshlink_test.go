package policy

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// askedAt is a confirmed visit whose client asked for fresh links at an instant.
func askedAt(now string) JourneyFacts {
	f := bookedVisit(at(now))
	f.Rules = nil
	f.Effects[confirmMail] = Effect{State: EffectAccepted, Final: true}
	say(&f.Ground, AskedFreshLink, "", "1")
	return f
}

const freshMail = "fresh_link/1/mail/v1"

func TestFreshLink_AnswersAtOnce_AtNightTooWithinTenMinutes(t *testing.T) {
	t.Parallel()
	f := askedAt("2026-06-11T03:00:00Z")
	o := PlanJourney(f)
	require.Equal(t, []string{freshMail}, keys(o.Due))
	require.Equal(t, "answers the client", o.Exempt[freshMail])
	require.True(t, o.LinksOnTheWay())
	setNow(&f.Ground, f.Now.Add(11*time.Minute))
	o = PlanJourney(f)
	require.Empty(t, o.Due, "too late to be an answer: it waits for the morning")
	require.True(t, o.LinksOnTheWay())
}

func TestFreshLink_EachWishOnce_WhateverTheVersionBecomes(t *testing.T) {
	t.Parallel()
	f := askedAt("2026-06-11T15:00:00Z")
	accepted(&f.Ground, freshMail)
	f.Version = 2
	accepted(&f.Ground, "confirmation/booked/mail/v2")
	require.Empty(t, PlanJourney(f).Due)
	require.False(t, PlanJourney(f).LinksOnTheWay())
	say(&f.Ground, AskedFreshLink, "", "2")
	require.Equal(t, []string{"fresh_link/2/mail/v2"}, keys(PlanJourney(f).Due))
}

func TestFreshLink_NobodyToSendTo_IsATaskOnce(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*JourneyFacts){
		"no address": func(f *JourneyFacts) { f.Client.Service = map[string]Reach{} },
		"opted out": func(f *JourneyFacts) {
			f.Client.Service = map[string]Reach{ChannelMail: {Address: true, OptedOut: true}}
		},
		"nothing left to do": func(f *JourneyFacts) { f.Status, f.StatusAt = StatusCancelled, f.Now },
	} {
		f := askedAt("2026-06-11T15:00:00Z")
		change(&f)
		o := PlanJourney(f)
		require.NotContains(t, keys(o.Due), freshMail, name)
		require.Contains(t, taskKinds(o.Tasks), "fresh_link", name)
		settleAs(&f.Ground, freshMail, EffectRefused)
		require.Contains(t, taskKinds(PlanJourney(f).Tasks), "fresh_link", name)
		settleAs(&f.Ground, freshMail, EffectAccepted)
		require.NotContains(t, taskKinds(PlanJourney(f).Tasks), "fresh_link", name)
	}
}

func TestFreshLink_AfterTheVisit_OnlyWhileItsInvoiceIsUnpaid(t *testing.T) {
	t.Parallel()
	f := askedAt("2026-06-19T15:00:00Z")
	done := at("2026-06-18T19:50:00Z")
	f.Status, f.Completions, f.CompletedAt = StatusCompleted, 1, &done
	f.Invoice = &InvoiceFacts{Completion: 1, Status: InvoiceIssued, IssuedAt: &done}
	accepted(&f.Ground, "invoice/c1")
	accepted(&f.Ground, "invoice/issued/mail/c1")
	require.Equal(t, []string{freshMail}, keys(PlanJourney(f).Due))
	f.Invoice.Status = InvoicePaid
	require.Equal(t, DropStale, droppedFor(t, PlanJourney(f), freshMail))
}
