package sandbox

import (
	"bytes"
	"container/heap"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
)

// hook is one webhook that is owed. Stripe's and Twilio's go one by one, SendGrid's in arrays.
type hook struct {
	ID      string     `json:"id"`
	Gateway string     `json:"gateway"`
	Type    string     `json:"type"`
	URL     string     `json:"url"`
	Body    string     `json:"body,omitempty"` // JSON: Stripe's event, or one element of SendGrid's array
	Form    url.Values `json:"form,omitempty"` // Twilio's fields
	At      time.Time  `json:"at"`
	NotTill time.Time  `json:"not_till,omitzero"` // put off by a fault

	seq   int64 // its facts are on disk when the ledger has synced this far
	due   time.Time
	tries int
	held  bool // by reorder_event
}

// defaultRetry is the wait after each failed try; the last one repeats until the gateway gives up.
var defaultRetry = []time.Duration{
	time.Second, 2 * time.Second, 5 * time.Second, 10 * time.Second, 30 * time.Second, time.Minute, 5 * time.Minute, 30 * time.Minute,
}

// giveUpAfter is how long each gateway goes on repeating.
var giveUpAfter = map[string]time.Duration{
	gatewayStripe: 72 * time.Hour, gatewayMail: 24 * time.Hour, gatewaySMS: 4 * time.Hour,
}

const (
	mailBatch     = 500
	maxInFlight   = 16
	hookTimeout   = 10 * time.Second
	lapseEvery    = 10 * time.Second // how often checkout pages are looked over for expiry
	idleHorizon   = 30 * time.Second // what is due later than this does not keep GET /api/idle waiting
	shutdownGrace = 5 * time.Second
)

// courier delivers hooks. Order is not promised.
type courier struct {
	s    *Server
	http *http.Client

	mu       sync.Mutex
	queue    hookQueue
	inFlight int
	wake     chan struct{}
	stop     context.CancelFunc
	done     chan struct{}
	running  sync.WaitGroup
}

func newCourier(s *Server) *courier {
	ctx, stop := context.WithCancel(context.Background())
	c := &courier{
		s: s, wake: make(chan struct{}, 1), stop: stop, done: make(chan struct{}),
		http: &http.Client{
			Timeout:       hookTimeout,
			Transport:     &http.Transport{DialContext: dialNear, MaxIdleConnsPerHost: maxInFlight, IdleConnTimeout: 30 * time.Second},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
	go c.run(ctx)
	return c
}

// dialNear connects to this machine or its private network only: nothing the sandbox does may reach the world.
func dialNear(ctx context.Context, network, address string) (net.Conn, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	ips, err := net.DefaultResolver.LookupIP(ctx, "ip", host)
	if err != nil {
		return nil, err
	}
	var last error
	for _, ip := range ips {
		if !ip.IsLoopback() && !ip.IsPrivate() {
			last = fmt.Errorf("the sandbox calls this machine and its private network only, not %s", ip)
			continue
		}
		var d net.Dialer
		conn, err := d.DialContext(ctx, network, net.JoinHostPort(ip.String(), port))
		if err == nil {
			return conn, nil
		}
		last = err
	}
	return nil, last
}

func (c *courier) add(h *hook) {
	c.mu.Lock()
	defer c.mu.Unlock()
	h.due = h.At
	if h.NotTill.After(h.due) {
		h.due = h.NotTill
	}
	heap.Push(&c.queue, h)
	c.nudge()
}

func (c *courier) nudge() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// idle tells that nothing is being delivered and nothing is due soon; next is the earliest thing owed.
func (c *courier) idle(now time.Time) (idle bool, owed int, next time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	owed = c.inFlight + len(c.queue)
	idle = c.inFlight == 0
	if len(c.queue) > 0 {
		next = c.queue[0].due
		idle = idle && next.Sub(now) > idleHorizon
	}
	return idle, owed, next
}

func (c *courier) run(ctx context.Context) {
	defer close(c.done)
	for ctx.Err() == nil {
		batch, wait := c.next(c.s.now())
		if len(batch) > 0 {
			c.running.Go(func() { c.deliver(ctx, batch) })
			continue
		}
		timer := time.NewTimer(min(wait, lapseEvery))
		select {
		case <-ctx.Done():
		case <-c.wake:
		case <-timer.C:
			c.s.lapseSessions()
		}
		timer.Stop()
	}
}

// next takes what is due: one hook, or an array's worth for mail. Without any it tells how long to wait.
func (c *courier) next(now time.Time) ([]*hook, time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.queue) == 0 || c.inFlight >= maxInFlight {
		return nil, time.Hour
	}
	if wait := c.queue[0].due.Sub(now); wait > 0 {
		return nil, wait
	}
	first := heap.Pop(&c.queue).(*hook)
	batch := []*hook{first}
	var others []*hook
	for first.Gateway == gatewayMail && len(c.queue) > 0 && !c.queue[0].due.After(now) && len(batch) < mailBatch {
		if h := heap.Pop(&c.queue).(*hook); h.Gateway == gatewayMail && h.URL == first.URL {
			batch = append(batch, h)
		} else {
			others = append(others, h)
		}
	}
	for _, h := range others {
		heap.Push(&c.queue, h)
	}
	c.inFlight++
	return batch, 0
}

func (c *courier) deliver(ctx context.Context, batch []*hook) {
	err := c.post(ctx, batch)
	now := c.s.now()
	var ended []*hook
	c.mu.Lock()
	for _, h := range batch {
		h.tries++
		if err == nil || now.Sub(h.At) > giveUpAfter[h.Gateway] {
			ended = append(ended, h)
			continue
		}
		h.held = false
		h.due = now.Add(c.s.o.Retry[min(h.tries, len(c.s.o.Retry))-1])
		heap.Push(&c.queue, h)
	}
	if err == nil {
		c.release(batch[0].Gateway, now)
	}
	c.mu.Unlock()
	if err != nil && ctx.Err() == nil {
		c.s.o.Logger.Warn("webhook not taken, will be repeated", slog.String("gateway", batch[0].Gateway),
			slog.String("type", batch[0].Type), slog.Int("events", len(batch)), slog.Int("tries", batch[0].tries), slog.Any("error", err))
	}
	c.s.endHooks(ended, err == nil)
	c.mu.Lock()
	c.inFlight--
	c.nudge()
	c.mu.Unlock()
}

// release lets the held events of a gateway follow a delivered one. Called with mu held.
func (c *courier) release(gateway string, now time.Time) {
	for _, h := range c.queue {
		if h.held && h.Gateway == gateway {
			h.held, h.due = false, now
		}
	}
	heap.Init(&c.queue)
}

// post sends one signed request and wants a 2xx.
func (c *courier) post(ctx context.Context, batch []*hook) error {
	var seq int64
	for _, h := range batch {
		seq = max(seq, h.seq)
	}
	if err := c.s.ledger.wait(seq); err != nil {
		return err
	}
	req, err := c.s.signedRequest(ctx, batch)
	if err != nil {
		return err
	}
	res, err := c.http.Do(req)
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, io.LimitReader(res.Body, 1<<16))
	if closeErr := res.Body.Close(); err == nil {
		err = closeErr
	}
	if res.StatusCode/100 != 2 {
		return fmt.Errorf("answered %d", res.StatusCode)
	}
	return err
}

// close waits for what is in flight; what is owed stays in the ledger.
func (c *courier) close() {
	c.stop()
	<-c.done
	c.running.Wait()
	c.http.CloseIdleConnections()
}

// signedRequest builds the webhook as its gateway would.
func (s *Server) signedRequest(ctx context.Context, batch []*hook) (*http.Request, error) {
	h := batch[0]
	var body []byte
	headers := map[string]string{"Content-Type": "application/json"}
	switch h.Gateway {
	case gatewayStripe:
		body = []byte(h.Body)
		headers["Stripe-Signature"] = signStripe(body, s.o.Webhooks.StripeSecret, s.now())
	case gatewayMail:
		parts := make([]string, len(batch))
		for i, h := range batch {
			parts[i] = h.Body
		}
		body = []byte("[" + strings.Join(parts, ",") + "]")
		signature, timestamp, err := signMail(body, s.mailKey, s.now())
		if err != nil {
			return nil, err
		}
		headers["X-Twilio-Email-Event-Webhook-Signature"] = signature
		headers["X-Twilio-Email-Event-Webhook-Timestamp"] = timestamp
	case gatewaySMS:
		body = []byte(h.Form.Encode())
		headers["Content-Type"] = "application/x-www-form-urlencoded"
		headers["X-Twilio-Signature"] = signSMS(h.URL, h.Form, s.o.Webhooks.SMSAuthToken)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, h.URL, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	for k, v := range headers {
		req.Header.Set(k, v)
	}
	req.Header.Set("User-Agent", "kept-sandbox")
	return req, nil
}

// hookQueue is a heap by due time.
type hookQueue []*hook

func (q hookQueue) Len() int           { return len(q) }
func (q hookQueue) Less(i, j int) bool { return q[i].due.Before(q[j].due) }
func (q hookQueue) Swap(i, j int)      { q[i], q[j] = q[j], q[i] }
func (q *hookQueue) Push(x any)        { *q = append(*q, x.(*hook)) }
func (q *hookQueue) Pop() any {
	old := *q
	h := old[len(old)-1]
	*q = old[:len(old)-1]
	return h
}
