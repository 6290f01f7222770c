package desk

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/kept-practice/kept/db"
	"github.com/kept-practice/kept/internal/policy"
)

// addressKey is what an address is compared by: mailboxes without regard to case, phones in E.164 already.
func addressKey(channel, address string) string {
	if channel == policy.ChannelMail {
		return strings.ToLower(address)
	}
	return address
}

// cleanAddress reads an address of a channel as somebody wrote it.
func cleanAddress(pointer, channel, s, country string) (key, shown string, err error) {
	if err := choice("/channel", channel, policy.ChannelMail, policy.ChannelSMS); err != nil {
		return "", "", err
	}
	if channel == policy.ChannelMail {
		shown, err = mailbox(pointer, s)
	} else {
		shown, err = phone(pointer, s, country)
	}
	return addressKey(channel, shown), shown, err
}

// AddContact gives a client an address; the newest of a channel is the one in use. Where it takes another's place, links that
// went to the old one end.
func (d *Desk) AddContact(ctx context.Context, by policy.Principal, client policy.ID, channel, address string) (Client, error) {
	var out Client
	err := d.command(ctx, by, func(tx *db.Tx) error {
		if _, err := lockClient(ctx, tx, client); err != nil {
			return err
		}
		practice, err := tx.PracticeByID(ctx, tx.Practice)
		if err != nil {
			return notFound(err, "practice")
		}
		key, shown, err := cleanAddress("/address", channel, address, practice.Country)
		if err != nil {
			return err
		}
		before, err := tx.ContactPointsOf(ctx, tx.Practice, client)
		if err != nil {
			return fmt.Errorf("read the client's addresses: %w", err)
		}
		id := db.NewID()
		if err := tx.ContactPointInsert(ctx, db.ContactPointInsertParams{
			PracticeID: tx.Practice, ID: id, ClientID: client, Channel: channel, Address: key, Shown: shown,
		}); err != nil {
			return err
		}
		replaces := slices.ContainsFunc(before, func(p db.ContactPointsOfRow) bool { return p.Channel == channel })
		out, err = contactChanged(ctx, tx, by, client, id, replaces, map[string]any{"channel": channel, "open": true})
		return err
	})
	return out, err
}

// CloseContact takes an address out of use, with the links that went to it.
func (d *Desk) CloseContact(ctx context.Context, by policy.Principal, client, contact policy.ID, reason string) (Client, error) {
	reason, err := line("/reason", reason, 200)
	if err != nil {
		return Client{}, err
	}
	var out Client
	err = d.command(ctx, by, func(tx *db.Tx) error {
		if _, err := lockClient(ctx, tx, client); err != nil {
			return err
		}
		point, err := tx.ContactPointByID(ctx, tx.Practice, contact)
		if err != nil {
			return notFound(err, "contact_point")
		}
		if point.ClientID != client {
			return policy.NewError(policy.NotFound, "contact_point_not_found", "This client has no such address.")
		}
		n, err := tx.ContactPointClose(ctx, db.ContactPointCloseParams{
			PracticeID: tx.Practice, ClientID: client, Channel: point.Channel, Address: point.Address, Reason: reason,
		})
		if err != nil {
			return err
		}
		if n == 0 {
			out, err = readClient(ctx, tx, client)
			return err
		}
		out, err = contactChanged(ctx, tx, by, client, contact, true, map[string]any{"channel": point.Channel, "open": false})
		return err
	})
	return out, err
}

func contactChanged(ctx context.Context, tx *db.Tx, by policy.Principal, client, contact policy.ID, revoke bool, after any) (Client, error) {
	clk, err := readClock(ctx, tx.Queries, tx.Practice)
	if err != nil {
		return Client{}, err
	}
	if revoke {
		if err := revokeClientLinks(ctx, tx, client, "address_changed", clk); err != nil {
			return Client{}, err
		}
	}
	rings, err := openSubjects(ctx, tx, policy.ContactChanged, []policy.ID{client})
	if err != nil {
		return Client{}, err
	}
	if err := tx.Record(ctx, db.Entry{
		Verb: policy.ContactChanged, By: by, Object: "client", ID: client, Rings: rings, After: map[string]any{"contact_point": contact, "change": after},
	}); err != nil {
		return Client{}, err
	}
	out, err := readClient(ctx, tx, client)
	out.Rung = rings
	return out, err
}

func revokeClientLinks(ctx context.Context, tx *db.Tx, client policy.ID, reason string, clk clock) error {
	_, err := tx.LinksRevokeOfClient(ctx, db.LinksRevokeOfClientParams{
		PracticeID: tx.Practice, ClientID: client, RevokedAt: &clk.now, RevokedReason: reason,
	})
	if err != nil {
		return fmt.Errorf("revoke the client's links: %w", err)
	}
	return nil
}

// ConsentInput is what a client agreed to or withdrew, for one channel and purpose.
type ConsentInput struct {
	Client  policy.ID
	Channel string
	Purpose string // service, recall or marketing
	Granted bool
	Source  string // where it was said: form, phone, desk …
}

// RecordConsent adds a line to what the client said; the latest counts.
func (d *Desk) RecordConsent(ctx context.Context, by policy.Principal, in ConsentInput) ([]policy.Subject, error) {
	source, err := line("/source", in.Source, 60)
	if err != nil {
		return nil, err
	}
	if err := firstOf(
		choice("/channel", in.Channel, policy.ChannelMail, policy.ChannelSMS), choice("/purpose", in.Purpose, "service", "recall", "marketing"),
	); err != nil {
		return nil, err
	}
	verb := policy.OptedIn
	if !in.Granted {
		verb = policy.OptedOut
	}
	var rings []policy.Subject
	err = d.command(ctx, by, func(tx *db.Tx) error {
		if _, err := lockClient(ctx, tx, in.Client); err != nil {
			return err
		}
		clk, err := readClock(ctx, tx.Queries, tx.Practice)
		if err != nil {
			return err
		}
		if err := tx.ConsentInsert(ctx, db.ConsentInsertParams{
			PracticeID: tx.Practice, ID: db.NewID(), ClientID: in.Client, Channel: in.Channel, Purpose: in.Purpose, Granted: in.Granted, Source: source, At: clk.now,
		}); err != nil {
			return fmt.Errorf("record consent: %w", err)
		}
		if rings, err = openSubjects(ctx, tx, verb, []policy.ID{in.Client}); err != nil {
			return err
		}
		return tx.Record(ctx, db.Entry{
			Verb: verb, By: by, Object: "client", ID: in.Client, Rings: rings,
			After: map[string]any{"channel": in.Channel, "purpose": in.Purpose, "granted": in.Granted, "source": source},
		})
	})
	return rings, err
}

// OptOutInput is what was said about an address, by whoever of those who share it.
type OptOutInput struct {
	Channel string
	Address string
	Purpose string // all, recall or marketing; not asked for by OptIn, which takes everything back
	Source  string // where it was said: phone, desk, letter …
}

// OptOut stops messages to an address for everybody in the practice who has it. Saying it again changes nothing.
func (d *Desk) OptOut(ctx context.Context, by policy.Principal, in OptOutInput) ([]policy.Subject, error) {
	if err := choice("/purpose", in.Purpose, "all", "recall", "marketing"); err != nil {
		return nil, err
	}
	return d.atAddress(ctx, by, in, d.optOut)
}

// OptIn takes back every opt-out of an address.
func (d *Desk) OptIn(ctx context.Context, by policy.Principal, in OptOutInput) ([]policy.Subject, error) {
	in.Purpose = "all"
	return d.atAddress(ctx, by, in, d.optIn)
}

func (d *Desk) atAddress(ctx context.Context, by policy.Principal, in OptOutInput,
	say func(context.Context, *db.Tx, policy.Principal, optOutInput) ([]policy.Subject, error),
) ([]policy.Subject, error) {
	source, err := line("/source", in.Source, 60)
	if err != nil {
		return nil, err
	}
	var rung []policy.Subject
	err = d.command(ctx, by, func(tx *db.Tx) error {
		practice, err := tx.PracticeByID(ctx, tx.Practice)
		if err != nil {
			return notFound(err, "practice")
		}
		key, _, err := cleanAddress("/address", in.Channel, in.Address, practice.Country)
		if err != nil {
			return err
		}
		rung, err = say(ctx, tx, by, optOutInput{channel: in.Channel, address: key, purpose: in.Purpose, source: source})
		return err
	})
	return rung, err
}
