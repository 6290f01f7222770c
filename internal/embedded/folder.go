package embedded

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// elsewhere is where data goes when the state folder is closed to the account PostgreSQL runs as.
const elsewhere = "/var/lib/kept"

// MakeFolder makes a state folder and proves that files can be written to it. The error says what to do.
func MakeFolder(dir string) (absolute string, err error) {
	if absolute, err = filepath.Abs(dir); err != nil {
		return "", fmt.Errorf("folder %s: %w", dir, err)
	}
	if err = os.MkdirAll(absolute, 0o755); err == nil {
		var probe *os.File
		if probe, err = os.CreateTemp(absolute, ".write-*"); err == nil {
			if err := errors.Join(probe.Close(), os.Remove(probe.Name())); err != nil {
				return "", fmt.Errorf("folder %s: %w", absolute, err)
			}
			return filepath.EvalSymlinks(absolute)
		}
	}
	return "", fmt.Errorf("cannot write to folder %s: make it writable or choose another with --dir: %w", absolute, err)
}

// Lock is held by one process on one file for as long as the process lives, so a kill can leave no stale one behind.
type Lock struct {
	file *os.File
	// Stale is the id of a process that held the lock and ended without letting go; 0 when there was none.
	Stale int
}

// HeldError names the process that holds a lock; PID is 0 when it has not said who it is.
type HeldError struct {
	Path string
	PID  int
}

func (e *HeldError) Error() string {
	if e.PID == 0 {
		return e.Path + " is held by another process"
	}
	return fmt.Sprintf("%s is held by process %d", e.Path, e.PID)
}

// TakeLock never waits: a lock held by another process is a *HeldError.
func TakeLock(path string) (*Lock, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, fmt.Errorf("open lock file: %w", err)
	}
	pid := readPID(path)
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		held := &HeldError{Path: path, PID: pid}
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, errors.Join(fmt.Errorf("lock %s: %w", path, err), f.Close())
		}
		return nil, errors.Join(held, f.Close())
	}
	l := &Lock{file: f, Stale: pid}
	if err := l.write(strconv.Itoa(os.Getpid()) + "\n"); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return l, nil
}

// Release lets go; the empty file stays, since removing it would let two processes hold "the" lock.
func (l *Lock) Release() error {
	return errors.Join(l.write(""), l.file.Close())
}

func (l *Lock) write(content string) error {
	if err := l.file.Truncate(0); err != nil {
		return fmt.Errorf("write lock file: %w", err)
	}
	if _, err := l.file.WriteAt([]byte(content), 0); err != nil {
		return fmt.Errorf("write lock file: %w", err)
	}
	return nil
}

// readPID reads the number on a file's first line; 0 when there is none.
func readPID(path string) int {
	content, err := os.ReadFile(path)
	if err != nil {
		return 0
	}
	first, _, _ := strings.Cut(string(content), "\n")
	pid, err := strconv.Atoi(strings.TrimSpace(first))
	if err != nil {
		return 0
	}
	return pid
}

// dataHome decides in which folder PostgreSQL's files lie: <state>/postgres, or under /var/lib/kept when the account
// cannot get there. Data that exists is never left behind.
func dataHome(state string) (home string, acc *account, err error) {
	sum := sha256.Sum256([]byte(state))
	inside, outside := filepath.Join(state, "postgres"), filepath.Join(elsewhere, hex.EncodeToString(sum[:6]))
	if _, err := os.Stat(outside); err == nil && os.Geteuid() == 0 {
		acc, err = serverAccount(filepath.Join(outside, "data"))
		return outside, acc, err
	}
	if acc, err = serverAccount(filepath.Join(inside, "data")); err != nil {
		return "", nil, err
	}
	if acc.reaches(state) {
		return inside, acc, nil
	}
	note := fmt.Sprintf("PostgreSQL runs as user %s, who cannot enter this folder, so its data lies in\n%s\n", acc.name, outside)
	if err := os.WriteFile(filepath.Join(state, "postgres-is-elsewhere.txt"), []byte(note), 0o644); err != nil {
		return "", nil, fmt.Errorf("note where the data lies: %w", err)
	}
	return outside, acc, nil
}

// makeHome makes the folder for the account alone; what is above it stays open to pass through.
func makeHome(home string, acc *account) error {
	if err := os.MkdirAll(filepath.Dir(home), 0o755); err != nil {
		return fmt.Errorf("make the data folder: %w", err)
	}
	if err := os.Mkdir(home, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("make the data folder: %w", err)
	}
	return acc.own(home)
}
