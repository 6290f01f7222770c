package main

import (
	"fmt"

	"github.com/spf13/cobra"
	"go.temporal.io/sdk/client"

	"github.com/kept-practice/kept/db"
	"github.com/kept-practice/kept/internal/wake"
)

func newRewakeCommand() *cobra.Command {
	var o wake.RewakeOptions
	cmd := &cobra.Command{
		Use:   "rewake",
		Short: "Ring every open journey, collection and recall, after Temporal lost its data or a breaking change of the runner",
		Long: "Ring every open subject, so that its run is started again from the facts in PostgreSQL. Nothing is sent, charged\n" +
			"or booked twice: effects are remembered. The relay does the same by itself within minutes; this hurries it.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := loadConfig("DATABASE_URL")
			if err != nil {
				return err
			}
			logger := newLogger(cmd.ErrOrStderr())
			store, err := db.Open(cmd.Context(), db.Options{URL: c.DatabaseURL.Reveal()})
			if err != nil {
				return err
			}
			defer store.Close()
			options, err := temporalOptions(logger)
			if err != nil {
				return err
			}
			if err := wake.EnsureTemporal(cmd.Context(), options, logger); err != nil {
				return err
			}
			temporal, err := client.NewLazyClient(options)
			if err != nil {
				return fmt.Errorf("TEMPORAL_ADDRESS: %w", err)
			}
			defer temporal.Close()
			n, err := wake.Rewake(cmd.Context(), store, wake.NewRinger(temporal, nil), o)
			if _, printErr := fmt.Fprintf(cmd.OutOrStdout(), "rang %d open subjects\n", n); err == nil {
				err = printErr
			}
			return err
		},
	}
	cmd.Flags().BoolVar(&o.Restart, "restart", false, "end each run first: for a breaking change of the runner")
	cmd.Flags().IntVar(&o.PerSecond, "per-second", 50, "how many runs to ring in a second")
	return cmd
}
