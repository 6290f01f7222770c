package api

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/kept-practice/kept/db"
	"github.com/kept-practice/kept/internal/desk"
	"github.com/kept-practice/kept/internal/policy"
)

// authenticate finds out who asks, from Authorization: Bearer alone.
func (s *Server) authenticate(c *gin.Context) {
	principal, err := s.principalOf(c.Request)
	if err != nil {
		refuse(c, s.unauthenticated(c.Request.Context(), c.ClientIP(), err))
		return
	}
	r := requestOf(c.Request.Context())
	principal.RequestID = r.id
	r.caller, r.block = Caller{Principal: principal}, blockOf(c.ClientIP())
	if wait, ok := s.keys.take(principal.Key.String(), c.Writer.Header()); !ok {
		refuse(c, &Problem{
			Status: http.StatusTooManyRequests, Code: "rate_limited", header: http.Header{"Retry-After": {wait}},
			Detail: "This API key has sent too many requests. Wait as long as Retry-After says.",
		})
		return
	}
	s.uses.note(principal)
	c.Next()
}

func (s *Server) principalOf(r *http.Request) (policy.Principal, error) {
	given := r.Header.Values("Authorization")
	if len(given) == 0 {
		return policy.Principal{}, policy.NewError(policy.Unauthenticated, "missing_key", "Send an API key as Authorization: Bearer kept_….")
	}
	scheme, text, _ := strings.Cut(given[0], " ")
	hash, ok := desk.ParseKey(strings.TrimSpace(text))
	if len(given) > 1 || !strings.EqualFold(scheme, "Bearer") || !ok {
		return policy.Principal{}, errInvalidKey()
	}
	ctx := r.Context()
	practice, err := s.practices.of(ctx, hash)
	if err != nil {
		return policy.Principal{}, err
	}
	key, err := s.deps.Store.In(practice).APIKeyByHash(ctx, practice, hash)
	switch {
	case db.NoRows(err):
		return policy.Principal{}, errInvalidKey()
	case err != nil:
		return policy.Principal{}, err
	case key.Revoked:
		return policy.Principal{}, policy.NewError(policy.Unauthenticated, "key_revoked", "This API key was revoked. Ask the practice's owner for another.")
	case key.Expired:
		return policy.Principal{}, policy.NewError(policy.Unauthenticated, "key_expired", "This API key has expired. Ask the practice's owner for another.")
	}
	return policy.Principal{Kind: policy.ByKey, Practice: practice, Key: &key.ID, Staff: key.StaffID, Role: policy.Role(key.Role)}, nil
}

func errInvalidKey() error {
	return policy.NewError(policy.Unauthenticated, "invalid_key", "This is not an API key of ours. Check that it was copied whole.")
}

// authorise lets the caller's role through, or not, and tells the handler how far it reaches.
func authorise(permission policy.Permission) gin.HandlerFunc {
	return func(c *gin.Context) {
		r := requestOf(c.Request.Context())
		scope, ok := policy.Allowed(r.caller.Role, permission)
		if !ok {
			refuse(c, policy.NewError(policy.Forbidden, "not_permitted", "The role of this API key does not include "+string(permission)+"."))
			return
		}
		r.caller.Scope = scope
		c.Next()
	}
}

// practiceCache remembers which practice a key belongs to. That never changes, so it may be kept; whether the key is still
// valid is asked every time. Only keys that exist get in.
type practiceCache struct {
	store *db.Store
	mu    sync.Mutex
	known map[[32]byte]policy.ID
}

const practiceCacheSize = 10_000

func (p *practiceCache) of(ctx context.Context, hash []byte) (policy.ID, error) {
	p.mu.Lock()
	practice, ok := p.known[[32]byte(hash)]
	p.mu.Unlock()
	if ok {
		return practice, nil
	}
	practice, err := p.store.Anyone().PracticeOfAPIKey(ctx, hash)
	if db.NoRows(err) {
		return policy.ID{}, errInvalidKey()
	}
	if err != nil {
		return policy.ID{}, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.known) >= practiceCacheSize {
		clear(p.known)
	}
	p.known[[32]byte(hash)] = practice
	return practice, nil
}

// keyUses writes down when a key was last used: at most once a minute and key, beside the requests. A full queue drops a
// note; the next use writes it.
type keyUses struct {
	store *db.Store
	queue chan policy.Principal
	done  chan struct{}
	fail  func(error)
	mu    sync.Mutex
	noted map[policy.ID]time.Time
}

func newKeyUses(store *db.Store, fail func(error)) *keyUses {
	u := &keyUses{
		store: store, queue: make(chan policy.Principal, 256), done: make(chan struct{}), fail: fail, noted: map[policy.ID]time.Time{},
	}
	go u.run(u.queue)
	return u
}

func (u *keyUses) note(p policy.Principal) {
	now := time.Now()
	u.mu.Lock()
	defer u.mu.Unlock()
	if now.Sub(u.noted[*p.Key]) < time.Minute {
		return
	}
	select {
	case u.queue <- p:
		if len(u.noted) >= practiceCacheSize {
			clear(u.noted)
		}
		u.noted[*p.Key] = now
	default:
	}
}

func (u *keyUses) run(queue <-chan policy.Principal) {
	defer close(u.done)
	for p := range queue {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		if err := u.store.In(p.Practice).APIKeyUsed(ctx, p.Practice, *p.Key); err != nil {
			u.fail(errors.Join(errors.New("note the use of an API key"), err))
		}
		cancel()
	}
}

// close writes what is queued; uses after it are not noted.
func (u *keyUses) close() {
	u.mu.Lock()
	if u.queue != nil {
		close(u.queue)
		u.queue = nil
	}
	u.mu.Unlock()
	<-u.done
}
