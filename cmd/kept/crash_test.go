package main

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/kept-practice/kept/internal/desk"
	"github.com/kept-practice/kept/internal/embedded"
	"github.com/kept-practice/kept/internal/policy"
	"github.com/kept-practice/kept/internal/proof"
	"github.com/kept-practice/kept/internal/proof/fault"
	"github.com/kept-practice/kept/internal/wake"
)

// crashes is a practice whose worker is killed again and again at chosen moments of its effects.
type crashes struct {
	*rig
	conductor *fault.Conductor
	chance    *rand.Rand
	want      int            // crashes in all
	made      map[string]int // by moment
	again     int            // messages that the staff sent again

	mu     sync.Mutex
	worker *exec.Cmd
}

// TestFault_CrashedWorker kills a re-executed worker at every moment of confirmations, reminders, invoices and charges: 40 times,
// in the soak 1,000.
func TestFault_CrashedWorker_NothingTwice_NothingLostUnseen(t *testing.T) {
	seed := seedOfTests(t)
	c := &crashes{want: 40, chance: rand.New(rand.NewPCG(seed, 1)), made: map[string]int{}}
	visits := 10
	if soakTime(t) > 0 {
		c.want, visits = 1000, 250
	}
	c.rig = newRig(t, proof.NewDatabase(t), os.Getenv("KEPT_TEST_POSTGRES"))
	c.conductor = fault.NewConductor(c.slay)
	t.Cleanup(c.conductor.Close)
	c.run("sandbox", "api")
	c.open(desk.ModeTest, c.manyProviders)
	c.clock(testNoon)
	clients := c.clientsWithCards(5)
	first := testNoon.AddDate(0, 0, 9)
	var booked []desk.Booked
	for n := range visits {
		booked = append(booked, c.visitOf(clients[n%len(clients)], first.Add(time.Duration(n/providers)*30*time.Minute), n))
	}
	c.workUntil(first.AddDate(0, 0, 1))
	for _, b := range booked {
		_, err := c.desk.SetStatus(t.Context(), c.by, desk.StatusInput{Appointment: b.Appointment.ID, Verb: policy.VerbComplete})
		require.NoError(t, err)
	}
	c.workUntil(first.AddDate(0, 0, 2))
	c.workUntil(first.AddDate(0, 0, 4)) // whoever must be asked about an unknown outcome has been
	c.judge()
}

// providers see clients at the same hour, so that many effects fall due at one instant.
const providers = 50

func (c *crashes) manyProviders(s *desk.Setup) {
	for i := len(s.Providers); i < providers; i++ {
		s.Providers = append(s.Providers, desk.SetupProvider{
			Name: "Provider", Mail: fmt.Sprintf("provider%d@harbourlane.example.org", i), Hours: s.Providers[0].Hours,
		})
	}
}

// clientsWithCards takes on clients who leave a card that pays.
func (c *crashes) clientsWithCards(n int) (all []person) {
	staff := &caller{base: c.apiURL(), key: c.practice.Key.Text, http: &http.Client{Timeout: 20 * time.Second}}
	for range n {
		who := c.person()
		setup, err := staff.post(c.t.Context(), "/v1/clients/"+spelled("cli", who.id)+"/card-setup", map[string]any{"return_url": c.apiURL() + "/docs"})
		require.NoError(c.t, err)
		b, err := newBrowser()
		require.NoError(c.t, err)
		checkout, err := b.open(c.t.Context(), setup.text("url"))
		require.NoError(c.t, err)
		_, err = b.send(c.t.Context(), checkout, map[string]string{"number": "4242424242424242"})
		require.NoError(c.t, err)
		all = append(all, who)
	}
	require.Eventually(c.t, func() bool { return c.count(`select count(*) from inbox`) >= n }, 20*time.Second, 20*time.Millisecond)
	return all
}

// workUntil starts the worker again after each crash, until everything that is due before the target is done and the staff have
// nothing to answer.
func (c *crashes) workUntil(target time.Time) {
	c.t.Helper()
	for {
		kill, name := c.next()
		err := c.live(target)
		if kill.Fired() {
			c.made[name]++
			require.ErrorContains(c.t, err, "killed", c.out)
			continue
		}
		require.NoError(c.t, err, c.out)
		if !c.answer() {
			return
		}
	}
}

// live is one life of the worker, to its kill or to its end.
func (c *crashes) live(target time.Time) error {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(append(os.Environ(), c.env...), "KEPT_TEST_PLAYS=crash worker", "KEPT_TEST_CONDUCTOR="+c.conductor.URL(),
		"KEPT_TEST_PRACTICE="+c.practice.ID.String(), "KEPT_TEST_TARGET="+target.Format(time.RFC3339))
	cmd.Stdout, cmd.Stderr = c.out, c.out
	embedded.Tie(cmd, syscall.SIGKILL)
	c.mu.Lock()
	err := cmd.Start()
	c.worker = cmd
	c.mu.Unlock()
	if err != nil {
		return err
	}
	return cmd.Wait()
}

func (c *crashes) slay(fault.Process) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.worker.Process.Kill()
}

// next arms the next kill: the moments take turns, and one to three effects are let through before.
func (c *crashes) next() (*fault.Kill, string) {
	made := c.total()
	point := crashPoints[made%len(crashPoints)]
	let := c.chance.IntN(3)
	kill := &fault.Kill{Victim: fault.Worker, When: func(h fault.Hit) bool {
		if h.From != fault.Worker || h.At != point.at || !strings.Contains(h.What, point.what) {
			return false
		}
		let--
		return let < 0
	}}
	if made < c.want {
		kill.Arm()
	}
	c.conductor.Watch(kill)
	return kill, point.name
}

func (c *crashes) total() (n int) {
	for _, made := range c.made {
		n += made
	}
	return n
}

// answer is what the staff do: resume a channel that was paused, and send again what they are asked about. It tells whether they
// had anything to do.
func (c *crashes) answer() (acted bool) {
	c.t.Helper()
	ctx := c.t.Context()
	if c.count(`select count(*) from channel_pauses where practice_id = $1 and resumed_at is null`, c.practice.ID) > 0 {
		_, err := c.desk.ResumeChannel(ctx, c.by, policy.ChannelMail, "the worker is steady again")
		require.NoError(c.t, err)
		acted = true
	}
	rows, err := c.sql.Query(ctx, `select subject_kind, subject_id, step_key from tasks
		where practice_id = $1 and kind = 'outcome_unknown' and status = 'open'`, c.practice.ID)
	require.NoError(c.t, err)
	asked, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (desk.OverrideInput, error) {
		in := desk.OverrideInput{Subject: policy.Subject{Practice: c.practice.ID}, Verb: policy.VerbSendAgain, Reason: "it may not have been sent"}
		return in, row.Scan(&in.Subject.Kind, &in.Subject.ID, &in.Step)
	})
	require.NoError(c.t, err)
	for _, in := range asked {
		_, err := c.desk.Override(ctx, c.by, in)
		require.NoError(c.t, err, in.Step)
	}
	c.again += len(asked)
	return acted || len(asked) > 0
}

// judge compares our books with the gateways'.
func (c *crashes) judge() {
	c.t.Helper()
	ctx := c.t.Context()
	require.NoError(c.t, wake.NewSealer(c.store, nil).SealAll(ctx))
	violations, report, err := proof.Check(ctx, proof.Books{Database: c.database, Sandbox: c.sandboxURL(), Practices: []policy.ID{c.practice.ID}})
	require.NoError(c.t, err)
	require.Empty(c.t, violations)
	for state, n := range map[string]int{"claimed": 0, "failed": 0} {
		require.Equal(c.t, n, c.count(`select count(*) from effects where practice_id = $1 and state = $2`, c.practice.ID, state), state)
	}
	unseen := c.count(`select count(*) from effects e where practice_id = $1 and state = 'unknown'
		and not exists (select from effects a where a.practice_id = e.practice_id and a.subject_id = e.subject_id and a.key like e.key || '/again%')
		and not exists (select from tasks t where t.practice_id = e.practice_id and t.subject_id = e.subject_id and t.step_key = e.key)`, c.practice.ID)
	require.Zero(c.t, unseen, "an unknown outcome is sent again or waits for a person")
	require.Equal(c.t, c.want, c.total(), "there were effects enough to crash in")
	for _, point := range slices.Sorted(maps.Keys(c.made)) {
		c.t.Logf("crashes %-24s %d", point, c.made[point])
	}
	proof.Tell(c.t, "%d crashes over %d effects: 0 duplicate charges of %d, 0 duplicate messages of %d, 0 lost unseen; %d outcomes unknown, %d sent again by staff",
		c.total(), c.count(`select count(*) from effects where practice_id = $1`, c.practice.ID),
		c.count(`select count(*) from payments where practice_id = $1 and status = 'succeeded'`, c.practice.ID),
		c.count(`select count(*) from messages where practice_id = $1`, c.practice.ID),
		c.count(`select count(*) from effects where practice_id = $1 and state = 'unknown'`, c.practice.ID), c.again)
	c.t.Log(report)
}

// visitOf books a check-up for a client at a time that no other visit has.
func (c *crashes) visitOf(who person, at time.Time, provider int) desk.Booked {
	c.t.Helper()
	booked, err := c.desk.Book(c.t.Context(), c.by, desk.BookInput{
		Client: who.id, Service: c.practice.Services[2], Provider: c.practice.Providers[provider%len(c.practice.Providers)],
		Location: c.practice.Locations[0], StartsAt: at.UTC().Format(time.RFC3339), Override: true, Source: "admin",
	})
	require.NoError(c.t, err)
	return booked
}
