package policy

import (
	"fmt"
	"html"
	"regexp"
	"slices"
	"strings"
)

// Kinds of message. A template is written for one kind and one channel.
const (
	MessageConfirmation = "confirmation"
	MessageMoved        = "moved"
	MessageReminder     = "reminder"
	MessageCancellation = "cancellation"
	MessageInvoice      = "invoice"
	MessageReceipt      = "receipt"
	MessageDunning      = "dunning"
	MessageRecall       = "recall"
	MessageFreshLink    = "fresh_link"
)

// MessageVar is a variable that a template of its kind may name. There is none for what a visit is about: a message never
// says more than who, when and where.
type MessageVar struct {
	Name     string
	Must     bool // every template of the kind names it
	Optional bool // may have no value when rendered: the line that names it is then left out
	MailOnly bool
}

// MessageTemplate is one text for one kind and channel. Subject is for mail; a text message has none.
type MessageTemplate struct {
	Kind    string
	Channel string
	Subject string
	Body    string
}

// Rendered is a message as the gateway gets it. HTML is the same text, escaped, with its addresses as links; for mail only.
type Rendered struct {
	Subject string
	Text    string
	HTML    string
}

// MessageKinds lists the kinds in the order of a client's journey.
func MessageKinds() []string {
	return []string{
		MessageConfirmation, MessageMoved, MessageReminder, MessageCancellation, MessageInvoice, MessageReceipt, MessageDunning, MessageRecall, MessageFreshLink,
	}
}

// MessageVars lists the variables of a kind, nil for a kind that does not exist.
func MessageVars(kind string) []MessageVar {
	own, ok := messageVars[kind]
	if !ok {
		return nil
	}
	return append(slices.Clone(commonVars), own...)
}

// commonVars: the practice is always named, since some rules for health care ask for it, and a text that names nobody looks
// like fraud.
var commonVars = []MessageVar{
	{Name: "practice_name", Must: true},
	{Name: "given_name"},
	{Name: "practice_phone", Optional: true},
	{Name: "postal_address", Optional: true, MailOnly: true},
}

var visitVars = []MessageVar{
	{Name: "when", Must: true},
	{Name: "where", Optional: true},
	{Name: "provider", Optional: true},
}

var moneyVars = []MessageVar{{Name: "amount", Must: true}, {Name: "number", Optional: true}}

var preferencesVar = MessageVar{Name: "preferences_url", Optional: true, MailOnly: true}

var messageVars = map[string][]MessageVar{
	MessageConfirmation: append(append(slices.Clone(visitVars), optional("confirm_url", "move_url", "cancel_url", "intake_url")...), preferencesVar),
	MessageMoved:        append(append(slices.Clone(visitVars), optional("confirm_url", "move_url", "cancel_url", "intake_url")...), preferencesVar),
	MessageReminder:     append(append(slices.Clone(visitVars), optional("confirm_url", "move_url", "cancel_url", "intake_url", "check_in_url")...), preferencesVar),
	MessageCancellation: append(slices.Clone(visitVars), optional("book_url")...),
	MessageInvoice:      append(slices.Clone(moneyVars), optional("pay_url")...),
	MessageReceipt:      moneyVars,
	MessageDunning:      append(slices.Clone(moneyVars), MessageVar{Name: "pay_url", Must: true}),
	MessageFreshLink:    append(slices.Clone(visitVars), optional("confirm_url", "move_url", "cancel_url", "intake_url", "check_in_url", "pay_url")...),
	MessageRecall: {
		{Name: "provider", Optional: true},
		{Name: "book_url", Must: true},
		{Name: "unsubscribe_url", Must: true, MailOnly: true},
		preferencesVar,
	},
}

func optional(names ...string) []MessageVar {
	vars := make([]MessageVar, len(names))
	for i, n := range names {
		vars[i] = MessageVar{Name: n, Optional: true}
	}
	return vars
}

// Bounds of a template, in characters.
const (
	maxSubject  = 120
	maxMailBody = 10_000
	maxSMSBody  = 480
)

var variableForm = regexp.MustCompile(`\{\{([a-z_]{1,40})\}\}`)

// CheckTemplate refuses, as Invalid with the field, what must not be published: an unknown kind, channel or variable, a variable
// that its kind must name and does not, line breaks in a subject, too long a text, and words that ask for the reply
// CANCEL, which carriers and law read as an opt-out.
func CheckTemplate(t MessageTemplate) error {
	if MessageVars(t.Kind) == nil {
		return InvalidField("/kind", "invalid_kind", "A message is one of: "+strings.Join(MessageKinds(), ", ")+".")
	}
	if t.Channel != ChannelMail && t.Channel != ChannelSMS {
		return InvalidField("/channel", "invalid_channel", "A channel is mail or sms.")
	}
	if err := t.checkSubject(); err != nil {
		return err
	}
	return t.checkBody()
}

// checkSubject: subjects show on lock screens and in logs, so they name the practice and nothing about the client.
func (t MessageTemplate) checkSubject() error {
	if t.Channel == ChannelSMS {
		if t.Subject != "" {
			return InvalidField("/subject", "no_subject", "A text message has no subject.")
		}
		return nil
	}
	if _, err := CleanText(t.Subject, maxSubject, false); err != nil {
		return AtField("/subject", err)
	}
	names, err := variablesIn(t.Subject)
	if err != nil {
		return AtField("/subject", err)
	}
	for _, n := range names {
		if n != "practice_name" {
			return InvalidField("/subject", "private_subject", "A subject may name the practice only, {{practice_name}}: others can read it.")
		}
	}
	return nil
}

func (t MessageTemplate) checkBody() error {
	most := maxMailBody
	if t.Channel == ChannelSMS {
		most = maxSMSBody
	}
	if _, err := CleanText(t.Body, most, true); err != nil {
		return AtField("/body", err)
	}
	names, err := variablesIn(t.Body)
	if err != nil {
		return AtField("/body", err)
	}
	vars := MessageVars(t.Kind)
	for _, n := range names {
		if !slices.ContainsFunc(vars, func(v MessageVar) bool { return v.Name == n && t.takes(v) }) {
			return InvalidField("/body", "unknown_variable", fmt.Sprintf("A %s by %s has no variable {{%s}}; these exist: %s.", t.Kind, t.Channel, n, t.names()))
		}
	}
	for _, v := range vars {
		if v.Must && t.takes(v) && !slices.Contains(names, v.Name) {
			return InvalidField("/body", "missing_variable", fmt.Sprintf("A %s must say {{%s}}.", t.Kind, v.Name))
		}
	}
	if asksForCancel(t.Body) {
		return InvalidField("/body", "asks_for_cancel", "Do not ask for the reply CANCEL: it stops all messages to the number. Use {{cancel_url}}.")
	}
	return nil
}

func (t MessageTemplate) takes(v MessageVar) bool { return !v.MailOnly || t.Channel == ChannelMail }

func (t MessageTemplate) names() string {
	var names []string
	for _, v := range MessageVars(t.Kind) {
		if t.takes(v) {
			names = append(names, v.Name)
		}
	}
	return strings.Join(names, ", ")
}

// variablesIn lists the variables that a text names. Braces that form no variable are refused: a reader would see them.
func variablesIn(s string) ([]string, error) {
	var names []string
	for _, m := range variableForm.FindAllStringSubmatch(s, -1) {
		names = append(names, m[1])
	}
	if rest := variableForm.ReplaceAllString(s, ""); strings.Contains(rest, "{{") || strings.Contains(rest, "}}") {
		return nil, NewError(Invalid, "malformed_variable", "Write a variable as {{when}}: two braces, lower-case letters and _, two braces.")
	}
	return names, nil
}

// asksForCancel: in one sentence, an invitation to answer and the word cancel close behind it.
func asksForCancel(body string) bool {
	for _, sentence := range strings.FieldsFunc(body, func(r rune) bool { return strings.ContainsRune(".!?;:\n", r) }) {
		words := replyWords(sentence)
		for i, w := range words {
			if !answering[w] {
				continue
			}
			if slices.Contains(words[i+1:min(len(words), i+5)], "cancel") {
				return true
			}
		}
	}
	return false
}

var answering = wordSet(`reply replying respond responding answer answering text texting send sending write type sms`)

// Render fills a template. A line that names a variable without a value is left out when the kind allows that; any other
// missing value is an error, so that nothing half-said goes out. Values are taken as they are and never read as template.
func Render(t MessageTemplate, values map[string]string) (Rendered, error) {
	vars := MessageVars(t.Kind)
	var lines []string
	for line := range strings.SplitSeq(strings.TrimSpace(t.Body), "\n") {
		filled, keep, err := fillLine(line, vars, values)
		if err != nil {
			return Rendered{}, err
		}
		if keep {
			lines = append(lines, filled)
		}
	}
	out := Rendered{Text: strings.TrimSpace(dropEmptyRuns(lines))}
	if t.Channel != ChannelMail {
		return out, nil
	}
	subject, keep, err := fillLine(t.Subject, vars, values)
	if err != nil {
		return Rendered{}, err
	}
	if !keep || strings.ContainsAny(subject, "\r\n") {
		return Rendered{}, NewError(Invalid, "invalid_subject", "The subject cannot be rendered on one line.")
	}
	out.Subject, out.HTML = subject, htmlOf(out.Text)
	return out, nil
}

func fillLine(line string, vars []MessageVar, values map[string]string) (filled string, keep bool, err error) {
	keep = true
	filled = variableForm.ReplaceAllStringFunc(line, func(m string) string {
		name := m[2 : len(m)-2]
		if v := values[name]; v != "" {
			return v
		}
		keep = false
		if !slices.ContainsFunc(vars, func(v MessageVar) bool { return v.Name == name && v.Optional }) {
			err = NewError(Invalid, "missing_value", "The message has no value for {{"+name+"}}.")
		}
		return ""
	})
	return strings.TrimRight(filled, "\r"), keep, err
}

// dropEmptyRuns keeps one empty line where lines left out made several.
func dropEmptyRuns(lines []string) string {
	return strings.Join(slices.CompactFunc(lines, func(a, b string) bool {
		return strings.TrimSpace(a) == "" && strings.TrimSpace(b) == ""
	}), "\n")
}

var linkForm = regexp.MustCompile(`https?://[^\s<>"]+`)

// htmlOf is the text as simple HTML: paragraphs, line breaks, addresses as links, all else escaped.
func htmlOf(text string) string {
	var b strings.Builder
	b.WriteString(`<!doctype html><html><body style="font-family:sans-serif;font-size:16px;line-height:1.5;color:#1a1a1a">`)
	for paragraph := range strings.SplitSeq(text, "\n\n") {
		b.WriteString("<p>")
		b.WriteString(strings.ReplaceAll(linked(paragraph), "\n", "<br>\n"))
		b.WriteString("</p>\n")
	}
	b.WriteString("</body></html>\n")
	return b.String()
}

func linked(s string) string {
	var b strings.Builder
	at := 0
	for _, span := range linkForm.FindAllStringIndex(s, -1) {
		b.WriteString(html.EscapeString(s[at:span[0]]))
		url := html.EscapeString(s[span[0]:span[1]])
		b.WriteString(`<a href="` + url + `">` + url + `</a>`)
		at = span[1]
	}
	b.WriteString(html.EscapeString(s[at:]))
	return b.String()
}
