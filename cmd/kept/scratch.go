package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"time"

	"github.com/spf13/cobra"

	"github.com/kept-practice/kept/db"
	"github.com/kept-practice/kept/internal/embedded"
)

func newScratchCommand() *cobra.Command {
	var temporal bool
	cmd := &cobra.Command{
		Use:   "scratch -- COMMAND [ARGUMENT]...",
		Short: "Run a command beside fresh servers that are thrown away afterwards",
		Long: "Run a command beside a fresh, migrated PostgreSQL, named by DATABASE_URL and KEPT_TEST_POSTGRES, that is thrown\n" +
			"away afterwards. With --temporal a development Temporal runs beside it, named by KEPT_TEST_TEMPORAL.",
		Example: "  kept scratch -- sh -c 'psql \"$DATABASE_URL\"'\n  kept scratch --temporal -- go test ./...",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := loadConfig()
			if err != nil {
				return err
			}
			return runScratch(cmd.Context(), c, temporal, args)
		},
	}
	cmd.Flags().BoolVar(&temporal, "temporal", false, "start a development Temporal too")
	return cmd
}

func runScratch(ctx context.Context, c config, temporal bool, args []string) (err error) {
	dir, err := os.MkdirTemp("", "kept-scratch-")
	if err != nil {
		return fmt.Errorf("make a scratch folder: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	// PostgreSQL may run as another user, who must get through; what lies in the folder protects itself
	if err := os.Chmod(dir, 0o755); err != nil {
		return fmt.Errorf("open the scratch folder: %w", err)
	}
	pg, err := embedded.StartPostgres(ctx, embedded.PostgresOptions{Dir: dir, Fast: true})
	if err != nil {
		return err
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 20*time.Second)
		defer cancel()
		err = errors.Join(err, pg.Remove(ctx))
	}()
	if err := db.Migrate(ctx, pg.URL(), func(string) {}); err != nil {
		return err
	}
	command := exec.CommandContext(ctx, args[0], args[1:]...)
	command.Stdin, command.Stdout, command.Stderr = os.Stdin, os.Stdout, os.Stderr
	command.Env = append(os.Environ(), "DATABASE_URL="+pg.URL(), "SQLC_DATABASE_URL="+pg.URL(), "KEPT_TEST_POSTGRES="+pg.URL())
	if temporal {
		server, stop, err := scratchTemporal(ctx, c, dir, pg)
		if err != nil {
			return err
		}
		defer stop()
		command.Env = append(command.Env, "KEPT_TEST_TEMPORAL="+server.Address())
	}
	if err := command.Run(); err != nil {
		return fmt.Errorf("%s: %w", args[0], err)
	}
	return nil
}

func scratchTemporal(ctx context.Context, c config, dir string, pg *embedded.Postgres) (server *embedded.Temporal, stop func(), err error) {
	binary, err := embedded.TemporalBinary(ctx, embedded.TemporalBuild{Override: c.TemporalDev, Dir: ".kept/bin", Progress: os.Stderr})
	if err != nil {
		return nil, nil, err
	}
	server, err = embedded.StartTemporal(ctx, embedded.TemporalOptions{Binary: binary, Postgres: pg.URL(), Prefix: "scratch"})
	if err != nil {
		return nil, nil, err
	}
	return server, func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 20*time.Second)
		defer cancel()
		if err := server.Stop(ctx); err != nil {
			fmt.Fprintln(os.Stderr, "stop Temporal:", err)
		}
	}, nil
}
