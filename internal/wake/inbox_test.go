package wake

import (
	"context"
	"errors"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kept-practice/kept/db"
	"github.com/kept-practice/kept/internal/policy"
)

func (b *bench) event(name string) policy.ID {
	b.t.Helper()
	id := db.NewID()
	b.exec(`insert into inbox (id, gateway, event_id, type, body) values ($1, 'stripe', $2, 'charge.succeeded', 'raw')`, id, name)
	return id
}

func (b *bench) eventState(id policy.ID) string {
	b.t.Helper()
	return one[string](b, `select state from inbox where id = $1`, id)
}

func newInbox(b *bench, f Temporal, apply Apply) *Inbox {
	return NewInbox(b.store, NewRinger(f, nil), apply, quiet)
}

func TestInbox_Applied_SettledAndRung(t *testing.T) {
	t.Parallel()
	b, f := newBench(t), &bell{}
	id := b.event("evt_1")
	s := policy.Subject{Practice: b.test.ID, Kind: policy.KindCollection, ID: db.NewID()}
	inbox := newInbox(b, f, func(_ context.Context, e Event) (Applied, error) {
		require.Equal(t, "evt_1", e.EventID)
		require.Equal(t, "raw", string(e.Body))
		require.Equal(t, 1, e.Attempts)
		return Applied{State: "applied", Practice: &b.test.ID, Rings: []policy.Subject{s}}, nil
	})
	require.NoError(t, inbox.Turn(context.Background()))
	require.Equal(t, 1, b.count(`select count(*) from inbox where id = $1 and state = 'applied' and practice_id = $2 and settled_at is not null`, id, b.test.ID))
	require.Equal(t, 1, f.times(s))
	require.NoError(t, inbox.Turn(context.Background()))
	require.Equal(t, 1, b.count(`select attempts from inbox`))
}

func TestInbox_OneEventFails_OrPanics_OthersAreApplied(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	fails, panics, odd, parks, good := b.event("fails"), b.event("panics"), b.event("odd"), b.event("parks"), b.event("good")
	inbox := newInbox(b, &bell{}, func(_ context.Context, e Event) (Applied, error) {
		switch e.EventID {
		case "fails":
			return Applied{}, errors.New("gateway away")
		case "panics":
			panic("nil map")
		case "odd":
			return Applied{State: "done"}, nil
		case "parks":
			return Applied{State: "parked", Note: "message not known yet"}, nil
		}
		return Applied{State: "ignored", Note: "type unknown"}, nil
	})
	require.NoError(t, inbox.Turn(context.Background()))
	require.Equal(t, "ignored", b.eventState(good))
	for _, id := range []policy.ID{fails, panics, odd} {
		require.Equal(t, "new", b.eventState(id))
	}
	require.Equal(t, "parked", b.eventState(parks))
	require.Equal(t, 4, b.count(`select count(*) from inbox where settled_at is null
		and next_at between clock_timestamp() and clock_timestamp() + interval '3 seconds'`))

	b.exec(`update inbox set next_at = now(), attempts = 20 where settled_at is null`)
	require.NoError(t, inbox.Turn(context.Background()))
	require.Equal(t, 4, b.count(`select count(*) from inbox where settled_at is null
		and next_at between clock_timestamp() + interval '290 seconds' and clock_timestamp() + interval '301 seconds'`), "5 min at most")
}

func TestInbox_ThreeWorkers_EachEventOnce(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	for i := range 60 {
		b.event(string(rune('A' + i)))
	}
	var mu sync.Mutex
	seen := map[string]int{}
	apply := func(_ context.Context, e Event) (Applied, error) {
		mu.Lock()
		defer mu.Unlock()
		seen[e.EventID]++
		return Applied{State: "applied"}, nil
	}
	var all sync.WaitGroup
	for range 3 {
		all.Go(func() { require.NoError(t, newInbox(b, &bell{}, apply).Turn(context.Background())) })
	}
	all.Wait()
	require.Len(t, seen, 60)
	for id, n := range seen {
		require.Equal(t, 1, n, id)
	}
	require.Equal(t, 60, b.count(`select count(*) from inbox where state = 'applied'`))
}

func TestInbox_WorkerDiesWhileApplying_TheLeaseRunsOut(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	id := b.event("evt_1")
	taken, err := b.store.System().InboxTake(context.Background(), inboxLease, 10)
	require.NoError(t, err)
	require.Len(t, taken, 1) // and nobody ever settles it
	inbox := newInbox(b, &bell{}, func(context.Context, Event) (Applied, error) { return Applied{State: "applied"}, nil })
	require.NoError(t, inbox.Turn(context.Background()))
	require.Equal(t, "new", b.eventState(id))
	b.exec(`update inbox set next_at = next_at - interval '30 seconds'`)
	require.NoError(t, inbox.Turn(context.Background()))
	require.Equal(t, "applied", b.eventState(id))
}
