package desk

import (
	"context"
	"fmt"
	"time"

	"github.com/kept-practice/kept/db"
	"github.com/kept-practice/kept/internal/policy"
)

// StaffInput adds a person.
type StaffInput struct {
	Name string
	Mail string
	Role policy.Role
}

// AddStaff takes a person on. Nobody gives a role that can do more than their own: 403.
func (d *Desk) AddStaff(ctx context.Context, by policy.Principal, in StaffInput) (db.Staff, error) {
	if err := in.clean(); err != nil {
		return db.Staff{}, err
	}
	if err := mayGrant(by, in.Role); err != nil {
		return db.Staff{}, err
	}
	var out db.Staff
	err := d.command(ctx, by, func(tx *db.Tx) error {
		id, err := addStaff(ctx, tx, by, in)
		if err != nil {
			return err
		}
		out, err = tx.StaffByID(ctx, tx.Practice, id)
		return err
	})
	return out, err
}

func (in *StaffInput) clean() (err error) {
	if in.Name, err = line("/name", in.Name, maxName); err != nil {
		return err
	}
	if in.Mail, err = mailbox("/mail", in.Mail); err != nil {
		return err
	}
	return knownRole(in.Role)
}

func addStaff(ctx context.Context, tx *db.Tx, by policy.Principal, in StaffInput) (policy.ID, error) {
	id := db.NewID()
	if err := tx.StaffInsert(ctx, db.StaffInsertParams{
		PracticeID: tx.Practice, ID: id, Name: in.Name, Mail: in.Mail, Role: string(in.Role),
	}); err != nil {
		return id, err
	}
	return id, tx.Record(ctx, db.Entry{Verb: "staff_added", By: by, Object: "staff", ID: id, After: map[string]policy.Role{"role": in.Role}})
}

// StaffPatch changes what is given and leaves the rest.
type StaffPatch struct {
	ID       policy.ID
	Version  int32
	Name     *string
	Mail     *string
	Role     *policy.Role
	Archived *bool // keys of a person who has left count as revoked
}

// UpdateStaff changes a person. A role is given and taken only by those who can do all that it can, one's own included, and
// the last owner stays one.
func (d *Desk) UpdateStaff(ctx context.Context, by policy.Principal, in StaffPatch) (db.Staff, error) {
	var out db.Staff
	err := d.command(ctx, by, func(tx *db.Tx) error {
		owners, err := tx.StaffOwnersLock(ctx, tx.Practice)
		if err != nil {
			return fmt.Errorf("lock the owners: %w", err)
		}
		before, err := tx.StaffByID(ctx, tx.Practice, in.ID)
		if err != nil {
			return notFound(err, "staff")
		}
		clk, err := readClock(ctx, tx.Queries, tx.Practice)
		if err != nil {
			return err
		}
		update, err := in.apply(by, before, clk.real) // people come and go on the real calendar, never on a test clock
		if err != nil {
			return err
		}
		leaves := update.ArchivedAt != nil || update.Role != string(policy.RoleOwner)
		if len(owners) == 1 && owners[0] == in.ID && leaves {
			return policy.NewError(policy.Forbidden, "last_owner", "This is the last owner. Make somebody else an owner first.")
		}
		n, err := tx.StaffUpdate(ctx, update)
		if err != nil {
			return err
		}
		if n == 0 {
			return staleVersion("person")
		}
		if err := tx.Record(ctx, db.Entry{
			Verb: "staff_updated", By: by, Object: "staff", ID: in.ID,
			Before: map[string]any{"role": before.Role, "archived": before.ArchivedAt != nil},
			After:  map[string]any{"role": update.Role, "archived": update.ArchivedAt != nil},
		}); err != nil {
			return err
		}
		out, err = tx.StaffByID(ctx, tx.Practice, in.ID)
		return err
	})
	return out, err
}

func (in StaffPatch) apply(by policy.Principal, before db.Staff, now time.Time) (db.StaffUpdateParams, error) {
	p := db.StaffUpdateParams{
		PracticeID: before.PracticeID, ID: before.ID, Version: in.Version, Name: before.Name, Mail: before.Mail, Role: before.Role, ArchivedAt: before.ArchivedAt,
	}
	var err error
	if in.Name != nil {
		if p.Name, err = line("/name", *in.Name, maxName); err != nil {
			return p, err
		}
	}
	if in.Mail != nil {
		if p.Mail, err = mailbox("/mail", *in.Mail); err != nil {
			return p, err
		}
	}
	if in.Role != nil && string(*in.Role) != before.Role {
		if err := firstOf(knownRole(*in.Role), mayGrant(by, *in.Role), mayGrant(by, policy.Role(before.Role))); err != nil {
			return p, err
		}
		p.Role = string(*in.Role)
	}
	if in.Archived != nil && *in.Archived != (before.ArchivedAt != nil) {
		if err := mayGrant(by, policy.Role(before.Role)); err != nil {
			return p, err
		}
		p.ArchivedAt = nil
		if *in.Archived {
			p.ArchivedAt = &now
		}
	}
	return p, nil
}

// KeyInput makes an API key. A key that belongs to a person ends when they leave.
type KeyInput struct {
	Name      string
	Role      policy.Role
	Staff     *policy.ID
	ExpiresAt *time.Time
}

// CreatedKey is a new key; its raw text exists only here.
type CreatedKey struct {
	ID  policy.ID
	Key Key
}

// CreateKey mints a key whose role reaches no further than the caller's own.
func (d *Desk) CreateKey(ctx context.Context, by policy.Principal, in KeyInput) (CreatedKey, error) {
	var err error
	if in.Name, err = line("/name", in.Name, maxName); err != nil {
		return CreatedKey{}, err
	}
	if err := firstOf(knownRole(in.Role), mayGrant(by, in.Role)); err != nil {
		return CreatedKey{}, err
	}
	var out CreatedKey
	err = d.command(ctx, by, func(tx *db.Tx) error {
		practice, err := tx.PracticeByID(ctx, tx.Practice)
		if err != nil {
			return notFound(err, "practice")
		}
		clk, err := readClock(ctx, tx.Queries, tx.Practice)
		if err != nil {
			return err
		}
		if in.ExpiresAt != nil && !in.ExpiresAt.After(clk.real) {
			return policy.InvalidField("/expires_at", "in_the_past", "A key must expire in the future.")
		}
		if in.Staff != nil {
			person, err := tx.StaffByID(ctx, tx.Practice, *in.Staff)
			if err != nil {
				return notFound(err, "staff")
			}
			if person.ArchivedAt != nil {
				return policy.NewError(policy.Conflict, "archived", "This person has left. A key for them would not work.")
			}
		}
		out.ID, out.Key, err = addKey(ctx, tx, by, practice.Mode, in)
		return err
	})
	return out, err
}

func addKey(ctx context.Context, tx *db.Tx, by policy.Principal, mode string, in KeyInput) (policy.ID, Key, error) {
	id, key := db.NewID(), NewKey(mode)
	if err := tx.APIKeyInsert(ctx, db.APIKeyInsertParams{
		PracticeID: tx.Practice, ID: id, Name: in.Name, Role: string(in.Role), StaffID: in.Staff, Hash: key.Hash, Last4: key.Last4, ExpiresAt: in.ExpiresAt,
	}); err != nil {
		return id, key, fmt.Errorf("store the key: %w", err)
	}
	return id, key, tx.Record(ctx, db.Entry{
		Verb: "api_key_created", By: by, Object: "api_key", ID: id, After: map[string]any{"role": in.Role, "staff": in.Staff, "expires_at": in.ExpiresAt},
	})
}

// RevokeKey ends a key at once. Revoking one that is revoked already is no error: its purpose is reached.
func (d *Desk) RevokeKey(ctx context.Context, by policy.Principal, id policy.ID) error {
	return d.command(ctx, by, func(tx *db.Tx) error {
		if _, err := tx.APIKeyByID(ctx, tx.Practice, id); err != nil {
			return notFound(err, "api_key")
		}
		n, err := tx.APIKeyRevoke(ctx, tx.Practice, id)
		if err != nil || n == 0 {
			return err
		}
		return tx.Record(ctx, db.Entry{Verb: "api_key_revoked", By: by, Object: "api_key", ID: id})
	})
}

// mayGrant: kept itself sets a practice up; everybody else gives and takes only what they have.
func mayGrant(by policy.Principal, role policy.Role) error {
	if by.Kind == policy.BySystem || policy.CanGrant(by.Role, role) {
		return nil
	}
	return policy.NewError(policy.Forbidden, "role_above_own", "Your role cannot give or take the role "+string(role)+". Ask an owner.")
}

func knownRole(role policy.Role) error {
	names := make([]string, 0, len(policy.AllRoles()))
	for _, r := range policy.AllRoles() {
		names = append(names, string(r))
	}
	return choice("/role", string(role), names...)
}
