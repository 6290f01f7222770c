package api

import (
	"errors"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"sync"

	"github.com/danielgtaylor/huma/v2"

	"github.com/kept-practice/kept/internal/policy"
)

// configureHuma sets huma's process-wide switches: names match exactly, lists are never null, and every error it makes
// becomes a Problem without the value it is about.
var configureHuma = sync.OnceFunc(func() {
	huma.ValidateStrictCasing = true
	huma.DefaultArrayNullable = false
	huma.NewError = func(int, string, ...error) huma.StatusError { return &Problem{} }
	huma.NewErrorWithContext = func(ctx huma.Context, status int, _ string, errs ...error) huma.StatusError {
		return requestOf(ctx.Context()).problem(refusal(status, errs))
	}
})

// refusal turns what huma found into our error. huma's own texts may carry values, so only those known not to pass.
func refusal(status int, found []error) error {
	if status >= http.StatusInternalServerError {
		return errors.Join(found...)
	}
	var fields []policy.FieldError
	otherKind := 0
	for _, err := range found {
		var detail *huma.ErrorDetail
		if !errors.As(err, &detail) {
			continue
		}
		field := fieldOf(detail)
		if text, ok := detail.Value.(string); ok && field.Code == "invalid_id" && wellFormedID(text) {
			otherKind++
		}
		fields = append(fields, field)
	}
	if len(fields) > 0 && otherKind == len(fields) {
		return &policy.Error{
			Kind: policy.NotFound, Code: "wrong_kind_of_id", Fields: fields,
			Message: "An id is of another kind than the one due here: " + fields[0].Detail,
		}
	}
	if len(fields) == 0 {
		return policy.NewError(policy.Unreadable, "unreadable", "The request cannot be read.")
	}
	e := &policy.Error{Kind: policy.Invalid, Code: "invalid_request", Message: "Some fields are not valid; errors names each.", Fields: fields}
	if len(fields) == 1 {
		e.Code, e.Message = fields[0].Code, fields[0].Detail
	}
	return e
}

// messages gives huma's texts a code, by how they begin; sentence "" lets the text itself pass, since it holds nothing
// but the schema's own limits.
var messages = []struct{ begins, code, sentence string }{
	{"unexpected property", "unknown_field", "There is no such field."},
	{"unknown query parameter", "unknown_parameter", "There is no such query parameter."},
	{"expected required property", "required", "This field is required."},
	{"required ", "required", "This parameter is required."},
	{"expected string to be the id of", "invalid_id", ""},
	{"invalid value: expected string to be the id of", "invalid_id", ""},
	{"expected length >=", "too_short", ""},
	{"expected length <=", "too_long", ""},
	{"expected array length", "wrong_length", ""},
	{"expected array items to be unique", "repeated_item", ""},
	{"expected object with", "wrong_length", ""},
	{"expected number >", "out_of_range", ""},
	{"expected number <", "out_of_range", ""},
	{"expected number to be a multiple", "out_of_range", ""},
	{"expected value to be one of", "not_a_choice", ""},
	{"expected string to be RFC 3339 date-time", "invalid_time", "Write an instant as RFC 3339 with its offset (2026-03-09T14:00:00Z)."},
	{"expected string to be RFC 3339 date", "invalid_date", "Write a day as YYYY-MM-DD."},
	{"expected string to be RFC 5322 email", "invalid_mail", "Write one mail address, such as casey@example.org."},
	{"expected string to match pattern", "invalid_form", ""},
	{"expected string to be ", "invalid_form", "The text does not have the form that is due here."},
	{"expected string", "wrong_type", "A text is due here."},
	{"expected integer", "wrong_type", "A whole number is due here."},
	{"invalid integer", "wrong_type", "A whole number is due here."},
	{"expected number", "wrong_type", "A number is due here."},
	{"invalid float", "wrong_type", "A number is due here."},
	{"expected boolean", "wrong_type", "true or false is due here."},
	{"invalid boolean", "wrong_type", "true or false is due here."},
	{"expected array", "wrong_type", "A list is due here."},
	{"expected object", "wrong_type", "An object is due here."},
	{mismatchMark, "wrong_type", "The value does not fit the type that is due here."},
}

func fieldOf(d *huma.ErrorDetail) policy.FieldError {
	field := policy.FieldError{Pointer: pointerOf(d.Location), Code: "invalid", Detail: "This value is not valid."}
	for _, m := range messages {
		if !strings.HasPrefix(d.Message, m.begins) {
			continue
		}
		field.Code, field.Detail = m.code, m.sentence
		if m.sentence == "" {
			text := strings.TrimPrefix(d.Message, "invalid value: ")
			field.Detail = strings.ToUpper(text[:1]) + text[1:] + "."
		}
		break
	}
	if rest, ok := strings.CutPrefix(d.Message, "expected required property "); ok {
		name, _, _ := strings.Cut(rest, " ")
		field.Pointer += "/" + name
	}
	if rest, ok := strings.CutPrefix(d.Message, mismatchMark); ok {
		field.Pointer = rest
	}
	return field
}

var plainName = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)

// pointerOf turns huma's body.lines[0].amount into /lines/0/amount, and query.limit into query:limit. A name that is not
// plain was sent by the caller and is not repeated: the pointer then ends at its parent.
func pointerOf(location string) string {
	place, rest, _ := strings.Cut(location, ".")
	if place != "body" && !strings.HasPrefix(place, "body[") {
		if !plainName.MatchString(rest) {
			return place + ":"
		}
		return place + ":" + rest
	}
	var out strings.Builder
	for _, part := range strings.Split(strings.TrimPrefix(location, "body"), ".") {
		name, indices, _ := strings.Cut(part, "[")
		if name != "" {
			if !plainName.MatchString(name) {
				break
			}
			out.WriteString("/" + name)
		}
		if indices == "" {
			continue
		}
		for _, index := range strings.Split(strings.TrimSuffix(indices, "]"), "][") {
			if _, err := strconv.Atoi(index); err != nil {
				return out.String()
			}
			out.WriteString("/" + index)
		}
	}
	return out.String()
}

// checkQuery refuses what huma would let pass or read loosely: broken escapes, repeated and empty parameters, signs and
// other spellings of numbers, control characters.
func checkQuery(rawQuery string, params []*huma.Param) error {
	values, err := parseQuery(rawQuery)
	if err != nil {
		return err
	}
	if len(values) == 0 {
		return nil
	}
	known := map[string]*huma.Param{}
	for _, p := range params {
		if p.In == "query" {
			known[p.Name] = p
		}
	}
	var fields []policy.FieldError
	add := func(name, code, detail string) {
		fields = append(fields, policy.FieldError{Pointer: pointerOf("query." + name), Code: code, Detail: detail})
	}
	for name, given := range values {
		p, ok := known[name]
		switch {
		case !ok:
			add(name, "unknown_parameter", "There is no such query parameter.")
		case len(given) > 1:
			add(name, "repeated_parameter", "Give this parameter once.")
		case given[0] == "":
			add(name, "required", "Give this parameter a value, or leave it out.")
		case hasControl(given[0]):
			add(name, "control_character", "Control characters are not allowed.")
		case p.Schema.Type == huma.TypeInteger && !plainInteger.MatchString(given[0]):
			add(name, "wrong_type", "A whole number is due here.")
		case p.Schema.Type == huma.TypeBoolean && given[0] != "true" && given[0] != "false":
			add(name, "wrong_type", "true or false is due here.")
		}
	}
	if len(fields) == 0 {
		return nil
	}
	return invalidFields(fields)
}

var plainInteger = regexp.MustCompile(`^-?(0|[1-9][0-9]{0,17})$`)

// invalidFields is one error over several fields, in a fixed order.
func invalidFields(fields []policy.FieldError) error {
	sortFields(fields)
	e := &policy.Error{Kind: policy.Invalid, Code: "invalid_request", Message: "Some fields are not valid; errors names each.", Fields: fields}
	if len(fields) == 1 {
		e.Code, e.Message = fields[0].Code, fields[0].Detail
	}
	return e
}
