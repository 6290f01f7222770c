package policy

import (
	"archive/zip"
	"encoding/binary"
	"flag"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

var everyTransition = flag.Bool("every-transition", false, "compare every transition of every zone with brute force (minutes), not a sample")

// listedZones are the zones of the property tests: gaps and repeats of half an hour, one, two and 24 hours, at midnight and
// at other hours, odd offsets, rules that were announced late.
var listedZones = []string{
	"Africa/Cairo", "Africa/Casablanca", "Africa/El_Aaiun", "Africa/Johannesburg", "Africa/Juba", "Africa/Khartoum", "Africa/Windhoek",
	"America/Asuncion", "America/Caracas", "America/Godthab", "America/Havana", "America/Los_Angeles", "America/Mexico_City", "America/New_York",
	"America/Port-au-Prince", "America/Santiago", "America/Sao_Paulo", "America/Scoresbysund", "America/St_Johns", "Antarctica/Casey",
	"Antarctica/Troll", "Asia/Amman", "Asia/Beirut", "Asia/Dhaka", "Asia/Gaza", "Asia/Kathmandu", "Asia/Kolkata", "Asia/Pyongyang", "Asia/Tehran",
	"Asia/Tokyo", "Atlantic/Azores", "Australia/Adelaide", "Australia/Eucla", "Australia/Lord_Howe", "Australia/Sydney", "Europe/Berlin",
	"Europe/Dublin", "Europe/Istanbul", "Europe/London", "Europe/Moscow", "Europe/Volgograd", "Pacific/Apia", "Pacific/Auckland", "Pacific/Chatham",
	"Pacific/Fakaofo", "Pacific/Kiritimati", "Pacific/Norfolk", "Pacific/Tongatapu",
}

// allZones reads the names from the Go tree's zone database; without a Go tree it gives listedZones.
func allZones(t *testing.T) []string {
	z, err := zip.OpenReader(filepath.Join(runtime.GOROOT(), "lib", "time", "zoneinfo.zip")) //nolint:staticcheck // a test may look for its own toolchain
	if err != nil {
		t.Logf("no zone database in the Go tree, using %d listed zones: %v", len(listedZones), err)
		return listedZones
	}
	defer func() { require.NoError(t, z.Close()) }()
	var names []string
	for _, f := range z.File {
		if _, err := LoadZone(f.Name); err == nil {
			names = append(names, f.Name)
		}
	}
	require.Greater(t, len(names), 300)
	return names
}

// bruteTransitions walks 2000–2040 in steps of six hours and narrows each change of offset down to its second.
func bruteTransitions(z *time.Location) []time.Time {
	offset := func(t time.Time) int { _, o := t.In(z).Zone(); return o }
	var found []time.Time
	const step = 6 * time.Hour
	end := time.Date(2041, 1, 1, 0, 0, 0, 0, time.UTC)
	for t := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC); t.Before(end); t = t.Add(step) {
		if offset(t) == offset(t.Add(step)) {
			continue
		}
		at := t
		for d := step / 2; d >= time.Second; d = (d + time.Second) / 2 {
			if offset(at.Add(d)) == offset(t) {
				at = at.Add(d)
			}
			if d == time.Second {
				break
			}
		}
		found = append(found, at.Add(time.Second).Truncate(time.Second))
	}
	return found
}

// requireResolveMatchesBruteForce reads the clock on the wall at each minute within 30 hours of the transition, and asks for
// each wall minute of that span what Resolve, ResolveInput and StartOfDay say.
func requireResolveMatchesBruteForce(t *testing.T, z *time.Location, transition time.Time) {
	type reading struct{ first, last time.Time }
	seen := map[int64]reading{}
	wallOf := func(at time.Time) int64 {
		w := at.In(z)
		return time.Date(w.Year(), w.Month(), w.Day(), w.Hour(), w.Minute(), 0, 0, time.UTC).Unix()
	}
	const span = 30 * time.Hour
	for at := transition.Add(-span); at.Before(transition.Add(span)); at = at.Add(time.Minute) {
		r, ok := seen[wallOf(at)]
		if !ok {
			r.first = at
		}
		r.last = at
		seen[wallOf(at)] = r
	}
	lastBefore := transition.Add(-time.Minute)
	from, until := min(wallOf(lastBefore), wallOf(transition))-90*60, max(wallOf(lastBefore), wallOf(transition))+90*60
	for wall := from; wall <= until; wall += 5 * 60 {
		at := time.Unix(wall, 0).UTC()
		d, minutes := dateOf(at), at.Hour()*60+at.Minute()
		got := Resolve(d, minutes, z)
		input, err := ResolveInput(d, at.Hour(), at.Minute(), 0, z)
		switch r, ok := seen[wall]; {
		case !ok:
			forward := lastBefore.Add(time.Duration(wall-wallOf(lastBefore)) * time.Second)
			require.Equal(t, forward, got, "%s: skipped %s", z, at)
			require.Equal(t, "skipped_time", CodeOf(err), "%s: skipped %s", z, at)
		case r.first != r.last:
			require.Equal(t, r.first, got, "%s: repeated %s", z, at)
			require.Equal(t, "ambiguous_time", CodeOf(err), "%s: repeated %s", z, at)
		default:
			require.Equal(t, r.first, got, "%s: %s", z, at)
			require.NoError(t, err)
			require.Equal(t, r.first, input, "%s: %s", z, at)
		}
	}
	for _, d := range []LocalDate{LocalDay(lastBefore, z), LocalDay(transition, z), LocalDay(lastBefore, z).AddDays(1)} {
		start := StartOfDay(d, z)
		for at := transition.Add(-span); at.Before(transition.Add(span)); at = at.Add(time.Minute) {
			if !LocalDay(at, z).Before(d) {
				if at.After(transition.Add(-span)) {
					require.Equal(t, at, start, "%s: start of %s", z, d)
				}
				break
			}
		}
	}
}

func TestResolve_TransitionsOfAllZones2000To2040MatchBruteForce(t *testing.T) {
	t.Parallel()
	compared, sampled := 0, 41
	if *everyTransition {
		sampled = 1
	}
	zones := allZones(t)
	for i, name := range zones {
		z := zone(t, name)
		for j, transition := range bruteTransitions(z) {
			if (i*31+j)%sampled == 0 {
				requireResolveMatchesBruteForce(t, z, transition)
				compared++
			}
		}
	}
	t.Logf("%d transitions of %d zones", compared, len(zones))
	require.Greater(t, compared, 25)
}

// wildZone is one that no place has: two jumps within a night, of 90 minutes forward and 2 hours 20 back, then 23 hours forward.
func wildZone(t *testing.T) *time.Location {
	jumps := []struct {
		at     string
		offset int32
	}{{"2030-06-10T23:10:00Z", 90 * 60}, {"2030-06-11T02:00:00Z", -50 * 60}, {"2030-06-20T12:00:00Z", 22*3600 + 10*60}}
	data := append([]byte("TZif"), make([]byte, 16)...)
	for _, n := range []uint32{0, 0, 0, uint32(len(jumps)), uint32(len(jumps)) + 1, 2} {
		data = binary.BigEndian.AppendUint32(data, n)
	}
	for _, j := range jumps {
		data = binary.BigEndian.AppendUint32(data, uint32(instant(t, j.at).Unix()))
	}
	for i := range jumps {
		data = append(data, byte(i+1))
	}
	data = append(data, 0, 0, 0, 0, 0, 0)
	for _, j := range jumps {
		data = append(binary.BigEndian.AppendUint32(data, uint32(j.offset)), 0, 0)
	}
	z, err := time.LoadLocationFromTZData("Wild/Zone", append(data, "W\x00"...))
	require.NoError(t, err)
	return z
}

func TestResolve_GapsAndRepeatsOfAnyLength(t *testing.T) {
	t.Parallel()
	z := wildZone(t)
	for _, at := range []string{"2030-06-10T23:10:00Z", "2030-06-11T02:00:00Z", "2030-06-20T12:00:00Z"} {
		require.NotEqual(t, offsetAt(instant(t, at).Unix()-1, z), offsetAt(instant(t, at).Unix(), z))
	}
	day := MustLocalDate("2030-06-10")
	require.Equal(t, instant(t, "2030-06-10T23:10:00Z"), Resolve(day, 23*60+10, z), "a gap over midnight starts")
	require.Equal(t, instant(t, "2030-06-10T23:50:00Z"), Resolve(day, 23*60+50, z), "and moves forward by 90 minutes")
	require.Equal(t, instant(t, "2030-06-11T00:39:00Z"), Resolve(day.AddDays(1), 39, z), "the gap's last minute")
	require.Equal(t, instant(t, "2030-06-10T23:10:00Z"), StartOfDay(day.AddDays(1), z), "the day starts in the gap")
	require.Equal(t, instant(t, "2030-06-10T23:30:00Z"), Resolve(day.AddDays(1), 60, z), "between gap and repeat")
	require.Equal(t, instant(t, "2030-06-11T01:00:00Z"), Resolve(day.AddDays(1), 150, z), "repeated: first pass")
	_, err := ResolveInput(day.AddDays(1), 2, 30, 0, z)
	require.Equal(t, "ambiguous_time", CodeOf(err))
	require.Equal(t, instant(t, "2030-06-20T12:10:00Z"), Resolve(MustLocalDate("2030-06-20"), 11*60+20, z), "23 hours skipped")
}

// Past the end of a zone's table the bounds of a period say too little; a change is then searched in small steps.
func TestShifts_FindsAChangeWithinASmallStep(t *testing.T) {
	t.Parallel()
	ny, at := zone(t, "America/New_York"), instant(t, "2096-03-11T07:00:00Z").Unix()
	for _, width := range []int64{1, 2, 15 * 60} {
		for early := range min(width, 5) {
			require.Equal(t, at, changeWithin(at-1-early, at-1-early+width, ny))
		}
	}
	require.Empty(t, shifts(instant(t, "2040-12-31T05:00:00Z").Unix(), instant(t, "2041-01-02T00:00:00Z").Unix(), ny))
}
