package api

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/kept-practice/kept/db"
	"github.com/kept-practice/kept/internal/desk"
	"github.com/kept-practice/kept/internal/policy"
	"github.com/kept-practice/kept/internal/proof"
)

// fixture is an API over a database with two practices; keys are those of the first, by role.
type fixture struct {
	t      *testing.T
	server *Server
	store  *db.Store
	own    proof.Practice
	other  proof.Practice
	keys   map[policy.Role]string
	log    *lockedBuffer
	waker  *recordingWaker
	runs   atomic.Int64 // times the probe was carried out
	probe  func(context.Context, *probeInput) error
}

type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

type recordingWaker struct {
	mu    sync.Mutex
	rings []policy.Subject
}

func (w *recordingWaker) Ring(subjects ...policy.Subject) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.rings = append(w.rings, subjects...)
}

// probeInput stands for every operation that takes a body.
type probeInput struct {
	ID   ID[appointmentKind] `path:"id"`
	Body struct {
		Name     string         `json:"name" minLength:"1" maxLength:"40"`
		ClientID ID[clientKind] `json:"client_id,omitempty"`
		Count    int32          `json:"count,omitempty" minimum:"0" maximum:"1000000000000"`
		Large    int64          `json:"large,omitempty"`
		Tick     bool           `json:"tick,omitempty"`
		Note     *string        `json:"note,omitempty" nullable:"true"`
		Lines    []probeLine    `json:"lines,omitempty"`
		Choice   string         `json:"choice,omitempty" enum:"one,two"`
	}
}

type probeLine struct {
	Amount Money              `json:"amount"`
	On     policy.LocalDate   `json:"on" format:"date"`
	Until  *policy.LocalDate  `json:"until,omitempty" format:"date"`
	Tags   []string           `json:"tags,omitempty" maxItems:"2"`
	More   *map[string]string `json:"more,omitempty"`
}

type probeQuery struct {
	Page[clientKind]
	Tick bool   `query:"tick"`
	Text string `query:"text"`
}

func newFixture(t *testing.T, change ...func(*Deps)) *fixture {
	t.Helper()
	f := &fixture{t: t, store: proof.NewStore(t), keys: map[policy.Role]string{}, log: &lockedBuffer{}, waker: &recordingWaker{}}
	f.own, f.other = proof.TwoPractices(t, f.store)
	f.probe = func(context.Context, *probeInput) error { return nil }
	deps := Deps{Store: f.store, Waker: f.waker, BaseURL: "https://kept.example.org", Logger: slog.New(slog.NewJSONHandler(f.log, nil))}
	for _, c := range change {
		c(&deps)
	}
	var err error
	f.server, err = build(deps, func(s *Server, r *operations) {
		s.routes(r)
		operation(r, post, "/v1/probe/{id}", policy.ClientsWrite, spec{ID: "probe", Tag: "Probe", Summary: "Probe", Status: http.StatusCreated},
			func(ctx context.Context, in *probeInput) (*reply[map[string]int64], error) {
				run := f.runs.Add(1)
				return &reply[map[string]int64]{Body: map[string]int64{"run": run}}, f.probe(ctx, in)
			})
		operation(r, post, "/v1/probe/{id}/act", policy.ClientsWrite, spec{ID: "act-probe", Tag: "Probe", Summary: "Act without a body"},
			func(context.Context, *byID[appointmentKind]) (*reply[map[string]int64], error) {
				return &reply[map[string]int64]{Body: map[string]int64{"run": f.runs.Add(1)}}, nil
			})
		operation(r, get, "/v1/probe", policy.ClientsRead, spec{ID: "list-probe", Tag: "Probe", Summary: "List"},
			func(_ context.Context, in *probeQuery) (*reply[map[string]int], error) {
				return &reply[map[string]int]{Body: map[string]int{"limit": in.Limit}}, nil
			})
	})
	require.NoError(t, err)
	t.Cleanup(f.server.Close)
	for _, role := range policy.AllRoles() {
		f.keys[role] = f.newKey(f.own, role, nil, nil)
	}
	return f
}

func (f *fixture) newKey(p proof.Practice, role policy.Role, staff *policy.ID, expires *time.Time) string {
	f.t.Helper()
	key := desk.NewKey(desk.ModeTest)
	require.NoError(f.t, f.store.In(p.ID).APIKeyInsert(context.Background(), db.APIKeyInsertParams{
		PracticeID: p.ID, ID: db.NewID(), Name: string(role), Role: string(role), StaffID: staff, Hash: key.Hash, Last4: key.Last4, ExpiresAt: expires,
	}))
	return key.Text
}

// answer is a reply as the caller got it.
type answer struct {
	t      *testing.T
	Status int
	Header http.Header
	Body   string
}

type option func(*http.Request)

func with(name, value string) option { return func(r *http.Request) { r.Header.Add(name, value) } }

func withKey(key string) option {
	return func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+key) }
}

// send asks as the owner of the first practice, with a JSON body when there is one.
func (f *fixture) send(method, target, body string, options ...option) answer {
	f.t.Helper()
	var reader io.Reader
	if body != "" {
		reader = strings.NewReader(body)
	}
	r := httptest.NewRequest(method, target, reader)
	r.Header.Set("Authorization", "Bearer "+f.keys[policy.RoleOwner])
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for _, o := range options {
		o(r)
	}
	w := httptest.NewRecorder()
	f.server.ServeHTTP(w, r)
	return answer{t: f.t, Status: w.Code, Header: w.Header(), Body: w.Body.String()}
}

func (f *fixture) get(target string, options ...option) answer {
	f.t.Helper()
	return f.send(http.MethodGet, target, "", options...)
}

const probeID = "apt_01k3gq8w5ne7r9vjzt4xhb2mdc"

func (f *fixture) postProbe(body string, options ...option) answer {
	f.t.Helper()
	return f.send(http.MethodPost, "/v1/probe/"+probeID, body, options...)
}

func (a answer) ok(into any) answer {
	a.t.Helper()
	require.Less(a.t, a.Status, 300, a.Body)
	require.NoError(a.t, json.Unmarshal([]byte(a.Body), into))
	return a
}

// refused asks for a whole problem with the status and the code.
func (a answer) refused(status int, code string) Problem {
	a.t.Helper()
	require.Equal(a.t, status, a.Status, a.Body)
	require.Equal(a.t, "application/problem+json", a.Header.Get("Content-Type"), a.Body)
	var p Problem
	dec := json.NewDecoder(strings.NewReader(a.Body))
	dec.DisallowUnknownFields()
	require.NoError(a.t, dec.Decode(&p), a.Body)
	require.Equal(a.t, code, p.Code, a.Body)
	require.Equal(a.t, status, p.Status)
	require.NotEmpty(a.t, p.Title)
	require.NotEmpty(a.t, p.Detail)
	require.Equal(a.t, "https://kept.example.org/docs/errors#"+code, p.Type)
	require.Equal(a.t, p.Type, p.DocURL)
	require.Equal(a.t, a.Header.Get("Request-Id"), p.RequestID)
	require.Equal(a.t, "urn:kept:request:"+p.RequestID, p.Instance)
	return p
}

func pointers(p Problem) []string {
	out := []string{}
	for _, e := range p.Errors {
		out = append(out, e.Code+" "+e.Pointer)
	}
	return out
}

func (a answer) code() string {
	a.t.Helper()
	var p Problem
	require.NoError(a.t, json.Unmarshal([]byte(a.Body), &p), a.Body)
	return p.Code
}

// exec and texts work past row-level security.
func (f *fixture) exec(sql string, args ...any) {
	f.t.Helper()
	_, err := proof.Connect(f.t, f.store).Exec(context.Background(), sql, args...)
	require.NoError(f.t, err)
}

func (f *fixture) texts(sql string, args ...any) []string {
	f.t.Helper()
	rows, err := proof.Connect(f.t, f.store).Query(context.Background(), sql, args...)
	require.NoError(f.t, err)
	out, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(f.t, err)
	return out
}
