package api

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kept-practice/kept/internal/policy"
)

func key(value string) option { return with("Idempotency-Key", value) }

func TestIdempotency_Repeat_GetsTheFirstReply(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	first := f.postProbe(`{"name":"x"}`, key("k1"))
	require.Equal(t, http.StatusCreated, first.Status)
	require.Empty(t, first.Header.Get("Idempotent-Replayed"))
	again := f.postProbe(`{"name":"x"}`, key("k1"))
	require.Equal(t, "true", again.Header.Get("Idempotent-Replayed"))
	require.Equal(t, first.Status, again.Status)
	require.Equal(t, first.Body, again.Body)
	require.Equal(t, first.Header.Get("Content-Type"), again.Header.Get("Content-Type"))
	require.EqualValues(t, 1, f.runs.Load())

	f.postProbe(`{"name":"x"}`, key("k2")).ok(&map[string]any{})
	f.postProbe(`{"name":"x"}`).ok(&map[string]any{})
	require.EqualValues(t, 3, f.runs.Load())
}

func TestIdempotency_AnotherRequestUnderTheKey_Is422(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.postProbe(`{"name":"x"}`, key("k")).ok(&map[string]any{})
	p := f.postProbe(`{"name":"y"}`, key("k")).refused(422, "idempotency_mismatch")
	require.Equal(t, []string{"idempotency_mismatch header:Idempotency-Key"}, pointers(p))
	f.send(http.MethodPost, "/v1/probe/"+probeID+"/act", "", key("k")).refused(422, "idempotency_mismatch")
	require.EqualValues(t, 1, f.runs.Load())
	f.postProbe(`{"name":"y"}`, key("k"), withKey(f.keys[policy.RoleManager])).ok(&map[string]any{}) // keys of other callers are theirs
	f.postProbe(`{"name":"y"}`, key("k"), withKey(f.newKey(f.other, policy.RoleOwner, nil, nil))).ok(&map[string]any{})
}

func TestIdempotency_HundredAtOnce_OneIsCarriedOut(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	started, release := make(chan struct{}), make(chan struct{})
	f.probe = func(context.Context, *probeInput) error {
		close(started) // a second run would panic
		<-release
		return nil
	}
	var wg sync.WaitGroup
	answers := make([]answer, 100)
	wg.Go(func() { answers[0] = f.postProbe(`{"name":"x"}`, key("k")) })
	<-started
	for i := 1; i < len(answers); i++ {
		wg.Go(func() {
			if i == 99 {
				defer close(release)
			}
			answers[i] = f.postProbe(`{"name":"x"}`, key("k"))
		})
	}
	wg.Wait()
	require.EqualValues(t, 1, f.runs.Load())
	created, waiting := 0, 0
	for _, a := range answers {
		switch a.Status {
		case http.StatusCreated:
			created++
			require.Equal(t, answers[0].Body, a.Body)
		case http.StatusConflict:
			waiting++
			a.refused(409, "in_flight")
			require.Equal(t, "1", a.Header.Get("Retry-After"))
		default:
			t.Fatal(a.Status, a.Body)
		}
	}
	require.Equal(t, 100, created+waiting)
	require.Positive(t, waiting)
}

func TestIdempotency_HundredRacing_OneIsCarriedOut(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for round := range 5 {
		var wg sync.WaitGroup
		before := f.runs.Load()
		for range 20 {
			wg.Go(func() {
				a := f.postProbe(`{"name":"x"}`, key(fmt.Sprint("k", round)))
				require.Contains(t, []int{http.StatusCreated, http.StatusConflict}, a.Status, a.Body)
			})
		}
		wg.Wait()
		require.Equal(t, before+1, f.runs.Load())
	}
}

func TestIdempotency_NotNow_IsNotStored(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	var fail error
	f.probe = func(context.Context, *probeInput) error { return fail }
	for i, err := range []error{
		fmt.Errorf("inner"), policy.NewError(policy.Unavailable, "database_unavailable", "Try again."),
		policy.NewError(policy.Conflict, "clock_advancing", "The test clock is on its way."), context.Canceled,
	} {
		name := fmt.Sprint("k", i)
		fail = err
		require.GreaterOrEqual(t, f.postProbe(`{"name":"x"}`, key(name)).Status, 400)
		fail = nil
		a := f.postProbe(`{"name":"x"}`, key(name)).ok(&map[string]any{})
		require.Empty(t, a.Header.Get("Idempotent-Replayed"), err)
	}
	f.probe = func(context.Context, *probeInput) error { panic("x") }
	f.postProbe(`{"name":"x"}`, key("p")).refused(500, "internal")
	f.probe = func(context.Context, *probeInput) error { return nil }
	f.postProbe(`{"name":"x"}`, key("p")).ok(&map[string]any{})

	f.probe = func(context.Context, *probeInput) error {
		return policy.NewError(policy.Conflict, "slot_taken", "Taken.")
	}
	first := f.postProbe(`{"name":"x"}`, key("c"))
	f.probe = func(context.Context, *probeInput) error { return nil }
	again := f.postProbe(`{"name":"x"}`, key("c"))
	require.Equal(t, first.Body, again.Body, "a refusal by the true state is an answer, and is kept")
	require.Equal(t, "application/problem+json", again.Header.Get("Content-Type"))
}

func TestIdempotency_AttemptThatDied_HoldsTheKeyForHalfAMinute(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.postProbe(`{"name":"x"}`, key("k")).ok(&map[string]any{})
	f.exec("update idempotency_keys set state = 'in_flight', status = null, content_type = null, reply = null, locked_until = now() + interval '20 seconds'")
	f.postProbe(`{"name":"x"}`, key("k")).refused(409, "in_flight")
	f.exec("update idempotency_keys set locked_until = now() - interval '1 second'")
	f.postProbe(`{"name":"y"}`, key("k")).refused(422, "idempotency_mismatch")
	f.postProbe(`{"name":"x"}`, key("k")).ok(&map[string]any{})
	require.EqualValues(t, 2, f.runs.Load())
}

func TestIdempotency_AttemptThatLostItsLock_StoresNothing(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.probe = func(context.Context, *probeInput) error {
		f.exec("update idempotency_keys set locked_until = now() + interval '1 minute'") // another attempt took over
		return nil
	}
	f.postProbe(`{"name":"x"}`, key("k")).ok(&map[string]any{})
	require.Equal(t, []string{"in_flight"}, f.texts("select state from idempotency_keys"))
}

func TestIdempotency_AfterADay_TheKeyIsFresh(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.postProbe(`{"name":"x"}`, key("k")).ok(&map[string]any{})
	f.exec("update idempotency_keys set created_at = now() - interval '25 hours'")
	f.postProbe(`{"name":"y"}`, key("k")).ok(&map[string]any{})
	f.exec("update idempotency_keys set created_at = now() - interval '25 hours'")
	n, err := f.store.System().IdempotencySweep(context.Background())
	require.NoError(t, err)
	require.EqualValues(t, 1, n)
}

func TestIdempotency_KeyOfAnOddForm_Is422(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for _, options := range [][]option{
		{key("")}, {key("a b")}, {key("é")}, {key(strings.Repeat("k", 256))}, {key("a"), key("a")},
	} {
		f.postProbe(`{"name":"x"}`, options...).refused(422, "invalid_idempotency_key")
	}
	f.postProbe(`{"name":"x"}`, key(strings.Repeat("k", 255))).ok(&map[string]any{})
	require.EqualValues(t, 1, f.runs.Load())
}
