//go:build bench

package main

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
	"time"

	"github.com/kept-practice/kept/internal/embedded"
)

// starting measures `kept up`, as `make run` runs it once it has built: in an empty folder, then in the one that it left.
func (b bench) starting(ctx context.Context) (err error) {
	fmt.Fprintln(b.out, "starting: kept up in an empty folder, then again")
	dir, err := os.MkdirTemp("", "kept-bench-up-")
	if err != nil {
		return fmt.Errorf("make a folder: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if err := os.Chmod(dir, 0o755); err != nil { // PostgreSQL may run as another user
		return fmt.Errorf("open the folder: %w", err)
	}
	first, err := b.up(ctx, dir)
	if err != nil {
		return err
	}
	var later []float64
	for range 3 {
		took, err := b.up(ctx, dir)
		if err != nil {
			return err
		}
		later = append(later, took.Seconds())
	}
	fmt.Fprintf(b.out, "  first %.1f s, later %.1f s\n", first.Seconds(), median(later))
	b.report.add([]figure{
		{"first `make run`, programs built, 200 clients and their visits seeded, until ready", "", fmt.Sprintf("%.1f s", first.Seconds()), "1"},
		{"later `make run`, until ready", "< 10 s", fmt.Sprintf("%.1f s", median(later)), "3"},
	}, []row{{"start", "first", "1", fmt.Sprintf("%.3f", first.Seconds())}, {"start", "later", "3", fmt.Sprintf("%.3f", median(later))}})
	return nil
}

// up starts everything, waits until it says that it is ready, and stops it.
func (b bench) up(ctx context.Context, dir string) (time.Duration, error) {
	args := []string{"up", "--dir", dir}
	for _, flag := range []string{"--port", "--ui-port", "--mailbox-port", "--temporal-port"} {
		port, err := embedded.FreePort()
		if err != nil {
			return 0, err
		}
		args = append(args, flag, strconv.Itoa(port))
	}
	var log bytes.Buffer
	cmd := exec.Command(b.kept, args...)
	cmd.Env = append(os.Environ(), "KEPT_TEMPORAL_DEV="+b.temporal, "DATABASE_URL=", "TEMPORAL_ADDRESS=", "KEPT_BASE_URL=")
	cmd.Stdout, cmd.Stderr = &log, &log
	embedded.Tie(cmd, syscall.SIGTERM)
	began := time.Now()
	if err := cmd.Start(); err != nil {
		return 0, fmt.Errorf("start kept up: %w", err)
	}
	err := until(ctx, 2*time.Minute, "kept up is ready", func() (bool, error) {
		_, err := os.Stat(filepath.Join(dir, "running.json"))
		return err == nil, nil
	})
	took := time.Since(began)
	if err = errors.Join(err, end(cmd)); err != nil {
		return 0, fmt.Errorf("%w\n%s", err, strings.TrimSpace(log.String()))
	}
	return took, nil
}
