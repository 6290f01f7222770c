package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/kept-practice/kept/internal/embedded"
)

func newTemporalDevCommand() *cobra.Command {
	var dir string
	cmd := &cobra.Command{
		Use:   "temporal-dev",
		Short: "Build the development Temporal server from the source tree and print where it lies",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := loadConfig()
			if err != nil {
				return err
			}
			path, err := embedded.TemporalBinary(cmd.Context(), embedded.TemporalBuild{
				Override: c.TemporalDev, Dir: dir, Progress: cmd.ErrOrStderr(),
			})
			if err != nil {
				return err
			}
			fmt.Fprintln(cmd.OutOrStdout(), path)
			return nil
		},
	}
	cmd.Flags().StringVar(&dir, "dir", ".kept/bin", "folder to keep it in")
	return cmd
}
