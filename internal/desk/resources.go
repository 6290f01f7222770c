package desk

import (
	"context"
	"fmt"
	"time"

	"github.com/kept-practice/kept/db"
	"github.com/kept-practice/kept/internal/policy"
)

// Kinds of resource.
const (
	ResourceProvider  = "provider"
	ResourceRoom      = "room"
	ResourceEquipment = "equipment"
)

// ResourceInput is a provider, a room or a piece of equipment. Rooms and equipment stand at one location.
type ResourceInput struct {
	Kind     string
	Name     string
	Seats    int // how many visits at once; 0 is 1; a provider has one
	Location *policy.ID
	Staff    *policy.ID // of a provider: the person on the staff
}

func (in *ResourceInput) clean() (err error) {
	if in.Name, err = line("/name", in.Name, maxName); err != nil {
		return err
	}
	if in.Seats == 0 {
		in.Seats = 1
	}
	if err := firstOf(choice("/kind", in.Kind, ResourceProvider, ResourceRoom, ResourceEquipment), within("/seats", in.Seats, 1, 1000)); err != nil {
		return err
	}
	switch {
	case in.Kind == ResourceProvider && in.Seats != 1:
		return policy.InvalidField("/seats", "out_of_range", "A provider sees one client at a time.")
	case in.Kind == ResourceProvider && in.Location != nil:
		return policy.InvalidField("/location", "not_for_providers", "A provider's places are said by their shifts.")
	case in.Kind != ResourceProvider && in.Location == nil:
		return policy.InvalidField("/location", "missing_location", "Say at which location it stands.")
	case in.Kind != ResourceProvider && in.Staff != nil:
		return policy.InvalidField("/staff", "not_a_person", "Only a provider is a person on the staff.")
	}
	return nil
}

// CreateResource adds a provider, room or piece of equipment. It is used by the services that name it.
func (d *Desk) CreateResource(ctx context.Context, by policy.Principal, in ResourceInput) (db.Resource, error) {
	if err := in.clean(); err != nil {
		return db.Resource{}, err
	}
	var out db.Resource
	err := d.command(ctx, by, func(tx *db.Tx) error {
		id, err := addResource(ctx, tx, by, in)
		if err != nil {
			return err
		}
		out, err = tx.ResourceByID(ctx, tx.Practice, id)
		return err
	})
	return out, err
}

func addResource(ctx context.Context, tx *db.Tx, by policy.Principal, in ResourceInput) (policy.ID, error) {
	id := db.NewID()
	if in.Location != nil {
		if _, err := tx.LocationByID(ctx, tx.Practice, *in.Location); err != nil {
			return id, policy.AtField("/location", notFound(err, "location"))
		}
	}
	if in.Staff != nil {
		if _, err := tx.StaffByID(ctx, tx.Practice, *in.Staff); err != nil {
			return id, policy.AtField("/staff", notFound(err, "staff"))
		}
	}
	if err := tx.ResourceInsert(ctx, db.ResourceInsertParams{
		PracticeID: tx.Practice, ID: id, Kind: in.Kind, Name: in.Name, Seats: int32(in.Seats), LocationID: in.Location, StaffID: in.Staff,
	}); err != nil {
		return id, err
	}
	return id, tx.Record(ctx, db.Entry{Verb: "resource_created", By: by, Object: "resource", ID: id, After: map[string]any{"kind": in.Kind, "seats": in.Seats}})
}

// ResourcePatch changes what is given and leaves the rest.
type ResourcePatch struct {
	ID      policy.ID
	Version int32
	Name    *string
	Seats   *int
	Staff   **policy.ID
}

// UpdateResource answers 409 stale_version when somebody else changed the resource after it was read. Fewer seats than visits
// sit on already are refused by the same list as an archive.
func (d *Desk) UpdateResource(ctx context.Context, by policy.Principal, in ResourcePatch) (db.Resource, error) {
	var out db.Resource
	err := d.command(ctx, by, func(tx *db.Tx) error {
		if err := tx.Lock(ctx, db.LockSet{Resources: []policy.ID{in.ID}}); err != nil {
			return err
		}
		before, err := tx.ResourceByID(ctx, tx.Practice, in.ID)
		if err != nil {
			return notFound(err, "resource")
		}
		next := ResourceInput{Kind: before.Kind, Name: before.Name, Seats: int(before.Seats), Location: before.LocationID, Staff: before.StaffID}
		put(&next.Name, in.Name)
		put(&next.Seats, in.Seats)
		put(&next.Staff, in.Staff)
		if err := next.clean(); err != nil {
			return err
		}
		if next.Staff != nil {
			if _, err := tx.StaffByID(ctx, tx.Practice, *next.Staff); err != nil {
				return policy.AtField("/staff", notFound(err, "staff"))
			}
		}
		if next.Seats < int(before.Seats) {
			ahead, err := visitsAhead(ctx, tx, aheadOf{resource: &in.ID})
			if err != nil {
				return err
			}
			if len(ahead) > 0 {
				return stranded("resource_in_use", "Visits ahead may sit on the seats taken away. Move or cancel them first.", ahead)
			}
		}
		n, err := tx.ResourceUpdate(ctx, db.ResourceUpdateParams{
			PracticeID: tx.Practice, ID: in.ID, Version: in.Version, Name: next.Name, Seats: int32(next.Seats), StaffID: next.Staff,
		})
		if err != nil {
			return err
		}
		if n == 0 {
			return staleVersion("resource")
		}
		if err := tx.Record(ctx, db.Entry{
			Verb: "resource_updated", By: by, Object: "resource", ID: in.ID,
			Before: map[string]any{"seats": before.Seats, "version": before.Version}, After: map[string]any{"seats": next.Seats, "version": before.Version + 1},
		}); err != nil {
			return err
		}
		out, err = tx.ResourceByID(ctx, tx.Practice, in.ID)
		return err
	})
	return out, err
}

// ArchiveResource takes a provider, room or piece of equipment out of use. With visits ahead it answers 409 and lists them.
func (d *Desk) ArchiveResource(ctx context.Context, by policy.Principal, id policy.ID, version int32) (db.Resource, error) {
	var out db.Resource
	err := d.command(ctx, by, func(tx *db.Tx) error {
		if err := tx.Lock(ctx, db.LockSet{Resources: []policy.ID{id}}); err != nil {
			return err
		}
		if _, err := tx.ResourceByID(ctx, tx.Practice, id); err != nil {
			return notFound(err, "resource")
		}
		ahead, err := visitsAhead(ctx, tx, aheadOf{resource: &id})
		if err != nil {
			return err
		}
		if len(ahead) > 0 {
			return stranded("resource_in_use", "Visits lie ahead here. Move or cancel them first.", ahead)
		}
		n, err := tx.ResourceArchive(ctx, db.ResourceArchiveParams{PracticeID: tx.Practice, ID: id, Version: version})
		if err != nil {
			return err
		}
		if n == 0 {
			return staleVersion("resource")
		}
		if err := tx.Record(ctx, db.Entry{Verb: "resource_archived", By: by, Object: "resource", ID: id}); err != nil {
			return err
		}
		out, err = tx.ResourceByID(ctx, tx.Practice, id)
		return err
	})
	return out, err
}

// Affected is a visit that a change of the calendar strands.
type Affected struct {
	Appointment policy.ID
	Client      policy.ID
	Provider    policy.ID
	Location    policy.ID
	StartsAt    time.Time
}

// aheadOf narrows the visits looked for; without from they are those not yet over.
type aheadOf struct {
	service, location, resource *policy.ID
	from, until                 *time.Time
}

// maxAffected bounds a list of affected visits.
const maxAffected = 1000

func visitsAhead(ctx context.Context, tx *db.Tx, of aheadOf) ([]db.VisitsAheadRow, error) {
	clk, err := readClock(ctx, tx.Queries, tx.Practice)
	if err != nil {
		return nil, err
	}
	from := clk.now
	if of.from != nil && of.from.After(from) {
		from = *of.from
	}
	rows, err := tx.VisitsAhead(ctx, db.VisitsAheadParams{
		PracticeID: tx.Practice, FromAt: from, UntilAt: of.until, ServiceID: of.service, LocationID: of.location, ResourceID: of.resource, PageSize: maxAffected,
	})
	if err != nil {
		return nil, fmt.Errorf("find the visits ahead: %w", err)
	}
	return rows, nil
}

func affected(rows []db.VisitsAheadRow) []Affected {
	out := make([]Affected, len(rows))
	for i, r := range rows {
		out[i] = Affected{Appointment: r.ID, Client: r.ClientID, Provider: r.ProviderID, Location: r.LocationID, StartsAt: r.StartsAt.UTC()}
	}
	return out
}

// stranded is the refusal of a change that would leave visits without their service, provider, room or hours.
func stranded(code, message string, rows []db.VisitsAheadRow) error {
	err := policy.NewError(policy.Conflict, code, message)
	err.Facts = map[string]any{"affected": affected(rows), "count": len(rows)}
	return err
}
