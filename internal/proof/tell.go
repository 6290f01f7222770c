package proof

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Tell says what a long run saw. Where KEPT_FIGURES names a page, as in `make soak`, it also appends that to the table at the
// page's end: day, commit, test, what was seen.
func Tell(t testing.TB, format string, args ...any) {
	t.Helper()
	seen := fmt.Sprintf(format, args...)
	t.Log(seen)
	page := os.Getenv("KEPT_FIGURES")
	if page == "" {
		return
	}
	commit, err := exec.Command("git", "rev-parse", "--short", "HEAD").Output()
	require.NoError(t, err, "the commit that was tried")
	file, err := os.OpenFile(page, os.O_APPEND|os.O_WRONLY, 0)
	require.NoError(t, err)
	_, err = fmt.Fprintf(file, "| %s | %s | `%s` | %s |\n", time.Now().UTC().Format(time.DateOnly), strings.TrimSpace(string(commit)), t.Name(), seen)
	require.NoError(t, errors.Join(err, file.Close()))
}
