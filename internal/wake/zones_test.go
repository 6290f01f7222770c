package wake

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestKeepZones_UntilItHasSucceededOnce_ThenNeverAgain(t *testing.T) {
	t.Parallel()
	asked := 0
	l := keepZones(func(context.Context) error {
		if asked++; asked == 1 {
			return errors.New("the database is away")
		}
		return nil
	})
	require.Error(t, l.turn(t.Context()))
	for range 3 {
		require.NoError(t, l.turn(t.Context()))
	}
	require.Equal(t, 2, asked)
}
