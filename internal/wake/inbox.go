package wake

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/kept-practice/kept/db"
	"github.com/kept-practice/kept/internal/policy"
)

const (
	inboxPerTurn = 16
	inboxAtOnce  = 4
	inboxLease   = 30.0 // seconds: applying takes a gateway call of at most 10
)

// Event is a verified gateway event as it stands in the inbox.
type Event struct {
	ID         policy.ID
	Practice   *policy.ID // nil when the hook could not tell
	Gateway    string     // stripe, mail or sms
	EventID    string
	Type       string
	Body       []byte
	Attempts   int // this one included
	ReceivedAt time.Time
}

// Applied is what an event came to.
type Applied struct {
	State    string // applied, ignored, refused, or parked: to be tried again
	Note     string // for people: why ignored, parked or refused; no personal data
	Practice *policy.ID
	Rings    []policy.Subject
}

// Apply goes and looks at what an event is about and commits the facts. It may be called twice for one event, also at
// the same time, and is monotone. An error means that it could not be tried.
type Apply func(context.Context, Event) (Applied, error)

// Inbox applies gateway events. Any number of workers may run it.
type Inbox struct {
	store  *db.Store
	ringer *Ringer
	apply  Apply
	log    *slog.Logger
}

// NewInbox makes an applier; Turn is called several times a second.
func NewInbox(store *db.Store, r *Ringer, apply Apply, log *slog.Logger) *Inbox {
	return &Inbox{store: store, ringer: r, apply: apply, log: log}
}

// Turn takes what is due and applies it, side by side, until nothing is due. An event that fails waits longer each time,
// 2 s to 5 min, and holds up no other.
func (i *Inbox) Turn(ctx context.Context) error {
	for ctx.Err() == nil {
		events, err := i.store.System().InboxTake(ctx, inboxLease, inboxPerTurn)
		if err != nil {
			return db.Classify(err)
		}
		var g errgroup.Group
		g.SetLimit(inboxAtOnce)
		for _, row := range events {
			g.Go(func() error { return i.one(ctx, eventOf(row)) })
		}
		if err := g.Wait(); err != nil {
			return err
		}
		if len(events) < inboxPerTurn {
			return nil
		}
	}
	return nil
}

func (i *Inbox) one(ctx context.Context, e Event) error {
	wait := inboxWait(e.Attempts)
	done, err := i.applySafely(ctx, e)
	if err != nil {
		i.ringer.metrics.inbox.WithLabelValues("error").Inc()
		i.log.Warn("event not applied; tried again later", "event", e.ID, "gateway", e.Gateway, "attempt", e.Attempts, "error", err)
		// Also when the worker is stopping: the event should not wait for its lease to run out.
		return db.Classify(i.store.System().InboxPostpone(context.WithoutCancel(ctx), db.InboxPostponeParams{
			ID: e.ID, Seconds: wait, Note: string(policy.KindOf(err)) + " " + policy.CodeOf(err),
		}))
	}
	err = i.store.System().InboxSettle(context.WithoutCancel(ctx), db.InboxSettleParams{
		ID: e.ID, State: done.State, Note: done.Note, PracticeID: done.Practice, Seconds: wait,
	})
	if err != nil {
		return fmt.Errorf("settle event %s: %w", e.ID, db.Classify(err))
	}
	i.ringer.metrics.inbox.WithLabelValues(done.State).Inc()
	for _, s := range done.Rings {
		if err := i.ringer.Ring(ctx, s, e.Gateway+" event "+e.ID.String()); err != nil {
			i.log.Debug("ring left to the relay", "subject", s.WorkflowID(), "error", err)
		}
	}
	return nil
}

// applySafely keeps an event that makes its applier panic from taking the worker down again and again.
func (i *Inbox) applySafely(ctx context.Context, e Event) (done Applied, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("applying panicked: %v", p)
		}
	}()
	done, err = i.apply(ctx, e)
	if err != nil {
		return Applied{}, err
	}
	switch done.State {
	case "applied", "ignored", "parked", "refused":
		return done, nil
	default:
		return Applied{}, errors.New("applier answered an unknown state: " + done.State)
	}
}

// inboxWait is how many seconds an event waits after its n-th attempt.
func inboxWait(n int) float64 { return math.Min(300, math.Pow(2, float64(min(n, 9)))) }

func eventOf(row db.InboxTakeRow) Event {
	return Event{
		ID: row.ID, Practice: row.PracticeID, Gateway: row.Gateway, EventID: row.EventID, Type: row.Type, Body: row.Body,
		Attempts: int(row.Attempts), ReceivedAt: row.ReceivedAt,
	}
}
