package main

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestConfig_EveryMistakeAtOnce_NoSecretShown(t *testing.T) {
	_, err := parseConfig(map[string]string{
		"DATABASE_URL":       "postgres://u:hunter2hunter2@h:notaport/x",
		"KEPT_ADDR":          "nonsense",
		"KEPT_BASE_URL":      "book.example.org",
		"KEPT_KEYS":          "k1:c2hvcnQ=",
		"STRIPE_API_KEY":     "sk_live_hunter2",
		"SENDGRID_API_KEY":   "SG.hunter2",
		"TWILIO_ACCOUNT_SID": "AC1",
	}, "TEMPORAL_ADDRESS")
	for _, mistake := range []string{
		"TEMPORAL_ADDRESS is missing", "DATABASE_URL: must look like", "KEPT_ADDR: must look like", "KEPT_BASE_URL: must look like",
		"KEPT_KEYS: each key must be id:base64", "STRIPE_WEBHOOK_SECRETS is missing", "SENDGRID_FROM is missing", "TWILIO_AUTH_TOKEN and",
	} {
		require.ErrorContains(t, err, mistake)
	}
	require.NotContains(t, err.Error(), "hunter2")
	require.NotContains(t, err.Error(), "c2hvcnQ=")
}

func TestConfig_Empty_IsTheDefaults(t *testing.T) {
	c, err := parseConfig(map[string]string{})
	require.NoError(t, err)
	require.Equal(t, "127.0.0.1:8080", c.Addr)
	require.Equal(t, "http://127.0.0.1:8080", c.BaseURL)
	require.Equal(t, ".kept", c.DataDir)
}

func TestConfig_Lists_AreSplitAtCommas(t *testing.T) {
	c, err := parseConfig(map[string]string{"STRIPE_API_KEY": "sk_test_1", "STRIPE_WEBHOOK_SECRETS": "whsec_new,whsec_old"})
	require.NoError(t, err)
	require.Equal(t, []secret{"whsec_new", "whsec_old"}, c.Stripe.WebhookSecrets)
}

func TestSecret_EveryWayOfPrinting_IsMasked(t *testing.T) {
	c, err := parseConfig(map[string]string{"TWILIO_AUTH_TOKEN": "hunter2hunter2hunter2", "DATABASE_URL": "postgres://kept:hunter2@db:5432/kept"})
	require.NoError(t, err)
	encoded, err := json.Marshal(c)
	require.NoError(t, err)
	for _, printed := range []string{fmt.Sprint(c), fmt.Sprintf("%+v", c), fmt.Sprintf("%#v", c), fmt.Sprintf("%q", c.Twilio.AuthToken), string(encoded)} {
		require.NotContains(t, printed, "hunter2h")
		require.NotContains(t, printed, "kept:hunter2")
	}
	require.Equal(t, "postgres://kept:xxxxx@db:5432/kept", c.DatabaseURL.String())
	require.Equal(t, "hunter2hunter2hunter2", c.Twilio.AuthToken.Reveal())
}
