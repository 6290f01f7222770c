package main

import (
	"context"
	"net/http"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kept-practice/kept/internal/desk"
	"github.com/kept-practice/kept/internal/proof"
)

// outage is how long something is away: short in `make test`, ten minutes in `make soak` where that leaves room for them.
func outage(short time.Duration) time.Duration {
	minutes, err := strconv.Atoi(os.Getenv("KEPT_SOAK_MINUTES"))
	if err != nil {
		return short
	}
	return time.Duration(min(minutes, 10)) * time.Minute
}

// backlogTime is twice the outage, and a minute after a short one: what a fresh server and new connections cost weighs more
// there, on a machine that may be doing other things.
func backlogTime(away time.Duration) time.Duration { return max(2*away, time.Minute) }

// TestOutage_TemporalAwayAlsoAtTheStart_BookingsAndLinksAnswer: the click never waits for Temporal, and what gathered
// meanwhile is gone in time.
func TestOutage_TemporalAwayAlsoAtTheStart_BookingsAndLinksAnswer(t *testing.T) {
	t.Parallel()
	database := proof.NewDatabase(t)
	r := newRig(t, database, database)
	r.open(desk.ModeTest, nil)
	r.clock(testNoon)
	r.run()

	began := time.Now()
	first, slowest := r.bookFor(outage(15 * time.Second))
	away := time.Since(began)
	r.startTemporal()
	took := r.drained(backlogTime(away))
	require.Equal(t, map[string]int{"mail": len(first)}, r.ledger(), "one confirmation each")
	proof.Tell(t, "started without Temporal, which came after %s: 0 of %d bookings failed, slowest %s; backlog gone after %s",
		away.Round(time.Second), len(first), slowest.Round(time.Millisecond), took.Round(100*time.Millisecond))

	client, pages := r.confirmPages(first)
	r.stopTemporal()
	began = time.Now()
	var clicks tally
	client.http.Transport = &clicks
	for _, p := range pages {
		_, err := client.send(t.Context(), p, nil)
		require.NoError(t, err)
	}
	require.Zero(t, clicks.failed.Load(), "of %d link POSTs", len(pages))
	second, slowest := r.bookFor(outage(12*time.Second) - time.Since(began))
	away = time.Since(began)
	require.NoError(t, r.server.Start(t.Context()))
	took = r.drained(backlogTime(away))
	require.Equal(t, len(pages), r.count(`select count(*) from appointments where status = 'confirmed'`))
	require.Equal(t, map[string]int{"mail": len(first) + len(second)}, r.ledger(), "one confirmation each")
	proof.Tell(t, "Temporal away for %s: 0 of %d link POSTs and 0 of %d bookings failed, slowest %s; backlog gone after %s; %d comparisons hold",
		away.Round(time.Second), len(pages), len(second), slowest.Round(time.Millisecond), took.Round(100*time.Millisecond), r.judged())
}

// testNoon is on a working day, far from quiet hours.
var testNoon = time.Date(2027, 3, 1, 12, 0, 0, 0, time.UTC)

// bookFor books about four visits a second over HTTP for a while; no request may fail. It tells their clients' mailboxes.
func (r *rig) bookFor(long time.Duration) (mailboxes []string, slowest time.Duration) {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), long)
	defer cancel()
	rhythm := time.NewTicker(250 * time.Millisecond)
	defer rhythm.Stop()
	var requests tally
	for {
		someone, at := r.person(), time.Now()
		r.book(r.t.Context(), &requests, r.apiURL(), someone)
		mailboxes, slowest = append(mailboxes, someone.mailbox), max(slowest, time.Since(at))
		require.Zero(r.t, requests.failed.Load(), "of %d requests", requests.made.Load())
		select {
		case <-ctx.Done():
			return mailboxes, slowest
		case <-rhythm.C:
		}
	}
}

// confirmPages opens the link to confirm in each client's mail, in one browser.
func (r *rig) confirmPages(mailboxes []string) (*browser, []page) {
	r.t.Helper()
	sandbox := &caller{base: r.sandboxURL(), http: http.DefaultClient}
	client, err := newBrowser()
	require.NoError(r.t, err)
	var pages []page
	for _, address := range mailboxes {
		box, err := sandbox.get(r.t.Context(), "/api/messages?to="+address)
		require.NoError(r.t, err)
		require.Len(r.t, box.list("messages"), 1)
		button, err := link(box.list("messages")[0], "Confirm that you will come")
		require.NoError(r.t, err)
		opened, err := client.open(r.t.Context(), button)
		require.NoError(r.t, err)
		pages = append(pages, opened)
	}
	return client, pages
}
