package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humagin"
	"github.com/gin-gonic/gin"

	"github.com/kept-practice/kept/internal/policy"
)

// spec is what callers read about an operation. ID is for ever: generated clients name their methods by it.
type spec struct {
	ID      string // verb-noun: list-locations
	Tag     string
	Summary string
	About   string // optional, more than the summary says
	Status  int    // of success; default 200, or 204 without a body
	Secret  bool   // the reply holds what is kept nowhere, so no reply is stored for a repeat
	// Resumes: it commits in several steps or asks a gateway between them, and carrying it out again finishes what was begun.
	// All other POSTs are one transaction together with their stored reply.
	Resumes bool
	Unkept  []string // members of the reply that a repeat does not get again, since they are kept nowhere
}

// Operation is one entry of the registry.
type Operation struct {
	Method     string
	Path       string
	ID         string
	Permission policy.Permission
}

// operations is the registry: the only way to a route under /v1. It collects mistakes, so that a start names all of them.
type operations struct {
	server   *Server
	listed   []Operation
	mistakes []error
}

const (
	permissionKey = "permission"
	resumesKey    = "resumes"
	unkeptKey     = "unkept"
)

// operation registers a handler. There is no default permission: an operation without one stops the start.
func operation[I, O any](r *operations, method, path string, permission policy.Permission, d spec, handler func(context.Context, *I) (*O, error)) {
	var mistakes []error
	if !slices.Contains(policy.AllPermissions(), permission) {
		mistakes = append(mistakes, fmt.Errorf("%s %s names no known permission", method, path))
	}
	if d.ID == "" || d.Tag == "" || d.Summary == "" {
		mistakes = append(mistakes, fmt.Errorf("%s %s lacks an id, a tag or a summary", method, path))
	}
	if slices.ContainsFunc(r.listed, func(o Operation) bool { return o.ID == d.ID }) {
		mistakes = append(mistakes, fmt.Errorf("%s %s: the id %s is taken", method, path, d.ID))
	}
	if len(mistakes) > 0 {
		r.mistakes = append(r.mistakes, mistakes...)
		return
	}
	r.listed = append(r.listed, Operation{Method: method, Path: path, ID: d.ID, Permission: permission})
	op := huma.Operation{
		OperationID: d.ID, Method: method, Path: path, Summary: d.Summary, Description: d.About, Tags: []string{d.Tag}, DefaultStatus: d.Status,
		Security:   []map[string][]string{{"api_key": {}}},
		Extensions: map[string]any{"x-permission": string(permission)},
		Metadata:   map[string]any{permissionKey: permission, resumesKey: d.Resumes, unkeptKey: d.Unkept},
		// The frame has read and bounded the body before huma sees it.
		MaxBodyBytes: -1, BodyReadTimeout: -1,
	}
	if method == http.MethodPost && !d.Secret {
		op.Parameters = []*huma.Param{idempotencyParam}
	}
	huma.Register(r.server.api, op, func(ctx context.Context, in *I) (*O, error) {
		out, err := handler(ctx, in)
		if err != nil {
			return nil, r.server.unknownID(ctx, method, path, err)
		}
		return out, nil
	})
}

var idempotencyParam = &huma.Param{
	Name: "Idempotency-Key", In: "header", Example: "0192f3a8-7c1e",
	Description: "Makes a repeat safe: within 24 hours the same key and request give the first reply again, with Idempotent-Replayed: true.",
	Schema:      &huma.Schema{Type: huma.TypeString, MinLength: new(1), MaxLength: new(255)},
}

// adapter puts an operation's guards in front of huma's handler.
type adapter struct {
	server *Server
	ops    *operations
}

func (a *adapter) ServeHTTP(w http.ResponseWriter, r *http.Request) { a.server.engine.ServeHTTP(w, r) }

func (a *adapter) Handle(op *huma.Operation, handler func(huma.Context)) {
	permission, ok := op.Metadata[permissionKey].(policy.Permission)
	if !ok {
		a.ops.mistakes = append(a.ops.mistakes, fmt.Errorf("%s %s was not registered by operation", op.Method, op.Path))
		return
	}
	chain := []gin.HandlerFunc{
		a.server.authenticate,
		authorise(permission),
		func(c *gin.Context) {
			if err := checkQuery(c.Request.URL.RawQuery, op.Parameters); err != nil {
				refuse(c, err)
			}
		},
		a.server.takeBody(op),
	}
	switch {
	case op.Method == http.MethodPost && slices.Contains(op.Parameters, idempotencyParam):
		chain = append(chain, a.server.once(op))
	case op.Method == http.MethodPost:
		chain = append(chain, noRepeat)
	}
	chain = append(chain, func(c *gin.Context) { handler(humagin.NewContext(op, c)) })
	path := strings.NewReplacer("{", ":", "}", "").Replace(op.Path)
	a.server.engine.Handle(op.Method, path, chain...)
	if op.Method == http.MethodGet {
		a.server.engine.Handle(http.MethodHead, path, chain...)
	}
}

// noRepeat refuses to promise a second reply where the first one is not kept.
func noRepeat(c *gin.Context) {
	if len(c.Request.Header.Values("Idempotency-Key")) > 0 {
		refuse(c, policy.InvalidField("header:Idempotency-Key", "not_repeatable",
			"The reply holds a secret that is kept nowhere, so it cannot be given again. Leave Idempotency-Key out."))
	}
}

func (r *operations) err() error { return errors.Join(r.mistakes...) }
