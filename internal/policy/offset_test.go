package policy

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestLead_Instant(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, lead, anchor, zone, want string }{
		{"a day before, over the short night", "-1d", "2026-03-08T15:00:00-04:00", "America/New_York", "2026-03-07T20:00:00Z"},
		{"24 hours before means the same", "-24h", "2026-03-08T15:00:00-04:00", "America/New_York", "2026-03-07T20:00:00Z"},
		{"1440 minutes before means the same", "-1440m", "2026-03-08T15:00:00-04:00", "America/New_York", "2026-03-07T20:00:00Z"},
		{"a day before, over the long night", "-1d", "2026-11-01T15:00:00-05:00", "America/New_York", "2026-10-31T19:00:00Z"},
		{"hours are elapsed", "-23h", "2026-03-08T15:00:00-04:00", "America/New_York", "2026-03-07T20:00:00Z"},
		{"36 hours are elapsed", "-36h", "2026-03-08T15:00:00-04:00", "America/New_York", "2026-03-07T07:00:00Z"},
		{"two hours before", "-2h", "2026-03-08T04:00:00-04:00", "America/New_York", "2026-03-08T06:00:00Z"},
		{"90 minutes after", "+90m", "2026-03-08T01:00:00-05:00", "America/New_York", "2026-03-08T07:30:00Z"},
		{"three days after", "+3d", "2026-03-06T15:00:00-05:00", "America/New_York", "2026-03-09T19:00:00Z"},
		{"lands on a skipped time", "-1d", "2026-03-09T02:30:00-04:00", "America/New_York", "2026-03-08T07:30:00Z"},
		{"lands on a repeated time", "-1d", "2026-11-02T01:30:00-05:00", "America/New_York", "2026-11-01T05:30:00Z"},
		{"at a fixed time the day before", "-1d@18:00", "2026-03-08T15:00:00-04:00", "America/New_York", "2026-03-07T23:00:00Z"},
		{"at a fixed time the same day", "0d@08:00", "2026-03-08T15:00:00-04:00", "America/New_York", "2026-03-08T12:00:00Z"},
		{"at a fixed time that is skipped", "0d@02:30", "2026-03-08T15:00:00-04:00", "America/New_York", "2026-03-08T07:30:00Z"},
		{"the day is the zone's, not UTC's", "-1d@09:00", "2026-06-30T19:00:00Z", "Pacific/Kiritimati", "2026-06-29T19:00:00Z"},
		{"at the anchor", "0m", "2026-03-08T15:00:00.25-04:00", "America/New_York", "2026-03-08T19:00:00.25Z"},
		{"seconds are kept", "-2d", "2026-07-08T15:00:01.5Z", "UTC", "2026-07-06T15:00:01.5Z"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			l, err := ParseLead(c.lead)
			require.NoError(t, err)
			require.Equal(t, instant(t, c.want), l.Instant(instant(t, c.anchor), zone(t, c.zone)))
		})
	}
	built := Lead{Minutes: 48 * 60}
	require.Equal(t, MustLead("-2d").Instant(instant(t, "2026-03-09T15:00:00Z"), zone(t, "America/New_York")),
		built.Instant(instant(t, "2026-03-09T15:00:00Z"), zone(t, "America/New_York")))
}

func TestParseLead(t *testing.T) {
	t.Parallel()
	six := WallTime{18, 0}
	for in, c := range map[string]struct {
		want Lead
		text string
	}{
		"-1d":        {Lead{Days: 1}, "-1d"},
		"-24h":       {Lead{Days: 1}, "-1d"},
		"-2880m":     {Lead{Days: 2}, "-2d"},
		"+3d":        {Lead{Days: -3}, "+3d"},
		"+72h":       {Lead{Days: -3}, "+3d"},
		"-2h":        {Lead{Minutes: 120}, "-2h"},
		"-120m":      {Lead{Minutes: 120}, "-2h"},
		"-90m":       {Lead{Minutes: 90}, "-90m"},
		"+15m":       {Lead{Minutes: -15}, "+15m"},
		"-1d@18:00":  {Lead{Days: 1, At: &six}, "-1d@18:00"},
		"-24h@18:00": {Lead{Days: 1, At: &six}, "-1d@18:00"},
		"0d@18:00":   {Lead{At: &six}, "0d@18:00"},
		"0m":         {Lead{}, "0m"},
		"0d":         {Lead{}, "0m"},
		"-732d":      {Lead{Days: 732}, "-732d"},
	} {
		got, err := ParseLead(in)
		require.NoError(t, err, in)
		require.Equal(t, c.want, got, in)
		require.Equal(t, c.text, got.String(), in)
	}
	for in, code := range map[string]string{
		"": "invalid_lead", "1d": "invalid_lead", "-0d": "invalid_lead", "+0m": "invalid_lead", "--1d": "invalid_lead", "-1": "invalid_lead", "-d": "invalid_lead",
		"-1D": "invalid_lead", "-1w": "invalid_lead", "-1.5h": "invalid_lead", "-1d2h": "invalid_lead", "-2h@18:00": "invalid_lead", "-90m@18:00": "invalid_lead",
		"-1d@": "invalid_lead", "-1d@6:00": "invalid_lead", "-1d 18:00": "invalid_lead", " -1d": "invalid_lead", "-1d\n": "invalid_lead", "-1000000000d": "invalid_lead",
		"-1d@24:00": "invalid_wall_time",
		"-733d":     "lead_too_long", "+99999h": "lead_too_long", "-9999999m": "lead_too_long",
	} {
		_, err := ParseLead(in)
		require.Equal(t, code, CodeOf(err), "%q", in)
	}
	for _, l := range []Lead{{Days: 1, Minutes: 5}, {Minutes: 5, At: &six}, {Days: 1, Minutes: 1440}, {Days: 1, At: &WallTime{25, 0}}} {
		require.Equal(t, "invalid_lead", CodeOf(l.Validate()), "%+v", l)
	}
	require.Panics(t, func() { MustLead("the day before") })
	for in, before := range map[string]bool{"-1d": true, "-2h": true, "-1d@18:00": true, "+1d": false, "+2h": false, "0m": false, "0d@08:00": false} {
		require.Equal(t, before, MustLead(in).Before(), in)
	}
}

func TestLead_Properties(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		z := zone(t, rapid.SampledFrom(listedZones).Draw(t, "zone"))
		anchor := time.Unix(rapid.Int64Range(946684800, 2240611200).Draw(t, "anchor"), 0).UTC()
		l := Lead{Days: rapid.IntRange(-400, 400).Draw(t, "days")}
		if rapid.Bool().Draw(t, "elapsed") {
			l = Lead{Minutes: rapid.IntRange(-400*1440, 400*1440).Draw(t, "minutes")}
		}
		b, err := json.Marshal(l)
		require.NoError(t, err)
		var back Lead
		require.NoError(t, json.Unmarshal(b, &back))
		require.Equal(t, l.plain(), back)

		at := l.Instant(anchor, z)
		if p := l.plain(); p.Days != 0 {
			day := LocalDay(anchor, z).AddDays(-p.Days)
			local := anchor.In(z)
			_, err := ResolveInput(day, local.Hour(), local.Minute(), local.Second(), z)
			if err == nil {
				require.Equal(t, local.Format("15:04:05"), at.In(z).Format("15:04:05"), "the wall time is kept")
				require.Equal(t, day, LocalDay(at, z))
			}
		} else {
			require.Equal(t, time.Duration(p.Minutes)*time.Minute, anchor.Sub(at))
		}
	})
	var l Lead
	require.Error(t, json.Unmarshal([]byte(`"soon"`), &l))
	require.Equal(t, instant(t, "2026-03-08T22:00:00Z"), BusinessCutoff(MustLocalDate("2026-03-08"), WallTime{18, 0}, zone(t, "America/New_York")))
}

func TestLead_Words_ReadAsPeopleSpeak(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"-2h": "2 h before", "-7d": "7 d before", "-24h": "1 d before", "+3d@10:00": "3 d after, 10:00", "0d@10:00": "the same day, 10:00", "-90m": "90 m before",
	} {
		l, err := ParseLead(text)
		require.NoError(t, err, text)
		require.Equal(t, want, l.Words(), text)
	}
}
