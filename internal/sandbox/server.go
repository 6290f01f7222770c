// Package sandbox stands in for Stripe, SendGrid and Twilio: one process, one port, stateful, with a ledger of its own that is
// on disk before any call is answered, signed webhooks that are repeated until taken, a mailbox page, and faults by name.
// It is the counterparty's book: tests compare kept's own records with it. Nothing it does leaves this machine and its
// private network.
package sandbox

import (
	"context"
	"crypto/ecdsa"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Options configure a Server. The zero value of each field but Dir is usable.
type Options struct {
	Addr      string // default 127.0.0.1:8025
	Dir       string // folder of the ledger and the mail key; made when missing
	PublicURL string // how browsers reach it; default http://<Addr>
	Webhooks  Webhooks
	Retry     []time.Duration  // waits between tries of a webhook; default 1 s … 30 min
	Now       func() time.Time // default time.Now
	Logger    *slog.Logger     // default slog.Default; it is never given an address, a body or a card
}

// Webhooks are where events go and how they are signed. A gateway without an address sends none.
type Webhooks struct {
	StripeURL     string
	StripeSecret  string
	MailURL       string
	MailKey       string // base64 of a PKCS #8 key on P-256; empty: Dir's own, see MailKey
	SMSInboundURL string
	SMSStatusURL  string // for texts that name no StatusCallback
	SMSAccount    string // AccountSid in inbound webhooks; default AC and 32 zeros
	SMSAuthToken  string // signs, and is asked of callers when set
}

// Server is the sandbox. Close it, or let Run do so.
type Server struct {
	o       Options
	handler http.Handler
	ledger  *ledger
	courier *courier
	faults  faultBook
	mailKey *ecdsa.PrivateKey
	mailPub string

	mu           sync.Mutex // guards state and keysInFlight
	state        *state
	keysInFlight map[string]bool
	closing      sync.Once
	closeErr     error
}

// New opens the ledger, brings the state back, and starts to deliver what is owed.
func New(o Options) (*Server, error) {
	if err := o.fill(); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("sandbox: cannot make the folder of the ledger: %w", err)
	}
	s := &Server{o: o, state: newState(), keysInFlight: map[string]bool{}}
	var err error
	if o.Webhooks.MailKey != "" {
		s.mailKey, s.mailPub, err = ParseMailKey(o.Webhooks.MailKey)
	} else {
		s.mailKey, s.mailPub, err = MailKey(o.Dir)
	}
	if err != nil {
		return nil, err
	}
	if s.ledger, err = openLedger(o.Dir, s.state.apply); err != nil {
		return nil, err
	}
	s.courier = newCourier(s)
	for _, h := range s.state.hooks {
		s.readdress(h)
		s.courier.add(h)
	}
	s.handler = s.routes()
	return s, nil
}

func (o *Options) fill() error {
	if o.Dir == "" {
		return errors.New("sandbox: no folder for the ledger was given")
	}
	if o.Addr == "" {
		o.Addr = "127.0.0.1:8025"
	}
	if o.PublicURL == "" {
		o.PublicURL = "http://" + o.Addr
	}
	o.PublicURL = strings.TrimRight(o.PublicURL, "/")
	if len(o.Retry) == 0 {
		o.Retry = defaultRetry
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	w := &o.Webhooks
	if w.SMSAccount == "" {
		w.SMSAccount = "AC" + strings.Repeat("0", 32)
	}
	for _, address := range []string{o.PublicURL, w.StripeURL, w.MailURL, w.SMSInboundURL, w.SMSStatusURL} {
		if u, err := url.Parse(address); address != "" && (err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https")) {
			return fmt.Errorf("sandbox: %q is not an http(s) URL", address)
		}
	}
	if w.StripeURL != "" && w.StripeSecret == "" {
		return errors.New("sandbox: Stripe webhooks need a signing secret")
	}
	if (w.SMSInboundURL != "" || w.SMSStatusURL != "") && w.SMSAuthToken == "" {
		return errors.New("sandbox: SMS webhooks need an auth token to be signed with")
	}
	return nil
}

// readdress sends what an earlier life still owes to where webhooks go now.
func (s *Server) readdress(h *hook) {
	w := s.o.Webhooks
	now := map[string]string{gatewayStripe: w.StripeURL, gatewayMail: w.MailURL}[h.Gateway]
	if h.Gateway == gatewaySMS && h.Type == inbound {
		now = w.SMSInboundURL
	}
	if now != "" {
		h.URL = now
	}
}

// MailPublicKey is what kept's SENDGRID_WEBHOOK_KEYS takes.
func (s *Server) MailPublicKey() string { return s.mailPub }

// Handler serves everything on one port.
func (s *Server) Handler() http.Handler { return s.handler }

// Run serves until ctx ends, then finishes what is in flight and closes the ledger.
func (s *Server) Run(ctx context.Context) error {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", s.o.Addr)
	if err != nil {
		if errors.Is(err, syscall.EADDRINUSE) {
			err = fmt.Errorf("sandbox: %s is taken by another program; stop it, or choose another address", s.o.Addr)
		}
		return errors.Join(err, s.Close())
	}
	server := &http.Server{Handler: s.handler, ReadHeaderTimeout: 10 * time.Second, ErrorLog: slog.NewLogLogger(s.o.Logger.Handler(), slog.LevelDebug)}
	s.o.Logger.Info("sandbox ready", slog.String("mailbox", s.o.PublicURL))
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	select {
	case err = <-served:
	case <-ctx.Done():
		grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownGrace)
		defer cancel()
		if server.Shutdown(grace) != nil { // calls hung by a fault are cut
			err = server.Close()
		}
		if ended := <-served; !errors.Is(ended, http.ErrServerClosed) {
			err = errors.Join(err, ended)
		}
	}
	return errors.Join(err, s.Close())
}

// Close ends deliveries and closes the ledger; what is owed is delivered after the next start.
func (s *Server) Close() error {
	s.closing.Do(func() {
		s.courier.close()
		s.mu.Lock()
		defer s.mu.Unlock()
		s.closeErr = s.ledger.close()
	})
	return s.closeErr
}

func (s *Server) routes() http.Handler {
	mux := http.NewServeMux()
	s.stripeRoutes(mux)
	s.mailRoutes(mux)
	s.smsRoutes(mux)
	s.pageRoutes(mux)
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) })
	mux.HandleFunc("GET /api/messages", s.listMessages)
	mux.HandleFunc("GET /api/messages/{id}", s.showMessage)
	mux.HandleFunc("GET /api/ledger", s.showLedger)
	mux.HandleFunc("GET /api/idle", s.showIdle)
	mux.HandleFunc("GET /api/faults", s.listFaults)
	mux.HandleFunc("POST /api/faults", s.addFault)
	mux.HandleFunc("DELETE /api/faults", s.removeFaults)
	mux.HandleFunc("DELETE /api/faults/{id}", s.removeFaults)
	return mux
}

func (s *Server) now() time.Time { return s.o.Now() }

// answer writes a body; a caller that has gone is no error of ours.
func (s *Server) answer(w http.ResponseWriter, body []byte) {
	if _, err := w.Write(body); err != nil {
		s.o.Logger.Debug("caller went away before the answer")
	}
}

const idAlphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

// newID is prefix and 24 random characters, as Stripe's are.
func newID(prefix string) string {
	var raw [24]byte
	rand.Read(raw[:]) // never fails
	for i, b := range raw {
		raw[i] = idAlphabet[int(b)%len(idAlphabet)]
	}
	return prefix + string(raw[:])
}

// newSID is Twilio's form: a prefix and 32 hex digits.
func newSID(prefix string) string {
	var raw [16]byte
	rand.Read(raw[:]) // never fails
	return prefix + hex.EncodeToString(raw[:])
}
