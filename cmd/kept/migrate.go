package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/kept-practice/kept/db"
)

func newMigrateCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "migrate",
		Short: "Bring the database at DATABASE_URL to this version's schema",
		Long: "Bring the database at DATABASE_URL to this version's schema. The login must be able to create roles.\n" +
			"Run it once per release, before the new api and worker; running it again, or twice at once, is harmless.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := loadConfig("DATABASE_URL")
			if err != nil {
				return err
			}
			applied := 0
			err = db.Migrate(cmd.Context(), c.DatabaseURL.Reveal(), func(step string) {
				applied++
				fmt.Fprintln(cmd.OutOrStdout(), step)
			})
			if err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "the schema is up to date, %d migrations applied\n", applied)
			return nil
		},
	}
}
