package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/spf13/cobra"
	"go.temporal.io/sdk/client"
	sdk "go.temporal.io/sdk/worker"

	"github.com/kept-practice/kept/activities"
	"github.com/kept-practice/kept/db"
	"github.com/kept-practice/kept/internal/desk"
	"github.com/kept-practice/kept/internal/wake"
	"github.com/kept-practice/kept/workflows"
)

func newWorkerCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "worker",
		Short: "Run journeys, their steps, the relay, test clocks and the inbox; any number may run",
		Long: "Run journeys and everything that moves by itself: plans and steps, the relay, the sweep, test clocks, the\n" +
			"inbox of gateway events, hold expiry, the journal's seals and the overdue monitor. Any number of workers may\n" +
			"run. One starts while Temporal or PostgreSQL is away and connects when they are back.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := loadConfig(append([]string{"DATABASE_URL"}, gatewayNames...)...)
			if err != nil {
				return err
			}
			return runWorker(cmd.Context(), c, newLogger(cmd.ErrOrStderr()))
		},
	}
}

// workerStop is how long a stopping worker lets running calls end: longer than any call, so that a deploy cuts none.
const workerStop = 15 * time.Second

// takeOver is how long Temporal keeps a run's next task for the worker that knows the run, before any other may have it: this
// long a killed worker holds up the runs that it knew.
const takeOver = 2 * time.Second

func runWorker(ctx context.Context, c config, logger *slog.Logger) error {
	store, err := db.Open(ctx, db.Options{URL: c.DatabaseURL.Reveal(), Tracer: seams.statements})
	if err != nil {
		return err
	}
	defer store.Close()
	commands := desk.New(store)
	acts, err := newActivities(c, store, commands, logger)
	if err != nil {
		return err
	}
	options, err := temporalOptions(logger)
	if err != nil {
		return err
	}
	temporal, err := client.NewLazyClient(options)
	if err != nil {
		return fmt.Errorf("TEMPORAL_ADDRESS: %w", err)
	}
	defer temporal.Close()
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	ringer := wake.NewRinger(temporal, wake.NewMetrics(registry))
	sweeper := wake.NewSweeper(store, 0)

	var serving atomic.Bool
	stopWatch, err := serveWatch(c.MetricsAddr, registry, func(ctx context.Context) error {
		if !serving.Load() {
			return errors.New("not yet connected to Temporal")
		}
		return store.Ping(ctx)
	}, logger)
	if err != nil {
		return err
	}
	defer stopWatch()

	loops := make(chan error, 1)
	loopCtx, stopLoops := context.WithCancel(ctx)
	go func() {
		loops <- wake.Run(loopCtx, wake.Options{
			Store: store, Ringer: ringer, Sweeper: sweeper, Idle: sandboxIdle(c), Log: logger,
			Apply:  func(ctx context.Context, e wake.Event) (wake.Applied, error) { return applyEvent(ctx, acts, e) },
			Adopt:  commands.AdoptBatch,
			Zones:  func(ctx context.Context) error { return keepZones(ctx, commands, logger) },
			Ensure: func(ctx context.Context) error { return wake.EnsureTemporal(ctx, options, logger) },
		})
	}()
	err = serveQueues(ctx, temporal, options, acts, sweeper, &serving, logger)
	stopLoops()
	return errors.Join(err, <-loops)
}

// keepZones tells the operator when new rules of time zones have moved visits.
func keepZones(ctx context.Context, commands *desk.Desk, logger *slog.Logger) error {
	kept, err := commands.KeepAllWallTimes(ctx)
	if len(kept.Zones) > 0 {
		logger.Warn("the rules of time zones have changed; visits keep their time on the wall", "zones", kept.Zones, "moved", kept.Moved, "conflicts", kept.Stuck)
	}
	return err
}

// serveQueues waits for Temporal, then serves every queue until the context ends.
func serveQueues(ctx context.Context, temporal client.Client, options client.Options, acts *activities.Activities, sweeper *wake.Sweeper, serving *atomic.Bool, logger *slog.Logger) error {
	if err := wake.EnsureTemporal(ctx, options, logger); err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return err
	}
	var workers []sdk.Worker
	defer func() {
		serving.Store(false)
		for _, w := range workers {
			w.Stop()
		}
	}()
	failed := make(chan error, len(workflows.Queues()))
	for _, q := range workflows.Queues() {
		w := sdk.New(temporal, q.Name, sdk.Options{
			WorkerStopTimeout: workerStop, TaskQueueActivitiesPerSecond: q.PerSecond, DisableRegistrationAliasing: true,
			StickyScheduleToStartTimeout: takeOver,
			OnFatalError:                 func(err error) { failed <- err },
			Interceptors:                 append(slices.Clone(seams.steps), &activities.Classifier{}),
		})
		acts.Register(w)
		if q.Name == workflows.QueueJourneys {
			workflows.Register(w)
			wake.RegisterSweep(w, sweeper)
		}
		if err := startWhenReady(ctx, w); err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return err
		}
		workers = append(workers, w)
	}
	serving.Store(true)
	logger.Info("worker ready", "queues", len(workers))
	select {
	case <-ctx.Done():
		return nil
	case err := <-failed:
		return fmt.Errorf("a worker stopped: %w", err)
	}
}

// startWhenReady starts a worker and tries again while Temporal, or the namespace that was just made, is not usable yet.
func startWhenReady(ctx context.Context, w sdk.Worker) error {
	wait := 200 * time.Millisecond
	for {
		err := w.Start()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(wait):
			if wait *= 2; wait > 10*time.Second {
				return fmt.Errorf("start the worker: %w", err)
			}
		}
	}
}

func applyEvent(ctx context.Context, acts *activities.Activities, e wake.Event) (wake.Applied, error) {
	done, err := acts.Apply(ctx, activities.Event{Gateway: e.Gateway, Type: e.Type, Body: e.Body})
	return wake.Applied{State: done.State, Note: done.Note, Practice: done.Practice, Rings: done.Rung}, err
}

// serveWatch answers /livez, /readyz and /metrics on a port of their own; none when addr is empty.
func serveWatch(addr string, registry *prometheus.Registry, ready func(context.Context) error, logger *slog.Logger) (stop func(), err error) {
	if addr == "" {
		return func() {}, nil
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		if err := ready(r.Context()); err != nil {
			http.Error(w, "not ready", http.StatusServiceUnavailable)
			return
		}
		w.WriteHeader(http.StatusOK)
	})
	return serveHTTP(&http.Server{Addr: addr, Handler: mux, ReadHeaderTimeout: 5 * time.Second}, logger)
}
