package api

import "strings"

// looksLikeKey finds a key, or a piece of one, where no key belongs.
func looksLikeKey(text string) bool {
	return strings.Contains(text, "kept_live_") || strings.Contains(text, "kept_test_")
}
