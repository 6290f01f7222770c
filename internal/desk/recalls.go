package desk

import (
	"context"
	"fmt"
	"time"

	"github.com/kept-practice/kept/db"
	"github.com/kept-practice/kept/internal/policy"
)

// PlanRecall sets the day to invite the client back: the service's interval after the local day of the visit. It runs inside
// the plan's transaction; a visit completed again after an undo only moves the day.
func (d *Desk) PlanRecall(ctx context.Context, tx *db.Tx, appointment policy.ID, now time.Time) error {
	visit, err := tx.AppointmentByID(ctx, tx.Practice, appointment)
	if err != nil {
		return err
	}
	service, err := tx.ServiceByID(ctx, tx.Practice, visit.ServiceID)
	if err != nil {
		return err
	}
	every, err := policy.ParseInterval(service.RecallEvery)
	if err != nil {
		return fmt.Errorf("recall interval of service %s: %w", service.ID, err)
	}
	zone, err := policy.LoadZone(visit.Zone)
	if err != nil {
		return err
	}
	back := recallService(service)
	today := policy.LocalDay(now, zone)
	arg := db.RecallUpsertParams{
		PracticeID: tx.Practice, ID: db.NewID(), ClientID: visit.ClientID, ServiceID: back, Every: service.RecallEvery, LastVisitID: &visit.ID,
		CalculatedOn: policy.NextRecall(policy.LocalDay(visit.StartsAt, zone), every, today), Today: today,
	}
	cadence, err := tx.CadenceVersionFor(ctx, db.CadenceVersionForParams{PracticeID: tx.Practice, Kind: policy.KindRecall, ServiceID: &back, LocationID: &visit.LocationID})
	switch {
	case db.NoRows(err):
	case err != nil:
		return fmt.Errorf("find the recall cadence: %w", err)
	default:
		arg.CadenceVersionID = &cadence.ID
	}
	recall, err := tx.RecallUpsert(ctx, arg)
	if err != nil {
		return err
	}
	return recordRecall(ctx, tx, policy.RecallPlanned, visit.ID, recall.ID, map[string]any{"due_on": recall.DueOn, "round": recall.Round})
}

// recallService is what clients are invited back for after a visit of the service.
func recallService(s db.Service) policy.ID {
	if s.RecallServiceID != nil {
		return *s.RecallServiceID
	}
	return s.ID
}

// recordRecall journals what a visit's plan made of a recall, and rings a round that is under way: it is over with that.
func recordRecall(ctx context.Context, tx *db.Tx, verb string, visit, recall policy.ID, after map[string]any) error {
	entry := db.Entry{
		Verb: verb, By: policy.System(tx.Practice), Subject: journeyOf(tx.Practice, visit), Object: "recall", ID: recall, After: after,
	}
	subject, err := tx.SubjectByID(ctx, db.SubjectByIDParams{PracticeID: tx.Practice, Kind: policy.KindRecall, ID: recall})
	if err != nil && !db.NoRows(err) {
		return err
	}
	if err == nil && subject.Status != "done" {
		entry.Rings = policy.Rings(verb, policy.SubjectsOf{Practice: tx.Practice, Recalls: []policy.ID{recall}})
	}
	return tx.Record(ctx, entry)
}

// UndoRecall takes back the recall that a visit's completion scheduled. The day is calculated from the visit completed before it,
// and the undone visit, which lies ahead again, answers the recall as any booking does: nobody is invited while it stands. Without
// an earlier visit there is nothing to invite back from, and the recall stops. A recall that another visit has moved since stays.
func (d *Desk) UndoRecall(ctx context.Context, tx *db.Tx, appointment policy.ID, now time.Time) error {
	visit, err := tx.AppointmentByID(ctx, tx.Practice, appointment)
	if err != nil {
		return err
	}
	service, err := tx.ServiceByID(ctx, tx.Practice, visit.ServiceID)
	if err != nil {
		return err
	}
	recall, err := tx.RecallOfVisit(ctx, tx.Practice, &visit.ID)
	if db.NoRows(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("find the visit's recall: %w", err)
	}
	earlier, err := tx.VisitRecalledFrom(ctx, db.VisitRecalledFromParams{
		PracticeID: tx.Practice, ClientID: visit.ClientID, BackID: recallService(service), ExceptID: visit.ID,
	})
	if db.NoRows(err) {
		if err := tx.RecallTakeBack(ctx, db.RecallTakeBackParams{PracticeID: tx.Practice, ID: recall, ClosedAt: now}); err != nil {
			return err
		}
		return recordRecall(ctx, tx, policy.RecallEnded, visit.ID, recall, map[string]any{"status": policy.RecallStopped})
	}
	if err != nil {
		return fmt.Errorf("find the visit before: %w", err)
	}
	every, err := policy.ParseInterval(earlier.RecallEvery)
	if err != nil {
		return fmt.Errorf("recall interval: %w", err)
	}
	zone, err := policy.LoadZone(earlier.Zone)
	if err != nil {
		return err
	}
	on := policy.NextRecall(policy.LocalDay(earlier.StartsAt, zone), every, policy.LocalDay(now, zone))
	if err := tx.RecallReturn(ctx, db.RecallReturnParams{
		PracticeID: tx.Practice, ID: recall, CalculatedOn: on, Every: earlier.RecallEvery, LastVisitID: earlier.ID, VisitID: visit.ID, ClosedAt: now,
	}); err != nil {
		return err
	}
	return recordRecall(ctx, tx, policy.RecallPlanned, visit.ID, recall, map[string]any{"due_on": on, "after_visit": earlier.ID})
}

// CloseRecall ends a round with the status that its step names. It runs inside the plan's transaction.
func (d *Desk) CloseRecall(ctx context.Context, tx *db.Tx, recall policy.ID, status, reason string, now time.Time) error {
	row, err := tx.RecallByID(ctx, tx.Practice, recall)
	if err != nil {
		return err
	}
	close := db.RecallCloseParams{PracticeID: tx.Practice, ID: recall, Status: status, StatusReason: reason, ClosedAt: &now}
	if status == policy.RecallBooked {
		next, err := tx.AppointmentNextOf(ctx, db.AppointmentNextOfParams{PracticeID: tx.Practice, ClientID: row.ClientID, ServiceID: &row.ServiceID, Now: now})
		if err != nil && !db.NoRows(err) {
			return err
		}
		if err == nil {
			close.BookedAppointmentID = &next
		}
	}
	if _, err := tx.RecallClose(ctx, close); err != nil {
		return err
	}
	return tx.Record(ctx, db.Entry{
		Verb: "recall_closed", By: policy.System(tx.Practice), Subject: recallOf(tx.Practice, recall), Object: "recall", ID: recall, Reason: reason,
		Before: map[string]any{"status": row.Status}, After: map[string]any{"status": status},
	})
}

// OverrideRecall sets another day by hand, or returns to the calculated one with nil. It survives recalculation while it lies ahead.
func (d *Desk) OverrideRecall(ctx context.Context, by policy.Principal, id policy.ID, on *policy.LocalDate, reason string) (db.Recall, error) {
	return d.changeRecall(ctx, by, id, policy.RecallMoved, reason, func(tx *db.Tx, _ time.Time) (int64, error) {
		return tx.RecallOverride(ctx, db.RecallOverrideParams{PracticeID: tx.Practice, ID: id, OverrideOn: on})
	})
}

// StopRecall ends a recall by hand: the client is not invited until a completed visit schedules the next.
func (d *Desk) StopRecall(ctx context.Context, by policy.Principal, id policy.ID, reason string) (db.Recall, error) {
	return d.changeRecall(ctx, by, id, policy.RecallEnded, reason, func(tx *db.Tx, now time.Time) (int64, error) {
		return tx.RecallStop(ctx, db.RecallStopParams{PracticeID: tx.Practice, ID: id, StatusReason: "stopped by staff", ClosedAt: &now})
	})
}

func (d *Desk) changeRecall(ctx context.Context, by policy.Principal, id policy.ID, verb, reason string, change func(*db.Tx, time.Time) (int64, error)) (db.Recall, error) {
	if reason == "" {
		return db.Recall{}, policy.InvalidField("/reason", "missing_reason", "Say why.")
	}
	var out db.Recall
	err := d.command(ctx, by, func(tx *db.Tx) error {
		subject := recallOf(tx.Practice, id)
		if err := tx.Lock(ctx, db.LockSet{Subjects: []policy.Subject{subject}}); err != nil {
			return err
		}
		before, err := tx.RecallByID(ctx, tx.Practice, id)
		if err != nil {
			return notFound(err, "recall")
		}
		clk, err := readClock(ctx, tx.Queries, tx.Practice)
		if err != nil {
			return err
		}
		n, err := change(tx, clk.now)
		if err != nil {
			return err
		}
		if n == 0 {
			return policy.NewError(policy.Conflict, "recall_closed", "The recall is "+before.Status+". It cannot be changed any more.")
		}
		if out, err = tx.RecallByID(ctx, tx.Practice, id); err != nil {
			return err
		}
		entry := db.Entry{
			Verb: verb, By: by, Subject: subject, Object: "recall", ID: id, Reason: reason,
			Before: map[string]any{"due_on": before.DueOn, "status": before.Status}, After: map[string]any{"due_on": out.DueOn, "status": out.Status},
		}
		if before.Status == policy.RecallStarted {
			entry.Rings = policy.Rings(verb, policy.SubjectsOf{Practice: tx.Practice, Recalls: []policy.ID{id}})
		}
		return tx.Record(ctx, entry)
	})
	return out, err
}

func recallOf(practice, recall policy.ID) policy.Subject {
	return policy.Subject{Practice: practice, Kind: policy.KindRecall, ID: recall}
}
