package api

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"runtime/debug"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/gin-gonic/gin"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/kept-practice/kept/internal/policy"
)

// request is what the frame knows about one request; handlers reach it through the context.
type request struct {
	id      string
	server  *Server
	started time.Time
	caller  Caller
	block   string // of addresses that the caller asks from
	body    []byte // once read and checked
	code    string // of the problem that was answered
	cause   error  // for the log alone
	rings   []policy.Subject
}

type requestKey struct{}

func requestOf(ctx context.Context) *request { return ctx.Value(requestKey{}).(*request) }

// Caller is who asks and how far their permission for this operation reaches.
type Caller struct {
	policy.Principal
	Scope policy.Scope
}

// callerOf is the caller of an operation; every operation has one, since none is registered without a permission.
func callerOf(ctx context.Context) Caller { return requestOf(ctx).caller }

// ring asks for these subjects' runs to look again, once the answer is written.
func ring(ctx context.Context, subjects ...policy.Subject) {
	r := requestOf(ctx)
	r.rings = append(r.rings, subjects...)
}

// frame stands around every request: id, deadline, panics, one log line, metrics, rings after the answer.
func (s *Server) frame(c *gin.Context) {
	r := &request{id: "req_" + rand.Text(), server: s, started: time.Now()}
	ctx, cancel := context.WithTimeout(context.WithValue(c.Request.Context(), requestKey{}, r), s.deps.RequestTimeout)
	defer cancel()
	c.Request = c.Request.WithContext(ctx)
	header := c.Writer.Header()
	header.Set("Request-Id", r.id)
	header.Set("Cache-Control", "no-store")
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Referrer-Policy", "no-referrer")
	defer s.account(c, r)
	defer recoverPanic(c)
	if c.Request.ContentLength != 0 {
		// Also for requests refused unread: the server reads on for a while before it answers. Recorders in tests have no deadline.
		_ = http.NewResponseController(c.Writer).SetReadDeadline(time.Now().Add(s.deps.BodyTimeout))
	}
	if err := checkEnvelope(c.Request); err != nil {
		refuse(c, err)
		return
	}
	c.Next()
	if len(r.rings) > 0 && c.Writer.Status() < http.StatusBadRequest {
		s.deps.Waker.Ring(r.rings...)
	}
}

func recoverPanic(c *gin.Context) {
	v := recover()
	if v == nil {
		return
	}
	if err, ok := v.(error); ok && errors.Is(err, http.ErrAbortHandler) {
		panic(v)
	}
	// The value of a panic may hold anything; its type and the stack are enough to find it.
	refuse(c, fmt.Errorf("panic with a %T\n%s", v, debug.Stack()))
}

// account writes the one line of this request: ids and the route's pattern, never the URL, which may hold a token.
func (s *Server) account(c *gin.Context, r *request) {
	route, took := c.FullPath(), time.Since(r.started)
	if route == "" {
		route = "none"
	}
	status := c.Writer.Status()
	s.metrics.observe(c.Request.Method, route, status, took)
	level := slog.LevelInfo
	attrs := []slog.Attr{
		slog.String("request_id", r.id), slog.String("method", knownMethod(c.Request.Method)), slog.String("route", route),
		slog.Int("status", status), slog.Float64("ms", float64(took.Microseconds())/1000), slog.Int("bytes", max(c.Writer.Size(), 0)),
	}
	if r.caller.Key != nil {
		attrs = append(attrs, slog.String("practice", r.caller.Practice.String()), slog.String("key", r.caller.Key.String()))
	}
	if r.code != "" {
		attrs = append(attrs, slog.String("code", r.code))
	}
	if r.cause != nil {
		attrs = append(attrs, slog.String("cause", loggable(r.cause)))
	}
	if status >= http.StatusInternalServerError {
		level = slog.LevelError
	}
	s.deps.Logger.LogAttrs(context.WithoutCancel(c.Request.Context()), level, "request", attrs...)
}

// loggable is an error's text, except PostgreSQL's, whose messages and details quote values.
func loggable(err error) string {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		return fmt.Sprintf("SQLSTATE %s table=%q constraint=%q", pg.Code, pg.TableName, pg.ConstraintName)
	}
	return err.Error()
}

func knownMethod(method string) string {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions:
		return method
	default:
		return "other"
	}
}

// maxHeader bounds the request line and header together; the HTTP server itself gives up at twice that.
const maxHeader = 16 << 10

// checkEnvelope refuses what no route should have to think about.
func checkEnvelope(r *http.Request) error {
	size := len(r.Method) + len(r.RequestURI) + len("  HTTP/1.1\r\n") + len("Host: \r\n") + len(r.Host)
	for name, values := range r.Header {
		for _, value := range values {
			size += len(name) + len(": \r\n") + len(value)
			if hasControl(strings.ReplaceAll(value, "\t", "")) {
				return policy.NewError(policy.Unreadable, "control_character", "A header holds a control character.")
			}
		}
	}
	switch {
	case size > maxHeader:
		return protocolError(http.StatusRequestHeaderFieldsTooLarge, "header_too_large", "The header is larger than 16 KiB.")
	case hasControl(r.URL.Path) || !utf8.ValidString(r.URL.Path):
		return policy.NewError(policy.Unreadable, "control_character", "The path holds a control character or is not UTF-8.")
	case looksLikeKey(r.URL.Path) || looksLikeKey(r.URL.RawQuery):
		return policy.NewError(policy.Unauthenticated, "key_in_url",
			"An API key stood in the URL, where logs keep it. Revoke it, and send keys as Authorization: Bearer only.")
	}
	for _, encoding := range r.Header.Values("Content-Encoding") {
		if !strings.EqualFold(strings.TrimSpace(encoding), "identity") {
			return protocolError(http.StatusUnsupportedMediaType, "compressed_body", "Send the body uncompressed.")
		}
	}
	return nil
}

func hasControl(s string) bool { return strings.ContainsFunc(s, unicode.IsControl) }

// parseQuery is strict where net/url forgives: a broken escape or a semicolon is an error, and so is what is not UTF-8.
func parseQuery(raw string) (url.Values, error) {
	values, err := url.ParseQuery(raw)
	if err == nil {
		for name, given := range values {
			if !utf8.ValidString(name) || slices.ContainsFunc(given, func(s string) bool { return !utf8.ValidString(s) }) {
				err = errors.New("not UTF-8")
			}
		}
	}
	if err != nil {
		return nil, policy.NewError(policy.Unreadable, "malformed_query", "The query cannot be read: check its escapes.")
	}
	return values, nil
}
