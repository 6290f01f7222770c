package api

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kept-practice/kept/db"
	"github.com/kept-practice/kept/internal/policy"
)

func TestClients_AreAddedChangedPutAsideAndErased(t *testing.T) {
	t.Parallel()
	s := newSetup(t)
	a := s.post("/v1/clients", `{"given_name":"María José","family_name":"O'Neill-López","birthday_on":"1984-02-29","mail":"Maria@Example.org","phone":"(202) 555-0123","prefers":"sms"}`)
	require.Equal(t, http.StatusCreated, a.Status)
	require.Equal(t, "María José", a.value("given_name"))
	require.Equal(t, "+12025550123", a.value("contact_points.1.address"))
	path := "/v1/clients/" + a.id()
	a = s.patch(path, `{"version":1,"birthday_on":null,"zone":"Europe/Madrid"}`)
	require.Nil(t, a.value("birthday_on"))
	require.Equal(t, "Europe/Madrid", a.value("zone"))
	a = s.patch(path, `{"version":2,"zone":null}`)
	require.Nil(t, a.value("zone"))
	require.Equal(t, "sms", a.value("prefers"))
	require.Equal(t, "archived", s.post(path+"/archive", `{"version":3}`).value("status"))
	require.Equal(t, "active", s.patch(path, `{"version":4,"status":"active"}`).value("status"))
	require.Equal(t, http.StatusNoContent, s.post(path+"/erase", `{"version":5,"reason":"Asked for in writing."}`).Status)
	s.get(path).refused(404, "client_not_found")
	s.patch(path, `{"version":6,"given_name":"x"}`).refused(404, "client_not_found")
	require.Empty(t, s.texts("select id::text from contact_points where shown ilike 'maria@%' or address ilike 'maria@%'"))
}

func TestClients_WithAVisitAhead_AreNeitherPutAsideNorErased(t *testing.T) {
	t.Parallel()
	s := newSetup(t)
	visit := s.visit(3)
	for _, c := range []badInput{
		{"POST", "/v1/clients/" + s.Client + "/archive", `{"version":1}`, 409, "client_in_use", ""},
		{"POST", "/v1/clients/" + s.Client + "/erase", `{"version":1,"reason":"x"}`, 409, "client_in_use", ""},
	} {
		p := s.send(c.method, c.path, c.body).refused(c.status, c.code)
		require.Equal(t, ID[appointmentKind](visit).String(), p.Facts["next_appointment"])
	}
}

func TestClients_BadInput_IsRefusedAndNothingWritten(t *testing.T) {
	t.Parallel()
	s := newSetup(t)
	name := func(text string) string { return `{"given_name":"` + text + `","family_name":"X"}` }
	more := func(field string) string { return `{"given_name":"A","family_name":"B",` + field + `}` }
	client := "/v1/clients/" + s.Client
	cases := []badInput{
		{"POST", "/v1/clients", name(strings.Repeat("n", 10_000)), 422, "too_long", "/given_name"},
		{"POST", "/v1/clients", name("   "), 422, "empty", "/given_name"},
		{"POST", "/v1/clients", name(""), 422, "empty", "/given_name"},
		{"POST", "/v1/clients", name(`a\u0000`), 422, "control_character", "/given_name"},
		{"POST", "/v1/clients", name(`a\nb`), 422, "line_break", "/given_name"},
		{"POST", "/v1/clients", name(`\u202eabc`), 422, "direction_override", "/given_name"},
		{"POST", "/v1/clients", name("a" + strings.Repeat("\u0301", 50)), 422, "stacked_marks", "/given_name"},
		{"POST", "/v1/clients", `{"family_name":"B"}`, 422, "required", "/given_name"},
		{"POST", "/v1/clients", more(`"mail":"a@b.org;c@d.org"`), 422, "invalid_mail", "/mail"},
		{"POST", "/v1/clients", more(`"mail":"a@b.org\nBcc: x@y.org"`), 422, "invalid_mail", "/mail"},
		{"POST", "/v1/clients", more(`"phone":"1-800-FLOWERS"`), 422, "invalid_phone", "/phone"},
		{"POST", "/v1/clients", more(`"phone":"` + strings.Repeat("1", 40) + `"`), 422, "invalid_phone", "/phone"},
		{"POST", "/v1/clients", more(`"phone":"911"`), 422, "invalid_phone", "/phone"},
		{"POST", "/v1/clients", more(`"birthday_on":"2023-02-29"`), 422, "invalid_date", "/birthday_on"},
		{"POST", "/v1/clients", more(`"birthday_on":"2999-01-01"`), 422, "out_of_range", "/birthday_on"},
		{"POST", "/v1/clients", more(`"zone":"Mars/Base"`), 422, "invalid_zone", "/zone"},
		{"POST", "/v1/clients", more(`"status":"active"`), 422, "unknown_field", "/status"},
		{"POST", "/v1/clients", more(`"practice_id":"x"`), 422, "unknown_field", "/practice_id"},
		{"POST", "/v1/clients", more(`"payer_id":"` + s.foreign["cli"] + `"`), 404, "client_not_found", "/payer_id"},
		{"POST", "/v1/clients", more(`"payer_id":"` + s.Location + `"`), 404, "wrong_kind_of_id", ""},
		{"POST", "/v1/clients", `{"given_name":"A","given_name":"B"}`, 400, "duplicate_key", ""},
		{"PATCH", client, `{"version":9,"given_name":"x"}`, 409, "stale_version", ""},
		{"PATCH", client, `{"version":1,"status":"erased"}`, 422, "not_a_choice", "/status"},
		{"PATCH", client, `{"version":1,"given_name":null}`, 422, "wrong_type", "/given_name"},
		{"PATCH", client, `{"version":1,"birthday_on":5}`, 422, "wrong_type", "/birthday_on"},
		{"PATCH", "/v1/clients/" + s.foreign["cli"], `{"version":1,"given_name":"x"}`, 404, "client_not_found", ""},
		{"POST", "/v1/clients/" + s.foreign["cli"] + "/archive", `{"version":1}`, 404, "client_not_found", ""},
		{"POST", "/v1/clients/" + s.foreign["cli"] + "/erase", `{"version":1,"reason":"x"}`, 404, "client_not_found", ""},
		{"POST", client + "/erase", `{"version":1,"reason":" "}`, 422, "empty", "/reason"},
		{"POST", "/v1/clients/" + s.foreign["cli"] + "/contact-points", `{"channel":"mail","address":"x@example.org"}`, 404, "client_not_found", ""},
		{"POST", client + "/contact-points", `{"channel":"mail","address":"CASEY@example.org"}`, 409, "address_in_use", ""},
		{"POST", client + "/contact-points", `{"channel":"fax","address":"x"}`, 422, "not_a_choice", "/channel"},
		{"POST", client + "/contact-points", `{"channel":"sms","address":"x@example.org"}`, 422, "invalid_phone", "/address"},
		{"POST", client + "/contact-points/cpt_" + nobody + "/close", `{"reason":"x"}`, 404, "contact_point_not_found", ""},
		{"POST", client + "/contact-points/cpt_" + nobody + "/opt-out", `{"purpose":"all","source":"phone"}`, 404, "contact_point_not_found", ""},
		{"POST", client + "/consents", `{"channel":"mail","purpose":"world","granted":true,"source":"x"}`, 422, "not_a_choice", "/purpose"},
		{"POST", client + "/consents", `{"channel":"mail","purpose":"recall","granted":"yes","source":"x"}`, 422, "wrong_type", "/granted"},
		{"POST", "/v1/clients/" + s.foreign["cli"] + "/consents", `{"channel":"mail","purpose":"recall","granted":true,"source":"x"}`, 404, "client_not_found", ""},
	}
	s.refuseAll(cases)
}

func TestClients_ContactPoints_OptOutHoldsForAllWhoShareTheAddress(t *testing.T) {
	t.Parallel()
	s := newSetup(t)
	client := "/v1/clients/" + s.Client
	a := s.post(client+"/contact-points", `{"channel":"sms","address":"202-555-0188"}`)
	point := a.value("contact_points.1.id").(string)
	twin := s.post("/v1/clients", `{"given_name":"Twin","family_name":"Client","phone":"+12025550188"}`).id()
	a = s.post(client+"/contact-points/"+point+"/opt-out", `{"purpose":"all","source":"phone"}`)
	require.Equal(t, []any{"all"}, a.value("contact_points.1.opted_out"))
	require.Equal(t, []any{"all"}, s.get("/v1/clients/"+twin).value("contact_points.0.opted_out"))
	before := s.journalled()
	s.post("/v1/clients/"+twin+"/contact-points/"+point+"/opt-in", `{"source":"desk"}`).refused(404, "contact_point_not_found")
	require.Equal(t, before, s.journalled())
	a = s.post(client+"/contact-points/"+point+"/opt-in", `{"source":"desk"}`)
	require.Empty(t, a.value("contact_points.1.opted_out"))
	require.Equal(t, http.StatusNoContent, s.post(client+"/consents", `{"channel":"sms","purpose":"recall","granted":false,"source":"desk"}`).Status)
	a = s.post(client+"/contact-points/"+point+"/close", `{"reason":"changed number"}`)
	require.Len(t, a.value("contact_points"), 1)
}

func TestClients_Provider_ChangesOwnClientsOnly(t *testing.T) {
	t.Parallel()
	s := newSetup(t)
	staff := s.post("/v1/staff", `{"name":"Pat","mail":"pat@example.org","role":"provider"}`).id()
	s.patch("/v1/providers/"+s.Provider, `{"version":1,"staff_id":"`+staff+`"}`).ok(&map[string]any{})
	id := plain[staffKind](t, staff)
	pat := withKey(s.newKey(s.own, policy.RoleProvider, &id, nil))
	s.patch("/v1/clients/"+s.Client, `{"version":1,"prefers":"sms"}`, pat).refused(404, "client_not_found")
	require.Empty(t, s.post("/v1/clients/search", `{"query":"Casey"}`, pat).value("data"))
	s.visit(3)
	s.patch("/v1/clients/"+s.Client, `{"version":1,"prefers":"sms"}`, pat).ok(&map[string]any{})
	require.Len(t, s.post("/v1/clients/search", `{"query":"Casey"}`, pat).value("data"), 1)
}

func TestClients_Search_FindsByWhateverIsKnown_AndJournalsWhoWasShown(t *testing.T) {
	t.Parallel()
	s := newSetup(t)
	maria := s.post("/v1/clients", `{"given_name":"María","family_name":"López","birthday_on":"1984-02-29","mail":"maria@example.org","phone":"+12025550123"}`).id()
	s.post("/v1/clients", `{"given_name":"Mario","family_name":"Lopes"}`).ok(&map[string]any{})
	visit := s.visit(3)
	s.exec("update appointments set client_id = $1", plain[clientKind](t, maria))
	for _, body := range []string{
		`{"query":"maria lopez"}`, `{"query":"MARIA LOPZE"}`, `{"query":"maria@EXAMPLE.org"}`, `{"query":"(202) 555-0123"}`, `{"query":"1984-02-29"}`,
		`{"name":"Lopez","birthday_on":"1984-02-29"}`, `{"phone":"+1 202 555 0123"}`, `{"mail":"maria@example.org"}`,
	} {
		a := s.post("/v1/clients/search", body)
		require.Equal(t, maria, a.value("data.0.id"), body)
		require.Equal(t, ID[appointmentKind](visit).String(), a.value("data.0.next_visit.appointment_id"))
		require.Equal(t, []string{maria}, s.texts(`select after->'clients'->>0 from journal where verb = 'clients_searched' order by seq desc limit 1`))
	}
	require.Empty(t, s.post("/v1/clients/search", `{"query":"Zzyzx"}`).value("data"))
	s.refuseAll([]badInput{
		{"POST", "/v1/clients/search", `{}`, 422, "nothing_to_find", ""},
		{"POST", "/v1/clients/search", `{"query":"a","name":"b"}`, 422, "one_of", "/query"},
		{"POST", "/v1/clients/search", `{"query":"12"}`, 422, "invalid_phone", "/query"},
		{"POST", "/v1/clients/search", `{"mail":"nobody"}`, 422, "invalid_mail", "/mail"},
		{"POST", "/v1/clients/search", `{"name":"a","limit":51}`, 422, "out_of_range", "/limit"},
		{"POST", "/v1/clients/search", `{"name":"a","sort":"name;drop"}`, 422, "unknown_field", "/sort"},
	})
	theirs := s.newKey(s.other, policy.RoleOwner, nil, nil)
	require.Empty(t, s.post("/v1/clients/search", `{"query":"maria lopez"}`, withKey(theirs)).value("data"))
}

func TestClients_Search_ShowsBalanceToThoseWhoReadInvoices(t *testing.T) {
	t.Parallel()
	s := newSetup(t)
	visit := s.visit(3)
	s.exec(`insert into invoices (practice_id, id, appointment_id, completion, client_id, service_id, provider_id, location_id, number, status, currency,
		net, tax, total, paid, source, caused_by_step, occurred_on, issued_at)
		select practice_id, $2, id, 1, client_id, service_id, provider_id, location_id, 1, 'issued', 'USD', 8000, 0, 8000, 3000, 'api', '', current_date, now()
		from appointments where practice_id = $1 and id = $3`, s.own.ID, db.NewID(), visit)
	require.InDelta(t, 5000, s.post("/v1/clients/search", `{"query":"Casey Client"}`).value("data.0.balance.amount"), 0)
}
