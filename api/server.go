// Package api answers: the HTTP API under /v1, its documentation, and the health checks. It asks package desk for changes
// and package db for reads, and rings runs through its Waker.
package api

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/gin-gonic/gin"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/kept-practice/kept/db"
	"github.com/kept-practice/kept/internal/desk"
	"github.com/kept-practice/kept/internal/policy"
)

// Waker rings the runs of subjects. Ring returns at once and may lose rings: the outbox row stays until a plan has seen it.
type Waker interface {
	Ring(subjects ...policy.Subject)
}

// Cards makes the hosted pages on which clients pay and leave a card. back is where the gateway leads them afterwards.
type Cards interface {
	Checkout(ctx context.Context, practice, invoice policy.ID, back string) (url string, err error)
	SetupPage(ctx context.Context, by policy.Principal, client policy.ID, back string) (url string, expires time.Time, err error)
}

// Deps is what a Server needs. Zero values take the default that is named; Store, Waker and BaseURL have none.
type Deps struct {
	Store          *db.Store
	Desk           *desk.Desk // the commands; one on Store
	Waker          Waker
	Cards          Cards     // hosted pages of the card gateway; without it they answer 503
	Verifiers      Verifiers // of gateways' webhooks; a path without one does not exist
	BaseURL        string    // of everything that callers and clients follow: https://kept.example.org; never taken from a request
	TemporalUI     string    // base of deep links into the Temporal UI; none when empty
	TrustedProxies []string  // addresses or networks whose X-Forwarded-For counts; none
	Logger         *slog.Logger
	Metrics        *prometheus.Registry
	RatePerSecond  float64       // per API key; 100
	RateBurst      int           // 500
	BodyTimeout    time.Duration // until a body must be complete; 10 s
	RequestTimeout time.Duration // until the answer must be ready; 20 s
}

// Server is the API as an http.Handler. Close it after the HTTP server has stopped.
type Server struct {
	deps      Deps
	engine    *gin.Engine
	api       huma.API
	ops       *operations
	openapi   []byte
	metrics   *metrics
	keys      *limiters // by API key
	strangers *guesses  // failed authentications by block of addresses
	ids       *guesses  // ids that are not there, by practice and block of addresses
	practices *practiceCache
	uses      *keyUses
}

// New refuses impossible configuration and incomplete routes, and says everything that is wrong at once.
func New(deps Deps) (*Server, error) { return build(deps, (*Server).routes) }

// build is New with the routes as an argument, so that tests can add some of their own.
func build(deps Deps, routes func(*Server, *operations)) (*Server, error) {
	if err := deps.complete(); err != nil {
		return nil, err
	}
	configureHuma()
	quietGin()
	s := &Server{
		deps: deps, engine: gin.New(),
		keys:      newLimiters(deps.RatePerSecond, deps.RateBurst),
		practices: &practiceCache{store: deps.Store, known: map[[32]byte]policy.ID{}},
	}
	s.strangers = newGuesses(s, "key", 30, 30*time.Second)
	s.ids = newGuesses(s, "id", 100, time.Minute)
	var err error
	if s.metrics, err = newMetrics(deps.Metrics); err != nil {
		return nil, fmt.Errorf("metrics: %w", err)
	}
	s.engine.ContextWithFallback = true
	s.engine.HandleMethodNotAllowed = true
	s.engine.RedirectTrailingSlash = false
	if err := s.engine.SetTrustedProxies(deps.TrustedProxies); err != nil {
		return nil, fmt.Errorf("trusted proxies: %w", err)
	}
	s.engine.Use(s.frame)
	s.engine.NoRoute(func(c *gin.Context) {
		refuse(c, policy.NewError(policy.NotFound, "no_such_route", "There is nothing at this path. /docs lists what there is."))
	})
	s.engine.NoMethod(func(c *gin.Context) {
		refuse(c, protocolError(http.StatusMethodNotAllowed, "method_not_allowed", "This path does not take that method; Allow lists those it takes."))
	})
	s.ops = &operations{server: s}
	s.api = huma.NewAPI(openAPIConfig(), &adapter{server: s, ops: s.ops})
	routes(s, s.ops)
	if err := s.ops.err(); err != nil {
		return nil, err
	}
	if s.openapi, err = marshalSpec(s.api.OpenAPI()); err != nil {
		return nil, err
	}
	if err := s.publicRoutes(); err != nil {
		return nil, err
	}
	if err := s.hookRoutes(); err != nil {
		return nil, err
	}
	s.uses = newKeyUses(deps.Store, s.warn)
	return s, nil
}

var quietGin = sync.OnceFunc(func() { gin.SetMode(gin.ReleaseMode) })

func (d *Deps) complete() error {
	var mistakes []error
	if d.Store == nil {
		mistakes = append(mistakes, errors.New("the API needs a store"))
	}
	if d.Desk == nil {
		d.Desk = desk.New(d.Store)
	}
	if d.Waker == nil {
		mistakes = append(mistakes, errors.New("the API needs a waker"))
	}
	d.BaseURL = strings.TrimSuffix(d.BaseURL, "/")
	if u, err := url.Parse(d.BaseURL); err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" || u.RawQuery != "" {
		mistakes = append(mistakes, errors.New("the base URL must be like https://kept.example.org"))
	}
	if d.Logger == nil {
		d.Logger = slog.Default()
	}
	if d.Metrics == nil {
		d.Metrics = prometheus.NewRegistry()
	}
	if d.RatePerSecond <= 0 {
		d.RatePerSecond = 100
	}
	if d.RateBurst <= 0 {
		d.RateBurst = 500
	}
	if d.BodyTimeout <= 0 {
		d.BodyTimeout = 10 * time.Second
	}
	if d.RequestTimeout <= 0 {
		d.RequestTimeout = 20 * time.Second
	}
	return errors.Join(mistakes...)
}

// ServeHTTP answers one request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.engine.ServeHTTP(w, r) }

// HTTP is a server for the address with the limits that the API counts on.
func (s *Server) HTTP(address string) *http.Server {
	return &http.Server{
		Addr: address, Handler: s, MaxHeaderBytes: 2 * maxHeader, DisableGeneralOptionsHandler: true,
		ReadHeaderTimeout: 10 * time.Second, WriteTimeout: s.deps.BodyTimeout + s.deps.RequestTimeout + 10*time.Second, IdleTimeout: 2 * time.Minute,
		ErrorLog: slog.NewLogLogger(s.deps.Logger.Handler(), slog.LevelWarn),
	}
}

// Operations lists what is registered under /v1, with the permission each asks for.
func (s *Server) Operations() []Operation { return s.ops.listed }

// Close ends the work beside the requests.
func (s *Server) Close() { s.uses.close() }

func (s *Server) warn(err error) {
	s.deps.Logger.LogAttrs(context.Background(), slog.LevelWarn, "beside the requests", slog.String("cause", loggable(err)))
}

func (s *Server) livez(c *gin.Context) { c.String(http.StatusOK, "ok\n") }

// readyz says whether requests can be answered: PostgreSQL is all they need, Temporal is not.
func (s *Server) readyz(c *gin.Context) {
	ctx, cancel := context.WithTimeout(c.Request.Context(), 2*time.Second)
	defer cancel()
	if err := s.deps.Store.Ping(ctx); err != nil {
		refuse(c, &policy.Error{Kind: policy.Unavailable, Code: "database_unavailable", Message: "The database does not answer.", Cause: err})
		return
	}
	c.String(http.StatusOK, "ready\n")
}
