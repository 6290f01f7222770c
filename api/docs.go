package api

import (
	"bytes"
	_ "embed"
	"fmt"
	"html/template"
	"net/http"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/gin-gonic/gin"
)

//go:embed docs_page.html
var docsPage string

//go:embed docs_style.css
var docsStyle []byte

// docsRoutes serves the document and the pages made from it. They are rendered once, need no script and load nothing from
// elsewhere.
func (s *Server) docsRoutes() error {
	view := newDocsView(s.api.OpenAPI(), s.ops.listed, s.deps.BaseURL)
	pages, err := template.New("docs").Parse(docsPage)
	if err != nil {
		return fmt.Errorf("documentation page: %w", err)
	}
	for path, name := range map[string]string{"/docs": "reference", "/docs/errors": "errors"} {
		var page bytes.Buffer
		if err := pages.ExecuteTemplate(&page, name, view); err != nil {
			return fmt.Errorf("documentation page %s: %w", name, err)
		}
		s.fixed(path, "text/html; charset=utf-8", page.Bytes())
	}
	s.fixed("/docs/style.css", "text/css; charset=utf-8", docsStyle)
	s.fixed("/openapi.json", "application/openapi+json", s.openapi)
	return nil
}

// fixed serves bytes that stay the same while the process runs.
func (s *Server) fixed(path, contentType string, content []byte) {
	handler := func(c *gin.Context) {
		c.Header("Content-Security-Policy", "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
		c.Header("Cache-Control", "no-cache")
		c.Data(http.StatusOK, contentType, content)
	}
	s.engine.GET(path, handler)
	s.engine.HEAD(path, handler)
}

type docsView struct {
	About   string
	BaseURL string
	Groups  []docsGroup
	Schemas []docsSchema
	Codes   []codeDoc
}

type docsGroup struct {
	Name       string
	Operations []docsOperation
}

type docsOperation struct {
	Operation
	Summary, About string
	Params         []docsField
	Body           *docsSchema
	Replies        []docsReply
	Curl           string
}

type docsReply struct{ Status, Schema string }

type docsSchema struct {
	Name   string
	Fields []docsField
}

type docsField struct {
	Name, In, Type, Link, About string
	Required                    bool
}

func newDocsView(spec *huma.OpenAPI, listed []Operation, baseURL string) docsView {
	view := docsView{About: spec.Info.Description, BaseURL: baseURL, Codes: codes}
	for _, o := range listed {
		op := operationIn(spec, o)
		tag := op.Tags[0]
		at := slices.IndexFunc(view.Groups, func(g docsGroup) bool { return g.Name == tag })
		if at < 0 {
			at = len(view.Groups)
			view.Groups = append(view.Groups, docsGroup{Name: tag})
		}
		view.Groups[at].Operations = append(view.Groups[at].Operations, describeOperation(spec, o, op, baseURL))
	}
	for name, schema := range spec.Components.Schemas.Map() {
		view.Schemas = append(view.Schemas, docsSchema{Name: name, Fields: describeFields(schema)})
	}
	slices.SortFunc(view.Schemas, func(a, b docsSchema) int { return strings.Compare(a.Name, b.Name) })
	return view
}

func operationIn(spec *huma.OpenAPI, o Operation) *huma.Operation {
	path := spec.Paths[o.Path]
	switch o.Method {
	case http.MethodPost:
		return path.Post
	case http.MethodPut:
		return path.Put
	case http.MethodPatch:
		return path.Patch
	case http.MethodDelete:
		return path.Delete
	default:
		return path.Get
	}
}

func describeOperation(spec *huma.OpenAPI, o Operation, op *huma.Operation, baseURL string) docsOperation {
	d := docsOperation{Operation: o, Summary: op.Summary, About: op.Description}
	for _, p := range op.Parameters {
		d.Params = append(d.Params, docsField{
			Name: p.Name, In: p.In, Type: typeOf(p.Schema), About: strings.TrimSpace(p.Description + " " + limitsOf(p.Schema)), Required: p.Required,
		})
	}
	var body *huma.Schema
	if op.RequestBody != nil {
		body = op.RequestBody.Content["application/json"].Schema
		if name := refName(body); name != "" {
			body = spec.Components.Schemas.Map()[name]
		}
		d.Body = &docsSchema{Fields: describeFields(body)}
	}
	for status, r := range op.Responses {
		for _, media := range r.Content {
			d.Replies = append(d.Replies, docsReply{Status: status, Schema: refName(media.Schema)})
		}
	}
	slices.SortFunc(d.Replies, func(a, b docsReply) int { return strings.Compare(a.Status, b.Status) })
	d.Curl = curlFor(o, op, body, spec, baseURL)
	return d
}

func describeFields(schema *huma.Schema) []docsField {
	var fields []docsField
	for name, p := range schema.Properties {
		fields = append(fields, docsField{
			Name: name, Type: typeOf(p), Link: refName(p), About: strings.TrimSpace(p.Description + " " + limitsOf(p)),
			Required: slices.Contains(schema.Required, name),
		})
	}
	slices.SortFunc(fields, func(a, b docsField) int { return strings.Compare(a.Name, b.Name) })
	return fields
}

// refName is the component a schema, or the items of a list, refers to.
func refName(s *huma.Schema) string {
	if s != nil && s.Items != nil {
		s = s.Items
	}
	if s == nil || s.Ref == "" {
		return ""
	}
	return s.Ref[strings.LastIndex(s.Ref, "/")+1:]
}

func typeOf(s *huma.Schema) string {
	switch {
	case s.Ref != "":
		return refName(s)
	case s.Items != nil:
		return "list of " + typeOf(s.Items)
	case s.PatternDescription != "":
		return s.PatternDescription
	case s.Format != "" && s.Type == huma.TypeString:
		return s.Format
	case s.Type == "":
		return "anything"
	default:
		return s.Type
	}
}

func limitsOf(s *huma.Schema) string {
	var limits []string
	if len(s.Enum) > 0 {
		limits = append(limits, "One of "+strings.Trim(fmt.Sprint(s.Enum), "[]")+".")
	}
	if s.Minimum != nil && s.Maximum != nil {
		limits = append(limits, fmt.Sprintf("%g to %g.", *s.Minimum, *s.Maximum))
	}
	if s.MaxLength != nil {
		limits = append(limits, fmt.Sprintf("At most %d characters.", *s.MaxLength))
	}
	if s.Default != nil {
		limits = append(limits, fmt.Sprintf("Default %v.", s.Default))
	}
	return strings.Join(limits, " ")
}
