package workflows_test

import (
	"log/slog"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"github.com/kept-practice/kept/internal/policy"
	"github.com/kept-practice/kept/workflows"
)

// A failure here means that the runner issues other commands than the one that wrote the history: open runs would get
// stuck at the next deploy. Mend the runner, or ship the change with `kept rewake --restart`.
func TestReplay_EveryRecordedHistory(t *testing.T) {
	for _, file := range histories(t) {
		t.Run(filepath.Base(file), func(t *testing.T) {
			replayer := worker.NewWorkflowReplayer()
			workflows.Register(replayer)
			require.NoError(t, replayer.ReplayWorkflowHistoryFromJSONFile(quiet(), file))
		})
	}
}

func TestReplay_ARunnerWithOtherCommands_IsCaught(t *testing.T) {
	another := func(ctx workflow.Context, _ policy.Subject) error {
		return workflow.NewTimer(ctx, 1).Get(ctx, nil)
	}
	for _, file := range histories(t) {
		replayer := worker.NewWorkflowReplayer()
		for _, kind := range workflows.SubjectKinds() {
			replayer.RegisterWorkflowWithOptions(another, workflow.RegisterOptions{Name: kind})
		}
		require.Error(t, replayer.ReplayWorkflowHistoryFromJSONFile(quiet(), file), file)
	}
}

func histories(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("testdata", "histories", "*.json"))
	require.NoError(t, err)
	require.NotEmpty(t, files, "the recorded histories are gone")
	return files
}

func quiet() log.Logger { return log.NewStructuredLogger(slog.New(slog.DiscardHandler)) }
