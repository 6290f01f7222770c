package db

import (
	"context"
	"database/sql"
	"embed"
	"fmt"
	"io/fs"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Migrations gives the files in order, for tests that name a template database by their hash.
func Migrations() fs.FS {
	sub, err := fs.Sub(migrations, "migrations")
	if err != nil {
		panic(err) // the folder is embedded above
	}
	return sub
}

// migrationLockTimeout: a migration that would stall the practice fails instead.
const migrationLockTimeout = "3s"

// Migrate brings the database at url to the newest schema; the login must be able to create roles. Replicas may call it at
// once: a session lock lets one work and the others find nothing to do. progress is told each file applied.
func Migrate(ctx context.Context, url string, progress func(string)) error {
	config, err := pgx.ParseConfig(url)
	if err != nil {
		return fmt.Errorf("DATABASE_URL: %w", err)
	}
	config.RuntimeParams["lock_timeout"] = migrationLockTimeout
	pool := stdlib.OpenDB(*config)
	defer func() { _ = pool.Close() }()
	provider, err := newProvider(pool)
	if err != nil {
		return err
	}
	results, err := provider.Up(ctx)
	for _, r := range results {
		progress(fmt.Sprintf("%s (%s)", r.Source.Path, r.Duration.Round(1e6)))
	}
	if err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	return nil
}

// PendingMigrations counts the files the database has not seen.
func PendingMigrations(ctx context.Context, url string) (int, error) {
	config, err := pgx.ParseConfig(url)
	if err != nil {
		return 0, fmt.Errorf("DATABASE_URL: %w", err)
	}
	pool := stdlib.OpenDB(*config)
	defer func() { _ = pool.Close() }()
	provider, err := newProvider(pool)
	if err != nil {
		return 0, err
	}
	status, err := provider.Status(ctx)
	if err != nil {
		return 0, fmt.Errorf("read migration status: %w", err)
	}
	pending := 0
	for _, s := range status {
		if s.State == goose.StatePending {
			pending++
		}
	}
	return pending, nil
}

func newProvider(pool *sql.DB) (*goose.Provider, error) {
	locker, err := lock.NewPostgresSessionLocker()
	if err != nil {
		return nil, fmt.Errorf("migration lock: %w", err)
	}
	provider, err := goose.NewProvider(goose.DialectPostgres, pool, Migrations(), goose.WithSessionLocker(locker))
	if err != nil {
		return nil, fmt.Errorf("read migrations: %w", err)
	}
	return provider, nil
}
