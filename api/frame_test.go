package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"github.com/kept-practice/kept/db"
	"github.com/kept-practice/kept/internal/policy"
)

func TestFrame_WrongPathOrMethod_IsAProblem(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for _, path := range []string{"/", "/v1", "/v1/", "/v1/practice/", "//v1/practice", "/V1/practice", "/v1/../v1/practice", "/v1/clients/a/b", "/api_keys", "/v1/clients/a%2Fb"} {
		f.get(path).refused(http.StatusNotFound, "no_such_route")
	}
	for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodPut, http.MethodDelete, http.MethodPatch, http.MethodTrace, "BREW"} {
		a := f.send(method, "/v1/probe/"+probeID, "")
		require.Equal(t, "POST", a.Header.Get("Allow"), method)
		a.refused(http.StatusMethodNotAllowed, "method_not_allowed")
	}
	for _, header := range []string{"X-HTTP-Method-Override", "X-Http-Method", "X-Method-Override"} {
		f.send(http.MethodGet, "/v1/probe/"+probeID, "", with(header, "POST")).refused(http.StatusMethodNotAllowed, "method_not_allowed")
		f.send(http.MethodPost, "/v1/practice?_method=GET", "{}", with(header, "GET")).refused(http.StatusMethodNotAllowed, "method_not_allowed")
	}
	require.Zero(t, f.runs.Load())
}

func TestFrame_Head_AnswersAsGetWithoutABody(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	s := overWire(t, f)
	request, err := http.NewRequest(http.MethodHead, s.URL+"/v1/practice", nil)
	require.NoError(t, err)
	request.Header.Set("Authorization", "Bearer "+f.keys[policy.RoleOwner])
	response, err := s.Client().Do(request)
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	require.Equal(t, http.StatusOK, response.StatusCode)
	require.Positive(t, response.ContentLength)
}

func TestFrame_ForgedHostAndForwardedHeaders_AreIgnored(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	a := f.get("/v1/nothing", with("X-Forwarded-Host", "evil.example"), with("X-Forwarded-Proto", "gopher"), with("Forwarded", "host=evil.example"),
		func(r *http.Request) { r.Host = "evil.example" })
	require.NotContains(t, a.Body, "evil")
	a.refused(http.StatusNotFound, "no_such_route")

	// Wrong keys are counted by the true address, whatever X-Forwarded-For says.
	last := 0
	for i := range 40 {
		last = f.get("/v1/practice", withKey("nobody"), with("X-Forwarded-For", fmt.Sprintf("10.0.0.%d", i))).Status
	}
	require.Equal(t, http.StatusTooManyRequests, last)
	f.get("/v1/practice").ok(&map[string]any{}) // a good key from there still enters
}

func TestFrame_Query_IsExact(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	id := "cli_01k3gq8w5ne7r9vjzt4xhb2mdc"
	for query, want := range map[string]string{
		"unknown=1": "unknown_parameter query:unknown", "sort=name%3Bdrop": "unknown_parameter query:sort", "order_by=(select%201)": "unknown_parameter query:order_by",
		"Limit=1": "unknown_parameter query:Limit", "limit=1&limit=2": "repeated_parameter query:limit", "limit=": "required query:limit", "limit": "required query:limit",
		"limit=x": "wrong_type query:limit", "limit=1.0": "wrong_type query:limit", "limit=%2B1": "wrong_type query:limit", "limit=01": "wrong_type query:limit",
		"limit=0": "out_of_range query:limit", "limit=101": "out_of_range query:limit", "limit=-1": "out_of_range query:limit", "limit=99999999999999999999": "wrong_type query:limit",
		"tick=1": "wrong_type query:tick", "tick=TRUE": "wrong_type query:tick", "text=a%00b": "control_character query:text", "text=a%0ab": "control_character query:text",
		"starting_after=5": "invalid_id query:starting_after", "a.b%5B0%5D=1": "unknown_parameter query:", "$schema=x": "unknown_parameter query:",
	} {
		code, _, _ := strings.Cut(want, " ")
		require.Equal(t, []string{want}, pointers(f.get("/v1/probe?"+query).refused(http.StatusUnprocessableEntity, code)), query)
	}
	for _, query := range []string{"limit=%zz", "a=1;b=2", "%", "text=%ff", "%ff=1"} {
		f.get("/v1/probe?"+query).refused(http.StatusBadRequest, "malformed_query")
	}
	var out map[string]int
	f.get("/v1/probe?limit=100&tick=false&text=caf%C3%A9&starting_after=" + id).ok(&out)
	require.Equal(t, 100, out["limit"])
	f.get("/v1/probe").ok(&out)
	require.Equal(t, 20, out["limit"])
	f.send(http.MethodPost, "/v1/probe/"+probeID+"?dry=1", `{"name":"x"}`).refused(http.StatusUnprocessableEntity, "unknown_parameter")
	f.get("/v1/clients?starting_after="+id+"&ending_before="+id).refused(http.StatusUnprocessableEntity, "two_cursors")
}

func TestFrame_Ids_MalformedOrOfAnotherKind(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for _, id := range []string{"5", "cli_5", "cli_8zzzzzzzzzzzzzzzzzzzzzzzzz", "CLI_01k3gq8w5ne7r9vjzt4xhb2mdc", "xyz_01k3gq8w5ne7r9vjzt4xhb2mdc", ".", "%27%20or%201=1", "..%5C..%5Cetc"} {
		p := f.get("/v1/clients/"+id).refused(http.StatusUnprocessableEntity, "invalid_id")
		require.Equal(t, []string{"invalid_id path:id"}, pointers(p), id)
	}
	other := "apt_01k3gq8w5ne7r9vjzt4xhb2mdc"
	p := f.get("/v1/clients/"+other).refused(http.StatusNotFound, "wrong_kind_of_id")
	require.Contains(t, p.Detail, "the id of a client (cli_…)")
	p = f.get("/v1/clients?starting_after="+other).refused(http.StatusNotFound, "wrong_kind_of_id")
	require.Contains(t, p.Detail, "the id of a client (cli_…)")
	p = f.postProbe(`{"name":"x","client_id":"`+other+`"}`).refused(http.StatusNotFound, "wrong_kind_of_id")
	require.Contains(t, p.Detail, "the id of a client (cli_…)")
	f.postProbe(`{"name":"","client_id":"`+other+`"}`).refused(http.StatusUnprocessableEntity, "invalid_request")
	require.Zero(t, f.runs.Load())
}

func TestFrame_Errors_ShowTheirKindAndNothingInside(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for _, c := range []struct {
		err    error
		status int
		code   string
	}{
		{errors.New("secret inner text"), 500, "internal"},
		{fmt.Errorf("wrapped secret: %w", policy.NewError(policy.Conflict, "slot_taken", "That time is taken.")), 409, "slot_taken"},
		{policy.NewError(policy.Gone, "hold_expired", "The hold has run out."), 410, "hold_expired"},
		{policy.NewError(policy.Internal, "secret_code", "secret sentence"), 500, "internal"},
		{&pgconn.PgError{Code: "23514", Message: "secret row", Detail: "Failing row contains (secret)", TableName: "clients", ConstraintName: "c"}, 500, "internal"},
		{&pgconn.PgError{Code: "40P01", Message: "secret"}, 503, "database_unavailable"},
		{context.DeadlineExceeded, 503, "database_unavailable"},
	} {
		f.probe = func(context.Context, *probeInput) error { return c.err }
		a := f.postProbe(`{"name":"x"}`)
		a.refused(c.status, c.code)
		require.NotContains(t, a.Body, "secret", c.code)
		require.Equal(t, c.status == 503, a.Header.Get("Retry-After") != "")
	}
	f.probe = func(context.Context, *probeInput) error { panic("secret panic") }
	a := f.postProbe(`{"name":"x"}`)
	a.refused(500, "internal")
	require.NotContains(t, a.Body, "secret")

	log := f.log.String()
	require.Contains(t, log, "secret inner text", "the operator sees the cause")
	require.Contains(t, log, `SQLSTATE 23514 table=\"clients\"`)
	require.NotContains(t, log, "secret row")
	require.NotContains(t, log, "secret panic")
	require.Contains(t, log, "panic with a string")
}

func TestFrame_Conflict_CarriesItsFacts(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.probe = func(context.Context, *probeInput) error {
		return &policy.Error{Kind: policy.Conflict, Code: "stale_version", Message: "Read it again.", Facts: map[string]any{"version": 3}}
	}
	require.Equal(t, map[string]any{"version": 3.0}, f.postProbe(`{"name":"x"}`).refused(409, "stale_version").Facts)
}

func TestFrame_Log_IsOneLineWithoutTheURL(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	id := ID[clientKind](f.own.Client).String()
	a := f.get("/v1/clients/" + id).ok(&map[string]any{})
	lines := strings.Split(strings.TrimSpace(f.log.String()), "\n")
	require.Len(t, lines, 1)
	var line map[string]any
	require.NoError(t, json.Unmarshal([]byte(lines[0]), &line))
	require.Equal(t, "/v1/clients/:id", line["route"])
	require.Equal(t, a.Header.Get("Request-Id"), line["request_id"])
	require.InDelta(t, 200, line["status"], 0)
	require.Equal(t, f.own.ID.String(), line["practice"])
	require.NotContains(t, lines[0], id)
	require.NotContains(t, lines[0], f.keys[policy.RoleOwner])
	require.NotContains(t, lines[0], "Casey")

	metrics := httptest.NewRecorder()
	f.server.Metrics().ServeHTTP(metrics, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	require.Contains(t, metrics.Body.String(), `kept_http_requests_total{method="GET",route="/v1/clients/:id",status="200"} 1`)
}

func TestFrame_Rings_ComeAfterTheAnswerAndOnlyWithSuccess(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	subject := policy.Subject{Practice: f.own.ID, Kind: policy.KindJourney, ID: db.NewID()}
	var fail error
	f.probe = func(ctx context.Context, _ *probeInput) error {
		ring(ctx, subject)
		require.Empty(t, f.waker.rings)
		return fail
	}
	fail = policy.NewError(policy.Conflict, "slot_taken", "That time is taken.")
	f.postProbe(`{"name":"x"}`).refused(409, "slot_taken")
	require.Empty(t, f.waker.rings)
	fail = nil
	f.postProbe(`{"name":"x"}`, with("Idempotency-Key", "k")).ok(&map[string]any{})
	require.Equal(t, []policy.Subject{subject}, f.waker.rings)
	f.postProbe(`{"name":"x"}`, with("Idempotency-Key", "k")).ok(&map[string]any{})
	require.Len(t, f.waker.rings, 1, "a repeated reply rings nobody")
}

func TestFrame_Health_NeedsPostgresAlone(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	require.Equal(t, http.StatusOK, f.get("/livez").Status)
	require.Equal(t, http.StatusOK, f.get("/readyz").Status)
	store, err := db.Open(context.Background(), db.Options{URL: "postgres://nobody@127.0.0.1:1/none"})
	require.NoError(t, err)
	defer store.Close()
	server, err := New(Deps{Store: store, Waker: f.waker, BaseURL: "https://kept.example.org", Logger: f.server.deps.Logger})
	require.NoError(t, err)
	defer server.Close()
	away := fixture{t: t, server: server, keys: f.keys}
	require.Equal(t, http.StatusOK, away.get("/livez").Status)
	require.NotEmpty(t, away.get("/readyz").Header.Get("Retry-After"))
	away.get("/readyz").refused(http.StatusServiceUnavailable, "database_unavailable")
	away.get("/v1/practice").refused(http.StatusServiceUnavailable, "database_unavailable")
}

func TestFrame_AnswerTakesTooLong_Is503(t *testing.T) {
	t.Parallel()
	f := newFixture(t, func(d *Deps) { d.RequestTimeout = 300 * time.Millisecond })
	f.probe = func(ctx context.Context, _ *probeInput) error {
		return f.store.InPractice(ctx, f.own.ID, func(tx *db.Tx) error {
			<-ctx.Done()
			_, err := tx.PracticeRead(ctx, f.own.ID)
			return err
		})
	}
	require.Equal(t, http.StatusServiceUnavailable, f.postProbe(`{"name":"x"}`).Status)
}

func TestNew_ImpossibleConfiguration_IsNamedAtOnce(t *testing.T) {
	t.Parallel()
	_, err := New(Deps{BaseURL: "kept.example.org"})
	require.ErrorContains(t, err, "store")
	require.ErrorContains(t, err, "waker")
	require.ErrorContains(t, err, "base URL")
}

func TestNew_OperationWithoutPermission_StopsTheStart(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	handler := func(context.Context, *inputless) (*reply[string], error) { return &reply[string]{}, nil }
	deps := f.server.deps
	deps.Metrics = nil
	_, err := build(deps, func(_ *Server, r *operations) {
		operation(r, get, "/v1/a", "", spec{ID: "a", Tag: "T", Summary: "A"}, handler)
		operation(r, get, "/v1/b", "everything:all", spec{ID: "b", Tag: "T", Summary: "B"}, handler)
		operation(r, get, "/v1/c", policy.ClientsRead, spec{ID: "c", Tag: "T", Summary: "C"}, handler)
		operation(r, get, "/v1/d", policy.ClientsRead, spec{ID: "c"}, handler)
	})
	for _, text := range []string{"/v1/a names no known permission", "/v1/b names no known permission", "/v1/d lacks an id", "/v1/d: the id c is taken"} {
		require.ErrorContains(t, err, text)
	}
}

func TestFrame_ManyRequestsAtOnce_KeepTheirCallersApart(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	keys := []string{f.keys[policy.RoleOwner], f.newKey(f.other, policy.RoleOwner, nil, nil)}
	names := []string{"Harbour Lane Practice", "Mill Street Practice"}
	var wg sync.WaitGroup
	for i := range 100 {
		wg.Go(func() {
			var p PracticeView
			f.get("/v1/practice", withKey(keys[i%2])).ok(&p)
			require.Equal(t, names[i%2], p.Name)
		})
	}
	wg.Wait()
}
