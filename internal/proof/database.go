// Package proof judges: databases to test on, invariants, failpoints, fault runs.
package proof

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/kept-practice/kept/db"
	"github.com/kept-practice/kept/internal/embedded"
)

// serverVariable names a superuser's URL of a PostgreSQL server that tests may fill and empty. Without it every test
// process starts one of its own, without fsync, and keeps it to its end.
const serverVariable = "KEPT_TEST_POSTGRES"

// NewDatabase gives a migrated database of the test's own, dropped when the test ends. It is a copy of a template that is
// named by the hash of the migrations and made once per server, so it costs a tenth of a second and not a migration.
func NewDatabase(t testing.TB) string {
	t.Helper()
	server := serverURL(t)
	template := templateName(t)
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	admin, err := pgx.Connect(ctx, server)
	require.NoError(t, err, "connect to the test server; is %s right?", serverVariable)
	require.NoError(t, ensureTemplate(ctx, admin, server, template))
	name := "kept_test_" + strings.ReplaceAll(db.NewID().String(), "-", "")
	_, err = admin.Exec(ctx, "create database "+name+" template "+template)
	require.NoError(t, err)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		_, err := admin.Exec(ctx, "drop database if exists "+name+" with (force)")
		require.NoError(t, errors.Join(err, admin.Close(ctx)))
	})
	return onDatabase(t, server, name)
}

var stores sync.Map // *db.Store → the URL of its database

// NewStore opens a Store on a new database; both end with the test.
func NewStore(t testing.TB) *db.Store {
	t.Helper()
	return OpenStore(t, db.Options{URL: NewDatabase(t)})
}

// OpenStore opens a Store with options of the test's choosing on a database made by NewDatabase.
func OpenStore(t testing.TB, o db.Options) *db.Store {
	t.Helper()
	store, err := db.Open(context.Background(), o)
	require.NoError(t, err)
	stores.Store(store, o.URL)
	t.Cleanup(func() {
		stores.Delete(store)
		store.Close()
	})
	return store
}

// Connect gives a superuser's connection to the database of a Store made here: past row-level security, for fixtures and
// for looking at what truly stands there.
func Connect(t testing.TB, store *db.Store) *pgx.Conn {
	t.Helper()
	address, ok := stores.Load(store)
	require.True(t, ok, "the store was not made by proof.NewStore")
	conn, err := pgx.Connect(context.Background(), address.(string))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, conn.Close(context.Background())) })
	return conn
}

func templateName(t testing.TB) string {
	t.Helper()
	sum := sha256.New()
	require.NoError(t, fs.WalkDir(db.Migrations(), ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := fs.ReadFile(db.Migrations(), path)
		if err != nil {
			return err
		}
		fmt.Fprintf(sum, "%s %d\n%s", path, len(content), content)
		return nil
	}))
	return "kept_template_" + hex.EncodeToString(sum.Sum(nil)[:8])
}

// templateLock is one advisory lock per server: packages tested side by side wait for the first to build the template.
const templateLock = 7_035_201

// ensureTemplate migrates under another name and renames last, so a template that exists is whole.
func ensureTemplate(ctx context.Context, admin *pgx.Conn, server, template string) (err error) {
	exists := func() (found bool, err error) {
		err = admin.QueryRow(ctx, "select exists (select from pg_database where datname = $1)", template).Scan(&found)
		return found, err
	}
	if found, err := exists(); found || err != nil {
		return err
	}
	if _, err := admin.Exec(ctx, "select pg_advisory_lock($1)", templateLock); err != nil {
		return fmt.Errorf("lock the template: %w", err)
	}
	defer func() {
		_, unlock := admin.Exec(ctx, "select pg_advisory_unlock($1)", templateLock)
		err = errors.Join(err, unlock)
	}()
	if found, err := exists(); found || err != nil {
		return err
	}
	building := template + "_building"
	for _, statement := range []string{"drop database if exists " + building + " with (force)", "create database " + building} {
		if _, err := admin.Exec(ctx, statement); err != nil {
			return fmt.Errorf("make the template: %w", err)
		}
	}
	address, err := databaseURL(server, building)
	if err != nil {
		return err
	}
	if err := db.Migrate(ctx, address, func(string) {}); err != nil {
		return err
	}
	if _, err := admin.Exec(ctx, "alter database "+building+" rename to "+template); err != nil {
		return fmt.Errorf("name the template: %w", err)
	}
	return nil
}

func onDatabase(t testing.TB, server, name string) string {
	t.Helper()
	address, err := databaseURL(server, name)
	require.NoError(t, err)
	return address
}

func databaseURL(server, name string) (string, error) {
	u, err := url.Parse(server)
	if err != nil {
		return "", fmt.Errorf("%s: %w", serverVariable, err)
	}
	u.Path = "/" + name
	return u.String(), nil
}

var shared = sync.OnceValues(startShared)

func serverURL(t testing.TB) string {
	t.Helper()
	if address := os.Getenv(serverVariable); address != "" {
		return address
	}
	address, err := shared()
	require.NoError(t, err, "start PostgreSQL for tests, or name a server in %s", serverVariable)
	return address
}

// startShared starts the server of this test process; it is tied to the process and ends with it. Its folder is one of a
// few that the next processes use again, templates included, so nothing piles up.
func startShared() (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	for slot := range 64 {
		dir := filepath.Join(os.TempDir(), fmt.Sprintf("kept-test-postgres-%d-%d", os.Getuid(), slot))
		server, err := embedded.StartPostgres(ctx, embedded.PostgresOptions{Dir: dir, Fast: true})
		var held *embedded.HeldError
		if errors.As(err, &held) {
			continue
		}
		if err != nil {
			return "", err
		}
		address := server.DatabaseURL("postgres")
		return address, dropLeftovers(ctx, address)
	}
	return "", errors.New("64 test processes hold a PostgreSQL each; end some")
}

// dropLeftovers removes the databases of tests whose process was killed.
func dropLeftovers(ctx context.Context, server string) error {
	admin, err := pgx.Connect(ctx, server)
	if err != nil {
		return fmt.Errorf("connect to the test server: %w", err)
	}
	rows, err := admin.Query(ctx, `select datname from pg_database where datname like 'kept\_test\_%'`)
	if err != nil {
		return errors.Join(err, admin.Close(ctx))
	}
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	for _, name := range names {
		_, dropErr := admin.Exec(ctx, "drop database if exists "+name+" with (force)")
		err = errors.Join(err, dropErr)
	}
	return errors.Join(err, admin.Close(ctx))
}
