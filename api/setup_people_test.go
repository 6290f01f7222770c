package api

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kept-practice/kept/internal/policy"
)

// badInput is a write that must be refused with a documented answer, and nothing written.
type badInput struct {
	method, path, body string
	status             int
	code, pointer      string
}

// refuseAll sends each and asks that the journal has not grown.
func (s *setup) refuseAll(cases []badInput) {
	s.t.Helper()
	before := s.journalled()
	for _, c := range cases {
		a := s.send(c.method, c.path, c.body)
		if c.code == "" { // any code, at the pointer
			c.code = a.code()
		}
		p := a.refused(c.status, c.code)
		if c.pointer != "" {
			require.Equal(s.t, []string{c.code + " " + c.pointer}, pointers(p), "%s %s", c.path, c.body)
		}
	}
	require.Equal(s.t, before, s.journalled(), "a refused request wrote something")
}

func TestPractice_Patch_ChangesWhatIsGivenAndRefusesAStaleVersion(t *testing.T) {
	t.Parallel()
	s := newSetup(t)
	a := s.patch("/v1/practice", `{"version":1,"phone":"(202) 555-0143"}`, func(r *http.Request) { r.Header.Set("Content-Type", "application/merge-patch+json") })
	require.Equal(t, "+12025550143", a.value("phone"))
	require.Equal(t, "Harbour Lane Practice", a.value("name"))
	s.refuseAll([]badInput{
		{"PATCH", "/v1/practice", `{"version":1,"name":"Other"}`, 409, "stale_version", ""},
		{"PATCH", "/v1/practice", `{"name":"Other"}`, 422, "required", "/version"},
		{"PATCH", "/v1/practice", `{"version":2,"name":null}`, 422, "wrong_type", "/name"},
		{"PATCH", "/v1/practice", `{"version":2,"name":"   "}`, 422, "empty", "/name"},
		{"PATCH", "/v1/practice", `{"version":2,"mail":"a@b.org, c@d.org"}`, 422, "invalid_mail", "/mail"},
		{"PATCH", "/v1/practice", `{"version":2,"phone":"+1 900 555 0199"}`, 422, "invalid_phone", "/phone"},
		{"PATCH", "/v1/practice", `{"version":2,"currency":"EUR"}`, 422, "unknown_field", "/currency"},
		{"PATCH", "/v1/practice", `{"version":2,"mode":"live"}`, 422, "unknown_field", "/mode"},
		{"PATCH", "/v1/practice", `{"version":2,"Name":"x"}`, 422, "unknown_field", "/Name"},
		{"PATCH", "/v1/practice", `{"version":2,"name":"x","name":"y"}`, 400, "duplicate_key", ""},
	})
}

func TestLocations_AreAddedChangedClosedAndBroughtBack(t *testing.T) {
	t.Parallel()
	s := newSetup(t)
	id := s.post("/v1/locations", `{"name":"Quay"}`).id()
	require.Equal(t, "America/New_York", s.get("/v1/locations/"+id).value("zone"))
	require.Equal(t, "Quay 2", s.patch("/v1/locations/"+id, `{"version":1,"name":"Quay 2"}`).value("name"))
	require.NotEmpty(t, s.post("/v1/locations/"+id+"/archive", `{"version":2}`).value("archived_at"))
	require.Nil(t, s.post("/v1/locations/"+id+"/restore", `{"version":3}`).value("archived_at"))
	visit := s.visit(3)
	p := s.post("/v1/locations/"+s.Location+"/archive", `{"version":1}`).refused(409, "location_in_use")
	require.Equal(t, ID[appointmentKind](visit).String(), p.Facts["affected"].([]any)[0].(map[string]any)["appointment_id"])
	s.refuseAll([]badInput{
		{"POST", "/v1/locations", `{"name":"` + strings.Repeat("n", 10_000) + `"}`, 422, "too_long", "/name"},
		{"POST", "/v1/locations", `{"name":"a\u0000b"}`, 422, "control_character", "/name"},
		{"POST", "/v1/locations", `{"name":"a\u202eb"}`, 422, "direction_override", "/name"},
		{"POST", "/v1/locations", `{"name":"Quay","zone":"+02:00"}`, 422, "invalid_zone", "/zone"},
		{"POST", "/v1/locations", `{"name":"Quay","id":"loc_1"}`, 422, "unknown_field", "/id"},
		{"PATCH", "/v1/locations/" + id, `{"version":4,"zone":"UTC"}`, 422, "unknown_field", "/zone"},
		{"PATCH", "/v1/locations/" + id, `{"version":1,"name":"x"}`, 409, "stale_version", ""},
		{"PATCH", "/v1/locations/" + s.foreign["loc"], `{"version":1,"name":"x"}`, 404, "location_not_found", ""},
		{"POST", "/v1/locations/" + s.foreign["loc"] + "/archive", `{"version":1}`, 404, "location_not_found", ""},
	})
}

func TestStaff_TheLastOwnerStays_AndNobodyRaisesARoleAboveTheirOwn(t *testing.T) {
	t.Parallel()
	s := newSetup(t)
	owner := ID[staffKind](s.own.Owner).String()
	manager := withKey(s.newKey(s.own, policy.RoleManager, nil, nil))
	robin := s.post("/v1/staff", `{"name":"Robin","mail":"robin@example.org","role":"front_desk"}`, manager)
	require.Equal(t, http.StatusCreated, robin.Status)
	before := s.journalled()
	s.post("/v1/staff", `{"name":"Eve","mail":"eve@example.org","role":"owner"}`, manager).refused(403, "role_above_own")
	s.patch("/v1/staff/"+robin.id(), `{"version":1,"role":"owner"}`, manager).refused(403, "role_above_own")
	s.patch("/v1/staff/"+owner, `{"version":1,"role":"viewer"}`, manager).refused(403, "role_above_own")
	s.post("/v1/staff/"+owner+"/archive", `{"version":1}`).refused(403, "last_owner")
	s.patch("/v1/staff/"+owner, `{"version":1,"role":"manager"}`).refused(403, "last_owner")
	require.Equal(t, before, s.journalled())

	require.Equal(t, "manager", s.patch("/v1/staff/"+robin.id(), `{"version":1,"role":"manager"}`).value("role"))
	require.NotNil(t, s.post("/v1/staff/"+robin.id()+"/archive", `{"version":2}`).value("archived_at"))
	require.Nil(t, s.post("/v1/staff/"+robin.id()+"/restore", `{"version":3}`).value("archived_at"))
	var all List[StaffView]
	s.get("/v1/staff").ok(&all)
	require.Len(t, all.Data, 2)
	s.refuseAll([]badInput{
		{"POST", "/v1/staff", `{"name":"Eve","mail":"robin@example.org","role":"viewer"}`, 409, "mail_in_use", ""},
		{"POST", "/v1/staff", `{"name":"Eve","mail":"Robin@Example.ORG","role":"viewer"}`, 409, "mail_in_use", ""},
		{"POST", "/v1/staff", `{"name":"Eve","mail":"eve","role":"viewer"}`, 422, "invalid_mail", "/mail"},
		{"POST", "/v1/staff", `{"name":"Eve","mail":"e@example.org\r\nBcc: x@y.org","role":"viewer"}`, 422, "invalid_mail", "/mail"},
		{"POST", "/v1/staff", `{"name":"Eve","mail":"eve@example.org","role":"god"}`, 422, "not_a_choice", "/role"},
		{"PATCH", "/v1/staff/" + s.foreign["stf"], `{"version":1,"name":"x"}`, 404, "staff_not_found", ""},
		{"PATCH", "/v1/staff/" + s.Location, `{"version":1,"name":"x"}`, 404, "wrong_kind_of_id", ""},
	})
	s.get("/v1/staff/"+s.foreign["stf"]).refused(404, "staff_not_found")
}

func TestKeys_RawTextIsShownOnce_AndARevokedKeyEndsAtOnce(t *testing.T) {
	t.Parallel()
	s := newSetup(t)
	made := s.post("/v1/api-keys", `{"name":"Website","role":"front_desk"}`)
	raw := made.value("key").(string)
	require.Regexp(t, `^kept_test_`, raw)
	s.get("/v1/practice", withKey(raw)).ok(&map[string]any{})
	require.NotContains(t, s.get("/v1/api-keys?limit=100").Body+s.log.String(), raw)
	require.Empty(t, s.texts("select table_name from information_schema.tables where table_schema = 'public' and query_to_xml('select * from ' || quote_ident(table_name), true, false, '')::text like '%'||$1||'%'", raw))
	require.NotNil(t, s.post("/v1/api-keys/"+made.id()+"/revoke", "").value("revoked_at"))
	s.get("/v1/practice", withKey(raw)).refused(401, "key_revoked")
	s.post("/v1/api-keys/"+made.id()+"/revoke", "").ok(&map[string]any{}) // its purpose is reached

	before := s.journalled()
	s.post("/v1/api-keys", `{"name":"x","role":"viewer"}`, with("Idempotency-Key", "k")).refused(422, "not_repeatable")
	require.Equal(t, before, s.journalled())
	s.refuseAll([]badInput{
		{"POST", "/v1/api-keys", `{"name":"x","role":"viewer","expires_at":"2020-01-01T00:00:00Z"}`, 422, "in_the_past", "/expires_at"},
		{"POST", "/v1/api-keys", `{"name":"x","role":"viewer","expires_at":"tomorrow"}`, 422, "invalid_time", "/expires_at"},
		{"POST", "/v1/api-keys", `{"name":"x","role":"viewer","staff_id":"` + s.foreign["stf"] + `"}`, 404, "staff_not_found", ""},
		{"POST", "/v1/api-keys", `{"name":"x","role":"viewer","key":"kept_test_x"}`, 422, "unknown_field", "/key"},
		{"POST", "/v1/api-keys/key_" + nobody + "/revoke", "", 404, "api_key_not_found", ""},
	})
}
