package api

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"
)

// curlFor is a command line that works once $KEY holds a key and the ids are real.
func curlFor(o Operation, op *huma.Operation, body *huma.Schema, spec *huma.OpenAPI, baseURL string) string {
	path := o.Path
	for _, p := range op.Parameters {
		if p.In == "path" {
			path = strings.ReplaceAll(path, "{"+p.Name+"}", fmt.Sprint(sampleOf(p.Schema, spec, 0)))
		}
	}
	var b strings.Builder
	b.WriteString("curl ")
	if o.Method != http.MethodGet {
		b.WriteString("-X " + o.Method + " ")
	}
	b.WriteString(baseURL + path + " \\\n  -H \"Authorization: Bearer $KEY\"")
	if o.Method == http.MethodPost {
		b.WriteString(" \\\n  -H \"Idempotency-Key: $(uuidgen)\"")
	}
	if body != nil {
		raw, err := json.MarshalIndent(sampleOf(body, spec, 0), "  ", "  ")
		if err != nil {
			return b.String() // a sample that cannot be written is left out
		}
		b.WriteString(" \\\n  -H \"Content-Type: application/json\" \\\n  -d '" + strings.ReplaceAll(string(raw), "'", `'\''`) + "'")
	}
	return b.String()
}

// sampleOf makes a value that fits the schema: its example where it has one, and of an object what is required.
func sampleOf(s *huma.Schema, spec *huma.OpenAPI, depth int) any {
	for s.Ref != "" {
		s = spec.Components.Schemas.SchemaFromRef(s.Ref)
	}
	switch {
	case len(s.Examples) > 0:
		return s.Examples[0]
	case s.Default != nil:
		return s.Default
	case len(s.Enum) > 0:
		return s.Enum[0]
	}
	switch s.Type {
	case huma.TypeObject:
		out := map[string]any{}
		for _, name := range s.Required {
			if depth < 4 {
				out[name] = sampleOf(s.Properties[name], spec, depth+1)
			}
		}
		return out
	case huma.TypeArray:
		if depth >= 4 {
			return []any{}
		}
		return []any{sampleOf(s.Items, spec, depth+1)}
	case huma.TypeBoolean:
		return true
	case huma.TypeInteger, huma.TypeNumber:
		if s.Minimum != nil {
			return *s.Minimum
		}
		return 1
	default:
		return sampleText(s)
	}
}

func sampleText(s *huma.Schema) string {
	switch s.Format {
	case "date":
		return "2026-03-09"
	case "date-time":
		return "2026-03-09T14:00:00-04:00"
	case "email":
		return "casey@example.org"
	default:
		return "…"
	}
}
