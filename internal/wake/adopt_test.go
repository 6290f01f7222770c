package wake

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kept-practice/kept/db"
	"github.com/kept-practice/kept/internal/policy"
	"github.com/kept-practice/kept/internal/proof"
)

// adoption puts a running one in place that was last looked at some time ago.
func (b *bench) adoption(p proof.Practice, age time.Duration) policy.ID {
	b.t.Helper()
	id, cadence, version := db.NewID(), db.NewID(), db.NewID()
	b.exec(`insert into cadences (practice_id, id, kind, name, service_id) values ($1, $2, 'journey', 'R', $3)`, p.ID, cadence, b.service(p))
	b.exec(`insert into cadence_versions (practice_id, id, cadence_id, n, rules) values ($1, $2, $3, 1, '[]')`, p.ID, version, cadence)
	b.exec(`insert into cadence_adoptions (practice_id, id, version_id, policy, journeys, started_at, next_at)
		values ($1, $2, $3, 'adopt_future', 1, now(), now() - $4::interval)`, p.ID, id, version, age)
	return id
}

func TestAdopter_OneBatchATurn_TheLongestWaitingFirst_AFailureHoldsUpNoOther(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	failing, next := b.adoption(b.live, time.Hour), b.adoption(b.test, time.Minute)
	var asked []policy.ID
	a := NewAdopter(b.store, func(_ context.Context, _, adoption policy.ID) (bool, error) {
		asked = append(asked, adoption)
		if adoption == failing {
			return false, errors.New("cannot be read")
		}
		return true, nil
	})
	err := a.Turn(context.Background())
	require.ErrorContains(t, err, failing.String())
	require.Equal(t, []policy.ID{failing, next}, asked)

	b.exec(`update cadence_adoptions set state = 'done', ended_at = now()`)
	asked = nil
	require.NoError(t, a.Turn(context.Background()))
	require.Empty(t, asked, "ended ones are left alone")
}

func TestClock_AdoptionUnderWay_IsNotSettled(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.adoption(b.test, 0)
	rows, err := b.store.In(b.test.ID).TestClockUnsettled(context.Background(), b.test.ID, &clockStart)
	require.NoError(t, err)
	require.Equal(t, "adoption", rows[0].What)
}
