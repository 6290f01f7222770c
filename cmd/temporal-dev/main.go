// Command temporal-dev is a Temporal server with its UI in one process on PostgreSQL, for development and tests.
// Production uses Temporal's own images or Temporal Cloud; see docs/operations.md.
package main

import (
	"context"
	"flag"
	"fmt"
	"net"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"

	uiserver "github.com/temporalio/ui-server/v2/server"
	uiconfig "github.com/temporalio/ui-server/v2/server/config"
	uioptions "github.com/temporalio/ui-server/v2/server/server_options"
	"go.temporal.io/server/common/authorization"
	"go.temporal.io/server/common/log"
	"go.temporal.io/server/temporal"
)

type options struct {
	postgres string // URL of any database on the server, e.g. postgres://postgres@127.0.0.1:5432/postgres
	prefix   string // databases are <prefix>_temporal and <prefix>_visibility
	port     int    // gRPC frontend, on loopback
	uiPort   int    // UI, on loopback; 0 serves none
	shards   int    // history shards, fixed when the databases are first made
	logLevel string
}

func main() {
	var o options
	flag.StringVar(&o.postgres, "postgres", os.Getenv("TEMPORAL_DEV_POSTGRES"), "URL of a superuser connection to PostgreSQL")
	flag.StringVar(&o.prefix, "prefix", "kept", "prefix of the two database names")
	flag.IntVar(&o.port, "port", 7233, "gRPC port")
	flag.IntVar(&o.uiPort, "ui-port", 8233, "UI port; 0 for no UI")
	flag.IntVar(&o.shards, "shards", 4, "history shards; cannot change later")
	flag.StringVar(&o.logLevel, "log-level", "error", "debug, info, warn or error")
	flag.Parse()
	if err := run(o); err != nil {
		fmt.Fprintln(os.Stderr, "temporal-dev:", err)
		os.Exit(1)
	}
}

func run(o options) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()

	pg, err := parsePostgres(o.postgres)
	if err != nil {
		return err
	}
	for _, port := range []int{o.port, o.uiPort} {
		if err := portFree(port); err != nil {
			return err
		}
	}
	if err := setUpSchema(ctx, pg, o.prefix); err != nil {
		return err
	}
	cfg, hosts, err := serverConfig(pg, o)
	if err != nil {
		return err
	}
	logger := log.NewZapLogger(log.BuildZapLogger(log.Config{Stdout: true, Level: o.logLevel}))
	server, err := temporal.NewServer(
		temporal.WithConfig(cfg),
		temporal.ForServices(temporal.DefaultServices),
		temporal.WithStaticHosts(hosts),
		temporal.WithLogger(logger),
		temporal.WithAuthorizer(authorization.NewNoopAuthorizer()),
		temporal.WithDynamicConfigClient(dynamicConfig()),
	)
	if err != nil {
		return fmt.Errorf("configure server: %w", err)
	}
	if err := server.Start(); err != nil {
		return fmt.Errorf("start server: %w", err)
	}
	defer func() { _ = server.Stop() }()

	uiFailed := make(chan error, 1)
	if o.uiPort != 0 {
		ui := newUI(o)
		go func() { uiFailed <- ui.Start() }()
		defer ui.Stop()
	}
	fmt.Printf("temporal-dev ready on 127.0.0.1:%d\n", o.port)
	select {
	case <-ctx.Done():
		return nil
	case err := <-uiFailed:
		return fmt.Errorf("UI on port %d: %w", o.uiPort, err)
	}
}

func newUI(o options) *uiserver.Server {
	return uiserver.NewServer(uioptions.WithConfigProvider(&uiconfig.Config{
		TemporalGRPCAddress: net.JoinHostPort("127.0.0.1", strconv.Itoa(o.port)),
		Host:                "127.0.0.1",
		Port:                o.uiPort,
		EnableUI:            true,
		HideLogs:            true,
		DefaultNamespace:    "kept",
		CORS:                uiconfig.CORS{CookieInsecure: true},
		RefreshInterval:     time.Minute,
	}))
}

func portFree(port int) error {
	if port == 0 {
		return nil
	}
	l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	if err != nil {
		return fmt.Errorf("port %d is taken; stop what uses it or choose another: %w", port, err)
	}
	return l.Close()
}
