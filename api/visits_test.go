package api

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kept-practice/kept/internal/desk"
	"github.com/kept-practice/kept/internal/policy"
)

func TestBook_FreeTime_BecomesAVisitWithItsJourneyAndPapers(t *testing.T) {
	t.Parallel()
	f := newDayFixture(t)
	var free FreeTimesView
	f.read("/v1/services/" + ID[serviceKind](f.practice.Services[0]).String() + "/free-times?location=" +
		ID[locationKind](f.practice.Locations[0]).String() + "&from=2031-03-07&days=1").ok(&free)
	require.Equal(t, "America/New_York", free.Zone)
	require.Equal(t, "2031-03-07T09:00:00", free.Data[0].Local)

	rung := len(f.waker.rings)
	var booked BookedView
	a := f.say("/v1/appointments", f.wanted(set("starts_at", free.Data[0].StartsAt)), with("Idempotency-Key", "one")).ok(&booked)
	require.Equal(t, http.StatusCreated, a.Status)
	require.Equal(t, policy.StatusBooked, booked.Status)
	require.Equal(t, policy.ID(booked.ID), policy.ID(booked.JourneyID))
	require.True(t, strings.HasPrefix(booked.IntakeURL, linkOrigin+"/l/"), booked.IntakeURL)
	require.Equal(t, []policy.Subject{{Practice: f.practice.ID, Kind: policy.KindJourney, ID: policy.ID(booked.ID)}}, f.waker.rings[rung:])
	again := f.say("/v1/appointments", f.wanted(set("starts_at", free.Data[0].StartsAt)), with("Idempotency-Key", "one"))
	require.Equal(t, "true", again.Header.Get("Idempotent-Replayed"))
	var kept BookedView
	again.ok(&kept)
	require.Equal(t, booked.AppointmentView, kept.AppointmentView)

	var list List[AppointmentView]
	f.read("/v1/appointments?from_at=2031-03-07T00:00:00-05:00&until_at=2031-03-08T00:00:00-05:00&status=booked").ok(&list)
	require.Equal(t, []AppointmentView{booked.AppointmentView}, list.Data)
	var one AppointmentView
	f.read("/v1/appointments/" + booked.ID.String()).ok(&one)
	require.Equal(t, booked.AppointmentView, one)
}

func TestBook_TwoHundredClientsOneSlot_OneWinsAndTheOthersSeeFreeTimes(t *testing.T) {
	t.Parallel()
	f := newDayFixture(t)
	server := httptest.NewServer(f.server)
	defer server.Close()
	const many = 200
	clients := make([]string, many)
	for i := range clients {
		c, err := f.desk.CreateClient(context.Background(), f.staff(), desk.ClientInput{GivenName: "Casey", FamilyName: fmt.Sprint("Client ", i)})
		require.NoError(t, err)
		clients[i] = ID[clientKind](c.ID).String()
	}
	statuses := make(chan answer, many)
	start := make(chan struct{})
	var all sync.WaitGroup
	for _, client := range clients {
		all.Go(func() {
			<-start
			statuses <- f.over(server.URL+"/v1/appointments", f.wanted(set("client_id", client)))
		})
	}
	close(start)
	all.Wait()
	close(statuses)
	counts := map[int]int{}
	for a := range statuses {
		counts[a.Status]++
		if a.Status == http.StatusConflict {
			p := a.refused(http.StatusConflict, "slot_taken")
			require.Len(t, p.Facts["free_times"], 3)
		}
	}
	require.Equal(t, map[int]int{http.StatusCreated: 1, http.StatusConflict: many - 1}, counts)
	require.Equal(t, 1, f.count(`select count(*) from appointments where starts_at = '2031-03-07T19:00:00Z'`))
}

func TestVisit_WholeDay_EveryVerbMovesItAlong(t *testing.T) {
	t.Parallel()
	f := newDayFixture(t)
	verb := func(path string, body any) AppointmentView {
		t.Helper()
		var view AppointmentView
		f.say(f.visitPath(path), body).ok(&view)
		return view
	}
	require.Equal(t, policy.StatusConfirmed, verb("/confirm", nil).Status)
	require.Equal(t, policy.StatusConfirmed, verb("/confirm", nil).Status, "saying it again changes nothing")
	moved := verb("/move", map[string]any{"starts_at": "2031-03-06T15:00", "version": 1})
	require.Equal(t, int32(2), moved.Version)
	require.Equal(t, policy.StatusBooked, moved.Status, "the client has to confirm the new time")
	p := f.say(f.visitPath("/arrive"), `{"version":1}`).refused(http.StatusConflict, "stale_version")
	require.EqualValues(t, 2, p.Facts["appointment"].(map[string]any)["version"])
	require.Equal(t, policy.StatusArrived, verb("/arrive", `{"version":2}`).Status)
	require.Equal(t, policy.StatusRoomed, verb("/room", nil).Status)
	require.Equal(t, policy.StatusWithProvider, verb("/start", nil).Status)
	require.Equal(t, policy.StatusCompleted, verb("/complete", nil).Status)
	p = f.say(f.visitPath("/cancel"), `{"reason":"Too late."}`).refused(http.StatusConflict, "illegal_status")
	require.Equal(t, "completed", p.Facts["status"])
	undone := verb("/undo", `{"reason":"A slip."}`)
	require.Equal(t, policy.StatusWithProvider, undone.Status)
	require.Contains(t, undone.Possible, policy.VerbComplete)
}

func TestVisit_Cancelled_FreesItsTimeAndComesBackOnlyWhileFree(t *testing.T) {
	t.Parallel()
	f := newDayFixture(t)
	var view AppointmentView
	f.say(f.visitPath("/cancel"), `{"reason":"The client called."}`).ok(&view)
	require.Equal(t, policy.StatusCancelled, view.Status)
	require.Equal(t, "The client called.", view.CancelReason)
	f.say(f.visitPath("/undo"), nil).ok(&view)
	require.Equal(t, policy.StatusBooked, view.Status)
	f.say(f.visitPath("/cancel"), `{"reason":"The client called.","late":true}`).ok(&view)
	require.Equal(t, policy.StatusLateCancelled, view.Status)
	f.say("/v1/appointments", f.wanted(set("starts_at", "2031-03-06T10:00"))).ok(&BookedView{})
	f.say(f.visitPath("/undo"), nil).refused(http.StatusConflict, "slot_taken")
}

func TestHold_KeepsATimeUntilBookedOrReleased(t *testing.T) {
	t.Parallel()
	f := newDayFixture(t)
	slot := f.wanted()
	delete(slot, "client_id")
	var hold HoldView
	f.say("/v1/holds", slot).ok(&hold)
	require.True(t, hold.ExpiresAt.After(linkMonday))
	f.say("/v1/appointments", f.wanted()).refused(http.StatusConflict, "slot_taken")
	f.say("/v1/appointments", f.wanted(set("hold_id", hold.ID.String()))).ok(&BookedView{})
	f.say("/v1/holds", f.wanted(set("starts_at", "2031-03-07T15:00"))).ok(&hold)
	require.Equal(t, http.StatusNoContent, f.ask(http.MethodDelete, "/v1/holds/"+hold.ID.String(), nil).Status)
	f.ask(http.MethodDelete, "/v1/holds/"+hold.ID.String(), nil).refused(http.StatusNotFound, "hold_not_found")
	f.say("/v1/appointments", f.wanted(set("starts_at", "2031-03-07T15:00"))).ok(&BookedView{})
}

func TestVisit_Provider_ReachesTheirOwnOnly(t *testing.T) {
	t.Parallel()
	f := newDayFixture(t)
	pat := f.newKey(policy.RoleProvider, f.staffOf(f.practice.Providers[1]))
	for _, path := range []string{f.visitPath(""), f.journeyPath("")} {
		a := f.read(path, pat)
		require.Equal(t, http.StatusNotFound, a.Status, a.Body)
	}
	var list List[AppointmentView]
	f.read("/v1/appointments", pat).ok(&list)
	require.Empty(t, list.Data)
	f.say(f.visitPath("/confirm"), nil, pat).refused(http.StatusNotFound, "appointment_not_found")
	f.say(f.visitPath("/cancel"), `{"reason":"Mine."}`, pat).refused(http.StatusNotFound, "appointment_not_found")
	f.say("/v1/appointments", f.wanted(), pat).refused(http.StatusNotFound, "provider_not_found")
	var booked BookedView
	own := f.wanted(set("provider_id", ID[providerKind](f.practice.Providers[1]).String()))
	f.say("/v1/appointments", own, pat).ok(&booked)
	f.read("/v1/appointments", pat).ok(&list)
	require.Len(t, list.Data, 1)
	f.say("/v1/appointments/"+booked.ID.String()+"/move", map[string]any{
		"starts_at": "2031-03-07T15:00", "provider_id": ID[providerKind](f.practice.Providers[0]).String(),
	}, pat).refused(http.StatusNotFound, "provider_not_found")
	f.say("/v1/appointments", f.wanted(set("override", true)), pat).refused(http.StatusForbidden, "override_not_permitted")
}
