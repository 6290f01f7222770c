package mail_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kept-practice/kept/internal/gateway/mail"
	"github.com/kept-practice/kept/internal/policy"
)

const body = `[{"email":"a@b.example","timestamp":1700000000,"event":"delivered","sg_event_id":"e1","sg_message_id":"m1.recvd-1","message":"msg-1"}]`

var now = time.Unix(1_700_000_100, 0)

func newKey(t testing.TB, curve elliptic.Curve) (*ecdsa.PrivateKey, string) {
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	require.NoError(t, err)
	der, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	require.NoError(t, err)
	return key, base64.StdEncoding.EncodeToString(der)
}

func sign(t testing.TB, key *ecdsa.PrivateKey, timestamp, payload string) []byte {
	sum := sha256.Sum256([]byte(timestamp + payload))
	der, err := ecdsa.SignASN1(rand.Reader, key, sum[:])
	require.NoError(t, err)
	return der
}

func b64(b []byte) string { return base64.StdEncoding.EncodeToString(b) }

func TestParseKey_OnlyBase64DEROnP256(t *testing.T) {
	_, public := newKey(t, elliptic.P256())
	_, err := mail.ParseKey(" " + public + "\n")
	require.NoError(t, err)
	_, other := newKey(t, elliptic.P384())
	der, err := base64.StdEncoding.DecodeString(public)
	require.NoError(t, err)
	for name, s := range map[string]string{
		"empty": "", "nonsense": "nonsense!", "other curve": other, "cut": public[:40],
		"PEM": string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})),
	} {
		_, err := mail.ParseKey(s)
		require.Error(t, err, name)
	}
}

func TestVerify_ForgedOrOdd_OneAnswer(t *testing.T) {
	key, _ := newKey(t, elliptic.P256())
	second, _ := newKey(t, elliptic.P256())
	stranger, _ := newKey(t, elliptic.P256())
	keys := []*ecdsa.PublicKey{&key.PublicKey, &second.PublicKey}
	at := fmt.Sprint(now.Unix())
	good := sign(t, key, at, body)
	require.NoError(t, mail.Verify([]byte(body), b64(good), at, keys, now))
	require.NoError(t, mail.Verify([]byte(body), b64(sign(t, second, at, body)), at, keys, now), "second key during rotation")

	var rs struct{ R, S *big.Int }
	_, err := asn1.Unmarshal(good, &rs)
	require.NoError(t, err)
	zero, err := asn1.Marshal(struct{ R, S *big.Int }{big.NewInt(0), big.NewInt(0)})
	require.NoError(t, err)
	past, future := fmt.Sprint(now.Unix()-301), fmt.Sprint(now.Unix()+301)
	for name, c := range map[string]struct{ body, signature, timestamp string }{
		"unsigned":           {body, "", ""},
		"no timestamp":       {body, b64(good), ""},
		"stranger's key":     {body, b64(sign(t, stranger, at, body)), at},
		"other body":         {body + " ", b64(good), at},
		"other timestamp":    {body, b64(good), fmt.Sprint(now.Unix() + 1)},
		"301 s old":          {body, b64(sign(t, key, past, body)), past},
		"301 s ahead":        {body, b64(sign(t, key, future, body)), future},
		"timestamp padded":   {body, b64(sign(t, key, "0"+at, body)), "0" + at},
		"timestamp in words": {body, b64(sign(t, key, "now", body)), "now"},
		"url base64":         {body, strings.NewReplacer("+", "-", "/", "_").Replace(b64(good)) + "-", at},
		"base64 with break":  {body, b64(good)[:10] + "\n" + b64(good)[10:], at},
		"no padding":         {body, strings.TrimRight(b64(good), "=") + "A", at},
		"trailing bytes":     {body, b64(append(append([]byte{}, good...), 0)), at},
		"not DER":            {body, b64([]byte("hello")), at},
		"raw r and s":        {body, b64(append(rs.R.Bytes(), rs.S.Bytes()...)), at},
		"zero":               {body, b64(zero), at},
	} {
		err := mail.Verify([]byte(c.body), c.signature, c.timestamp, keys, now)
		require.Equal(t, policy.Unauthenticated, policy.KindOf(err), name)
		require.Equal(t, "bad_signature", policy.CodeOf(err), name)
	}
	require.Error(t, mail.Verify([]byte(body), b64(good), at, nil, now), "no key configured")
}

func TestParseEvents_ElementsStandAlone(t *testing.T) {
	payload := `[` + body[1:len(body)-1] + `,{"event":"bounce","timestamp":1700000001,"type":"bounce","reason":"550","sg_message_id":"m2","message":"msg-2"},` +
		`{"nonsense":true},17,{"event":"open","event":"click","timestamp":1},{"event":"delivered","timestamp":"soon"}]`
	events, odd, err := mail.ParseEvents([]byte(payload))
	require.NoError(t, err)
	require.Len(t, odd, 4)
	require.Len(t, events, 2)
	require.Equal(t, "e1", events[0].ID)
	require.Equal(t, "m1", events[0].GatewayRef)
	require.Equal(t, "msg-1", events[0].MessageRef)
	require.Equal(t, time.Unix(1_700_000_000, 0).UTC(), events[0].At)
	require.Equal(t, "bounce", events[1].Class)
	require.True(t, strings.HasPrefix(events[1].ID, "sha256:"))
	again, _, err := mail.ParseEvents([]byte(payload))
	require.NoError(t, err)
	require.Equal(t, events[1].ID, again[1].ID, "an event without an id is recognised by what it says")
	for _, bad := range []string{"", "null", "{}", `{"events":[]}`, "[", `"x"`} {
		_, _, err := mail.ParseEvents([]byte(bad))
		require.Equal(t, policy.Unreadable, policy.KindOf(err), bad)
	}
}

func TestParseEvents_TenThousandInOneBody_AllRead(t *testing.T) {
	one := body[1 : len(body)-1]
	events, odd, err := mail.ParseEvents([]byte("[" + strings.Repeat(one+",", 9_999) + one + "]"))
	require.NoError(t, err)
	require.Empty(t, odd)
	require.Len(t, events, 10_000)
}

func FuzzVerifyAndParse(f *testing.F) {
	key, _ := newKey(f, elliptic.P256())
	at := fmt.Sprint(now.Unix())
	signature := b64(sign(f, key, at, body))
	f.Add([]byte(body), signature, at)
	f.Add([]byte(`[{}]`), "AA==", "1")
	f.Fuzz(func(t *testing.T, payload []byte, s, timestamp string) {
		if err := mail.Verify(payload, s, timestamp, []*ecdsa.PublicKey{&key.PublicKey}, now); err == nil {
			require.True(t, bytes.Equal([]byte(body), payload), "only what was signed is proven")
			require.Equal(t, at, timestamp)
		}
		events, _, err := mail.ParseEvents(payload)
		require.True(t, err == nil || policy.KindOf(err) == policy.Unreadable)
		for _, e := range events {
			require.NotEmpty(t, e.ID)
			require.NotEmpty(t, e.Type)
		}
	})
}
