package main

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"testing"

	"github.com/stretchr/testify/require"
)

// runKept plays a whole command line in this process.
func runKept(t *testing.T, args ...string) (output string, err error) {
	t.Helper()
	root := newRootCommand()
	var out bytes.Buffer
	root.SetOut(&out)
	root.SetErr(&out)
	root.SetArgs(args)
	err = root.ExecuteContext(t.Context())
	return out.String(), err
}

func TestHealth_OnlyA200IsHealthy(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/readyz" {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}))
	_, err := runKept(t, "health", server.URL+"/readyz")
	require.NoError(t, err)
	_, err = runKept(t, "health", server.URL+"/other")
	require.ErrorContains(t, err, "answered 503")
	server.Close()
	_, err = runKept(t, "health", server.URL+"/readyz")
	require.ErrorContains(t, err, "no answer")
}

func TestDoctor_NothingRuns_EachLineSaysWhatToDo(t *testing.T) {
	t.Setenv("DATABASE_URL", "postgres://kept:hunter2@127.0.0.1:1/kept")
	t.Setenv("TEMPORAL_ADDRESS", "127.0.0.1:1")
	out, err := runKept(t, "doctor")
	require.ErrorContains(t, err, "3 of 8 checks failed")
	require.Contains(t, out, "ok    configuration")
	require.Contains(t, out, "WRONG PostgreSQL")
	require.Contains(t, out, "→ start the server, or correct DATABASE_URL")
	require.Contains(t, out, "WRONG Temporal")
	require.Contains(t, out, "works on this machine only")
	require.Contains(t, out, "no key: the sandbox")
	require.NotContains(t, out, "hunter2")
}

// TestScratch_CommandSeesAMigratedDatabase runs doctor inside scratch: the schema is there, and gone with the command.
func TestScratch_CommandSeesAMigratedDatabase(t *testing.T) {
	folder := stateFolder(t)
	cmd := exec.Command(os.Args[0], "scratch", "--", os.Args[0], "doctor")
	cmd.Env = append(os.Environ(), "KEPT_TEST_PLAYS=kept", "TEMPORAL_ADDRESS=127.0.0.1:1", "TMPDIR="+folder)
	out, err := cmd.CombinedOutput()
	require.Error(t, err, "Temporal is not there")
	require.Contains(t, string(out), "ok    schema         up to date")
	require.Contains(t, string(out), "1 of 9 checks failed")
	left, err := os.ReadDir(folder)
	require.NoError(t, err)
	require.Empty(t, left)
}

func TestConfigCheck_PrintsWhatIsInForce_AndNamesTypos(t *testing.T) {
	t.Setenv("KEPT_BASE_URL", "https://book.example.org")
	t.Setenv("KEPT_BASEURL", "https://typo.example.org")
	t.Setenv("TWILIO_AUTH_TOKEN", "hunter2hunter2hunter2")
	out, err := runKept(t, "config", "check")
	require.NoError(t, err)
	require.Contains(t, out, "KEPT_BASE_URL=https://book.example.org\n")
	require.Contains(t, out, "TWILIO_AUTH_TOKEN=••••ter2\n")
	require.Contains(t, out, "KEPT_BASEURL is not a name kept knows; it is ignored\n")
}
