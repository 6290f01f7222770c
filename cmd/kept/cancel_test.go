package main

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kept-practice/kept/internal/desk"
	"github.com/kept-practice/kept/internal/proof"
)

// TestCancel_WhileTheGatewayPutsAStepOff_IsSeenWithinASecond: patience is a fact, so a run that waits for a gateway sees at once
// that its client cancelled, and calls no more.
func TestCancel_WhileTheGatewayPutsAStepOff_IsSeenWithinASecond(t *testing.T) {
	database := proof.NewDatabase(t)
	r := newRig(t, database, database)
	r.startTemporal()
	r.open(desk.ModeTest, nil)
	r.clock(testNoon)
	r.run()
	r.fault("mail", "429", 10_000, 0)
	const visits = 10
	var booked []answer
	for range visits {
		booked = append(booked, r.book(t.Context(), http.DefaultTransport, r.apiURL(), r.person()))
	}
	require.Eventually(t, func() bool {
		return r.count(`select count(*) from effects where state = 'failed' and not final and attempt >= 2`) == visits
	}, 60*time.Second, 50*time.Millisecond, "every letter was put off twice")
	var last time.Time // try
	require.NoError(t, r.sql.QueryRow(t.Context(), `select max(next_at) from effects`).Scan(&last))
	staff := &caller{base: r.apiURL(), key: r.practice.Key.Text, http: &http.Client{Timeout: 20 * time.Second}}
	var seen []time.Duration
	for _, visit := range booked {
		_, err := staff.post(t.Context(), "/v1/appointments/"+visit.text("id")+"/cancel", map[string]any{"reason": "asked"})
		require.NoError(t, err)
		committed := time.Now()
		for r.count(`select count(*) from outbox`) > 0 {
			require.Less(t, time.Since(committed), 10*time.Second, "from the commit to the plan that saw it")
		}
		seen = append(seen, time.Since(committed))
	}
	slices.Sort(seen)
	require.Less(t, seen[visits*9/10-1], time.Second, "nine in ten, on a machine that may be doing other things")
	calls := r.struck()
	past, stop := context.WithDeadline(t.Context(), last.Add(3*time.Second))
	defer stop()
	<-past.Done()
	require.Equal(t, visits, r.count(`select count(*) from effects where key like 'confirmation/%' and state = 'refused' and final`))
	require.Equal(t, calls, r.struck(), "called after the cancellation")
	require.Empty(t, r.ledger())
	proof.Tell(t, "%d cancellations seen after %s at the median, %s at most; 0 calls after them, %d before; %d comparisons hold",
		visits, seen[visits/2].Round(time.Millisecond), seen[visits-1].Round(time.Millisecond), calls, r.judged())
}

// struck counts the calls that the sandbox's faults have met.
func (r *rig) struck() (n int) {
	r.t.Helper()
	reply, err := http.Get(r.sandboxURL() + "/api/faults")
	require.NoError(r.t, err)
	defer func() { require.NoError(r.t, reply.Body.Close()) }()
	var all struct {
		Faults []struct {
			Struck int `json:"struck"`
		} `json:"faults"`
	}
	require.NoError(r.t, json.NewDecoder(reply.Body).Decode(&all))
	for _, f := range all.Faults {
		n += f.Struck
	}
	return n
}
