package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"

	"github.com/jackc/pgx/v5"
	"go.temporal.io/server/common/config"
	persistenceschema "go.temporal.io/server/schema/postgresql/v12"
	"go.temporal.io/server/tools/sql"
)

type postgres struct {
	url                  *url.URL
	host, port           string
	user, password, name string
}

func parsePostgres(raw string) (postgres, error) {
	if raw == "" {
		return postgres{}, errors.New("--postgres is missing: give postgres://user@host:port/database")
	}
	u, err := url.Parse(raw)
	if err != nil || u.Hostname() == "" || u.User == nil {
		return postgres{}, errors.New("--postgres must look like postgres://user:password@host:port/database")
	}
	p := postgres{url: u, host: u.Hostname(), port: u.Port(), user: u.User.Username(), name: u.Path}
	if p.port == "" {
		p.port = "5432"
	}
	p.password, _ = u.User.Password()
	return p, nil
}

func (p postgres) store(database string, conns int) *config.SQL {
	return &config.SQL{
		PluginName: "postgres12", DatabaseName: database, ConnectAddr: p.host + ":" + p.port, ConnectProtocol: "tcp",
		User: p.user, Password: p.password, MaxConns: conns, MaxIdleConns: conns,
	}
}

// setUpSchema creates or updates both databases through the server's own tool. That tool exits the process on failure
// unless it is quiet, and quiet hides the failure; so it runs quiet and the resulting version is read afterwards.
func setUpSchema(ctx context.Context, pg postgres, prefix string) error {
	for _, db := range []struct{ name, schema, version string }{
		{prefix + "_temporal", "postgresql/v12/temporal", persistenceschema.Version},
		{prefix + "_visibility", "postgresql/v12/visibility", persistenceschema.VisibilityVersion},
	} {
		made, err := pg.ensureDatabase(ctx, db.name)
		if err != nil {
			return err
		}
		have, err := pg.schemaVersion(ctx, db.name)
		if err != nil {
			return err
		}
		if have == db.version {
			continue
		}
		tool := []string{
			"temporal-sql-tool", "--quiet", "--plugin", "postgres12", "--endpoint", pg.host, "--port", pg.port,
			"--user", pg.user, "--password", pg.password, "--database", db.name,
		}
		if made || have == "" {
			_ = sql.RunTool(append(tool, "setup-schema", "--version", "0.0"))
		}
		_ = sql.RunTool(append(tool, "update-schema", "--schema-name", db.schema))
		if have, err = pg.schemaVersion(ctx, db.name); err != nil {
			return err
		}
		if have != db.version {
			return fmt.Errorf("database %s is at schema %q, the server needs %q; drop the database or use a matching server", db.name, have, db.version)
		}
	}
	return nil
}

func (p postgres) connect(ctx context.Context, database string) (*pgx.Conn, error) {
	u := *p.url
	if database != "" {
		u.Path = "/" + database
	}
	conn, err := pgx.Connect(ctx, u.String())
	if err != nil {
		return nil, fmt.Errorf("connect to PostgreSQL at %s:%s: %w", p.host, p.port, err)
	}
	return conn, nil
}

func (p postgres) ensureDatabase(ctx context.Context, name string) (made bool, err error) {
	conn, err := p.connect(ctx, "")
	if err != nil {
		return false, err
	}
	defer func() { _ = conn.Close(ctx) }()
	var exists bool
	if err := conn.QueryRow(ctx, `select exists (select from pg_database where datname = $1)`, name).Scan(&exists); err != nil {
		return false, fmt.Errorf("look for database %s: %w", name, err)
	}
	if exists {
		return false, nil
	}
	if _, err := conn.Exec(ctx, `create database `+pgx.Identifier{name}.Sanitize()); err != nil {
		return false, fmt.Errorf("create database %s: %w", name, err)
	}
	return true, nil
}

// schemaVersion is empty for a database without Temporal's tables.
func (p postgres) schemaVersion(ctx context.Context, database string) (string, error) {
	conn, err := p.connect(ctx, database)
	if err != nil {
		return "", err
	}
	defer func() { _ = conn.Close(ctx) }()
	var table *string
	if err := conn.QueryRow(ctx, `select to_regclass('schema_version')::text`).Scan(&table); err != nil {
		return "", fmt.Errorf("read schema of %s: %w", database, err)
	}
	if table == nil {
		return "", nil
	}
	var version string
	err = conn.QueryRow(ctx, `select curr_version from schema_version limit 1`).Scan(&version)
	if errors.Is(err, pgx.ErrNoRows) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("read schema version of %s: %w", database, err)
	}
	return version, nil
}
