package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/spf13/cobra"
	"go.temporal.io/sdk/client"

	"github.com/kept-practice/kept/activities"
	"github.com/kept-practice/kept/api"
	"github.com/kept-practice/kept/db"
	"github.com/kept-practice/kept/internal/desk"
	"github.com/kept-practice/kept/internal/policy"
	"github.com/kept-practice/kept/internal/wake"
)

func newAPICommand() *cobra.Command {
	return &cobra.Command{
		Use:   "api",
		Short: "Answer the HTTP API, its documentation, clients' links and gateways' webhooks; any number may run",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := loadConfig(append([]string{"DATABASE_URL", "KEPT_KEYS"}, gatewayNames...)...)
			if err != nil {
				return err
			}
			return runAPI(cmd.Context(), c, newLogger(cmd.ErrOrStderr()))
		},
	}
}

func runAPI(ctx context.Context, c config, logger *slog.Logger) error {
	store, err := db.Open(ctx, db.Options{URL: c.DatabaseURL.Reveal(), Tracer: seams.statements})
	if err != nil {
		return err
	}
	defer store.Close()
	d := desk.New(store)
	acts, err := newActivities(c, store, d, logger)
	if err != nil {
		return err
	}
	options, err := temporalOptions(logger)
	if err != nil {
		return err
	}
	temporal, err := client.NewLazyClient(options) // bookings and links answer while Temporal is away
	if err != nil {
		return fmt.Errorf("TEMPORAL_ADDRESS: %w", err)
	}
	defer temporal.Close()
	registry := prometheus.NewRegistry()
	pool := wake.NewPool(wake.NewRinger(temporal, wake.NewMetrics(registry)), logger)
	defer pool.Close()
	server, err := newServer(c, store, d, acts, pool, registry, logger)
	if err != nil {
		return err
	}
	defer server.Close()
	if c.MetricsAddr != "" {
		mux := http.NewServeMux()
		mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
		stop, err := serveHTTP(&http.Server{Addr: c.MetricsAddr, Handler: mux, ReadHeaderTimeout: 5 * time.Second}, logger)
		if err != nil {
			return err
		}
		defer stop()
	}
	front := server.HTTP(c.Addr)
	if seams.requests != nil {
		front.Handler = seams.requests(front.Handler)
	}
	stop, err := serveHTTP(front, logger)
	if err != nil {
		return err
	}
	defer stop()
	logger.Info("api ready", "addr", c.Addr)
	<-ctx.Done()
	return nil
}

func newServer(c config, store *db.Store, d *desk.Desk, acts *activities.Activities, pool *wake.Pool, registry *prometheus.Registry, logger *slog.Logger) (*api.Server, error) {
	hooks, err := verifiers(c)
	if err != nil {
		return nil, err
	}
	server, err := api.New(api.Deps{
		Store: store, Desk: d, Waker: pool, Cards: staffPages{acts}, BaseURL: c.BaseURL, TemporalUI: c.TemporalUIURL, Logger: logger, Metrics: registry,
		Verifiers: hooks,
	})
	if err != nil {
		return nil, err
	}
	nonce := sha256.Sum256([]byte("nonce of link forms\x00" + c.Keys[0].Reveal()))
	return server, server.MountLinks(api.LinkDeps{Desk: d, Checkout: linkCheckout{acts, c.BaseURL}, NonceKey: nonce[:]})
}

// linkCheckout opens payment pages for clients behind a link; the gateway leads them back to pages of ours.
type linkCheckout struct {
	acts *activities.Activities
	base string
}

func (o linkCheckout) Checkout(ctx context.Context, practice, invoice policy.ID) (string, error) {
	return o.acts.Checkout(ctx, practice, invoice, o.base+api.PaidPath, o.base+api.UnpaidPath)
}

// staffPages opens the same pages for staff, who say where they lead back to.
type staffPages struct{ *activities.Activities }

func (o staffPages) Checkout(ctx context.Context, practice, invoice policy.ID, back string) (string, error) {
	return o.Activities.Checkout(ctx, practice, invoice, back, back)
}

// serveHTTP listens before it returns, so that a taken port is an error of the start, and stops gracefully.
func serveHTTP(server *http.Server, logger *slog.Logger) (stop func(), err error) {
	l, err := net.Listen("tcp", server.Addr)
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", server.Addr, err)
	}
	go func() {
		if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			logger.Error("HTTP server stopped", "addr", server.Addr, "error", err)
		}
	}()
	return func() {
		ctx, cancel := context.WithTimeout(context.Background(), 15*time.Second)
		defer cancel()
		if err := server.Shutdown(ctx); err != nil {
			logger.Warn("connections were cut at shutdown", "addr", server.Addr, "error", err)
		}
	}, nil
}
