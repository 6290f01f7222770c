package desk_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kept-practice/kept/db"
	"github.com/kept-practice/kept/internal/desk"
	"github.com/kept-practice/kept/internal/policy"
	"github.com/kept-practice/kept/internal/proof"
)

// adopt does what workers do until the adoption has ended.
func (o *office) adopt(p desk.Published) db.CadenceAdoption {
	o.t.Helper()
	for {
		did, err := o.AdoptBatch(o.t.Context(), o.made.ID, p.Adoption.ID)
		require.NoError(o.t, err)
		if !did {
			return o.adoption(p)
		}
	}
}

func (o *office) adoption(p desk.Published) db.CadenceAdoption {
	o.t.Helper()
	a, err := o.store.In(o.made.ID).CadenceAdoptionByID(o.t.Context(), o.made.ID, p.Adoption.ID)
	require.NoError(o.t, err)
	return a
}

// told is an adoption's own count as the preview words it.
func told(a db.CadenceAdoption, moves []desk.PreviewMove) desk.Preview {
	return desk.Preview{
		Journeys: int(a.Moved), Change: int(a.Changed), Move: int(a.SendsMoved), Vanish: int(a.SendsVanished), Appear: int(a.SendsAdded),
		Late: int(a.SendsLate), Moves: moves,
	}
}

// visits books n visits by copying one, as fast as PostgreSQL can: the same minute on later days, each an open journey.
func (o *office) visits(n int) []policy.ID {
	o.t.Helper()
	client := o.newClient("Casey", "Client", desk.ClientInput{Mail: "casey@example.org"}).ID
	first := o.book(client, o.made.Services[1], 20, 60).Appointment.ID
	ids := []policy.ID{first}
	for i := range n - 1 {
		id := db.NewID()
		ids = append(ids, id)
		o.exec(`insert into appointments (practice_id, id, client_id, service_id, provider_id, location_id, cadence_version_id, starts_at, ends_at,
				zone, local_start, status, booked_at, changed_at, status_at, source)
			select practice_id, $2, client_id, service_id, provider_id, location_id, cadence_version_id, starts_at + make_interval(days => $3),
				ends_at + make_interval(days => $3), zone, local_start, status, booked_at, changed_at, status_at, source
			from appointments where id = $1`, first, id, i+1)
		o.exec(`insert into subjects (practice_id, kind, id, client_id) values ($1, 'journey', $2, $3)`, o.made.ID, id, client)
	}
	return ids
}

// pinned counts the open journeys under a version.
func (o *office) pinned(version policy.ID) int {
	return o.count(`select count(*) from appointments where cadence_version_id = $1`, version)
}

func (o *office) publish(version policy.ID) desk.Published {
	o.t.Helper()
	p, err := o.PublishCadence(o.t.Context(), o.by, desk.PublishInput{Version: version, Adopt: desk.AdoptFuture})
	require.NoError(o.t, err)
	return p
}

func TestAdoption_V3_Batches_DoWhatThePreviewSaid_AndNothingTwice(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	ids := o.visits(120)
	before := map[policy.ID]map[string]time.Time{}
	for _, id := range ids {
		before[id] = o.steps(id)
	}
	draft := o.draft(message("week", "-6d"), message("two_hours", "-2h"), message("five_days", "-5d"))
	preview, err := o.PreviewCadence(t.Context(), o.made.ID, draft.ID)
	require.NoError(t, err)
	require.Equal(t, desk.Preview{Journeys: 120, Change: 120, Move: 120, Vanish: 120, Appear: 120, Moves: preview.Moves}, preview)

	published := o.publish(draft.ID)
	require.EqualValues(t, 120, published.Adoption.Journeys)
	require.Zero(t, o.pinned(draft.ID), "the call moves nothing itself")
	o.rings()
	did, err := o.AdoptBatch(t.Context(), o.made.ID, published.Adoption.ID)
	require.NoError(t, err)
	require.True(t, did)
	first := o.adoption(published)
	require.Equal(t, desk.AdoptionRunning, first.State)
	require.Positive(t, first.Moved)
	require.LessOrEqual(t, first.Moved, int32(200))
	require.Less(t, first.Moved, int32(120), "more than one batch")
	require.EqualValues(t, first.Moved, o.rings(), "an outbox row per journey, in the batch's transaction")

	done := o.adopt(published)
	require.Equal(t, desk.AdoptionDone, done.State)
	require.NotNil(t, done.EndedAt)
	require.Equal(t, preview, told(done, preview.Moves))
	moved, vanished, added := 0, 0, 0
	for _, id := range ids {
		after := o.steps(id)
		for rule, at := range before[id] {
			switch is, stays := after[rule]; {
			case !stays:
				vanished++
			case !is.Equal(at):
				moved++
			}
		}
		for rule := range after {
			if _, had := before[id][rule]; !had {
				added++
			}
		}
	}
	require.Equal(t, []int{preview.Move, preview.Vanish, preview.Appear}, []int{moved, vanished, added}, "as the plans themselves say")
	require.Equal(t, 120, o.count(`select count(*) from journal where verb = 'cadence_adopted'`))
	require.Equal(t, 1, o.count(`select count(*) from journal where verb = 'cadence_adoption_finished'`))
	did, err = o.AdoptBatch(t.Context(), o.made.ID, published.Adoption.ID)
	require.NoError(t, err)
	require.False(t, did)
}

func TestAdoption_V3_KilledInTheMiddle_GoesOnWhereItStopped(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	ids := o.visits(120)
	draft := o.draft(message("week", "-6d"))
	published := o.publish(draft.ID)
	_, err := o.AdoptBatch(t.Context(), o.made.ID, published.Adoption.ID)
	require.NoError(t, err)
	committed := o.pinned(draft.ID)

	// Somebody works on a visit of the next batch, so the worker stands in the middle of it when its connection dies.
	held := proof.Connect(t, o.store)
	_, err = held.Exec(t.Context(), `begin`)
	require.NoError(t, err)
	_, err = held.Exec(t.Context(), `select from appointments where id = $1 for update`, ids[committed+20])
	require.NoError(t, err)
	ctx, kill := context.WithCancel(t.Context())
	died := make(chan error, 1)
	go func() {
		_, err := o.AdoptBatch(ctx, o.made.ID, published.Adoption.ID)
		died <- err
	}()
	require.Eventually(t, func() bool {
		return o.count(`select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`) == 1
	}, 20*time.Second, 10*time.Millisecond)
	did, err := o.AdoptBatch(t.Context(), o.made.ID, published.Adoption.ID)
	require.NoError(t, err)
	require.False(t, did, "another worker does not wait for one that is at it")
	kill()
	require.Error(t, <-died)
	require.Equal(t, committed, o.pinned(draft.ID), "none of the batch")
	_, err = held.Exec(t.Context(), `rollback`)
	require.NoError(t, err)

	var all sync.WaitGroup
	for range 4 { // several workers take over
		all.Go(func() {
			for range 100 {
				_, err := o.AdoptBatch(context.Background(), o.made.ID, published.Adoption.ID)
				require.NoError(t, err)
			}
		})
	}
	all.Wait()
	require.Equal(t, desk.AdoptionDone, o.adoption(published).State)
	require.EqualValues(t, 120, o.adoption(published).Moved)
	require.Equal(t, 120, o.pinned(draft.ID))
	require.Equal(t, 120, o.count(`select count(distinct subject_id) from journal where verb = 'cadence_adopted'`))
	require.Equal(t, 120, o.count(`select count(*) from journal where verb = 'cadence_adopted'`), "each once")
}

func TestAdoption_AJourneyThatCannotBeRead_HoldsUpNoOther(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	ids := o.visits(60)
	draft := o.draft(message("week", "-6d"))
	o.exec(`update appointments set zone = 'Nowhere/City' where id = $1`, ids[7])
	done := o.adopt(o.publish(draft.ID))
	require.Equal(t, []any{desk.AdoptionDone, int32(59), int32(1)}, []any{done.State, done.Moved, done.Failed})
	require.Equal(t, 1, o.count(`select count(*) from tasks where kind = 'not_adopted' and queue = 'owner' and subject_id = $1 and status = 'open'`, ids[7]))
	require.Zero(t, o.count(`select count(*) from appointments where id = $1 and cadence_version_id = $2`, ids[7], draft.ID))
}

// A newer version ends what still runs for an older one, and no journey goes back.
func TestAdoption_NewerVersionPublishedMeanwhile_TakesOver(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.visits(60)
	second := o.publish(o.draft(message("week", "-6d")).ID)
	_, err := o.AdoptBatch(t.Context(), o.made.ID, second.Adoption.ID)
	require.NoError(t, err)
	again := o.publish(second.Version.ID)
	require.Equal(t, second.Adoption.ID, again.Adoption.ID, "repeating a publish begins no second adoption")

	draft := o.draft(message("week", "-5d"))
	third := o.publish(draft.ID)
	require.Equal(t, desk.AdoptionSuperseded, o.adoption(second).State)
	require.EqualValues(t, 60, o.adopt(third).Moved)
	require.Equal(t, 60, o.pinned(draft.ID))
	require.Zero(t, o.adopt(o.publish(second.Version.ID)).Moved, "never back")
	require.Equal(t, 60, o.pinned(draft.ID))
}

func TestAdoption_ArchivedCadence_EndsIt(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	client := o.newClient("Casey", "Client", desk.ClientInput{Mail: "casey@example.org"}).ID
	o.book(client, o.made.Services[2], 20, 0)
	v, err := o.CreateCadence(t.Context(), o.by, desk.CadenceInput{Kind: policy.KindJourney, Name: "Check-ups", Service: &o.made.Services[2], Rules: []policy.Rule{message("two_days", "-3d")}})
	require.NoError(t, err)
	published := o.publish(v.ID)
	require.NoError(t, o.ArchiveCadence(t.Context(), o.by, v.CadenceID))
	require.Equal(t, desk.AdoptionSuperseded, o.adopt(published).State)
	require.Zero(t, o.pinned(v.ID))
}

func TestCadence_BADO4_TwoOwnersSaveAtOnce_TheSecondIsToldToReadAgain(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	draft := o.draft(message("week", "-7d"))
	require.EqualValues(t, 1, draft.Version)
	errs := make([]error, 8)
	var all sync.WaitGroup
	for i := range errs {
		all.Go(func() {
			_, errs[i] = o.EditCadence(context.Background(), o.by, desk.CadenceEdit{ID: draft.ID, Version: 1, Rules: []policy.Rule{message("week", "-6d")}})
		})
	}
	all.Wait()
	saved := 0
	for _, err := range errs {
		if err == nil {
			saved++
			continue
		}
		refused(t, err, policy.Conflict, "stale_version")
	}
	require.Equal(t, 1, saved)
	require.Equal(t, 1, o.count(`select count(*) from journal where verb = 'cadence_edited'`))
	asRead := int32(1)
	_, err := o.PublishCadence(t.Context(), o.by, desk.PublishInput{Version: draft.ID, AsRead: &asRead, Adopt: desk.AdoptNone})
	refused(t, err, policy.Conflict, "stale_version")
	asRead = 2
	_, err = o.PublishCadence(t.Context(), o.by, desk.PublishInput{Version: draft.ID, AsRead: &asRead, Adopt: desk.AdoptNone})
	require.NoError(t, err)
}
