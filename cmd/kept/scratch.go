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
	return &cobra.Command{
		Use:     "scratch -- COMMAND [ARGUMENT]...",
		Short:   "Run a command beside a fresh, migrated PostgreSQL that is thrown away afterwards",
		Long:    "Run a command with DATABASE_URL naming a fresh, migrated PostgreSQL that is thrown away afterwards.",
		Example: "  kept scratch -- sh -c 'psql \"$DATABASE_URL\"'",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return runScratch(cmd.Context(), args)
		},
	}
}

func runScratch(ctx context.Context, args []string) (err error) {
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
	command.Env = append(os.Environ(), "DATABASE_URL="+pg.URL(), "SQLC_DATABASE_URL="+pg.URL())
	if err := command.Run(); err != nil {
		return fmt.Errorf("%s: %w", args[0], err)
	}
	return nil
}
