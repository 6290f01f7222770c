package main

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// requireValid parses a command line as our binary would, without running it.
func requireValid(t *testing.T, service string, line []string) {
	t.Helper()
	root := newRootCommand()
	cmd, rest, err := root.Find(line)
	require.NoError(t, err, "%s: %v", service, line)
	require.NotEqual(t, root, cmd, "%s: %v names no subcommand", service, line)
	require.True(t, cmd.Runnable(), "%s: %v", service, line)
	require.NoError(t, cmd.ParseFlags(rest), "%s: %v", service, line)
	require.NoError(t, cmd.ValidateArgs(cmd.Flags().Args()), "%s: %v", service, line)
}

func TestCompose_EveryCommandLine_IsOneOurBinaryTakes(t *testing.T) {
	ours := 0
	for name, service := range readCompose(t).Services {
		if service.Build == "" {
			continue
		}
		ours++
		requireValid(t, name, service.Command)
		if service.Healthcheck != nil {
			require.Equal(t, []string{"CMD", "/kept"}, service.Healthcheck.Test[:2], name)
			requireValid(t, name, service.Healthcheck.Test[2:])
		}
	}
	require.Equal(t, 5, ours)
}
