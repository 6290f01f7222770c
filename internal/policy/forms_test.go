package policy

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const healthForm = `[
	{"key":"concern","label":"What brings you here?","kind":"text","multiline":true,"max":50,"required":true},
	{"key":"born","label":"Date of birth","kind":"date","required":true},
	{"key":"allergy","label":"Any allergy?","kind":"choice","options":[{"value":"no","label":"No"},{"value":"yes","label":"Yes"}]},
	{"key":"which","label":"Which?","kind":"text","required":true,"show_if":{"field":"allergy","equals":"yes"}},
	{"key":"symptoms","label":"Symptoms","kind":"choice","many":true,"options":[{"value":"a","label":"A"},{"value":"b","label":"B"},{"value":"c","label":"C"}]},
	{"key":"since_b","label":"Since when B?","kind":"date","show_if":{"field":"symptoms","equals":"b"}},
	{"key":"consent","label":"I agree","kind":"tick","required":true},
	{"key":"news","label":"Newsletter","kind":"tick"},
	{"key":"why_not","label":"Why not?","kind":"text","show_if":{"field":"news","equals":false}}
]`

func healthFields(t *testing.T) []FormField {
	t.Helper()
	fields, err := ParseFields([]byte(healthForm))
	require.NoError(t, err)
	return fields
}

func TestValidateAnswers_Final_KeepsWhatApplies(t *testing.T) {
	t.Parallel()
	got, err := ValidateAnswers(healthFields(t), map[string]any{
		"concern": "  line one\r\nline two ", "born": "1990-02-28", "allergy": "no", "which": "cats", "symptoms": []any{"c", "a", "c"}, "consent": true, "news": false,
		"since_b": "2026-01-01", "why_not": "",
	}, true)
	require.NoError(t, err)
	require.Equal(t, Answers{
		"concern": "line one\nline two", "born": "1990-02-28", "allergy": "no", "symptoms": []string{"a", "c"}, "consent": true, "news": false,
	}, got)
}

func TestValidateAnswers_Draft_NeedsNothing(t *testing.T) {
	t.Parallel()
	got, err := ValidateAnswers(healthFields(t), nil, false)
	require.NoError(t, err)
	require.Empty(t, got)
	_, err = ValidateAnswers(healthFields(t), map[string]any{"born": "1990-02-30"}, false)
	require.Equal(t, Invalid, KindOf(err), "a wrong answer is wrong in a draft too")
}

func TestValidateAnswers_WhatNoFormMayHold_IsRefusedByPointer(t *testing.T) {
	t.Parallel()
	full := map[string]any{"concern": "x", "born": "1990-02-28", "consent": true}
	for name, c := range map[string]struct {
		key   string
		value any
		code  string
	}{
		"required missing":        {"concern", nil, "required"},
		"required of spaces":      {"concern", "   ", "required"},
		"consent withheld":        {"consent", false, "required"},
		"consent as a word":       {"consent", "true", "wrong_type"},
		"text as a number":        {"concern", 7.0, "wrong_type"},
		"text as a list":          {"concern", []any{"x"}, "wrong_type"},
		"text as an object":       {"concern", map[string]any{"a": 1.0}, "wrong_type"},
		"too long":                {"concern", strings.Repeat("a", 51), "too_long"},
		"control character":       {"concern", "a\x00b", "control_character"},
		"direction override":      {"concern", "a\u202eb", "direction_override"},
		"not a day":               {"born", "1990-02-30", "invalid_date"},
		"another form of day":     {"born", "28/02/1990", "invalid_date"},
		"before all living":       {"born", "1850-01-01", "invalid_date"},
		"no such option":          {"allergy", "maybe", "unknown_option"},
		"several for one":         {"allergy", []any{"yes", "no"}, "wrong_type"},
		"one for several":         {"symptoms", "a", "wrong_type"},
		"unknown among several":   {"symptoms", []any{"a", "z"}, "unknown_option"},
		"number among several":    {"symptoms", []any{1.0}, "wrong_type"},
		"more than there are":     {"symptoms", []any{"a", "a", "a", "a"}, "unknown_option"},
		"asked and not answered":  {"allergy", "yes", "required"},
		"a tick that is a number": {"news", 1.0, "wrong_type"},
	} {
		given := map[string]any{}
		for k, v := range full {
			given[k] = v
		}
		given[c.key] = c.value
		_, err := ValidateAnswers(healthFields(t), given, true)
		var refused *Error
		require.ErrorAs(t, err, &refused, name)
		require.Len(t, refused.Fields, 1, name)
		require.Equal(t, c.code, refused.Fields[0].Code, name)
		pointer := "/answers/" + c.key
		if name == "asked and not answered" {
			pointer = "/answers/which"
		}
		require.Equal(t, pointer, refused.Fields[0].Pointer, name)
	}
}

func TestValidateAnswers_BADF1_ExtraQuestionAnd200Answers_AreRefused(t *testing.T) {
	t.Parallel()
	_, err := ValidateAnswers(healthFields(t), map[string]any{"smuggled": "x"}, false)
	require.Equal(t, "unknown_question", CodeOf(err))
	many := map[string]any{}
	for i := range 200 {
		many[fmt.Sprintf("q%d", i)] = "x"
	}
	_, err = ValidateAnswers(healthFields(t), many, false)
	require.Equal(t, "too_many_answers", CodeOf(err))
	require.Equal(t, Invalid, KindOf(err))
}

func TestValidateAnswers_AMarkup_IsKeptAsWritten(t *testing.T) {
	t.Parallel()
	got, err := ValidateAnswers(healthFields(t), map[string]any{"concern": `<script>{{7*7}}${jndi:x}`}, false)
	require.NoError(t, err)
	require.Equal(t, `<script>{{7*7}}${jndi:x}`, got["concern"])
}

func TestParseFields_WhatCannotBeAsked_IsRefused(t *testing.T) {
	t.Parallel()
	for name, raw := range map[string]string{
		"no list":                  `{}`,
		"two values":               `[] []`,
		"unknown member":           `[{"key":"a","label":"A","kind":"text","script":"x"}]`,
		"bad key":                  `[{"key":"A b","label":"A","kind":"text"}]`,
		"doubled key":              `[{"key":"a","label":"A","kind":"text"},{"key":"a","label":"B","kind":"text"}]`,
		"no label":                 `[{"key":"a","label":" ","kind":"text"}]`,
		"unknown kind":             `[{"key":"a","label":"A","kind":"file"}]`,
		"choice without options":   `[{"key":"a","label":"A","kind":"choice"}]`,
		"two options of one value": `[{"key":"a","label":"A","kind":"choice","options":[{"value":"x","label":"X"},{"value":"x","label":"Y"}]}]`,
		"options of a text":        `[{"key":"a","label":"A","kind":"text","options":[{"value":"x","label":"X"}]}]`,
		"length of a date":         `[{"key":"a","label":"A","kind":"date","max":4}]`,
		"absurd length":            `[{"key":"a","label":"A","kind":"text","max":1000000}]`,
		"condition on a later":     `[{"key":"a","label":"A","kind":"text","show_if":{"field":"b","equals":true}},{"key":"b","label":"B","kind":"tick"}]`,
		"condition on itself":      `[{"key":"a","label":"A","kind":"tick","show_if":{"field":"a","equals":true}}]`,
		"two levels":               `[{"key":"a","label":"A","kind":"tick"},{"key":"b","label":"B","kind":"tick","show_if":{"field":"a","equals":true}},{"key":"c","label":"C","kind":"text","show_if":{"field":"b","equals":true}}]`,
		"condition on a text":      `[{"key":"a","label":"A","kind":"text"},{"key":"b","label":"B","kind":"text","show_if":{"field":"a","equals":"x"}}]`,
		"no such option":           `[{"key":"a","label":"A","kind":"choice","options":[{"value":"x","label":"X"}]},{"key":"b","label":"B","kind":"text","show_if":{"field":"a","equals":"y"}}]`,
		"tick against a word":      `[{"key":"a","label":"A","kind":"tick"},{"key":"b","label":"B","kind":"text","show_if":{"field":"a","equals":"yes"}}]`,
	} {
		_, err := ParseFields([]byte(raw))
		require.Equal(t, Invalid, KindOf(err), name)
	}
	fields := make([]string, 101)
	for i := range fields {
		fields[i] = fmt.Sprintf(`{"key":"q%d","label":"Q","kind":"text"}`, i)
	}
	_, err := ParseFields([]byte("[" + strings.Join(fields, ",") + "]"))
	require.Equal(t, "too_many_fields", CodeOf(err))
}

func TestSignedDocument_OneByteOfAnything_ChangesTheHash(t *testing.T) {
	t.Parallel()
	base := func() SignedDocument {
		return SignedDocument{
			Form: "consent", Version: 2, Title: "Consent", Text: "I agree to <b>everything</b>.", Questions: []FormField{{Key: "a", Label: "A", Kind: FieldText}},
			Answers: Answers{"b": []string{"x", "y"}, "a": "z"}, Signer: "Casey Client", SignedAt: time.Date(2026, 3, 9, 14, 0, 0, 1000, time.UTC),
			Practice: MustID("00000000-0000-7000-8000-000000000001"), Packet: MustID("00000000-0000-7000-8000-000000000002"),
		}
	}
	document, hash, err := base().Canonical()
	require.NoError(t, err)
	require.Contains(t, string(document), `"answers":{"a":"z","b":["x","y"]}`)
	require.Contains(t, string(document), "<b>everything</b>")
	again := base()
	again.SignedAt = again.SignedAt.In(time.FixedZone("", 3600)).Add(300)
	_, same, err := again.Canonical()
	require.NoError(t, err)
	require.Equal(t, hash, same, "zone and nanoseconds are not part of it")
	for name, change := range map[string]func(*SignedDocument){
		"form": func(d *SignedDocument) { d.Form += "x" }, "version": func(d *SignedDocument) { d.Version++ }, "title": func(d *SignedDocument) { d.Title = "consent" },
		"text": func(d *SignedDocument) { d.Text += " " }, "question": func(d *SignedDocument) { d.Questions[0].Label = "B" },
		"answer": func(d *SignedDocument) { d.Answers["a"] = "Z" }, "signer": func(d *SignedDocument) { d.Signer = "Casey Cliend" },
		"instant":  func(d *SignedDocument) { d.SignedAt = d.SignedAt.Add(time.Microsecond) },
		"practice": func(d *SignedDocument) { d.Practice[15]++ }, "packet": func(d *SignedDocument) { d.Packet[15]++ },
	} {
		d := base()
		change(&d)
		_, other, err := d.Canonical()
		require.NoError(t, err)
		require.NotEqual(t, hash, other, name)
	}
}
