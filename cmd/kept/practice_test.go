package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kept-practice/kept/internal/desk"
	"github.com/kept-practice/kept/internal/proof"
)

var createArgs = []string{"practice", "create", "--name", "Mill Street", "--zone", "Europe/London", "--currency", "GBP", "--country", "GB", "--mail", "owner@example.org"}

func TestPracticeCreate_Live_WithoutGateways_IsRefusedWithTheReason(t *testing.T) {
	t.Setenv("DATABASE_URL", proof.NewDatabase(t))
	for _, name := range []string{"STRIPE_API_KEY", "SENDGRID_API_KEY", "TWILIO_ACCOUNT_SID"} {
		t.Setenv(name, "")
	}
	out, err := runKept(t, createArgs...)
	require.ErrorContains(t, err, "a live practice needs real gateways")
	for _, name := range []string{"STRIPE_API_KEY", "SENDGRID_API_KEY", "TWILIO_ACCOUNT_SID", "--mode test"} {
		require.ErrorContains(t, err, name)
	}
	require.NotContains(t, out, "kept_live_")
}

// The keys that `kept up` gives its own processes lead to the sandbox: nothing of a live practice would arrive.
func TestPracticeCreate_Live_OnTheSandbox_IsRefused(t *testing.T) {
	t.Setenv("DATABASE_URL", proof.NewDatabase(t))
	t.Setenv("KEPT_SANDBOX_URL", "http://127.0.0.1:8025")
	t.Setenv("STRIPE_API_KEY", "sk_test_sandbox")
	t.Setenv("STRIPE_BASE", "http://127.0.0.1:8025/stripe")
	t.Setenv("STRIPE_WEBHOOK_SECRETS", "whsec_x")
	t.Setenv("SENDGRID_API_KEY", "SG.real")
	t.Setenv("SENDGRID_FROM", "desk@example.org")
	t.Setenv("TWILIO_ACCOUNT_SID", "ACreal")
	t.Setenv("TWILIO_AUTH_TOKEN", "x")
	t.Setenv("TWILIO_FROM", "+12025550100")
	_, err := runKept(t, createArgs...)
	require.ErrorContains(t, err, "STRIPE_API_KEY leads to the sandbox")
	require.NotContains(t, err.Error(), "SENDGRID_API_KEY leads")
}

func TestPracticeCreate_PrintsAKeyThatWorks_AndNamesWrongFlags(t *testing.T) {
	t.Setenv("DATABASE_URL", proof.NewDatabase(t))
	out, err := runKept(t, append(createArgs, "--mode", "test")...)
	require.NoError(t, err)
	_, ok := desk.ParseKey(regexp.MustCompile(`kept_test_\w+`).FindString(out))
	require.True(t, ok, out)

	id := regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f-]{27}`).FindString(out)
	key, err := runKept(t, "practice", "key", "--practice", id)
	require.NoError(t, err)
	_, ok = desk.ParseKey(strings.TrimSpace(key))
	require.True(t, ok)
	_, err = runKept(t, "practice", "key", "--practice", "nonsense")
	require.ErrorContains(t, err, "--practice")

	_, err = runKept(t, append(createArgs, "--mode", "test", "--zone", "London")...)
	require.ErrorContains(t, err, "--zone: ")
	_, err = runKept(t, "practice", "create", "--mode", "test")
	require.ErrorContains(t, err, "--name: ")
}

func TestSeed_LeavesItsKeyInAFileOfItsOwn(t *testing.T) {
	t.Setenv("DATABASE_URL", proof.NewDatabase(t))
	t.Setenv("TWILIO_FROM", "+12025550100")
	file := filepath.Join(t.TempDir(), "api-key")
	out, err := runKept(t, "seed", "--key-file", file)
	require.NoError(t, err, out)
	require.NotContains(t, out, "kept_test_")
	info, err := os.Stat(file)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	first, err := os.ReadFile(file)
	require.NoError(t, err)
	_, ok := desk.ParseKey(strings.TrimSpace(string(first)))
	require.True(t, ok)

	out, err = runKept(t, "seed", "--key-file", file)
	require.NoError(t, err, out)
	second, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, first, second)

	require.NoError(t, os.Remove(file))
	out, err = runKept(t, "seed", "--key-file", file)
	require.NoError(t, err, out)
	require.Contains(t, out, "the test practice stands already")
	third, err := os.ReadFile(file)
	require.NoError(t, err)
	require.NotEqual(t, first, third, "a lost key is replaced by a new one")
}
