package desk_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kept-practice/kept/db"
	"github.com/kept-practice/kept/internal/desk"
	"github.com/kept-practice/kept/internal/policy"
)

func affectedOf(t *testing.T, err error) []desk.Affected {
	t.Helper()
	var e *policy.Error
	require.ErrorAs(t, err, &e)
	list, ok := e.Facts["affected"].([]desk.Affected)
	require.True(t, ok)
	return list
}

func TestCreateService_BadInput_WritesNothing(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	before := o.count(`select count(*) from services`)
	good := desk.ServiceInput{Name: "Visit", DurationMinutes: 30}
	for name, bad := range map[string]struct {
		change  func(*desk.ServiceInput)
		kind    policy.ErrorKind
		pointer string
		code    string
	}{
		"BAD-X1 no name":          {func(in *desk.ServiceInput) { in.Name = " " }, policy.Invalid, "/name", "empty"},
		"BAD-X4 line break":       {func(in *desk.ServiceInput) { in.Name = "a\nb" }, policy.Invalid, "/name", "line_break"},
		"BAD-T5 a year":           {func(in *desk.ServiceInput) { in.DurationMinutes = 525_600 }, policy.Invalid, "/duration_minutes", "out_of_range"},
		"no length":               {func(in *desk.ServiceInput) { in.DurationMinutes = 0 }, policy.Invalid, "/duration_minutes", "out_of_range"},
		"negative buffer":         {func(in *desk.ServiceInput) { in.BufferAfterMinutes = -1 }, policy.Invalid, "/buffer_after_minutes", "out_of_range"},
		"tax over all":            {func(in *desk.ServiceInput) { in.TaxBP = 10_001 }, policy.Invalid, "/tax_bp", "out_of_range"},
		"BAD-H3 negative price":   {func(in *desk.ServiceInput) { in.Price = -1 }, policy.Invalid, "/price", "amount_out_of_range"},
		"BAD-H3 absurd price":     {func(in *desk.ServiceInput) { in.Price = 1_000_000_000_000 }, policy.Invalid, "/price", "amount_out_of_range"},
		"BAD-O1 recall of 0 days": {func(in *desk.ServiceInput) { in.RecallEvery = "P0D" }, policy.Invalid, "/recall_every", "interval_not_positive"},
		"BAD-O1 negative recall":  {func(in *desk.ServiceInput) { in.RecallEvery = "P-6M" }, policy.Invalid, "/recall_every", "invalid_interval"},
		"BAD-O1 recall in ages":   {func(in *desk.ServiceInput) { in.RecallEvery = "P99999Y" }, policy.Invalid, "/recall_every", "interval_too_long"},
		"recall in words":         {func(in *desk.ServiceInput) { in.RecallEvery = "6 months" }, policy.Invalid, "/recall_every", "invalid_interval"},
		"place of another kind":   {func(in *desk.ServiceInput) { in.LocationKind = "moon" }, policy.Invalid, "/location_kind", "not_a_choice"},
		"script as address": {
			func(in *desk.ServiceInput) { in.LocationKind, in.URLTemplate = "video", "javascript:alert(1)" }, policy.Invalid, "/url_template", "invalid_url",
		},
		"BAD-I1 foreign provider": {
			func(in *desk.ServiceInput) { in.Resources = o.foreign.Providers }, policy.NotFound, "/resources/0", "resource_not_found",
		},
		"BAD-I1 foreign recall service": {
			func(in *desk.ServiceInput) { in.RecallEvery, in.RecallService = "P6M", &o.foreign.Services[0] }, policy.NotFound, "/recall_service", "service_not_found",
		},
		"unknown form": {func(in *desk.ServiceInput) { in.Forms = []string{"nope"} }, policy.Invalid, "/forms/0", "unknown_form"},
	} {
		in := good
		bad.change(&in)
		_, err := o.CreateService(t.Context(), o.by, in)
		require.Error(t, err, name)
		require.Equal(t, bad.code, policy.CodeOf(err), name)
		refused(t, err, bad.kind, bad.code, bad.pointer)
	}
	require.Equal(t, before, o.count(`select count(*) from services`))
}

func TestUpdateService_ChangesWhatIsGiven(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	id := o.made.Services[2]
	got, err := o.UpdateService(t.Context(), o.by, desk.ServicePatch{ID: id, Version: 1, Name: ptr("Yearly check"), RecallEvery: ptr("P12M")})
	require.NoError(t, err)
	require.Equal(t, "Yearly check", got.Name)
	require.Equal(t, "P12M", got.RecallEvery)
	require.EqualValues(t, 30, got.DurationMinutes)
	require.Equal(t, 1, o.count(`select count(*) from service_forms where service_id = $1`, id), "forms not named stay")
	_, err = o.UpdateService(t.Context(), o.by, desk.ServicePatch{ID: id, Version: 1, Name: ptr("Late")})
	refused(t, err, policy.Conflict, "stale_version")
	got, err = o.UpdateService(t.Context(), o.by, desk.ServicePatch{ID: id, Version: 2, RecallEvery: ptr(""), Forms: []string{}, RecallService: ptr[*policy.ID](nil)})
	require.NoError(t, err)
	require.Empty(t, got.RecallEvery)
	require.Zero(t, o.count(`select count(*) from service_forms where service_id = $1`, id))
}

// BAD-O6
func TestArchive_WithVisitsAhead_AnswersTheList(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	client := o.newClient("Casey", "Client", desk.ClientInput{}).ID
	visit := o.book(client, o.made.Services[1], 3, 0).Appointment
	_, err := o.ArchiveService(t.Context(), o.by, o.made.Services[1], 1)
	refused(t, err, policy.Conflict, "service_in_use")
	require.Equal(t, visit.ID, affectedOf(t, err)[0].Appointment)
	_, err = o.ArchiveResource(t.Context(), o.by, o.made.Providers[0], 1)
	refused(t, err, policy.Conflict, "resource_in_use")
	require.Len(t, affectedOf(t, err), 1)
	_, err = o.UpdateLocation(t.Context(), o.by, desk.LocationPatch{ID: o.made.Locations[0], Version: 1, Archived: ptr(true)})
	refused(t, err, policy.Conflict, "location_in_use")

	_, err = o.SetStatus(t.Context(), o.by, desk.StatusInput{Appointment: visit.ID, Verb: policy.VerbCancel, Reason: "closing"})
	require.NoError(t, err)
	_, err = o.ArchiveService(t.Context(), o.by, o.made.Services[1], 1)
	require.NoError(t, err)
	_, err = o.ArchiveResource(t.Context(), o.by, o.made.Providers[0], 1)
	require.NoError(t, err)
}

func TestPrice_IsDatedAndNeverOverwritten(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	service, today := o.made.Services[0], o.today()
	on := func(day policy.LocalDate) int64 {
		row, err := o.store.In(o.made.ID).PriceOn(t.Context(), priceOn(o.made.ID, service, day))
		require.NoError(t, err)
		return row.Amount
	}
	require.NoError(t, o.SetPrice(t.Context(), o.by, service, 10_000, nil))
	next := today.AddMonths(1)
	require.NoError(t, o.SetPrice(t.Context(), o.by, service, 12_000, &next))
	require.NoError(t, o.SetPrice(t.Context(), o.by, service, 11_000, nil), "the later word of the same day counts")
	require.EqualValues(t, 11_000, on(today))
	require.EqualValues(t, 11_000, on(next.AddDays(-1)))
	require.EqualValues(t, 12_000, on(next))
	require.Equal(t, 4, o.count(`select count(*) from service_prices where service_id = $1`, service))
	refused(t, o.SetPrice(t.Context(), o.by, service, 9_000, ptr(today.AddDays(-1))), policy.Invalid, "in_the_past", "/from_on")
	refused(t, o.SetPrice(t.Context(), o.by, service, 1_000_000_000_000, nil), policy.Invalid, "amount_out_of_range")
	refused(t, o.SetPrice(t.Context(), o.by, o.foreign.Services[0], 9_000, nil), policy.NotFound, "service_not_found")
}

// BAD-O6: hours cut with bookings ahead.
func TestChangeShift_WithVisitsAhead_AnswersTheListUnlessForced(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	client := o.newClient("Casey", "Client", desk.ClientInput{}).ID
	booked := o.book(client, o.made.Services[0], 3, 0).Appointment // starts at 09:00
	zone, err := policy.LoadZone("America/New_York")
	require.NoError(t, err)
	day := policy.LocalDay(booked.StartsAt, zone)
	shift := o.shiftOn(day.Weekday())
	later := desk.ShiftChange{Shift: shift, StartMinute: ptr(11 * 60)}
	_, err = o.ChangeShift(t.Context(), o.by, later)
	refused(t, err, policy.Conflict, "hours_in_use")
	require.Equal(t, booked.ID, affectedOf(t, err)[0].Appointment)
	require.Equal(t, 1, o.count(`select count(*) from shifts where id = $1 and until_on is null`, shift), "nothing was changed")

	after := day.AddDays(1)
	got, err := o.ChangeShift(t.Context(), o.by, desk.ShiftChange{Shift: shift, StartMinute: ptr(11 * 60), From: &after})
	require.NoError(t, err, "the visit lies before the change")
	require.Empty(t, got.Affected)
	require.Equal(t, after, got.Shift.FromOn)
	require.Equal(t, 1, o.count(`select count(*) from shifts where id = $1 and until_on = $2`, shift, after), "the old row is closed, not overwritten")

	later.Force, later.End, later.StartMinute = true, true, nil
	got, err = o.ChangeShift(t.Context(), o.by, later)
	require.NoError(t, err)
	require.Len(t, got.Affected, 1)
	require.Nil(t, got.Shift)
	require.Equal(t, 1, o.count(`select count(*) from appointments where id = $1 and status = 'booked'`, booked.ID), "the visit stands")
}

func priceOn(practice, service policy.ID, day policy.LocalDate) db.PriceOnParams {
	return db.PriceOnParams{PracticeID: practice, ServiceID: service, Day: day}
}

func (o *office) shiftOn(day time.Weekday) policy.ID {
	o.t.Helper()
	rows, err := o.store.In(o.made.ID).ShiftList(o.t.Context(), o.made.ID, &o.made.Providers[0])
	require.NoError(o.t, err)
	for _, r := range rows {
		if int(r.Weekday) == int(day) {
			return r.ID
		}
	}
	o.t.Fatalf("no shift on %s", day)
	return policy.ID{}
}

func TestAddShift_BadInput(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	good := desk.ShiftInput{Provider: o.made.Providers[0], Location: o.made.Locations[0], Weekday: 6, StartMinute: 600, EndMinute: 900}
	for name, bad := range map[string]struct {
		change func(*desk.ShiftInput)
		kind   policy.ErrorKind
		code   string
	}{
		"no such day":              {func(in *desk.ShiftInput) { in.Weekday = 7 }, policy.Invalid, "out_of_range"},
		"BAD-T1 ends as it starts": {func(in *desk.ShiftInput) { in.EndMinute = in.StartMinute }, policy.Invalid, "out_of_range"},
		"BAD-T1 reversed":          {func(in *desk.ShiftInput) { in.EndMinute = 1 }, policy.Invalid, "out_of_range"},
		"over a day":               {func(in *desk.ShiftInput) { in.EndMinute = in.StartMinute + 1441 }, policy.Invalid, "out_of_range"},
		"yesterday":                {func(in *desk.ShiftInput) { in.FromOn = ptr(o.today().AddDays(-1)) }, policy.Invalid, "in_the_past"},
		"ends before it starts":    {func(in *desk.ShiftInput) { in.UntilOn = ptr(o.today()) }, policy.Invalid, "reversed"},
		"overlaps monday's":        {func(in *desk.ShiftInput) { in.Weekday = 1 }, policy.Conflict, "shift_overlaps"},
		"overlaps over midnight":   {func(in *desk.ShiftInput) { in.Weekday, in.StartMinute, in.EndMinute = 0, 1200, 1440+545 }, policy.Conflict, "shift_overlaps"},
		"BAD-I1 foreign provider":  {func(in *desk.ShiftInput) { in.Provider = o.foreign.Providers[0] }, policy.NotFound, "provider_not_found"},
		"BAD-I1 foreign location":  {func(in *desk.ShiftInput) { in.Location = o.foreign.Locations[0] }, policy.NotFound, "location_not_found"},
		"a service as provider":    {func(in *desk.ShiftInput) { in.Provider = o.made.Services[0] }, policy.NotFound, "provider_not_found"},
	} {
		in := good
		bad.change(&in)
		_, err := o.AddShift(t.Context(), o.by, in)
		require.Error(t, err, name)
		require.Equal(t, bad.code, policy.CodeOf(err), name)
		refused(t, err, bad.kind, bad.code)
	}
	_, err := o.AddShift(t.Context(), o.by, good)
	require.NoError(t, err)
}

func TestClosure_ListsWhomItStrands_AndKeepsOthersOut(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	client := o.newClient("Casey", "Client", desk.ClientInput{}).ID
	booked := o.book(client, o.made.Services[1], 3, 2).Appointment
	zone, err := policy.LoadZone("America/New_York")
	require.NoError(t, err)
	day := policy.LocalDay(booked.StartsAt, zone)
	in := desk.ClosureInput{Location: &o.made.Locations[0], StartsAt: day.String() + "T00:00", EndsAt: day.AddDays(1).String() + "T00:00", Reason: "Holiday"}
	closed, err := o.AddClosure(t.Context(), o.by, in)
	require.NoError(t, err)
	require.Len(t, closed.Affected, 1)
	require.Equal(t, booked.ID, closed.Affected[0].Appointment)
	book := desk.BookInput{
		Client: client, Service: o.made.Services[1], Provider: o.made.Providers[0], Location: o.made.Locations[0], StartsAt: day.String() + "T14:00", Source: "test",
	}
	_, err = o.Book(t.Context(), o.by, book)
	refused(t, err, policy.Conflict, "closed")
	require.NoError(t, o.LiftClosure(t.Context(), o.by, closed.ID))
	require.NoError(t, o.LiftClosure(t.Context(), o.by, closed.ID), "lifted already")
	_, err = o.Book(t.Context(), o.by, book)
	require.NoError(t, err)

	for code, change := range map[string]func(*desk.ClosureInput){
		"reversed":           func(in *desk.ClosureInput) { in.StartsAt, in.EndsAt = in.EndsAt, in.StartsAt },
		"too_long":           func(in *desk.ClosureInput) { in.EndsAt = "2099-01-01T00:00" },
		"one_of":             func(in *desk.ClosureInput) { in.Resource = &o.made.Providers[0] },
		"empty":              func(in *desk.ClosureInput) { in.Reason = " " },
		"invalid_time":       func(in *desk.ClosureInput) { in.StartsAt = "tomorrow" },
		"location_not_found": func(in *desk.ClosureInput) { in.Location = &o.foreign.Locations[0] },
	} {
		bad := in
		change(&bad)
		_, err := o.AddClosure(t.Context(), o.by, bad)
		require.Equal(t, code, policy.CodeOf(err), "%v", err)
	}
	refused(t, o.LiftClosure(t.Context(), o.by, o.made.Services[0]), policy.NotFound, "closure_not_found")
}

func TestResource_BadInput(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	for code, in := range map[string]desk.ResourceInput{
		"not_a_choice":       {Kind: "spaceship", Name: "x"},
		"out_of_range":       {Kind: desk.ResourceProvider, Name: "x", Seats: 2},
		"missing_location":   {Kind: desk.ResourceRoom, Name: "x"},
		"not_for_providers":  {Kind: desk.ResourceProvider, Name: "x", Location: &o.made.Locations[0]},
		"not_a_person":       {Kind: desk.ResourceRoom, Name: "x", Location: &o.made.Locations[0], Staff: &o.made.Owner},
		"location_not_found": {Kind: desk.ResourceRoom, Name: "x", Location: &o.foreign.Locations[0]},
		"staff_not_found":    {Kind: desk.ResourceProvider, Name: "x", Staff: &o.foreign.Owner},
	} {
		_, err := o.CreateResource(t.Context(), o.by, in)
		require.Equal(t, code, policy.CodeOf(err), "%v", err)
	}
	room, err := o.CreateResource(t.Context(), o.by, desk.ResourceInput{Kind: desk.ResourceRoom, Name: "Room 1", Location: &o.made.Locations[0], Seats: 3})
	require.NoError(t, err)
	got, err := o.UpdateResource(t.Context(), o.by, desk.ResourcePatch{ID: room.ID, Version: 1, Seats: ptr(1), Name: ptr("Small room")})
	require.NoError(t, err)
	require.EqualValues(t, 1, got.Seats)
	_, err = o.UpdateResource(t.Context(), o.by, desk.ResourcePatch{ID: room.ID, Version: 1, Seats: ptr(2)})
	refused(t, err, policy.Conflict, "stale_version")
}
