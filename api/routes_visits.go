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
		ID: "book-appointment", Tag: "Appointments", Summary: "Book a visit", Status: created, Unkept: []string{"intake_url"},
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

	s.officeRoutes(r)
	s.moneyRoutes(r)
}

// officeRoutes are what the day leaves to do and to look up: tasks, channels, papers, messages, recalls, the journal.
func (s *Server) officeRoutes(r *operations) {
	operation(r, get, "/v1/tasks", policy.TasksRead, spec{
		ID: "list-tasks", Tag: "Tasks", Summary: "List what waits for a person", About: "A provider sees what they hold and the providers' queue.",
	}, s.listTasks)
	operation(r, get, "/v1/tasks/{id}", policy.TasksRead, spec{ID: "get-task", Tag: "Tasks", Summary: "Read a task"}, s.getTask)
	operation(r, post, "/v1/tasks/{id}/claim", policy.TasksWrite, spec{
		ID: "claim-task", Tag: "Tasks", Summary: "Take a task on", About: "For keys that belong to a person. Of two who claim at once one gets 409, with who has it.",
	}, s.claimTask)
	operation(r, post, "/v1/tasks/{id}/release", policy.TasksWrite, spec{ID: "release-task", Tag: "Tasks", Summary: "Give a task back to its queue"}, s.releaseTask)
	operation(r, post, "/v1/tasks/{id}/done", policy.TasksWrite, spec{
		ID: "finish-task", Tag: "Tasks", Summary: "End a task with what came of it", About: "It is not opened again for the same cause.",
	}, s.finishTask)
	operation(r, get, "/v1/channels", policy.MessagesRead, spec{
		ID: "list-channels", Tag: "Channels", Summary: "List the channels and which are paused", About: "Three unknown outcomes in a row pause a channel by themselves.",
	}, s.listChannels)
	operation(r, post, "/v1/channels/{channel}/resume", policy.MessagesWrite, spec{
		ID: "resume-channel", Tag: "Channels", Summary: "Let a paused channel send again", About: "What fell due meanwhile and is still of use goes out now.",
	}, s.resumeChannel)

	operation(r, get, "/v1/appointments/{id}/packet", policy.PacketsRead, spec{
		ID: "get-packet", Tag: "Papers", Summary: "Read the papers of a visit", About: "With the client's answers, and each signature checked again. Reading is noted in the journal.",
	}, s.getPacket)
	operation(r, get, "/v1/messages", policy.MessagesRead, spec{ID: "list-messages", Tag: "Messages", Summary: "List messages to clients", About: "Without their addresses."}, s.listMessages)
	operation(r, get, "/v1/messages/{id}", policy.MessagesRead, spec{
		ID: "get-message", Tag: "Messages", Summary: "Read a message's way", About: "With its address, which is noted in the journal.",
	}, s.getMessage)

	operation(r, get, "/v1/recalls", policy.RecallsRead, spec{ID: "list-recalls", Tag: "Recalls", Summary: "List clients who are invited back"}, s.listRecalls)
	operation(r, get, "/v1/recalls/{id}", policy.RecallsRead, spec{ID: "get-recall", Tag: "Recalls", Summary: "Read a recall"}, s.getRecall)
	operation(r, post, "/v1/recalls/{id}/override", policy.RecallsWrite, spec{
		ID: "override-recall", Tag: "Recalls", Summary: "Invite on another day", About: "It stands while it lies ahead, also when a visit moves the calculated day. Only while the recall waits.",
	}, s.overrideRecall)
	operation(r, post, "/v1/recalls/{id}/stop", policy.RecallsWrite, spec{
		ID: "stop-recall", Tag: "Recalls", Summary: "Invite no more", About: "Until a completed visit schedules the next recall.",
	}, s.stopRecall)

	operation(r, get, "/v1/journal", policy.JournalRead, spec{
		ID: "list-journal", Tag: "Journal", Summary: "Read the journal", About: "Every change, and every reading of a client's record, newest first.",
	}, s.listJournal)
}

// moneyRoutes are invoices and their payments.
func (s *Server) moneyRoutes(r *operations) {
	operation(r, get, "/v1/invoices", policy.InvoicesRead, spec{ID: "list-invoices", Tag: "Invoices", Summary: "List invoices"}, s.listInvoices)
	operation(r, get, "/v1/invoices/{id}", policy.InvoicesRead, spec{
		ID: "get-invoice", Tag: "Invoices", Summary: "Read an invoice", About: "With its lines, the books' entries and its payments.",
	}, s.getInvoice)
	operation(r, post, "/v1/invoices/{id}/void", policy.InvoicesWrite, spec{
		ID: "void-invoice", Tag: "Invoices", Summary: "Take an unpaid invoice back", About: "The books keep it and its reversal; its pay links end.",
	}, s.voidInvoice)
	operation(r, get, "/v1/invoices/{id}/payments", policy.InvoicesRead, spec{
		ID: "list-invoice-payments", Tag: "Invoices", Summary: "List the attempts to be paid", About: "All of them, oldest first.",
	}, s.listInvoicePayments)
	operation(r, post, "/v1/invoices/{id}/checkout", policy.PaymentsWrite, spec{
		ID: "open-checkout", Tag: "Invoices", Summary: "Open a payment page", About: "For what is still owed; one that is open already is given again.", Resumes: true,
	}, s.openCheckout)
	operation(r, post, "/v1/clients/{id}/card-setup", policy.PaymentsWrite, spec{
		ID: "open-card-setup", Tag: "Clients", Summary: "Open a page on which a client leaves a card", Resumes: true,
	}, s.openCardSetup)
}
