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
			"Run it once per release, before the new api and worker; running it again, or twice at once, is harmless.\n\n" +
			"Run it after a restore, too: a dump that now lies on another server begins a new epoch of the journal, so that\n" +
			"the seals go on to hold. On the same server nothing of that kind happens.",
		Example: "  kept migrate                    # once per release\n" +
			"  kept migrate && kept rewake     # after pg_restore",
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
			epoch, err := db.KeepEpoch(cmd.Context(), c.DatabaseURL.Reveal())
			if err != nil {
				return err
			}
			if epoch > 0 {
				fmt.Fprintf(cmd.OutOrStdout(), "this database was restored on another server: the journal goes on in epoch %d\n", epoch)
			}
			return nil
		},
	}
}
