package embedded

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTakeLock_LeftByADeadProcess_IsTakenAndNamed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	dead := exec.Command("true")
	require.NoError(t, dead.Run())
	require.NoError(t, os.WriteFile(path, []byte(strconv.Itoa(dead.Process.Pid)+"\n"), 0o644))

	lock, err := TakeLock(path)
	require.NoError(t, err)
	require.Equal(t, dead.Process.Pid, lock.Stale)
	require.Equal(t, os.Getpid(), readPID(path))
	require.NoError(t, lock.Release())

	again, err := TakeLock(path)
	require.NoError(t, err)
	require.Zero(t, again.Stale, "an orderly release leaves no name")
	require.NoError(t, again.Release())
}

func TestMakeFolder_OnAFile_SaysWhatToDo(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	_, err := MakeFolder(filepath.Join(file, "kept"))
	require.ErrorContains(t, err, "make it writable or choose another with --dir")
}

func TestAccount_ReachesOnlyThroughOpenFolders(t *testing.T) {
	root := t.TempDir()
	require.NoError(t, os.Chmod(filepath.Dir(root), 0o755))
	open, closed := filepath.Join(root, "open"), filepath.Join(root, "closed")
	require.NoError(t, os.Mkdir(open, 0o755))
	require.NoError(t, os.Mkdir(closed, 0o700))
	stranger := &account{name: "stranger", uid: 4_000_001, gid: 4_000_001}
	require.True(t, stranger.reaches(open))
	require.True(t, stranger.reaches(filepath.Join(open, "not", "yet", "made")))
	require.False(t, stranger.reaches(closed))
	require.False(t, stranger.reaches(filepath.Join(closed, "not-yet-made")))

	info, err := os.Stat(closed)
	require.NoError(t, err)
	owner := info.Sys().(*syscall.Stat_t)
	require.True(t, (&account{name: "owner", uid: owner.Uid, gid: owner.Gid}).reaches(closed))
}

func TestPortTaken_TellsTakenFromFree(t *testing.T) {
	port, err := FreePort()
	require.NoError(t, err)
	taken, err := PortTaken("127.0.0.1", port)
	require.NoError(t, err)
	require.False(t, taken)
	p := start(t, folder(t))
	taken, err = PortTaken("127.0.0.1", p.opts.Port)
	require.NoError(t, err)
	require.True(t, taken)
}

func TestMissingError_OneLineWithTheCommand(t *testing.T) {
	message := missingError(15, []string{"13 in /usr/lib/postgresql/13/bin"}, nil).Error()
	require.Contains(t, message, "the data was made by PostgreSQL 15, which was not found (there is 13 in /usr/lib/postgresql/13/bin)")
	require.Contains(t, message, "install it with `")
	require.NotContains(t, message, "\n")
}
