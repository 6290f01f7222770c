package desk_test

import (
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/kept-practice/kept/db"
	"github.com/kept-practice/kept/internal/desk"
	"github.com/kept-practice/kept/internal/policy"
	"github.com/kept-practice/kept/internal/proof"
)

// office is a practice as CreatePractice makes it, beside a second one whose things nobody here may reach.
type office struct {
	*desk.Desk
	t       *testing.T
	store   *db.Store
	conn    *pgx.Conn
	made    desk.CreatedPractice
	by      policy.Principal
	foreign desk.CreatedPractice
}

func newOffice(t *testing.T) *office {
	t.Helper()
	store := proof.NewStore(t)
	o := &office{Desk: desk.New(store), t: t, store: store, conn: proof.Connect(t, store)}
	var wait sync.WaitGroup
	wait.Go(func() { o.made = o.practice("Harbour Lane") })
	wait.Go(func() { o.foreign = o.practice("Mill Street") })
	wait.Wait()
	require.False(t, o.made.ID.IsZero() || o.foreign.ID.IsZero())
	o.by = policy.Principal{Kind: policy.ByStaff, Practice: o.made.ID, Staff: &o.made.Owner, Role: policy.RoleOwner}
	return o
}

func (o *office) practice(name string) desk.CreatedPractice {
	o.t.Helper()
	made, err := o.CreatePractice(o.t.Context(), practiceInput(name))
	if err != nil {
		o.t.Errorf("make %s: %v", name, err)
	}
	return made
}

func practiceInput(name string) desk.PracticeInput {
	return desk.PracticeInput{
		Mode: desk.ModeTest, Name: name, Zone: "America/New_York", Currency: "USD", Country: "US", Mail: "owner@example.org", OwnerName: "Olive Owner",
	}
}

func (o *office) newClient(given, family string, in desk.ClientInput) desk.Client {
	o.t.Helper()
	in.GivenName, in.FamilyName = given, family
	c, err := o.CreateClient(o.t.Context(), o.by, in)
	require.NoError(o.t, err)
	return c
}

// book takes the n-th free time of a service from the given day on.
func (o *office) book(client, service policy.ID, inDays, n int) desk.Booked {
	o.t.Helper()
	free, err := o.FreeTimes(o.t.Context(), o.made.ID, desk.FreeInput{
		Service: service, Location: o.made.Locations[0], From: o.today().AddDays(inDays), Days: 14,
	})
	require.NoError(o.t, err)
	require.Greater(o.t, len(free), n)
	booked, err := o.Book(o.t.Context(), o.by, desk.BookInput{
		Client: client, Service: service, Provider: free[n].Provider, Location: o.made.Locations[0], StartsAt: free[n].StartsAt.Format(time.RFC3339), Source: "test",
	})
	require.NoError(o.t, err)
	return booked
}

func (o *office) today() policy.LocalDate {
	zone, err := policy.LoadZone("America/New_York")
	require.NoError(o.t, err)
	return policy.LocalDay(o.now(), zone)
}

func (o *office) now() time.Time {
	row, err := o.store.In(o.made.ID).PracticeNow(o.t.Context(), o.made.ID)
	require.NoError(o.t, err)
	return row.Now
}

// setClock moves the practice's clock without asking what is due on the way.
func (o *office) setClock(at time.Time) {
	o.exec(`update test_clocks set now_at = $2, target_at = $2 where practice_id = $1`, o.made.ID, at)
}

func (o *office) exec(sql string, args ...any) {
	o.t.Helper()
	_, err := o.conn.Exec(o.t.Context(), sql, args...)
	require.NoError(o.t, err)
}

func (o *office) count(sql string, args ...any) (n int) {
	o.t.Helper()
	require.NoError(o.t, o.conn.QueryRow(o.t.Context(), sql, args...).Scan(&n))
	return n
}

// rings counts outbox rows and clears them, so that the next command starts from none.
func (o *office) rings() int {
	o.t.Helper()
	n := o.count(`select count(*) from outbox where practice_id = $1`, o.made.ID)
	o.exec(`delete from outbox where practice_id = $1`, o.made.ID)
	return n
}

// refused checks kind and code of an error, and the pointer of its first field where one is given.
func refused(t *testing.T, err error, kind policy.ErrorKind, code string, pointer ...string) {
	t.Helper()
	require.Error(t, err)
	require.Equal(t, kind, policy.KindOf(err), "%v", err)
	require.Equal(t, code, policy.CodeOf(err), "%v", err)
	var e *policy.Error
	if len(pointer) > 0 {
		require.ErrorAs(t, err, &e)
		require.NotEmpty(t, e.Fields)
		require.Equal(t, pointer[0], e.Fields[0].Pointer)
	}
}

func ptr[T any](v T) *T { return &v }
