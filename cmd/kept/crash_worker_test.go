package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"time"

	"github.com/jackc/pgx/v5"
	"go.temporal.io/sdk/client"

	"github.com/kept-practice/kept/activities"
	"github.com/kept-practice/kept/db"
	"github.com/kept-practice/kept/internal/desk"
	"github.com/kept-practice/kept/internal/policy"
	"github.com/kept-practice/kept/internal/proof/fault"
	"github.com/kept-practice/kept/internal/wake"
)

// crashWorker is a worker without Temporal, made to be killed and started a thousand times: it takes in events, plans every open
// subject of one practice and does what is due, from wake-up to wake-up, until nothing is due before the target.
type crashWorker struct {
	probe    *fault.Probe
	acts     *activities.Activities
	inbox    *wake.Inbox
	store    *db.Store
	conn     *pgx.Conn // past row-level security
	practice policy.ID
	target   time.Time
}

// nobody takes rings: the worker looks at every subject anyway.
type nobody struct{ wake.Temporal }

func (nobody) SignalWithStartWorkflow(context.Context, string, string, any, client.StartWorkflowOptions, any, ...any) (client.WorkflowRun, error) {
	return nil, nil
}

// playCrashWorker is what the test binary does as such a worker; it exits with 0 when nothing is left to do before the target.
func playCrashWorker() {
	if err := runCrashWorker(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, "crash worker:", err)
		os.Exit(1)
	}
}

func runCrashWorker(ctx context.Context) (err error) {
	c, err := loadConfig(append([]string{"DATABASE_URL"}, gatewayNames...)...)
	if err != nil {
		return err
	}
	w := &crashWorker{probe: fault.NewProbe(fault.Worker, os.Getenv("KEPT_TEST_CONDUCTOR"))}
	seams.gateways = w.probe.Gateways
	if w.practice, err = policy.ParseID(os.Getenv("KEPT_TEST_PRACTICE")); err != nil {
		return err
	}
	if w.target, err = time.Parse(time.RFC3339, os.Getenv("KEPT_TEST_TARGET")); err != nil {
		return err
	}
	if w.store, err = db.Open(ctx, db.Options{URL: c.DatabaseURL.Reveal(), Tracer: w.probe.Statements()}); err != nil {
		return err
	}
	defer w.store.Close()
	if w.conn, err = pgx.Connect(ctx, c.DatabaseURL.Reveal()); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.conn.Close(ctx)) }()
	quiet := slog.New(slog.NewTextHandler(io.Discard, nil))
	if w.acts, err = newActivities(c, w.store, desk.New(w.store), quiet); err != nil {
		return err
	}
	w.inbox = wake.NewInbox(w.store, wake.NewRinger(nobody{}, nil), func(ctx context.Context, e wake.Event) (wake.Applied, error) {
		return applyEvent(ctx, w.acts, e)
	}, quiet)
	return w.work(ctx)
}

func (w *crashWorker) work(ctx context.Context) error {
	for {
		if err := w.inbox.Turn(ctx); err != nil {
			return err
		}
		busy, wakeAt, err := w.look(ctx)
		switch {
		case err != nil:
			return err
		case busy:
			time.Sleep(20 * time.Millisecond) // an attempt that was cut off belongs to its owner for some seconds more
		case wakeAt.After(w.target):
			_, err := w.conn.Exec(ctx, `update test_clocks set now_at = $2, target_at = $2 where practice_id = $1`, w.practice, w.target)
			return err
		default:
			if _, err := w.conn.Exec(ctx, `update test_clocks set now_at = $2, target_at = $2 where practice_id = $1`, w.practice, wakeAt); err != nil {
				return err
			}
		}
	}
}

// look plans every open subject and does what is due. It tells whether something was due or is still open, and otherwise the
// earliest wake-up.
func (w *crashWorker) look(ctx context.Context) (busy bool, wakeAt time.Time, err error) {
	rows, err := w.conn.Query(ctx, `select kind, id from subjects s where practice_id = $1 and (status = 'open' or exists (
		select from outbox o where o.practice_id = s.practice_id and o.subject_kind = s.kind and o.subject_id = s.id)) order by id`, w.practice)
	if err != nil {
		return false, wakeAt, err
	}
	subjects, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (policy.Subject, error) {
		s := policy.Subject{Practice: w.practice}
		return s, row.Scan(&s.Kind, &s.ID)
	})
	if err != nil {
		return false, wakeAt, err
	}
	wakeAt = w.target.Add(time.Second)
	for _, s := range subjects {
		plan, err := w.acts.Plan(ctx, s)
		if err != nil {
			return false, wakeAt, err
		}
		for _, step := range plan.Due {
			if err := w.do(ctx, s, step); err != nil {
				return false, wakeAt, err
			}
		}
		busy = busy || len(plan.Due) > 0 || plan.RetryAt != nil
		if plan.WakeAt != nil && plan.WakeAt.Before(wakeAt) {
			wakeAt = *plan.WakeAt
		}
	}
	return busy, wakeAt, nil
}

func (w *crashWorker) do(ctx context.Context, s policy.Subject, step policy.Step) error {
	act, ok := w.acts.Steps()[step.Kind].(func(context.Context, policy.Subject, policy.Step) (bool, error))
	if !ok {
		return fmt.Errorf("step %q has no activity", step.Kind)
	}
	return w.probe.Step(ctx, s, step, func(ctx context.Context) error {
		_, err := act(ctx, s, step)
		return err
	})
}

// crashPoints are the moments of an effect at which its worker is killed.
var crashPoints = []struct {
	name string
	at   fault.Moment
	what string // a part of the hit's particulars
}{
	{"before the claim", fault.AtBegin, "/"},
	{"inside the claim", fault.AtCommit, "EffectInsert"},
	{"claimed", fault.AtCommitted, "EffectInsert"},
	{"before the call", fault.AtCall, "/"},
	{"accepted, not recorded", fault.AtCalled, "/"},
	{"inside the record", fault.AtCommit, "EffectSettle"},
	{"recorded", fault.AtCommitted, "EffectSettle"},
	{"before the return", fault.AtReturned, "/"},
}
