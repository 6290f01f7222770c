package db

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// KeepEpoch raises the journal's epoch when its database lies on another server than before: a restored dump, whose entries
// carry transaction ids of a count that this server does not continue. Seals are ordered by (epoch, transaction), so without
// it new entries would fall below old seals. On the same server nothing changes: it may be called at any time and any number
// of times, by a login that may migrate. It returns the new epoch, or 0 when nothing was to do.
//
// The lock lets every transaction that has written to the journal end first, and those that wait for it read the new epoch:
// an epoch that is over gets no more entries.
func KeepEpoch(ctx context.Context, url string) (raised int, err error) {
	err = onJournal(ctx, url, func(conn *pgx.Conn) error {
		if elsewhere, err := epochElsewhere(ctx, conn); err != nil || !elsewhere {
			return err
		}
		return pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
			if _, err := tx.Exec(ctx, `lock table journal in share row exclusive mode`); err != nil {
				return err
			}
			err := tx.QueryRow(ctx, `
				update journal_epoch set epoch = epoch + 1, server = (pg_control_system()).system_identifier::text
				where server <> (pg_control_system()).system_identifier::text
				returning epoch`).Scan(&raised)
			if errors.Is(err, pgx.ErrNoRows) { // another process was first
				return nil
			}
			return err
		})
	})
	if err != nil {
		return 0, fmt.Errorf("raise the journal's epoch after a restore: %w", err)
	}
	return raised, nil
}

// EpochElsewhere tells that KeepEpoch has something to do.
func EpochElsewhere(ctx context.Context, url string) (elsewhere bool, err error) {
	err = onJournal(ctx, url, func(conn *pgx.Conn) error {
		elsewhere, err = epochElsewhere(ctx, conn)
		return err
	})
	return elsewhere, err
}

func epochElsewhere(ctx context.Context, conn *pgx.Conn) (elsewhere bool, err error) {
	err = conn.QueryRow(ctx, `select server <> (pg_control_system()).system_identifier::text from journal_epoch`).Scan(&elsewhere)
	return elsewhere, err
}

func onJournal(ctx context.Context, url string, do func(*pgx.Conn) error) (err error) {
	config, err := pgx.ParseConfig(url)
	if err != nil {
		return fmt.Errorf("DATABASE_URL: %w", err)
	}
	config.RuntimeParams["lock_timeout"] = migrationLockTimeout
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close(ctx)) }()
	return do(conn)
}
