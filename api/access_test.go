package api

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kept-practice/kept/db"
	"github.com/kept-practice/kept/internal/desk"
	"github.com/kept-practice/kept/internal/policy"
)

func TestAccess_WithoutAGoodKey_Is401(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	good := f.keys[policy.RoleOwner]
	unknown := desk.NewKey(desk.ModeTest)
	header := func(values ...string) option { return func(r *http.Request) { r.Header["Authorization"] = values } }
	require.Equal(t, `Bearer realm="kept"`, f.get("/v1/practice", header()).Header.Get("WWW-Authenticate"))
	f.get("/v1/practice", header()).refused(401, "missing_key")
	for _, value := range []string{
		"", "Bearer", "Bearer ", good, "Basic " + good, "Bearer " + good + " x", "Bearer " + good[:len(good)-1], "Bearer " + strings.ToUpper(good),
		"Bearer " + unknown.Text, "Bearer " + strings.Replace(good, "test", "live", 1), "Bearer kept_test_", "Bearer " + strings.Repeat("a", 5000),
	} {
		f.get("/v1/practice", header(value)).refused(401, "invalid_key")
	}
	f.get("/v1/practice", header("Bearer "+good, "Bearer "+good)).refused(401, "invalid_key")
	f.get("/v1/practice", header("bearer "+good)).ok(&map[string]any{})
}

func TestAccess_RevokedExpiredOrLeft_Is401AtOnce(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	f := newFixture(t)
	soon, past := time.Now().Add(time.Hour), time.Now().Add(-time.Second)
	f.get("/v1/practice", withKey(f.newKey(f.own, policy.RoleOwner, nil, &soon))).ok(&map[string]any{})
	f.get("/v1/practice", withKey(f.newKey(f.own, policy.RoleOwner, nil, &past))).refused(401, "key_expired")

	key := f.newKey(f.own, policy.RoleOwner, nil, nil)
	f.get("/v1/practice", withKey(key)).ok(&map[string]any{})
	row, err := f.store.In(f.own.ID).APIKeyByHash(ctx, f.own.ID, desk.HashKey(key))
	require.NoError(t, err)
	n, err := f.store.In(f.own.ID).APIKeyRevoke(ctx, f.own.ID, row.ID)
	require.NoError(t, err)
	require.EqualValues(t, 1, n)
	f.get("/v1/practice", withKey(key)).refused(401, "key_revoked")

	theirs := f.newKey(f.own, policy.RoleOwner, &f.own.Owner, nil)
	f.get("/v1/practice", withKey(theirs)).ok(&map[string]any{})
	f.exec("update staff set archived_at = now() where id = $1", f.own.Owner)
	f.get("/v1/practice", withKey(theirs)).refused(401, "key_revoked")
}

func TestAccess_KeyInTheURL_IsRefusedWhateverElseIsSent(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	key := f.keys[policy.RoleOwner]
	for _, target := range []string{"/v1/practice?api_key=" + key, "/v1/practice?" + key, "/v1/clients/" + key, "/" + key} {
		a := f.get(target)
		a.refused(401, "key_in_url")
		require.NotContains(t, a.Body+f.log.String(), key)
	}
}

func TestAccess_EveryRoleAndOperation_FollowsTheTable(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	cells := 0
	for _, o := range f.server.Operations() {
		require.NotContains(t, fillPath(o.Path), "{", "say in pathIDs which ids this path takes")
		for _, role := range policy.AllRoles() {
			_, allowed := policy.Allowed(role, o.Permission)
			a := f.send(o.Method, fillPath(o.Path), bodyFor(o), withKey(f.keys[role]))
			if allowed {
				require.NotContains(t, []int{401, 403, 500}, a.Status, "%s %s as %s: %s", o.Method, o.Path, role, a.Body)
			} else {
				a.refused(http.StatusForbidden, "not_permitted")
			}
			cells++
		}
	}
	require.Equal(t, len(f.server.Operations())*len(policy.AllRoles()), cells)
	t.Logf("%d cells", cells)
}

// fillPath puts well-formed ids of nobody into a path.
func fillPath(path string) string {
	for collection, prefix := range pathIDs {
		path = strings.Replace(path, "/"+collection+"/{id}", "/"+collection+"/"+prefix+nobody, 1)
	}
	return strings.NewReplacer("{contact_point_id}", "cpt_"+nobody, "{key}", "grace_minutes", "{term}", "client", "{channel}", "sms").Replace(path)
}

const nobody = "01k3gq8w5ne7r9vjzt4xhb2mdc"

// pathIDs says which kind of id stands in the paths of a collection.
var pathIDs = map[string]string{
	"api-keys": "key_", "appointments": "apt_", "cadence-versions": "cdv_", "cadences": "cad_", "clients": "cli_", "closures": "clo_", "holds": "hld_",
	"invoices": "inv_", "journeys": "jrn_", "locations": "loc_", "messages": "msg_", "packets": "pkt_", "payments": "pay_", "probe": "apt_",
	"providers": "prv_", "recalls": "rcl_", "resources": "rsc_", "services": "svc_", "shifts": "shf_", "staff": "stf_", "tasks": "tsk_",
}

func bodyFor(o Operation) string {
	if o.Method == http.MethodGet || o.Method == http.MethodDelete || strings.HasSuffix(o.Path, "/act") {
		return ""
	}
	return "{}"
}

func TestAccess_ForeignIds_Are404LikeUnknownOnes(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for foreign, own := range map[string]string{
		"/v1/clients/" + ID[clientKind](f.other.Client).String():       "/v1/clients/" + ID[clientKind](f.own.Client).String(),
		"/v1/locations/" + ID[locationKind](f.other.Location).String(): "/v1/locations/" + ID[locationKind](f.own.Location).String(),
	} {
		f.get(own).ok(&map[string]any{})
		theirs, nobodys := f.get(foreign), f.get(fillPath(foreign[:strings.LastIndex(foreign, "/")]+"/{id}"))
		p, q := theirs.refused(404, theirs.code()), nobodys.refused(404, theirs.code())
		require.Equal(t, q.Detail, p.Detail)
	}
	for _, list := range []string{"/v1/clients", "/v1/locations"} {
		for _, role := range policy.AllRoles() {
			a := f.get(list, withKey(f.keys[role]))
			require.NotContains(t, a.Body, encodeID(f.other.Client))
			require.NotContains(t, a.Body, encodeID(f.other.Location))
		}
	}
	f.get("/v1/clients?starting_after=" + ID[clientKind](f.other.Client).String()).ok(&map[string]any{})
}

func TestAccess_Provider_SeesTheClientsOfTheirOwnVisitsOnly(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	staff, provider, stranger := db.NewID(), db.NewID(), db.NewID()
	f.exec("insert into staff (practice_id, id, name, mail, role) values ($1, $2, 'Pat', 'pat@example.org', 'provider')", f.own.ID, staff)
	f.exec("insert into resources (practice_id, id, kind, name, staff_id) values ($1, $2, 'provider', 'Pat', $3)", f.own.ID, provider, staff)
	f.exec("insert into clients (practice_id, id, given_name, family_name) values ($1, $2, 'Sam', 'Stranger')", f.own.ID, stranger)
	service, cadence, version := db.NewID(), db.NewID(), db.NewID()
	f.exec("insert into services (practice_id, id, name, duration_minutes) values ($1, $2, 'Visit', 30)", f.own.ID, service)
	f.exec("insert into cadences (practice_id, id, kind, name) values ($1, $2, 'journey', 'R')", f.own.ID, cadence)
	f.exec("insert into cadence_versions (practice_id, id, cadence_id, n, rules) values ($1, $2, $3, 1, '[]')", f.own.ID, version, cadence)
	f.exec(`insert into appointments (practice_id, id, client_id, service_id, provider_id, location_id, cadence_version_id, starts_at, ends_at, zone,
		local_start, status, booked_at, changed_at, status_at, source)
		values ($1, $2, $3, $4, $5, $6, $7, now(), now() + interval '1 hour', 'UTC', '2026-01-05T09:00', 'booked', now(), now(), now(), 'api')`,
		f.own.ID, db.NewID(), f.own.Client, service, provider, f.own.Location, version)

	own, other := "/v1/clients/"+ID[clientKind](f.own.Client).String(), "/v1/clients/"+ID[clientKind](stranger).String()
	var page List[ClientView]
	pats := withKey(f.newKey(f.own, policy.RoleProvider, &staff, nil))
	f.get("/v1/clients", pats).ok(&page)
	require.Len(t, page.Data, 1)
	f.get(own, pats).ok(&map[string]any{})
	f.get(other, pats).refused(404, "client_not_found")

	nobodys := withKey(f.keys[policy.RoleProvider]) // a provider's key that belongs to no person reaches nothing
	f.get("/v1/clients", nobodys).ok(&page)
	require.Empty(t, page.Data)
	f.get(own, nobodys).refused(404, "client_not_found")
	f.get(other).ok(&map[string]any{})
}

func TestAccess_ReadingClients_IsInTheJournal(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	a := f.get("/v1/clients/" + ID[clientKind](f.own.Client).String()).ok(&map[string]any{})
	b := f.get("/v1/clients").ok(&map[string]any{})
	f.get("/v1/clients/"+ID[clientKind](f.other.Client).String()).refused(404, "client_not_found")
	require.Equal(t, []string{
		"client_read " + a.Header.Get("Request-Id") + " " + f.own.Client.String(),
		"clients_listed " + b.Header.Get("Request-Id") + " " + ID[clientKind](f.own.Client).String(),
	}, f.texts(`select verb || ' ' || request_id || ' ' || coalesce(object_id::text, after->'clients'->>0) from journal
		where actor_kind = 'key' and actor_id is not null order by seq`))
}

func TestAccess_KeyUse_IsNotedOnceAMinute(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for range 5 {
		f.get("/v1/practice").ok(&map[string]any{})
	}
	f.server.Close()
	require.Equal(t, []string{"owner"}, f.texts("select role from api_keys where last_used_at is not null"))
	f.get("/v1/practice").ok(&map[string]any{}) // after Close a use is not noted, and nothing breaks
}

func TestAccess_TooManyRequestsOfOneKey_Are429AndOthersGoOn(t *testing.T) {
	t.Parallel()
	f := newFixture(t, func(d *Deps) { d.RatePerSecond, d.RateBurst = 0.5, 3 })
	for left := 2; left >= 0; left-- {
		a := f.get("/v1/practice")
		require.Equal(t, http.StatusOK, a.Status)
		require.Equal(t, `"key";q=3;w=6`, a.Header.Get("RateLimit-Policy"))
		require.Contains(t, a.Header.Get("RateLimit"), `"key";r=`+string(rune('0'+left)))
	}
	a := f.get("/v1/practice")
	a.refused(http.StatusTooManyRequests, "rate_limited")
	require.Equal(t, "2", a.Header.Get("Retry-After"))
	f.get("/v1/practice", withKey(f.keys[policy.RoleViewer])).ok(&map[string]any{})
}
