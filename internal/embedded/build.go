package embedded

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
)

// modulePattern finds the source tree: the go.mod that names this module.
var modulePattern = regexp.MustCompile(`(?m)^module github\.com/kept-practice/kept$`)

// TemporalBuild says where the development Temporal may come from.
type TemporalBuild struct {
	Override string    // a ready binary (KEPT_TEMPORAL_DEV); wins when set
	Dir      string    // keeps what is built, beside the hash of its sources
	Source   string    // where to look upwards for the source tree; the working folder when empty
	Progress io.Writer // a bar on a terminal, lines otherwise; nil for none
}

// TemporalBinary returns the path of temporal-dev, building it when the one in Dir does not belong to today's sources.
// The first build takes minutes, a later one seconds; a build in another process is waited for.
func TemporalBinary(ctx context.Context, b TemporalBuild) (string, error) {
	if b.Override != "" {
		return b.Override, executable(b.Override)
	}
	if b.Progress == nil {
		b.Progress = io.Discard
	}
	source, err := findSource(b.Source)
	if err != nil {
		return binaryBesideUs(err)
	}
	hash, err := sourceHash(source)
	if err != nil {
		return "", err
	}
	dir, err := MakeFolder(b.Dir)
	if err != nil {
		return "", err
	}
	target, note := filepath.Join(dir, "temporal-dev"), filepath.Join(dir, "temporal-dev.hash")
	if current(target, note, hash) {
		return target, nil
	}
	lock, err := waitLock(ctx, filepath.Join(dir, "temporal-dev.lock"), b.Progress)
	if err != nil {
		return "", err
	}
	if !current(target, note, hash) {
		if err = build(ctx, source, target, b.Progress); err == nil {
			err = os.WriteFile(note, []byte(hash), 0o644)
		}
	}
	return target, errors.Join(err, lock.Release())
}

func current(target, note, hash string) bool {
	have, err := os.ReadFile(note)
	return err == nil && string(have) == hash && executable(target) == nil
}

func executable(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return fmt.Errorf("the Temporal server's binary: %w", err)
	}
	if info.IsDir() || info.Mode()&0o111 == 0 {
		return fmt.Errorf("the Temporal server's binary %s cannot be executed", path)
	}
	return nil
}

// binaryBesideUs serves an installed kept, which has no source tree.
func binaryBesideUs(noSource error) (string, error) {
	self, err := os.Executable()
	if err != nil {
		return "", fmt.Errorf("find our own binary: %w", err)
	}
	path := filepath.Join(filepath.Dir(self), "temporal-dev")
	if executable(path) == nil {
		return path, nil
	}
	return "", fmt.Errorf("no Temporal server: run in a clone of kept's repository, or put temporal-dev beside %s, "+
		"or set TEMPORAL_ADDRESS to a running one: %w", self, noSource)
}

func findSource(from string) (string, error) {
	start, err := filepath.Abs(cmp.Or(from, "."))
	if err != nil {
		return "", fmt.Errorf("find the source tree: %w", err)
	}
	for at := start; ; at = filepath.Dir(at) {
		mod, err := os.ReadFile(filepath.Join(at, "go.mod"))
		if err == nil && modulePattern.Match(mod) {
			return filepath.Join(at, "cmd", "temporal-dev"), nil
		}
		if at == filepath.Dir(at) {
			return "", fmt.Errorf("no source tree above %s", start)
		}
	}
}

// sourceHash names a build by everything of ours that goes into it.
func sourceHash(source string) (string, error) {
	files, err := filepath.Glob(filepath.Join(source, "*.go"))
	if err != nil {
		return "", fmt.Errorf("list %s: %w", source, err)
	}
	files = append(files, filepath.Join(source, "go.mod"), filepath.Join(source, "go.sum"))
	slices.Sort(files)
	sum := sha256.New()
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			return "", fmt.Errorf("read the Temporal server's source: %w", err)
		}
		fmt.Fprintf(sum, "%s %d\n%s", filepath.Base(file), len(content), content)
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}

func waitLock(ctx context.Context, path string, progress io.Writer) (*Lock, error) {
	lock, err := TakeLock(path)
	var held *HeldError
	if !errors.As(err, &held) {
		return lock, err
	}
	fmt.Fprintf(progress, "waiting for process %d, which builds the Temporal server\n", held.PID)
	err = poll(ctx, 200*time.Millisecond, nil, func(context.Context) error {
		lock, err = TakeLock(path)
		return err
	})
	return lock, err
}

func build(ctx context.Context, source, target string, progress io.Writer) error {
	if _, err := exec.LookPath("go"); err != nil {
		return errors.New("building the Temporal server needs Go on PATH: https://go.dev/dl, " +
			"or set TEMPORAL_ADDRESS to a running server")
	}
	list, err := goCommand(ctx, source, "list", "-deps", ".").Output()
	if err != nil {
		return fmt.Errorf("list the Temporal server's packages: %w%s", err, stderrOf(err))
	}
	bar := newProgress(progress, "compiling Temporal server", bytes.Count(list, []byte("\n")))
	bar.say("the first time takes some minutes, later ones seconds")
	fresh := target + ".new"
	cmd := goCommand(ctx, source, "build", "-v", "-ldflags=-s -w", "-o", fresh, ".")
	pipe, err := cmd.StderrPipe()
	if err != nil {
		return fmt.Errorf("build the Temporal server: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("build the Temporal server: %w", err)
	}
	var complaints []string
	lines := bufio.NewScanner(pipe)
	for lines.Scan() {
		// -v prints the path of each package as it is compiled, and nothing else; the compiler's words have spaces in them
		if line := lines.Text(); strings.Contains(line, " ") {
			complaints = append(complaints, line)
		} else {
			bar.step()
		}
	}
	if err := errors.Join(lines.Err(), cmd.Wait()); err != nil {
		return fmt.Errorf("build the Temporal server: %w\n%s", err, strings.Join(complaints, "\n"))
	}
	bar.end()
	if err := os.Rename(fresh, target); err != nil {
		return fmt.Errorf("keep the Temporal server: %w", err)
	}
	return nil
}

// goCommand runs the Go tool in the server's own module.
func goCommand(ctx context.Context, dir string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off")
	return cmd
}

func stderrOf(err error) string {
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return ": " + strings.TrimSpace(string(exit.Stderr))
	}
	return ""
}
