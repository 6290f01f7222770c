package api

import (
	"fmt"
	"math"
	"net/http"
	"strconv"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// limiters holds one token bucket per name, in this process: n processes allow n times as much. Buckets that have been full
// for a while are forgotten, so guessing names does not fill the memory.
type limiters struct {
	perSecond rate.Limit
	burst     int
	mu        sync.Mutex
	buckets   map[string]*bucket
}

type bucket struct {
	*rate.Limiter
	used time.Time
}

const bucketsKept = 10_000

func newLimiters(perSecond float64, burst int) *limiters {
	return &limiters{perSecond: rate.Limit(perSecond), burst: burst, buckets: map[string]*bucket{}}
}

func (l *limiters) of(name string, now time.Time) *rate.Limiter {
	l.mu.Lock()
	defer l.mu.Unlock()
	b := l.buckets[name]
	if b == nil {
		if len(l.buckets) >= bucketsKept {
			l.forget(now)
		}
		b = &bucket{Limiter: rate.NewLimiter(l.perSecond, l.burst)}
		l.buckets[name] = b
	}
	b.used = now
	return b.Limiter
}

// forget drops the buckets that are full again; when none is, all.
func (l *limiters) forget(now time.Time) {
	refill := time.Duration(float64(l.burst) / float64(l.perSecond) * float64(time.Second))
	for name, b := range l.buckets {
		if now.Sub(b.used) > refill {
			delete(l.buckets, name)
		}
	}
	if len(l.buckets) >= bucketsKept {
		clear(l.buckets)
	}
}

// allow takes one token.
func (l *limiters) allow(name string) bool {
	now := time.Now()
	return l.of(name, now).AllowN(now, 1)
}

// take takes one token and says in the header how many are left (draft-ietf-httpapi-ratelimit-headers). Without one it
// gives the whole seconds to wait.
func (l *limiters) take(name string, header http.Header) (wait string, ok bool) {
	now := time.Now()
	limiter := l.of(name, now)
	ok = limiter.AllowN(now, 1)
	left := max(limiter.TokensAt(now), 0)
	seconds := func(tokens float64) int { return int(math.Ceil(tokens / float64(l.perSecond))) }
	header.Set("RateLimit-Policy", fmt.Sprintf(`"key";q=%d;w=%d`, l.burst, seconds(float64(l.burst))))
	header.Set("RateLimit", fmt.Sprintf(`"key";r=%d;t=%d`, int(left), seconds(float64(l.burst)-left)))
	return strconv.Itoa(max(seconds(1-left), 1)), ok
}
