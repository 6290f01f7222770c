package main

import (
	"context"
	"encoding/json"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/kept-practice/kept/internal/embedded"
)

// upProcess is `kept up` in a process of its own, on free ports.
type upProcess struct {
	cmd *exec.Cmd
	out *transcript
}

func startUp(t *testing.T, dir string, args ...string) upProcess {
	t.Helper()
	binary, err := embedded.TemporalBinary(t.Context(), embedded.TemporalBuild{
		Override: os.Getenv("KEPT_TEMPORAL_DEV"), Dir: filepath.Join("..", "..", ".kept", "bin"), Progress: os.Stderr,
	})
	require.NoError(t, err)
	all := []string{"up", "--dir", dir}
	for _, flag := range []string{"--port", "--ui-port", "--mailbox-port", "--temporal-port"} {
		port, err := embedded.FreePort()
		require.NoError(t, err)
		all = append(all, flag, strconv.Itoa(port))
	}
	up := upProcess{cmd: exec.Command(os.Args[0], append(all, args...)...), out: newTranscript()}
	up.cmd.Env = append(os.Environ(), "KEPT_TEST_PLAYS=kept", "KEPT_TEMPORAL_DEV="+binary, "DATABASE_URL=", "TEMPORAL_ADDRESS=", "KEPT_BASE_URL=")
	up.cmd.Stdout, up.cmd.Stderr = up.out, up.out
	embedded.Tie(up.cmd, syscall.SIGTERM)
	require.NoError(t, up.cmd.Start())
	t.Cleanup(func() { _ = up.cmd.Process.Kill() })
	return up
}

func readRunning(t *testing.T, dir string) running {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(dir, "running.json"))
	require.NoError(t, err)
	var r running
	require.NoError(t, json.Unmarshal(content, &r))
	return r
}

// stateFolder is one that the account PostgreSQL runs as can enter, so that the data goes away with the test.
func stateFolder(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, os.Chmod(filepath.Dir(dir), 0o755))
	return dir
}

func TestUp_KilledThenStartedAgain_GoesOnAndStopsCleanly(t *testing.T) {
	dir := stateFolder(t)
	first := startUp(t, dir)
	first.out.waitFor(t, 1, "Links in messages work on this machine only")
	conn, err := pgx.Connect(t.Context(), readRunning(t, dir).DatabaseURL)
	require.NoError(t, err)
	_, err = conn.Exec(t.Context(), `create table witness as select 42 as n`)
	require.NoError(t, err)
	require.NoError(t, first.cmd.Process.Kill())
	require.Error(t, first.cmd.Wait())
	_ = conn.Close(context.Background()) // its server goes down with the parent

	second := startUp(t, dir, "--public-url", "https://book.example.org/")
	second.out.waitFor(t, 1, "Links in messages lead to https://book.example.org\n")
	require.Contains(t, second.out.String(), "ended without cleaning up; going on where it stopped")
	r := readRunning(t, dir)
	conn, err = pgx.Connect(t.Context(), r.DatabaseURL)
	require.NoError(t, err)
	var n int
	require.NoError(t, conn.QueryRow(t.Context(), `select n from witness`).Scan(&n))
	require.Equal(t, 42, n)
	require.NoError(t, conn.Close(t.Context()))

	requirePostgresComesBack(t, dir, r.DatabaseURL)

	third := startUp(t, dir)
	require.Error(t, third.cmd.Wait())
	require.Contains(t, third.out.String(), "kept already runs in "+dir+": stop it with `kill "+strconv.Itoa(second.cmd.Process.Pid)+"`")

	require.NoError(t, second.cmd.Process.Signal(syscall.SIGTERM))
	require.NoError(t, second.cmd.Wait(), second.out.String())
	_, err = pgx.Connect(t.Context(), r.DatabaseURL)
	require.Error(t, err, "nothing is left running")
	_, err = os.Stat(filepath.Join(dir, "running.json"))
	require.ErrorIs(t, err, os.ErrNotExist)
}

// requirePostgresComesBack kills the server as a crash would, behind the supervisor's back.
func requirePostgresComesBack(t *testing.T, dir, url string) {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(dir, "postgres", "data", "postmaster.pid"))
	require.NoError(t, err)
	first, _, _ := strings.Cut(string(content), "\n")
	pid, err := strconv.Atoi(first)
	require.NoError(t, err)
	require.NoError(t, syscall.Kill(pid, syscall.SIGKILL))
	require.Eventually(t, func() bool {
		conn, err := pgx.Connect(t.Context(), url)
		return err == nil && conn.Close(t.Context()) == nil
	}, 15*time.Second, 50*time.Millisecond)
}

func TestUp_PortsTaken_NamesEachWithItsFlag(t *testing.T) {
	taken := make([]string, 2)
	for i := range taken {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, l.Close()) })
		taken[i] = strconv.Itoa(l.Addr().(*net.TCPAddr).Port)
	}
	up := startUp(t, stateFolder(t), "--port", taken[0], "--ui-port", taken[1])
	require.Error(t, up.cmd.Wait())
	require.Contains(t, up.out.String(), "port "+taken[0]+" for the API is taken: stop what uses it, or choose another with --port")
	require.Contains(t, up.out.String(), "port "+taken[1]+" for the Temporal UI is taken: stop what uses it, or choose another with --ui-port")
	require.NotContains(t, up.out.String(), "starting")
}

func TestUp_FolderThatCannotBeWritten_SaysSo(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	up := startUp(t, filepath.Join(file, "state"))
	require.Error(t, up.cmd.Wait())
	require.Contains(t, up.out.String(), "make it writable or choose another with --dir")
}

func TestState_Secrets_AreMadeOnceAndPrivate(t *testing.T) {
	s := &state{dir: t.TempDir()}
	made, err := s.secrets()
	require.NoError(t, err)
	require.Len(t, made, 5)
	again, err := s.secrets()
	require.NoError(t, err)
	require.Equal(t, made, again)
	info, err := os.Stat(s.path("secrets.env"))
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	_, err = parseConfig(made)
	require.NoError(t, err, "what up makes, the parts accept")
}
