package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/kept-practice/kept/internal/proof/fault"
)

// armed is a kill and the scenes of the play during which it waits for its boundary.
type armed struct {
	*fault.Kill
	name  string
	from  int // first scene
	until int // last scene
}

// outcome of one play of the demo.
type outcome struct {
	end     []string // where every process of the client's chain stands
	reports int
	resumed map[string]time.Duration // by name of the kill
	missed  []string                 // kills whose boundary was not passed
}

// scenePlays tells in which scene of the demo a step takes place.
var scenePlays = map[fault.Step]int{
	fault.Hold: 1, fault.Book: 1, fault.IntakeSend: 2, fault.Confirm: 2, fault.IntakeSubmit: 3, fault.Reminder: 4, fault.VisitDone: 5,
	fault.Invoice: 6, fault.Dunning: 7, fault.Pay: 8, fault.Recall: 9,
}

// atCell is the kill of a cell. A ring follows the answer and may come when the next scene has begun.
func atCell(c fault.Cell) *armed {
	mark, _ := c.Mark()
	a := &armed{
		Kill: &fault.Kill{Victim: c.Process, When: mark.Matches, Goes: c.GoesOn}, name: c.String(),
		from: scenePlays[c.Step], until: scenePlays[c.Step],
	}
	if c.Boundary == fault.Rung || c.Boundary == fault.Committed {
		a.until++
	}
	return a
}

// play acts the whole demo with these kills and judges every invariant at its end.
func (f *faulted) play(t *testing.T, kills ...*armed) outcome {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), demoTime)
	defer cancel()
	var said strings.Builder
	p, err := newPlay(ctx, &said, f.at)
	require.NoError(t, err)
	defer p.store.Close()
	practice := p.practice.ID.String()
	var watched []*fault.Kill
	for _, k := range kills {
		k.When, k.Goes = of(practice, k.When), of(practice, k.Goes)
		watched = append(watched, k.Kill)
	}
	var reports atomic.Int64
	count := &fault.Kill{When: of(practice, func(fault.Hit) bool { reports.Add(1); return false })}
	count.Arm()
	watched = append(watched, count)
	f.conductor.Watch(watched...)
	for i, scene := range p.scenes() {
		for _, k := range kills {
			if k.from == i {
				k.Arm()
			}
		}
		if err := scene.act(ctx); err != nil {
			require.NoError(t, err, "%s\n%s%s", scene.name, said.String(), f.up.out.String())
		}
		for _, k := range kills {
			if k.until == i || k.Fired() {
				k.Disarm()
			}
		}
	}
	require.NoError(t, f.conductor.Err())
	require.NoError(t, p.judge(ctx), said.String())
	out := outcome{end: f.endState(t, practice), reports: int(reports.Load()), resumed: map[string]time.Duration{}}
	for _, k := range kills {
		if k.Fired() {
			out.resumed[k.name] = k.Disarm()
		} else {
			out.missed = append(out.missed, k.name)
		}
	}
	return out
}

// of leaves out what other practices do meanwhile.
func of(practice string, is func(fault.Hit) bool) func(fault.Hit) bool {
	return func(h fault.Hit) bool { return (h.Practice == "" || h.Practice == practice) && is(h) }
}

// endState is what a person would call the state of the practice: how each visit, bill, recall and run ended and what was done
// on the way. A message that was sent again counts as its first attempt would have; ids and attempts are left out.
func (f *faulted) endState(t *testing.T, practice string) []string {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), f.at.DatabaseURL)
	require.NoError(t, err)
	defer func() { require.NoError(t, conn.Close(context.Background())) }()
	rows, err := conn.Query(t.Context(), `
		select 'visit ' || status from appointments where practice_id = $1
		union all select 'invoice ' || status || ' ' || total from invoices where practice_id = $1
		union all select 'payment ' || kind || ' ' || status from payments where practice_id = $1 and status in ('succeeded', 'failed')
		union all select 'recall ' || status from recalls where practice_id = $1
		union all select 'papers ' || status from packets where practice_id = $1
		union all select 'run of ' || kind || ' ' || status || ' ' || stage from subjects where practice_id = $1
		union all select 'task ' || kind from tasks where practice_id = $1 and status in ('open', 'claimed')
		union all (
			select distinct 'done ' || subject_kind || ' ' || regexp_replace(key, '/again\d+$', '') || ' ' || state from effects
			where practice_id = $1 and state <> 'unknown')
		order by 1`, practice)
	require.NoError(t, err)
	lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	return lines
}

// seedOfTests is KEPT_SEED, else the commit's, so that every commit tries other cells and each can be tried again.
func seedOfTests(t *testing.T) uint64 {
	t.Helper()
	given := os.Getenv("KEPT_SEED")
	if given == "" {
		commit, err := exec.Command("git", "rev-parse", "HEAD").Output()
		if err != nil {
			t.Log("no commit to take the seed from: 1")
			return 1
		}
		given = "0x" + string(commit[:12])
	}
	seed, err := strconv.ParseUint(given, 0, 64)
	require.NoError(t, err, "KEPT_SEED is a number")
	t.Logf("seed: KEPT_SEED=%#x go test ./cmd/kept -run '%s'", seed, t.Name())
	return seed
}

// recovery tells how long work stood still after each kill.
type recovery []time.Duration

func (r recovery) String() string {
	if len(r) == 0 {
		return "no kill took place"
	}
	slices.Sort(r)
	late := 0
	for _, d := range r {
		if d > aimOutage {
			late++
		}
	}
	return fmt.Sprintf("%d kills, work resumed after p50 %s, longest %s, later than %s: %d of %d", len(r),
		r[len(r)/2].Round(10*time.Millisecond), r[len(r)-1].Round(10*time.Millisecond), aimOutage, late, len(r))
}
