package wake

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/log"
)

func TestEnsureTemporal_Away_TriesUntilTold(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(context.Background(), 600*time.Millisecond)
	defer cancel()
	began := time.Now()
	err := EnsureTemporal(ctx, client.Options{HostPort: "127.0.0.1:1", Logger: log.NewStructuredLogger(quiet)}, quiet)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.GreaterOrEqual(t, time.Since(began), 500*time.Millisecond)
	require.Less(t, time.Since(began), 3*time.Second)
}

func TestEnsureTemporal_NotAllowed_SaysWhatToDoByHand(t *testing.T) {
	t.Parallel()
	var hopeless *setupError
	err := refused(serviceerror.NewPermissionDenied("no admin", ""), "create the namespace by hand")
	require.ErrorAs(t, err, &hopeless)
	require.ErrorContains(t, err, "create the namespace by hand: no admin")
	require.NotErrorAs(t, refused(serviceerror.NewUnavailable("starting"), "x"), &hopeless, "trying again can mend it")
}
