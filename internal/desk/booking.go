package desk

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/kept-practice/kept/db"
	"github.com/kept-practice/kept/internal/policy"
)

// BookInput asks for one client's visit.
type BookInput struct {
	Client   policy.ID
	Service  policy.ID
	Provider policy.ID
	Location policy.ID
	StartsAt string     // as policy.ParseInstant reads it, in the location's zone
	Hold     *policy.ID // consumed when given; it must be for the same slot
	Case     *policy.ID
	Override bool   // outside hours, off the grid or inside the notice, by staff who may; the row is marked
	Source   string // admin, api, link, recall, seed
	CausedBy *Cause
}

// Cause is the step of another subject that led to a booking.
type Cause struct {
	Kind string
	ID   policy.ID
	Step string
}

// Booked is a committed visit.
type Booked struct {
	Appointment db.Appointment
	Journey     policy.Subject
	IntakeToken string // raw token of the intake link, "" when no papers are due
	Rung        []policy.Subject
}

// Book commits a visit: one resource set locked in order, expired holds met are gone, the slot is looked at again, and the
// exclusion constraint has the last word. Errors: 404 unknown or foreign ids, 422 impossible input, 409 what the calendar
// refuses.
func (d *Desk) Book(ctx context.Context, by policy.Principal, in BookInput) (out Booked, err error) {
	err = untilSlotStands(func() error {
		out, err = d.tryToBook(ctx, by, in)
		return err
	})
	return out, err
}

func (d *Desk) tryToBook(ctx context.Context, by policy.Principal, in BookInput) (Booked, error) {
	q := d.store.In(by.Practice)
	slot, err := d.slot(ctx, q, by, slotInput{
		service: in.Service, provider: in.Provider, location: in.Location, startsAt: in.StartsAt, override: in.Override,
	})
	if err != nil {
		return Booked{}, db.Classify(err)
	}
	// Losers of a settled slot leave here, on plain reads, without a lock.
	if _, err := slot.free(ctx, q, by.Practice, except{hold: in.Hold}); err != nil {
		return Booked{}, db.Classify(err)
	}
	var out Booked
	err = d.command(ctx, by, func(tx *db.Tx) error {
		out, err = d.book(ctx, tx, by, in, slot)
		return err
	})
	return out, err
}

func (d *Desk) book(ctx context.Context, tx *db.Tx, by policy.Principal, in BookInput, slot slot) (Booked, error) {
	lock := slot.locks()
	lock.Clients = []policy.ID{in.Client}
	if err := tx.Lock(ctx, lock); err != nil {
		return Booked{}, err
	}
	if err := slot.stands(ctx, tx); err != nil {
		return Booked{}, err
	}
	client, err := tx.ClientByID(ctx, tx.Practice, in.Client)
	if err != nil {
		return Booked{}, notFound(err, "client")
	}
	if client.Status == "archived" || client.Status == "erased" {
		return Booked{}, policy.NewError(policy.NotFound, "client_not_found", "There is no such client in this practice.")
	}
	clk, err := readClock(ctx, tx.Queries, tx.Practice)
	if err != nil {
		return Booked{}, err
	}
	if err := slot.allowed(clk.now); err != nil {
		return Booked{}, err
	}
	if err := d.consumeHold(ctx, tx, in, slot, clk.now); err != nil {
		return Booked{}, err
	}
	seats, err := slot.claim(ctx, tx, clk.now, except{})
	if err != nil {
		return Booked{}, err
	}
	cadence, err := tx.CadenceVersionFor(ctx, db.CadenceVersionForParams{
		PracticeID: tx.Practice, Kind: policy.KindJourney, ServiceID: &in.Service, LocationID: &in.Location,
	})
	if err != nil {
		return Booked{}, fmt.Errorf("find the reminder cadence: %w", err)
	}
	id := db.NewID()
	insert := db.AppointmentInsertParams{
		PracticeID: tx.Practice, ID: id, ClientID: in.Client, ServiceID: in.Service, ProviderID: in.Provider, LocationID: in.Location,
		RoomID: seats.room, CaseID: in.Case, CadenceVersionID: cadence.ID, StartsAt: slot.startsAt, EndsAt: slot.endsAt, Zone: slot.zone.String(),
		LocalStart: slot.startsAt.In(slot.zone).Format("2006-01-02T15:04"), Status: string(policy.StatusBooked), Now: clk.now,
		Override: in.Override, Source: in.Source,
	}
	if in.CausedBy != nil {
		insert.CausedByKind, insert.CausedByID, insert.CausedByStep = &in.CausedBy.Kind, &in.CausedBy.ID, &in.CausedBy.Step
	}
	if err := tx.AppointmentInsert(ctx, insert); err != nil {
		return Booked{}, err
	}
	if err := seats.reserve(ctx, tx, slot, &id, nil); err != nil {
		return Booked{}, err
	}
	journey := policy.Subject{Practice: tx.Practice, Kind: policy.KindJourney, ID: id}
	if err := tx.SubjectInsert(ctx, db.SubjectInsertParams{PracticeID: tx.Practice, Kind: journey.Kind, ID: id, ClientID: in.Client}); err != nil {
		return Booked{}, err
	}
	token, err := d.openPacket(ctx, tx, by, id, in, slot.startsAt, clk)
	if err != nil {
		return Booked{}, err
	}
	recalls, err := openRecalls(ctx, tx, in.Client, &in.Service)
	if err != nil {
		return Booked{}, err
	}
	of := policy.SubjectsOf{Practice: tx.Practice, Journeys: []policy.ID{id}, Recalls: recalls}
	out := Booked{Journey: journey, IntakeToken: token, Rung: policy.Rings(policy.VisitBooked, of)}
	if err := tx.Record(ctx, db.Entry{
		Verb: policy.VisitBooked, By: by, Subject: journey, Object: "appointment", ID: id, Rings: out.Rung,
		After: visitFacts{
			StartsAt: slot.startsAt, EndsAt: slot.endsAt, Service: in.Service, Provider: in.Provider, Location: in.Location, Room: seats.room,
			Status: string(policy.StatusBooked), Override: in.Override,
		},
	}); err != nil {
		return Booked{}, err
	}
	out.Appointment, err = tx.AppointmentByID(ctx, tx.Practice, id)
	return out, err
}

// visitFacts is what the journal keeps of a visit: ids, kinds and instants.
type visitFacts struct {
	StartsAt time.Time  `json:"starts_at"`
	EndsAt   time.Time  `json:"ends_at"`
	Service  policy.ID  `json:"service,omitzero"`
	Provider policy.ID  `json:"provider,omitzero"`
	Location policy.ID  `json:"location,omitzero"`
	Room     *policy.ID `json:"room,omitempty"`
	Status   string     `json:"status"`
	Override bool       `json:"override,omitempty"`
	Version  int32      `json:"version,omitempty"`
}

// consumeHold takes the caller's hold out of the way; another's, an expired one or one for another slot is refused.
func (d *Desk) consumeHold(ctx context.Context, tx *db.Tx, in BookInput, slot slot, now time.Time) error {
	if in.Hold == nil {
		return nil
	}
	hold, err := tx.HoldByID(ctx, tx.Practice, *in.Hold)
	if err != nil {
		return notFound(err, "hold")
	}
	switch {
	case !hold.ExpiresAt.After(now):
		return policy.NewError(policy.Gone, "hold_expired", "The hold has run out. Choose the time again.")
	case hold.ClientID != nil && *hold.ClientID != in.Client:
		return policy.NewError(policy.Conflict, "hold_of_another", "This hold belongs to another client.")
	case hold.ProviderID != in.Provider || hold.ServiceID != in.Service || hold.LocationID != in.Location || !hold.StartsAt.Equal(slot.startsAt):
		return policy.NewError(policy.Conflict, "hold_mismatch", "The hold is for another time, service or provider. Book what was held, or without the hold.")
	}
	_, err = tx.HoldDelete(ctx, tx.Practice, *in.Hold)
	return err
}

// HoldInput asks for a slot to be kept while a client types.
type HoldInput struct {
	Client   *policy.ID
	Service  policy.ID
	Provider policy.ID
	Location policy.ID
	StartsAt string
}

// maxHolds is how many slots one client may keep at once.
const maxHolds = 2

// PlaceHold keeps a slot for some minutes under the same constraint as bookings. It expires by itself.
func (d *Desk) PlaceHold(ctx context.Context, by policy.Principal, in HoldInput) (out db.Hold, err error) {
	err = untilSlotStands(func() error {
		out, err = d.tryToHold(ctx, by, in)
		return err
	})
	return out, err
}

func (d *Desk) tryToHold(ctx context.Context, by policy.Principal, in HoldInput) (db.Hold, error) {
	q := d.store.In(by.Practice)
	slot, err := d.slot(ctx, q, by, slotInput{service: in.Service, provider: in.Provider, location: in.Location, startsAt: in.StartsAt})
	if err != nil {
		return db.Hold{}, db.Classify(err)
	}
	if _, err := slot.free(ctx, q, by.Practice, except{}); err != nil {
		return db.Hold{}, db.Classify(err)
	}
	var out db.Hold
	err = d.command(ctx, by, func(tx *db.Tx) error {
		lock := slot.locks()
		if in.Client != nil {
			lock.Clients = []policy.ID{*in.Client}
		}
		if err := tx.Lock(ctx, lock); err != nil {
			return err
		}
		if err := slot.stands(ctx, tx); err != nil {
			return err
		}
		clk, err := readClock(ctx, tx.Queries, tx.Practice)
		if err != nil {
			return err
		}
		if err := slot.allowed(clk.now); err != nil {
			return err
		}
		if in.Client != nil {
			held, err := tx.HoldsOfClient(ctx, db.HoldsOfClientParams{PracticeID: tx.Practice, ClientID: *in.Client, Now: clk.now})
			if err != nil {
				return err
			}
			if held >= maxHolds {
				return policy.NewError(policy.Conflict, "too_many_holds", "The client already holds two times. Release one or let it run out.")
			}
		}
		seats, err := slot.claim(ctx, tx, clk.now, except{})
		if err != nil {
			return err
		}
		id := db.NewID()
		if err := tx.HoldInsert(ctx, db.HoldInsertParams{
			PracticeID: tx.Practice, ID: id, ClientID: in.Client, ServiceID: in.Service, ProviderID: in.Provider, LocationID: in.Location,
			RoomID: seats.room, StartsAt: slot.startsAt, EndsAt: slot.endsAt,
			ExpiresAt: clk.now.Add(time.Duration(slot.settings.HoldMinutes) * time.Minute),
		}); err != nil {
			return err
		}
		if err := seats.reserve(ctx, tx, slot, nil, &id); err != nil {
			return err
		}
		if err := tx.Record(ctx, db.Entry{
			Verb: "hold_placed", By: by, Object: "hold", ID: id,
			After: visitFacts{StartsAt: slot.startsAt, EndsAt: slot.endsAt, Service: in.Service, Provider: in.Provider, Location: in.Location, Status: "held"},
		}); err != nil {
			return err
		}
		out, err = tx.HoldByID(ctx, tx.Practice, id)
		return err
	})
	return out, err
}

// ReleaseHold gives a held slot back. Releasing one that is gone already is no error: its purpose is reached.
func (d *Desk) ReleaseHold(ctx context.Context, by policy.Principal, id policy.ID) error {
	return d.command(ctx, by, func(tx *db.Tx) error {
		n, err := tx.HoldDelete(ctx, tx.Practice, id)
		if err != nil || n == 0 {
			return err
		}
		return tx.Record(ctx, db.Entry{Verb: "hold_released", By: by, Object: "hold", ID: id})
	})
}

// openRecalls are the started recalls of a client; for one service where given.
func openRecalls(ctx context.Context, tx *db.Tx, client policy.ID, service *policy.ID) ([]policy.ID, error) {
	rows, err := tx.RecallsOpenOf(ctx, db.RecallsOpenOfParams{PracticeID: tx.Practice, ClientID: client, ServiceID: service})
	if err != nil {
		return nil, fmt.Errorf("find open recalls: %w", err)
	}
	ids := make([]policy.ID, len(rows))
	for i, r := range rows {
		ids[i] = r.ID
	}
	return slices.Clip(ids), nil
}
