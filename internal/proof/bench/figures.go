//go:build bench

package main

import (
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"go.temporal.io/api/workflowservice/v1"
)

// report is what was measured, and on what.
type report struct {
	started  time.Time
	machine  []string
	versions string
	idle     float64 // load by others before anything was started
	figures  []figure
	rows     []row
}

// figure is one line of the page; row is one of the raw numbers: metric, arm, round, value.
type (
	figure struct{ what, aim, measured, n string }
	row    []string
)

func (r *report) add(figures []figure, rows []row) {
	r.figures, r.rows = append(r.figures, figures...), append(r.rows, rows...)
}

// about reads once what the servers are.
func (r *report) about(ctx context.Context, f *floor) error {
	if r.versions != "" {
		return nil
	}
	var postgres, fsync, commit string
	err := f.s.admin.QueryRow(ctx, "select current_setting('server_version'), current_setting('fsync'), current_setting('synchronous_commit')").Scan(&postgres, &fsync, &commit)
	if err != nil {
		return fmt.Errorf("ask PostgreSQL what it is: %w", err)
	}
	temporal, err := f.client.WorkflowService().GetSystemInfo(ctx, &workflowservice.GetSystemInfoRequest{})
	if err != nil {
		return fmt.Errorf("ask Temporal what it is: %w", err)
	}
	r.versions = fmt.Sprintf("Go %s, PostgreSQL %s (fsync %s, synchronous_commit %s), Temporal %s on the same PostgreSQL",
		strings.TrimPrefix(runtime.Version(), "go"), strings.Fields(postgres)[0], fsync, commit, temporal.GetServerVersion())
	return nil
}

// begin notes the machine and what else it does.
func (r *report) begin(ctx context.Context) {
	r.started = time.Now()
	r.idle = otherLoad(ctx, 3*time.Second)
	model := field("/proc/cpuinfo", "model name")
	memory := field("/proc/meminfo", "MemTotal")
	var kilobytes float64
	if _, err := fmt.Sscan(memory, &kilobytes); err == nil {
		memory = fmt.Sprintf("%.0f GiB", kilobytes/1024/1024)
	}
	r.machine = []string{fmt.Sprintf("%d cores", runtime.NumCPU()), model, memory + " of memory"}
}

func field(path, name string) string {
	text, err := os.ReadFile(path)
	if err != nil {
		return "unknown"
	}
	for line := range strings.SplitSeq(string(text), "\n") {
		if key, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == name {
			return strings.TrimSpace(value)
		}
	}
	return "unknown"
}

// text is the section of the page.
func (r *report) text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "Measured by `make bench` on %s, at %s, in %s.\n", r.started.UTC().Format("2 January 2006"), revision(), time.Since(r.started).Round(time.Second))
	fmt.Fprintf(&b, "Machine: %s. %s.\n", strings.Join(r.machine, ", "), r.versions)
	fmt.Fprintf(&b, "Other programs kept %.0f %% of it busy before the start. Bookings take slots in one fixed order; nothing else is drawn by lot but ids.\n\n", r.idle*100)
	b.WriteString("| figure | aim | measured | N |\n|---|---|---|---|\n")
	for _, f := range r.figures {
		fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", f.what, f.aim, f.measured, f.n)
	}
	return b.String()
}

func revision() string {
	out, err := exec.Command("git", "describe", "--always", "--dirty").Output()
	if err != nil {
		return "an unknown revision"
	}
	return "revision " + strings.TrimSpace(string(out))
}

const (
	pageBegins = "<!-- bench -->\n"
	pageEnds   = "<!-- /bench -->"
)

// write puts the section between the markers of the page.
func (r *report) write(page string) error {
	old, err := os.ReadFile(page)
	if err != nil {
		return fmt.Errorf("read the page: %w", err)
	}
	before, rest, begins := strings.Cut(string(old), pageBegins)
	_, after, ends := strings.Cut(rest, pageEnds)
	if !begins || !ends {
		return fmt.Errorf("%s has no lines %s and %s", page, strings.TrimSpace(pageBegins), pageEnds)
	}
	if err := os.WriteFile(page, []byte(before+pageBegins+"\n"+r.text()+"\n"+pageEnds+after), 0o644); err != nil {
		return fmt.Errorf("write the page: %w", err)
	}
	return nil
}

// raw writes every single number into one file of the folder.
func (r *report) raw(dir string) (path string, err error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", fmt.Errorf("make %s: %w", dir, err)
	}
	path = filepath.Join(dir, r.started.UTC().Format("20060102-150405")+".csv")
	file, err := os.Create(path)
	if err != nil {
		return "", fmt.Errorf("make %s: %w", path, err)
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	w := csv.NewWriter(file)
	for _, one := range r.rows {
		if err := w.Write(one); err != nil {
			return "", fmt.Errorf("write %s: %w", path, err)
		}
	}
	w.Flush()
	return path, w.Error()
}
