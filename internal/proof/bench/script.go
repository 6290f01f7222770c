//go:build bench

package main

import (
	"context"
	"encoding/binary"
	"fmt"
	"os"
	"regexp"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/kept-practice/kept/internal/policy"
)

// statement is one that the server logged: its text with $1, $2 … and what they were.
type statement struct {
	sql    string
	values []string
	nulls  []bool
	simple bool // came as a simple query
}

// capture lets the server write down every statement that the API sends while act runs.
func (s *stack) capture(ctx context.Context, act func() error) ([]statement, error) {
	logAll := func(what string) error {
		if _, err := s.admin.Exec(ctx, "alter system set log_statement = '"+what+"'"); err != nil {
			return fmt.Errorf("log statements: %w", err)
		}
		_, err := s.admin.Exec(ctx, "select pg_reload_conf(), pg_sleep(0.3)")
		return err
	}
	if err := logAll("all"); err != nil {
		return nil, err
	}
	before, err := os.Stat(s.pg.LogFile())
	if err != nil {
		return nil, fmt.Errorf("find the server's log: %w", err)
	}
	if err := act(); err != nil {
		return nil, err
	}
	var pids []int32
	rows, err := s.admin.Query(ctx, "select pid from pg_stat_activity where application_name = 'kept/kept_app'")
	if err != nil {
		return nil, fmt.Errorf("list the API's connections: %w", err)
	}
	if pids, err = pgx.CollectRows(rows, pgx.RowTo[int32]); err != nil {
		return nil, fmt.Errorf("list the API's connections: %w", err)
	}
	if err := logAll("none"); err != nil {
		return nil, err
	}
	text, err := os.ReadFile(s.pg.LogFile())
	if err != nil {
		return nil, fmt.Errorf("read the server's log: %w", err)
	}
	return parseLog(string(text[before.Size():]), pids), nil
}

var (
	logLine   = regexp.MustCompile(`^\d{4}-\d\d-\d\d [0-9:.]+ UTC \[(\d+)\] \S+ (LOG|DETAIL):  (.*)`)
	logged    = regexp.MustCompile(`(?s)^(statement|execute [^:]*): (.*)$`)
	parameter = regexp.MustCompile(`(?s)\$\d+ = (NULL|'(?:[^']|'')*')`)
)

// parseLog reads the server's log: entries begin with a time, their further lines with a tab.
func parseLog(text string, pids []int32) []statement {
	var entries [][]string
	for line := range strings.SplitSeq(text, "\n") {
		if m := logLine.FindStringSubmatch(line); m != nil {
			entries = append(entries, m)
		} else if rest, ok := strings.CutPrefix(line, "\t"); ok && len(entries) > 0 {
			entries[len(entries)-1][3] += "\n" + rest
		}
	}
	ours := map[string]bool{}
	for _, pid := range pids {
		ours[fmt.Sprint(pid)] = true
	}
	var all []statement
	for _, e := range entries {
		if !ours[e[1]] {
			continue
		}
		if m := logged.FindStringSubmatch(e[3]); e[2] == "LOG" && m != nil {
			all = append(all, statement{sql: strings.TrimSpace(m[2]), simple: m[1] == "statement"})
		} else if e[2] == "DETAIL" && len(all) > 0 {
			last := &all[len(all)-1]
			for _, p := range parameter.FindAllStringSubmatch(e[3], -1) {
				last.nulls = append(last.nulls, p[1] == "NULL")
				last.values = append(last.values, strings.ReplaceAll(strings.Trim(p[1], "'"), "''", "'"))
			}
		}
	}
	return all
}

// calendar is where bookings go: slot n is a provider and half an hour of a working day, every slot once.
type calendar struct {
	providers []policy.ID
	clients   []policy.ID
	first     time.Time // the first half hour of a Monday
}

const (
	slotsADay = 20
	workDays  = 400
	stride    = 100_003 // a prime: slots come in an order without neighbours
)

func (c calendar) slots() int { return len(c.providers) * slotsADay * workDays }

// slot gives what the n-th booking asks for; the script computes the same.
func (c calendar) slot(n int) (provider, client int, at time.Time) {
	n = n * stride % c.slots()
	day := n / len(c.providers) / slotsADay
	return n % len(c.providers), n % len(c.clients),
		c.first.AddDate(0, 0, day/5*7+day%5).Add(time.Duration(n/len(c.providers)%slotsADay) * 30 * time.Minute)
}

// scripted turns the statements of one booking into a pgbench script that makes another booking each time: what names the
// provider, the client or the time is computed from :n, ids that were new are new again, all else stays as it was. Reads
// that went out together with their setting, and a beginning with its, are one round trip here too.
func (s *stack) scripted(ctx context.Context, all []statement, cal calendar, booked int, known map[string]bool) (string, error) {
	provider, client, at := cal.slot(booked)
	t := template{cal: cal, provider: cal.providers[provider], client: cal.clients[client], at: at, known: known, fresh: map[string]string{}}
	var b strings.Builder
	fmt.Fprintf(&b, "\\set i :i + 1\n\\set n ((:base + :client_id * %d + :i) * %d) %% %d\n\\set p :n %% %d + 1\n\\set c :n %% %d + 1\n", lane, stride, cal.slots(), len(cal.providers), len(cal.clients))
	fmt.Fprintf(&b, "\\set day :n / %d / %d\n\\set half :n / %d %% %d\n\\set days :day / 5 * 7 + :day %% 5\n\\set r random(1, 2000000000)\n", len(cal.providers), slotsADay, len(cal.providers), slotsADay)
	conn, err := s.admin.Acquire(ctx)
	if err != nil {
		return "", fmt.Errorf("connect: %w", err)
	}
	defer conn.Release()
	for i, st := range all {
		sql, err := t.fill(ctx, conn.Conn(), st)
		if err != nil {
			return "", err
		}
		parts := strings.Split(sql, "; set local ")
		setting := strings.Contains(st.sql, "set_config('app.practice_id'")
		switch {
		case len(parts) == 2:
			fmt.Fprintf(&b, "\\startpipeline\n%s;\nset local %s;\n\\endpipeline\n", parts[0], parts[1])
		case setting:
			fmt.Fprintf(&b, "\\startpipeline\n%s;\n", sql)
		case i > 0 && strings.Contains(all[i-1].sql, "set_config('app.practice_id'"):
			fmt.Fprintf(&b, "%s;\n\\endpipeline\n", sql)
		default:
			fmt.Fprintf(&b, "%s;\n", sql)
		}
	}
	return b.String(), nil
}

// template replaces the values of one booking.
type template struct {
	cal              calendar
	provider, client policy.ID
	at               time.Time
	known            map[string]bool   // ids that stay
	fresh            map[string]string // ids that were new → how to make them
}

var placeholder = regexp.MustCompile(`\$(\d+)`)

// fill writes each parameter into the text as an expression of the type that the server takes it for.
func (t template) fill(ctx context.Context, conn *pgx.Conn, st statement) (string, error) {
	sql := strings.TrimSuffix(strings.Join(strings.Fields(withoutComments(st.sql)), " "), ";")
	if len(st.values) == 0 {
		return sql, nil
	}
	described, err := conn.Prepare(ctx, "", st.sql)
	if err != nil {
		return "", fmt.Errorf("describe %q: %w", sql, err)
	}
	types := make([]string, len(st.values))
	for i, oid := range described.ParamOIDs {
		if err := conn.QueryRow(ctx, "select format_type($1, null)", oid).Scan(&types[i]); err != nil {
			return "", fmt.Errorf("name a type: %w", err)
		}
	}
	return placeholder.ReplaceAllStringFunc(sql, func(found string) string {
		var n int
		_, _ = fmt.Sscanf(found, "$%d", &n) // the pattern has seen to it that it is a number
		if st.nulls[n-1] {
			return "null::" + types[n-1]
		}
		return t.value(st.values[n-1], types[n-1])
	}), nil
}

func withoutComments(sql string) string {
	var kept []string
	for line := range strings.SplitSeq(sql, "\n") {
		if !strings.HasPrefix(strings.TrimSpace(line), "--") {
			kept = append(kept, line)
		}
	}
	return strings.Join(kept, "\n")
}

func (t template) value(v, kind string) string {
	if element, array := strings.CutSuffix(kind, "[]"); array && len(v) > 2 && (element == "uuid" || element == "bigint") {
		var parts []string
		for one := range strings.SplitSeq(strings.Trim(v, "{}"), ",") {
			parts = append(parts, t.value(one, element))
		}
		return "array[" + strings.Join(parts, ", ") + "]"
	}
	switch kind {
	case "uuid":
		return t.id(v)
	case "bigint":
		if v == fmt.Sprint(lockKey(t.provider)) {
			return pick(t.cal.providers, func(id policy.ID) string { return fmt.Sprint(lockKey(id)) }, "bigint", "p")
		}
	case "timestamp with time zone":
		if at, err := time.Parse("2006-01-02 15:04:05-07", v); err == nil && at.Sub(t.at).Abs() < 72*time.Hour {
			return fmt.Sprintf("(%s + interval '%d seconds')", t.start(), int(at.Sub(t.at).Seconds()))
		}
	case "date":
		if day, err := time.Parse(time.DateOnly, v); err == nil && day.Sub(t.at).Abs() < 72*time.Hour {
			return fmt.Sprintf("(%s + %d)", "(("+t.start()+") at time zone 'UTC')::date", int(day.Sub(t.at.Truncate(24*time.Hour)).Hours()/24))
		}
	}
	return "(" + literal(v) + ")::" + kind
}

// start is when the wanted slot begins.
func (t template) start() string {
	return fmt.Sprintf("(timestamptz %s + :days::int * interval '1 day' + :half::int * interval '30 minutes')", literal(t.cal.first.UTC().Format("2006-01-02 15:04:05+00")))
}

func (t template) id(v string) string {
	switch {
	case v == t.provider.String():
		return pick(t.cal.providers, policy.ID.String, "uuid", "p")
	case v == t.client.String():
		return pick(t.cal.clients, policy.ID.String, "uuid", "c")
	case t.known[v]:
		return "(" + literal(v) + ")::uuid"
	}
	made, ok := t.fresh[v]
	if !ok {
		made = fmt.Sprintf("('%08x-' || to_char(:client_id::int, 'FM0000') || '-7000-8000-' || lpad(to_hex(:r::bigint * 4096 + :i::bigint), 12, '0'))::uuid", len(t.fresh)+1)
		t.fresh[v] = made
	}
	return made
}

// pick is the element of a list that a variable names.
func pick(ids []policy.ID, write func(policy.ID) string, kind, variable string) string {
	all := make([]string, len(ids))
	for i, id := range ids {
		all[i] = write(id)
	}
	return "(('{" + strings.Join(all, ",") + "}'::" + kind + "[])[:" + variable + "])"
}

// literal quotes a text for SQL, without a colon, which pgbench would take for a variable.
func literal(v string) string {
	return "E'" + strings.NewReplacer(`\`, `\\`, `'`, `''`, ":", `\x3a`).Replace(v) + "'"
}

// lockKey is the key of a resource's advisory lock, as db.Tx.Lock takes it.
func lockKey(id policy.ID) int64 { return int64(binary.BigEndian.Uint64(id[8:])) }
