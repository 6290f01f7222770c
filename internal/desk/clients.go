package desk

import (
	"context"
	"fmt"
	"regexp"

	"github.com/kept-practice/kept/db"
	"github.com/kept-practice/kept/internal/policy"
)

// Statuses of a client. Archived and erased clients cannot be booked; an inactive one gets no messages.
const (
	ClientActive   = "active"
	ClientInactive = "inactive"
	ClientArchived = "archived"
	ClientErased   = "erased"
)

// Client is a client with the addresses in use.
type Client struct {
	db.ClientByIDRow
	Contacts []db.ContactPointsOfRow
	Rung     []policy.Subject
}

// ClientInput adds a client.
type ClientInput struct {
	GivenName  string
	FamilyName string
	BirthdayOn *policy.LocalDate
	Locale     string  // "" is en
	Zone       *string // nil: unknown
	Prefers    string  // mail or sms; "" is the practice's setting
	Mail       string
	Phone      string
	Payer      *policy.ID // another client who pays
	Source     string
}

// CreateClient adds a client. Names are kept as written; addresses are cleaned, phones become E.164.
func (d *Desk) CreateClient(ctx context.Context, by policy.Principal, in ClientInput) (Client, error) {
	var out Client
	err := d.command(ctx, by, func(tx *db.Tx) error {
		practice, err := tx.PracticeByID(ctx, tx.Practice)
		if err != nil {
			return notFound(err, "practice")
		}
		clk, err := readClock(ctx, tx.Queries, tx.Practice)
		if err != nil {
			return err
		}
		if in.Prefers == "" {
			settings, err := settingsAt(ctx, tx.Queries, tx.Practice, nil, nil, nil)
			if err != nil {
				return err
			}
			in.Prefers = settings.PreferChannel
		}
		if err := in.clean(practice.Country, policy.LocalDate{Year: clk.real.Year(), Month: clk.real.Month(), Day: clk.real.Day()}); err != nil {
			return err
		}
		out, err = in.insert(ctx, tx, by)
		return err
	})
	return out, err
}

func (in *ClientInput) insert(ctx context.Context, tx *db.Tx, by policy.Principal) (Client, error) {
	if in.Payer != nil {
		if _, err := tx.ClientByID(ctx, tx.Practice, *in.Payer); err != nil {
			return Client{}, policy.AtField("/payer", notFound(err, "client"))
		}
	}
	id := db.NewID()
	if err := tx.ClientInsert(ctx, db.ClientInsertParams{
		PracticeID: tx.Practice, ID: id, GivenName: in.GivenName, FamilyName: in.FamilyName, BirthdayOn: in.BirthdayOn, Locale: in.Locale,
		Zone: in.Zone, PayerID: in.Payer, Prefers: in.Prefers, Source: in.Source,
	}); err != nil {
		return Client{}, err
	}
	for _, c := range []struct{ channel, given string }{{policy.ChannelMail, in.Mail}, {policy.ChannelSMS, in.Phone}} {
		if c.given == "" {
			continue
		}
		if err := tx.ContactPointInsert(ctx, db.ContactPointInsertParams{
			PracticeID: tx.Practice, ID: db.NewID(), ClientID: id, Channel: c.channel, Address: addressKey(c.channel, c.given), Shown: c.given,
		}); err != nil {
			return Client{}, err
		}
	}
	if err := tx.Record(ctx, db.Entry{
		Verb: "client_created", By: by, Object: "client", ID: id, After: map[string]string{"prefers": in.Prefers, "locale": in.Locale, "source": in.Source},
	}); err != nil {
		return Client{}, err
	}
	return readClient(ctx, tx, id)
}

func (in *ClientInput) clean(country string, today policy.LocalDate) (err error) {
	if in.GivenName, err = line("/given_name", in.GivenName, maxName); err != nil {
		return err
	}
	if in.FamilyName, err = line("/family_name", in.FamilyName, maxName); err != nil {
		return err
	}
	if in.Source, err = lineOrNone("/source", in.Source, 60); err != nil {
		return err
	}
	if in.Locale == "" {
		in.Locale = "en"
	}
	if in.Mail != "" {
		if in.Mail, err = mailbox("/mail", in.Mail); err != nil {
			return err
		}
	}
	if in.Phone, err = phoneOrNone("/phone", in.Phone, country); err != nil {
		return err
	}
	return firstOf(
		birthday(in.BirthdayOn, today), locale(in.Locale), zoneOrNone(in.Zone), choice("/prefers", in.Prefers, policy.ChannelMail, policy.ChannelSMS),
	)
}

func birthday(d *policy.LocalDate, today policy.LocalDate) error {
	if d != nil && (!d.Valid() || d.Year < 1880 || d.After(today)) {
		return policy.InvalidField("/birthday_on", "out_of_range", "A birthday lies in the past, 1880 at the earliest.")
	}
	return nil
}

var localeForm = regexp.MustCompile(`^[a-z]{2,3}(-[A-Z]{2})?$`)

func locale(s string) error {
	if !localeForm.MatchString(s) {
		return policy.InvalidField("/locale", "invalid_locale", "Name the language like en or pt-BR.")
	}
	return nil
}

func zoneOrNone(name *string) error {
	if name == nil {
		return nil
	}
	return zone("/zone", *name)
}

// ClientPatch changes what is given and leaves the rest; a nil inside a given pointer takes the value away.
type ClientPatch struct {
	ID         policy.ID
	Version    int32
	GivenName  *string
	FamilyName *string
	BirthdayOn **policy.LocalDate
	Locale     *string
	Zone       **string
	Prefers    *string
	Status     *string // active, inactive or archived; EraseClient erases
}

// UpdateClient answers 409 stale_version when somebody else changed the client after it was read, and 409 with the list when
// a client with visits ahead is to be archived.
func (d *Desk) UpdateClient(ctx context.Context, by policy.Principal, in ClientPatch) (Client, error) {
	var out Client
	err := d.command(ctx, by, func(tx *db.Tx) error {
		before, err := lockClient(ctx, tx, in.ID)
		if err != nil {
			return err
		}
		clk, err := readClock(ctx, tx.Queries, tx.Practice)
		if err != nil {
			return err
		}
		update, err := in.over(before, policy.LocalDate{Year: clk.real.Year(), Month: clk.real.Month(), Day: clk.real.Day()})
		if err != nil {
			return err
		}
		if update.Status == ClientArchived && before.Status != ClientArchived {
			if err := noVisitsAhead(ctx, tx, in.ID, clk); err != nil {
				return err
			}
		}
		n, err := tx.ClientUpdate(ctx, update)
		if err != nil {
			return err
		}
		if n == 0 {
			return staleVersion("client")
		}
		out, err = recordClient(ctx, tx, by, before, update)
		return err
	})
	return out, err
}

func (in ClientPatch) over(c db.ClientByIDRow, today policy.LocalDate) (db.ClientUpdateParams, error) {
	next := ClientInput{
		GivenName: c.GivenName, FamilyName: c.FamilyName, BirthdayOn: c.BirthdayOn, Locale: c.Locale, Zone: c.Zone, Prefers: c.Prefers,
	}
	status := c.Status
	put(&next.GivenName, in.GivenName)
	put(&next.FamilyName, in.FamilyName)
	put(&next.BirthdayOn, in.BirthdayOn)
	put(&next.Locale, in.Locale)
	put(&next.Zone, in.Zone)
	put(&next.Prefers, in.Prefers)
	put(&status, in.Status)
	err := firstOf(next.clean("", today), choice("/status", status, ClientActive, ClientInactive, ClientArchived))
	return db.ClientUpdateParams{
		PracticeID: c.PracticeID, ID: c.ID, Version: in.Version, GivenName: next.GivenName, FamilyName: next.FamilyName, BirthdayOn: next.BirthdayOn,
		Locale: next.Locale, Zone: next.Zone, Prefers: next.Prefers, Status: status,
	}, err
}

// recordClient journals what changed, without names, and rings the client's open subjects when their plans turn on it.
func recordClient(ctx context.Context, tx *db.Tx, by policy.Principal, before db.ClientByIDRow, after db.ClientUpdateParams) (Client, error) {
	verb := "client_updated"
	switch {
	case before.Status != after.Status:
		verb = policy.ClientEnded
	case before.Prefers != after.Prefers || !sameText(before.Zone, after.Zone):
		verb = policy.ContactChanged
	}
	rings, err := openSubjects(ctx, tx, verb, []policy.ID{before.ID})
	if err != nil {
		return Client{}, err
	}
	if err := tx.Record(ctx, db.Entry{
		Verb: verb, By: by, Object: "client", ID: before.ID, Rings: rings,
		Before: map[string]any{"status": before.Status, "prefers": before.Prefers, "version": before.Version},
		After:  map[string]any{"status": after.Status, "prefers": after.Prefers, "version": before.Version + 1},
	}); err != nil {
		return Client{}, err
	}
	out, err := readClient(ctx, tx, before.ID)
	out.Rung = rings
	return out, err
}

func sameText(a, b *string) bool { return (a == nil) == (b == nil) && (a == nil || *a == *b) }

// EraseClient takes away everything that says who a client was: name, birthday, addresses, links. Visits, books and journal
// keep their row. With visits ahead it answers 409 and lists them.
func (d *Desk) EraseClient(ctx context.Context, by policy.Principal, id policy.ID, version int32, reason string) ([]policy.Subject, error) {
	var rings []policy.Subject
	err := d.command(ctx, by, func(tx *db.Tx) error {
		before, err := lockClient(ctx, tx, id)
		if err != nil {
			return err
		}
		clk, err := readClock(ctx, tx.Queries, tx.Practice)
		if err != nil {
			return err
		}
		if err := noVisitsAhead(ctx, tx, id, clk); err != nil {
			return err
		}
		n, err := tx.ClientErase(ctx, db.ClientEraseParams{PracticeID: tx.Practice, ID: id, Version: version})
		if err != nil {
			return err
		}
		if n == 0 {
			return staleVersion("client")
		}
		if err := tx.ContactPointsErase(ctx, tx.Practice, id); err != nil {
			return fmt.Errorf("erase addresses: %w", err)
		}
		if err := revokeClientLinks(ctx, tx, id, "erased", clk); err != nil {
			return err
		}
		if rings, err = openSubjects(ctx, tx, policy.ClientEnded, []policy.ID{id}); err != nil {
			return err
		}
		return tx.Record(ctx, db.Entry{
			Verb: policy.ClientEnded, By: by, Object: "client", ID: id, Reason: reason, Rings: rings,
			Before: map[string]string{"status": before.Status}, After: map[string]string{"status": ClientErased},
		})
	})
	return rings, err
}

func noVisitsAhead(ctx context.Context, tx *db.Tx, client policy.ID, clk clock) error {
	next, err := tx.AppointmentNextOf(ctx, db.AppointmentNextOfParams{PracticeID: tx.Practice, ClientID: client, Now: clk.now})
	if db.NoRows(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("find the client's next visit: %w", err)
	}
	e := policy.NewError(policy.Conflict, "client_in_use", "The client has visits ahead. Cancel them first.")
	e.Facts = map[string]any{"next_appointment": next}
	return e
}

// lockClient locks a client and reads them; an erased one is not there.
func lockClient(ctx context.Context, tx *db.Tx, id policy.ID) (db.ClientByIDRow, error) {
	if err := tx.Lock(ctx, db.LockSet{Clients: []policy.ID{id}}); err != nil {
		return db.ClientByIDRow{}, err
	}
	c, err := tx.ClientByID(ctx, tx.Practice, id)
	if err != nil {
		return c, notFound(err, "client")
	}
	if c.Status == ClientErased {
		return c, policy.NewError(policy.NotFound, "client_not_found", "There is no such client in this practice.")
	}
	return c, nil
}

func readClient(ctx context.Context, tx *db.Tx, id policy.ID) (Client, error) {
	row, err := tx.ClientByID(ctx, tx.Practice, id)
	if err != nil {
		return Client{}, notFound(err, "client")
	}
	contacts, err := tx.ContactPointsOf(ctx, tx.Practice, id)
	return Client{ClientByIDRow: row, Contacts: contacts}, err
}
