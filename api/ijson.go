package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/kept-practice/kept/internal/policy"
)

// maxNesting is how many objects and lists may lie inside each other.
const maxNesting = 32

// checkJSON refuses a body that two readers could read differently (RFC 7493, I-JSON): 400 for bytes that are not UTF-8,
// broken or doubled or trailing JSON, surrogates without a partner, noncharacters, nesting beyond 32. Then 422 for U+0000
// in a text and for names that no schema of ours can have.
func checkJSON(body []byte) error {
	switch {
	case bytes.IndexByte(body, 0) >= 0:
		return policy.NewError(policy.Unreadable, "malformed_json", "The body holds a NUL byte.")
	case !utf8.Valid(body):
		return policy.NewError(policy.Unreadable, "invalid_unicode", "The body is not UTF-8.")
	case !json.Valid(body):
		return policy.NewError(policy.Unreadable, "malformed_json", "The body is not one JSON value.")
	}
	w := jsonWalk{body: body}
	if err := w.value("", 0); err != nil {
		return err
	}
	if len(w.refused) > 0 {
		return invalidFields(w.refused)
	}
	return nil
}

// jsonWalk reads valid JSON once more, for what validity does not cover.
type jsonWalk struct {
	body    []byte
	at      int
	refused []policy.FieldError
}

func (w *jsonWalk) value(pointer string, depth int) error {
	switch w.peek() {
	case '{', '[':
		if depth == maxNesting {
			return policy.NewError(policy.Unreadable, "nested_too_deep", "The body is nested deeper than "+strconv.Itoa(maxNesting)+" levels.")
		}
		if w.body[w.at] == '{' {
			return w.object(pointer, depth+1)
		}
		return w.list(pointer, depth+1)
	case '"':
		text, err := w.text()
		if err == nil && strings.ContainsRune(text, 0) {
			w.refuse(pointer, "control_character", "The character U+0000 is not allowed.")
		}
		return err
	default: // number, true, false or null
		for w.at < len(w.body) && !strings.ContainsRune(",]} \t\r\n", rune(w.body[w.at])) {
			w.at++
		}
		return nil
	}
}

func (w *jsonWalk) object(pointer string, depth int) error {
	w.at++
	seen := map[string]bool{}
	for w.peek() != '}' {
		name, err := w.text()
		if err != nil {
			return err
		}
		inside := pointer
		if plainName.MatchString(name) {
			inside += "/" + name
		} else {
			w.refuse(pointer, "unknown_field", "There is no such field.")
		}
		if seen[name] {
			return &policy.Error{
				Kind: policy.Unreadable, Code: "duplicate_key", Message: "A name occurs twice in one object.",
				Fields: []policy.FieldError{{Pointer: inside, Code: "duplicate_key", Detail: "This name occurs twice."}},
			}
		}
		seen[name] = true
		w.peek()
		w.at++ // the colon
		if err := w.value(inside, depth); err != nil {
			return err
		}
		w.separator()
	}
	w.at++
	return nil
}

func (w *jsonWalk) list(pointer string, depth int) error {
	w.at++
	for i := 0; w.peek() != ']'; i++ {
		if err := w.value(pointer+"/"+strconv.Itoa(i), depth); err != nil {
			return err
		}
		w.separator()
	}
	w.at++
	return nil
}

// text reads a string and gives it decoded.
func (w *jsonWalk) text() (string, error) {
	w.peek()
	start := w.at
	for w.at++; w.body[w.at] != '"'; w.at++ {
		if w.body[w.at] != '\\' {
			continue
		}
		w.at++
		if w.body[w.at] != 'u' {
			continue
		}
		first := w.codeUnit()
		if !utf16.IsSurrogate(first) {
			continue
		}
		if w.body[w.at+1] != '\\' || w.body[w.at+2] != 'u' {
			return "", errUnicode()
		}
		w.at += 2
		if utf16.DecodeRune(first, w.codeUnit()) == utf8.RuneError {
			return "", errUnicode()
		}
	}
	w.at++
	var decoded string
	if err := json.Unmarshal(w.body[start:w.at], &decoded); err != nil {
		return "", errUnicode()
	}
	for _, r := range decoded {
		if r&0xFFFE == 0xFFFE || (r >= 0xFDD0 && r <= 0xFDEF) {
			return "", errUnicode()
		}
	}
	return decoded, nil
}

// codeUnit reads the four digits after \u and stops on the last of them.
func (w *jsonWalk) codeUnit() rune {
	n, _ := strconv.ParseUint(string(w.body[w.at+1:w.at+5]), 16, 16) // json.Valid has seen them
	w.at += 4
	return rune(n)
}

// peek skips white space and gives the next byte.
func (w *jsonWalk) peek() byte {
	for {
		switch w.body[w.at] {
		case ' ', '\t', '\r', '\n':
			w.at++
		default:
			return w.body[w.at]
		}
	}
}

func (w *jsonWalk) separator() {
	if w.peek() == ',' {
		w.at++
	}
}

func (w *jsonWalk) refuse(pointer, code, detail string) {
	w.refused = append(w.refused, policy.FieldError{Pointer: pointer, Code: code, Detail: detail})
}

func errUnicode() error {
	return policy.NewError(policy.Unreadable, "invalid_unicode", "A text holds half a character or one that is none (RFC 7493).")
}

// mismatchMark begins the text of an error of unmarshalJSON and is followed by the pointer; huma hands on texts only.
const mismatchMark = "does not fit: "

// unmarshalJSON decodes a body that checkJSON has passed. Its errors name the place and never the value.
func unmarshalJSON(data []byte, v any) error {
	if untyped, ok := v.(*any); ok {
		return unmarshalAny(data, untyped)
	}
	err := json.Unmarshal(data, v)
	var mismatch *json.UnmarshalTypeError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &mismatch) && mismatch.Field != "":
		return errors.New(mismatchMark + pointerOf("body."+mismatch.Field))
	default:
		return errors.New(mismatchMark)
	}
}

// unmarshalAny reads numbers too large for a float as infinite, so that the schema refuses them and not the reader.
func unmarshalAny(data []byte, v *any) error {
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	if err := dec.Decode(v); err != nil {
		return errors.New(mismatchMark)
	}
	*v = floats(*v)
	return nil
}

func floats(v any) any {
	switch v := v.(type) {
	case json.Number:
		f, _ := strconv.ParseFloat(v.String(), 64) // ±Inf when out of range
		return f
	case []any:
		for i := range v {
			v[i] = floats(v[i])
		}
	case map[string]any:
		for k := range v {
			v[k] = floats(v[k])
		}
	}
	return v
}
