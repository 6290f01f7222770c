package db_test

import (
	"context"
	_ "embed"
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"github.com/kept-practice/kept/db"
	"github.com/kept-practice/kept/internal/policy"
	"github.com/kept-practice/kept/internal/proof"
)

//go:embed testdata/one_row_each.sql
var oneRowEach string

// tenantTable is a table that carries practice_id. Inbox is not seen by practices at all and stands apart.
type tenantTable struct {
	name    string
	columns []string // those that an insert may name
}

// tenants is a database in which practices a and b have a row in every tenant table.
type tenants struct {
	store  *db.Store
	super  *pgx.Conn // past row-level security
	app    *pgx.Conn // as kept_app
	a, b   policy.ID
	tables []tenantTable
}

func newTenants(t *testing.T) *tenants {
	t.Helper()
	ctx := context.Background()
	store := proof.NewStore(t)
	f := &tenants{store: store, super: proof.Connect(t, store), app: proof.Connect(t, store), a: db.NewID(), b: db.NewID()}
	for _, practice := range []policy.ID{f.a, f.b} {
		_, err := f.super.Exec(ctx, "begin; set local app.practice_id = '"+practice.String()+"'; "+oneRowEach+"; commit")
		require.NoError(t, err)
	}
	_, err := f.app.Exec(ctx, "set role kept_app")
	require.NoError(t, err)
	for _, name := range collect[string](t, f.super, `
		select c.relname::text from pg_class c join pg_attribute a on a.attrelid = c.oid
		where c.relkind in ('r', 'p') and c.relnamespace = 'public'::regnamespace and a.attname = 'practice_id'
			and c.relname <> 'inbox' order by 1`) {
		f.tables = append(f.tables, tenantTable{name: name, columns: collect[string](t, f.super, `
			select attname::text from pg_attribute
			where attrelid = $1::text::regclass and attnum > 0 and not attisdropped and attgenerated = '' and attidentity = '' order by attnum`, name)})
	}
	require.Greater(t, len(f.tables), 40)
	return f
}

// as sets or clears the practice of the app connection for everything that follows.
func (f *tenants) as(t *testing.T, practice string) {
	t.Helper()
	_, err := f.app.Exec(context.Background(), "select set_config('app.practice_id', $1, false)", practice)
	require.NoError(t, err)
}

func (f *tenants) count(t *testing.T, conn *pgx.Conn, sql string, args ...any) int {
	t.Helper()
	return collect[int](t, conn, "select count(*)::int from "+sql, args...)[0]
}

// refused runs a statement in a transaction of its own and asks that it ends in 42501, or touches nothing.
func (f *tenants) refused(t *testing.T, mayTouchNothing bool, sql string, args ...any) {
	t.Helper()
	ctx := context.Background()
	tx, err := f.app.Begin(ctx)
	require.NoError(t, err)
	tag, err := tx.Exec(ctx, sql, args...)
	require.NoError(t, tx.Rollback(ctx))
	if err == nil {
		require.True(t, mayTouchNothing, "%s: not refused", sql)
		require.Zero(t, tag.RowsAffected(), sql)
		return
	}
	var pg *pgconn.PgError
	require.ErrorAs(t, err, &pg)
	require.Equal(t, "42501", pg.Code, "%s: %s", sql, pg.Message)
}

func collect[T any](t *testing.T, conn *pgx.Conn, sql string, args ...any) []T {
	t.Helper()
	rows, err := conn.Query(context.Background(), sql, args...)
	require.NoError(t, err)
	values, err := pgx.CollectRows(rows, pgx.RowTo[T])
	require.NoError(t, err)
	return values
}

func TestTenancy_EveryTable_ShowsAndChangesOnlyTheOwnPractice(t *testing.T) {
	t.Parallel()
	f := newTenants(t)
	for _, table := range f.tables {
		t.Run(table.name, func(t *testing.T) {
			for _, practice := range []policy.ID{f.a, f.b} {
				require.NotZero(t, f.count(t, f.super, table.name+" where practice_id = $1", practice),
					"add a row of %s to testdata/one_row_each.sql", table.name)
			}
			f.as(t, f.a.String())
			own := f.count(t, f.super, table.name+" where practice_id = $1", f.a)
			require.Equal(t, own, f.count(t, f.app, table.name), "sees its own rows, all of them, and no others")
			require.Zero(t, f.count(t, f.app, table.name+" where practice_id = $1", f.b))

			columns := strings.Join(table.columns, ", ")
			row := collect[string](t, f.super, "select to_jsonb(x)::text from "+table.name+" x where practice_id = $1 limit 1", f.b)[0]
			f.refused(t, false, fmt.Sprintf("insert into %s (%s) select %s from jsonb_populate_record(null::%s, $1::text::jsonb)",
				table.name, columns, columns, table.name), row)

			key := "practice_id"
			if table.name == "practices" {
				key = "id"
			}
			f.refused(t, false, fmt.Sprintf("update %s set %s = $1", table.name, key), f.b)
			f.refused(t, true, fmt.Sprintf("update %s set %s = $1 where practice_id = $2", table.name, key), f.a, f.b)
			f.refused(t, true, "delete from "+table.name+" where practice_id = $1", f.b)
		})
	}
}

func TestTenancy_NoPracticeSet_NoRows(t *testing.T) {
	t.Parallel()
	f := newTenants(t)
	for _, setting := range []string{"never set", ""} {
		if setting == "" {
			f.as(t, "")
		}
		for _, table := range f.tables {
			require.Zero(t, f.count(t, f.app, table.name), "%s, setting %q", table.name, setting)
		}
	}
}

func TestTenancy_Setting_DoesNotReachTheNextUserOfTheConnection(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	store := proof.OpenStore(t, db.Options{URL: proof.NewDatabase(t), MaxConns: 1})
	a, b := proof.TwoPractices(t, store)
	unset := func() {
		t.Helper()
		_, err := store.Anyone().PracticeRead(ctx, a.ID)
		require.True(t, db.NoRows(err), "the only connection still carries a practice: %v", err)
	}

	row, err := store.In(a.ID).PracticeRead(ctx, a.ID)
	require.NoError(t, err)
	require.Equal(t, a.ID, row.ID)
	unset()
	_, err = store.In(b.ID).PracticeRead(ctx, a.ID)
	require.True(t, db.NoRows(err), "b read a")
	unset()
	require.NoError(t, store.InPractice(ctx, a.ID, func(tx *db.Tx) error {
		_, err := tx.PracticeRead(ctx, a.ID)
		return err
	}))
	unset()
	failed := store.InPractice(ctx, a.ID, func(tx *db.Tx) error {
		_, err := tx.PracticeRead(ctx, b.ID)
		return err
	})
	require.Equal(t, policy.NotFound, policy.KindOf(failed))
	unset()
}
