// Package db remembers: migrations, queries, transactions, locks. It knows no command and no gateway.
package db

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/kept-practice/kept/internal/policy"
)

// Options of a Store.
type Options struct {
	URL      string          // a login that is a member of kept_app and kept_system
	MaxConns int32           // per role; default 16
	Tracer   pgx.QueryTracer // optional: counts statements in tests
}

// Store hands out transactions as one of two roles: kept_app, which sees one practice, and kept_system, which sees
// outbox, subjects, due dates and inbox of all and nothing else.
type Store struct {
	app, system *pgxpool.Pool
}

// Open connects lazily: it fails on a malformed URL, not on an absent server.
func Open(ctx context.Context, o Options) (*Store, error) {
	if o.MaxConns == 0 {
		o.MaxConns = 16
	}
	app, err := openPool(ctx, o, "kept_app")
	if err != nil {
		return nil, err
	}
	system, err := openPool(ctx, o, "kept_system")
	if err != nil {
		app.Close()
		return nil, err
	}
	return &Store{app: app, system: system}, nil
}

func openPool(ctx context.Context, o Options, role string) (*pgxpool.Pool, error) {
	config, err := pgxpool.ParseConfig(o.URL)
	if err != nil {
		return nil, fmt.Errorf("DATABASE_URL: %w", err)
	}
	config.MaxConns = o.MaxConns
	config.MaxConnIdleTime = 5 * time.Minute
	config.ConnConfig.ConnectTimeout = 5 * time.Second
	config.ConnConfig.Tracer = o.Tracer
	config.ConnConfig.RuntimeParams["timezone"] = "UTC"
	config.ConnConfig.RuntimeParams["application_name"] = "kept/" + role
	config.AfterConnect = func(ctx context.Context, conn *pgx.Conn) error {
		_, err := conn.Exec(ctx, "set role "+role)
		return err
	}
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("open pool as %s: %w", role, err)
	}
	return pool, nil
}

// Close waits for running statements and closes both pools.
func (s *Store) Close() {
	s.app.Close()
	s.system.Close()
}

// Ping tells whether PostgreSQL answers.
func (s *Store) Ping(ctx context.Context) error { return s.app.Ping(ctx) }

// Tx is a transaction inside one practice; every statement in it sees that practice's rows and no other.
type Tx struct {
	*Queries
	tx       pgx.Tx
	Practice policy.ID
	Cause    string // why kept itself acts: the reason of its own journal entries that name no other
}

// attempts bounds how often a command that lost a deadlock or serialisation race runs again.
const attempts = 3

// InPractice runs fn in a transaction of one practice and commits when it returns nil. After 40P01 or 40001 it runs fn
// again, at most 3 times in all, so fn must not keep state from an earlier run. Errors come back as *policy.Error where a
// table in errors.go knows them. Under a context from Hold it takes part in the held transaction instead.
func (s *Store) InPractice(ctx context.Context, practice policy.ID, fn func(*Tx) error) error {
	run := func(ctx context.Context, fn func(*Tx) error) error {
		return pgx.BeginTxFunc(ctx, s.app, beginIn(practice), func(tx pgx.Tx) error {
			return fn(&Tx{Queries: New(tx), tx: tx, Practice: practice})
		})
	}
	if held := heldIn(ctx, practice); held != nil {
		run = held.run
	}
	for attempt := 1; ; attempt++ {
		err := run(ctx, fn)
		if err == nil || attempt == attempts || !lostRace(err) {
			return classify(err)
		}
	}
}

func beginIn(practice policy.ID) pgx.TxOptions {
	return pgx.TxOptions{BeginQuery: "begin; set local app.practice_id = '" + practice.String() + "'"}
}

// In answers single statements inside one practice: each goes to the server in one round trip together with the setting.
func (s *Store) In(practice policy.ID) *Queries {
	return New(&practiceConn{pool: s.app, practice: practice})
}

// Anyone answers the lookup functions that turn a secret into a practice id; without a practice no row is visible to it.
func (s *Store) Anyone() *Queries { return New(s.app) }

// System answers single statements as kept_system.
func (s *Store) System() *Queries { return New(s.system) }

// InSystem runs fn in one transaction as kept_system.
func (s *Store) InSystem(ctx context.Context, fn func(*Queries) error) error {
	return classify(pgx.BeginFunc(ctx, s.system, func(tx pgx.Tx) error { return fn(New(tx)) }))
}

// NewID makes a UUIDv7.
func NewID() policy.ID { return policy.ID(uuid.Must(uuid.NewV7())) }

// practiceConn sends the practice setting and the statement in one batch, whose implicit transaction scopes the setting.
type practiceConn struct {
	pool     *pgxpool.Pool
	practice policy.ID
}

const setPractice = "select set_config('app.practice_id', $1, true)"

func (c *practiceConn) batch(sql string, args []any) *pgx.Batch {
	b := &pgx.Batch{}
	b.Queue(setPractice, c.practice.String())
	b.Queue(sql, args...)
	return b
}

func (c *practiceConn) Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error) {
	if held := heldIn(ctx, c.practice); held != nil && held.tx != nil {
		return held.tx.Exec(ctx, sql, args...)
	}
	results := c.pool.SendBatch(ctx, c.batch(sql, args))
	if _, err := results.Exec(); err != nil {
		return pgconn.CommandTag{}, errors.Join(err, results.Close())
	}
	tag, err := results.Exec()
	if closeErr := results.Close(); err == nil {
		err = closeErr
	}
	return tag, err
}

func (c *practiceConn) Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error) {
	if held := heldIn(ctx, c.practice); held != nil && held.tx != nil {
		return held.tx.Query(ctx, sql, args...)
	}
	results := c.pool.SendBatch(ctx, c.batch(sql, args))
	if _, err := results.Exec(); err != nil {
		return nil, errors.Join(err, results.Close())
	}
	rows, err := results.Query()
	if err != nil {
		return nil, errors.Join(err, results.Close())
	}
	return &batchRows{Rows: rows, results: results}, nil
}

func (c *practiceConn) QueryRow(ctx context.Context, sql string, args ...any) pgx.Row {
	rows, err := c.Query(ctx, sql, args...)
	return &batchRow{rows: rows, err: err}
}

// batchRows gives the connection back when the rows are closed.
type batchRows struct {
	pgx.Rows
	results pgx.BatchResults
	closed  bool
	err     error
}

func (r *batchRows) Next() bool {
	if r.Rows.Next() {
		return true
	}
	r.Close()
	return false
}

func (r *batchRows) Close() {
	if r.closed {
		return
	}
	r.closed = true
	r.Rows.Close()
	r.err = r.results.Close()
}

func (r *batchRows) Err() error {
	if err := r.Rows.Err(); err != nil {
		return err
	}
	return r.err
}

type batchRow struct {
	rows pgx.Rows
	err  error
}

func (r *batchRow) Scan(dest ...any) error {
	if r.err != nil {
		return r.err
	}
	defer r.rows.Close()
	if !r.rows.Next() {
		if err := r.rows.Err(); err != nil {
			return err
		}
		return pgx.ErrNoRows
	}
	if err := r.rows.Scan(dest...); err != nil {
		return err
	}
	r.rows.Close()
	return r.rows.Err()
}
