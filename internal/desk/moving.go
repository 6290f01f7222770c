package desk

import (
	"context"
	"time"

	"github.com/kept-practice/kept/db"
	"github.com/kept-practice/kept/internal/policy"
)

// MoveInput gives a visit another time, and another provider where asked.
type MoveInput struct {
	Appointment policy.ID
	StartsAt    string
	Provider    *policy.ID
	Version     *int32
	Override    bool
}

// Move commits a new time: old and new resources are locked as one sorted set, all old reservations go in one statement,
// the new ones come in the next. The version rises, so reminders are planned afresh and links of the old time end. A move by
// the client keeps confirmed, one by staff returns to booked.
func (d *Desk) Move(ctx context.Context, by policy.Principal, in MoveInput) (out Visit, err error) {
	err = untilSlotStands(func() error {
		out, err = d.tryToMove(ctx, by, in)
		return err
	})
	return out, err
}

func (d *Desk) tryToMove(ctx context.Context, by policy.Principal, in MoveInput) (Visit, error) {
	q := d.store.In(by.Practice)
	before, err := q.AppointmentByID(ctx, by.Practice, in.Appointment)
	if err != nil {
		return Visit{}, notFound(db.Classify(err), "appointment")
	}
	provider := before.ProviderID
	if in.Provider != nil {
		provider = *in.Provider
	}
	s, err := d.slot(ctx, q, by, slotInput{
		service: before.ServiceID, provider: provider, location: before.LocationID, startsAt: in.StartsAt, override: in.Override,
	})
	if err != nil {
		return Visit{}, db.Classify(err)
	}
	if _, err := s.free(ctx, q, by.Practice, except{appointment: &in.Appointment}); err != nil {
		return Visit{}, db.Classify(err)
	}
	old, err := q.ReservationsOfAppointment(ctx, by.Practice, in.Appointment)
	if err != nil {
		return Visit{}, db.Classify(err)
	}
	lock := s.locks()
	for _, r := range old {
		lock.Resources = append(lock.Resources, r.ResourceID)
	}
	var out Visit
	err = d.command(ctx, by, func(tx *db.Tx) error {
		if err := tx.Lock(ctx, lock); err != nil {
			return err
		}
		visit, clk, err := d.lockVisit(ctx, tx, in.Appointment, in.Version)
		if err != nil {
			return err
		}
		if visit.Version != before.Version {
			return policy.NewError(policy.Conflict, "stale_version", "The visit was moved meanwhile. Read it again.")
		}
		if visit.StartsAt.Equal(s.startsAt) && visit.ProviderID == provider {
			out = Visit{Appointment: visit}
			return nil
		}
		out, err = d.move(ctx, tx, by, visit, s, clk)
		return err
	})
	return out, err
}

func (d *Desk) move(ctx context.Context, tx *db.Tx, by policy.Principal, visit db.Appointment, s slot, clk clock) (Visit, error) {
	verb := policy.VerbMoveByStaff
	if by.Kind == policy.ByClient {
		verb = policy.VerbMoveByClient
		if !clk.now.Before(visit.StartsAt.Add(-time.Duration(s.settings.NoCancelMinutes) * time.Minute)) {
			return Visit{}, policy.NewError(policy.Conflict, "too_late", "It is too late to move the visit here. Please call the practice.")
		}
	}
	next, err := policy.Move(policy.Status(visit.Status), verb)
	if err != nil {
		return Visit{}, err
	}
	if err := s.allowed(clk.now); err != nil {
		return Visit{}, err
	}
	if err := s.stands(ctx, tx); err != nil {
		return Visit{}, err
	}
	if _, err := tx.ReservationDeleteByAppointment(ctx, tx.Practice, visit.ID); err != nil {
		return Visit{}, err
	}
	seats, err := s.claim(ctx, tx, clk.now, except{appointment: &visit.ID})
	if err != nil {
		return Visit{}, err
	}
	if err := seats.reserve(ctx, tx, s, &visit.ID, nil); err != nil {
		return Visit{}, err
	}
	update := db.AppointmentMoveParams{
		PracticeID: tx.Practice, ID: visit.ID, ProviderID: s.provider, RoomID: seats.room, StartsAt: s.startsAt, EndsAt: s.endsAt,
		LocalStart: s.startsAt.In(s.zone).Format("2006-01-02T15:04"), Status: string(next), Now: clk.now, AnsweredAt: visit.AnsweredAt, Override: s.override,
	}
	if by.Kind == policy.ByClient {
		update.AnsweredAt = &clk.now
	}
	if err := tx.AppointmentMove(ctx, update); err != nil {
		return Visit{}, err
	}
	if err := revokeLinks(ctx, tx, journeyOf(tx.Practice, visit.ID), linksOfTime, "moved", clk.now); err != nil {
		return Visit{}, err
	}
	if err := tx.PacketMoveDue(ctx, db.PacketMoveDueParams{
		PracticeID: tx.Practice, AppointmentID: visit.ID, DueAt: packetDue(s.startsAt, clk.now),
	}); err != nil {
		return Visit{}, err
	}
	if err := tx.LinksExtend(ctx, db.LinksExtendParams{
		PracticeID: tx.Practice, SubjectID: visit.ID, Purpose: LinkIntake, ExpiresAt: s.startsAt,
	}); err != nil {
		return Visit{}, err
	}
	out := Visit{Rung: policy.Rings(policy.VisitMoved, policy.SubjectsOf{Practice: tx.Practice, Journeys: []policy.ID{visit.ID}}), Changed: true}
	if err := tx.Record(ctx, db.Entry{
		Verb: policy.VisitMoved, By: by, Subject: journeyOf(tx.Practice, visit.ID), Object: "appointment", ID: visit.ID, Rings: out.Rung,
		Before: visitFacts{StartsAt: visit.StartsAt.UTC(), EndsAt: visit.EndsAt.UTC(), Provider: visit.ProviderID, Room: visit.RoomID, Status: visit.Status, Version: visit.Version},
		After:  visitFacts{StartsAt: s.startsAt, EndsAt: s.endsAt, Provider: s.provider, Room: seats.room, Status: string(next), Version: visit.Version + 1},
	}); err != nil {
		return Visit{}, err
	}
	out.Appointment, err = tx.AppointmentByID(ctx, tx.Practice, visit.ID)
	return out, err
}
