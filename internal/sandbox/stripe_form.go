package sandbox

import (
	"crypto/sha256"
	"encoding/hex"
	"net/url"
	"strconv"
	"strings"
)

// form is a request's parameters in Stripe's bracket notation.
type form url.Values

func (f form) get(name string) string { return url.Values(f).Get(name) }

// metadata reads prefix[key]=value.
func (f form) metadata(prefix string) map[string]string {
	out := map[string]string{}
	for name, values := range f {
		if key, ok := strings.CutPrefix(name, prefix+"["); ok && strings.HasSuffix(key, "]") {
			out[strings.TrimSuffix(key, "]")] = values[0]
		}
	}
	return out
}

// list reads name[0], name[1], … and name[].
func (f form) list(name string) []string {
	out := append([]string(nil), f[name+"[]"]...)
	for i := 0; ; i++ {
		v, ok := f[name+"["+strconv.Itoa(i)+"]"]
		if !ok {
			return out
		}
		out = append(out, v...)
	}
}

// only refuses parameters that the operation does not know; a name covers its brackets.
func (f form) only(names ...string) *stripeError {
	for name := range f {
		top, _, _ := strings.Cut(name, "[")
		known := top == "expand"
		for _, n := range names {
			known = known || n == top
		}
		if !known {
			return invalid(name, "parameter_unknown", "Received unknown parameter: "+name)
		}
	}
	return nil
}

// amount reads positive minor units within Stripe's eight digits.
func (f form) amount(name string) (int64, *stripeError) {
	n, err := strconv.ParseInt(f.get(name), 10, 64)
	switch {
	case f.get(name) == "":
		return 0, invalid(name, "parameter_missing", "Missing required param: "+name+".")
	case err != nil:
		return 0, invalid(name, "parameter_invalid_integer", "Invalid integer: "+name)
	case n < 1:
		return 0, invalid(name, "parameter_invalid_integer", "This value must be greater than or equal to 1.")
	case n > 99_999_999:
		return 0, invalid(name, "amount_too_large", "Amount must be no more than 99999999")
	}
	return n, nil
}

func (f form) currency(name string) (string, *stripeError) {
	c := strings.ToLower(f.get(name))
	if len(c) != 3 || strings.Trim(c, "abcdefghijklmnopqrstuvwxyz") != "" {
		return "", invalid(name, "parameter_missing", "Invalid currency: three letters are needed.")
	}
	return c, nil
}

// fingerprint tells two requests under one key apart.
func (f form) fingerprint(method, path string) string {
	sum := sha256.Sum256([]byte(method + " " + path + "?" + url.Values(f).Encode()))
	return hex.EncodeToString(sum[:])
}
