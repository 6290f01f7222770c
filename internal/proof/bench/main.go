//go:build bench

// Command bench measures what kept costs against arms that do the same job in the same run, and writes docs/figures.md.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	"github.com/kept-practice/kept/internal/embedded"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// options are the flags.
type options struct {
	parts []string
	kept  string
	quick bool
	show  bool
	write string
	csv   string
}

func parse() options {
	var o options
	parts := flag.String("parts", "events,booking,links,journeys,starting", "what to measure")
	flag.StringVar(&o.kept, "kept", "bin/kept", "the binary to measure")
	flag.BoolVar(&o.quick, "quick", false, "few and short rounds, to see that everything runs; the page stays as it is")
	flag.BoolVar(&o.show, "show", false, "print every history event, and what each statement of a booking takes")
	flag.StringVar(&o.write, "write", "docs/figures.md", "the page to write")
	flag.StringVar(&o.csv, "csv", ".kept/bench", "the folder for raw numbers")
	flag.Parse()
	o.parts = strings.Split(*parts, ",")
	return o
}

func (o options) has(part string) bool { return slices.Contains(o.parts, part) }

func run(ctx context.Context) (err error) {
	o := parse()
	out := os.Stdout
	var report report
	report.begin(ctx)
	temporal, err := embedded.TemporalBinary(ctx, embedded.TemporalBuild{Override: os.Getenv("KEPT_TEMPORAL_DEV"), Dir: ".kept/bin", Progress: out})
	if err != nil {
		return err
	}
	for _, part := range parts {
		if o.has(part.name) {
			if err := part.run(bench{options: o, out: out, temporal: temporal, report: &report}, ctx); err != nil {
				return fmt.Errorf("%s: %w", part.name, err)
			}
		}
	}
	raw, err := report.raw(o.csv)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "\n%s\nThe raw numbers are in %s.\n", report.text(), raw)
	if o.quick || len(o.parts) < len(parts) {
		return nil
	}
	return report.write(o.write)
}

// bench is what every part gets.
type bench struct {
	options
	out      io.Writer
	temporal string // the server's binary
	report   *report
}

// parts in the order in which they run.
var parts = []struct {
	name string
	run  func(bench, context.Context) error
}{
	{"events", bench.events},
	{"booking", bench.bookings},
	{"links", bench.links},
	{"journeys", bench.journeys},
	{"starting", bench.starting},
}

// inStack runs a part on a stack of its own.
func (b bench) inStack(ctx context.Context, temporal string, part func(*stack) error) error {
	s, err := startStack(ctx, b.kept, temporal)
	if err != nil {
		return err
	}
	return errors.Join(part(s), s.stop())
}

// onFloor runs a part on a stack with a worker, and with cards to pay with.
func (b bench) onFloor(ctx context.Context, part func(*floor) error) error {
	return b.inStack(ctx, b.temporal, func(s *stack) error {
		f, err := startFloor(ctx, s)
		if err != nil {
			return err
		}
		defer f.stop()
		if err := b.report.about(ctx, f); err != nil {
			return err
		}
		for _, number := range []string{goodCard, badCard} {
			if f.wallets[number], err = f.newWallet(ctx, number); err != nil {
				return fmt.Errorf("put a card on file: %w", err)
			}
		}
		return part(f)
	})
}
