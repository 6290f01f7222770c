package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/spf13/cobra"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/contrib/envconfig"

	"github.com/kept-practice/kept/db"
)

// finding is one line of the doctor's report. A failed check says what is wrong; help says what to do about it.
type finding struct {
	what   string
	detail string
	err    error
	help   string
}

func newDoctorCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "doctor",
		Short: "Check an installation and explain what is wrong with it",
		Long: "Check configuration, PostgreSQL, schema, Temporal, links and gateways, then look at every practice for what is\n" +
			"overdue: open journeys, collections and recalls that wait for nothing, steps more than 5 minutes late, changes\n" +
			"that nobody acted on for 30 seconds. Each wrong line names ids only and says what to do; the exit code is 1 then.",
		Example: "  kept doctor\n  kept migrate && kept doctor    # before a new release is started",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := loadConfig("DATABASE_URL")
			findings := []finding{{what: "configuration", detail: "no mistakes", err: err, help: "kept config check shows every value"}}
			if err == nil {
				ctx, cancel := context.WithTimeout(cmd.Context(), 30*time.Second)
				defer cancel()
				schema := checkSchema(ctx, c)
				findings = append(findings, checkDatabase(ctx, c), schema, checkTemporal(ctx), checkLinks(c))
				findings = append(findings, checkGateways(c)...)
				if schema.err == nil {
					findings = append(findings, checkOverdue(ctx, c)...)
				}
			}
			return report(cmd.OutOrStdout(), findings)
		},
	}
}

func report(out io.Writer, findings []finding) error {
	failed := 0
	for _, f := range findings {
		if f.err == nil {
			fmt.Fprintf(out, "ok    %-14s %s\n", f.what, f.detail)
			continue
		}
		failed++
		fmt.Fprintf(out, "WRONG %-14s %v\n      %-14s → %s\n", f.what, f.err, "", f.help)
	}
	if failed > 0 {
		return fmt.Errorf("%d of %d checks failed", failed, len(findings))
	}
	return nil
}

func checkDatabase(ctx context.Context, c config) finding {
	f := finding{what: "PostgreSQL", help: "start the server, or correct DATABASE_URL"}
	conn, err := pgx.Connect(ctx, c.DatabaseURL.Reveal())
	if err != nil {
		f.err = errors.New("cannot connect with DATABASE_URL: " + reason(err))
		return f
	}
	defer func() { _ = conn.Close(ctx) }()
	var number int
	if f.err = conn.QueryRow(ctx, `select current_setting('server_version_num')::int`).Scan(&number); f.err != nil {
		return f
	}
	f.detail = fmt.Sprintf("version %d", number/10000)
	if number < 150000 {
		f.err, f.help = fmt.Errorf("version %d is too old", number/10000), "upgrade to PostgreSQL 15 or newer"
	}
	return f
}

func checkSchema(ctx context.Context, c config) finding {
	f := finding{what: "schema", detail: "up to date", help: "run `kept migrate`"}
	pending, err := db.PendingMigrations(ctx, c.DatabaseURL.Reveal())
	if err != nil {
		f.err = errors.New("cannot be read: " + reason(err))
	} else if pending > 0 {
		f.err = fmt.Errorf("%d migrations are missing", pending)
	} else if elsewhere, err := db.EpochElsewhere(ctx, c.DatabaseURL.Reveal()); err != nil {
		f.err = errors.New("the journal's epoch cannot be read: " + reason(err))
	} else if elsewhere {
		f.err, f.help = errors.New("restored from another server, and the journal does not know it yet"), "run `kept migrate` before api and worker"
	}
	return f
}

func checkTemporal(ctx context.Context) finding {
	f := finding{what: "Temporal", help: "start the server, or correct TEMPORAL_ADDRESS; bookings work meanwhile, reminders wait"}
	options, err := envconfig.LoadDefaultClientOptions()
	if err != nil {
		f.err, f.help = err, "correct the TEMPORAL_* variables"
		return f
	}
	f.detail = "answers on " + options.HostPort
	temporal, err := client.NewLazyClient(options)
	if err != nil {
		f.err = err
		return f
	}
	defer temporal.Close()
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	_, f.err = temporal.CheckHealth(ctx, nil)
	return f
}

func checkLinks(c config) finding {
	f := finding{what: "links", detail: "lead to " + c.BaseURL, help: "set KEPT_BASE_URL to the address clients use"}
	base, err := url.Parse(c.BaseURL)
	if err != nil {
		f.err = err
		return f
	}
	if ip := net.ParseIP(base.Hostname()); base.Hostname() == "localhost" || ip != nil && ip.IsLoopback() {
		f.detail += ", which works on this machine only"
	}
	return f
}

func checkGateways(c config) []finding {
	say := func(key string) string {
		if key == "" {
			return "no key: the sandbox, refused for live practices"
		}
		return "key set"
	}
	return []finding{
		{what: "Stripe", detail: say(c.Stripe.APIKey.Reveal())},
		{what: "SendGrid", detail: say(c.SendGrid.APIKey.Reveal())},
		{what: "Twilio", detail: say(c.Twilio.AccountSID)},
	}
}

// reason drops the connection string, which the driver puts before the cause.
func reason(err error) string {
	for {
		inner := errors.Unwrap(err)
		if inner == nil {
			return err.Error()
		}
		err = inner
	}
}
