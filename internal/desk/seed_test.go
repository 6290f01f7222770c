package desk_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kept-practice/kept/internal/desk"
	"github.com/kept-practice/kept/internal/proof"
)

func TestSeed_MakesOnePractice_Once(t *testing.T) {
	t.Parallel()
	store := proof.NewStore(t)
	d := desk.New(store)
	began := time.Now()
	seeded, err := d.Seed(t.Context(), func(line string) { t.Log(line) })
	require.NoError(t, err)
	t.Logf("%d visits in %s", seeded.Appointments, time.Since(began))
	require.NotNil(t, seeded.Key)
	require.Equal(t, 200, seeded.Clients)
	require.Greater(t, seeded.Appointments, 300)
	conn := proof.Connect(t, store)
	count := func(sql string) (n int) {
		require.NoError(t, conn.QueryRow(t.Context(), sql).Scan(&n))
		return n
	}
	require.Equal(t, 2, count(`select count(*) from locations`))
	require.Equal(t, 4, count(`select count(*) from resources where kind = 'provider'`))
	require.Equal(t, 3, count(`select count(*) from resources where kind = 'room'`))
	require.Equal(t, 8, count(`select count(*) from services`))
	require.Equal(t, seeded.Appointments, count(`select count(*) from appointments where status = 'booked' and source = 'seed'`))
	require.Equal(t, seeded.Appointments, count(`select count(*) from subjects where kind = 'journey' and status = 'open'`))
	require.Zero(t, count(`select count(*) from contact_points where address !~ '(@example\.org|^\+1[0-9]{3}55501[0-9]{2})$'`))
	require.Zero(t, count(`
		select count(*) from appointments a join appointments b
			on a.client_id = b.client_id and a.id < b.id and a.starts_at < b.ends_at and b.starts_at < a.ends_at`), "somebody is in two places at once")

	again, err := d.Seed(t.Context(), func(string) {})
	require.NoError(t, err)
	require.Nil(t, again.Key)
	require.Zero(t, again.Appointments)
	require.Equal(t, 200, count(`select count(*) from clients`))
}

// A seed that is killed half way is finished by the next one.
func TestSeed_Interrupted_GoesOn(t *testing.T) {
	t.Parallel()
	store := proof.NewStore(t)
	d := desk.New(store)
	ctx, cancel := context.WithCancel(t.Context())
	_, err := d.Seed(ctx, func(line string) {
		if line == "100 visits booked" {
			cancel()
		}
	})
	require.ErrorIs(t, err, context.Canceled)
	_, err = d.Seed(t.Context(), func(string) {})
	require.NoError(t, err)
	var clients, visits int
	conn := proof.Connect(t, store)
	require.NoError(t, conn.QueryRow(t.Context(), `select (select count(*) from clients), (select count(*) from appointments)`).Scan(&clients, &visits))
	require.Equal(t, 200, clients)
	require.Greater(t, visits, 300)
}
