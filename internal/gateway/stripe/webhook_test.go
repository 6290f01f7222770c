package stripe_test

import (
	"encoding/hex"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/stripe/stripe-go/v76/webhook"

	"github.com/kept-practice/kept/internal/gateway/stripe"
	"github.com/kept-practice/kept/internal/policy"
)

const (
	secret = "whsec_one"
	body   = `{"id":"evt_1","object":"event","api_version":"2099-01-01","created":1700000000,"livemode":false,` +
		`"type":"payment_intent.succeeded","data":{"object":{"id":"pi_1","amount":5}}}`
)

var now = time.Unix(1_700_000_100, 0)

func mac(at time.Time, payload, key string) string {
	return hex.EncodeToString(webhook.ComputeSignature(at, []byte(payload), key))
}

func signed(at time.Time, payload, key string) string {
	return fmt.Sprintf("t=%d,v1=%s", at.Unix(), mac(at, payload, key))
}

func TestVerify_ProvenEvents_OnlyIdTypeAndObjectAreRead(t *testing.T) {
	forged := strings.Repeat("0", 64)
	for name, header := range map[string]string{
		"plain":              signed(now, body, secret),
		"second secret":      signed(now, body, "whsec_two"),
		"several signatures": fmt.Sprintf("t=%d,v1=%s,v1=%s,v0=abc", now.Unix(), forged, mac(now, body, secret)),
		"300 s old":          signed(now.Add(-300*time.Second), body, secret),
		"300 s ahead":        signed(now.Add(300*time.Second), body, secret),
	} {
		e, err := stripe.Verify([]byte(body), header, []string{secret, "whsec_two"}, now)
		require.NoError(t, err, name)
		require.Equal(t, stripe.Event{ID: "evt_1", Type: "payment_intent.succeeded", ObjectID: "pi_1", Created: time.Unix(1_700_000_000, 0).UTC()}, e, name)
	}
}

func TestVerify_ForgedOrOddHeaders_OneAnswer(t *testing.T) {
	good := mac(now, body, secret)
	at := fmt.Sprint(now.Unix())
	headers := map[string]string{
		"missing": "", "empty pairs": ",,", "no signature": "t=" + at, "no timestamp": "v1=" + good,
		"old scheme only":        "t=" + at + ",v0=" + good,
		"wrong secret":           signed(now, body, "whsec_wrong"),
		"empty secret":           signed(now, body, ""),
		"other body":             signed(now, body+" ", secret),
		"301 s old":              signed(now.Add(-301*time.Second), body, secret),
		"301 s ahead":            signed(now.Add(301*time.Second), body, secret),
		"two timestamps":         "t=" + at + ",t=" + at + ",v1=" + good,
		"timestamp in letters":   "t=now,v1=" + good,
		"timestamp with plus":    "t=+" + at + ",v1=" + good,
		"timestamp with zero":    "t=0" + at + ",v1=" + good,
		"negative timestamp":     "t=-" + at + ",v1=" + good,
		"fraction of a second":   "t=" + at + ".0,v1=" + good,
		"upper case":             "t=" + at + ",v1=" + strings.ToUpper(good),
		"short signature":        "t=" + at + ",v1=" + good[:62],
		"long signature":         "t=" + at + ",v1=" + good + "00",
		"not hex":                "t=" + at + ",v1=" + strings.Repeat("g", 64),
		"blank inside":           "t=" + at + ", v1=" + good,
		"semicolon":              "t=" + at + ";v1=" + good,
		"bad one beside good":    "t=" + at + ",v1=" + good + ",v1=zz",
		"timestamp not signed":   fmt.Sprintf("t=%d,v1=%s", now.Unix()+1, good),
		"header of 100,000 keys": "t=" + at + strings.Repeat(",v1="+strings.Repeat("0", 64), 1500) + ",v1=" + good,
	}
	var answer string
	for name, header := range headers {
		_, err := stripe.Verify([]byte(body), header, []string{secret, ""}, now)
		require.Equal(t, policy.Unauthenticated, policy.KindOf(err), name)
		var e *policy.Error
		require.ErrorAs(t, err, &e)
		if answer == "" {
			answer = e.Code + e.Message
		}
		require.Equal(t, answer, e.Code+e.Message, name)
	}
	_, err := stripe.Verify([]byte(body), signed(now, body, secret), nil, now)
	require.Equal(t, policy.Unauthenticated, policy.KindOf(err), "no secret configured")
	spaced := strings.ReplaceAll(body, ":", ": ")
	_, err = stripe.Verify([]byte(spaced), signed(now, body, secret), []string{secret}, now)
	require.Equal(t, policy.Unauthenticated, policy.KindOf(err), "re-serialised JSON")
}

func TestVerify_ProvenButUnreadable_SetAside(t *testing.T) {
	for name, payload := range map[string]string{
		"empty": "", "no JSON": "hello", "array": "[]", "cut": body[:40], "no id": `{"type":"x"}`, "no type": `{"id":"evt_1"}`,
		"id twice": `{"id":"evt_1","id":"evt_2","type":"x"}`, "id in two cases": `{"id":"evt_1","ID":"evt_2","type":"x"}`,
		"two values": body + "{}", "not UTF-8": "{\"id\":\"\xff\",\"type\":\"x\"}", "id as number": `{"id":1,"type":"x"}`,
		"too deep": `{"id":"evt_1","type":"x","data":` + strings.Repeat(`[`, 100) + strings.Repeat(`]`, 100) + `}`,
	} {
		_, err := stripe.Verify([]byte(payload), signed(now, payload, secret), []string{secret}, now)
		require.Equal(t, policy.Unreadable, policy.KindOf(err), name)
	}
}

func FuzzVerify(f *testing.F) {
	f.Add([]byte(body), signed(now, body, secret), secret)
	f.Add([]byte(`{"id":"evt_1"}`), "t=1,v1=00", "")
	f.Fuzz(func(t *testing.T, payload []byte, header, key string) {
		e, err := stripe.Verify(payload, header, []string{key, secret}, now)
		if err != nil {
			kind := policy.KindOf(err)
			require.True(t, kind == policy.Unauthenticated || kind == policy.Unreadable)
			require.Zero(t, e)
			return
		}
		require.NotEmpty(t, e.ID)
		fits := false
		for _, k := range []string{key, secret} {
			for d := -300; d <= 300; d++ {
				fits = fits || strings.Contains(header, mac(now.Add(time.Duration(d)*time.Second), string(payload), k))
			}
		}
		require.True(t, fits, "accepted without a fitting signature")
	})
}
