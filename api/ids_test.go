package api

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/kept-practice/kept/internal/policy"
)

func TestID_EveryUUID_GoesThereAndBackAndKeepsItsOrder(t *testing.T) {
	t.Parallel()
	anyID := rapid.Custom(func(t *rapid.T) policy.ID {
		return policy.ID(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "bytes"))
	})
	rapid.Check(t, func(t *rapid.T) {
		a, b := ID[clientKind](anyID.Draw(t, "a")), ID[clientKind](anyID.Draw(t, "b"))
		var back ID[clientKind]
		require.NoError(t, back.UnmarshalText([]byte(a.String())))
		require.Equal(t, a, back)
		require.Equal(t, string(a[:]) < string(b[:]), a.String() < b.String(), "sorts as the UUID does")
		require.Regexp(t, a.Schema(nil).Pattern, a.String())
	})
}

func TestID_KnownValues(t *testing.T) {
	t.Parallel()
	id := ID[appointmentKind](policy.MustID("00000000-0000-0000-0000-000000000001"))
	require.Equal(t, "apt_00000000000000000000000001", id.String())
	id = ID[appointmentKind](policy.MustID("ffffffff-ffff-ffff-ffff-ffffffffffff"))
	require.Equal(t, "apt_7zzzzzzzzzzzzzzzzzzzzzzzzz", id.String())
	raw, err := json.Marshal(id)
	require.NoError(t, err)
	require.JSONEq(t, `"apt_7zzzzzzzzzzzzzzzzzzzzzzzzz"`, string(raw))
}

func TestID_Malformed_IsRefusedWithoutItsText(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"", "cli_", "cli", "cli_8zzzzzzzzzzzzzzzzzzzzzzzzz", "cli_0000000000000000000000000", "cli_000000000000000000000000000",
		"CLI_00000000000000000000000001", "cli_0000000000000000000000000A", "cli_0000000000000000000000000u", "cli_0000000000000000000000000l",
		"cli-00000000000000000000000001", " cli_00000000000000000000000001", "cli_00000000000000000000000001\n", "00000000-0000-0000-0000-000000000001",
		"apt_00000000000000000000000001", "xyz_00000000000000000000000001",
	} {
		var id ID[clientKind]
		err := id.UnmarshalText([]byte(text))
		require.EqualError(t, err, "expected string to be the id of a client (cli_…)", "%q", text)
	}
	require.True(t, wellFormedID("apt_00000000000000000000000001"))
	require.False(t, wellFormedID("apt_8zzzzzzzzzzzzzzzzzzzzzzzzz"))
	require.False(t, wellFormedID("xyz_00000000000000000000000001"))
}

func TestKinds_PrefixesAndNounsAreDistinct(t *testing.T) {
	t.Parallel()
	prefixes, nouns := map[string]bool{}, map[string]bool{}
	for _, k := range kinds {
		prefix, noun := k.names()
		require.Len(t, prefix, 3)
		require.False(t, prefixes[prefix] || nouns[noun], prefix)
		prefixes[prefix], nouns[noun] = true, true
	}
}
