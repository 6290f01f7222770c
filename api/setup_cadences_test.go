package api

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const twoRules = `[{"id":"two_days","act":"message","when":"-2d"},{"id":"two_hours","act":"message","when":"-2h","channels":["sms"]}]`

func TestCadences_AreDraftedEditedPreviewedAndPublished(t *testing.T) {
	t.Parallel()
	s := newSetup(t)
	a := s.post("/v1/cadences", `{"kind":"journey","name":"Check-ups","service_id":"`+s.Service+`","rules":`+twoRules+`}`)
	require.Equal(t, http.StatusCreated, a.Status)
	require.Equal(t, "draft", a.value("status"))
	require.Equal(t, "-2h", a.value("rules.1.when"))
	version, cadence := a.id(), a.value("cadence_id").(string)
	s.post("/v1/cadences/"+cadence+"/versions", `{"rules":[]}`).refused(409, "draft_exists")
	require.Len(t, s.put("/v1/cadence-versions/"+version, `{"version":1,"rules":[{"id":"two_days","act":"message","when":"-2d@09:30"}]}`).value("rules"), 1)
	s.put("/v1/cadence-versions/"+version, `{"version":1,"rules":[]}`).refused(409, "stale_version")
	s.post("/v1/cadence-versions/"+version+"/publish", `{"policy":"new_only","version":1}`).refused(409, "stale_version")
	require.Empty(t, s.get("/v1/cadence-versions/"+version+"/adoptions").value("data"))
	require.InDelta(t, 0, s.get("/v1/cadence-versions/"+version+"/preview").value("repeated"), 0)
	a = s.post("/v1/cadence-versions/"+version+"/publish", `{"policy":"adopt_future"}`)
	require.Equal(t, "published", a.value("status"))
	require.InDelta(t, 0, a.value("adoption.journeys"), 0)
	s.put("/v1/cadence-versions/"+version, `{"version":2,"rules":[]}`).refused(409, "already_published")
	require.InDelta(t, 2, s.post("/v1/cadences/"+cadence+"/versions", `{"rules":[]}`).value("n"), 0)
	require.InDelta(t, 2, s.get("/v1/cadences/"+cadence+"/versions").value("data.0.n"), 0)
	require.NotNil(t, s.post("/v1/cadences/"+cadence+"/archive", "").value("archived_at"))
	require.Empty(t, s.get("/v1/cadences").value("data"))
}

func TestCadences_BadInput_IsRefusedAndNothingWritten(t *testing.T) {
	t.Parallel()
	s := newSetup(t)
	with := func(rules string) string { return `{"kind":"journey","name":"R","rules":` + rules + `}` }
	when := func(text string) string { return with(`[{"id":"a","act":"message","when":"` + text + `"}]`) }
	version := s.post("/v1/cadences", with(twoRules)).id()
	path := "/v1/cadence-versions/" + version
	theirs := s.post("/v1/cadences", with(`[]`), withKey(s.newKey(s.other, "owner", nil, nil)))
	foreign, cadence := "/v1/cadence-versions/"+theirs.id(), "/v1/cadences/"+theirs.value("cadence_id").(string)
	s.refuseAll([]badInput{
		{"POST", "/v1/cadences", when("0d"), 422, "", "/rules/0/when"},
		{"POST", "/v1/cadences", when("+1d"), 422, "not_before", "/rules/0/when"},
		{"POST", "/v1/cadences", when("-1000000000d"), 422, "", "/rules/0/when"},
		{"POST", "/v1/cadences", when("often"), 422, "", "/rules/0/when"},
		{"POST", "/v1/cadences", with(`[{"id":"a","act":"charge","when":"-1d"}]`), 422, "invalid_act", "/rules/0/act"},
		{"POST", "/v1/cadences", with(`[{"id":"a b","act":"message","when":"-1d"}]`), 422, "invalid_rule_id", "/rules/0/id"},
		{"POST", "/v1/cadences", with(`[{"id":"a","act":"message","when":"-1d"},{"id":"a","act":"message","when":"-2d"}]`), 422, "duplicate_rule_id", "/rules/1/id"},
		{"POST", "/v1/cadences", with(`[` + strings.Repeat(`{"id":"a","act":"message","when":"-1d"},`, 20) + `{"id":"a","act":"message","when":"-1d"}]`), 422, "too_many_rules", "/rules"},
		{"POST", "/v1/cadences", with(`[{"id":"a","act":"message","when":"-1d","channels":["fax"]}]`), 422, "not_a_choice", "/rules/0/channels/0"},
		{"POST", "/v1/cadences", with(`null`), 422, "wrong_type", "/rules"},
		{"POST", "/v1/cadences", with(`[]`), 409, "cadence_exists", ""},
		{"POST", "/v1/cadences", `{"kind":"gossip","name":"R","rules":[]}`, 422, "not_a_choice", "/kind"},
		{"POST", "/v1/cadences", `{"kind":"journey","name":"R","rules":[],"service_id":"` + s.foreign["svc"] + `"}`, 404, "service_not_found", "/service_id"},
		{"POST", "/v1/cadences", `{"kind":"journey","name":"R","rules":[],"location_id":"` + s.foreign["loc"] + `"}`, 404, "location_not_found", "/location_id"},
		{"POST", path + "/publish", `{"policy":"all"}`, 422, "not_a_choice", "/policy"},
		{"POST", path + "/publish", `{"policy":"adopt_selected"}`, 422, "selection", "/journey_ids"},
		{"POST", path + "/publish", `{}`, 422, "required", "/policy"},
		{"POST", foreign + "/publish", `{"policy":"new_only"}`, 404, "cadence_version_not_found", ""},
		{"PUT", foreign, `{"version":1,"rules":[]}`, 404, "cadence_version_not_found", ""},
		{"PUT", path, `{"rules":[]}`, 422, "required", "/version"},
		{"POST", cadence + "/versions", `{"rules":[]}`, 404, "cadence_not_found", ""},
		{"POST", cadence + "/archive", "", 404, "cadence_not_found", ""},
	})
	s.get(foreign).refused(404, "cadence_version_not_found")
	s.get(foreign+"/preview").refused(404, "cadence_version_not_found")
	s.get(foreign+"/adoptions").refused(404, "cadence_version_not_found")
	s.get(cadence).refused(404, "cadence_not_found")
	s.get(cadence+"/versions").refused(404, "cadence_not_found")
}

func TestTemplates_ArePublishedAndChecked(t *testing.T) {
	t.Parallel()
	s := newSetup(t)
	body := func(text, more string) string {
		return `{"kind":"reminder","channel":"sms","locale":"en","body":"` + text + `"` + more + `}`
	}
	good := "{{practice_name}}: see you {{when}}."
	a := s.post("/v1/message-templates", body(good, ""))
	require.Equal(t, http.StatusCreated, a.Status)
	require.InDelta(t, 1, a.value("n"), 0)
	require.InDelta(t, 2, s.post("/v1/message-templates", body(good, `,"after_n":1`)).value("n"), 0)
	require.Len(t, s.get("/v1/message-templates").value("data"), 1)
	mail := `{"kind":"reminder","channel":"mail","locale":"en","subject":"a\nb","body":"` + good + `"}`
	s.refuseAll([]badInput{
		{"POST", "/v1/message-templates", body(good, `,"after_n":1`), 409, "stale_version", ""},
		{"POST", "/v1/message-templates", body(good+" {{diagnosis}}", ""), 422, "unknown_variable", "/body"},
		{"POST", "/v1/message-templates", body("see you", ""), 422, "missing_variable", "/body"},
		{"POST", "/v1/message-templates", body(good+" Reply CANCEL to cancel", ""), 422, "asks_for_cancel", "/body"},
		{"POST", "/v1/message-templates", body(good+strings.Repeat("x", 500), ""), 422, "too_long", "/body"},
		{"POST", "/v1/message-templates", body(strings.Repeat("x", 1<<20), ""), 413, "body_too_large", ""},
		{"POST", "/v1/message-templates", mail, 422, "line_break", "/subject"},
		{"POST", "/v1/message-templates", strings.Replace(body(good, ""), `"en"`, `"klingon!"`, 1), 422, "invalid_locale", "/locale"},
	})
}
