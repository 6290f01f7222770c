package api

import (
	"net/http"

	"github.com/kept-practice/kept/internal/policy"
)

// visitRoutes are the day's work: visits, their journeys, and the clock of a test practice.
func (s *Server) visitRoutes(r *operations) {
	// Whoever keeps the calendar; a provider reaches their own visits.
	operation(r, get, "/v1/services/{id}/free-times", policy.AppointmentsRead, spec{
		ID: "list-free-times", Tag: "Appointments", Summary: "List the times that can be booked", About: "Every start that booking takes now, judged as for a client.",
	}, s.freeTimes)
	operation(r, post, "/v1/appointments", policy.AppointmentsWrite, spec{
		ID: "book-appointment", Tag: "Appointments", Summary: "Book a visit", Status: created,
		About: "The visit's journey starts with it: confirmation, papers, reminders. A time that is refused comes back with the next free ones (409).",
	}, s.bookAppointment)
	operation(r, get, "/v1/appointments", policy.AppointmentsRead, spec{
		ID: "list-appointments", Tag: "Appointments", Summary: "List visits", About: "Newest booking first; ask for from_at and until_at to see a day.",
	}, s.listAppointments)
	operation(r, get, "/v1/appointments/{id}", policy.AppointmentsRead, spec{ID: "get-appointment", Tag: "Appointments", Summary: "Read a visit"}, s.getAppointment)
	for _, v := range []struct {
		path, summary string
		verb          policy.StatusVerb
	}{
		{"confirm", "The client said they come", policy.VerbConfirm},
		{"arrive", "The client is here", policy.VerbArrive},
		{"room", "The client waits in the room", policy.VerbRoom},
		{"start", "The visit has begun", policy.VerbStart},
		{"complete", "The visit took place", policy.VerbComplete},
		{"no-show", "Nobody came", policy.VerbNoShow},
	} {
		operation(r, post, "/v1/appointments/{id}/"+v.path, policy.AppointmentsWrite, spec{
			ID: v.path + "-appointment", Tag: "Appointments", Summary: v.summary,
			About: "Saying it again changes nothing. Where the present status does not allow it: 409 with the visit and what is possible.",
		}, s.visitVerb(v.verb))
	}
	operation(r, post, "/v1/appointments/{id}/cancel", policy.AppointmentsWrite, spec{
		ID: "cancel-appointment", Tag: "Appointments", Summary: "Cancel a visit", About: "Its time is free at once; reminders stop, links end, the client is told.",
	}, s.cancelAppointment)
	operation(r, post, "/v1/appointments/{id}/move", policy.AppointmentsWrite, spec{
		ID: "move-appointment", Tag: "Appointments", Summary: "Give a visit another time", About: "Its reminders are planned afresh. A time that is refused comes back with the next free ones (409).",
	}, s.moveAppointment)
	operation(r, post, "/v1/appointments/{id}/undo", policy.AppointmentsWrite, spec{
		ID: "undo-appointment", Tag: "Appointments", Summary: "Take back the last change of status", About: "Within the practice's window. A cancelled visit comes back only while its time is free.",
	}, s.undoAppointment)
	operation(r, post, "/v1/holds", policy.AppointmentsWrite, spec{
		ID: "place-hold", Tag: "Appointments", Summary: "Keep a time for some minutes", About: "It ends by itself, or with the booking that names it.", Status: created,
	}, s.placeHold)
	operation(r, del, "/v1/holds/{id}", policy.AppointmentsWrite, spec{
		ID: "release-hold", Tag: "Appointments", Summary: "Give a kept time back", Status: http.StatusNoContent,
	}, s.releaseHold)

	operation(r, get, "/v1/journeys", policy.JourneysRead, spec{
		ID: "list-journeys", Tag: "Journeys", Summary: "List the journeys under way", About: "What each waits for, as its last plan said.",
	}, s.listJourneys)
	operation(r, get, "/v1/journeys/{id}", policy.JourneysRead, spec{
		ID: "get-journey", Tag: "Journeys", Summary: "Read a journey",
		About: "What happened, what it waits for, what comes and when, why the rest will not happen: planned afresh, follow-up of the invoice and recall included.",
	}, s.getJourney)
	operation(r, post, "/v1/journeys/{id}/verbs", policy.JourneysAct, spec{
		ID: "act-on-journey", Tag: "Journeys", Summary: "Pause, resume, skip, retry, fire now, reroute or send again",
		About: "What cannot be done is refused with the reason and the plan as it stands (409). The reply is the new plan.",
	}, s.actOnJourney)

	operation(r, get, "/v1/test-clock", policy.SettingsRead, spec{
		ID: "get-test-clock", Tag: "Test clock", Summary: "Read the clock of a test practice", About: "A live practice has none: 409 no_test_clock.",
	}, s.getTestClock)
	operation(r, post, "/v1/test-clock/advance", policy.TestClocksWrite, spec{
		ID: "advance-test-clock", Tag: "Test clock", Summary: "Let time pass in a test practice", Status: http.StatusAccepted,
		About: "Everything that falls due on the way happens, in order. Until it is ready again, writes are refused (409 clock_advancing).",
	}, s.advanceTestClock)
}
