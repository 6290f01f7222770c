package proof

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/jackc/pgx/v5"
)

// accessLog are the tables that looking may write: when a key was last used, that a record was read, how often somebody guessed.
var accessLog = []string{"api_keys", "goose_db_version", "guesses", "journal", "journal_seals"}

// Fingerprint hashes every table of the database at a URL, so that a test can show that something changed nothing (INV12).
// The access log is left out, and so are the tables named besides: those that kept's own processes write by themselves.
func Fingerprint(ctx context.Context, database string, besides ...string) (prints map[string]string, err error) {
	conn, err := pgx.Connect(ctx, database)
	if err != nil {
		return nil, fmt.Errorf("open the database: %w", err)
	}
	defer func() { err = errors.Join(err, conn.Close(context.WithoutCancel(ctx))) }()
	prints = map[string]string{}
	err = pgx.BeginTxFunc(ctx, conn, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `select relname::text from pg_class where relkind = 'r' and relnamespace = 'public'::regnamespace order by 1`)
		if err != nil {
			return err
		}
		tables, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			return err
		}
		for _, table := range tables {
			if slices.Contains(accessLog, table) || slices.Contains(besides, table) {
				continue
			}
			var print string
			err := tx.QueryRow(ctx, `select count(*) || ' ' || coalesce(md5(string_agg(md5(t::text), '' order by md5(t::text))), '') from `+
				pgx.Identifier{table}.Sanitize()+` t`).Scan(&print)
			if err != nil {
				return fmt.Errorf("hash %s: %w", table, err)
			}
			prints[table] = print
		}
		return nil
	})
	return prints, err
}

// Changed names the tables whose fingerprints differ.
func Changed(before, after map[string]string) []string {
	all := maps.Clone(before)
	maps.Copy(all, after)
	var changed []string
	for _, table := range slices.Sorted(maps.Keys(all)) {
		if before[table] != after[table] {
			changed = append(changed, table)
		}
	}
	return changed
}
