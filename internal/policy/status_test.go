package policy

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// Every combination, written by hand: a row per verb, a column per status in the order requested, booked, confirmed,
// arrived, roomed, with_provider, completed, no_show, cancelled, late_cancelled, declined, expired. "-" is illegal.
var statusTable = map[StatusVerb][12]Status{
	"approve":        {"booked", "-", "-", "-", "-", "-", "-", "-", "-", "-", "-", "-"},
	"confirm":        {"-", "confirmed", "-", "-", "-", "-", "-", "-", "-", "-", "-", "-"},
	"arrive":         {"-", "arrived", "arrived", "-", "-", "-", "-", "-", "-", "-", "-", "-"},
	"room":           {"-", "-", "-", "roomed", "-", "-", "-", "-", "-", "-", "-", "-"},
	"start":          {"-", "with_provider", "with_provider", "with_provider", "with_provider", "-", "-", "-", "-", "-", "-", "-"},
	"complete":       {"-", "completed", "completed", "completed", "completed", "completed", "-", "-", "-", "-", "-", "-"},
	"no_show":        {"-", "no_show", "no_show", "-", "-", "-", "-", "-", "-", "-", "-", "-"},
	"cancel":         {"cancelled", "cancelled", "cancelled", "cancelled", "cancelled", "-", "-", "-", "-", "-", "-", "-"},
	"cancel_late":    {"-", "late_cancelled", "late_cancelled", "-", "-", "-", "-", "-", "-", "-", "-", "-"},
	"decline":        {"declined", "-", "-", "-", "-", "-", "-", "-", "-", "-", "-", "-"},
	"expire":         {"expired", "-", "-", "-", "-", "-", "-", "-", "-", "-", "-", "-"},
	"move_by_client": {"requested", "booked", "confirmed", "-", "-", "-", "-", "-", "-", "-", "-", "-"},
	"move_by_staff":  {"requested", "booked", "booked", "-", "-", "-", "-", "-", "-", "-", "-", "-"},
}

func TestMove_S14_EveryCombination(t *testing.T) {
	t.Parallel()
	require.Len(t, AllStatusVerbs(), len(statusTable))
	for _, verb := range AllStatusVerbs() {
		row, ok := statusTable[verb]
		require.True(t, ok, verb)
		for i, from := range AllStatuses() {
			to, err := Move(from, verb)
			if row[i] != "-" {
				require.NoError(t, err, "%s %s", verb, from)
				require.Equal(t, row[i], to, "%s %s", verb, from)
				require.Contains(t, StatusVerbsFrom(from), verb)
				continue
			}
			require.Empty(t, to)
			require.Equal(t, Conflict, KindOf(err), "%s %s", verb, from)
			require.Equal(t, "illegal_status", CodeOf(err))
			require.NotContains(t, StatusVerbsFrom(from), verb)
		}
	}
}

func TestMove_RefusalSaysWhatIsPossible(t *testing.T) {
	t.Parallel()
	var e *Error
	_, err := Move(StatusArrived, VerbNoShow)
	require.ErrorAs(t, err, &e)
	require.Equal(t, "An appointment that is arrived cannot be marked as a no-show.", e.Message)
	require.Equal(t, map[string]any{"status": StatusArrived, "possible": []StatusVerb{VerbRoom, VerbStart, VerbComplete, VerbCancel}}, e.Facts)
	_, err = Move(StatusNoShow, VerbConfirm)
	require.ErrorContains(t, err, "An appointment that is a no-show cannot be confirmed.")
	_, err = Move(StatusWithProvider, VerbMoveByClient)
	require.ErrorContains(t, err, "An appointment that is with provider cannot be moved.")
	_, err = Move(StatusBooked, "teleport")
	require.Equal(t, "unknown_verb", CodeOf(err))
	_, err = Move("asleep", VerbConfirm)
	require.Equal(t, "illegal_status", CodeOf(err))
	for _, verb := range AllStatusVerbs() {
		require.NotEmpty(t, verbWords[verb], verb)
	}
}

func TestStatus_LiveTerminalUndo(t *testing.T) {
	t.Parallel()
	undo := map[Status]bool{StatusRequested: false, StatusBooked: false, StatusExpired: false}
	for _, s := range AllStatuses() {
		require.NotEqual(t, Live(s), Terminal(s), "%s is exactly one of both", s)
		require.Equal(t, Terminal(s), len(StatusVerbsFrom(s)) == 0, "%s: a verb leads out of every live status and of no terminal one", s)
		_, never := undo[s]
		require.Equal(t, !never, CanUndo(s), s)
	}
	for _, s := range []Status{"", "asleep"} {
		require.False(t, Live(s))
		require.False(t, Terminal(s))
		require.False(t, CanUndo(s))
	}
}
