package api

import "github.com/kept-practice/kept/internal/policy"

// bookRoutes are what people look after besides the calendar: money, recalls, tasks, messages, the journal.
func (s *Server) bookRoutes(r *operations) {
	// Whoever bills.
	operation(r, get, "/v1/invoices", policy.InvoicesRead, spec{ID: "list-invoices", Tag: "Invoices", Summary: "List invoices"}, s.listInvoices)
	operation(r, get, "/v1/invoices/{id}", policy.InvoicesRead, spec{
		ID: "get-invoice", Tag: "Invoices", Summary: "Read an invoice", About: "With its lines, its payments and what was posted to the books.",
	}, s.getInvoice)
	operation(r, post, "/v1/invoices/{id}/void", policy.InvoicesWrite, spec{
		ID: "void-invoice", Tag: "Invoices", Summary: "Take an unpaid invoice back", About: "Its postings are reversed, its number stays used.",
	}, s.voidInvoice)
	operation(r, post, "/v1/invoices/{id}/checkout", policy.PaymentsWrite, spec{
		ID: "open-checkout", Tag: "Invoices", Summary: "Open a hosted page on which the client pays what is owed",
	}, s.openCheckout)
	operation(r, post, "/v1/clients/{id}/card-setup", policy.PaymentsWrite, spec{
		ID: "open-card-setup", Tag: "Clients", Summary: "Open a hosted page on which the client leaves a card",
	}, s.openCardSetup)

	// Whoever invites clients back.
	operation(r, get, "/v1/recalls", policy.RecallsRead, spec{ID: "list-recalls", Tag: "Recalls", Summary: "List recalls"}, s.listRecalls)
	operation(r, get, "/v1/recalls/{id}", policy.RecallsRead, spec{ID: "get-recall", Tag: "Recalls", Summary: "Read a recall"}, s.getRecall)
	operation(r, post, "/v1/recalls/{id}/override", policy.RecallsWrite, spec{
		ID: "override-recall", Tag: "Recalls", Summary: "Set another day to invite the client", About: "null returns to the calculated day.",
	}, s.overrideRecall)
	operation(r, post, "/v1/recalls/{id}/stop", policy.RecallsWrite, spec{ID: "stop-recall", Tag: "Recalls", Summary: "Do not invite the client"}, s.stopRecall)

	// Whoever works through a queue.
	operation(r, get, "/v1/tasks", policy.TasksRead, spec{ID: "list-tasks", Tag: "Tasks", Summary: "List tasks"}, s.listTasks)
	operation(r, post, "/v1/tasks/{id}/claim", policy.TasksWrite, spec{
		ID: "claim-task", Tag: "Tasks", Summary: "Take a task", About: "Of two who take it at once, one gets 409.",
	}, s.claimTask)
	operation(r, post, "/v1/tasks/{id}/release", policy.TasksWrite, spec{ID: "release-task", Tag: "Tasks", Summary: "Give a task back to its queue"}, s.releaseTask)
	operation(r, post, "/v1/tasks/{id}/done", policy.TasksWrite, spec{ID: "finish-task", Tag: "Tasks", Summary: "Say that a task is done"}, s.finishTask)

	operation(r, get, "/v1/messages", policy.MessagesRead, spec{ID: "list-messages", Tag: "Messages", Summary: "List messages and what became of them"}, s.listMessages)
	operation(r, get, "/v1/channels", policy.MessagesRead, spec{ID: "list-channels", Tag: "Messages", Summary: "List the channels and their pauses"}, s.listChannels)
	operation(r, post, "/v1/channels/{channel}/resume", policy.MessagesWrite, spec{
		ID: "resume-channel", Tag: "Messages", Summary: "Let a paused channel send again",
	}, s.resumeChannel)

	operation(r, get, "/v1/journal", policy.JournalRead, spec{
		ID: "list-journal", Tag: "Journal", Summary: "Read the journal", About: "Who did what, when and why; newest first.",
	}, s.listJournal)
}
