//go:build bench

package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"
)

// load is processor time since the start of the machine, in its own small units: of everything, and of this process with
// all that it started, and how much there was to have.
type load struct{ busy, ours, all float64 }

// readLoad reads /proc; where there is none it is empty, and others seem to do nothing.
func readLoad() load {
	var l load
	first, _, _ := strings.Cut(fileText("/proc/stat"), "\n")
	for i, v := range numbers(first, 1) {
		if l.all += v; i != 3 && i != 4 { // idle, waiting for a disk
			l.busy += v
		}
	}
	folders, err := os.ReadDir("/proc")
	if err != nil {
		return l
	}
	parents, used := map[int]int{}, map[int]float64{}
	for _, folder := range folders {
		var pid int
		if _, err := fmt.Sscan(folder.Name(), &pid); err != nil {
			continue
		}
		_, rest, _ := strings.Cut(fileText("/proc/"+folder.Name()+"/stat"), ") ")
		if v := numbers(rest, 1); len(v) > 13 { // after the state: the parent, …, then own and ended children's time
			parents[pid] = int(v[0])
			used[pid] = v[10] + v[11] + v[12] + v[13]
		}
	}
	for pid, spent := range used {
		for up := pid; up > 1; up = parents[up] {
			if up == os.Getpid() {
				l.ours += spent
				break
			}
		}
	}
	return l
}

// others is the share of the machine that other programs took since an earlier reading.
func (l load) others(before load) float64 {
	if l.all <= before.all {
		return 0
	}
	return max(0, (l.busy-before.busy)-(l.ours-before.ours)) / (l.all - before.all)
}

// otherLoad is what others take over a moment in which nothing of ours runs.
func otherLoad(ctx context.Context, moment time.Duration) float64 {
	before := readLoad()
	select {
	case <-ctx.Done():
	case <-time.After(moment):
	}
	return readLoad().others(before)
}

// fileText is what a file of /proc says; one that is gone says nothing.
func fileText(path string) string {
	text, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	return string(text)
}

// numbers reads the fields of a line from the given one on, up to the first that is no number.
func numbers(line string, from int) []float64 {
	var all []float64
	for i, f := range strings.Fields(line) {
		var v float64
		if i < from {
			continue
		}
		if _, err := fmt.Sscan(f, &v); err != nil {
			break
		}
		all = append(all, v)
	}
	return all
}
