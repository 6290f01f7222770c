package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestDemo_FromBookingToRecall_EveryInvariantHolds(t *testing.T) {
	dir := stateFolder(t)
	up := startUp(t, dir)
	up.out.waitFor(t, 1, "Links in messages work on this machine only")
	var out strings.Builder
	require.NoError(t, runDemo(t.Context(), &out, dir), "%s\n%s", out.String(), up.out.String())
	for _, line := range []string{"she confirms by the link", "one of them signed", "the card on file was declined", "she pays on the hosted page", "the recall is answered", "INV14"} {
		require.Contains(t, out.String(), line)
	}
}
