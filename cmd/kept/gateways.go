package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/contrib/envconfig"
	"go.temporal.io/sdk/log"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"

	"github.com/kept-practice/kept/activities"
	"github.com/kept-practice/kept/db"
	"github.com/kept-practice/kept/internal/desk"
	"github.com/kept-practice/kept/internal/gateway/mail"
	"github.com/kept-practice/kept/internal/gateway/sms"
	"github.com/kept-practice/kept/internal/gateway/stripe"
)

// gatewayNames are the variables without which no step could act, all three gateways being needed.
var gatewayNames = []string{"STRIPE_API_KEY", "SENDGRID_API_KEY", "SENDGRID_FROM", "TWILIO_ACCOUNT_SID", "TWILIO_AUTH_TOKEN", "TWILIO_FROM"}

// newActivities makes the activities with the gateways that the configuration names.
func newActivities(c config, store *db.Store, d *desk.Desk, logger *slog.Logger) (*activities.Activities, error) {
	cards, err := stripe.New(stripe.Options{Key: c.Stripe.APIKey.Reveal(), BaseURL: c.Stripe.Base})
	if err != nil {
		return nil, err
	}
	mailer, err := mail.New(mail.Options{Key: c.SendGrid.APIKey.Reveal(), BaseURL: c.SendGrid.Base})
	if err != nil {
		return nil, err
	}
	texter, err := sms.New(sms.Options{
		AccountSID: c.Twilio.AccountSID, AuthToken: c.Twilio.AuthToken.Reveal(), From: c.Twilio.From, BaseURL: c.Twilio.Base,
		StatusURL: c.hookURL("/hooks/sms/status"),
	})
	if err != nil {
		return nil, err
	}
	o := activities.Options{
		Store: store, Desk: d, Mail: mailer, SMS: texter, Cards: cards, BaseURL: c.BaseURL, MailFrom: c.SendGrid.From, Log: logger,
	}
	if seams.gateways != nil {
		o = seams.gateways(o)
	}
	return activities.New(o)
}

// hookURL is where gateways reach us: KEPT_API_URL where it is set (the sandbox, beside us), else the public address.
func (c config) hookURL(path string) string {
	if c.APIURL != "" {
		return c.APIURL + path
	}
	return c.BaseURL + path
}

// temporalOptions reads TEMPORAL_* and the SDK's profiles: an own cluster or Temporal Cloud.
func temporalOptions(logger *slog.Logger) (client.Options, error) {
	options, err := envconfig.LoadDefaultClientOptions()
	if err != nil {
		return options, fmt.Errorf("read TEMPORAL_* variables: %w", err)
	}
	options.Logger = log.NewStructuredLogger(logger.With("part", "temporal"))
	options.ConnectionOptions.DialOptions = append(options.ConnectionOptions.DialOptions, grpc.WithConnectParams(reconnect))
	options.Interceptors = seams.rings
	return options, nil
}

// reconnect lets a worker come back 2 s after Temporal; the SDK waits up to 10 s between tries, gRPC two minutes.
var reconnect = grpc.ConnectParams{
	Backoff:           backoff.Config{BaseDelay: 200 * time.Millisecond, Multiplier: 1.6, Jitter: .2, MaxDelay: 2 * time.Second},
	MinConnectTimeout: 5 * time.Second,
}

// sandboxIdle asks the sandbox whether it still owes anybody an event; nil where no sandbox is used.
func sandboxIdle(c config) func(context.Context) (bool, error) {
	if c.SandboxURL == "" {
		return nil
	}
	asker := &http.Client{Timeout: 2 * time.Second}
	return func(ctx context.Context) (idle bool, err error) {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, c.SandboxURL+"/api/idle", nil)
		if err != nil {
			return false, err
		}
		reply, err := asker.Do(request)
		if err != nil {
			return false, fmt.Errorf("ask the sandbox: %w", err)
		}
		defer func() { err = errors.Join(err, reply.Body.Close()) }()
		var answer struct {
			Idle bool `json:"idle"`
		}
		if err := json.NewDecoder(reply.Body).Decode(&answer); err != nil {
			return false, fmt.Errorf("read the sandbox's answer: %w", err)
		}
		return answer.Idle, nil
	}
}

// newLogger writes one line per record; ids only, never a name or an address.
func newLogger(w interface{ Write([]byte) (int, error) }) *slog.Logger {
	return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: slog.LevelInfo}))
}
