package main

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/kept-practice/kept/internal/embedded"
)

func loopback(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }

// metricsAddr is the usual port, or a free one when it is taken: metrics are no reason not to start.
func metricsAddr(usual int) string {
	if taken, err := embedded.PortTaken("127.0.0.1", usual); err == nil && taken {
		if free, err := embedded.FreePort(); err == nil {
			return loopback(free)
		}
	}
	return loopback(usual)
}

// checkPorts names every port that is taken, at once, before anything is started.
func (s *stack) checkPorts() error {
	wanted := []struct {
		port       int
		what, flag string
	}{{s.port, "the API", "--port"}, {s.mailPort, "the sandbox mailbox", "--mailbox-port"}}
	if os.Getenv("TEMPORAL_ADDRESS") == "" {
		wanted = append(wanted, []struct {
			port       int
			what, flag string
		}{{s.temporalPort, "Temporal", "--temporal-port"}, {s.uiPort, "the Temporal UI", "--ui-port"}}...)
	}
	var all []error
	for _, w := range wanted {
		taken, err := embedded.PortTaken("127.0.0.1", w.port)
		if err != nil {
			all = append(all, fmt.Errorf("%s cannot use its port: choose another with %s: %w", w.what, w.flag, err))
		} else if taken {
			all = append(all, fmt.Errorf("port %d for %s is taken: stop what uses it, or choose another with %s", w.port, w.what, w.flag))
		}
	}
	return errors.Join(all...)
}

// environment is what our own processes are told. A gateway without a key of the user's gets the sandbox and its keys.
func (s *stack) environment() ([]string, error) {
	made, err := s.state.secrets()
	if err != nil {
		return nil, err
	}
	env := map[string]string{
		"DATABASE_URL":         s.database,
		"TEMPORAL_ADDRESS":     s.temporal,
		"TEMPORAL_NAMESPACE":   cmp.Or(os.Getenv("TEMPORAL_NAMESPACE"), "kept"),
		"KEPT_BASE_URL":        s.baseURL(),
		"KEPT_API_URL":         s.apiURL(),
		"KEPT_DATA_DIR":        s.state.dir,
		"KEPT_TEMPORAL_UI_URL": s.uiURL(),
		"KEPT_SANDBOX_URL":     s.sandboxURL(),
	}
	if len(s.config.Keys) == 0 {
		env["KEPT_KEYS"] = made["KEPT_KEYS"]
	}
	if s.config.Stripe.APIKey == "" {
		env["STRIPE_API_KEY"], env["STRIPE_BASE"] = "sk_test_sandbox", s.sandboxURL()+"/stripe"
		env["STRIPE_WEBHOOK_SECRETS"] = made["STRIPE_WEBHOOK_SECRETS"]
	}
	if s.config.SendGrid.APIKey == "" {
		env["SENDGRID_API_KEY"], env["SENDGRID_BASE"] = "SG.sandbox", s.sandboxURL()+"/sendgrid"
		env["SENDGRID_FROM"] = cmp.Or(s.config.SendGrid.From, "practice@example.org")
		env["SENDGRID_WEBHOOK_KEYS"] = made["SENDGRID_WEBHOOK_KEYS"]
		env["KEPT_SANDBOX_SENDGRID_KEY"] = made["KEPT_SANDBOX_SENDGRID_KEY"]
	}
	if s.config.Twilio.AccountSID == "" {
		env["TWILIO_ACCOUNT_SID"], env["TWILIO_BASE"] = "ACsandbox", s.sandboxURL()+"/twilio"
		env["TWILIO_AUTH_TOKEN"] = made["TWILIO_AUTH_TOKEN"]
		env["TWILIO_FROM"] = cmp.Or(s.config.Twilio.From, "+12025550100")
	}
	var pairs []string
	for name, value := range env {
		pairs = append(pairs, name+"="+value)
	}
	return pairs, nil
}

func (s *stack) announce() error {
	return s.state.announce(running{
		PID: os.Getpid(), APIURL: s.apiURL(), BaseURL: s.baseURL(), SandboxURL: s.sandboxURL(),
		TemporalAddress: s.temporal, TemporalUIURL: s.uiURL(), DatabaseURL: s.database, APIKeyFile: s.keyFile(),
	})
}

// welcome tells a person who has never seen kept where things are and what to try.
func (s *stack) welcome(took time.Duration) {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	line("")
	line("kept is ready (%s). Everything lies in %s; Ctrl-C stops it, starting again goes on.", took.Round(100*time.Millisecond), s.state.dir)
	line("")
	line("  API and its docs   %s", s.apiURL())
	line("  Temporal UI        %s", s.uiURL())
	line("  Sandbox mailbox    %s", s.sandboxURL())
	if key, err := os.ReadFile(s.keyFile()); err == nil {
		token := strings.TrimSpace(string(key))
		line("  API key            %s", token)
		line("")
		line("Three things to try:")
		line("  1. the week's appointments   curl -H 'Authorization: Bearer %s' %s/v1/appointments", token, s.apiURL())
		line("  2. a whole client journey    make demo, or kept demo, in another terminal")
		line("  3. read its story            open a run in the Temporal UI, and its mails in the mailbox")
	}
	line("")
	if s.publicURL == "" && os.Getenv("KEPT_BASE_URL") == "" {
		line("Links in messages work on this machine only; --public-url https://… makes them work for clients.")
	} else {
		line("Links in messages lead to %s", s.baseURL())
	}
	s.console.plain(b.String())
}
