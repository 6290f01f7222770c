package api

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kept-practice/kept/db"
	"github.com/kept-practice/kept/internal/policy"
)

// setup is a fixture whose first practice has everything that a visit needs, made over HTTP.
type setup struct {
	*fixture
	Location, Provider, Room, Service, Client string
	foreign                                   map[string]string // ids of the other practice by kind
}

func newSetup(t *testing.T) *setup {
	t.Helper()
	s := &setup{fixture: newFixture(t), foreign: map[string]string{}}
	s.Location, s.Client = ID[locationKind](s.own.Location).String(), ID[clientKind](s.own.Client).String()
	s.Provider, s.Room, s.Service = s.furnish(s.Location)
	other := &setup{fixture: &fixture{
		t: t, server: s.server, store: s.store, keys: map[policy.Role]string{policy.RoleOwner: s.newKey(s.other, policy.RoleOwner, nil, nil)},
	}}
	s.foreign["loc"], s.foreign["cli"] = ID[locationKind](s.other.Location).String(), ID[clientKind](s.other.Client).String()
	s.foreign["stf"] = ID[staffKind](s.other.Owner).String()
	s.foreign["prv"], s.foreign["rsc"], s.foreign["svc"] = other.furnish(s.foreign["loc"])
	return s
}

// furnish adds a provider who works all week, a room and a service of half an hour for 80 dollars.
func (s *setup) furnish(location string) (provider, room, service string) {
	s.t.Helper()
	provider = s.post("/v1/providers", `{"name":"Dr. Pat"}`).id()
	room = s.post("/v1/resources", `{"kind":"room","name":"Room 1","location_id":"`+location+`"}`).id()
	for day := range 7 {
		s.post("/v1/shifts", fmt.Sprintf(`{"provider_id":%q,"location_id":%q,"weekday":%d,"start_minute":540,"end_minute":1020}`, provider, location, day)).ok(&map[string]any{})
	}
	service = s.post("/v1/services", fmt.Sprintf(
		`{"name":"Check-up","duration_minutes":30,"price":{"amount":8000,"currency":"USD"},"provider_ids":[%q],"resource_ids":[%q]}`, provider, room)).id()
	return provider, room, service
}

func (f *fixture) post(target, body string, options ...option) answer {
	f.t.Helper()
	return f.send(http.MethodPost, target, body, options...)
}

func (f *fixture) patch(target, body string, options ...option) answer {
	f.t.Helper()
	return f.send(http.MethodPatch, target, body, options...)
}

func (f *fixture) put(target, body string, options ...option) answer {
	f.t.Helper()
	return f.send(http.MethodPut, target, body, options...)
}

// value reads one field of a reply: "data.0.id".
func (a answer) value(path string) any {
	a.t.Helper()
	require.Less(a.t, a.Status, 300, a.Body)
	var v any
	require.NoError(a.t, json.Unmarshal([]byte(a.Body), &v))
	for _, name := range strings.Split(path, ".") {
		switch at := v.(type) {
		case map[string]any:
			v = at[name]
		case []any:
			var i int
			_, err := fmt.Sscan(name, &i)
			require.NoError(a.t, err)
			require.Less(a.t, i, len(at), a.Body)
			v = at[i]
		default:
			require.Failf(a.t, "no such field", "%s in %s", path, a.Body)
		}
	}
	return v
}

func (a answer) id() string { a.t.Helper(); return a.value("id").(string) }

// visit puts a booked visit into the calendar, some days ahead at ten in the morning, past the booking itself.
func (s *setup) visit(days int) policy.ID {
	s.t.Helper()
	zone, err := policy.LoadZone("America/New_York")
	require.NoError(s.t, err)
	day := time.Now().In(zone).AddDate(0, 0, days)
	starts := time.Date(day.Year(), day.Month(), day.Day(), 10, 0, 0, 0, zone)
	id, cadence, version := db.NewID(), db.NewID(), db.NewID()
	s.exec(`insert into cadences (practice_id, id, kind, name) values ($1, $2, 'journey', 'R') on conflict do nothing`, s.own.ID, cadence)
	s.exec(`insert into cadence_versions (practice_id, id, cadence_id, n, rules) select practice_id, $2, id, (select count(*) + 1 from cadence_versions v where v.cadence_id = c.id), '[]'
		from cadences c where practice_id = $1 and kind = 'journey' and service_id is null and location_id is null`, s.own.ID, version)
	s.exec(`insert into appointments (practice_id, id, client_id, service_id, provider_id, location_id, cadence_version_id, starts_at, ends_at, zone,
		local_start, status, booked_at, changed_at, status_at, source)
		values ($1, $2, $3, $4, $5, $6, $7, $8, $9, 'America/New_York', $10, 'booked', now(), now(), now(), 'api')`,
		s.own.ID, id, s.own.Client, plain[serviceKind](s.t, s.Service), plain[providerKind](s.t, s.Provider), s.own.Location, version,
		starts, starts.Add(30*time.Minute), starts.Format("2006-01-02T15:04"))
	return id
}

func plain[K Kind](t *testing.T, text string) policy.ID {
	t.Helper()
	var id ID[K]
	require.NoError(t, id.UnmarshalText([]byte(text)))
	return policy.ID(id)
}

// journalled counts what has been written; a refused request adds nothing to it but the note that it was refused.
func (f *fixture) journalled() string {
	f.t.Helper()
	return f.texts("select count(*)::text from journal where verb <> 'unknown_id_refused'")[0]
}
