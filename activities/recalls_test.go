package activities_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kept-practice/kept/internal/desk"
	"github.com/kept-practice/kept/internal/policy"
)

// complete lets a visit's day come and take place.
func (h *house) complete(booked desk.Booked) {
	h.t.Helper()
	h.until(booked.Journey, booked.Appointment.StartsAt.UTC().Format(time.RFC3339))
	h.status(booked.Appointment.ID, policy.VerbComplete, "")
	h.settle(booked.Journey)
}

func (h *house) undo(booked desk.Booked) {
	h.t.Helper()
	_, err := h.desk.Undo(h.t.Context(), h.by, booked.Appointment.ID, "wrong client")
	require.NoError(h.t, err)
	h.settle(booked.Journey)
}

func (h *house) recall() (status, dueOn string) {
	h.t.Helper()
	require.NoError(h.t, h.super.QueryRow(h.t.Context(), `select status, due_on::text from recalls`).Scan(&status, &dueOn))
	return status, dueOn
}

func TestRecall_FirstCompletionUndone_InvitesNobody_UntilCompletedAgain(t *testing.T) {
	h := newHouse(t)
	booked := h.book("2027-03-15", 2)
	h.complete(booked)
	status, due := h.recall()
	require.Equal(t, policy.RecallWaiting, status)
	h.undo(booked)
	status, _ = h.recall()
	require.Equal(t, policy.RecallStopped, status)

	h.status(booked.Appointment.ID, policy.VerbComplete, "")
	h.settle(booked.Journey)
	status, again := h.recall()
	require.Equal(t, policy.RecallWaiting, status)
	require.Equal(t, due, again)
	h.sound()
}

func TestRecall_SecondCompletionUndone_GoesBackToTheFirst(t *testing.T) {
	h := newHouse(t)
	first := h.book("2027-03-15", 2)
	h.complete(first)
	_, due := h.recall()
	second := h.book("2027-06-14", 2)
	h.complete(second)
	_, later := h.recall()
	require.Greater(t, later, due)

	h.undo(second)
	status, back := h.recall()
	require.Equal(t, policy.RecallBooked, status, "nobody is invited while the visit stands")
	require.Equal(t, due, back)
	h.status(second.Appointment.ID, policy.VerbCancel, "was the wrong client's")
	h.settle(second.Journey)
	status, back = h.recall()
	require.Equal(t, policy.RecallWaiting, status)
	require.Equal(t, due, back)
	h.sound("INV10") // the first journey and the recall were not planned again here
}
