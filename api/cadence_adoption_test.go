package api

import (
	"context"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kept-practice/kept/internal/policy"
)

// ahead are the sends of a journey that lie ahead, by key.
func (f *dayFixture) ahead(journey string) map[string]string {
	f.t.Helper()
	var j JourneyView
	f.read("/v1/journeys/" + journey).ok(&j)
	out := map[string]string{}
	for _, s := range j.Subjects {
		for _, step := range append(s.Due, s.Future...) {
			if strings.HasPrefix(step.Kind, "Send") {
				out[step.Key] = step.Local
			}
		}
	}
	return out
}

// adoptAll does what workers do: batch after batch, of every running adoption.
func (f *dayFixture) adoptAll() {
	f.t.Helper()
	for {
		running, err := f.store.System().CadenceAdoptionsDue(context.Background(), 10)
		require.NoError(f.t, err)
		if len(running) == 0 {
			return
		}
		for _, r := range running {
			_, err := f.desk.AdoptBatch(context.Background(), r.PracticeID, r.ID)
			require.NoError(f.t, err)
		}
	}
}

func TestCadences_V3_PreviewOfOpenJourneys_IsWhatAdoptionDoes(t *testing.T) {
	t.Parallel()
	f := newDayFixture(t)
	for _, day := range []string{"2031-03-20T14:00", "2031-03-25T15:00", "2031-04-08T11:00"} {
		f.say("/v1/appointments", f.wanted(set("starts_at", day))).ok(&map[string]any{})
	}
	var journeys List[JourneyListed]
	f.read("/v1/journeys").ok(&journeys)
	require.Len(t, journeys.Data, 4)
	before := map[string]map[string]string{}
	for _, j := range journeys.Data {
		before[j.ID.String()] = f.ahead(j.ID.String())
	}
	var cadences List[CadenceView]
	f.read("/v1/cadences").ok(&cadences)
	cadence := ""
	for _, c := range cadences.Data {
		if c.Kind == policy.KindJourney {
			cadence = c.ID.String()
		}
	}
	version := f.say("/v1/cadences/"+cadence+"/versions", `{"rules":[{"id":"week","act":"message","when":"-6d"},{"id":"two_hours","act":"message","when":"-2h"},
		{"id":"day","act":"message","when":"-1d"}]}`).id()
	path := "/v1/cadence-versions/" + version
	facts := f.facts()
	var preview PreviewView
	f.read(path + "/preview").ok(&preview)
	require.Equal(t, facts, f.facts(), "a preview writes nothing")
	require.Equal(t, 4, preview.Journeys)
	require.Equal(t, 4, preview.Changed)
	require.Positive(t, preview.Moved)
	require.Positive(t, preview.Vanishing)
	require.Positive(t, preview.Appearing)
	require.Zero(t, preview.Repeated)

	var published PublishedView
	f.say(path+"/publish", `{"policy":"adopt_future"}`).ok(&published)
	require.Equal(t, "running", published.Adoption.State)
	require.EqualValues(t, 4, published.Adoption.Journeys)
	f.adoptAll()
	var list List[AdoptionView]
	f.read(path + "/adoptions").ok(&list)
	require.Len(t, list.Data, 1)
	did := list.Data[0]
	require.Equal(t, "done", did.State)
	done := PreviewView{
		Journeys: int(did.Adopted), Changed: int(did.Changed), Moved: int(did.Moved), Vanishing: int(did.Vanishing),
		Appearing: int(did.Appearing), Late: int(did.Late), Moves: preview.Moves,
	}
	require.Equal(t, preview, done)
	moved, vanished, appeared := 0, 0, 0
	for id, was := range before {
		is := f.ahead(id)
		for key, at := range was {
			if now, stays := is[key]; !stays {
				vanished++
			} else if now != at {
				moved++
			}
		}
		for key := range is {
			if _, had := was[key]; !had {
				appeared++
			}
		}
	}
	require.Equal(t, []int{preview.Moved, preview.Vanishing, preview.Appearing}, []int{moved, vanished, appeared}, "as the journey pages show it")
	f.read(path + "/preview").ok(&preview)
	require.Zero(t, preview.Journeys, "nothing is left to move")
}
