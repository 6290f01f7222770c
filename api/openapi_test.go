package api

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kept-practice/kept/internal/policy"
)

func TestOpenAPI_Served_EqualsTheCommittedFile(t *testing.T) {
	t.Parallel()
	spec, err := Spec()
	require.NoError(t, err)
	golden(t, "../docs/openapi.json", spec)
	f := newFixture(t)
	server, err := New(f.server.deps)
	require.ErrorContains(t, err, "duplicate metrics", "one registry, one server")
	require.Nil(t, server)
	deps := f.server.deps
	deps.Metrics = nil
	server, err = New(deps)
	require.NoError(t, err)
	defer server.Close()
	plain := fixture{t: t, server: server, keys: f.keys}
	a := plain.get("/openapi.json")
	require.Equal(t, "application/openapi+json", a.Header.Get("Content-Type"))
	require.True(t, bytes.Equal(spec, []byte(a.Body)))
}

func TestOpenAPI_EveryOperation_IsWholeAndGuarded(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	var spec struct {
		OpenAPI string `json:"openapi"`
		Paths   map[string]map[string]struct {
			OperationID string                `json:"operationId"`
			Permission  policy.Permission     `json:"x-permission"`
			Security    []map[string][]string `json:"security"`
			Summary     string                `json:"summary"`
			Responses   map[string]any        `json:"responses"`
		} `json:"paths"`
	}
	require.NoError(t, json.Unmarshal(f.server.openapi, &spec))
	require.Equal(t, "3.1.0", spec.OpenAPI)
	n := 0
	for path, methods := range spec.Paths {
		for method, op := range methods {
			n++
			require.Contains(t, policy.AllPermissions(), op.Permission, path)
			require.Equal(t, []map[string][]string{{"api_key": {}}}, op.Security, path)
			require.NotEmpty(t, op.Summary)
			require.Regexp(t, `^[a-z]+(-[a-z]+)*$`, op.OperationID)
			require.Contains(t, op.Responses, "default", "%s %s names no problem", method, path)
		}
	}
	require.Equal(t, len(f.server.Operations()), n)
	require.NotContains(t, string(f.server.openapi), "$schema")
}

// The routes of the engine are the operations, their HEADs and the public ones; nothing else can be reached.
func TestRoutes_NothingIsReachableBesideTheRegistry(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	public := map[string]bool{"/livez": true, "/readyz": true, "/docs": true, "/docs/errors": true, "/docs/style.css": true, "/openapi.json": true}
	registered := map[string]bool{}
	for _, o := range f.server.Operations() {
		path := strings.NewReplacer("{", ":", "}", "").Replace(o.Path)
		registered[o.Method+" "+path] = true
		if o.Method == http.MethodGet {
			registered["HEAD "+path] = true
		}
	}
	for i, route := range f.server.engine.Routes() {
		if public[route.Path] {
			require.Contains(t, []string{http.MethodGet, http.MethodHead}, route.Method)
			continue
		}
		require.True(t, registered[route.Method+" "+route.Path], "%s %s", route.Method, route.Path)
		a := f.send(route.Method, strings.ReplaceAll(route.Path, ":id", "x"), "", func(r *http.Request) {
			r.Header.Del("Authorization")
			r.RemoteAddr = fmt.Sprintf("10.%d.%d.1:1", i/256, i%256) // strangers are counted by network
		})
		require.Equal(t, http.StatusUnauthorized, a.Status, route.Path)
	}
}

func TestDocs_ListEveryOperationAndCode_WithoutScriptOrOtherHosts(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	page := f.get("/docs", func(r *http.Request) { r.Header.Del("Authorization") })
	require.Equal(t, http.StatusOK, page.Status)
	for _, o := range f.server.Operations() {
		require.Contains(t, page.Body, `id="`+o.ID+`"`)
		require.Contains(t, page.Body, string(o.Permission))
	}
	require.Contains(t, page.Body, "curl https://kept.example.org/v1/clients/cli_01k3")
	require.Contains(t, page.Body, `id="schema-Problem"`)
	list := f.get("/docs/errors")
	for _, c := range codes {
		require.Contains(t, list.Body, `id="`+c.Code+`"`)
	}
	for _, a := range []answer{page, list} {
		require.NotContains(t, a.Body, "<script")
		require.Empty(t, regexp.MustCompile(`(src|href)="(https?:)?//`).FindString(a.Body))
		require.Contains(t, a.Header.Get("Content-Security-Policy"), "default-src 'none'")
	}
	require.Equal(t, http.StatusOK, f.get("/docs/style.css").Status)
}

func TestLists_PagesStayTheSameWhenRowsAreAdded(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.exec(`insert into clients (practice_id, id, given_name, family_name)
		select $1, ('00000000-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid, 'C' || n, 'X' from generate_series(1, 45) n`, f.own.ID)
	read := func(query string) List[ClientView] {
		t.Helper()
		var page List[ClientView]
		f.get("/v1/clients?" + query).ok(&page)
		return page
	}
	all := read("limit=100")
	require.Len(t, all.Data, 46)
	require.False(t, all.HasMore)

	var seen []ClientView
	query := "limit=10"
	for {
		page := read(query)
		seen = append(seen, page.Data...)
		f.exec("insert into clients (practice_id, id, given_name, family_name) values ($1, gen_random_uuid(), 'New', 'Comer')", f.other.ID)
		if !page.HasMore {
			break
		}
		require.Len(t, page.Data, 10)
		query = "limit=10&starting_after=" + page.Data[9].ID.String()
	}
	require.Equal(t, all.Data, seen)

	back := read("limit=10&ending_before=" + all.Data[30].ID.String())
	require.Equal(t, all.Data[20:30], back.Data)
	require.True(t, back.HasMore)
	back = read("limit=10&ending_before=" + all.Data[5].ID.String())
	require.Equal(t, all.Data[:5], back.Data)
	require.False(t, back.HasMore)
	require.Empty(t, read("ending_before="+all.Data[0].ID.String()).Data)
	require.Contains(t, f.get("/v1/clients?status=archived").Body, `"data":[]`)
}
