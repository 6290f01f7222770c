package api

import (
	"fmt"
	"net/http"
	"strings"
)

// codeDoc is a code with every status it comes with and every sentence that goes with it. The list is drawn from the source,
// so that it can neither lack a code nor keep one that is gone: docs/errors.md and codes_gen.go are its two faces.
type codeDoc struct {
	Code     string
	Statuses []int
	Says     []string // "…" stands for what differs from case to case
}

// StatusText is for the documentation page: 409 Conflict.
func (c codeDoc) StatusText() string {
	var parts []string
	for _, status := range c.Statuses {
		parts = append(parts, strings.TrimSpace(fmt.Sprintf("%d %s", status, http.StatusText(status))))
	}
	return strings.Join(parts, ", ")
}
