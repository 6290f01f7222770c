package api

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kept-practice/kept/internal/policy"
)

func TestServices_AreAddedChangedPricedAndArchived(t *testing.T) {
	t.Parallel()
	s := newSetup(t)
	path := "/v1/services/" + s.Service
	a := s.get(path)
	require.InDelta(t, 8000, a.value("price.amount"), 0)
	require.Equal(t, []any{s.Provider}, a.value("provider_ids"))
	require.Equal(t, []any{s.Room}, a.value("resource_ids"))
	require.Equal(t, []any{}, a.value("forms"))

	a = s.patch(path, `{"version":1,"recall_every":"P6M","resource_ids":[]}`)
	require.Equal(t, "P6M", a.value("recall_every"))
	require.Equal(t, []any{s.Provider}, a.value("provider_ids"), "a list that is not given stays")
	require.Equal(t, []any{}, a.value("resource_ids"))
	require.Nil(t, s.patch(path, `{"version":2,"recall_every":null}`).value("recall_every"))

	day := policy.LocalDate{Year: time.Now().Year() + 1, Month: 1, Day: 1}
	a = s.post(path+"/prices", fmt.Sprintf(`{"price":{"amount":9000,"currency":"USD"},"from_on":%q}`, day))
	require.Equal(t, http.StatusCreated, a.Status)
	require.Len(t, s.get(path+"/prices").value("data"), 2)
	require.InDelta(t, 8000, s.get(path).value("price.amount"), 0, "what counts from next year on is not today's price")

	s.visit(3)
	require.InDelta(t, 1, s.post(path+"/archive", `{"version":3}`).refused(409, "service_in_use").Facts["count"], 0)
	s.exec("delete from appointments")
	require.NotNil(t, s.post(path+"/archive", `{"version":3}`).value("archived_at"))
	require.Empty(t, s.get("/v1/services").value("data"))
}

func TestServices_BadInput_IsRefusedAndNothingWritten(t *testing.T) {
	t.Parallel()
	s := newSetup(t)
	with := func(field string) string {
		return `{"name":"Visit","duration_minutes":30,"price":{"amount":100,"currency":"USD"}` + field + `}`
	}
	priced := func(money string) string { return `{"name":"Visit","duration_minutes":30,"price":` + money + `}` }
	path := "/v1/services/" + s.Service
	s.refuseAll([]badInput{
		{"POST", "/v1/services", `{"name":"V","duration_minutes":525600,"price":{"amount":1,"currency":"USD"}}`, 422, "out_of_range", "/duration_minutes"},
		{"POST", "/v1/services", `{"name":"V","duration_minutes":0,"price":{"amount":1,"currency":"USD"}}`, 422, "out_of_range", "/duration_minutes"},
		{"POST", "/v1/services", `{"name":"V","duration_minutes":30}`, 422, "required", "/price"},
		{"POST", "/v1/services", priced(`{"amount":-1,"currency":"USD"}`), 422, "out_of_range", "/price/amount"},
		{"POST", "/v1/services", priced(`{"amount":1000000000000,"currency":"USD"}`), 422, "out_of_range", "/price/amount"},
		{"POST", "/v1/services", priced(`{"amount":1.5,"currency":"USD"}`), 422, "wrong_type", "/price/amount"},
		{"POST", "/v1/services", priced(`{"amount":100,"currency":"EUR"}`), 422, "wrong_currency", "/price/currency"},
		{"POST", "/v1/services", priced(`100`), 422, "wrong_type", "/price"},
		{"POST", "/v1/services", with(`,"buffer_after_minutes":-5`), 422, "out_of_range", "/buffer_after_minutes"},
		{"POST", "/v1/services", with(`,"recall_every":"P0D"`), 422, "", "/recall_every"},
		{"POST", "/v1/services", with(`,"recall_every":"P99999Y"`), 422, "", "/recall_every"},
		{"POST", "/v1/services", with(`,"location_kind":"video","url_template":"javascript:alert(1)"`), 422, "invalid_url", "/url_template"},
		{"POST", "/v1/services", with(`,"forms":["no_such"]`), 422, "unknown_form", "/forms/0"},
		{"POST", "/v1/services", with(`,"provider_ids":["` + s.foreign["prv"] + `"]`), 404, "provider_not_found", "/provider_ids/0"},
		{"POST", "/v1/services", with(`,"resource_ids":["` + s.foreign["rsc"] + `"]`), 404, "resource_not_found", "/resource_ids/0"},
		{"POST", "/v1/services", with(`,"resource_ids":["` + s.Provider + `"]`), 404, "wrong_kind_of_id", ""},
		{"POST", "/v1/services", with(`,"resource_ids":["rsc_` + s.Provider[4:] + `"]`), 404, "resource_not_found", "/resource_ids/0"},
		{"POST", "/v1/services", with(`,"recall_service_id":"` + s.foreign["svc"] + `"`), 404, "service_not_found", "/recall_service_id"},
		{"POST", "/v1/services", with(`,"practice_id":"x"`), 422, "unknown_field", "/practice_id"},
		{"PATCH", path, `{"version":9,"name":"x"}`, 409, "stale_version", ""},
		{"PATCH", path, `{"version":1,"price":{"amount":1,"currency":"USD"}}`, 422, "unknown_field", "/price"},
		{"PATCH", "/v1/services/" + s.foreign["svc"], `{"version":1,"name":"x"}`, 404, "service_not_found", ""},
		{"POST", "/v1/services/" + s.foreign["svc"] + "/archive", `{"version":1}`, 404, "service_not_found", ""},
		{"POST", "/v1/services/" + s.foreign["svc"] + "/prices", `{"price":{"amount":1,"currency":"USD"}}`, 404, "service_not_found", ""},
		{"POST", path + "/prices", `{"price":{"amount":1,"currency":"USD"},"from_on":"2020-01-01"}`, 422, "in_the_past", "/from_on"},
		{"POST", path + "/prices", `{"price":{"amount":1,"currency":"USD"},"from_on":"2027-02-30"}`, 422, "invalid_date", "/from_on"},
	})
	s.get("/v1/services/"+s.foreign["svc"]).refused(404, "service_not_found")
	s.get("/v1/services/"+s.foreign["svc"]+"/prices").refused(404, "service_not_found")
	require.Equal(t, s.Service, s.get("/v1/services").value("data.0.id"))
	require.Len(t, s.get("/v1/services").value("data"), 1)
}

func TestResources_AreOfTheirKindAndPlace(t *testing.T) {
	t.Parallel()
	s := newSetup(t)
	require.InDelta(t, 4, s.patch("/v1/resources/"+s.Room, `{"version":1,"seats":4}`).value("seats"), 0)
	require.Equal(t, "Dr. Q", s.patch("/v1/providers/"+s.Provider, `{"version":1,"name":"Dr. Q"}`).value("name"))
	require.Equal(t, s.Room, s.get("/v1/resources").value("data.0.id"))
	require.Equal(t, s.Provider, s.get("/v1/providers").value("data.0.id"))
	s.get("/v1/providers/prv_"+s.Room[4:]).refused(404, "provider_not_found")
	s.get("/v1/resources/rsc_"+s.Provider[4:]).refused(404, "resource_not_found")
	s.get("/v1/resources/"+s.foreign["rsc"]).refused(404, "resource_not_found")
	s.visit(3)
	s.post("/v1/providers/"+s.Provider+"/archive", `{"version":2}`).refused(409, "resource_in_use")
	require.NotNil(t, s.post("/v1/resources/"+s.Room+"/archive", `{"version":2}`).value("archived_at"))
	room := func(field string) string {
		return `{"kind":"room","name":"R","location_id":"` + s.Location + `"` + field + `}`
	}
	s.refuseAll([]badInput{
		{"POST", "/v1/resources", `{"kind":"provider","name":"R","location_id":"` + s.Location + `"}`, 422, "not_a_choice", "/kind"},
		{"POST", "/v1/resources", `{"kind":"room","name":"R"}`, 422, "required", "/location_id"},
		{"POST", "/v1/resources", room(`,"seats":0`), 422, "out_of_range", "/seats"},
		{"POST", "/v1/resources", room(`,"seats":100000`), 422, "out_of_range", "/seats"},
		{"POST", "/v1/resources", `{"kind":"room","name":"R","location_id":"` + s.foreign["loc"] + `"}`, 404, "location_not_found", "/location_id"},
		{"POST", "/v1/providers", `{"name":"P","staff_id":"` + s.foreign["stf"] + `"}`, 404, "staff_not_found", "/staff_id"},
		{"PATCH", "/v1/providers/" + s.Provider, `{"version":1,"name":"x"}`, 409, "stale_version", ""},
		{"PATCH", "/v1/providers/" + s.foreign["prv"], `{"version":1,"name":"x"}`, 404, "provider_not_found", ""},
		{"PATCH", "/v1/resources/" + s.foreign["rsc"], `{"version":1,"name":"x"}`, 404, "resource_not_found", ""},
		{"POST", "/v1/providers/" + s.foreign["prv"] + "/archive", `{"version":1}`, 404, "provider_not_found", ""},
	})
}

func TestShifts_ChangeFromADayOn_AndNameTheVisitsLeftOutside(t *testing.T) {
	t.Parallel()
	s := newSetup(t)
	s.visit(3)
	var shifts List[ShiftView]
	s.get("/v1/shifts?limit=100&provider_id=" + s.Provider).ok(&shifts)
	require.Len(t, shifts.Data, 7)
	zone, err := policy.LoadZone("America/New_York")
	require.NoError(t, err)
	weekday := int32(time.Now().In(zone).AddDate(0, 0, 3).Weekday())
	for _, shift := range shifts.Data {
		if shift.Weekday != weekday {
			continue
		}
		path := "/v1/shifts/" + shift.ID.String()
		p := s.post(path+"/change", `{"start_minute":720}`).refused(409, "hours_in_use")
		require.InDelta(t, 1, p.Facts["count"], 0)
		s.post(path+"/end", `{}`).refused(409, "hours_in_use")
		a := s.post(path+"/change", `{"start_minute":720,"force":true}`)
		require.InDelta(t, 720, a.value("shift.start_minute"), 0)
		require.Len(t, a.value("affected"), 1)
		continue
	}
	other := shifts.Data[0]
	for _, shift := range shifts.Data {
		if shift.Weekday != weekday {
			other = shift
		}
	}
	a := s.post("/v1/shifts/"+other.ID.String()+"/end", `{}`)
	require.Nil(t, a.value("shift"))
	require.Empty(t, a.value("affected"))
}

func TestCalendar_BadInput_IsRefusedAndNothingWritten(t *testing.T) {
	t.Parallel()
	s := newSetup(t)
	shift := func(provider, location string, start, end int, more string) string {
		return fmt.Sprintf(`{"provider_id":%q,"location_id":%q,"weekday":1,"start_minute":%d,"end_minute":%d%s}`, provider, location, start, end, more)
	}
	closure := func(from, until string) string {
		return fmt.Sprintf(`{"location_id":%q,"reason":"Holiday","starts_at":%q,"ends_at":%q}`, s.Location, from, until)
	}
	day := time.Now().AddDate(1, 0, 0).Format("2006-01-02")
	s.refuseAll([]badInput{
		{"POST", "/v1/shifts", shift(s.Provider, s.Location, 600, 700, ""), 409, "shift_overlaps", ""},
		{"POST", "/v1/shifts", shift(s.Provider, s.Location, 600, 600, ""), 422, "out_of_range", "/end_minute"},
		{"POST", "/v1/shifts", shift(s.Provider, s.Location, 600, 100, ""), 422, "out_of_range", "/end_minute"},
		{"POST", "/v1/shifts", shift(s.Provider, s.Location, -1, 100, ""), 422, "out_of_range", "/start_minute"},
		{"POST", "/v1/shifts", shift(s.Provider, s.Location, 0, 100, `,"from_on":"2020-01-01"`), 422, "in_the_past", "/from_on"},
		{"POST", "/v1/shifts", shift(s.Provider, s.Location, 0, 100, `,"from_on":"`+day+`","until_on":"`+day+`"`), 422, "reversed", "/until_on"},
		{"POST", "/v1/shifts", shift(s.foreign["prv"], s.Location, 0, 100, ""), 404, "provider_not_found", ""},
		{"POST", "/v1/shifts", shift(s.Provider, s.foreign["loc"], 0, 100, ""), 404, "location_not_found", ""},
		{"POST", "/v1/shifts", shift("prv_"+s.Room[4:], s.Location, 0, 100, ""), 404, "provider_not_found", ""},
		{"POST", "/v1/shifts/shf_" + nobody + "/end", `{}`, 404, "shift_not_found", ""},
		{"POST", "/v1/closures", closure(day+"T10:00", day+"T10:00"), 422, "reversed", "/ends_at"},
		{"POST", "/v1/closures", closure(day+"T10:00", day+"T09:00"), 422, "reversed", "/ends_at"},
		{"POST", "/v1/closures", closure(day+"T10:00", "2099-01-01T00:00"), 422, "too_long", "/ends_at"},
		{"POST", "/v1/closures", closure("tomorrow", day+"T09:00"), 422, "", "/starts_at"},
		{"POST", "/v1/closures", closure(day+"T25:00", day+"T09:00"), 422, "", "/starts_at"},
		{"POST", "/v1/closures", `{"reason":"x","starts_at":"` + day + `T09:00","ends_at":"` + day + `T10:00"}`, 422, "one_of", "/location_id"},
		{"POST", "/v1/closures", `{"location_id":"` + s.Location + `","provider_id":"` + s.Provider + `","reason":"x","starts_at":"` + day + `T09:00","ends_at":"` + day + `T10:00"}`, 422, "one_of", "/location_id"},
		{"POST", "/v1/closures", `{"provider_id":"` + s.foreign["prv"] + `","reason":"x","starts_at":"` + day + `T09:00","ends_at":"` + day + `T10:00"}`, 404, "provider_not_found", ""},
		{"POST", "/v1/closures", `{"location_id":"` + s.foreign["loc"] + `","reason":"x","starts_at":"` + day + `T09:00","ends_at":"` + day + `T10:00"}`, 404, "location_not_found", ""},
		{"POST", "/v1/closures/clo_" + nobody + "/lift", "", 404, "closure_not_found", ""},
	})
}

func TestClosures_ListTheVisitsThatStandInThem_AndAreLifted(t *testing.T) {
	t.Parallel()
	s := newSetup(t)
	visit := s.visit(3)
	day := time.Now().AddDate(0, 0, 1).Format("2006-01-02")
	until := time.Now().AddDate(0, 0, 6).Format("2006-01-02")
	a := s.post("/v1/closures", fmt.Sprintf(`{"provider_id":%q,"reason":"Leave","starts_at":"%sT00:00","ends_at":"%sT00:00"}`, s.Provider, day, until))
	require.Equal(t, http.StatusCreated, a.Status)
	require.Equal(t, ID[appointmentKind](visit).String(), a.value("affected.0.appointment_id"))
	require.Equal(t, s.Provider, a.value("provider_id"))
	require.Equal(t, s.Provider, s.get("/v1/closures").value("data.0.provider_id"))
	require.Equal(t, http.StatusNoContent, s.post("/v1/closures/"+a.id()+"/lift", "").Status)
	require.Empty(t, s.get("/v1/closures").value("data"))
}
