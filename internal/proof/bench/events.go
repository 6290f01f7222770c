//go:build bench

package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/workflowservice/v1"
	"google.golang.org/protobuf/proto"

	"github.com/kept-practice/kept/internal/policy"
)

// counted is what Temporal keeps of one subject.
type counted struct {
	kind         string
	runs, events int
	bytes        int64
	types        []string // of the events, in their order
}

// events plays every path once, rings apart, and reads all histories of its practice.
func (b bench) events(ctx context.Context) error {
	fmt.Fprintln(b.out, "events: every path once, rings apart")
	return b.onFloor(ctx, func(f *floor) error {
		figures, rows, err := eventsOf(ctx, f, b.out, b.show)
		b.report.add(figures, rows)
		return err
	})
}

func eventsOf(ctx context.Context, f *floor, out io.Writer, show bool) ([]figure, []row, error) {
	var figures []figure
	var rows []row
	for _, p := range paths() {
		c, err := f.newChain(ctx, chainInput{wait: 1500 * time.Millisecond, card: f.wallets[p.card], apart: true})
		if err != nil {
			return nil, nil, err
		}
		if err := p.play(c, ctx); err != nil {
			return nil, nil, fmt.Errorf("path %s: %w", p.name, err)
		}
		subjects, err := f.subjects(ctx, c)
		if err != nil {
			return nil, nil, err
		}
		f.forget(c.practice.ID)
		sum := counted{}
		var parts []string
		for _, one := range subjects {
			sum.events, sum.bytes, sum.runs = sum.events+one.events, sum.bytes+one.bytes, sum.runs+one.runs
			parts = append(parts, fmt.Sprintf("%s %d", one.kind, one.events))
			rows = append(rows, row{"M2", p.name, one.kind, fmt.Sprint(one.events), fmt.Sprint(one.bytes), fmt.Sprint(one.runs)})
			if show {
				fmt.Fprintf(out, "  %s of %s\n", one.kind, p.name)
				for i, t := range one.types {
					fmt.Fprintf(out, "    %3d %s\n", i+1, t)
				}
			}
		}
		aim := ""
		if p.name == "happy" {
			aim = "≤ 60 and ≤ 12 KB"
		}
		figures = append(figures, figure{
			what: "history events, " + p.name + ": " + p.about, aim: aim,
			measured: fmt.Sprintf("**%d** (%s), %.1f KB", sum.events, strings.Join(parts, ", "), float64(sum.bytes)/1000), n: "1, exact",
		})
		fmt.Fprintf(out, "  %-20s %3d events, %5.1f KB (%s)\n", p.name, sum.events, float64(sum.bytes)/1000, strings.Join(parts, ", "))
	}
	return figures, rows, nil
}

// subjects counts every subject of a chain's practice, the visit that a recall led to apart.
func (f *floor) subjects(ctx context.Context, c *chain) ([]counted, error) {
	rows, err := f.s.admin.Query(ctx, "select kind, id from subjects where practice_id = $1 and (kind <> 'journey' or id = $2)", c.practice.ID, c.visit)
	if err != nil {
		return nil, fmt.Errorf("list the subjects: %w", err)
	}
	defer rows.Close()
	var all []counted
	for rows.Next() {
		s := policy.Subject{Practice: c.practice.ID}
		if err := rows.Scan(&s.Kind, &s.ID); err != nil {
			return nil, fmt.Errorf("list the subjects: %w", err)
		}
		one, err := f.count(ctx, s)
		if err != nil {
			return nil, err
		}
		all = append(all, one)
	}
	slices.SortFunc(all, func(a, b counted) int { return slices.Index(kindOrder, a.kind) - slices.Index(kindOrder, b.kind) })
	return all, rows.Err()
}

var kindOrder = []string{policy.KindJourney, policy.KindCollection, policy.KindRecall}

// count reads the histories of all runs of a subject; one that was rung after its end has a short run more.
func (f *floor) count(ctx context.Context, s policy.Subject) (counted, error) {
	one := counted{kind: s.Kind}
	last, err := f.client.DescribeWorkflowExecution(ctx, s.WorkflowID(), "")
	if err != nil {
		return one, fmt.Errorf("look at %s: %w", s.Kind, err)
	}
	var runs []string
	err = until(ctx, 10*time.Second, "the run is listed", func() (bool, error) {
		found, err := f.client.ListWorkflow(ctx, &workflowservice.ListWorkflowExecutionsRequest{Query: fmt.Sprintf("WorkflowId = '%s'", s.WorkflowID())})
		if err != nil {
			return false, fmt.Errorf("list the runs: %w", err)
		}
		runs = nil
		for _, run := range found.GetExecutions() {
			runs = append(runs, run.GetExecution().GetRunId())
		}
		return slices.Contains(runs, last.GetWorkflowExecutionInfo().GetExecution().GetRunId()), nil
	})
	if err != nil {
		return one, err
	}
	slices.Reverse(runs) // oldest first
	for _, run := range runs {
		described, err := f.client.DescribeWorkflowExecution(ctx, s.WorkflowID(), run)
		if err != nil {
			return one, fmt.Errorf("look at a run: %w", err)
		}
		one.runs++
		one.bytes += described.GetWorkflowExecutionInfo().GetHistorySizeBytes()
		history := f.client.GetWorkflowHistory(ctx, s.WorkflowID(), run, false, enums.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
		for history.HasNext() {
			event, err := history.Next()
			if err != nil {
				return one, fmt.Errorf("read a history: %w", err)
			}
			one.events++
			label := fmt.Sprintf("%4d B  %s", proto.Size(event), event.GetEventType())
			if m := event.GetUserMetadata().GetSummary(); m != nil {
				label += "  " + string(m.GetData())
			}
			if in := event.GetWorkflowExecutionSignaledEventAttributes(); in != nil {
				label += "  " + string(in.GetInput().GetPayloads()[0].GetData())
			}
			one.types = append(one.types, label)
		}
	}
	return one, nil
}
