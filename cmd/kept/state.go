package main

import (
	"bufio"
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/kept-practice/kept/internal/embedded"
)

// state is the folder of one `kept up`, held by this process until release.
type state struct {
	dir  string
	lock *embedded.Lock
}

// openState makes and takes the folder. One that a running kept holds is refused by name; what a killed one left is taken.
func openState(dir string, c *console) (*state, error) {
	absolute, err := embedded.MakeFolder(dir)
	if err != nil {
		return nil, err
	}
	lock, err := embedded.TakeLock(filepath.Join(absolute, "lock"))
	var held *embedded.HeldError
	if errors.As(err, &held) {
		return nil, fmt.Errorf("kept already runs in %s: stop it with `kill %d`, or choose another folder with --dir", absolute, held.PID)
	}
	if err != nil {
		return nil, err
	}
	if lock.Stale != 0 {
		c.say("the last kept in %s (process %d) ended without cleaning up; going on where it stopped", absolute, lock.Stale)
	}
	return &state{dir: absolute, lock: lock}, nil
}

func (s *state) path(name string) string { return filepath.Join(s.dir, name) }

func (s *state) release() error {
	err := os.Remove(s.path("running.json"))
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return errors.Join(err, s.lock.Release())
}

// running is what a stack says about itself while it is ready, in running.json, for `kept demo` and for scripts.
type running struct {
	PID             int    `json:"pid"`
	APIURL          string `json:"api_url"`
	BaseURL         string `json:"base_url"`
	SandboxURL      string `json:"sandbox_url"`
	TemporalAddress string `json:"temporal_address"`
	TemporalUIURL   string `json:"temporal_ui_url"`
	DatabaseURL     string `json:"database_url"`
	APIKeyFile      string `json:"api_key_file"`
}

func (s *state) announce(r running) error {
	content, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return fmt.Errorf("describe the running stack: %w", err)
	}
	return writePrivately(s.path("running.json"), append(content, '\n'))
}

// secrets are made once per folder and kept in secrets.env, so that a later start can read what an earlier one encrypted
// and the sandbox's ledger keeps matching its keys.
func (s *state) secrets() (map[string]string, error) {
	path := s.path("secrets.env")
	content, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		if content, err = newSecrets(); err == nil {
			err = writePrivately(path, content)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("secrets of this folder: %w", err)
	}
	all := map[string]string{}
	for lines := bufio.NewScanner(bytes.NewReader(content)); lines.Scan(); {
		if name, value, found := strings.Cut(lines.Text(), "="); found {
			all[name] = value
		}
	}
	return all, nil
}

func newSecrets() ([]byte, error) {
	var key [32]byte
	if _, err := rand.Read(key[:]); err != nil {
		return nil, fmt.Errorf("make a key: %w", err)
	}
	signer, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make a webhook key: %w", err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(signer)
	if err != nil {
		return nil, fmt.Errorf("encode a webhook key: %w", err)
	}
	public, err := x509.MarshalPKIXPublicKey(signer.Public())
	if err != nil {
		return nil, fmt.Errorf("encode a webhook key: %w", err)
	}
	var b bytes.Buffer
	for _, pair := range [][2]string{
		{"KEPT_KEYS", "k1:" + base64.StdEncoding.EncodeToString(key[:])},
		{"STRIPE_WEBHOOK_SECRETS", "whsec_" + rand.Text()},
		{"TWILIO_AUTH_TOKEN", rand.Text()},
		{"SENDGRID_WEBHOOK_KEYS", base64.StdEncoding.EncodeToString(public)},
		{"KEPT_SANDBOX_SENDGRID_KEY", base64.StdEncoding.EncodeToString(private)},
	} {
		fmt.Fprintf(&b, "%s=%s\n", pair[0], pair[1])
	}
	return b.Bytes(), nil
}

// writePrivately replaces a file at once, readable by its owner alone.
func writePrivately(path string, content []byte) error {
	fresh := path + ".new"
	if err := os.WriteFile(fresh, content, 0o600); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	if err := os.Rename(fresh, path); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}
