package wake

import (
	"context"
	"log/slog"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/kept-practice/kept/db"
	"github.com/kept-practice/kept/internal/policy"
)

const (
	relayPerTurn  = 50 // a turn a second, so mass changes reach Temporal at most this fast
	relayAtOnce   = 8
	relayProbes   = 4 // rings tried per turn while Temporal is away
	overdueRhythm = 10 * time.Second
)

// Relay rings again what a plan has not seen: subjects whose oldest outbox row is over 2 s old, and open subjects whose
// wake-up, retry or due step is over 2 min overdue. Any number of relays may run.
type Relay struct {
	store   *db.Store
	ringer  *Ringer
	log     *slog.Logger
	away    bool      // Temporal answered none of the last turn's rings
	overdue time.Time // when the overdue are next looked for
}

// NewRelay makes a relay; Turn is called each second.
func NewRelay(store *db.Store, r *Ringer, log *slog.Logger) *Relay {
	return &Relay{store: store, ringer: r, log: log}
}

// Turn rings once per subject, however many rows it has, and tells how many rings Temporal took. While Temporal is away it
// only probes, so that the backlog keeps its short delays and drains as soon as it is back.
func (r *Relay) Turn(ctx context.Context) (int, error) {
	most := int32(relayPerTurn)
	if r.away {
		most = relayProbes
	}
	rows, err := r.store.System().RelayOutbox(ctx, most)
	if err != nil {
		return 0, db.Classify(err)
	}
	subjects, ids := bySubject(rows)
	taken, lost := ringAll(ctx, r.ringer, r.log, subjects)
	r.ringer.metrics.relayed.WithLabelValues("outbox").Add(float64(taken))
	if lost > 0 && lost == len(subjects) {
		if !r.away {
			r.log.Warn("Temporal does not answer; facts are kept and rung when it is back", "waiting", len(subjects))
		}
		r.away = true
		return taken, db.Classify(r.store.System().RelayOutboxUnreached(ctx, ids))
	}
	if r.away && taken > 0 {
		r.log.Info("Temporal answers again")
		r.away = false
	}
	if r.away && len(subjects) > 0 || time.Now().Before(r.overdue) {
		return taken, nil
	}
	late, err := r.ringOverdue(ctx, int(most)-len(subjects))
	return taken + late, err
}

// ringOverdue comes back at the next turn while there is more than fits into this one, or Temporal is away.
func (r *Relay) ringOverdue(ctx context.Context, most int) (int, error) {
	if most <= 0 {
		return 0, nil
	}
	rows, err := r.store.System().RelayOverdue(ctx, int32(most))
	if err != nil {
		return 0, db.Classify(err)
	}
	if len(rows) < most && !r.away {
		r.overdue = time.Now().Add(overdueRhythm)
	}
	if len(rows) == 0 {
		return 0, nil
	}
	jobs := make([]labelled, len(rows))
	for i, row := range rows {
		jobs[i] = labelled{policy.Subject{Practice: row.PracticeID, Kind: row.Kind, ID: row.ID}, "overdue"}
	}
	taken, lost := ringAll(ctx, r.ringer, r.log, jobs)
	r.ringer.metrics.relayed.WithLabelValues("overdue").Add(float64(taken))
	if r.away = lost == len(jobs); r.away {
		r.overdue = time.Time{} // a probe each turn
		return taken, db.Classify(r.store.System().RelayOverdueUnreached(ctx, idsOf(rows)))
	}
	return taken, nil
}

func idsOf(rows []db.RelayOverdueRow) []policy.ID {
	ids := make([]policy.ID, len(rows))
	for i, row := range rows {
		ids[i] = row.ID
	}
	return ids
}

// ringAll rings side by side: how many Temporal took, and how many did not reach it or found it not yet set up.
func ringAll(ctx context.Context, ringer *Ringer, log *slog.Logger, jobs []labelled) (taken, lost int) {
	errs := make([]error, len(jobs))
	var g errgroup.Group
	g.SetLimit(relayAtOnce)
	for i, job := range jobs {
		g.Go(func() error {
			errs[i] = ringer.Ring(ctx, job.subject, job.label)
			return nil // one that fails stops no other
		})
	}
	_ = g.Wait() // always nil, see above
	for i, err := range errs {
		switch {
		case err == nil:
			taken++
		case unreached(err):
			lost++
		case ctx.Err() == nil: // else the worker is stopping
			log.Warn("ring refused; tried again with back-off", "subject", jobs[i].subject.WorkflowID(), "error", err)
			if unprepared(err) {
				lost++
			}
		}
	}
	return taken, lost
}

// bySubject gives one ring per subject, and the ids of all rows.
func bySubject(rows []db.RelayOutboxRow) (jobs []labelled, ids []policy.ID) {
	seen := map[policy.Subject]bool{}
	for _, row := range rows {
		s := policy.Subject{Practice: row.PracticeID, Kind: row.SubjectKind, ID: row.SubjectID}
		ids = append(ids, row.ID)
		if !seen[s] {
			seen[s] = true
			jobs = append(jobs, labelled{s, row.Label})
		}
	}
	return jobs, ids
}
