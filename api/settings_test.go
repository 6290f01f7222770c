package api

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kept-practice/kept/internal/policy"
)

func settingAt(t *testing.T, a answer, key string) SettingView {
	t.Helper()
	var all List[SettingView]
	a.ok(&all)
	for _, s := range all.Data {
		if s.Key == key {
			return s
		}
	}
	require.Failf(t, "no such setting", "%s", key)
	return SettingView{}
}

func TestSettings_TheMostSpecificLevelCounts_UntilOneAboveIsLocked(t *testing.T) {
	t.Parallel()
	s := newSetup(t)
	scope := "/v1/settings?location_id=" + s.Location + "&service_id=" + s.Service + "&provider_id=" + s.Provider
	require.Equal(t, SettingView{
		Key: "grace_minutes", Value: []byte("3"), Level: policy.LevelDefault, Levels: []policy.Level{policy.LevelPractice, policy.LevelLocation, policy.LevelService},
	}, settingAt(t, s.get(scope), "grace_minutes"))

	s.put("/v1/settings/grace_minutes", `{"level":"practice","value":5}`).ok(&map[string]any{})
	s.put("/v1/settings/grace_minutes", `{"level":"service","service_id":"`+s.Service+`","value":9}`).ok(&map[string]any{})
	got := settingAt(t, s.get(scope), "grace_minutes")
	require.Equal(t, policy.LevelService, got.Level)
	require.Equal(t, "9", string(got.Value))
	require.Equal(t, policy.LevelPractice, settingAt(t, s.get("/v1/settings"), "grace_minutes").Level)

	s.put("/v1/settings/grace_minutes", `{"level":"practice","value":5,"locked":true,"version":1}`).ok(&map[string]any{})
	got = settingAt(t, s.get(scope), "grace_minutes")
	require.Equal(t, policy.LevelPractice, got.Level)
	require.True(t, got.Locked)
	s.put("/v1/settings/grace_minutes", `{"level":"location","location_id":"`+s.Location+`","value":1}`).refused(http.StatusConflict, "setting_locked")

	var written List[WrittenSettingView]
	s.get("/v1/settings/written").ok(&written)
	require.Len(t, written.Data, 2)
	require.EqualValues(t, 2, written.Data[0].Version)
	require.Equal(t, s.Service, written.Data[1].ServiceID.String())
	s.send(http.MethodDelete, "/v1/settings/grace_minutes?level=practice&version=1", "").refused(http.StatusConflict, "stale_version")
	require.Equal(t, http.StatusNoContent, s.send(http.MethodDelete, "/v1/settings/grace_minutes?level=practice&version=2", "").Status)
	require.Equal(t, policy.LevelService, settingAt(t, s.get(scope), "grace_minutes").Level)
}

func TestSettings_BadInput_IsRefusedAndNothingWritten(t *testing.T) {
	t.Parallel()
	s := newSetup(t)
	before := s.journalled()
	for _, c := range []struct {
		key, body string
		status    int
		code      string
		pointer   string
	}{
		{"no_such", `{"level":"practice","value":1}`, 422, "unknown_setting", "path:key"},
		{"grace_minutes", `{"level":"provider","provider_id":"` + s.Provider + `","value":1}`, 422, "setting_level", "/level"},
		{"grace_minutes", `{"level":"practice","value":"5"}`, 422, "wrong_type", "/value"},
		{"grace_minutes", `{"level":"practice","value":null}`, 422, "wrong_type", "/value"},
		{"grace_minutes", `{"level":"practice","value":-1}`, 422, "out_of_range", "/value"},
		{"grace_minutes", `{"level":"practice","value":1000000000}`, 422, "out_of_range", "/value"},
		{"quiet_hours", `{"level":"practice","value":{"start":"20:00"}}`, 422, "wrong_type", "/value"},
		{"staff_horizon_days", `{"level":"practice","value":30}`, 422, "horizon_beyond_staff", "/value"},
		{"min_notice_minutes", `{"level":"practice","value":43201}`, 422, "out_of_range", "/value"},
		{"grace_minutes", `{"level":"location","value":1}`, 422, "required", "/location_id"},
		{"grace_minutes", `{"level":"practice","location_id":"` + s.Location + `","value":1}`, 422, "not_scoped", "/location_id"},
		{"grace_minutes", `{"level":"galaxy","value":1}`, 422, "not_a_choice", "/level"},
		{"grace_minutes", `{"value":1}`, 422, "required", "/level"},
		{"grace_minutes", `{"level":"practice","value":1,"practice_id":"x"}`, 422, "unknown_field", "/practice_id"},
		{"grace_minutes", `{"level":"location","location_id":"` + s.foreign["loc"] + `","value":1}`, 404, "location_not_found", "/location_id"},
		{"grace_minutes", `{"level":"service","service_id":"` + s.foreign["svc"] + `","value":1}`, 404, "service_not_found", "/service_id"},
		{"grace_minutes", `{"level":"service","service_id":"` + s.Location + `","value":1}`, 404, "wrong_kind_of_id", ""},
		{"grace_minutes", `{"level":"practice","value":1,"version":7}`, 409, "stale_version", ""},
		{"grace_minutes", `{"level":"practice","value":1,"value":2}`, 400, "duplicate_key", ""},
	} {
		p := s.put("/v1/settings/"+c.key, c.body).refused(c.status, c.code)
		if c.pointer != "" {
			require.Equal(t, []string{c.code + " " + c.pointer}, pointers(p), c.body)
		}
	}
	s.send(http.MethodDelete, "/v1/settings/grace_minutes?level=practice&version=1", "").refused(404, "setting_not_found")
	s.send(http.MethodDelete, "/v1/settings/grace_minutes?level=practice", "").refused(422, "required")
	s.get("/v1/settings?location_id="+s.foreign["loc"]).refused(404, "location_not_found")
	s.get("/v1/settings?provider_id="+s.foreign["prv"]).refused(404, "provider_not_found")
	require.Equal(t, before, s.journalled())
}

func TestVocabulary_OwnWords_AreSetAndTakenBack(t *testing.T) {
	t.Parallel()
	s := newSetup(t)
	require.Equal(t, "patients", s.put("/v1/vocabulary/client", `{"singular":"patient","plural":"patients"}`).value("plural"))
	require.Equal(t, "patient", s.get("/v1/vocabulary").value("data.0.singular"))
	before := s.journalled()
	require.Equal(t, []string{"not_a_choice path:term"}, pointers(s.put("/v1/vocabulary/planet", `{"singular":"a","plural":"b"}`).refused(422, "not_a_choice")))
	s.put("/v1/vocabulary/client", `{"singular":"","plural":"b"}`).refused(422, "empty")
	s.put("/v1/vocabulary/client", `{"singular":"a\nb","plural":"b"}`).refused(422, "line_break")
	require.Equal(t, before, s.journalled())
	require.Equal(t, http.StatusNoContent, s.send(http.MethodDelete, "/v1/vocabulary/client", "").Status)
	s.send(http.MethodDelete, "/v1/vocabulary/client", "").refused(404, "word_not_found")
}
