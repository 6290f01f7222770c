package desk_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Looking at a day of a calendar reads that day, however long the practice's past is. Bounds are on blocks, so that a slow machine
// does not fail and a lost index does.
func TestBook_LongPastOfAProvider_IsNotRead(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	provider := o.made.Providers[0]
	o.exec(`
		with past as (
			insert into holds (practice_id, id, service_id, provider_id, location_id, starts_at, ends_at, expires_at)
			select $1, gen_random_uuid(), $2, $3, $4, at, at + interval '30 minutes', at
			from generate_series(now() - interval '40000 hours', now() - interval '1 hour', interval '1 hour') at
			returning id, provider_id, starts_at, ends_at)
		insert into reservations (practice_id, id, resource_id, during, hold_id)
		select $1, gen_random_uuid(), provider_id, tstzrange(starts_at, ends_at), id from past`,
		o.made.ID, o.made.Services[0], provider, o.made.Locations[0])
	o.exec(`analyze reservations`)
	require.Equal(t, 40_000, o.count(`select count(*) from reservations where resource_id = $1`, provider))
	day := o.now().AddDate(0, 0, 3)
	o.exec(`set role kept_app`)
	plan := o.explain(fmt.Sprintf(`select r.seat from reservations r where r.practice_id = '%s' and r.resource_id = any('{%s}')
		and r.ends_at > '%s' and r.starts_at < '%s'`, o.made.ID, provider, day.Format(time.RFC3339), day.AddDate(0, 0, 1).Format(time.RFC3339)))
	o.exec(`reset role`)
	require.Less(t, plan.Hit+plan.Read, 50, plan.Text)
}
