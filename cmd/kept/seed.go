package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/spf13/cobra"

	"github.com/kept-practice/kept/db"
	"github.com/kept-practice/kept/internal/desk"
	"github.com/kept-practice/kept/internal/policy"
)

func newSeedCommand() *cobra.Command {
	var keyFile string
	cmd := &cobra.Command{
		Use:   "seed",
		Short: "Make the test practice \"Harbour Lane Practice\" with people and four weeks of calendar, once",
		Long: "Make the test practice \"Harbour Lane Practice\": 2 locations, 4 providers, 3 rooms, 8 services, 200 clients and four\n" +
			"weeks of calendar. Running it again makes nothing twice. Its API key is written to --key-file, readable by you\n" +
			"alone, and nowhere else; a file that exists is left as it is.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			c, err := loadConfig("DATABASE_URL")
			if err != nil {
				return err
			}
			store, err := db.Open(cmd.Context(), db.Options{URL: c.DatabaseURL.Reveal()})
			if err != nil {
				return err
			}
			defer store.Close()
			say := func(line string) { fmt.Fprintln(cmd.OutOrStdout(), line) }
			return runSeed(cmd, desk.New(store), c, keyFile, say)
		},
	}
	cmd.Flags().StringVar(&keyFile, "key-file", "", "file for the API key; without it no key is made known")
	return cmd
}

func runSeed(cmd *cobra.Command, d *desk.Desk, c config, keyFile string, say func(string)) error {
	ctx := cmd.Context()
	seeded, err := d.Seed(ctx, say)
	if err != nil {
		return err
	}
	if seeded.Appointments > 0 {
		say(fmt.Sprintf("seeded: %d clients, %d visits", seeded.Clients, seeded.Appointments))
	} else {
		say("the test practice stands already")
	}
	if c.Twilio.From != "" {
		if err := d.TakeSender(ctx, policy.System(seeded.Practice), "sms", c.Twilio.From); err != nil && policy.KindOf(err) != policy.Conflict {
			return err
		}
	}
	if keyFile == "" {
		return nil
	}
	if _, err := os.Stat(keyFile); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	key := seeded.Key
	if key == nil {
		made, err := d.CreateKey(ctx, policy.System(seeded.Practice), desk.KeyInput{Name: "Made by kept seed", Role: policy.RoleOwner})
		if err != nil {
			return err
		}
		key = &made.Key
	}
	if err := writePrivately(keyFile, []byte(key.Text+"\n")); err != nil {
		return err
	}
	say("its API key is in " + keyFile)
	return nil
}
