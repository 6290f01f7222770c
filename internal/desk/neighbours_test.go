package desk_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kept-practice/kept/internal/desk"
	"github.com/kept-practice/kept/internal/policy"
)

// neighbourhood is an office whose second service lasts 30 minutes with ten minutes of buffer after it, and a day with free times.
type neighbourhood struct {
	*office
	client policy.ID
	slot   desk.BookInput
	at     time.Time
}

func newNeighbourhood(t *testing.T) *neighbourhood {
	t.Helper()
	n := &neighbourhood{office: newOffice(t)}
	_, err := n.conn.Exec(t.Context(), `update services set buffer_after_minutes = 10, version = version + 1 where practice_id = $1 and id = $2`, n.made.ID, n.made.Services[1])
	require.NoError(t, err)
	free := n.free()
	n.at = free[len(free)/2]
	n.client = n.newClient("Casey", "Client", desk.ClientInput{}).ID
	n.slot = desk.BookInput{Client: n.client, Service: n.made.Services[1], Provider: n.made.Providers[0], Location: n.made.Locations[0], Source: "test"}
	return n
}

func (n *neighbourhood) free() (starts []time.Time) {
	n.t.Helper()
	free, err := n.FreeTimes(n.t.Context(), n.made.ID, desk.FreeInput{Service: n.made.Services[1], Location: n.made.Locations[0], From: n.today().AddDays(7), Days: 7})
	require.NoError(n.t, err)
	require.NotEmpty(n.t, free)
	for _, f := range free {
		starts = append(starts, f.StartsAt)
	}
	return starts
}

func (n *neighbourhood) book(after time.Duration) error {
	in := n.slot
	in.StartsAt = n.at.Add(after).Format(time.RFC3339)
	_, err := n.Book(n.t.Context(), n.by, in)
	return err
}

func TestBook_BetweenABufferAndAVisit_SearchAndCommitRefuseAlike(t *testing.T) {
	t.Parallel()
	n := newNeighbourhood(t)
	require.NoError(t, n.book(0))
	for _, after := range []time.Duration{-35 * time.Minute, -5 * time.Minute, 30 * time.Minute, 35 * time.Minute} {
		require.NotContains(t, n.free(), n.at.Add(after), after)
		require.Equal(t, "slot_taken", policy.CodeOf(n.book(after)), after)
	}
	require.Contains(t, n.free(), n.at.Add(40*time.Minute))
	require.NoError(t, n.book(40*time.Minute))
	require.NoError(t, n.book(-40*time.Minute))
}

func TestBook_BesideAHold_SearchAndCommitRefuseAlike(t *testing.T) {
	t.Parallel()
	n := newNeighbourhood(t)
	held, err := n.PlaceHold(t.Context(), n.by, desk.HoldInput{
		Client: &n.client, Service: n.slot.Service, Provider: n.slot.Provider, Location: n.slot.Location, StartsAt: n.at.Format(time.RFC3339),
	})
	require.NoError(t, err)
	for _, after := range []time.Duration{0, -35 * time.Minute, 35 * time.Minute} {
		require.NotContains(t, n.free(), n.at.Add(after), after)
		require.Equal(t, "slot_taken", policy.CodeOf(n.book(after)), after)
	}
	n.slot.Hold = &held.ID
	require.NoError(t, n.book(0), "who holds it may book it")
}
