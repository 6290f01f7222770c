package policy

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func reminderMail(subject, body string) MessageTemplate {
	return MessageTemplate{Kind: MessageReminder, Channel: ChannelMail, Subject: subject, Body: body}
}

func TestCheckTemplate_RefusesWhatMustNotBePublished(t *testing.T) {
	const subject, body = "From {{practice_name}}", "{{practice_name}}: {{when}}"
	for name, c := range map[string]struct {
		template      MessageTemplate
		code, pointer string
	}{
		"unknown kind":                 {MessageTemplate{Kind: "gossip", Channel: ChannelMail, Subject: subject, Body: body}, "invalid_kind", "/kind"},
		"unknown channel":              {MessageTemplate{Kind: MessageReminder, Channel: "card", Body: body}, "invalid_channel", "/channel"},
		"BAD-O2 unknown variable":      {reminderMail(subject, body+" {{service}}"), "unknown_variable", "/body"},
		"variable of another kind":     {reminderMail(subject, body+" {{pay_url}}"), "unknown_variable", "/body"},
		"missing variable":             {reminderMail(subject, "{{practice_name}} expects you"), "missing_variable", "/body"},
		"nobody named":                 {reminderMail(subject, "see you {{when}}"), "missing_variable", "/body"},
		"malformed variable":           {reminderMail(subject, body+" {{ when }}"), "malformed_variable", "/body"},
		"template code":                {reminderMail(subject, body+` {{if .X}}`), "malformed_variable", "/body"},
		"half a variable":              {reminderMail(subject, body+" {{when"), "malformed_variable", "/body"},
		"BAD-O2 line break in subject": {reminderMail("a\r\nBcc: x@example.org", body), "line_break", "/subject"},
		"BAD-O2 1 MB":                  {reminderMail(subject, body+strings.Repeat("x", 1<<20)), "too_long", "/body"},
		"long subject":                 {reminderMail(strings.Repeat("x", 121), body), "too_long", "/subject"},
		"no subject":                   {reminderMail("", body), "empty", "/subject"},
		"name in the subject":          {reminderMail("{{given_name}}, see you", body), "private_subject", "/subject"},
		"time in the subject":          {reminderMail("See you {{when}}", body), "private_subject", "/subject"},
		"NUL":                          {reminderMail(subject, body+"\x00"), "control_character", "/body"},
		"direction override":           {reminderMail(subject, body+"\u202e"), "direction_override", "/body"},
		"subject of a text":            {MessageTemplate{Kind: MessageReminder, Channel: ChannelSMS, Subject: "x", Body: body}, "no_subject", "/subject"},
		"text of a novel":              {MessageTemplate{Kind: MessageReminder, Channel: ChannelSMS, Body: body + strings.Repeat("x", 481)}, "too_long", "/body"},
		"mail's variable in a text":    {MessageTemplate{Kind: MessageRecall, Channel: ChannelSMS, Body: "{{practice_name}} {{book_url}} {{unsubscribe_url}}"}, "unknown_variable", "/body"},
		"recall without a way out":     {MessageTemplate{Kind: MessageRecall, Channel: ChannelMail, Subject: subject, Body: "{{practice_name}} {{book_url}}"}, "missing_variable", "/body"},
		"reply CANCEL":                 {reminderMail(subject, body+"\nReply CANCEL to cancel."), "asks_for_cancel", "/body"},
		"text us cancel":               {reminderMail(subject, body+"\nJust text us \"Cancel\"!"), "asks_for_cancel", "/body"},
		"answer with cancel":           {reminderMail(subject, body+"\nAnswer with the word CANCEL"), "asks_for_cancel", "/body"},
	} {
		err := CheckTemplate(c.template)
		require.Equal(t, c.code, CodeOf(err), "%s: %v", name, err)
		var e *Error
		require.ErrorAs(t, err, &e)
		require.Equal(t, c.pointer, e.Fields[0].Pointer, name)
	}
	require.NoError(t, CheckTemplate(reminderMail(subject, body+"\nCancel: {{cancel_url}}\nReply C to confirm. Cancel by the link.")))
}

func TestRender_LinesWithoutAValueAreLeftOut(t *testing.T) {
	m := MessageTemplate{
		Kind: MessageReminder, Channel: ChannelMail, Subject: "From {{practice_name}}",
		Body: "Hello {{given_name}},\n\n{{when}}\nWith: {{provider}}\n\nPapers: {{intake_url}}\n\nCheck in: {{check_in_url}}\n\n{{practice_name}}\n{{postal_address}}",
	}
	got, err := Render(m, map[string]string{
		"practice_name": "Harbour Lane", "given_name": "Zoë", "when": "Monday 9 March 2026, 14:00", "check_in_url": "https://kept.example.org/l/abc",
	})
	require.NoError(t, err)
	require.Equal(t, "From Harbour Lane", got.Subject)
	require.Equal(t, "Hello Zoë,\n\nMonday 9 March 2026, 14:00\n\nCheck in: https://kept.example.org/l/abc\n\nHarbour Lane", got.Text)
	require.Contains(t, got.HTML, `<a href="https://kept.example.org/l/abc">https://kept.example.org/l/abc</a>`)
}

func TestRender_AMissingValueThatMustBeSaid_IsAnError(t *testing.T) {
	_, err := Render(reminderMail("x", "{{practice_name}} {{when}}"), map[string]string{"practice_name": "Harbour Lane"})
	require.Equal(t, "missing_value", CodeOf(err))
}

// BAD-X3: values are text, in plain mail and in HTML, and are never read as a template again.
func TestRender_ValuesStayInert(t *testing.T) {
	for _, name := range []string{`<script>alert(1)</script>`, `"><img src=x onerror=y>`, `{{practice_name}}`, `{{when}}`, `${jndi:ldap://x}`, `https://evil.example/"onmouseover="x`} {
		got, err := Render(reminderMail("x", "{{practice_name}} {{when}} {{given_name}}"), map[string]string{"practice_name": "P", "when": "now", "given_name": name})
		require.NoError(t, err)
		require.Equal(t, "P now "+name, got.Text)
		require.NotContains(t, got.HTML, "<script")
		require.NotContains(t, got.HTML, "<img")
		require.NotContains(t, got.HTML, `"onmouseover`)
	}
	_, err := Render(reminderMail("{{practice_name}}", "{{practice_name}} {{when}}"), map[string]string{"practice_name": "a\nBcc: b@example.org", "when": "now"})
	require.Equal(t, "invalid_subject", CodeOf(err))
}

func TestMessageKinds_EachHasVariablesAndNamesThePractice(t *testing.T) {
	for _, kind := range MessageKinds() {
		vars := MessageVars(kind)
		require.NotEmpty(t, vars, kind)
		seen := map[string]bool{}
		for _, v := range vars {
			require.False(t, seen[v.Name], "%s names %s twice", kind, v.Name)
			require.False(t, v.Must && v.Optional, "%s: %s", kind, v.Name)
			seen[v.Name] = true
		}
		require.True(t, seen["practice_name"])
	}
	require.Nil(t, MessageVars("gossip"))
}
