//go:build bench

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/kept-practice/kept/db"
	"github.com/kept-practice/kept/internal/desk"
	"github.com/kept-practice/kept/internal/policy"
)

const (
	bookable    = 80      // providers
	bookers     = 320     // clients
	pastVisits  = 100_000 // so that the indexes have their real depth
	bookingKeys = 32      // so that no key meets its limit of requests
)

// bookingArena is one practice with a long past and free years ahead.
type bookingArena struct {
	s        *stack
	practice desk.CreatedPractice
	cal      calendar
	keys     []string
	known    map[string]bool
	dir      string // for scripts
	pgbench  string
	used     int // runs so far, each with slots of its own
}

// Each connection books from a lane of its own. A prime keeps neighbouring lanes on different providers and clients, so that
// nobody waits for anybody's locks.
const (
	lane      = 1009
	slotsARun = connections * lane // so many slots each run of an arm may use
)

func newBookingArena(ctx context.Context, s *stack) (*bookingArena, error) {
	a := &bookingArena{s: s, known: map[string]bool{}, dir: s.dir}
	var err error
	if a.pgbench, err = findPgbench(); err != nil {
		return nil, err
	}
	if a.practice, err = s.newPractice(ctx, bookable); err != nil {
		return nil, err
	}
	by := policy.System(a.practice.ID)
	for range bookingKeys {
		key, err := s.desk.CreateKey(ctx, by, desk.KeyInput{Name: "Bench", Role: policy.RoleOwner})
		if err != nil {
			return nil, fmt.Errorf("make a key: %w", err)
		}
		a.keys = append(a.keys, key.Key.Text)
	}
	a.cal = calendar{providers: a.practice.Providers, first: time.Date(2027, 2, 1, 13, 0, 0, 0, time.UTC)}
	for range bookers {
		a.cal.clients = append(a.cal.clients, db.NewID())
	}
	if err := a.fill(ctx); err != nil {
		return nil, err
	}
	return a, a.learn(ctx)
}

// fill writes clients and a past of many visits, as COPY would.
func (a *bookingArena) fill(ctx context.Context) error {
	for _, statement := range []string{
		`insert into clients (practice_id, id, given_name, family_name) select $1, unnest($2::uuid[]), 'Robin', 'Client' where $3::uuid[] is not null and $4 > 0 and $5::uuid is not null and $6::uuid is not null`,
		`with visits as (
			select gen_random_uuid() as id, ($3::uuid[])[n % cardinality($3::uuid[]) + 1] as provider, ($2::uuid[])[n % cardinality($2::uuid[]) + 1] as client,
				timestamptz '2023-01-02 13:00+00' + (n / cardinality($3::uuid[]) / 20) * interval '1 day' + (n / cardinality($3::uuid[]) % 20) * interval '30 minutes' as at
			from generate_series(0, $4 - 1) n
		), booked as (
			insert into appointments (practice_id, id, client_id, service_id, provider_id, location_id, cadence_version_id, starts_at, ends_at, zone,
				local_start, status, booked_at, changed_at, status_at, source)
			select $1, id, client, $5, provider, $6, (select v.id from cadence_versions v join cadences c on c.practice_id = v.practice_id and c.id = v.cadence_id
				where v.practice_id = $1 and c.kind = 'journey'), at, at + interval '30 minutes', 'America/New_York', '', 'completed', at, at, at, 'seed'
			from visits
		), known as (
			insert into subjects (practice_id, kind, id, status, client_id) select $1, 'journey', id, 'done', client from visits
		)
		insert into reservations (practice_id, id, resource_id, during, appointment_id)
		select $1, gen_random_uuid(), provider, tstzrange(at, at + interval '30 minutes'), id from visits`,
	} {
		if _, err := a.s.admin.Exec(ctx, statement, a.practice.ID, a.cal.clients, a.cal.providers, pastVisits, a.practice.Services[0], a.practice.Locations[0]); err != nil {
			return fmt.Errorf("fill the past: %w", err)
		}
	}
	_, err := a.s.admin.Exec(ctx, "vacuum analyze")
	if err != nil {
		return fmt.Errorf("vacuum: %w", err)
	}
	_, err = a.s.admin.Exec(ctx, "create table bench_rows (id bigint generated always as identity primary key, note text not null); grant select, insert on bench_rows to kept_app")
	return err
}

// learn notes every id that stands before a booking, so that the script knows which ones are new.
func (a *bookingArena) learn(ctx context.Context) error {
	rows, err := a.s.admin.Query(ctx, `select id::text from (
		select id from practices union all select id from locations union all select id from staff union all select id from api_keys union all
		select id from services union all select id from cadences union all select id from cadence_versions union all select id from forms
		union all select id from resources) all_ids`)
	if err != nil {
		return fmt.Errorf("list ids: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var id string
		if err := rows.Scan(&id); err != nil {
			return fmt.Errorf("list ids: %w", err)
		}
		a.known[id] = true
	}
	return rows.Err()
}

// next gives a run the first of its own slots.
func (a *bookingArena) next() int {
	a.used++
	return a.used * slotsARun
}

// body is the request for the n-th slot.
func (a *bookingArena) body(n int) []byte {
	provider, client, at := a.cal.slot(n)
	raw, err := json.Marshal(map[string]any{
		"client_id": typed("cli", a.cal.clients[client]), "service_id": typed("svc", a.practice.Services[0]),
		"provider_id": typed("prv", a.cal.providers[provider]), "location_id": typed("loc", a.practice.Locations[0]), "starts_at": at.Format(time.RFC3339),
	})
	if err != nil {
		panic(err) // a map of texts
	}
	return raw
}

func (a *bookingArena) caller(n int) staff {
	return staff{base: a.s.api, key: a.keys[n%len(a.keys)], http: &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 4}}}
}

// overHTTP books in a closed loop from so many connections and returns bookings a second.
func (a *bookingArena) overHTTP(ctx context.Context, clients int, length time.Duration) (float64, []float64, error) {
	base := a.next()
	var done atomic.Int64
	var mu sync.Mutex
	var failed error
	var took []float64
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	began := time.Now()
	var all sync.WaitGroup
	for c := range clients {
		caller := a.caller(c)
		all.Go(func() {
			for i := 1; time.Since(began) < length && ctx.Err() == nil; i++ {
				sent := time.Now()
				status, answer, err := caller.send(ctx, "/v1/appointments", a.body(base+c*lane+i))
				if err == nil && status != http.StatusCreated {
					err = fmt.Errorf("a booking answered %d: %s", status, answer)
				}
				mu.Lock()
				if took = append(took, time.Since(sent).Seconds()*1000); err != nil && failed == nil {
					failed = err
					cancel()
				}
				mu.Unlock()
				done.Add(1)
			}
		})
	}
	all.Wait()
	return float64(done.Load()) / time.Since(began).Seconds(), took, failed
}

var pgbenchRate = regexp.MustCompile(`tps = ([0-9.]+)`)

// inSQL runs a pgbench script from so many connections and returns transactions a second.
func (a *bookingArena) inSQL(ctx context.Context, script string, clients int, length time.Duration) (float64, error) {
	cmd := exec.CommandContext(ctx, a.pgbench, "-n", "-M", "prepared", "-c", strconv.Itoa(clients), "-j", strconv.Itoa(min(clients, 2)), "-T", strconv.Itoa(int(length.Seconds())),
		"-D", "i=0", "-D", "base="+strconv.Itoa(a.next()), "-f", filepath.Join(a.dir, script), a.s.pg.URL())
	cmd.Env = append(os.Environ(), "PGOPTIONS=-c role=kept_app -c timezone=UTC")
	out, err := cmd.CombinedOutput()
	m := pgbenchRate.FindSubmatch(out)
	if err != nil || m == nil {
		return 0, errors.Join(fmt.Errorf("pgbench -f %s: %s", script, bytes.TrimSpace(out)), err)
	}
	return strconv.ParseFloat(string(m[1]), 64)
}

// slowest prints what each statement of a booking takes, alone on one connection.
func (a *bookingArena) slowest(ctx context.Context, out io.Writer) error {
	cmd := exec.CommandContext(ctx, a.pgbench, "-n", "-r", "-M", "prepared", "-T", "3", "-D", "i=0", "-D", "base="+strconv.Itoa(a.next()), "-f", filepath.Join(a.dir, "booking.sql"), a.s.pg.URL())
	cmd.Env = append(os.Environ(), "PGOPTIONS=-c role=kept_app -c timezone=UTC")
	text, err := cmd.CombinedOutput()
	for line := range strings.SplitSeq(string(text), "\n") {
		fmt.Fprintf(out, "    %.220s\n", line)
	}
	return err
}

func (a *bookingArena) sqlArm(name, script string, length time.Duration) arm {
	return arm{name, func(ctx context.Context) (values, error) {
		rate, err := a.inSQL(ctx, script, connections, length)
		return values{name: rate}, err
	}}
}

func findPgbench() (string, error) {
	if found, err := exec.LookPath("pgbench"); err == nil {
		return found, nil
	}
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/pgbench")
	if err != nil || len(found) == 0 {
		return "", errors.New("pgbench was not found: install PostgreSQL's contrib programs (Debian: postgresql-contrib)")
	}
	return slices.Max(found), nil
}

// write makes the three scripts: the SQL of one real booking, a row, a commit that writes nothing but itself.
func (a *bookingArena) write(ctx context.Context) (statements int, err error) {
	warm := a.next()
	caller := a.caller(0)
	for i := 1; i <= 8; i++ {
		if status, answer, err := caller.send(ctx, "/v1/appointments", a.body(warm+i)); err != nil || status != http.StatusCreated {
			return 0, errors.Join(err, fmt.Errorf("a booking answered %d: %s", status, answer))
		}
	}
	all, err := a.s.capture(ctx, func() error {
		status, answer, err := caller.send(ctx, "/v1/appointments", a.body(warm+9))
		if err == nil && status != http.StatusCreated {
			err = fmt.Errorf("a booking answered %d: %s", status, answer)
		}
		return err
	})
	if err != nil {
		return 0, err
	}
	script, err := a.s.scripted(ctx, all, a.cal, warm+9, a.known)
	if err != nil {
		return 0, err
	}
	for name, text := range map[string]string{
		"booking.sql": script, "row.sql": "insert into bench_rows (note) values ('one row');\n", "commit.sql": "select pg_logical_emit_message(true, 'bench', '');\n",
	} {
		if err := os.WriteFile(filepath.Join(a.dir, name), []byte(text), 0o644); err != nil {
			return 0, fmt.Errorf("write a script: %w", err)
		}
	}
	return len(all), nil
}

// bookings measures the answer alone: without a worker and with Temporal away, nothing runs behind it.
func (b bench) bookings(ctx context.Context) error {
	fmt.Fprintf(b.out, "bookings: filling %d visits\n", pastVisits)
	return b.inStack(ctx, "", func(s *stack) error {
		figures, rows, err := bookings(ctx, s, b.out, b.quick, b.show)
		b.report.add(figures, rows)
		return err
	})
}

func bookings(ctx context.Context, s *stack, out io.Writer, quick, show bool) ([]figure, []row, error) {
	a, err := newBookingArena(ctx, s)
	if err != nil {
		return nil, nil, err
	}
	n, err := a.write(ctx)
	if err != nil {
		return nil, nil, err
	}
	fmt.Fprintf(out, "  one booking runs %d statements\n", n)
	length, rounds := 4*time.Second, 8
	if quick {
		length, rounds = 2*time.Second, 2
	}
	arms := []arm{
		{"http", func(ctx context.Context) (values, error) {
			rate, _, err := a.overHTTP(ctx, connections, length)
			return values{"http": rate}, err
		}},
		a.sqlArm("sql", "booking.sql", length), a.sqlArm("row", "row.sql", length/2), a.sqlArm("commit", "commit.sql", length/2),
	}
	measured, err := interleave(ctx, out, rounds, arms)
	if err != nil {
		return nil, nil, err
	}
	_, alone, err := a.overHTTP(ctx, 1, length)
	if err != nil {
		return nil, nil, err
	}
	aloneSQL, err := a.inSQL(ctx, "booking.sql", 1, length)
	if err != nil {
		return nil, nil, err
	}
	if show {
		if err := a.slowest(ctx, out); err != nil {
			return nil, nil, err
		}
	}
	whole, inside := median(alone), 1000/aloneSQL
	fmt.Fprintf(out, "  alone: %.2f ms over HTTP, of them %.2f ms the SQL\n", whole, inside)
	count := fmt.Sprintf("%s, %d connections", measured.about(), connections)
	return []figure{
		{"bookings over HTTP against the same SQL in pgbench, 100,000 visits in the table", "≥ 0.70", measured.ratio("http", "sql") + "; " + measured.rate("http", "bookings/s"), count},
		{"– against a one-row insert; against an empty commit", "≥ 0.45", measured.ratio("http", "row") + "; " + measured.ratio("http", "commit"), count},
		{"– of that, alone on one connection: the whole, the SQL", "", fmt.Sprintf("%.2f ms, %.2f ms (%d statements)", whole, inside, n), fmt.Sprint(len(alone))},
	}, measured.rows("M3"), nil
}
