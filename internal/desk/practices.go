package desk

import (
	"context"
	"fmt"

	"github.com/kept-practice/kept/db"
	"github.com/kept-practice/kept/internal/policy"
)

// Modes of a practice, fixed when it is made. A test practice owns a clock, and its gateways are the sandbox's.
const (
	ModeTest = "test"
	ModeLive = "live"
)

// PracticeInput makes a practice. The owner is its first member of staff; Mail is theirs and the practice's own.
type PracticeInput struct {
	ID            *policy.ID // nil: a new one
	Mode          string
	Name          string
	Zone          string
	Currency      string
	Country       string
	Mail          string
	Phone         string
	PostalAddress string
	OwnerName     string // "" is "Owner"
	Setup         *Setup // nil: DefaultSetup
}

// CreatedPractice is a new practice with its first API key, whose raw text exists only here.
type CreatedPractice struct {
	ID        policy.ID
	Owner     policy.ID
	Key       Key
	Locations []policy.ID
	Rooms     []policy.ID
	Providers []policy.ID
	Services  []policy.ID
}

// CreatePractice makes a practice that can be booked at once: owner, key, places, providers with hours, services, forms,
// cadences and message templates, in one transaction. A test practice's clock starts at the present.
func (d *Desk) CreatePractice(ctx context.Context, in PracticeInput) (CreatedPractice, error) {
	if err := in.clean(); err != nil {
		return CreatedPractice{}, err
	}
	id := db.NewID()
	if in.ID != nil {
		id = *in.ID
	}
	setup := DefaultSetup(in.OwnerName, in.Name)
	if in.Setup != nil {
		setup = *in.Setup
	}
	var out CreatedPractice
	err := d.store.InPractice(ctx, id, func(tx *db.Tx) error {
		out = CreatedPractice{ID: id}
		return in.create(ctx, tx, setup, &out)
	})
	return out, err
}

func (in *PracticeInput) clean() error {
	var err error
	if in.Name, err = line("/name", in.Name, maxName); err != nil {
		return err
	}
	if in.OwnerName == "" {
		in.OwnerName = "Owner"
	}
	if in.OwnerName, err = line("/owner_name", in.OwnerName, maxName); err != nil {
		return err
	}
	if in.Mail, err = mailbox("/mail", in.Mail); err != nil {
		return err
	}
	if in.PostalAddress, err = text("/postal_address", in.PostalAddress, 300); err != nil {
		return err
	}
	if err := firstOf(
		choice("/mode", in.Mode, ModeTest, ModeLive), zone("/zone", in.Zone), country("/country", in.Country),
		policy.AtField("/currency", policy.ValidateCurrency(in.Currency)),
	); err != nil {
		return err
	}
	in.Phone, err = phoneOrNone("/phone", in.Phone, in.Country)
	return err
}

func (in *PracticeInput) create(ctx context.Context, tx *db.Tx, setup Setup, out *CreatedPractice) error {
	by := policy.System(tx.Practice)
	if err := tx.PracticeInsert(ctx, db.PracticeInsertParams{
		ID: tx.Practice, Mode: in.Mode, Name: in.Name, Zone: in.Zone, Currency: in.Currency, Country: in.Country, Mail: in.Mail,
		Phone: in.Phone, PostalAddress: in.PostalAddress, Locale: "en",
	}); err != nil {
		return fmt.Errorf("make the practice: %w", err)
	}
	if in.Mode == ModeTest {
		clk, err := readClock(ctx, tx.Queries, tx.Practice)
		if err != nil {
			return err
		}
		if err := tx.ClockInsert(ctx, tx.Practice, clk.real); err != nil {
			return fmt.Errorf("start the test clock: %w", err)
		}
	}
	if err := tx.Record(ctx, db.Entry{
		Verb: "practice_created", By: by, Object: "practice", ID: tx.Practice,
		After: map[string]string{"mode": in.Mode, "zone": in.Zone, "currency": in.Currency, "country": in.Country},
	}); err != nil {
		return err
	}
	var err error
	if out.Owner, err = addStaff(ctx, tx, by, StaffInput{Name: in.OwnerName, Mail: in.Mail, Role: policy.RoleOwner}); err != nil {
		return err
	}
	key := KeyInput{Name: "First key", Role: policy.RoleOwner, Staff: &out.Owner}
	if _, out.Key, err = addKey(ctx, tx, by, in.Mode, key); err != nil {
		return err
	}
	return setup.apply(ctx, tx, by, *in, out)
}

// PracticePatch changes what is given and leaves the rest.
type PracticePatch struct {
	Version       int32
	Name          *string
	Mail          *string
	Phone         *string
	PostalAddress *string
}

// UpdatePractice answers 409 stale_version when somebody else changed the practice after it was read.
func (d *Desk) UpdatePractice(ctx context.Context, by policy.Principal, in PracticePatch) (db.PracticeByIDRow, error) {
	var out db.PracticeByIDRow
	err := d.command(ctx, by, func(tx *db.Tx) error {
		before, err := tx.PracticeByID(ctx, tx.Practice)
		if err != nil {
			return notFound(err, "practice")
		}
		update := db.PracticeUpdateParams{
			ID: tx.Practice, Version: in.Version, Name: before.Name, Mail: before.Mail, Phone: before.Phone, PostalAddress: before.PostalAddress,
		}
		if err := in.apply(&update, before.Country); err != nil {
			return err
		}
		n, err := tx.PracticeUpdate(ctx, update)
		if err != nil {
			return err
		}
		if n == 0 {
			return staleVersion("practice")
		}
		if err := tx.Record(ctx, db.Entry{
			Verb: "practice_updated", By: by, Object: "practice", ID: tx.Practice,
			Before: map[string]any{"name": before.Name, "version": before.Version}, After: map[string]any{"name": update.Name, "version": before.Version + 1},
		}); err != nil {
			return err
		}
		out, err = tx.PracticeByID(ctx, tx.Practice)
		return err
	})
	return out, err
}

func (in PracticePatch) apply(p *db.PracticeUpdateParams, country string) (err error) {
	if in.Name != nil {
		if p.Name, err = line("/name", *in.Name, maxName); err != nil {
			return err
		}
	}
	if in.Mail != nil {
		if p.Mail, err = mailbox("/mail", *in.Mail); err != nil {
			return err
		}
	}
	if in.Phone != nil {
		if p.Phone, err = phoneOrNone("/phone", *in.Phone, country); err != nil {
			return err
		}
	}
	if in.PostalAddress != nil {
		p.PostalAddress, err = text("/postal_address", *in.PostalAddress, 300)
	}
	return err
}

// TakeSender gives a practice the number or account that its messages come from, so that answers find it. One that another
// practice has is a conflict.
func (d *Desk) TakeSender(ctx context.Context, by policy.Principal, gateway, account string) error {
	return d.command(ctx, by, func(tx *db.Tx) error {
		had, err := tx.GatewayAccountFor(ctx, tx.Practice, gateway)
		if err == nil && had == account {
			return nil
		}
		if err != nil && !db.NoRows(err) {
			return err
		}
		n, err := tx.GatewayAccountTake(ctx, db.GatewayAccountTakeParams{PracticeID: tx.Practice, Gateway: gateway, Account: account})
		if err != nil {
			return err
		}
		if n == 0 {
			return policy.NewError(policy.Conflict, "sender_taken", "This number or account belongs to another practice.")
		}
		return tx.Record(ctx, db.Entry{Verb: "sender_taken", By: by, Object: "practice", ID: tx.Practice, After: map[string]string{"gateway": gateway}})
	})
}
