package proof

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kept-practice/kept/db"
	"github.com/kept-practice/kept/internal/policy"
)

// Practice is a minimal practice: one location in its zone, one owner on the staff, one client with a mail address.
type Practice struct {
	ID, Location, Owner, Client policy.ID
}

// TwoPractices puts two practices into the database, so that every test has somebody else's rows beside its own. Both are
// in test mode, without a test clock; their rows are alike but for the ids and names.
func TwoPractices(t testing.TB, store *db.Store) (a, b Practice) {
	t.Helper()
	return insertPractice(t, store, "Harbour Lane"), insertPractice(t, store, "Mill Street")
}

func insertPractice(t testing.TB, store *db.Store, name string) Practice {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	conn := Connect(t, store)
	p := Practice{ID: db.NewID(), Location: db.NewID(), Owner: db.NewID(), Client: db.NewID()}
	for _, row := range []struct {
		sql  string
		args []any
	}{
		{`insert into practices (id, mode, name, zone, currency, country, mail)
			values ($1, 'test', $2, 'America/New_York', 'USD', 'US', 'desk@example.org')`, []any{p.ID, name + " Practice"}},
		{`insert into locations (practice_id, id, name, zone) values ($1, $2, $3, 'America/New_York')`, []any{p.ID, p.Location, name}},
		{`insert into staff (practice_id, id, name, mail, role) values ($1, $2, 'Olive Owner', 'olive@example.org', 'owner')`, []any{p.ID, p.Owner}},
		{`insert into clients (practice_id, id, given_name, family_name) values ($1, $2, 'Casey', 'Client')`, []any{p.ID, p.Client}},
		{`insert into contact_points (practice_id, id, client_id, channel, address, shown)
			values ($1, $2, $3, 'mail', 'casey@example.org', 'casey@example.org')`, []any{p.ID, db.NewID(), p.Client}},
	} {
		_, err := conn.Exec(ctx, row.sql, row.args...)
		require.NoError(t, err)
	}
	return p
}
