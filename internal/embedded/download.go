package embedded

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"

	postgres "github.com/fergusstrange/embedded-postgres"
)

// The downloaded PostgreSQL is the oldest kept works with, so that what runs here runs everywhere.
const (
	downloadMajor   = 15
	downloadVersion = postgres.V15
)

// downloadBinaries fetches PostgreSQL once per machine and user. The library has no way to only fetch: it goes on to a
// trial start in a throw-away folder, which fails for root, so what counts is whether the binaries lie there afterwards.
func downloadBinaries(ctx context.Context, acc *account, progress io.Writer) (binaries, error) {
	home, err := downloadHome(acc)
	if err != nil {
		return binaries{}, err
	}
	target := filepath.Join(home, fmt.Sprintf("postgres-%s", downloadVersion))
	if found, err := inspectBinaries(ctx, filepath.Join(target, "bin")); err == nil {
		return found, nil
	}
	if err := os.MkdirAll(home, 0o755); err != nil {
		return binaries{}, fmt.Errorf("make the download folder: %w", err)
	}
	scratch, err := os.MkdirTemp(home, "fetch-")
	if err != nil {
		return binaries{}, fmt.Errorf("make the download folder: %w", err)
	}
	defer func() { _ = os.RemoveAll(scratch) }()
	port, err := FreePort()
	if err != nil {
		return binaries{}, err
	}
	fmt.Fprintf(progress, "downloading PostgreSQL %s to %s (about 20 MB, once)\n", downloadVersion, target)
	unpacked := filepath.Join(scratch, "postgres")
	trial := postgres.NewDatabase(postgres.DefaultConfig().Version(downloadVersion).Port(uint32(port)).
		CachePath(scratch).RuntimePath(filepath.Join(scratch, "run")).BinariesPath(unpacked).Logger(io.Discard))
	failed := trial.Start()
	if failed == nil {
		failed = trial.Stop()
	}
	if _, err := inspectBinaries(ctx, filepath.Join(unpacked, "bin")); err != nil {
		return binaries{}, cmp.Or(failed, err)
	}
	if err := os.Rename(unpacked, target); err != nil {
		return binaries{}, fmt.Errorf("keep the downloaded PostgreSQL: %w", err)
	}
	return inspectBinaries(ctx, filepath.Join(target, "bin"))
}

// downloadHome must be open to the account, which root's own cache folder is not.
func downloadHome(acc *account) (string, error) {
	if acc != nil {
		return elsewhere, nil
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("find the cache folder: %w", err)
	}
	return filepath.Join(cache, "kept"), nil
}
