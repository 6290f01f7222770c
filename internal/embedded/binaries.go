package embedded

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
)

// oldestPostgres is the first major version kept works with.
const oldestPostgres = 15

// binaries is a folder with initdb and postgres, and the major version they are.
type binaries struct {
	dir   string
	major int
}

var versionPattern = regexp.MustCompile(`\(PostgreSQL\) (\d+)`)

// findBinaries takes PostgreSQL from PATH, else the newest installed one, else downloads it. major is the version that
// existing data was made by, 0 for new data.
func findBinaries(ctx context.Context, major int, acc *account, progress io.Writer) (binaries, error) {
	var others []string
	for _, dir := range installedFolders() {
		found, err := inspectBinaries(ctx, dir)
		if err != nil {
			continue // half an installation is none
		}
		if found.major == major || major == 0 && found.major >= oldestPostgres {
			return found, nil
		}
		others = append(others, fmt.Sprintf("%d in %s", found.major, found.dir))
	}
	var reason error
	if major == 0 || major == downloadMajor {
		found, err := downloadBinaries(ctx, acc, progress)
		if err == nil {
			return found, nil
		}
		reason = err
	}
	return binaries{}, missingError(major, others, reason)
}

// installedFolders lists where binaries may be: PATH first, then the places systems keep them off PATH, newest first.
func installedFolders() []string {
	var dirs []string
	for _, dir := range filepath.SplitList(os.Getenv("PATH")) {
		path, err := filepath.EvalSymlinks(filepath.Join(dir, "postgres"))
		if err == nil && filepath.IsAbs(path) {
			dirs = append(dirs, filepath.Dir(path))
		}
	}
	for _, pattern := range []string{
		"/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin", "/usr/libexec/postgresql*", "/usr/local/pgsql/bin",
		"/opt/homebrew/opt/postgresql@*/bin", "/usr/local/opt/postgresql@*/bin",
		"/Applications/Postgres.app/Contents/Versions/*/bin",
	} {
		found, err := filepath.Glob(pattern)
		if err != nil {
			panic(err) // the patterns above are constants
		}
		slices.SortFunc(found, func(a, b string) int { return numberIn(b) - numberIn(a) })
		dirs = append(dirs, found...)
	}
	return dirs
}

func numberIn(path string) int {
	n, err := strconv.Atoi(regexp.MustCompile(`\d+`).FindString(path))
	if err != nil {
		return 0
	}
	return n
}

func inspectBinaries(ctx context.Context, dir string) (binaries, error) {
	if _, err := os.Stat(filepath.Join(dir, "initdb")); err != nil {
		return binaries{}, fmt.Errorf("no initdb beside postgres: %w", err)
	}
	out, err := exec.CommandContext(ctx, filepath.Join(dir, "postgres"), "--version").Output()
	if err != nil {
		return binaries{}, fmt.Errorf("%s/postgres --version: %w", dir, err)
	}
	match := versionPattern.FindSubmatch(out)
	if match == nil {
		return binaries{}, fmt.Errorf("%s/postgres --version said %q", dir, bytes.TrimSpace(out))
	}
	major, err := strconv.Atoi(string(match[1]))
	if err != nil {
		return binaries{}, fmt.Errorf("%s/postgres --version said %q", dir, bytes.TrimSpace(out))
	}
	return binaries{dir: dir, major: major}, nil
}

// missingError is the one message a user sees: what was looked for, what is there, what to type.
func missingError(major int, others []string, download error) error {
	var b strings.Builder
	if major == 0 {
		fmt.Fprintf(&b, "PostgreSQL %d or newer was not found", oldestPostgres)
	} else {
		fmt.Fprintf(&b, "the data was made by PostgreSQL %d, which was not found", major)
	}
	if len(others) > 0 {
		fmt.Fprintf(&b, " (there is %s)", strings.Join(others, ", "))
	}
	fmt.Fprintf(&b, ": install it with `%s`, or set DATABASE_URL to a running one", installCommand(major))
	if download != nil {
		fmt.Fprintf(&b, "; downloading it failed: %v", download)
	}
	return errors.New(b.String())
}

func installCommand(major int) string {
	system := runtime.GOOS
	if release, err := os.ReadFile("/etc/os-release"); err == nil {
		system = string(release)
	}
	version := func(prefix, plain string) string {
		if major == 0 {
			return plain
		}
		return prefix + strconv.Itoa(major)
	}
	has := func(words ...string) bool {
		return slices.ContainsFunc(words, func(w string) bool { return strings.Contains(system, w) })
	}
	switch {
	case has("debian", "ubuntu"):
		return "sudo apt-get install " + version("postgresql-", "postgresql")
	case has("fedora", "rhel", "centos"):
		return "sudo dnf install postgresql-server postgresql-contrib"
	case has("alpine"):
		return "apk add " + version("postgresql", "postgresql17") + " postgresql-contrib"
	case has("arch"):
		return "sudo pacman -S postgresql"
	case has("suse"):
		return "sudo zypper install postgresql-server postgresql-contrib"
	case has("darwin"):
		return "brew install " + version("postgresql@", "postgresql@17")
	default:
		return "your system's package for the PostgreSQL server"
	}
}
