package main

import (
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kept-practice/kept/internal/proof"
	"github.com/kept-practice/kept/internal/proof/fault"
)

// Work should go on within 15 s of a kill. How long it took is reported; since it says as much about the machine's other work as
// about kept, a test fails only when work hangs.
const (
	aimOutage  = 15 * time.Second
	mostOutage = 45 * time.Second
)

// soakTime is how long the soak may walk; 0 in the ordinary tests.
func soakTime(t *testing.T) time.Duration {
	t.Helper()
	text := os.Getenv("KEPT_SOAK_MINUTES")
	if text == "" {
		return 0
	}
	minutes, err := strconv.ParseFloat(text, 64)
	require.NoError(t, err, "KEPT_SOAK_MINUTES is a number")
	return time.Duration(minutes * float64(time.Minute))
}

// TestFault_KillAtBoundaries walks cells of step × boundary × process: 24 that the commit chooses, in the soak as many of all
// as time allows.
func TestFault_KillAtBoundaries_JourneyEndsInTheSameState(t *testing.T) {
	seed, soak := seedOfTests(t), soakTime(t)
	cells := fault.Shuffled(fault.Possible(), seed)
	if soak == 0 {
		cells = cells[:24]
	}
	f := startFaulted(t)
	want := f.play(t)
	began := time.Now()
	var walked int
	var missed []string
	var outages recovery
	for _, cells := range fault.Plays(cells, 4) {
		if soak > 0 && time.Since(began) > soak {
			break
		}
		var kills []*armed
		for _, c := range cells {
			kills = append(kills, atCell(c))
		}
		played := time.Now()
		got := f.play(t, kills...)
		for name, d := range got.resumed {
			t.Logf("%s: resumed after %s", name, d.Round(10*time.Millisecond))
			require.LessOrEqual(t, d, mostOutage, name)
			outages = append(outages, d)
		}
		t.Logf("play of %d cells: %s", len(cells), time.Since(played).Round(100*time.Millisecond))
		require.Equal(t, want.end, got.end, "%v", cells)
		missed = append(missed, got.missed...)
		walked += len(cells)
	}
	proof.Tell(t, "kills at %d of %d cells (%d cannot exist): the same end state and 0 broken invariants in each; %s", walked, len(fault.Cells()),
		len(fault.Cells())-len(fault.Possible()), outages)
	require.Empty(t, missed, "every boundary is passed")
}

// TestFault_KillsAtRandom kills each process once at a random report of the play.
func TestFault_KillsAtRandomPoints_JourneyEndsInTheSameState(t *testing.T) {
	seed, seeds := seedOfTests(t), 3
	if soakTime(t) > 0 {
		seeds = 20
	}
	f := startFaulted(t)
	want := f.play(t)
	var outages recovery
	for n := range seeds {
		chance := rand.New(rand.NewPCG(seed, uint64(n)))
		victims := fault.Processes()
		chance.Shuffle(len(victims), func(i, j int) { victims[i], victims[j] = victims[j], victims[i] })
		points := make([]int, len(victims))
		for i := range points {
			points[i] = 1 + chance.IntN(want.reports)
		}
		slices.Sort(points)
		var kills []*armed
		for i, victim := range victims {
			kills = append(kills, &armed{
				Kill: &fault.Kill{Victim: victim, When: fault.After(points[i]), Goes: fault.BackFrom(victim)}, name: string(victim) + " at report " + strconv.Itoa(points[i]), until: 9,
			})
		}
		got := f.play(t, kills...)
		for name, d := range got.resumed {
			t.Logf("seed %d, %s: resumed after %s", n, name, d.Round(10*time.Millisecond))
			require.LessOrEqual(t, d, mostOutage, name)
			outages = append(outages, d)
		}
		require.NotEmpty(t, got.resumed, "some point was reached")
		require.Equal(t, want.end, got.end, "seed %d: %v", n, points)
	}
	proof.Tell(t, "%d seeds from %#x: the same end state and 0 broken invariants in each; %s", seeds, seed, outages)
}
