package main

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"go.temporal.io/api/enums/v1"

	"github.com/kept-practice/kept/internal/desk"
	"github.com/kept-practice/kept/internal/policy"
	"github.com/kept-practice/kept/internal/proof"
)

// TestClocks_WorkerAndDatabaseFiveMinutesApart_NoRunSpins: the wait is computed by PostgreSQL's clock alone, so a run that
// waits by another clock neither looks too early, again and again, nor too late.
func TestClocks_WorkerAndDatabaseFiveMinutesApart_NoRunSpins(t *testing.T) {
	t.Run("the database is ahead", func(t *testing.T) { clocksApart(t, 5*time.Minute) })
	t.Run("the database is behind", func(t *testing.T) { clocksApart(t, -5*time.Minute) })
}

func clocksApart(t *testing.T, by time.Duration) {
	t.Parallel()
	database := proof.NewDatabase(t)
	skewClock(t, database, by)
	r := newRig(t, database, proof.NewDatabase(t))
	require.InDelta(t, by.Seconds(), time.Until(r.now()).Seconds(), 2)
	r.startTemporal()
	r.open(desk.ModeLive, nil)
	noon := r.now().UTC().Add(12 * time.Hour) // quiet for two minutes, half a day from now
	quiet := fmt.Sprintf(`{"start":%q,"end":%q}`, noon.Format("15:04"), noon.Add(2*time.Minute).Format("15:04"))
	_, err := r.desk.SetSetting(t.Context(), r.by, desk.SettingInput{Level: policy.LevelPractice, Key: "quiet_hours", Value: []byte(quiet)})
	require.NoError(t, err)
	r.run()
	const visits = 10
	due := r.now().Add(8 * time.Second).Truncate(time.Second)
	for n := range visits {
		r.visit(due.Add(2*time.Hour), n) // two hours before, a reminder
	}
	require.Eventually(t, func() bool {
		return r.count(`select count(*) from effects where key like 'reminder/two_hours/%' and state = 'accepted'`) == visits
	}, 40*time.Second, 50*time.Millisecond, "the reminders came")
	require.Zero(t, r.count(`select count(*) from effects where key like 'reminder/two_hours/%' and first_claimed_at < $1`, due), "before their time")
	late := r.count(`select ceil(extract(epoch from max(first_claimed_at) - $1))::int from effects where key like 'reminder/two_hours/%'`, due)
	r.drained(30 * time.Second)
	steps, plans, woken := r.count(`select count(*) from effects where state = 'accepted'`), 0, 0
	for _, s := range r.openSubjects() {
		all, byTimer := r.plansOf(s)
		plans, woken = plans+all, woken+byTimer
	}
	require.GreaterOrEqual(t, steps, 2*visits)
	require.LessOrEqual(t, woken, 2*visits, "looks by the timer for one reminder each")
	require.LessOrEqual(t, plans, 2*steps)
	proof.Tell(t, "%s apart: %d plans for %d steps, %d of them by the timer for %d reminders, the last %d s after its time; %d comparisons hold",
		by, plans, steps, woken, visits, late, r.judged())
}

// skewClock makes every function of time that this database is asked for, by kept or by a default of its tables, answer that
// much later than the machine's clock.
func skewClock(t *testing.T, database string, by time.Duration) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), database)
	require.NoError(t, err)
	defer func() { require.NoError(t, conn.Close(t.Context())) }()
	exec := func(statement string) {
		_, err := conn.Exec(t.Context(), statement)
		require.NoError(t, err, statement)
	}
	again := collect(t, conn, `
		select format('alter table %s alter column %I set default %s', d.adrelid::regclass, a.attname, pg_get_expr(d.adbin, d.adrelid))
		from pg_attrdef d join pg_attribute a on a.attrelid = d.adrelid and a.attnum = d.adnum
		where pg_get_expr(d.adbin, d.adrelid) ~ '(now|clock_timestamp)\(\)' and a.attgenerated = ''
		union all
		select replace(pg_get_functiondef(p.oid), $$SET search_path TO 'public'$$, $$SET search_path TO 'skewed', 'pg_catalog', 'public'$$)
		from pg_proc p where p.pronamespace = 'public'::regnamespace and pg_get_functiondef(p.oid) ~ '(now|clock_timestamp)\(\)' and p.prokind = 'f'`)
	exec(`create schema skewed`)
	exec(`grant usage on schema skewed to public`)
	for _, name := range []string{"now", "clock_timestamp", "statement_timestamp", "transaction_timestamp"} {
		exec(fmt.Sprintf(`create function skewed.%s() returns timestamptz language sql volatile
			as 'select pg_catalog.%s() + make_interval(secs => %d)'`, name, name, int(by.Seconds())))
	}
	exec(`set search_path = skewed, pg_catalog, public`)
	for _, statement := range again {
		exec(statement)
	}
	var name string
	require.NoError(t, conn.QueryRow(t.Context(), `select current_database()`).Scan(&name))
	exec(`alter database ` + name + ` set search_path = skewed, pg_catalog, public`)
}

func collect(t *testing.T, conn *pgx.Conn, query string) []string {
	t.Helper()
	rows, err := conn.Query(t.Context(), query)
	require.NoError(t, err)
	all, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	require.NotEmpty(t, all)
	return all
}

// plansOf counts the plans in a subject's latest run, and those that its timer asked for. Every local activity is a plan.
func (r *rig) plansOf(s policy.Subject) (all, byTimer int) {
	r.t.Helper()
	history := r.temporal.GetWorkflowHistory(r.t.Context(), s.WorkflowID(), "", false, enums.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	for history.HasNext() {
		event, err := history.Next()
		require.NoError(r.t, err)
		if event.GetEventType() == enums.EVENT_TYPE_MARKER_RECORDED {
			all++
			if strings.Contains(string(event.GetUserMetadata().GetSummary().GetData()), "its time has come") {
				byTimer++
			}
		}
	}
	return all, byTimer
}
