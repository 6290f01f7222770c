package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/kept-practice/kept/db"
	"github.com/kept-practice/kept/internal/desk"
	"github.com/kept-practice/kept/internal/policy"
)

func newPracticeCommand() *cobra.Command {
	practice := &cobra.Command{Use: "practice", Short: "Make a practice, or a new key for one"}
	practice.AddCommand(newPracticeCreateCommand(), newPracticeKeyCommand())
	return practice
}

func newPracticeCreateCommand() *cobra.Command {
	in := desk.PracticeInput{}
	cmd := &cobra.Command{
		Use:   "create",
		Short: "Make a practice that can be booked at once, and print its first API key",
		Long: "Make a practice with an owner, opening hours, services, forms, cadences and message templates, and print its first\n" +
			"API key, which is shown this once. A live practice needs the keys of real gateways in the environment; its prices\n" +
			"are zero until you set them. A test practice has a clock of its own and speaks to the sandbox.",
		Example: "  kept practice create --name \"Harbour Lane\" --zone America/New_York --currency USD --mail olive@example.org",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := loadConfig("DATABASE_URL")
			if err != nil {
				return err
			}
			if in.Mode == desk.ModeLive {
				if err := c.readyForLive(); err != nil {
					return err
				}
			}
			store, err := db.Open(cmd.Context(), db.Options{URL: c.DatabaseURL.Reveal()})
			if err != nil {
				return err
			}
			defer store.Close()
			return createPractice(cmd, desk.New(store), c, in)
		},
	}
	f := cmd.Flags()
	f.StringVar(&in.Name, "name", "", "what the practice is called (required)")
	f.StringVar(&in.Zone, "zone", "", "IANA time zone, such as Europe/London (required)")
	f.StringVar(&in.Currency, "currency", "", "ISO 4217 code, such as GBP (required)")
	f.StringVar(&in.Mail, "mail", "", "the owner's mail address (required)")
	f.StringVar(&in.Country, "country", "US", "ISO 3166 code of the country whose phone numbers are dialled")
	f.StringVar(&in.OwnerName, "owner", "", "the owner's name")
	f.StringVar(&in.Phone, "phone", "", "the practice's phone number, shown in messages")
	f.StringVar(&in.PostalAddress, "address", "", "the practice's postal address, which mail law asks invitations to carry")
	f.StringVar(&in.Mode, "mode", desk.ModeLive, "live or test, for ever")
	return cmd
}

func createPractice(cmd *cobra.Command, d *desk.Desk, c config, in desk.PracticeInput) error {
	made, err := d.CreatePractice(cmd.Context(), in)
	if err != nil {
		return flagError(err)
	}
	out := cmd.OutOrStdout()
	fmt.Fprintf(out, "practice   %s (%s)\n", made.ID, in.Mode)
	fmt.Fprintf(out, "services   %d, %d provider, %d location, open on working days from 09:00 to 17:00\n", len(made.Services), len(made.Providers), len(made.Locations))
	fmt.Fprintf(out, "API key    %s\n", made.Key.Text)
	fmt.Fprintln(out, "Keep the key now: it is not shown again.")
	if c.Twilio.From == "" {
		return nil
	}
	err = d.TakeSender(cmd.Context(), policy.System(made.ID), "sms", c.Twilio.From)
	if policy.KindOf(err) == policy.Conflict {
		fmt.Fprintf(out, "Answers to texts from %s go to another practice, which has this number already.\n", c.Twilio.From)
		return nil
	}
	return err
}

func newPracticeKeyCommand() *cobra.Command {
	var id, name string
	cmd := &cobra.Command{
		Use:   "key",
		Short: "Make a new owner's API key for a practice whose keys are lost, and print it",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := loadConfig("DATABASE_URL")
			if err != nil {
				return err
			}
			practice, err := policy.ParseID(id)
			if err != nil {
				return fmt.Errorf("--practice is %w", err)
			}
			store, err := db.Open(cmd.Context(), db.Options{URL: c.DatabaseURL.Reveal()})
			if err != nil {
				return err
			}
			defer store.Close()
			made, err := desk.New(store).CreateKey(cmd.Context(), policy.System(practice), desk.KeyInput{Name: name, Role: policy.RoleOwner})
			if err != nil {
				return flagError(err)
			}
			fmt.Fprintln(cmd.OutOrStdout(), made.Key.Text)
			return nil
		},
	}
	cmd.Flags().StringVar(&id, "practice", "", "the practice's id, as `kept practice create` printed it (required)")
	cmd.Flags().StringVar(&name, "name", "Made by kept practice key", "what the key is called in lists")
	return cmd
}

// readyForLive: a live practice speaks to real gateways only, so their keys must be there before it is.
func (c config) readyForLive() error {
	var missing []string
	real := func(what, name string, set bool, base string) {
		switch {
		case !set:
			missing = append(missing, fmt.Sprintf("%s is not set: %s would go nowhere", name, what))
		case base != "" && c.SandboxURL != "" && strings.HasPrefix(base, c.SandboxURL):
			missing = append(missing, fmt.Sprintf("%s leads to the sandbox: %s would reach nobody", name, what))
		}
	}
	real("card payments", "STRIPE_API_KEY", c.Stripe.APIKey != "", c.Stripe.Base)
	real("mail", "SENDGRID_API_KEY", c.SendGrid.APIKey != "", c.SendGrid.Base)
	real("texts", "TWILIO_ACCOUNT_SID", c.Twilio.AccountSID != "", c.Twilio.Base)
	if strings.HasPrefix(c.Stripe.APIKey.Reveal(), "sk_test_") || strings.HasPrefix(c.Stripe.APIKey.Reveal(), "rk_test_") {
		missing = append(missing, "STRIPE_API_KEY is a test key: cards would not be charged")
	}
	if len(missing) == 0 {
		return nil
	}
	return errors.New("a live practice needs real gateways:\n  " + strings.Join(missing, "\n  ") +
		"\nSet these, or make a test practice with --mode test.")
}

// flagError says what was wrong in the words of the command's flags.
func flagError(err error) error {
	var e *policy.Error
	if !errors.As(err, &e) || len(e.Fields) == 0 {
		return err
	}
	flags := map[string]string{"/postal_address": "--address", "/owner_name": "--owner"}
	lines := make([]string, len(e.Fields))
	for i, f := range e.Fields {
		flag, ok := flags[f.Pointer]
		if !ok {
			flag = "--" + strings.TrimPrefix(f.Pointer, "/")
		}
		lines[i] = flag + ": " + f.Detail
	}
	return errors.New(strings.Join(lines, "\n"))
}
