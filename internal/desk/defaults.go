package desk

import (
	"encoding/json"
	"slices"

	"github.com/kept-practice/kept/db"
	"github.com/kept-practice/kept/internal/policy"
)

// Keys of the forms that every practice starts with.
const (
	FormIntake  = "intake"
	FormConsent = "consent"
)

// defaultForms are asked by the default services; see policy.FormField for what a question can be.
var defaultForms = []db.FormInsertParams{
	{
		FormKey: FormIntake, N: 1, Title: "About you", ValidMonths: months(12), Fields: json.RawMessage(`[
			{"key": "reason", "label": "What brings you to us?", "kind": "text", "multiline": true, "required": true},
			{"key": "seen_before", "label": "Have you seen anybody about this before?", "kind": "choice", "required": true,
				"options": [{"value": "yes", "label": "Yes"}, {"value": "no", "label": "No"}]},
			{"key": "seen_by", "label": "Whom, and when?", "kind": "text", "required": true, "show_if": {"field": "seen_before", "equals": "yes"}},
			{"key": "born_on", "label": "Your date of birth", "kind": "date"},
			{"key": "needs", "label": "Is there anything we should prepare, such as step-free access or an interpreter?", "kind": "text"},
			{"key": "emergency_name", "label": "Whom may we call in an emergency?", "kind": "text"},
			{"key": "emergency_phone", "label": "Their phone number", "kind": "text"}
		]`),
	},
	{
		FormKey: FormConsent, N: 1, Title: "Your consent", NeedsSignature: true, ValidMonths: months(12),
		Document: "I agree that the practice keeps the details that I give in order to look after me, to plan my visits and to write my invoices.\n" +
			"I agree to be reminded of my visits. I can stop messages at any time by the link in each mail or by answering a text with STOP.\n" +
			"I was told what a visit costs and until when it can be moved or cancelled.",
		Fields: json.RawMessage(`[{"key": "agree", "label": "I have read this and agree", "kind": "tick", "required": true}]`),
	},
}

func months(n int32) *int32 { return &n }

// defaultTemplates are in English. Subjects and texts are neutral: they tell others nothing about what a visit is for.
var defaultTemplates = []policy.MessageTemplate{
	mail(policy.MessageConfirmation, "Your appointment at {{practice_name}}",
		"Hello {{given_name}},\n\nyour appointment at {{practice_name}} is booked.\n\nWhen: {{when}}\nWhere: {{where}}\nWith: {{provider}}\n\n"+
			"Please fill in your papers before you come: {{intake_url}}\n\n"+
			"Confirm that you will come: {{confirm_url}}\nChoose another time: {{move_url}}\nCancel: {{cancel_url}}"+signature+preferences),
	sms(policy.MessageConfirmation, "{{practice_name}}: booked for {{when}}.\nPapers: {{intake_url}}\nConfirm: {{confirm_url}}\nChange: {{move_url}}\nSTOP to opt out"),
	mail(policy.MessageMoved, "Your appointment at {{practice_name}} has a new time",
		"Hello {{given_name}},\n\nyour appointment at {{practice_name}} has a new time.\n\nWhen: {{when}}\nWhere: {{where}}\nWith: {{provider}}\n\n"+
			"Please fill in your papers before you come: {{intake_url}}\n\n"+
			"Confirm that you will come: {{confirm_url}}\nChoose another time: {{move_url}}\nCancel: {{cancel_url}}"+signature+preferences),
	sms(policy.MessageMoved, "{{practice_name}}: new time {{when}}.\nPapers: {{intake_url}}\nConfirm: {{confirm_url}}\nChange: {{move_url}}\nSTOP to opt out"),
	mail(policy.MessageReminder, "Reminder of your appointment at {{practice_name}}",
		"Hello {{given_name}},\n\nthis is a reminder of your appointment at {{practice_name}}.\n\nWhen: {{when}}\nWhere: {{where}}\nWith: {{provider}}\n\n"+
			"Please fill in your papers before you come: {{intake_url}}\nCheck in when you arrive: {{check_in_url}}\n\n"+
			"Confirm that you will come: {{confirm_url}}\nChoose another time: {{move_url}}\nCancel: {{cancel_url}}"+signature+preferences),
	sms(policy.MessageReminder, "{{practice_name}}: see you {{when}}.\nPapers: {{intake_url}}\nCheck in: {{check_in_url}}\nConfirm: {{confirm_url}}\nChange: {{move_url}}\nSTOP to opt out"),
	mail(policy.MessageCancellation, "Your appointment at {{practice_name}} is cancelled",
		"Hello {{given_name}},\n\nyour appointment at {{practice_name}} on {{when}} is cancelled.\n\nBook another time: {{book_url}}"+signature),
	sms(policy.MessageCancellation, "{{practice_name}}: your appointment on {{when}} is off.\nBook again: {{book_url}}\nSTOP to opt out"),
	mail(policy.MessageInvoice, "Your invoice from {{practice_name}}",
		"Hello {{given_name}},\n\nthank you for your visit to {{practice_name}}. Amount due: {{amount}}.\nInvoice number: {{number}}\n\nPay online: {{pay_url}}"+signature),
	sms(policy.MessageInvoice, "{{practice_name}}: your invoice, {{amount}}.\nPay: {{pay_url}}\nSTOP to opt out"),
	mail(policy.MessageReceipt, "Your receipt from {{practice_name}}",
		"Hello {{given_name}},\n\n{{practice_name}} has received your payment of {{amount}}. Thank you.\nInvoice number: {{number}}"+signature),
	sms(policy.MessageReceipt, "{{practice_name}}: we have received {{amount}}. Thank you.\nSTOP to opt out"),
	mail(policy.MessageDunning, "An open invoice from {{practice_name}}",
		"Hello {{given_name}},\n\nan invoice from {{practice_name}} is still open. Amount due: {{amount}}.\nInvoice number: {{number}}\n\n"+
			"Pay online: {{pay_url}}\n\nIf you have paid meanwhile, please forget this mail."+signature),
	sms(policy.MessageDunning, "{{practice_name}}: an invoice is still open, {{amount}}.\nPay: {{pay_url}}\nSTOP to opt out"),
	mail(policy.MessageRecall, "Time for your next appointment at {{practice_name}}",
		"Hello {{given_name}},\n\nit is time for your next appointment at {{practice_name}}.\n\nChoose a time: {{book_url}}"+signature+
			"\n\nNo more invitations: {{unsubscribe_url}}\nChoose what we send you: {{preferences_url}}"),
	mail(policy.MessageFreshLink, "Your links from {{practice_name}}",
		"Hello {{given_name}},\n\nyou asked for fresh links to your appointment at {{practice_name}}. If it was not you, there is nothing to do.\n\n"+
			"When: {{when}}\nWhere: {{where}}\n\n"+
			"Please fill in your papers before you come: {{intake_url}}\nCheck in when you arrive: {{check_in_url}}\n\n"+
			"Confirm that you will come: {{confirm_url}}\nChoose another time: {{move_url}}\nCancel: {{cancel_url}}\n\nPay online: {{pay_url}}"+signature),
	sms(policy.MessageFreshLink, "{{practice_name}}: fresh links for {{when}}.\nPapers: {{intake_url}}\nCheck in: {{check_in_url}}\nConfirm: {{confirm_url}}\n"+
		"Change: {{move_url}}\nPay: {{pay_url}}\nSTOP to opt out"),
	sms(policy.MessageRecall, "{{practice_name}}: it is time for your next appointment.\nChoose a time: {{book_url}}\nSTOP to opt out"),
}

// defaultTemplate is the text that every practice starts with.
func defaultTemplate(kind, channel string) (policy.MessageTemplate, bool) {
	i := slices.IndexFunc(defaultTemplates, func(t policy.MessageTemplate) bool { return t.Kind == kind && t.Channel == channel })
	if i < 0 {
		return policy.MessageTemplate{}, false
	}
	return defaultTemplates[i], true
}

// signature closes a mail. Lines without a value are left out.
const signature = "\n\n{{practice_name}}\n{{practice_phone}}\n{{postal_address}}"

// preferences stands below the signature of mails about visits.
const preferences = "\n\nChoose what we send you: {{preferences_url}}"

func mail(kind, subject, body string) policy.MessageTemplate {
	return policy.MessageTemplate{Kind: kind, Channel: policy.ChannelMail, Subject: subject, Body: body}
}

func sms(kind, body string) policy.MessageTemplate {
	return policy.MessageTemplate{Kind: kind, Channel: policy.ChannelSMS, Body: body}
}
