package api

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/kept-practice/kept/internal/desk"
	"github.com/kept-practice/kept/internal/policy"
	"github.com/kept-practice/kept/internal/proof"
)

// crowd is 1,000 clients of a practice with two providers who race for one day's times, every tenth time over HTTP with keep-alive.
// No sweeper runs: what is left of an expired hold is met by the commits alone.
type crowd struct {
	*dayFixture
	url     string
	http    *http.Client
	clients []policy.ID
	seed    uint64
	day     policy.LocalDate
	holds   sync.Map // int → held, for others to try
	placed  atomic.Int64
	mu      sync.Mutex
	answers map[string]int // by what was asked, status and code
}

const (
	crowdSize  = 1000
	crowdHours = 8 // 09:00 to 17:00, first visits of an hour
)

func newCrowd(t *testing.T) *crowd {
	t.Helper()
	c := &crowd{dayFixture: newDayFixture(t), answers: map[string]int{}}
	c.server.ids.most = 1 << 30 // a hold that another commit removed is a miss like a guess, and all clients share one key
	server := httptest.NewServer(c.server)
	t.Cleanup(server.Close)
	transport := &http.Transport{MaxConnsPerHost: 64, MaxIdleConnsPerHost: 64}
	t.Cleanup(transport.CloseIdleConnections)
	c.url, c.http = server.URL, &http.Client{Transport: transport}
	c.exec(`insert into clients (practice_id, id, given_name, family_name)
		select $1, gen_random_uuid(), 'Casey', 'Client ' || n from generate_series(1, $2::int) n`, c.practice.ID, crowdSize)
	rows, err := c.conn.Query(t.Context(), `select id from clients where practice_id = $1 and family_name like 'Client %' order by id`, c.practice.ID)
	require.NoError(t, err)
	for rows.Next() {
		var id policy.ID
		require.NoError(t, rows.Scan(&id))
		c.clients = append(c.clients, id)
	}
	require.NoError(t, rows.Err())
	require.Len(t, c.clients, crowdSize)
	return c
}

// wish is a time that one client asks for: minutes from nine o'clock, days after the day of the race.
type wish struct{ client, provider, minute, days int }

// door is a way to the calendar. Each call gives the code of what refused it, "" when it was done.
type door interface {
	book(w wish, hold string) (id, code string)
	hold(w wish) (id, code string)
	release(hold string) string
	cancel(visit string) string
	move(visit string, w wish) string
}

// overHTTP asks the API through real connections.
type overHTTP struct{ *crowd }

func (d overHTTP) send(method, path string, body map[string]any) (id, code string) {
	var content io.Reader
	if body != nil {
		raw, err := json.Marshal(body)
		if err != nil {
			return "", err.Error()
		}
		content = bytes.NewReader(raw)
	}
	r, err := http.NewRequestWithContext(context.Background(), method, d.url+path, content)
	if err != nil {
		return "", err.Error()
	}
	r.Header.Set("Authorization", "Bearer "+d.key)
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	reply, err := d.http.Do(r)
	if err != nil {
		return "", err.Error()
	}
	defer func() { _ = reply.Body.Close() }() // read to its end
	text, err := io.ReadAll(reply.Body)
	if err != nil {
		return "", err.Error()
	}
	out := struct{ ID, Code string }{}
	if len(text) > 0 {
		if err := json.Unmarshal(text, &out); err != nil {
			return "", err.Error()
		}
	}
	if reply.StatusCode >= 300 && out.Code == "" {
		out.Code = reply.Status
	}
	return out.ID, out.Code
}

func (d overHTTP) slot(w wish) map[string]any {
	return d.wanted(
		set("client_id", ID[clientKind](d.clients[w.client]).String()), set("starts_at", d.startsAt(w)),
		set("provider_id", ID[providerKind](d.practice.Providers[w.provider]).String()),
	)
}

func (d overHTTP) book(w wish, hold string) (id, code string) {
	slot := d.slot(w)
	if hold != "" {
		slot["hold_id"] = hold
	}
	return d.send(http.MethodPost, "/v1/appointments", slot)
}

func (d overHTTP) hold(w wish) (id, code string) {
	return d.send(http.MethodPost, "/v1/holds", d.slot(w))
}

func (d overHTTP) release(hold string) string {
	_, code := d.send(http.MethodDelete, "/v1/holds/"+hold, nil)
	if code == "hold_not_found" {
		return "" // it has run out and is gone: the desk calls that done
	}
	return code
}

func (d overHTTP) cancel(visit string) string {
	_, code := d.send(http.MethodPost, "/v1/appointments/"+visit+"/cancel", map[string]any{"reason": "Changed my mind."})
	return code
}

func (d overHTTP) move(visit string, w wish) string {
	_, code := d.send(http.MethodPost, "/v1/appointments/"+visit+"/move", map[string]any{"starts_at": d.startsAt(w)})
	return code
}

// atDesk runs the same commands without the API around them, which is faster.
type atDesk struct{ *crowd }

func spoken(err error) string {
	if code := policy.CodeOf(err); code != "" || err == nil {
		return code
	}
	return err.Error()
}

func (d atDesk) id(text string) policy.ID {
	id, err := uuid.Parse(text)
	if err != nil {
		panic(err) // it came from here
	}
	return policy.ID(id)
}

func (d atDesk) book(w wish, hold string) (id, code string) {
	in := desk.BookInput{
		Client: d.clients[w.client], Service: d.practice.Services[0], Provider: d.practice.Providers[w.provider], Location: d.practice.Locations[0],
		StartsAt: d.startsAt(w), Source: "api",
	}
	if hold != "" {
		held := d.id(hold)
		in.Hold = &held
	}
	booked, err := d.desk.Book(context.Background(), d.staff(), in)
	return booked.Appointment.ID.String(), spoken(err)
}

func (d atDesk) hold(w wish) (id, code string) {
	held, err := d.desk.PlaceHold(context.Background(), d.staff(), desk.HoldInput{
		Client: &d.clients[w.client], Service: d.practice.Services[0], Provider: d.practice.Providers[w.provider], Location: d.practice.Locations[0],
		StartsAt: d.startsAt(w),
	})
	return held.ID.String(), spoken(err)
}

func (d atDesk) release(hold string) string {
	return spoken(d.desk.ReleaseHold(context.Background(), d.staff(), d.id(hold)))
}

func (d atDesk) cancel(visit string) string {
	_, err := d.desk.SetStatus(context.Background(), d.staff(), desk.StatusInput{Appointment: d.id(visit), Verb: policy.VerbCancel, Reason: "Changed my mind."})
	return spoken(err)
}

func (d atDesk) move(visit string, w wish) string {
	_, err := d.desk.Move(context.Background(), d.staff(), desk.MoveInput{Appointment: d.id(visit), StartsAt: d.startsAt(w)})
	return spoken(err)
}

func (c *crowd) startsAt(w wish) string {
	return fmt.Sprintf("%sT%02d:%02d", c.day.AddDays(w.days), 9+w.minute/60, w.minute%60)
}

// heard keeps what a client was answered, and tells whether it was done.
func (c *crowd) heard(what, code string) bool {
	if code == "" {
		code = "done"
	}
	c.mu.Lock()
	c.answers[what+": "+code]++
	c.mu.Unlock()
	return code == "done"
}

// act is what the nth client does: the first provider is asked for whole hours only, the second for overlapping times too.
func (c *crowd) act(n int, d door) {
	random := rand.New(rand.NewPCG(c.seed, uint64(n)))
	provider := random.IntN(2)
	some := func() wish {
		if provider == 0 {
			return wish{client: n, minute: 60 * random.IntN(crowdHours)}
		}
		return wish{client: n, provider: 1, minute: 15 * random.IntN(4*crowdHours-3)}
	}
	w := some()
	book := func() (string, bool) {
		id, code := d.book(w, "")
		return id, c.heard("book", code)
	}
	hold := func() (string, bool) {
		id, code := d.hold(w)
		return id, c.heard("hold", code)
	}
	switch what := random.IntN(100); {
	case what < 40:
		book()
	case what < 65: // hold, then book it, or leave it to expire
		id, ok := hold()
		if !ok {
			return
		}
		c.holds.Store(int(c.placed.Add(1)), held{id, w})
		if what < 55 {
			_, code := d.book(w, id)
			c.heard("book held", code)
		}
	case what < 70:
		if id, ok := hold(); ok {
			c.heard("release", d.release(id))
		}
	case what < 80: // somebody else's hold, for its own time
		if _, ok := hold(); ok {
			return
		}
		if other, ok := c.holds.Load(1 + random.IntN(int(c.placed.Load())+1)); ok {
			o := other.(held)
			_, code := d.book(wish{client: n, provider: o.provider, minute: o.minute}, o.id)
			c.heard("book another's", code)
		}
	case what < 90:
		if id, ok := book(); ok {
			c.heard("cancel", d.cancel(id))
		}
	default:
		if id, ok := book(); ok {
			to := some()
			to.days = 7 * random.IntN(2)
			c.heard("move", d.move(id, to))
		}
	}
}

type held struct {
	id string
	wish
}

// storm lets everybody act at once while the clock goes on and holds run out, then fills what was left free.
func (c *crowd) storm(seed uint64, day policy.LocalDate, d door) {
	c.t.Helper()
	c.seed, c.day, c.answers = seed, day, map[string]int{}
	c.holds.Clear()
	c.placed.Store(0)
	c.setClock(linkMonday)
	var all sync.WaitGroup
	var acted atomic.Int64
	start, over := make(chan struct{}), make(chan struct{})
	for n := range crowdSize {
		all.Go(func() {
			<-start
			c.act(n, d)
			acted.Add(1)
		})
	}
	var ticking sync.WaitGroup
	ticking.Go(func() { // a hold lasts ten minutes: each lives while most of the clients act
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-over:
				return
			case <-tick.C:
				c.setClock(linkMonday.Add(time.Duration(acted.Load()*14/crowdSize) * time.Minute))
			}
		}
	})
	close(start)
	all.Wait()
	close(over)
	ticking.Wait()
	c.setClock(linkMonday.Add(2 * time.Hour)) // every hold has run out, and nobody sweeps
	for hour := range crowdHours {
		for n := range 5 {
			all.Go(func() {
				_, code := d.book(wish{client: hour*5 + n, minute: 60 * hour}, "")
				c.heard("book", code)
			})
		}
	}
	all.Wait()
	c.requireOneWinnerEach()
}

// raceAnswers is all that a client may hear in the storm.
var raceAnswers = map[string][]string{
	"book": {"done", "slot_taken"}, "hold": {"done", "slot_taken"}, "release": {"done"}, "cancel": {"done"}, "move": {"done", "slot_taken"},
	"book held":      {"done", "hold_expired", "hold_not_found", "slot_taken"},
	"book another's": {"hold_of_another", "hold_expired", "hold_not_found", "slot_taken"},
}

func (c *crowd) requireOneWinnerEach() {
	c.t.Helper()
	for heard := range c.answers {
		what, code, _ := strings.Cut(heard, ": ")
		require.Contains(c.t, raceAnswers[what], code, "seed %d, all: %v", c.seed, c.answers)
	}
	day := c.day.String()
	won := map[int]int{}
	rows, err := c.conn.Query(context.Background(), `
		select extract(hour from starts_at at time zone zone)::int, count(*) from appointments
		where provider_id = $1 and (starts_at at time zone zone)::date = $2::text::date and status in ('booked', 'confirmed') group by 1`, c.practice.Providers[0], day)
	require.NoError(c.t, err)
	for rows.Next() {
		var hour, n int
		require.NoError(c.t, rows.Scan(&hour, &n))
		won[hour] = n
	}
	require.NoError(c.t, rows.Err())
	want := map[int]int{}
	for hour := range crowdHours {
		want[9+hour] = 1
	}
	require.Equal(c.t, want, won, "one winner for each time of the first provider; seed %d", c.seed)
	violations, report, err := proof.Check(context.Background(), proof.Books{Database: c.conn.Config().ConnString(), Practices: []policy.ID{c.practice.ID}})
	require.NoError(c.t, err)
	for _, v := range violations {
		require.NotEqual(c.t, "INV1", v.Invariant, "seed %d: %s (%d)\n%s", c.seed, v.Detail, v.Count, report)
	}
}

// races is how often the crowd meets: 10 times, and at least 100 while soaking.
func races(t *testing.T) (least int, until time.Time) {
	t.Helper()
	text := os.Getenv("KEPT_SOAK_MINUTES")
	if text == "" {
		return 10, time.Time{}
	}
	minutes, err := strconv.Atoi(text)
	require.NoError(t, err, "KEPT_SOAK_MINUTES is a number")
	return 100, time.Now().Add(time.Duration(minutes) * time.Minute / 4)
}

func TestRace_S9_ThousandClients_NoOverlapAndOneWinnerEach(t *testing.T) {
	t.Parallel()
	c := newCrowd(t)
	least, until := races(t)
	seed := uint64(1)
	if least > 10 {
		seed = rand.Uint64()
	}
	total := map[string]int{}
	day := policy.LocalDay(linkMonday, time.UTC)
	ran := 0
	for ; ran < least || time.Now().Before(until); ran++ {
		if day = day.AddDays(1); day.Weekday() == time.Saturday {
			day = day.AddDays(2)
		}
		if ran%100 == 99 { // within the horizon of staff
			day = policy.LocalDay(linkMonday, time.UTC).AddDays(1)
			c.exec(`delete from reservations where practice_id = $1`, c.practice.ID)
			c.exec(`update appointments set status = 'cancelled', cancel_reason = 'another race' where practice_id = $1`, c.practice.ID)
		}
		var d door = atDesk{c}
		if ran%10 == 0 {
			d = overHTTP{c}
		}
		c.storm(seed+uint64(ran), day, d)
		for heard, n := range c.answers {
			total[heard] += n
		}
	}
	for _, heard := range []string{"book: done", "book: slot_taken", "hold: done", "book held: done", "release: done", "book another's: hold_of_another", "cancel: done", "move: done"} {
		require.Positive(t, total[heard], "%s: the storm left it out: %v", heard, total)
	}
	t.Logf("%d races of %d clients, first seed %d: %v", ran, crowdSize, seed, total)
}

// TestRace_S9_ExpiredHold_FreesItsTimeAtItsInstant: for search and commit alike, with nobody sweeping.
func TestRace_S9_ExpiredHold_FreesItsTimeAtItsInstant(t *testing.T) {
	t.Parallel()
	f := newDayFixture(t)
	search := "/v1/services/" + ID[serviceKind](f.practice.Services[0]).String() + "/free-times?location=" +
		ID[locationKind](f.practice.Locations[0]).String() + "&from=2031-03-07&days=1&provider=" + ID[providerKind](f.practice.Providers[0]).String()
	listed := func() bool {
		var free FreeTimesView
		f.read(search).ok(&free)
		for _, x := range free.Data {
			if x.Local == "2031-03-07T14:00:00" && policy.ID(x.ProviderID) == f.practice.Providers[0] {
				return true
			}
		}
		return false
	}
	require.True(t, listed())
	var hold HoldView
	f.say("/v1/holds", f.wanted()).ok(&hold)
	require.False(t, listed())
	robin, err := f.desk.CreateClient(t.Context(), f.staff(), desk.ClientInput{GivenName: "Robin", FamilyName: "Runner"})
	require.NoError(t, err)
	another := ID[clientKind](robin.ID).String()
	f.say("/v1/appointments", f.wanted(set("client_id", another))).refused(http.StatusConflict, "slot_taken")
	f.say("/v1/appointments", f.wanted(set("client_id", another), set("hold_id", hold.ID.String()))).refused(http.StatusConflict, "hold_of_another")

	f.setClock(hold.ExpiresAt.Add(-time.Millisecond))
	require.False(t, listed(), "until its last instant")
	f.say("/v1/appointments", f.wanted(set("client_id", another))).refused(http.StatusConflict, "slot_taken")
	f.setClock(hold.ExpiresAt.Time)
	require.True(t, listed(), "from then on it is offered")
	require.Equal(t, 1, f.count(`select count(*) from holds`), "though nobody has swept it away")
	f.say("/v1/appointments", f.wanted(set("hold_id", hold.ID.String()))).refused(http.StatusGone, "hold_expired")
	f.say("/v1/appointments", f.wanted(set("client_id", another))).ok(&BookedView{})
	require.Zero(t, f.count(`select count(*) from holds`), "the commit removed what it met")
}
