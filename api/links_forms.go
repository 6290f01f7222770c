package api

import (
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/kept-practice/kept/api/web"
	"github.com/kept-practice/kept/internal/desk"
	"github.com/kept-practice/kept/internal/policy"
)

// answerPrefix stands before the key of a question in the names of a form's fields.
const answerPrefix = "a."

func (l *links) papersPage(v visitor, status int) {
	k := v.link
	page := web.Papers{Shell: l.shell(k, "Your papers"), Hello: k.GivenName, Visit: *visitView(k), Saved: v.Request.URL.Query().Get("saved") == "1"}
	for i, f := range k.Packet.Forms {
		state := web.PaperState{Path: fmt.Sprintf("/l/%s/%d", url.PathEscape(v.token), i+1), Title: f.Title, State: "to do"}
		switch {
		case f.Submitted:
			state.State, state.Done = "sent", true
		case len(f.Answers) > 0:
			state.State = "started"
		}
		page.Forms = append(page.Forms, state)
	}
	l.write(v.Context, status, web.PapersPage(page))
}

// paperPage draws one form. Saved answers are marked and never shown; what was typed a moment ago comes back with its faults.
func (l *links) paperPage(v visitor, status int, d draft) {
	k, f := v.link, v.link.Packet.Forms[v.n-1]
	if f.Submitted {
		l.note(v.Context, status, web.Note{Shell: l.shell(k, "Sent"), Tone: "good", Head: "This form is sent", Text: []string{
			"Thank you. There is nothing more to fill in here.",
		}, Retry: "/l/" + url.PathEscape(v.token)})
		return
	}
	page := web.Paper{
		Shell: l.shell(k, "Your papers"), Title: f.Title, Signature: f.NeedsSignature, Signer: d.form.Get("signer"),
		SignerErr: d.fields["/signer"], SignedErr: d.fields["/signed"], Resumed: len(f.Answers) > 0, Nonce: l.newNonce(v), Error: d.sentence,
		Back: "/l/" + url.PathEscape(v.token), Step: fmt.Sprintf("%d of %d", v.n, len(k.Packet.Forms)),
	}
	for _, line := range strings.Split(f.Text, "\n") {
		if line = strings.TrimSpace(line); line != "" {
			page.Text = append(page.Text, line)
		}
	}
	page.Questions = sheet{form: f, draft: d}.under("", nil)
	l.write(v.Context, status, web.PaperPage(page))
}

// sheet turns the fields of a form into questions, conditional ones below what opens them, by the same rules that judge the
// answers.
type sheet struct {
	form  desk.PacketForm
	draft draft
}

// under gives the questions that hang below a field's answer; those that are always asked when field is "".
func (s sheet) under(field string, equals any) []web.Question {
	var out []web.Question
	for _, f := range s.form.Fields {
		if (f.ShowIf == nil && field == "") || (f.ShowIf != nil && f.ShowIf.Field == field && f.ShowIf.Equals == equals) {
			out = append(out, s.question(f))
		}
	}
	return out
}

func (s sheet) question(f policy.FormField) web.Question {
	typed := s.draft.form[answerPrefix+f.Key]
	_, saved := s.form.Answers[f.Key]
	q := web.Question{
		Key: f.Key, ID: "q-" + f.Key, Label: f.Label, Help: f.Help, Kind: string(f.Kind), Required: f.Required, Max: f.MaxRunes(),
		Error: s.draft.fields["/answers/"+f.Key],
	}
	// A mark on a conditional question would tell the answer that opened it.
	q.Answered = saved && f.ShowIf == nil
	q.Insist = f.Required && !saved && f.ShowIf == nil
	switch f.Kind {
	case policy.FieldText:
		if f.Multiline {
			q.Kind = "lines"
		}
		q.Value = strings.Join(typed, "")
	case policy.FieldDate:
		q.Value = strings.Join(typed, "")
	case policy.FieldTick:
		q.Ticked = slices.Contains(typed, tickValue)
		q.Then, q.ThenNot = s.under(f.Key, true), s.under(f.Key, false)
	case policy.FieldChoice:
		if q.Kind = "one"; f.Many {
			q.Kind, q.Insist = "many", false
		}
		for i, o := range f.Options {
			q.Options = append(q.Options, web.Option{
				Value: o.Value, ID: fmt.Sprintf("%s-%d", q.ID, i), Label: o.Label, Chosen: slices.Contains(typed, o.Value), Then: s.under(f.Key, o.Value),
			})
		}
	}
	q.Unsettled = saved && len(typed) == 0
	return q
}

const tickValue = "yes"

// answersOf reads what was filled in. Empty fields are left out, so that saved answers stand; those to be cleared are nil.
func answersOf(f desk.PacketForm, form url.Values) map[string]any {
	given := map[string]any{}
	for _, key := range form["clear"] {
		given[key] = nil
	}
	for name, values := range form {
		key, ok := strings.CutPrefix(name, answerPrefix)
		if !ok {
			continue
		}
		values = slices.DeleteFunc(slices.Clone(values), func(s string) bool { return strings.TrimSpace(s) == "" })
		if len(values) > 0 {
			given[key] = answerOf(f, key, values)
		} else if !slices.ContainsFunc(f.Fields, func(o policy.FormField) bool { return o.Key == key }) {
			given[key] = nil // refused like any other question that the form does not ask
		}
	}
	return given
}

// answerOf gives the value in the type that its question wants, or as it came, for the rules to refuse.
func answerOf(f desk.PacketForm, key string, values []string) any {
	at := slices.IndexFunc(f.Fields, func(o policy.FormField) bool { return o.Key == key })
	switch {
	case at >= 0 && f.Fields[at].Kind == policy.FieldTick && len(values) == 1 && values[0] == tickValue:
		return true
	case (at >= 0 && f.Fields[at].Many) || len(values) > 1:
		return values
	}
	return values[0]
}
