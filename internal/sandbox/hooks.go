package sandbox

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha1" //nolint:gosec // Twilio's scheme
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// The gateways, as faults, hooks and the ledger name them.
const (
	gatewayStripe = "stripe"
	gatewayMail   = "mail"
	gatewaySMS    = "sms"
)

// owe records a webhook, after the event faults have had their say. Metadata and to are what faults match by.
func (t *tx) owe(h hook, to string, metadata map[string]string) {
	if h.URL == "" {
		return
	}
	h.ID, h.At = newID("hook_"), t.now
	f := t.s.faults.take(h.Gateway, eventFaults, h.Type, to, metadata)
	switch {
	case f.named(faultDropEvent):
		return
	case f.named(faultDelayEvent):
		h.NotTill = t.now.Add(f.delay(5 * time.Second))
	case f.named(faultReorderEvent):
		h.NotTill = t.now.Add(f.delay(3 * time.Second))
	case f.named(faultDuplicateEvent):
		second := h
		second.ID = newID("hook_")
		t.put(kindHook, second.ID, second)
	}
	t.put(kindHook, h.ID, h)
	t.st.hooks[h.ID].held = f.named(faultReorderEvent)
}

// endHooks records that these are no longer owed. Losing this in a crash means a repeat, which the real ones do too.
func (s *Server) endHooks(ended []*hook, delivered bool) {
	if len(ended) == 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.begin()
	for _, h := range ended {
		t.put(kindHookEnd, h.ID, map[string]any{"delivered": delivered, "tries": h.tries})
	}
	t.commit()
}

func signStripe(body []byte, secret string, now time.Time) string {
	at := strconv.FormatInt(now.Unix(), 10)
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(at + "."))
	mac.Write(body)
	return "t=" + at + ",v1=" + hex.EncodeToString(mac.Sum(nil))
}

func signMail(body []byte, key *ecdsa.PrivateKey, now time.Time) (signature, timestamp string, err error) {
	timestamp = strconv.FormatInt(now.Unix(), 10)
	sum := sha256.Sum256(append([]byte(timestamp), body...))
	der, err := ecdsa.SignASN1(rand.Reader, key, sum[:])
	if err != nil {
		return "", "", fmt.Errorf("sandbox: cannot sign a mail webhook: %w", err)
	}
	return base64.StdEncoding.EncodeToString(der), timestamp, nil
}

func signSMS(address string, form url.Values, token string) string {
	mac := hmac.New(sha1.New, []byte(token))
	mac.Write([]byte(address))
	for _, name := range slices.Sorted(maps.Keys(form)) {
		mac.Write([]byte(name + form.Get(name)))
	}
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

const mailKeyName = "mail-webhook-key"

// MailKey reads the key that signs mail webhooks from dir, making it at the first call. Public is what SENDGRID_WEBHOOK_KEYS
// takes: base64 of the DER public key. It also stands in dir/mail-webhook-key.pub.
func MailKey(dir string) (key *ecdsa.PrivateKey, public string, err error) {
	path := filepath.Join(dir, mailKeyName)
	stored, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return makeMailKey(dir, path)
	}
	if err != nil {
		return nil, "", fmt.Errorf("sandbox: cannot read %s: %w", path, err)
	}
	return ParseMailKey(string(stored))
}

// ParseMailKey reads base64 of a DER private key on P-256 (PKCS #8).
func ParseMailKey(s string) (key *ecdsa.PrivateKey, public string, err error) {
	der, err := base64.StdEncoding.DecodeString(strings.TrimSpace(s))
	if err != nil {
		return nil, "", errors.New("sandbox: the mail webhook key is not base64")
	}
	parsed, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return nil, "", fmt.Errorf("sandbox: the mail webhook key is not a PKCS #8 private key: %w", err)
	}
	key, ok := parsed.(*ecdsa.PrivateKey)
	if !ok || key.Curve != elliptic.P256() {
		return nil, "", errors.New("sandbox: the mail webhook key is not an ECDSA key on P-256")
	}
	pub, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		return nil, "", fmt.Errorf("sandbox: mail webhook key: %w", err)
	}
	return key, base64.StdEncoding.EncodeToString(pub), nil
}

// makeMailKey writes the key under a temporary name and links it into place, so two first callers agree on one key.
func makeMailKey(dir, path string) (*ecdsa.PrivateKey, string, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, "", fmt.Errorf("sandbox: cannot make %s: %w", dir, err)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, "", fmt.Errorf("sandbox: mail webhook key: %w", err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, "", fmt.Errorf("sandbox: mail webhook key: %w", err)
	}
	temporary := path + "." + newID("")
	err = os.WriteFile(temporary, []byte(base64.StdEncoding.EncodeToString(der)+"\n"), 0o600)
	if err == nil {
		err = os.Link(temporary, path)
		err = errors.Join(ignore(err, os.ErrExist), os.Remove(temporary))
	}
	if err != nil {
		return nil, "", fmt.Errorf("sandbox: cannot store the mail webhook key: %w", err)
	}
	key, public, err := MailKey(dir)
	if err != nil {
		return nil, "", err
	}
	if err := os.WriteFile(path+".pub", []byte(public+"\n"), 0o600); err != nil {
		return nil, "", fmt.Errorf("sandbox: cannot store the public key: %w", err)
	}
	return key, public, nil
}

func ignore(err, harmless error) error {
	if errors.Is(err, harmless) {
		return nil
	}
	return err
}
