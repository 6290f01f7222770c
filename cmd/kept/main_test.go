package main

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestMain lets the test binary play the processes that the supervisor starts: kept itself, or a small service that does
// what its arguments say.
func TestMain(m *testing.M) {
	switch os.Getenv("KEPT_TEST_PLAYS") {
	case "kept":
		probe(os.Args[1], os.Getenv("KEPT_TEST_CONDUCTOR"))
		main()
	case "crash worker":
		playCrashWorker()
	case "service":
		playService(os.Args[1:])
	default:
		os.Exit(m.Run())
	}
}

func TestRoot_EverySubcommandExplainsItself(t *testing.T) {
	root := newRootCommand()
	require.NotEmpty(t, root.Commands())
	for _, c := range root.Commands() {
		require.NotEmpty(t, c.Short, c.Name())
	}
}
