package proof

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/kept-practice/kept/db"
)

// CopyDatabase gives a copy of a database made by NewDatabase, dropped when the test ends: a state that took long to prepare
// is tried from many times. Nobody may be connected to the original meanwhile.
func CopyDatabase(t testing.TB, original string) string {
	t.Helper()
	server := serverURL(t)
	config, err := pgx.ParseConfig(original)
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	admin, err := pgx.Connect(ctx, server)
	require.NoError(t, err)
	name := "kept_test_" + strings.ReplaceAll(db.NewID().String(), "-", "")
	_, err = admin.Exec(ctx, "create database "+name+" template "+config.Database)
	require.NoError(t, err)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		_, err := admin.Exec(ctx, "drop database if exists "+name+" with (force)")
		require.NoError(t, errors.Join(err, admin.Close(ctx)))
	})
	return onDatabase(t, server, name)
}
