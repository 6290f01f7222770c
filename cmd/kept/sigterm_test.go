package main

import (
	"context"
	"errors"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kept-practice/kept/internal/desk"
	"github.com/kept-practice/kept/internal/embedded"
	"github.com/kept-practice/kept/internal/proof"
)

// TestSigterm_RollingReplacementUnderLoad_CutsNoCallAndNoRequest: two workers and two apis are replaced one after the other,
// again and again, while clients book and the mail gateway takes one to three seconds for each letter.
func TestSigterm_RollingReplacementUnderLoad_CutsNoCallAndNoRequest(t *testing.T) {
	t.Parallel()
	database := proof.NewDatabase(t)
	r := newRig(t, database, database)
	r.startTemporal()
	r.open(desk.ModeTest, nil)
	r.clock(testNoon)
	r.run("sandbox")
	for range 300 {
		for delay := 1000; delay <= 3000; delay += 1000 {
			r.fault("mail", "slow", 1, delay)
		}
	}
	front := &balancer{rig: r}
	for i := range front.apis {
		front.start(i)
	}
	workers := [2]*child{r.child("worker"), r.child("worker")}

	ctx, stop := context.WithTimeout(t.Context(), outage(20*time.Second))
	defer stop()
	var booking sync.WaitGroup
	var requests tally
	requests.next = front
	const clients = 4
	var booked atomic.Int64
	for range clients {
		booking.Go(func() {
			for ctx.Err() == nil {
				r.book(t.Context(), &requests, r.apiURL(), r.person())
				booked.Add(1)
				<-time.After(300 * time.Millisecond)
			}
		})
	}
	stopped, underWay := 0, 0
	for turn := 0; ctx.Err() == nil; turn++ {
		<-time.After(2 * time.Second)
		next := r.child("worker")
		underWay += r.count(`select count(*) from effects where state = 'claimed'`)
		require.NoError(t, workers[turn%2].terminate(), "worker")
		workers[turn%2] = next
		require.NoError(t, front.apis[turn%2].process.terminate(), "api")
		front.start(turn % 2)
		stopped += 2
	}
	booking.Wait()
	r.drained(60 * time.Second)
	n := int(booked.Load())
	require.Zero(t, requests.failed.Load(), "of %d requests", requests.made.Load())
	require.Zero(t, r.count(`select count(*) from effects where state = 'unknown'`), "of %d calls", n)
	require.Equal(t, map[string]int{"mail": n}, r.ledger(), "one confirmation each")
	require.Equal(t, n, r.count(`select count(*) from effects where state = 'accepted' and attempt = 1 and key like 'confirmation/%'`))
	require.Positive(t, underWay)
	proof.Tell(t, "%d processes asked to end, with %d calls under way: 0 of %d requests failed, 0 of %d messages unknown or sent twice; %d comparisons hold",
		stopped, underWay, requests.made.Load(), n, r.judged())
}

// balancer sends each request to one of two apis, and to the other when nobody listens, as load balancers do. What was begun
// is not repeated.
type balancer struct {
	rig  *rig
	apis [2]struct {
		process *child
		address atomic.Pointer[string]
	}
	turn atomic.Int64
}

// start begins an api on a port of its own and returns when it answers.
func (b *balancer) start(i int) {
	b.rig.t.Helper()
	port, err := embedded.FreePort()
	require.NoError(b.rig.t, err)
	address := loopback(port)
	b.apis[i].process = b.rig.child("api", "KEPT_ADDR="+address)
	ctx, cancel := context.WithTimeout(b.rig.t.Context(), 30*time.Second)
	defer cancel()
	require.NoError(b.rig.t, until200(ctx, "http://"+address+"/readyz"), b.rig.out)
	b.apis[i].address.Store(&address)
}

func (b *balancer) RoundTrip(request *http.Request) (*http.Response, error) {
	first := int(b.turn.Add(1) % 2)
	reply, err := b.to(first, request)
	var dial *net.OpError
	if errors.As(err, &dial) && dial.Op == "dial" {
		return b.to(1-first, request)
	}
	return reply, err
}

func (b *balancer) to(i int, request *http.Request) (*http.Response, error) {
	sent := request.Clone(request.Context())
	sent.URL.Host = *b.apis[i].address.Load()
	if request.GetBody != nil {
		var err error
		if sent.Body, err = request.GetBody(); err != nil {
			return nil, err
		}
	}
	return http.DefaultTransport.RoundTrip(sent)
}
