package desk

import (
	"context"
	"fmt"
	"time"

	"github.com/kept-practice/kept/db"
	"github.com/kept-practice/kept/internal/policy"
)

// Visit is an appointment after a command, with the subjects to ring.
type Visit struct {
	Appointment db.Appointment
	Rung        []policy.Subject
	Changed     bool // false when the command found its purpose reached already
}

// StatusInput moves a visit along its statuses. Reason is required to cancel. Version, when given, must be the current one.
type StatusInput struct {
	Appointment policy.ID
	Verb        policy.StatusVerb
	Reason      string
	Version     *int32
}

// statusVerbs names the journal verb of each status verb that this file acts on.
var statusVerbs = map[policy.StatusVerb]string{
	policy.VerbConfirm:    policy.VisitConfirmed,
	policy.VerbArrive:     policy.VisitArrived,
	policy.VerbRoom:       policy.VisitRoomed,
	policy.VerbStart:      policy.VisitStarted,
	policy.VerbComplete:   policy.VisitCompleted,
	policy.VerbNoShow:     policy.VisitNoShow,
	policy.VerbCancel:     policy.VisitCancelled,
	policy.VerbCancelLate: policy.VisitCancelled,
}

// SetStatus confirms, checks in, rooms, starts, completes, marks missed or cancels. The first commit wins; repeating what
// already holds changes nothing and is no error, so a link, a text and the desk never clash.
func (d *Desk) SetStatus(ctx context.Context, by policy.Principal, in StatusInput) (Visit, error) {
	verb, ok := statusVerbs[in.Verb]
	if !ok {
		return Visit{}, policy.InvalidField("/verb", "invalid_verb", "This status is reached by a command of its own.")
	}
	var out Visit
	err := d.command(ctx, by, func(tx *db.Tx) error {
		visit, clk, err := d.lockVisit(ctx, tx, in.Appointment, in.Version)
		if err != nil {
			return err
		}
		if reached(policy.Status(visit.Status), in.Verb) {
			out = Visit{Appointment: visit}
			return nil
		}
		settings, err := settingsAt(ctx, tx.Queries, tx.Practice, &visit.LocationID, &visit.ServiceID, &visit.ProviderID)
		if err != nil {
			return err
		}
		if err := d.mayActNow(by, in, visit, settings, clk.now); err != nil {
			return err
		}
		out, err = d.setStatus(ctx, tx, by, visit, in, verb, clk)
		return err
	})
	return out, err
}

// reached: the visit is already where the verb leads, or past it on the same way.
func reached(s policy.Status, verb policy.StatusVerb) bool {
	switch verb {
	case policy.VerbConfirm:
		return s == policy.StatusConfirmed || s == policy.StatusArrived
	case policy.VerbArrive:
		return s == policy.StatusArrived || s == policy.StatusRoomed || s == policy.StatusWithProvider
	case policy.VerbComplete:
		return s == policy.StatusCompleted
	case policy.VerbNoShow:
		return s == policy.StatusNoShow
	case policy.VerbCancel, policy.VerbCancelLate:
		return s == policy.StatusCancelled || s == policy.StatusLateCancelled
	}
	return false
}

// mayActNow holds the windows that bind clients: confirm and cancel until the start or the no-cancel window.
func (d *Desk) mayActNow(by policy.Principal, in StatusInput, visit db.Appointment, settings policy.Settings, now time.Time) error {
	cancels := in.Verb == policy.VerbCancel || in.Verb == policy.VerbCancelLate
	if cancels && in.Reason == "" {
		return policy.InvalidField("/reason", "missing_reason", "Say why the visit is cancelled.")
	}
	if by.Kind != policy.ByClient {
		return nil
	}
	if !now.Before(visit.StartsAt) && in.Verb != policy.VerbArrive {
		return policy.NewError(policy.Conflict, "too_late", "The visit has begun. Please call the practice.")
	}
	if cancels && !now.Before(visit.StartsAt.Add(-time.Duration(settings.NoCancelMinutes)*time.Minute)) {
		return policy.NewError(policy.Conflict, "too_late", "It is too late to cancel here. Please call the practice.")
	}
	return nil
}

// setStatus applies one legal status change under the subject's lock, for commands and for steps of the plan alike.
func (d *Desk) setStatus(ctx context.Context, tx *db.Tx, by policy.Principal, visit db.Appointment, in StatusInput, verb string, clk clock) (Visit, error) {
	next, err := policy.Move(policy.Status(visit.Status), in.Verb)
	if err != nil {
		return Visit{}, err
	}
	journey := journeyOf(tx.Practice, visit.ID)
	set := db.AppointmentSetStatusParams{
		PracticeID: tx.Practice, ID: visit.ID, Status: string(next), PreviousStatus: &visit.Status, Now: clk.now,
		AnsweredAt: visit.AnsweredAt, CancelReason: visit.CancelReason, CancelledBy: visit.CancelledBy,
		Completions: visit.Completions, CompletedAt: visit.CompletedAt,
	}
	if by.Kind == policy.ByClient {
		set.AnsweredAt = &clk.now
	}
	of := policy.SubjectsOf{Practice: tx.Practice, Journeys: []policy.ID{visit.ID}}
	switch next {
	case policy.StatusCompleted:
		set.Completions, set.CompletedAt = visit.Completions+1, &clk.now
		if of.Recalls, err = openRecalls(ctx, tx, visit.ClientID, nil); err != nil {
			return Visit{}, err
		}
	case policy.StatusCancelled, policy.StatusLateCancelled:
		set.CancelReason, set.CancelledBy = in.Reason, string(by.Kind)
		if of.Recalls, err = d.releaseVisit(ctx, tx, visit, clk); err != nil {
			return Visit{}, err
		}
	}
	if err := tx.AppointmentSetStatus(ctx, set); err != nil {
		return Visit{}, err
	}
	out := Visit{Rung: ringsBeside(by, journey, policy.Rings(verb, of)), Changed: true}
	if err := tx.Record(ctx, db.Entry{
		Verb: verb, By: by, Subject: journey, Object: "appointment", ID: visit.ID, Reason: in.Reason, Rings: out.Rung,
		Before: map[string]any{"status": visit.Status}, After: map[string]any{"status": next},
	}); err != nil {
		return Visit{}, err
	}
	out.Appointment, err = tx.AppointmentByID(ctx, tx.Practice, visit.ID)
	return out, err
}

// releaseVisit gives provider and room back, ends the visit's links and papers, and lets the recall that led to it wait again.
func (d *Desk) releaseVisit(ctx context.Context, tx *db.Tx, visit db.Appointment, clk clock) ([]policy.ID, error) {
	if _, err := tx.ReservationDeleteByAppointment(ctx, tx.Practice, visit.ID); err != nil {
		return nil, fmt.Errorf("release the slot: %w", err)
	}
	if err := revokeLinks(ctx, tx, journeyOf(tx.Practice, visit.ID), linksOfVisit, "cancelled", clk.now); err != nil {
		return nil, err
	}
	if err := setPacket(ctx, tx, visit.ID, "open", "void"); err != nil {
		return nil, err
	}
	return tx.RecallsBookedBy(ctx, tx.Practice, visit.ID)
}

// setPacket moves the visit's packet from one status to another, if it has one in that status.
func setPacket(ctx context.Context, tx *db.Tx, appointment policy.ID, from, to string) error {
	packet, err := tx.PacketByAppointment(ctx, tx.Practice, appointment)
	if db.NoRows(err) || (err == nil && packet.Status != from) {
		return nil
	}
	if err != nil {
		return err
	}
	return tx.PacketSetStatus(ctx, db.PacketSetStatusParams{PracticeID: tx.Practice, ID: packet.ID, Status: to})
}

// lockVisit locks subject and appointment, after their client, and reads the visit under the locks.
func (d *Desk) lockVisit(ctx context.Context, tx *db.Tx, id policy.ID, version *int32) (db.Appointment, clock, error) {
	if err := tx.Lock(ctx, db.LockSet{Subjects: []policy.Subject{journeyOf(tx.Practice, id)}, Appointments: []policy.ID{id}}); err != nil {
		return db.Appointment{}, clock{}, err
	}
	visit, err := tx.AppointmentByID(ctx, tx.Practice, id)
	if err != nil {
		return visit, clock{}, notFound(err, "appointment")
	}
	if version != nil && *version != visit.Version {
		return visit, clock{}, policy.NewError(policy.Conflict, "stale_version", "The visit was moved meanwhile. Read it again.")
	}
	clk, err := readClock(ctx, tx.Queries, tx.Practice)
	return visit, clk, err
}

func journeyOf(practice, appointment policy.ID) policy.Subject {
	return policy.Subject{Practice: practice, Kind: policy.KindJourney, ID: appointment}
}

// Undo takes back the last change of status within the practice's window. Undoing a cancellation commits the slot again,
// and answers 409 when someone else has it by now.
func (d *Desk) Undo(ctx context.Context, by policy.Principal, id policy.ID, reason string) (out Visit, err error) {
	err = untilSlotStands(func() error {
		out, err = d.tryToUndo(ctx, by, id, reason)
		return err
	})
	return out, err
}

func (d *Desk) tryToUndo(ctx context.Context, by policy.Principal, id policy.ID, reason string) (Visit, error) {
	q := d.store.In(by.Practice)
	before, err := q.AppointmentByID(ctx, by.Practice, id)
	if err != nil {
		return Visit{}, notFound(db.Classify(err), "appointment")
	}
	s, err := d.slot(ctx, q, by, slotInput{
		service: before.ServiceID, provider: before.ProviderID, location: before.LocationID,
		startsAt: before.StartsAt.UTC().Format(time.RFC3339), override: true,
	})
	if err != nil {
		return Visit{}, db.Classify(err)
	}
	var out Visit
	err = d.command(ctx, by, func(tx *db.Tx) error {
		if err := tx.Lock(ctx, s.locks()); err != nil {
			return err
		}
		visit, clk, err := d.lockVisit(ctx, tx, id, &before.Version)
		if err != nil {
			return err
		}
		out, err = d.undo(ctx, tx, by, visit, s, reason, clk)
		return err
	})
	return out, err
}

func (d *Desk) undo(ctx context.Context, tx *db.Tx, by policy.Principal, visit db.Appointment, s slot, reason string, clk clock) (Visit, error) {
	settings := s.settings
	if visit.PreviousStatus == nil || !policy.CanUndo(policy.Status(visit.Status)) {
		return Visit{}, policy.NewError(policy.Conflict, "nothing_to_undo", "There is no change of this visit to take back.")
	}
	if clk.now.After(visit.StatusAt.Add(time.Duration(settings.UndoMinutes) * time.Minute)) {
		return Visit{}, policy.NewError(policy.Conflict, "undo_window_over", fmt.Sprintf("Changes can be taken back for %d minutes.", settings.UndoMinutes))
	}
	previous := *visit.PreviousStatus
	if visit.Status == string(policy.StatusCancelled) || visit.Status == string(policy.StatusLateCancelled) {
		if err := s.allowed(clk.now); err != nil {
			return Visit{}, err
		}
		if err := s.stands(ctx, tx); err != nil {
			return Visit{}, err
		}
		seats, err := s.claim(ctx, tx, clk.now, except{})
		if err != nil {
			return Visit{}, err
		}
		if err := seats.reserve(ctx, tx, s, &visit.ID, nil); err != nil {
			return Visit{}, err
		}
		if err := tx.AppointmentRestore(ctx, db.AppointmentRestoreParams{
			PracticeID: tx.Practice, ID: visit.ID, Status: previous, Now: clk.now, RoomID: seats.room,
		}); err != nil {
			return Visit{}, err
		}
		if err := setPacket(ctx, tx, visit.ID, "void", "open"); err != nil {
			return Visit{}, err
		}
	} else if err := tx.AppointmentSetStatus(ctx, db.AppointmentSetStatusParams{
		PracticeID: tx.Practice, ID: visit.ID, Status: previous, Now: clk.now, AnsweredAt: visit.AnsweredAt, Completions: visit.Completions,
	}); err != nil {
		return Visit{}, err
	}
	if err := tx.SubjectReopen(ctx, db.SubjectReopenParams{PracticeID: tx.Practice, Kind: policy.KindJourney, ID: visit.ID}); err != nil {
		return Visit{}, err
	}
	recalls, err := openRecalls(ctx, tx, visit.ClientID, &visit.ServiceID)
	if err != nil {
		return Visit{}, err
	}
	of := policy.SubjectsOf{Practice: tx.Practice, Journeys: []policy.ID{visit.ID}, Recalls: recalls}
	out := Visit{Rung: policy.Rings(policy.VisitUndone, of), Changed: true}
	if err := tx.Record(ctx, db.Entry{
		Verb: policy.VisitUndone, By: by, Subject: journeyOf(tx.Practice, visit.ID), Object: "appointment", ID: visit.ID, Reason: reason, Rings: out.Rung,
		Before: map[string]any{"status": visit.Status}, After: map[string]any{"status": previous},
	}); err != nil {
		return Visit{}, err
	}
	out.Appointment, err = tx.AppointmentByID(ctx, tx.Practice, visit.ID)
	return out, err
}
