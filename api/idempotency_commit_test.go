package api

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kept-practice/kept/internal/desk"
	"github.com/kept-practice/kept/internal/policy"
)

func (f *dayFixture) fridays() int {
	f.t.Helper()
	return f.count(`select count(*) from appointments where starts_at = '2031-03-07T19:00:00Z'`)
}

// brokenStore lets no reply be stored, and no key be given back: the process dies after its command.
func (f *dayFixture) brokenStore() {
	f.t.Helper()
	f.exec(`create function die() returns trigger language plpgsql as $$ begin raise 'killed'; end $$`)
	f.exec(`create trigger die before update or delete on idempotency_keys for each row when (old.state = 'in_flight') execute function die()`)
}

func (f *dayFixture) mendedStore() {
	f.t.Helper()
	f.exec(`drop trigger die on idempotency_keys`)
}

func TestIdempotency_KilledBeforeTheReplyIsStored_BooksOnce(t *testing.T) {
	t.Parallel()
	f := newDayFixture(t)
	f.brokenStore()
	f.say("/v1/appointments", f.wanted(), with("Idempotency-Key", "one")).refused(http.StatusInternalServerError, "internal")
	require.Zero(t, f.fridays(), "the visit stands only together with its reply")
	f.mendedStore()
	f.say("/v1/appointments", f.wanted(), with("Idempotency-Key", "one")).refused(http.StatusConflict, "in_flight")
	f.exec(`update idempotency_keys set locked_until = now() - interval '1 second'`)
	f.say("/v1/appointments", f.wanted(set("starts_at", "2031-03-07T15:00")), with("Idempotency-Key", "one")).
		refused(http.StatusUnprocessableEntity, "idempotency_mismatch")
	var booked BookedView
	require.Equal(t, http.StatusCreated, f.say("/v1/appointments", f.wanted(), with("Idempotency-Key", "one")).ok(&booked).Status)
	require.Equal(t, 1, f.fridays())
}

// deadLine is a connection that breaks as soon as the answer is written.
type deadLine struct{ *httptest.ResponseRecorder }

func (deadLine) Write([]byte) (int, error) { panic(http.ErrAbortHandler) }

func TestIdempotency_KilledBeforeTheAnswerIsSent_TheRepeatGetsIt(t *testing.T) {
	t.Parallel()
	f := newDayFixture(t)
	body, err := json.Marshal(f.wanted())
	require.NoError(t, err)
	r := httptest.NewRequest(http.MethodPost, "/v1/appointments", strings.NewReader(string(body)))
	for _, o := range []option{with("Content-Type", "application/json"), with("Idempotency-Key", "one"), withKey(f.key)} {
		o(r)
	}
	require.Panics(t, func() { f.server.ServeHTTP(deadLine{httptest.NewRecorder()}, r) })
	require.Equal(t, 1, f.fridays())
	var booked BookedView
	again := f.say("/v1/appointments", f.wanted(), with("Idempotency-Key", "one")).ok(&booked)
	require.Equal(t, http.StatusCreated, again.Status)
	require.Equal(t, "true", again.Header.Get("Idempotent-Replayed"))
	require.Equal(t, 1, f.fridays())
	require.Equal(t, 1, f.count(`select count(*) from appointments where id = $1 and starts_at = '2031-03-07T19:00:00Z'`, policy.ID(booked.ID)))
	f.say("/v1/appointments", f.wanted(set("starts_at", "2031-03-07T15:00")), with("Idempotency-Key", "one")).
		refused(http.StatusUnprocessableEntity, "idempotency_mismatch")
}

func TestIdempotency_BeforeTheCommit_InFlightAndNobodySeesTheVisit(t *testing.T) {
	t.Parallel()
	f := newDayFixture(t)
	f.exec(`create function wait_here() returns trigger language plpgsql as $$ begin perform pg_advisory_xact_lock(42); return null; end $$`)
	f.exec(`create trigger wait_here after insert on appointments execute function wait_here()`)
	f.exec(`select pg_advisory_lock(42)`)
	var wg sync.WaitGroup
	var first answer
	wg.Go(func() { first = f.say("/v1/appointments", f.wanted(), with("Idempotency-Key", "one")) })
	require.Eventually(t, func() bool {
		return f.count(`select count(*) from pg_locks where locktype = 'advisory' and objid = 42 and not granted`) == 1
	}, 10*time.Second, 5*time.Millisecond)
	require.Zero(t, f.fridays())
	f.say("/v1/appointments", f.wanted(), with("Idempotency-Key", "one")).refused(http.StatusConflict, "in_flight")
	f.exec(`select pg_advisory_unlock(42)`)
	wg.Wait()
	require.Equal(t, http.StatusCreated, first.Status, first.Body)
	require.Equal(t, 1, f.fridays())
}

func TestIdempotency_AttemptThatLostItsKey_UndoesWhatItDid(t *testing.T) {
	t.Parallel()
	f := newDayFixture(t)
	f.exec(`create function overtaken() returns trigger language plpgsql as $$
		begin update idempotency_keys set locked_until = locked_until + interval '1 second' where state = 'in_flight'; return null; end $$`)
	f.exec(`create trigger overtaken after insert on appointments execute function overtaken()`)
	f.exec(`alter function overtaken() security definer`)
	f.say("/v1/appointments", f.wanted(), with("Idempotency-Key", "one")).refused(http.StatusConflict, "in_flight")
	require.Zero(t, f.fridays())
}

func TestIdempotency_BookingsReply_IsKeptWithoutItsLink(t *testing.T) {
	t.Parallel()
	f := newDayFixture(t)
	var first, again BookedView
	a := f.say("/v1/appointments", f.wanted(), with("Idempotency-Key", "one")).ok(&first)
	require.NotEmpty(t, first.IntakeURL)
	require.Zero(t, f.count(`select count(*) from idempotency_keys where convert_from(reply, 'UTF8') like '%/l/%'`))
	b := f.say("/v1/appointments", f.wanted(), with("Idempotency-Key", "one")).ok(&again)
	require.Empty(t, again.IntakeURL)
	require.Equal(t, first.AppointmentView, again.AppointmentView)
	require.Equal(t, a.Status, b.Status)
	require.Equal(t, a.Header.Get("Content-Type"), b.Header.Get("Content-Type"))
}

func TestIdempotency_CommandThatFailsAfterAnother_LeavesTheEarlierOne(t *testing.T) {
	t.Parallel()
	f := newDayFixture(t)
	ctx, held := f.store.Hold(context.Background(), f.practice.ID)
	booked := func(at string) error {
		_, err := f.desk.Book(ctx, f.staff(), desk.BookInput{
			Client: f.client, Service: f.practice.Services[0], Provider: f.practice.Providers[0], Location: f.practice.Locations[0], StartsAt: at, Source: "admin",
		})
		return err
	}
	require.Error(t, booked("2031-03-06T10:00"), "taken")
	require.False(t, held.Begun())
	require.NoError(t, booked("2031-03-07T14:00"))
	require.Error(t, booked("2031-03-07T14:00"), "seen through the same transaction")
	require.NoError(t, booked("2031-03-07T15:00"))
	require.Zero(t, f.fridays())
	require.NoError(t, held.Rollback(context.Background()))
	require.NoError(t, booked("2031-03-07T14:00"))
	require.NoError(t, held.Rollback(context.Background()))
	require.Zero(t, f.fridays())
}
