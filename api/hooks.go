package api

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/gin-gonic/gin"
	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/time/rate"

	"github.com/kept-practice/kept/db"
	"github.com/kept-practice/kept/internal/policy"
)

// HookEvent is one event of a webhook. Odd says why a proven element cannot be read; it is kept for a person and not applied.
type HookEvent struct {
	ID   string // the gateway's; the same event always has the same
	Type string
	Body []byte // as the inbox's applier reads it
	Odd  string
}

// Verifier proves a webhook by its raw bytes and reads its events. Errors: policy.Unauthenticated for whatever is unproven,
// policy.Unreadable for a proven body that cannot be read.
type Verifier interface {
	Verify(header http.Header, rawQuery string, body []byte) ([]HookEvent, error)
}

// Verifiers are those of each webhook; without one its path does not exist.
type Verifiers struct {
	Stripe     Verifier
	SendGrid   Verifier
	SMSStatus  Verifier
	SMSInbound Verifier
}

// hook takes in one gateway's webhooks: prove, write into the inbox, answer. Nothing is applied here.
type hook struct {
	server   *Server
	gateway  string
	verifier Verifier
	limit    int64
	counted  *prometheus.CounterVec
	alarm    *rate.Sometimes
}

func (s *Server) hookRoutes() error {
	counted := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "kept_hook_events_total",
		Help: "Webhook events by what became of them: new, known, differs (other content under a known id), odd, unreadable, forged.",
	}, []string{"gateway", "outcome"})
	if err := s.metrics.registry.Register(counted); err != nil {
		return fmt.Errorf("metrics: %w", err)
	}
	for _, h := range []struct {
		path, gateway string
		verifier      Verifier
		limit         int64
	}{
		{"/hooks/stripe", "stripe", s.deps.Verifiers.Stripe, 1 << 20},
		{"/hooks/sendgrid", "mail", s.deps.Verifiers.SendGrid, 4 << 20},
		{"/hooks/sms/status", "sms", s.deps.Verifiers.SMSStatus, 64 << 10},
		{"/hooks/sms/inbound", "sms", s.deps.Verifiers.SMSInbound, 64 << 10},
	} {
		if h.verifier != nil {
			taker := &hook{server: s, gateway: h.gateway, verifier: h.verifier, limit: h.limit, counted: counted, alarm: &rate.Sometimes{First: 3, Interval: time.Minute}}
			s.engine.POST(h.path, taker.take)
		}
	}
	return nil
}

func (h *hook) take(c *gin.Context) {
	body, err := h.read(c)
	if err != nil {
		refuse(c, err)
		return
	}
	ctx := c.Request.Context()
	events, err := h.verifier.Verify(c.Request.Header, c.Request.URL.RawQuery, body)
	switch policy.KindOf(err) {
	case policy.Unauthenticated:
		h.count("forged", 1)
		h.warn(ctx, "a webhook without proof of its origin", slog.String("cause", loggable(err)))
	case policy.Unreadable:
		h.count("unreadable", 1)
		h.warn(ctx, "a proven webhook cannot be read; it is in quarantine", slog.String("cause", loggable(err)))
		err = errors.Join(err, h.quarantine(ctx, body, policy.CodeOf(err)))
	}
	if err == nil {
		err = h.keep(ctx, events)
	}
	if err != nil {
		refuse(c, err)
		return
	}
	c.Status(http.StatusOK)
}

func (h *hook) read(c *gin.Context) ([]byte, error) {
	tooLarge := protocolError(http.StatusRequestEntityTooLarge, "body_too_large", "The body is larger than "+strconv.FormatInt(h.limit>>10, 10)+" KiB.")
	if c.Request.ContentLength > h.limit {
		c.Header("Connection", "close")
		return nil, tooLarge
	}
	body, err := io.ReadAll(io.LimitReader(c.Request.Body, h.limit+1))
	var slow net.Error
	switch {
	case errors.As(err, &slow) && slow.Timeout():
		c.Header("Connection", "close")
		return nil, protocolError(http.StatusRequestTimeout, "body_too_slow", "The body was not complete in time.")
	case err != nil:
		c.Header("Connection", "close")
		return nil, policy.NewError(policy.Unreadable, "body_cut_off", "The body ended before it was complete.")
	case int64(len(body)) > h.limit:
		c.Header("Connection", "close")
		return nil, tooLarge
	}
	if c.Request.ContentLength != 0 { // the deadline was for the body alone; recorders in tests have none
		_ = http.NewResponseController(c.Writer).SetReadDeadline(time.Time{})
	}
	return body, nil
}

// keep writes all events of one webhook in one transaction. One that is known already changes nothing; with another content
// than the first time it is an alarm, and the first content stays.
func (h *hook) keep(ctx context.Context, events []HookEvent) error {
	insert := db.InboxInsertParams{Gateway: h.gateway}
	var odd [][]byte
	var why string
	first := map[string][]byte{}
	differs := 0
	for _, e := range events {
		if e.Odd == "" && (!plainText(e.ID) || !plainText(e.Type)) {
			e.Odd = "its id or type is not a plain text"
		}
		if e.Odd != "" {
			odd, why = append(odd, e.Body), e.Odd
			continue
		}
		if body, twice := first[e.ID]; twice {
			if !bytes.Equal(body, e.Body) {
				differs++
			}
			continue
		}
		first[e.ID] = e.Body
		insert.Ids = append(insert.Ids, db.NewID())
		insert.EventIds, insert.Types, insert.Bodies = append(insert.EventIds, e.ID), append(insert.Types, e.Type), append(insert.Bodies, e.Body)
	}
	fresh, changed := 0, []string(nil)
	err := h.server.deps.Store.InSystem(ctx, func(q *db.Queries) error {
		written, err := q.InboxInsert(ctx, insert)
		if err != nil {
			return fmt.Errorf("write into the inbox: %w", err)
		}
		fresh = len(written)
		if fresh == len(insert.Ids) {
			return nil
		}
		changed, err = q.InboxDiffering(ctx, db.InboxDifferingParams{Gateway: h.gateway, EventIds: insert.EventIds, Bodies: insert.Bodies})
		return err
	})
	if err != nil {
		return err
	}
	differs += len(changed)
	h.count("new", fresh)
	h.count("known", len(insert.Ids)-fresh-len(changed))
	h.count("differs", differs)
	if differs > 0 {
		h.warn(ctx, "another content came under the id of a known event; the first one stays", slog.Int("events", differs))
	}
	if len(odd) == 0 {
		return nil
	}
	h.count("odd", len(odd))
	h.warn(ctx, "some events of a proven webhook cannot be read; they are in quarantine", slog.Int("events", len(odd)), slog.String("reason", why))
	return h.quarantine(ctx, bytes.Join(odd, []byte("\n")), why)
}

func (h *hook) quarantine(ctx context.Context, body []byte, reason string) error {
	return db.Classify(h.server.deps.Store.System().QuarantineInsert(ctx, db.QuarantineInsertParams{ID: db.NewID(), Gateway: h.gateway, Body: body, Reason: reason}))
}

func (h *hook) count(outcome string, n int) {
	h.counted.WithLabelValues(h.gateway, outcome).Add(float64(n))
}

// warn is capped: whoever forges webhooks does not get to fill the log.
func (h *hook) warn(ctx context.Context, message string, attrs ...slog.Attr) {
	h.alarm.Do(func() {
		attrs = append(attrs, slog.String("gateway", h.gateway), slog.String("request_id", requestOf(ctx).id))
		h.server.deps.Logger.LogAttrs(ctx, slog.LevelWarn, message, attrs...)
	})
}

// plainText is what the database can hold as a text and an index as a key.
func plainText(s string) bool {
	return s != "" && len(s) <= 255 && utf8.ValidString(s) && !strings.ContainsRune(s, 0)
}
