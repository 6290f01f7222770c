package main

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"reflect"
	"slices"
	"strings"

	"github.com/caarlos0/env/v11"
	"github.com/jackc/pgx/v5"
	"github.com/spf13/cobra"
)

// config is everything kept reads from the environment. Temporal's own TEMPORAL_* variables (address, namespace, API key,
// TLS, profiles) are read by its SDK where a client is dialled.
type config struct {
	DatabaseURL   secret   `env:"DATABASE_URL"`                                     // PostgreSQL 15 or newer
	Addr          string   `env:"KEPT_ADDR" envDefault:"127.0.0.1:8080"`            // where this process answers HTTP
	MetricsAddr   string   `env:"KEPT_METRICS_ADDR"`                                // Prometheus metrics; none when empty
	BaseURL       string   `env:"KEPT_BASE_URL" envDefault:"http://127.0.0.1:8080"` // start of every link sent to a client
	DataDir       string   `env:"KEPT_DATA_DIR" envDefault:".kept"`                 // state folder of `kept up` and the sandbox
	Keys          []secret `env:"KEPT_KEYS"`                                        // id:base64 of 32 bytes, newest first
	TemporalUIURL string   `env:"KEPT_TEMPORAL_UI_URL"`                             // start of links into the Temporal UI
	TemporalDev   string   `env:"KEPT_TEMPORAL_DEV"`                                // a ready temporal-dev binary for `kept up`
	SandboxURL    string   `env:"KEPT_SANDBOX_URL"`                                 // the sandbox gateways, for those without a key
	APIURL        string   `env:"KEPT_API_URL"`                                     // where the sandbox sends its webhooks
	Stripe        struct { // no key: the sandbox
		APIKey         secret   `env:"API_KEY"`
		Base           string   `env:"BASE"`
		WebhookSecrets []secret `env:"WEBHOOK_SECRETS"` // two during a rotation
	} `envPrefix:"STRIPE_"`
	SendGrid struct {
		APIKey      secret   `env:"API_KEY"`
		Base        string   `env:"BASE"`
		WebhookKeys []string `env:"WEBHOOK_KEYS"` // public keys, base64 as SendGrid shows them
		From        string   `env:"FROM"`
	} `envPrefix:"SENDGRID_"`
	Twilio struct {
		AccountSID string `env:"ACCOUNT_SID"`
		AuthToken  secret `env:"AUTH_TOKEN"`
		Base       string `env:"BASE"`
		From       string `env:"FROM"`
	} `envPrefix:"TWILIO_"`
	// SandboxSendGridKey is the private half of a webhook key, with which the sandbox signs; `kept up` makes it.
	SandboxSendGridKey secret `env:"KEPT_SANDBOX_SENDGRID_KEY"`
}

// secret prints as a mask (of a URL only the password), whichever way it is printed; Reveal is the only way to its value.
type secret string

func (s secret) String() string {
	u, err := url.Parse(string(s))
	switch {
	case err == nil && u.User != nil:
		return u.Redacted()
	case s == "":
		return ""
	case len(s) < 16:
		return "••••"
	default:
		return "••••" + string(s[len(s)-4:])
	}
}

// GoString keeps %#v from printing the value.
func (s secret) GoString() string { return s.String() }

// MarshalText keeps JSON logs from printing the value.
func (s secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// Reveal is the value itself, for the client that needs it.
func (s secret) Reveal() string { return string(s) }

// loadConfig reads and checks the environment and reports every mistake at once. needed names variables that this
// command cannot do without.
func loadConfig(needed ...string) (config, error) {
	return parseConfig(env.ToMap(os.Environ()), needed...)
}

func parseConfig(environment map[string]string, needed ...string) (config, error) {
	var c config
	var mistakes []error
	err := env.ParseWithOptions(&c, env.Options{Environment: environment})
	var several env.AggregateError
	if errors.As(err, &several) {
		mistakes = several.Errors
	} else if err != nil {
		mistakes = append(mistakes, err)
	}
	for _, name := range needed {
		if environment[name] == "" {
			mistakes = append(mistakes, fmt.Errorf("%s is missing", name))
		}
	}
	mistakes = append(mistakes, c.mistakes()...)
	if len(mistakes) == 0 {
		return c, nil
	}
	lines := make([]string, len(mistakes))
	for i, m := range mistakes {
		lines[i] = m.Error()
	}
	return c, errors.New("the configuration has mistakes:\n  " + strings.Join(lines, "\n  "))
}

func (c config) mistakes() []error {
	var all []error
	check := func(name, value string, test func(string) error) {
		if value == "" {
			return
		}
		if err := test(value); err != nil {
			all = append(all, fmt.Errorf("%s: %w", name, err))
		}
	}
	check("DATABASE_URL", c.DatabaseURL.Reveal(), databaseURL)
	for name, address := range map[string]string{"KEPT_ADDR": c.Addr, "KEPT_METRICS_ADDR": c.MetricsAddr} {
		check(name, address, hostPort)
	}
	for name, link := range map[string]string{
		"KEPT_BASE_URL": c.BaseURL, "KEPT_TEMPORAL_UI_URL": c.TemporalUIURL, "KEPT_SANDBOX_URL": c.SandboxURL,
		"KEPT_API_URL": c.APIURL, "STRIPE_BASE": c.Stripe.Base, "SENDGRID_BASE": c.SendGrid.Base, "TWILIO_BASE": c.Twilio.Base,
	} {
		check(name, link, webURL)
	}
	for _, key := range c.Keys {
		check("KEPT_KEYS", key.Reveal(), keyWithID)
	}
	if c.Stripe.APIKey != "" && len(c.Stripe.WebhookSecrets) == 0 {
		all = append(all, errors.New("STRIPE_WEBHOOK_SECRETS is missing: with STRIPE_API_KEY set, payments are learned from signed webhooks"))
	}
	if c.SendGrid.APIKey != "" && c.SendGrid.From == "" {
		all = append(all, errors.New("SENDGRID_FROM is missing: with SENDGRID_API_KEY set, mail needs a sender"))
	}
	if c.Twilio.AccountSID != "" && (c.Twilio.AuthToken == "" || c.Twilio.From == "") {
		all = append(all, errors.New("TWILIO_AUTH_TOKEN and TWILIO_FROM must be set with TWILIO_ACCOUNT_SID"))
	}
	slices.SortFunc(all, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	return all
}

// databaseURL does not show the parser's own words, which repeat the URL with its password.
func databaseURL(value string) error {
	if _, err := pgx.ParseConfig(value); err != nil {
		return errors.New("must look like postgres://user:password@host:5432/database")
	}
	return nil
}

func hostPort(value string) error {
	if _, _, err := net.SplitHostPort(value); err != nil {
		return fmt.Errorf("must look like 127.0.0.1:8080 or :8080, not %q", value)
	}
	return nil
}

func webURL(value string) error {
	u, err := url.Parse(value)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || u.RawQuery != "" || u.Fragment != "" {
		return fmt.Errorf("must look like https://book.example.org, not %q", value)
	}
	return nil
}

func keyWithID(value string) error {
	id, encoded, found := strings.Cut(value, ":")
	key, err := base64.StdEncoding.DecodeString(encoded)
	if !found || id == "" || err != nil || len(key) != 32 {
		return errors.New("each key must be id:base64 of 32 bytes; make one with `echo k1:$(head -c32 /dev/urandom | base64)`")
	}
	return nil
}

func newConfigCommand() *cobra.Command {
	check := &cobra.Command{
		Use:   "check",
		Short: "Print the effective configuration, secrets masked, and every mistake in it",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := loadConfig()
			out := cmd.OutOrStdout()
			for _, line := range effective(reflect.ValueOf(c), "") {
				fmt.Fprintln(out, line)
			}
			for _, pair := range os.Environ() {
				name, value, _ := strings.Cut(pair, "=")
				switch {
				case strings.HasPrefix(name, "TEMPORAL_") && strings.HasSuffix(name, "_KEY"):
					fmt.Fprintf(out, "%s=%s\n", name, secret(value))
				case strings.HasPrefix(name, "TEMPORAL_"):
					fmt.Fprintln(out, pair)
				case strings.HasPrefix(name, "KEPT_") && !slices.Contains(configNames(), name):
					fmt.Fprintf(out, "%s is not a name kept knows; it is ignored\n", name)
				}
			}
			return err
		},
	}
	config := &cobra.Command{Use: "config", Short: "Look at the configuration"}
	config.AddCommand(check)
	return config
}

// effective renders each variable as NAME=value in the order of the struct; values of type secret mask themselves.
func effective(v reflect.Value, prefix string) []string {
	var lines []string
	for i := range v.NumField() {
		field := v.Type().Field(i)
		if inner, nested := field.Tag.Lookup("envPrefix"); nested {
			lines = append(lines, effective(v.Field(i), inner)...)
			continue
		}
		value := v.Field(i).Interface()
		text := fmt.Sprint(value)
		if v.Field(i).Kind() == reflect.Slice {
			text = strings.Join(strings.Fields(strings.Trim(text, "[]")), ",")
		}
		lines = append(lines, prefix+field.Tag.Get("env")+"="+text)
	}
	return lines
}

// configNames lists the variables that config reads.
func configNames() []string { return names(reflect.TypeFor[config](), "") }

func names(t reflect.Type, prefix string) []string {
	var all []string
	for i := range t.NumField() {
		field := t.Field(i)
		if inner, nested := field.Tag.Lookup("envPrefix"); nested {
			all = append(all, names(field.Type, inner)...)
		} else {
			all = append(all, prefix+field.Tag.Get("env"))
		}
	}
	return all
}
