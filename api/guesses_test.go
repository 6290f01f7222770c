package api

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kept-practice/kept/db"
)

// from asks from an address.
func from(address string) option { return func(r *http.Request) { r.RemoteAddr = address + ":1" } }

// twin is another process of the same installation.
func (f *fixture) twin() *fixture {
	f.t.Helper()
	deps := f.server.deps
	deps.Metrics = nil
	server, err := New(deps)
	require.NoError(f.t, err)
	f.t.Cleanup(server.Close)
	return &fixture{t: f.t, server: server, store: f.store, own: f.own, other: f.other, keys: f.keys, log: f.log, waker: f.waker}
}

func unknownClient() string { return "/v1/clients/" + ID[clientKind](db.NewID()).String() }

func TestIDs_BADI1_ForeignOnesInAWrite_Are404WithAnEntryInTheCallersJournal(t *testing.T) {
	t.Parallel()
	s := newSetup(t)
	booking := func(change, value string) string {
		ids := map[string]string{"client_id": s.Client, "service_id": s.Service, "provider_id": s.Provider, "location_id": s.Location}
		ids[change] = value
		fields := []string{`"starts_at":"2031-03-07T14:00"`}
		for name, id := range ids {
			fields = append(fields, fmt.Sprintf("%q:%q", name, id))
		}
		return "{" + strings.Join(fields, ",") + "}"
	}
	for field, kind := range map[string]string{"client_id": "cli", "service_id": "svc", "provider_id": "prv", "location_id": "loc"} {
		noun := strings.TrimSuffix(field, "_id")
		s.post("/v1/appointments", booking(field, s.foreign[kind])).refused(404, noun+"_not_found")
		require.Equal(t, []string{s.own.ID.String() + ` {"operation": "POST /v1/appointments"}`},
			s.texts(`select practice_id || ' ' || after::text from journal where verb = 'unknown_id_refused' and object_kind = '`+noun+`'`), field)
	}
	s.patch("/v1/resources/"+s.foreign["rsc"], `{"version":1,"name":"Mine"}`).refused(404, "resource_not_found")
	require.Equal(t, []string{"5"}, s.texts(`select count(*)::text from journal where verb = 'unknown_id_refused'`))
	s.get("/v1/clients/"+s.foreign["cli"]).refused(404, "client_not_found")
	require.Equal(t, []string{"5"}, s.texts(`select count(*)::text from journal where verb = 'unknown_id_refused'`), "looking leaves no entry")
	require.Empty(t, s.texts(`select 'x' from journal where practice_id = '`+s.other.ID.String()+`' and verb like 'unknown_%'`), "theirs says nothing")
}

func TestIDs_BADI3_TenThousandFromOneAddress_404Then429AndOneEntry_HoweverManyProcesses(t *testing.T) {
	t.Parallel()
	one := newFixture(t)
	two := one.twin()
	statuses, wait := map[int]int{}, ""
	var mu sync.Mutex
	var all sync.WaitGroup
	for worker := range 8 {
		f := []*fixture{one, two}[worker%2]
		all.Go(func() {
			for i := range 1250 {
				a := f.send([]string{http.MethodGet, http.MethodPatch}[i%2], unknownClient(), []string{"", `{"version":1}`}[i%2], from(fmt.Sprintf("198.51.100.%d", i%200)))
				mu.Lock()
				if statuses[a.Status]++; a.Status == http.StatusTooManyRequests {
					wait = a.Header.Get("Retry-After")
				}
				mu.Unlock()
			}
		})
	}
	all.Wait()
	require.Equal(t, 10_000, statuses[404]+statuses[429], "%v", statuses)
	require.Equal(t, 100, statuses[404], "counted together")
	require.Regexp(t, `^[1-9]\d?$`, wait)
	require.Equal(t, []string{"1"}, one.texts(`select count(*)::text from journal where verb = 'unknown_ids_refused'`))
	require.LessOrEqual(t, len(one.texts(`select 'x' from journal where verb = 'unknown_id_refused'`)), entriesPerWindow)
	require.Equal(t, []string{"few"}, one.texts(`select case when misses <= 100 + 8 then 'few' else misses::text end from guesses where kind = 'id'`),
		"over the limit nothing is written but what was on its way")

	one.get("/v1/locations", from("198.51.100.7")).ok(&map[string]any{})
	one.get(unknownClient(), from("203.0.113.7")).refused(404, "client_not_found")
	other := withKey(one.newKey(one.other, "owner", nil, nil))
	one.get(unknownClient(), from("198.51.100.7"), other).refused(404, "client_not_found")
	one.exec(`update guesses set ends_at = now()`)
	two.server.ids.refuse(one.own.ID.String()+" 198.51.100.0/24", time.Now())
	two.get(unknownClient(), from("198.51.100.7")).refused(404, "client_not_found")
}

func TestKeys_GuessedAtSeveralProcesses_AreCountedTogether(t *testing.T) {
	t.Parallel()
	one := newFixture(t)
	two := one.twin()
	guess := func(f *fixture, i int) answer {
		return f.get("/v1/locations", from("198.51.100.9"), withKey(fmt.Sprintf("kept_test_%052d", i)))
	}
	for i := range 15 {
		guess(one, i).refused(401, "invalid_key")
		guess(two, i).refused(401, "invalid_key")
	}
	a := guess(one, 99)
	a.refused(429, "too_many_failures")
	require.NotEmpty(t, a.Header.Get("Retry-After"))
	guess(two, 99).refused(429, "too_many_failures")
	one.get("/v1/locations", from("198.51.100.9")).ok(&map[string]any{})
}

func TestGuesses_HappyPath_WritesNothing_AndOldCountsGo(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.get("/v1/locations").ok(&map[string]any{})
	require.Empty(t, f.texts(`select kind from guesses`))
	f.get(unknownClient()).refused(404, "client_not_found")
	f.exec(`update guesses set ends_at = now() - interval '1 second'`)
	f.get(unknownClient()).refused(404, "client_not_found")
	require.Equal(t, []string{"1"}, f.texts(`select misses::text from guesses`), "a new window")
	f.exec(`update guesses set ends_at = now() - interval '1 second'`)
	n, err := f.store.System().GuessesSweep(context.Background())
	require.NoError(t, err)
	require.EqualValues(t, 1, n)
}

func TestGuesses_CountingFails_NobodyIsRefusedAndTheLogSaysSo(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.exec(`alter table guesses rename to gone`)
	for range 150 {
		f.get(unknownClient()).refused(404, "client_not_found")
	}
	require.Equal(t, 1, strings.Count(f.log.String(), "guesses are not counted"))
}
