package api

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"

	"github.com/danielgtaylor/huma/v2"
)

// openAPIConfig leaves out what huma adds by itself: routes of its own, a documentation page from a CDN, $schema fields.
func openAPIConfig() huma.Config {
	format := huma.Format{
		Marshal: func(w io.Writer, v any) error {
			enc := json.NewEncoder(w)
			enc.SetEscapeHTML(false)
			return enc.Encode(v)
		},
		Unmarshal: unmarshalJSON,
	}
	return huma.Config{
		OpenAPI: &huma.OpenAPI{
			OpenAPI: "3.1.0",
			Info: &huma.Info{
				Title: "kept", Version: "v1",
				Description: "Runs a practice's promises: appointments, intake, reminders, invoices, recalls. Ids carry their kind (apt_…, cli_…); instants " +
					"end in _at and are UTC, days end in _on; money is minor units and a currency; lists are newest first. " +
					"Every error is a problem (RFC 9457) with a code that /docs/errors explains.",
				License: &huma.License{Name: "Apache-2.0", Identifier: "Apache-2.0"},
			},
			Servers: []*huma.Server{{URL: "/"}},
			Components: &huma.Components{
				Schemas: huma.NewMapRegistry("#/components/schemas/", huma.DefaultSchemaNamer),
				SecuritySchemes: map[string]*huma.SecurityScheme{"api_key": {
					Type: "http", Scheme: "bearer", Description: "An API key: kept_live_… or kept_test_…, for one practice and with one role.",
				}},
			},
		},
		Formats:                      map[string]huma.Format{"application/json": format, "json": format},
		DefaultFormat:                "application/json",
		RejectUnknownQueryParameters: true,
	}
}

// marshalSpec is the document that is served, committed and compared: indented, one line at the end.
func marshalSpec(spec *huma.OpenAPI) ([]byte, error) {
	raw, err := json.Marshal(spec)
	if err != nil {
		return nil, fmt.Errorf("write the OpenAPI document: %w", err)
	}
	var out bytes.Buffer
	if err := json.Indent(&out, raw, "", "  "); err != nil {
		return nil, fmt.Errorf("write the OpenAPI document: %w", err)
	}
	out.WriteByte('\n')
	return out.Bytes(), nil
}

// Spec is the OpenAPI 3.1 document, the same for every deployment.
func Spec() ([]byte, error) {
	configureHuma()
	s := &Server{}
	s.ops = &operations{server: s}
	s.api = huma.NewAPI(openAPIConfig(), &specAdapter{})
	s.routes(s.ops)
	if err := s.ops.err(); err != nil {
		return nil, err
	}
	return marshalSpec(s.api.OpenAPI())
}

// specAdapter takes operations for their description alone.
type specAdapter struct{ adapter }

func (*specAdapter) Handle(*huma.Operation, func(huma.Context)) {}
