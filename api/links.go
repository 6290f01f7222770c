package api

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/a-h/templ"
	"github.com/gin-gonic/gin"
	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/time/rate"

	"github.com/kept-practice/kept/api/web"
	"github.com/kept-practice/kept/internal/desk"
	"github.com/kept-practice/kept/internal/policy"
)

// Checkout makes the hosted page on which a client pays what is owed on an invoice now, or gives the one that is open already.
// The gateway leads the client back to BaseURL + PaidPath or UnpaidPath.
type Checkout interface {
	Checkout(ctx context.Context, practice, invoice policy.ID) (url string, err error)
}

// Where a hosted checkout leads back to. These pages know nobody.
const (
	PaidPath   = "/l/paid"
	UnpaidPath = "/l/unpaid"
)

// LinkDeps is what the pages behind client links need besides the server itself.
type LinkDeps struct {
	Desk     *desk.Desk
	Checkout Checkout
	NonceKey []byte // at least 32 bytes, the same in every process of an installation; signs the nonces of forms
}

// links serves everything under /l/: pages that work without scripts, whose GET changes nothing and whose POST acts once.
type links struct {
	server *Server
	deps   LinkDeps
	origin string
	style  []byte
	css    string // path with the content's hash

	byToken *limiters // requests for one link
	byBlock *limiters // requests from one block of addresses
	guesses *guesses  // tokens that do not exist, by block
	misses  prometheus.Counter
	refused prometheus.Counter
	alarm   rate.Sometimes
}

// MountLinks adds the routes under /l/. Call it once, before the server answers.
func (s *Server) MountLinks(deps LinkDeps) error {
	if deps.Desk == nil || deps.Checkout == nil || len(deps.NonceKey) < sha256.Size {
		return errors.New("links need a desk, a checkout and a nonce key of at least 32 bytes")
	}
	base, err := url.Parse(s.deps.BaseURL)
	if err != nil {
		return fmt.Errorf("base URL: %w", err)
	}
	l := &links{
		server: s, deps: deps, origin: base.Scheme + "://" + base.Host,
		byToken: newLimiters(0.5, 60), byBlock: newLimiters(10, 300), guesses: newGuesses(s, "link", 30, time.Minute),
		misses: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "kept_link_misses_total", Help: "Requests for links that do not exist. A steep rise means that somebody guesses.",
		}),
		refused: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "kept_link_guessers_refused_total", Help: "Requests refused since too many links from their block of addresses did not exist.",
		}),
		alarm: rate.Sometimes{Interval: time.Minute},
	}
	if l.style, err = web.Style(); err != nil {
		return fmt.Errorf("style sheet: %w", err)
	}
	sum := sha256.Sum256(l.style)
	l.css = "/l/links.css?v=" + hex.EncodeToString(sum[:6])
	for _, c := range []prometheus.Collector{l.misses, l.refused} {
		if err := s.metrics.registry.Register(c); err != nil {
			return err
		}
	}
	group := s.engine.Group("/l", l.around)
	for _, method := range []string{http.MethodGet, http.MethodHead} {
		group.Handle(method, "/links.css", l.sheet)
		group.Handle(method, strings.TrimPrefix(PaidPath, "/l"), l.paid)
		group.Handle(method, strings.TrimPrefix(UnpaidPath, "/l"), l.unpaid)
		group.Handle(method, "/:token", l.show)
		group.Handle(method, "/:token/:n", l.show)
	}
	for _, path := range []string{"/:token", "/:token/:n"} {
		group.POST(path, l.act)
		group.OPTIONS(path, func(c *gin.Context) {
			c.Header("Allow", "GET, HEAD, OPTIONS, POST")
			c.Status(http.StatusNoContent)
		})
	}
	return nil
}

// around sets what every answer under /l/ carries, and refuses whoever asks too often.
func (l *links) around(c *gin.Context) {
	h := c.Writer.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Robots-Tag", "noindex, nofollow")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Content-Security-Policy", policyOf("'self'"))
	block := blockOf(c.ClientIP())
	switch {
	case l.guesses.over(block).Over:
		l.refused.Inc()
		l.alarm.Do(func() {
			l.server.deps.Logger.LogAttrs(c.Request.Context(), slog.LevelWarn, "somebody guesses links", slog.String("block", block))
		})
		l.tooMany(c)
	case !l.byBlock.allow(block), c.Param("token") != "" && !l.byToken.allow(c.Param("token")):
		l.tooMany(c)
	}
}

// policyOf is the content security policy of a page: no script, no frame, one style sheet of our own.
func policyOf(formTargets string) string {
	return "default-src 'none'; style-src 'self'; base-uri 'none'; frame-ancestors 'none'; form-action " + formTargets
}

// blockOf is the network that an address is counted with: one household or office, not one device.
func blockOf(address string) string {
	ip, err := netip.ParseAddr(address)
	if err != nil {
		return address
	}
	bits := 24
	if ip = ip.Unmap(); ip.Is6() {
		bits = 56
	}
	prefix, err := ip.Prefix(bits)
	if err != nil {
		return address
	}
	return prefix.String()
}

func (l *links) tooMany(c *gin.Context) {
	c.Header("Retry-After", "60")
	requestOf(c.Request.Context()).code = "too_many_requests"
	l.note(c, http.StatusTooManyRequests, web.Note{Tone: "bad", Head: "Please wait a minute", Text: []string{
		"Too many requests came from your network. Nothing was changed. Wait a minute and open the link again.",
	}})
	c.Abort()
}

func (l *links) sheet(c *gin.Context) {
	c.Header("Cache-Control", "public, max-age=31536000, immutable")
	c.Data(http.StatusOK, "text/css; charset=utf-8", l.style)
}

func (l *links) paid(c *gin.Context) {
	l.note(c, http.StatusOK, web.Note{Tone: "good", Head: "Thank you", Text: []string{
		"The payment page has finished. As soon as the payment is confirmed, your invoice shows as paid.", "You can close this page.",
	}})
}

func (l *links) unpaid(c *gin.Context) {
	l.note(c, http.StatusOK, web.Note{Tone: "plain", Head: "Nothing was charged", Text: []string{
		"You left the payment page. To pay, open the link in our message again.",
	}})
}

// visitor is one request for a link.
type visitor struct {
	*gin.Context
	token string
	n     int // of the form, from 1; 0 for the link itself
	link  desk.Link
}

// open finds the link; when it cannot, the answer is written and ok is false.
func (l *links) open(c *gin.Context) (v visitor, ok bool) {
	v = visitor{Context: c, token: c.Param("token")}
	if n := c.Param("n"); n != "" {
		var err error
		if v.n, err = strconv.Atoi(n); err != nil || v.n < 1 || strconv.Itoa(v.n) != n {
			v.n = -1
		}
	}
	var err error
	v.link, err = l.deps.Desk.OpenLink(c.Request.Context(), v.token)
	if err == nil && v.n != 0 && (v.link.Purpose != desk.LinkIntake || v.n < 0 || v.n > len(v.link.Packet.Forms)) {
		err = policy.NewError(policy.NotFound, "link_not_found", "This link does not work. It may be incomplete, or too old.")
	}
	if err != nil {
		l.fail(v, err)
		return v, false
	}
	return v, true
}

func (l *links) show(c *gin.Context) {
	if v, ok := l.open(c); ok {
		l.page(v, http.StatusOK, draft{})
	}
}

// note writes a page that only says something.
func (l *links) note(c *gin.Context, status int, n web.Note) {
	if n.Title == "" {
		n.Title = n.Head
	}
	n.Style = l.css
	l.write(c, status, web.NotePage(n))
}

func (l *links) write(c *gin.Context, status int, page templ.Component) {
	var b bytes.Buffer
	if err := page.Render(c.Request.Context(), &b); err != nil {
		refuse(c, fmt.Errorf("draw the page: %w", err))
		return
	}
	c.Data(status, web.ContentType, b.Bytes())
}

// fail writes the page for an error. A token that is not ours gives one page, always the same.
func (l *links) fail(v visitor, err error) {
	if policy.KindOf(err) == policy.NotFound {
		l.misses.Inc()
		l.guesses.missed(v.Request.Context(), blockOf(v.ClientIP()))
		requestOf(v.Request.Context()).code = "link_not_found"
		l.note(v.Context, http.StatusNotFound, web.Note{Tone: "plain", Head: "This link does not work", Fresh: true, Text: []string{
			"It may be incomplete, or too old. Open it again from our message, or ask for a fresh one.",
		}})
		return
	}
	p := requestOf(v.Request.Context()).problem(err)
	for name, values := range p.header {
		v.Writer.Header()[name] = slices.Clone(values)
	}
	n := web.Note{Shell: l.shell(v.link, ""), Tone: "bad", Head: "That did not work", Text: []string{p.Detail}}
	switch {
	case p.Status == http.StatusGone && p.Code == "visit_cancelled":
		n.Head = "This visit was cancelled"
		n.Text = []string{"To book another one, please call the practice."}
	case p.Status == http.StatusGone && p.Code == "visit_moved":
		n.Head = "This visit was moved"
		n.Text = []string{"Please use the link in our newest message, or call the practice."}
	case p.Status == http.StatusGone:
		n.Head = "Nothing to do here"
	case p.Status == http.StatusForbidden, p.Status == http.StatusConflict:
		n.Head, n.Retry = "Please try again", v.Request.URL.Path
	}
	if p.Status == http.StatusGone {
		n.Tone = "plain"
	}
	l.note(v.Context, p.Status, n)
}
