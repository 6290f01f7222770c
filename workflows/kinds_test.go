package workflows_test

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kept-practice/kept/internal/policy"
	"github.com/kept-practice/kept/workflows"
)

var update = flag.Bool("update", false, "write the golden files anew; only ever to add a field")

// Histories of open runs hold these types as JSON, so a renamed or dropped field breaks their replay.
func TestJSON_SubjectStepAndPlan_FieldsAreNeverRenamed(t *testing.T) {
	now := time.Date(2026, time.March, 28, 23, 30, 0, 123456000, time.UTC)
	wake, retry := now.Add(24*time.Hour), now.Add(90*time.Second)
	step := policy.Step{
		Key: "reminder/24h/mail/v2", Kind: policy.StepSendMail, At: now, Rule: "reminder/24h", Channel: "mail",
		Why: "24 hours before the visit", Summary: "Reminder · 24 h before · e-mail",
	}
	for name, value := range map[string]any{
		"subject": someone,
		"step":    step,
		"plan": policy.Plan{
			Due: []policy.Step{step}, Now: now, WakeAt: &wake, RealNow: now.Add(-time.Hour), RetryAt: &retry,
			Unarmed: true, Done: true, Detail: "confirmed", Waiting: "Waiting until Sun 23:30: reminder 2 h before",
		},
		"plan_empty": policy.Plan{Now: now, RealNow: now},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := json.MarshalIndent(value, "", "  ")
			require.NoError(t, err)
			file := filepath.Join("testdata", name+".golden.json")
			if *update {
				require.NoError(t, os.WriteFile(file, append(got, '\n'), 0o644))
			}
			want, err := os.ReadFile(file)
			require.NoError(t, err)
			require.Equal(t, string(want), string(got)+"\n")
		})
	}
}

func TestKinds_NamesAreForEver(t *testing.T) {
	require.Equal(t, []string{"journey", "collection", "recall"}, workflows.SubjectKinds())
	require.Equal(t, "wake", workflows.SignalWake)
	require.Equal(t, "Plan", workflows.ActivityPlan)
	var names []string
	for _, kind := range workflows.StepKinds() {
		names = append(names, kind.Name)
	}
	require.Equal(t, []string{"SendMail", "SendSMS", "ChargeCard"}, names)
}

func TestKinds_EveryKindHasAServedQueueAndShortCalls(t *testing.T) {
	served := map[string]float64{}
	for _, queue := range workflows.Queues() {
		served[queue.Name] = queue.PerSecond
	}
	kinds := append(workflows.StepKinds(), workflows.KindOf("KindOfALaterRelease"))
	for _, kind := range kinds {
		require.Contains(t, served, kind.TaskQueue, kind.Name)
		require.Equal(t, 13*time.Second, kind.StartToClose, kind.Name)
		require.EqualValues(t, 3, kind.MaximumAttempts, kind.Name)
	}
	require.InDelta(t, 20, served[workflows.KindOf(policy.StepChargeCard).TaskQueue], 0, "Stripe is asked 20 times a second at most")
	require.Equal(t, workflows.QueueJourneys, workflows.KindOf("KindOfALaterRelease").TaskQueue)
}
