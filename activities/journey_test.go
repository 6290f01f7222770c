package activities_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kept-practice/kept/internal/policy"
)

func TestJourney_HappyPath_TellsBillsAndSchedulesTheRecall(t *testing.T) {
	h := newHouse(t)
	booked := h.book("2027-03-15", 2)
	visit := booked.Appointment
	require.Empty(t, h.settle(booked.Journey).Due)
	require.Empty(t, h.post.mails, "nothing goes out inside the grace")

	h.until(booked.Journey, visit.StartsAt.Add(-1).Format("2006-01-02T15:04:05Z"))
	require.Len(t, h.post.mails, 3, "a confirmation and two reminders; two hours before nine o'clock is a quiet hour")
	require.Contains(t, h.post.mails[0].Text, "https://kept.example.org/l/")
	for _, m := range h.post.mails {
		require.Equal(t, "zoe@example.org", m.To.Email)
		require.NotContains(t, m.Subject, "Zoë")
	}
	h.status(visit.ID, policy.VerbArrive, "")
	h.status(visit.ID, policy.VerbComplete, "")
	plan := h.until(booked.Journey, visit.StartsAt.UTC().Format("2006-01-02")+"T23:00:00Z")
	require.True(t, plan.Done, plan.Detail)
	require.Equal(t, 1, h.scalar(`select count(*) from invoices where status = 'issued' and number = 1`))
	require.Contains(t, h.post.mails[3].Text, "/l/", "the invoice carries a pay link")
	require.Equal(t, 0, h.scalar(`select coalesce(sum(amount), 0) from ledger_entries`))
	require.Equal(t, 1, h.scalar(`select count(*) from subjects where kind = 'journey' and status = 'done'`))
}

func TestJourney_CancelledInsideTheGrace_SendsNothing(t *testing.T) {
	h := newHouse(t)
	booked := h.book("2027-03-15", 2)
	h.settle(booked.Journey)
	h.status(booked.Appointment.ID, policy.VerbCancel, "client asked")
	plan := h.until(booked.Journey, "2027-04-01T00:00:00Z")
	require.True(t, plan.Done)
	require.Empty(t, h.post.mails)
	require.Equal(t, 0, h.scalar(`select count(*) from reservations where appointment_id is not null`))
}
