package embedded

import (
	"bytes"
	"context"
	"errors"
	"fmt"
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
)

// start runs a server in dir with crash safety on, and removes its data, wherever it lies, at the end of the test.
func start(t *testing.T, dir string) *Postgres {
	t.Helper()
	p, err := StartPostgres(t.Context(), PostgresOptions{Dir: dir})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, p.Remove(context.Background())) })
	return p
}

// folder is a state folder that PostgreSQL's account can enter, as an ordinary .kept is, so that the data lies in it and
// goes with it.
func folder(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, os.Chmod(filepath.Dir(dir), 0o755))
	return dir
}

func query[T any](t *testing.T, p *Postgres, sql string) T {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), p.URL())
	require.NoError(t, err)
	defer func() { require.NoError(t, conn.Close(context.Background())) }()
	var v T
	require.NoError(t, conn.QueryRow(t.Context(), sql).Scan(&v))
	return v
}

func TestPostgres_KilledAndStartedAgain_KeepsWhatWasCommitted(t *testing.T) {
	p := start(t, folder(t))
	require.Equal(t, "kept", query[string](t, p, `select current_database()`))
	require.Equal(t, "UTC", query[string](t, p, `show timezone`))
	require.Equal(t, "on", query[string](t, p, `show fsync`))

	conn, err := pgx.Connect(t.Context(), p.URL())
	require.NoError(t, err)
	_, err = conn.Exec(t.Context(), `create table facts (n int)`)
	require.NoError(t, err)
	_, err = conn.Exec(t.Context(), `insert into facts values (42)`)
	require.NoError(t, err)
	url := p.URL()
	require.NoError(t, p.Kill())
	require.Eventually(t, func() bool { return conn.Ping(t.Context()) != nil }, 10*time.Second, 20*time.Millisecond,
		"a backend notices at its next read that its server was killed")

	require.NoError(t, p.Start(t.Context()))
	require.Equal(t, url, p.URL(), "clients find it where it was")
	require.Equal(t, 42, query[int](t, p, `select n from facts`))
}

func TestPostgres_StoppedAndStartedInTheSameFolder_GoesOn(t *testing.T) {
	dir := folder(t)
	p, err := StartPostgres(t.Context(), PostgresOptions{Dir: dir, Fast: true})
	require.NoError(t, err)
	password := p.password
	require.Equal(t, "off", query[string](t, p, `show fsync`))
	require.NoError(t, p.Stop(t.Context()))

	again := start(t, dir)
	require.Equal(t, password, again.password)
	info, err := os.Stat(filepath.Join(dir, "postgres.password"))
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
}

func TestPostgres_TwoFolders_RunSideBySide(t *testing.T) {
	a, b := start(t, folder(t)), start(t, folder(t))
	require.NotEqual(t, query[int](t, a, `select inet_server_port()`), query[int](t, b, `select inet_server_port()`))
}

// TestPostgres_FolderClosedToItsAccount_DataLiesElsewhere matters to root, whose home is closed; an ordinary user's server
// is the user.
func TestPostgres_FolderClosedToItsAccount_DataLiesElsewhere(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.Chmod(dir, 0o700))
	p := start(t, dir)
	require.Equal(t, 1, query[int](t, p, `select 1`))
	if os.Geteuid() != 0 {
		require.Equal(t, filepath.Join(dir, "postgres"), p.home)
		return
	}
	note, err := os.ReadFile(filepath.Join(dir, "postgres-is-elsewhere.txt"))
	require.NoError(t, err)
	require.Contains(t, string(note), p.home)
	require.True(t, strings.HasPrefix(p.home, elsewhere))
	require.NoError(t, p.Stop(t.Context()))
	require.NoError(t, os.Chmod(dir, 0o755))
	require.NoError(t, os.Chmod(filepath.Dir(dir), 0o755))
	home := p.home
	again := start(t, dir)
	require.Equal(t, home, again.home, "data is never left behind, though the folder is open now")
}

func TestPostgres_WithoutThePassword_NobodyEnters(t *testing.T) {
	p := start(t, folder(t))
	_, err := pgx.Connect(t.Context(), strings.Replace(p.URL(), p.password, "wrong", 1))
	require.ErrorContains(t, err, "28P01")
}

func TestPostgres_FolderInUse_NamesTheProcess(t *testing.T) {
	dir := folder(t)
	start(t, dir)
	_, err := StartPostgres(t.Context(), PostgresOptions{Dir: dir})
	var held *HeldError
	require.ErrorAs(t, err, &held)
	require.Equal(t, os.Getpid(), held.PID)
}

// TestPostgres_LeftOverServer_IsStoppedFirst plays a start whose predecessor died without its server dying too.
func TestPostgres_LeftOverServer_IsStoppedFirst(t *testing.T) {
	dir := folder(t)
	old, err := StartPostgres(t.Context(), PostgresOptions{Dir: dir})
	require.NoError(t, err)
	require.NoError(t, old.Close())

	var said bytes.Buffer
	p, err := StartPostgres(t.Context(), PostgresOptions{Dir: dir, Log: &said})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, p.Remove(context.Background())) })
	require.Contains(t, said.String(), fmt.Sprintf("stopping PostgreSQL (process %d), left over", old.running.cmd.Process.Pid))
	<-old.running.done
	require.Equal(t, 1, query[int](t, p, `select 1`))
}

func TestPostgres_PidFileNamingAStranger_IsForgotten(t *testing.T) {
	dir := folder(t)
	p := start(t, dir)
	require.NoError(t, p.Kill())
	stranger := exec.Command("sleep", "60")
	require.NoError(t, stranger.Start())
	t.Cleanup(func() { _, _ = stranger.Process.Kill(), stranger.Wait() })
	pidFile := p.file("postmaster.pid")
	content, err := os.ReadFile(pidFile)
	require.NoError(t, err)
	_, rest, _ := strings.Cut(string(content), "\n")
	require.NoError(t, os.WriteFile(pidFile, []byte(strconv.Itoa(stranger.Process.Pid)+"\n"+rest), 0o600))

	require.NoError(t, p.Start(t.Context()))
	require.True(t, alive(stranger.Process.Pid))
}

func TestPostgres_PortTaken_SaysSo(t *testing.T) {
	other := start(t, folder(t))
	_, err := StartPostgres(t.Context(), PostgresOptions{Dir: folder(t), Port: other.opts.Port})
	require.ErrorContains(t, err, fmt.Sprintf("port %d for PostgreSQL is taken", other.opts.Port))
}

func TestPostgres_PasswordLost_SaysWhatToDo(t *testing.T) {
	dir := folder(t)
	p := start(t, dir)
	require.NoError(t, p.Stop(t.Context()))
	require.NoError(t, os.Remove(filepath.Join(dir, "postgres.password")))
	_, err := StartPostgres(t.Context(), PostgresOptions{Dir: dir})
	require.ErrorContains(t, err, "postgres.password is missing")
	require.ErrorContains(t, err, "put it back")
}

// TestPostgres_ParentKilled_ServerGoesToo starts this test binary as the parent, kills it, and starts again in its folder.
func TestPostgres_ParentKilled_NextStartWorks(t *testing.T) {
	dir := folder(t)
	parent := exec.Command(os.Args[0], "-test.run=TestHoldPostgres")
	parent.Env = append(os.Environ(), "EMBEDDED_TEST_HOLD="+dir)
	out, err := parent.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, parent.Start())
	one := make([]byte, 1)
	_, err = out.Read(one)
	require.NoError(t, err, "the parent says that its server is up")
	require.NoError(t, parent.Process.Signal(syscall.SIGKILL))
	require.Error(t, parent.Wait())

	p := start(t, dir)
	require.Equal(t, 7, query[int](t, p, `select n from facts`))
}

// TestHoldPostgres is the parent of the test above; on its own it shows that a second of life leaves nothing behind.
func TestHoldPostgres(t *testing.T) {
	dir, held := os.LookupEnv("EMBEDDED_TEST_HOLD")
	if !held {
		dir = folder(t)
	}
	p, err := StartPostgres(t.Context(), PostgresOptions{Dir: dir})
	require.NoError(t, err)
	conn, err := pgx.Connect(t.Context(), p.URL())
	require.NoError(t, err)
	_, err = conn.Exec(t.Context(), `create table facts as select 7 as n`)
	require.NoError(t, err)
	if held {
		fmt.Println("up")
		<-t.Context().Done()
	}
	require.NoError(t, conn.Close(t.Context()))
	require.NoError(t, p.Remove(t.Context()))
	_, err = os.Stat(p.home)
	require.ErrorIs(t, err, os.ErrNotExist)
}

func TestPostgres_CallerGivesUp_StopKills(t *testing.T) {
	p := start(t, folder(t))
	conn, err := pgx.Connect(t.Context(), p.URL())
	require.NoError(t, err)
	defer func() { _ = conn.Close(context.Background()) }()
	gone, cancel := context.WithDeadline(t.Context(), time.Now())
	defer cancel()
	err = p.Stop(gone)
	require.True(t, err == nil || errors.Is(err, context.DeadlineExceeded))
	require.False(t, alive(p.running.cmd.Process.Pid))
}
