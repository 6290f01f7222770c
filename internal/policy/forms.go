package policy

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
)

// FieldKind is what a question of a form asks for, and so which type its answer has.
type FieldKind string

const (
	FieldText   FieldKind = "text"   // a string
	FieldChoice FieldKind = "choice" // an option's value; a list of them when Many
	FieldDate   FieldKind = "date"   // YYYY-MM-DD, in the years 1900 to 2100
	FieldTick   FieldKind = "tick"   // true or false; a required one must be true, as a consent is
)

// FormField is one question. Fields of a published form never change, so answers keep their meaning.
type FormField struct {
	Key       string        `json:"key"` // lower snake case, unique in the form
	Label     string        `json:"label"`
	Help      string        `json:"help,omitempty"`
	Kind      FieldKind     `json:"kind"`
	Required  bool          `json:"required,omitempty"`
	Multiline bool          `json:"multiline,omitempty"` // text only
	Max       int           `json:"max,omitempty"`       // characters of a text; 0 is 200 on one line, 2000 on several
	Many      bool          `json:"many,omitempty"`      // choice only
	Options   []FieldOption `json:"options,omitempty"`   // choice only
	ShowIf    *ShowIf       `json:"show_if,omitempty"`   // asked only when an earlier answer says so
}

// FieldOption is one choice: Value is stored, Label is shown.
type FieldOption struct {
	Value string `json:"value"`
	Label string `json:"label"`
}

// ShowIf names an earlier choice or tick that is always asked, and the answer that opens the question: an option's value, or
// true or false.
type ShowIf struct {
	Field  string `json:"field"`
	Equals any    `json:"equals"`
}

// Answers are a form's answers by field key: string, []string, or bool, as the field's kind says. A question without an
// answer has no entry.
type Answers map[string]any

const (
	maxFields       = 100
	maxOptions      = 50
	maxOptionLength = 200
	oneLineText     = 200
	manyLinesText   = 2000
	longestText     = 10_000
	firstAnswerYear = 1900
)

var fieldKeyForm = regexp.MustCompile(`^[a-z][a-z0-9_]{0,59}$`)

// ParseFields reads the questions of a form as they are stored and refuses, as Invalid with pointers, what could not be
// asked or answered: unknown members, doubled keys, choices without options, conditions on what is itself conditional.
func ParseFields(raw []byte) ([]FormField, error) {
	var fields []FormField
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.DisallowUnknownFields()
	err := decoder.Decode(&fields)
	if err == nil {
		if _, more := decoder.Token(); !errors.Is(more, io.EOF) {
			err = errors.New("more than one value")
		}
	}
	if err != nil {
		refused := InvalidField("/fields", "unreadable_fields", "The questions are a list of objects with key, label and kind; no other members than the documented ones.")
		refused.Cause = err
		return nil, refused
	}
	if len(fields) > maxFields {
		return nil, InvalidField("/fields", "too_many_fields", fmt.Sprintf("A form asks at most %d questions. Split it.", maxFields))
	}
	refused := &Error{Kind: Invalid, Code: "invalid_fields", Message: "Some questions cannot be asked like this."}
	for i, f := range fields {
		if code, detail := f.check(fields[:i]); code != "" {
			refused.Fields = append(refused.Fields, FieldError{Pointer: fmt.Sprintf("/fields/%d", i), Code: code, Detail: detail})
		}
	}
	if refused.Fields != nil {
		return nil, refused
	}
	return fields, nil
}

// check tells what is wrong with a question, given those before it; "" when nothing is.
func (f FormField) check(before []FormField) (code, detail string) {
	if !fieldKeyForm.MatchString(f.Key) {
		return "invalid_key", "A key is lower snake case, 60 characters at most."
	}
	if fieldIndex(before, f.Key) >= 0 {
		return "doubled_key", "Another question already has this key."
	}
	if _, err := CleanText(f.Label, 500, true); err != nil {
		return "invalid_label", "A label is a readable text of 500 characters at most."
	}
	if f.Kind != FieldText && (f.Multiline || f.Max != 0) {
		return "not_a_text", "Only a text has lines and a length."
	}
	if f.Kind != FieldChoice && (f.Many || f.Options != nil) {
		return "not_a_choice", "Only a choice has options."
	}
	switch f.Kind {
	case FieldText:
		if f.Max < 0 || f.Max > longestText {
			return "invalid_max", fmt.Sprintf("A text takes 1 to %d characters.", longestText)
		}
	case FieldChoice:
		if !validOptions(f.Options) {
			return "invalid_options", fmt.Sprintf("A choice has 1 to %d options with different values and readable labels.", maxOptions)
		}
	case FieldDate, FieldTick:
	default:
		return "invalid_kind", "A question is a text, choice, date or tick."
	}
	return f.checkCondition(before)
}

func (f FormField) checkCondition(before []FormField) (code, detail string) {
	if f.ShowIf == nil {
		return "", ""
	}
	at := fieldIndex(before, f.ShowIf.Field)
	if at < 0 || before[at].ShowIf != nil {
		return "invalid_condition", "A condition names an earlier question that is always asked."
	}
	switch on := before[at]; on.Kind {
	case FieldTick:
		if _, ok := f.ShowIf.Equals.(bool); ok {
			return "", ""
		}
	case FieldChoice:
		value, _ := f.ShowIf.Equals.(string)
		if slices.ContainsFunc(on.Options, func(o FieldOption) bool { return o.Value == value }) {
			return "", ""
		}
	}
	return "invalid_condition", "A condition compares a tick with true or false, or a choice with one of its options."
}

func validOptions(options []FieldOption) bool {
	seen := map[string]bool{}
	for _, o := range options {
		if _, err := CleanName(o.Label, maxOptionLength); err != nil {
			return false
		}
		if clean, err := CleanName(o.Value, maxOptionLength); err != nil || clean != o.Value || seen[o.Value] {
			return false
		}
		seen[o.Value] = true
	}
	return len(options) > 0 && len(options) <= maxOptions
}

func fieldIndex(fields []FormField, key string) int {
	return slices.IndexFunc(fields, func(f FormField) bool { return f.Key == key })
}

// Asked tells whether a question is asked, given the answers so far.
func (f FormField) Asked(answers Answers) bool {
	if f.ShowIf == nil {
		return true
	}
	switch given := answers[f.ShowIf.Field].(type) {
	case []string:
		value, _ := f.ShowIf.Equals.(string)
		return slices.Contains(given, value)
	case nil:
		return f.ShowIf.Equals == false // a tick that was not touched is not ticked
	default:
		return given == f.ShowIf.Equals
	}
}

// MaxRunes is how many characters a text may have.
func (f FormField) MaxRunes() int {
	switch {
	case f.Max > 0:
		return f.Max
	case f.Multiline:
		return manyLinesText
	default:
		return oneLineText
	}
}

// ValidateAnswers gives the answers as they are stored: cleaned, empty ones and those to questions that are not asked left
// out. It refuses, as Invalid with one pointer for each field (/answers/<key>), what is no question of this form, answers of
// a wrong type or form, and, when final, required questions without an answer.
func ValidateAnswers(fields []FormField, given map[string]any, final bool) (Answers, error) {
	if len(given) > len(fields) {
		return nil, InvalidField("/answers", "too_many_answers", fmt.Sprintf("The form asks %d questions.", len(fields)))
	}
	refused := &Error{Kind: Invalid, Code: "invalid_answers", Message: "Please look at the marked questions again."}
	refuse := func(key string, err *Error) {
		refused.Fields = append(refused.Fields, FieldError{Pointer: "/answers/" + key, Code: err.Code, Detail: err.Message})
	}
	answers := Answers{}
	for key, value := range given {
		at := fieldIndex(fields, key)
		if at < 0 {
			return nil, InvalidField("/answers", "unknown_question", "An answer belongs to no question of this form.")
		}
		clean, err := fields[at].clean(value)
		if err != nil {
			refuse(key, err)
		} else if clean != nil {
			answers[key] = clean
		}
	}
	for _, f := range fields {
		if !f.Asked(answers) {
			delete(answers, f.Key)
			refused.Fields = slices.DeleteFunc(refused.Fields, func(e FieldError) bool { return e.Pointer == "/answers/"+f.Key && e.Code != "wrong_type" })
			continue
		}
		_, has := answers[f.Key]
		if final && f.Required && (!has || answers[f.Key] == false) && !refused.names("/answers/"+f.Key) {
			refuse(f.Key, NewError(Invalid, "required", "Please answer this question."))
		}
	}
	if refused.Fields != nil {
		slices.SortFunc(refused.Fields, func(a, b FieldError) int { return strings.Compare(a.Pointer, b.Pointer) })
		return nil, refused
	}
	return answers, nil
}

func (e *Error) names(pointer string) bool {
	return slices.ContainsFunc(e.Fields, func(f FieldError) bool { return f.Pointer == pointer })
}

// clean gives one answer as it is stored; nil for one that says nothing.
func (f FormField) clean(value any) (any, *Error) {
	wrong := NewError(Invalid, "wrong_type", "This is no answer to such a question: a text or option is a string, several options are a list, a date is YYYY-MM-DD, a tick is true or false.")
	if value == nil {
		return nil, nil
	}
	if f.Kind == FieldTick {
		ticked, ok := value.(bool)
		if !ok {
			return nil, wrong
		}
		return ticked, nil
	}
	if f.Kind == FieldChoice && f.Many {
		return f.cleanChoices(value, wrong)
	}
	text, ok := value.(string)
	if !ok {
		return nil, wrong
	}
	if strings.TrimSpace(text) == "" {
		return nil, nil
	}
	switch f.Kind {
	case FieldText:
		clean, err := CleanText(strings.ReplaceAll(text, "\r\n", "\n"), f.MaxRunes(), f.Multiline)
		return orRefused(clean, err)
	case FieldDate:
		day, err := ParseLocalDate(text)
		if err != nil || day.Year < firstAnswerYear || day.Year > lastYear {
			return nil, NewError(Invalid, "invalid_date", "Write a real date as YYYY-MM-DD.")
		}
		return day.String(), nil
	default:
		if !f.offers(text) {
			return nil, NewError(Invalid, "unknown_option", "Choose one of the options.")
		}
		return text, nil
	}
}

// cleanChoices gives the chosen options in the form's order, each once.
func (f FormField) cleanChoices(value any, wrong *Error) (any, *Error) {
	var given []string
	switch v := value.(type) {
	case []string:
		given = v
	case []any:
		for _, one := range v {
			text, ok := one.(string)
			if !ok {
				return nil, wrong
			}
			given = append(given, text)
		}
	default:
		return nil, wrong
	}
	if len(given) > len(f.Options) || slices.ContainsFunc(given, func(s string) bool { return !f.offers(s) }) {
		return nil, NewError(Invalid, "unknown_option", "Choose among the options.")
	}
	var chosen []string
	for _, o := range f.Options {
		if slices.Contains(given, o.Value) {
			chosen = append(chosen, o.Value)
		}
	}
	if chosen == nil {
		return nil, nil
	}
	return chosen, nil
}

func (f FormField) offers(value string) bool {
	return slices.ContainsFunc(f.Options, func(o FieldOption) bool { return o.Value == value })
}

func orRefused(clean string, err error) (any, *Error) {
	var refused *Error
	if errors.As(err, &refused) {
		return nil, refused
	}
	return clean, nil
}

// ReadAnswers reads answers as they are stored. They were validated before they were written.
func ReadAnswers(raw []byte) (Answers, error) {
	var plain map[string]any
	if err := json.Unmarshal(raw, &plain); err != nil {
		return nil, fmt.Errorf("read answers: %w", err)
	}
	answers := make(Answers, len(plain))
	for key, value := range plain {
		list, ok := value.([]any)
		if !ok {
			answers[key] = value
			continue
		}
		chosen := make([]string, len(list))
		for i, one := range list {
			chosen[i], _ = one.(string)
		}
		answers[key] = chosen
	}
	return answers, nil
}
