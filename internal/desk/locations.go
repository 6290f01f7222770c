package desk

import (
	"context"

	"github.com/kept-practice/kept/db"
	"github.com/kept-practice/kept/internal/policy"
)

// LocationInput is a place where visits happen. Its zone is fixed: rules of wall time hang on it.
type LocationInput struct {
	Name          string
	Zone          string // "" is the practice's
	PostalAddress string
	Phone         string
}

// CreateLocation adds a place.
func (d *Desk) CreateLocation(ctx context.Context, by policy.Principal, in LocationInput) (db.Location, error) {
	var out db.Location
	err := d.command(ctx, by, func(tx *db.Tx) error {
		practice, err := tx.PracticeByID(ctx, tx.Practice)
		if err != nil {
			return notFound(err, "practice")
		}
		id, err := addLocation(ctx, tx, by, in, practice.Zone, practice.Country)
		if err != nil {
			return err
		}
		out, err = tx.LocationByID(ctx, tx.Practice, id)
		return err
	})
	return out, err
}

func addLocation(ctx context.Context, tx *db.Tx, by policy.Principal, in LocationInput, practiceZone, country string) (policy.ID, error) {
	id := db.NewID()
	var err error
	if in.Name, err = line("/name", in.Name, maxName); err != nil {
		return id, err
	}
	if in.Zone == "" {
		in.Zone = practiceZone
	}
	if err := zone("/zone", in.Zone); err != nil {
		return id, err
	}
	if in.PostalAddress, err = text("/postal_address", in.PostalAddress, 300); err != nil {
		return id, err
	}
	if in.Phone, err = phoneOrNone("/phone", in.Phone, country); err != nil {
		return id, err
	}
	if err := tx.LocationInsert(ctx, db.LocationInsertParams{
		PracticeID: tx.Practice, ID: id, Name: in.Name, Zone: in.Zone, PostalAddress: in.PostalAddress, Phone: in.Phone,
	}); err != nil {
		return id, err
	}
	return id, tx.Record(ctx, db.Entry{Verb: "location_created", By: by, Object: "location", ID: id, After: map[string]string{"zone": in.Zone}})
}

// LocationPatch changes what is given and leaves the rest.
type LocationPatch struct {
	ID            policy.ID
	Version       int32
	Name          *string
	PostalAddress *string
	Phone         *string
	Archived      *bool // with visits ahead: 409 and the list
}

// UpdateLocation answers 409 stale_version when somebody else changed the location after it was read.
func (d *Desk) UpdateLocation(ctx context.Context, by policy.Principal, in LocationPatch) (db.Location, error) {
	var out db.Location
	err := d.command(ctx, by, func(tx *db.Tx) error {
		if in.Archived != nil {
			if err := tx.Lock(ctx, db.LockSet{Resources: []policy.ID{in.ID}}); err != nil { // bookings hold it shared
				return err
			}
		}
		before, err := tx.LocationByID(ctx, tx.Practice, in.ID)
		if err != nil {
			return notFound(err, "location")
		}
		update, err := in.apply(ctx, tx, before)
		if err != nil {
			return err
		}
		n, err := tx.LocationUpdate(ctx, update)
		if err != nil {
			return err
		}
		if n == 0 {
			return staleVersion("location")
		}
		if err := tx.Record(ctx, db.Entry{
			Verb: "location_updated", By: by, Object: "location", ID: in.ID,
			Before: map[string]any{"archived": before.ArchivedAt != nil, "version": before.Version},
			After:  map[string]any{"archived": update.ArchivedAt != nil, "version": before.Version + 1},
		}); err != nil {
			return err
		}
		out, err = tx.LocationByID(ctx, tx.Practice, in.ID)
		return err
	})
	return out, err
}

func (in LocationPatch) apply(ctx context.Context, tx *db.Tx, before db.Location) (db.LocationUpdateParams, error) {
	p := db.LocationUpdateParams{
		PracticeID: tx.Practice, ID: in.ID, Version: in.Version, Name: before.Name, PostalAddress: before.PostalAddress, Phone: before.Phone,
		ArchivedAt: before.ArchivedAt,
	}
	var err error
	if in.Name != nil {
		if p.Name, err = line("/name", *in.Name, maxName); err != nil {
			return p, err
		}
	}
	if in.PostalAddress != nil {
		if p.PostalAddress, err = text("/postal_address", *in.PostalAddress, 300); err != nil {
			return p, err
		}
	}
	if in.Phone != nil {
		practice, err := tx.PracticeByID(ctx, tx.Practice)
		if err != nil {
			return p, notFound(err, "practice")
		}
		if p.Phone, err = phoneOrNone("/phone", *in.Phone, practice.Country); err != nil {
			return p, err
		}
	}
	if in.Archived == nil || *in.Archived == (before.ArchivedAt != nil) {
		return p, nil
	}
	if p.ArchivedAt = nil; !*in.Archived {
		return p, nil
	}
	ahead, err := visitsAhead(ctx, tx, aheadOf{location: &in.ID})
	if err != nil {
		return p, err
	}
	if len(ahead) > 0 {
		return p, stranded("location_in_use", "Visits lie ahead here. Move or cancel them first.", ahead)
	}
	clk, err := readClock(ctx, tx.Queries, tx.Practice)
	p.ArchivedAt = &clk.real
	return p, err
}
