package main

import (
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/kept-practice/kept/internal/sandbox"
)

func newSandboxCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "sandbox",
		Short: "Run stateful stand-ins for Stripe, SendGrid and the SMS carrier, with a mailbox to read",
		Long: "Run stateful stand-ins for Stripe, SendGrid and the SMS carrier on one port. Mails and texts can be read on its\n" +
			"first page, hosted payment pages take test cards, and every accepted call is kept in a ledger that survives a\n" +
			"kill. It is for test practices: nothing leaves this machine.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := loadConfig("KEPT_API_URL")
			if err != nil {
				return err
			}
			hooks := sandbox.Webhooks{
				StripeURL: c.APIURL + "/hooks/stripe", MailURL: c.APIURL + "/hooks/sendgrid", MailKey: c.SandboxSendGridKey.Reveal(),
				SMSInboundURL: c.APIURL + "/hooks/sms/inbound", SMSStatusURL: c.APIURL + "/hooks/sms/status",
				SMSAccount: c.Twilio.AccountSID, SMSAuthToken: c.Twilio.AuthToken.Reveal(),
			}
			if len(c.Stripe.WebhookSecrets) > 0 {
				hooks.StripeSecret = c.Stripe.WebhookSecrets[0].Reveal()
			}
			server, err := sandbox.New(sandbox.Options{
				Addr: c.Addr, Dir: filepath.Join(c.DataDir, "sandbox"), PublicURL: c.SandboxURL, Webhooks: hooks, Logger: newLogger(cmd.ErrOrStderr()),
			})
			if err != nil {
				return err
			}
			return server.Run(cmd.Context())
		},
	}
}
