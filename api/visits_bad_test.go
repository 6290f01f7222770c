package api

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kept-practice/kept/internal/policy"
)

func TestBook_BadInput_IsRefusedAndWritesNothing(t *testing.T) {
	t.Parallel()
	f := newDayFixture(t)
	foreign := func(table string) string {
		var id policy.ID
		require.NoError(t, f.conn.QueryRow(t.Context(), `select id from `+table+` where practice_id <> $1 limit 1`, f.practice.ID).Scan(&id))
		return encodeID(id)
	}
	nobody := "01k3gq8w5ne7r9vjzt4xhb2mdc"
	f.exec(`insert into clients (practice_id, id, given_name, family_name, status) values ($1, '01890000-0000-7000-8000-000000000001', 'Ann', 'Archived', 'archived')`, f.practice.ID)
	archived := ID[clientKind](policy.MustID("01890000-0000-7000-8000-000000000001")).String()
	f.exec(`insert into closures (practice_id, id, resource_id, during, reason)
		values ($1, gen_random_uuid(), $2, '[2031-03-10 00:00+00,2031-03-12 00:00+00)', 'leave')`, f.practice.ID, f.practice.Providers[0])
	cases := []struct {
		name   string
		body   any
		status int
		code   string
	}{
		{"T start before now by a minute", f.wanted(set("starts_at", "2031-03-03T08:45")), 409, "outside_hours"},
		{"T start in the past", f.wanted(set("starts_at", "2031-02-28T14:00")), 422, "in_the_past"},
		{"T start this very instant", f.wanted(set("starts_at", "2031-03-03T09:00")), 422, "in_the_past"},
		{"T off the grid", f.wanted(set("starts_at", "2031-03-07T14:07")), 422, "off_grid"},
		{"T a second off", f.wanted(set("starts_at", "2031-03-07T14:00:01-05:00")), 422, "off_grid"},
		{"T microseconds", f.wanted(set("starts_at", "2031-03-07T14:00:00.0001-05:00")), 422, "invalid_time"},
		{"T no zone, with seconds", f.wanted(set("starts_at", "2031-03-07T14:00:00")), 422, "invalid_time"},
		{"T words", f.wanted(set("starts_at", "tomorrow at noon")), 422, "invalid_time"},
		{"T empty", f.wanted(set("starts_at", "")), 422, "invalid_time"},
		{"T a number", f.wanted(set("starts_at", 1)), 422, "wrong_type"},
		{"T the 30th of February", f.wanted(set("starts_at", "2031-02-30T10:00")), 422, "invalid_time"},
		{"T year 1999", f.wanted(set("starts_at", "1999-03-07T14:00")), 422, "invalid_time"},
		{"T year 2101", f.wanted(set("starts_at", "2101-03-07T14:00")), 422, "invalid_time"},
		{"T hour 24", f.wanted(set("starts_at", "2031-03-07T24:00")), 422, "invalid_time"},
		{"T skipped by the clock change", f.wanted(set("starts_at", "2031-03-09T02:30")), 422, "skipped_time"},
		{"T twice by the clock change", f.wanted(set("starts_at", "2031-11-02T01:30")), 422, "ambiguous_time"},
		{"T outside hours by a quarter", f.wanted(set("starts_at", "2031-03-07T16:15")), 409, "outside_hours"},
		{"T on a Sunday", f.wanted(set("starts_at", "2031-03-09T14:00")), 409, "outside_hours"},
		{"T beyond the horizon", f.wanted(set("starts_at", "2039-03-08T14:00")), 409, "beyond_horizon"},
		{"T provider on leave", f.wanted(set("starts_at", "2031-03-10T14:00")), 409, "closed"},
		{"T taken", f.wanted(set("starts_at", "2031-03-06T10:00")), 409, "slot_taken"},
		{"T overlapping", f.wanted(set("starts_at", "2031-03-06T10:30")), 409, "slot_taken"},
		{"I foreign client", f.wanted(set("client_id", "cli_"+nobody)), 404, "client_not_found"},
		{"I foreign service", f.wanted(set("service_id", "svc_"+foreign("services"))), 404, "service_not_found"},
		{"I foreign provider", f.wanted(set("provider_id", "prv_"+foreign("resources"))), 404, "provider_not_found"},
		{"I foreign location", f.wanted(set("location_id", "loc_"+foreign("locations"))), 404, "location_not_found"},
		{"I archived client", f.wanted(set("client_id", archived)), 404, "client_not_found"},
		{"I unknown hold", f.wanted(set("hold_id", "hld_"+nobody)), 404, "hold_not_found"},
		{"I another kind", f.wanted(set("client_id", "apt_"+nobody)), 404, "wrong_kind_of_id"},
		{"I malformed", f.wanted(set("client_id", "cli_../../etc/passwd")), 422, "invalid_id"},
		{"I a plain UUID", f.wanted(set("client_id", f.client.String())), 422, "invalid_id"},
		{"I empty", f.wanted(set("client_id", "")), 422, "invalid_id"},
		{"I upper case", f.wanted(set("client_id", strings.ToUpper(ID[clientKind](f.client).String()))), 422, "invalid_id"},
		{"H null", f.wanted(set("client_id", nil)), 422, "wrong_type"},
		{"H a list", f.wanted(set("client_id", []string{})), 422, "wrong_type"},
		{"H extra price", f.wanted(set("price", 0)), 422, "unknown_field"},
		{"H extra status", f.wanted(set("status", "completed")), 422, "unknown_field"},
		{"H extra practice", f.wanted(set("practice_id", "prc_"+nobody)), 422, "unknown_field"},
		{"H extra id", f.wanted(set("id", "apt_"+nobody)), 422, "unknown_field"},
		{"H no field", "{}", 422, "invalid_request"},
		{"H no body", "", 400, "empty_body"},
		{"H not JSON", "starts_at=now", 400, "malformed_json"},
		{"H two values", "{}{}", 400, "malformed_json"},
		{"H override as a text", f.wanted(set("override", "true")), 422, "wrong_type"},
	}
	before := f.facts()
	for _, c := range cases {
		a := f.say("/v1/appointments", c.body)
		require.Equal(t, c.status, a.Status, "%s: %s", c.name, a.Body)
		require.Equal(t, c.code, a.code(), c.name)
		a.refused(c.status, c.code)
	}
	require.Equal(t, before, f.facts())
	t.Logf("%d bad bookings", len(cases))
	f.say("/v1/appointments", f.wanted()).ok(&BookedView{})
}

func TestVisit_BadChanges_AreRefusedAndWriteNothing(t *testing.T) {
	t.Parallel()
	f := newDayFixture(t)
	before := f.facts()
	nobody := "/v1/appointments/apt_01k3gq8w5ne7r9vjzt4xhb2mdc"
	for _, c := range []struct {
		path, body string
		status     int
		code       string
	}{
		{f.visitPath("/cancel"), `{}`, 422, "required"},
		{f.visitPath("/cancel"), `{"reason":""}`, 422, "too_short"},
		{f.visitPath("/cancel"), `{"reason":"\u202e"}`, 422, "direction_override"},
		{f.visitPath("/cancel"), `{"reason":"` + strings.Repeat("x", 501) + `"}`, 422, "too_long"},
		{f.visitPath("/cancel"), `{"reason":"x","version":9}`, 409, "stale_version"},
		{f.visitPath("/cancel"), `{"reason":"x","version":-1}`, 422, "out_of_range"},
		{f.visitPath("/cancel"), `{"reason":"x","version":1e30}`, 422, "wrong_type"},
		{f.visitPath("/cancel"), `{"reason":"x","fee":0}`, 422, "unknown_field"},
		{f.visitPath("/cancel"), ``, 400, "empty_body"},
		{nobody + "/cancel", `{"reason":"x"}`, 404, "appointment_not_found"},
		{nobody + "/confirm", ``, 404, "appointment_not_found"},
		{nobody + "/undo", ``, 404, "appointment_not_found"},
		{nobody + "/move", `{"starts_at":"2031-03-07T14:00"}`, 404, "appointment_not_found"},
		{"/v1/appointments/" + ID[clientKind](f.client).String() + "/confirm", ``, 404, "wrong_kind_of_id"},
		{"/v1/appointments/x/confirm", ``, 422, "invalid_id"},
		{f.visitPath("/confirm"), `[]`, 422, "wrong_type"},
		{f.visitPath("/confirm"), `{"status":"completed"}`, 422, "unknown_field"},
		{f.visitPath("/room"), ``, 409, "illegal_status"},
		{f.visitPath("/undo"), ``, 409, "nothing_to_undo"},
		{f.visitPath("/move"), `{}`, 422, "required"},
		{f.visitPath("/move"), `{"starts_at":"2031-03-09T02:30"}`, 422, "skipped_time"},
		{f.visitPath("/move"), `{"starts_at":"2031-02-28T10:00"}`, 422, "in_the_past"},
		{f.visitPath("/move"), `{"starts_at":"2031-03-07T10:01"}`, 422, "off_grid"},
		{f.visitPath("/move"), `{"starts_at":"2031-03-07T19:00"}`, 409, "outside_hours"},
		{f.visitPath("/move"), `{"starts_at":"2031-03-07T10:00","version":2}`, 409, "stale_version"},
		{f.visitPath("/move"), `{"starts_at":"2031-03-07T10:00","provider_id":"prv_01k3gq8w5ne7r9vjzt4xhb2mdc"}`, 404, "provider_not_found"},
		{f.visitPath("/move"), `{"starts_at":"2031-03-07T10:00","service_id":"svc_01k3gq8w5ne7r9vjzt4xhb2mdc"}`, 422, "unknown_field"},
	} {
		a := f.say(c.path, c.body)
		require.Equal(t, c.status, a.Status, "%s %s: %s", c.path, c.body, a.Body)
		require.Equal(t, c.code, a.code(), "%s %s", c.path, c.body)
	}
	for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodPut, http.MethodDelete, http.MethodOptions} {
		a := f.ask(method, f.visitPath("/confirm"), nil, with("X-HTTP-Method-Override", "POST"))
		require.Equal(t, http.StatusMethodNotAllowed, a.Status, method)
	}
	for _, query := range []string{
		"sort=name;drop", "order_by=(select%201)", "limit=0", "limit=101", "limit=x", "status=gone", "from_at=now", "from_at=2031-03-07T14:00",
		"starting_after=cli_x", "status=booked&status=booked",
	} {
		a := f.read("/v1/appointments?" + query)
		require.Contains(t, []int{400, 422}, a.Status, query)
	}
	require.Equal(t, before, f.facts())
}
