package api

import (
	"context"
	"log/slog"
	"math"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/kept-practice/kept/db"
	"github.com/kept-practice/kept/internal/policy"
)

// guesses counts failed guesses at one kind of secret by guesser. The count lies in PostgreSQL, so that all processes share it:
// one upsert per failure, none for what succeeds. A guesser over the limit is remembered in this process until the window
// ends, and costs nothing more. When the count cannot be written, nobody is refused, and the log says so.
type guesses struct {
	server *Server
	kind   string // link, key or id
	most   int
	window time.Duration

	mu      sync.Mutex
	until   map[string]time.Time // guessers over the limit
	trouble rate.Sometimes
}

func newGuesses(s *Server, kind string, most int, window time.Duration) *guesses {
	return &guesses{
		server: s, kind: kind, most: most, window: window, until: map[string]time.Time{}, trouble: rate.Sometimes{Interval: 10 * time.Second},
	}
}

// guessTimeout bounds what counting may add to a refusal.
const guessTimeout = time.Second

// miss is what counting a failed guess came to. Nth is 0 when it was not counted: over the limit already, or in vain.
type miss struct {
	Nth  int
	Over bool
	wait time.Duration
}

// RetryAfter is the header's value: whole seconds until the window ends.
func (m miss) RetryAfter() string { return strconv.Itoa(max(1, int(math.Ceil(m.wait.Seconds())))) }

// over tells what this process knows of a guesser, without asking anybody.
func (g *guesses) over(guesser string) (m miss) {
	g.mu.Lock()
	defer g.mu.Unlock()
	m.wait = time.Until(g.until[guesser])
	m.Over = m.wait > 0
	return m
}

// missed counts one failure.
func (g *guesses) missed(ctx context.Context, guesser string) miss {
	if m := g.over(guesser); m.Over {
		return m
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), guessTimeout)
	defer cancel()
	row, err := g.server.deps.Store.System().GuessMissed(ctx, db.GuessMissedParams{Kind: g.kind, Guesser: guesser, Seconds: g.window.Seconds()})
	if err != nil {
		g.trouble.Do(func() {
			g.server.deps.Logger.LogAttrs(ctx, slog.LevelWarn, "guesses are not counted, so nobody is refused for them",
				slog.String("kind", g.kind), slog.String("cause", loggable(err)))
		})
		return miss{}
	}
	m := miss{Nth: int(row.Misses), Over: int(row.Misses) > g.most, wait: time.Duration(row.SecondsLeft * float64(time.Second))}
	if m.Over {
		g.refuse(guesser, time.Now().Add(m.wait))
	}
	return m
}

func (g *guesses) refuse(guesser string, until time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.until) >= bucketsKept {
		now := time.Now()
		for name, at := range g.until {
			if at.Before(now) {
				delete(g.until, name)
			}
		}
		if len(g.until) >= bucketsKept {
			clear(g.until)
		}
	}
	g.until[guesser] = until
}

// entriesPerWindow bounds the journal's entries about single ids; past it one more says that somebody tries many.
const entriesPerWindow = 20

// unknownID is the answer to an error that says that an id is not there, foreign ones included. A write that names one leaves
// an entry in the caller's journal, and many from one block of addresses become a 429 and one entry. Row-level security makes
// a foreign id look like one that nobody has, so both are told alike.
func (s *Server) unknownID(ctx context.Context, method, path string, err error) error {
	r := requestOf(ctx)
	p := r.problem(err)
	what, ok := strings.CutSuffix(p.Code, "_not_found")
	if p.Status != http.StatusNotFound || !ok || r.caller.Practice.IsZero() {
		return p
	}
	m := s.ids.missed(ctx, r.caller.Practice.String()+" "+r.block)
	switch {
	case m.Nth == s.ids.most+1:
		s.deps.Logger.LogAttrs(ctx, slog.LevelWarn, "somebody tries ids", slog.String("practice", r.caller.Practice.String()), slog.String("block", r.block))
		s.journalUnknown(r, db.Entry{Verb: "unknown_ids_refused", By: r.caller.Principal, Object: "request", After: map[string]any{"more_than": s.ids.most}})
	case m.Nth > 0 && m.Nth <= entriesPerWindow && method != http.MethodGet:
		s.journalUnknown(r, db.Entry{Verb: "unknown_id_refused", By: r.caller.Principal, Object: what, After: map[string]any{"operation": method + " " + path}})
	}
	if !m.Over {
		return p
	}
	return r.problem(&Problem{
		Status: http.StatusTooManyRequests, Code: "too_many_unknown_ids", header: http.Header{"Retry-After": {m.RetryAfter()}},
		Detail: "Too many requests from this network named ids that this practice does not have. Wait as long as Retry-After says.",
	})
}

// journalUnknown writes outside of the request's own transaction, which has failed.
func (s *Server) journalUnknown(r *request, e db.Entry) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	if err := s.deps.Store.InPractice(ctx, r.caller.Practice, func(tx *db.Tx) error { return tx.Record(ctx, e) }); err != nil {
		s.deps.Logger.LogAttrs(ctx, slog.LevelWarn, "a refused id is not in the journal", slog.String("request_id", r.id), slog.String("cause", loggable(err)))
	}
}

// tooManyFailures is the answer to whoever keeps failing to show a valid key.
func tooManyFailures(m miss) error {
	return &Problem{
		Status: http.StatusTooManyRequests, Code: "too_many_failures", header: http.Header{"Retry-After": {m.RetryAfter()}},
		Detail: "Too many requests from this address came without a valid API key. Wait as long as Retry-After says.",
	}
}

// unauthenticated counts a failed authentication, and tells its guesser to wait after too many.
func (s *Server) unauthenticated(ctx context.Context, address string, err error) error {
	if policy.KindOf(err) != policy.Unauthenticated {
		return err
	}
	if m := s.strangers.missed(ctx, blockOf(address)); m.Over {
		return tooManyFailures(m)
	}
	return err
}
