package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/kept-practice/kept/db"
	"github.com/kept-practice/kept/internal/policy"
	"github.com/kept-practice/kept/internal/wake"
)

func newJournalCommand() *cobra.Command {
	journal := &cobra.Command{Use: "journal", Short: "Check that nobody altered the journal"}
	journal.AddCommand(newJournalVerifyCommand())
	return journal
}

func newJournalVerifyCommand() *cobra.Command {
	var practice string
	cmd := &cobra.Command{
		Use:   "verify",
		Short: "Compute the journal's whole chain of seals again, and name the first that does not fit",
		Long: "Compute the journal's whole chain of seals again, practice by practice. An entry that was altered, removed or\n" +
			"slipped in breaks the seal that covers it: its number is printed and the exit code is 1. Entries of the last\n" +
			"seconds are not sealed yet; a worker seals them. Only reads; api and worker may run meanwhile.",
		Example: "  kept journal verify\n  kept journal verify --practice 0192f3a8-7c1e-7000-8000-000000000000",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := loadConfig("DATABASE_URL")
			if err != nil {
				return err
			}
			store, err := db.Open(cmd.Context(), db.Options{URL: c.DatabaseURL.Reveal(), MaxConns: 2})
			if err != nil {
				return err
			}
			defer store.Close()
			practices, err := journalsOf(cmd, store, practice)
			if err != nil {
				return err
			}
			return verifyJournals(cmd, store, practices)
		},
	}
	cmd.Flags().StringVar(&practice, "practice", "", "only this one, by its id; all when left out")
	return cmd
}

func journalsOf(cmd *cobra.Command, store *db.Store, practice string) ([]policy.ID, error) {
	if practice == "" {
		all, err := store.System().SweepPractices(cmd.Context())
		return all, db.Classify(err)
	}
	id, err := policy.ParseID(practice)
	if err != nil {
		return nil, fmt.Errorf("--practice is %w", err)
	}
	if _, err := store.In(id).PracticeByID(cmd.Context(), id); db.NoRows(err) {
		return nil, fmt.Errorf("--practice: there is no practice %s", id)
	} else if err != nil {
		return nil, db.Classify(err)
	}
	return []policy.ID{id}, nil
}

// verifyJournals goes on after a broken chain, so that one run tells about all practices.
func verifyJournals(cmd *cobra.Command, store *db.Store, practices []policy.ID) error {
	sealer, out, broken := wake.NewSealer(store, nil), cmd.OutOrStdout(), 0
	for _, practice := range practices {
		verdict, err := sealer.Verify(cmd.Context(), practice, everyFewSeconds(func(done, of int64) {
			fmt.Fprintf(cmd.ErrOrStderr(), "practice %s: %d of %d seals\n", practice, done, of)
		}))
		if err != nil {
			return err
		}
		if verdict.Broken == 0 {
			fmt.Fprintf(out, "ok     practice %s: %d seals fit their %d entries, %d newer ones are not sealed yet\n",
				practice, verdict.Seals, verdict.Entries, verdict.Unsealed)
			continue
		}
		broken++
		fmt.Fprintf(out, "BROKEN practice %s: seal %d does not fit its entries; the %d seals before it fit theirs\n",
			practice, verdict.Broken, verdict.Seals)
	}
	if broken > 0 {
		return fmt.Errorf("the journal of %d of %d practices was altered: compare it with a backup", broken, len(practices))
	}
	return nil
}

// everyFewSeconds passes on what a reader can follow: nothing of a short journal, a line each 3 s of a long one.
func everyFewSeconds(say func(done, of int64)) func(done, of int64) {
	last := time.Now()
	return func(done, of int64) {
		if time.Since(last) >= 3*time.Second {
			last = time.Now()
			say(done, of)
		}
	}
}
