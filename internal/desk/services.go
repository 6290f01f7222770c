package desk

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"

	"github.com/kept-practice/kept/db"
	"github.com/kept-practice/kept/internal/policy"
)

// ServiceInput is a bookable kind of appointment. Price is in minor units of the practice's currency, from today on.
type ServiceInput struct {
	Name                string
	DurationMinutes     int
	BufferBeforeMinutes int
	BufferAfterMinutes  int
	LocationKind        string // in_person, phone or video; "" is in_person
	URLTemplate         string // of a video visit
	NeedsRoom           bool
	Code                string
	TaxBP               int
	RecallEvery         string     // ISO 8601 period; "" for none
	RecallService       *policy.ID // invited back for this service; nil: the same one
	Online              bool
	Price               int64
	Resources           []policy.ID // providers who offer it, rooms and equipment it may use
	Forms               []string    // keys, in the order of the packet
}

func (in *ServiceInput) clean() (err error) {
	if in.Name, err = line("/name", in.Name, maxName); err != nil {
		return err
	}
	if in.Code, err = lineOrNone("/code", in.Code, 40); err != nil {
		return err
	}
	if in.LocationKind == "" {
		in.LocationKind = "in_person"
	}
	if in.RecallEvery, err = recallEvery(in.RecallEvery); err != nil {
		return err
	}
	return firstOf(
		within("/duration_minutes", in.DurationMinutes, 5, 1440), within("/buffer_before_minutes", in.BufferBeforeMinutes, 0, 240),
		within("/buffer_after_minutes", in.BufferAfterMinutes, 0, 240), within("/tax_bp", in.TaxBP, 0, 10_000),
		choice("/location_kind", in.LocationKind, "in_person", "phone", "video"), videoURL(in.LocationKind, in.URLTemplate), price(in.Price),
	)
}

// recallEvery gives the interval in its one written form.
func recallEvery(s string) (string, error) {
	if s == "" {
		return "", nil
	}
	every, err := policy.ParseInterval(s)
	if err != nil {
		return "", policy.AtField("/recall_every", err)
	}
	return every.String(), nil
}

func price(amount int64) error {
	if amount < 0 || amount > policy.MaxAmount {
		return policy.InvalidField("/price", "amount_out_of_range", fmt.Sprintf("Amounts are whole minor units from 0 to %d.", policy.MaxAmount))
	}
	return nil
}

func videoURL(kind, template string) error {
	if template == "" {
		return nil
	}
	u, err := url.Parse(template)
	if kind != "video" || err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil || len(template) > 500 || strings.ContainsAny(template, "\r\n \"<>") {
		return policy.InvalidField("/url_template", "invalid_url", "A video visit has an address like https://video.example.org/room; other kinds have none.")
	}
	return nil
}

// CreateService adds a service with its price from today on.
func (d *Desk) CreateService(ctx context.Context, by policy.Principal, in ServiceInput) (db.Service, error) {
	if err := in.clean(); err != nil {
		return db.Service{}, err
	}
	var out db.Service
	err := d.command(ctx, by, func(tx *db.Tx) error {
		id, err := addService(ctx, tx, by, in)
		if err != nil {
			return err
		}
		out, err = tx.ServiceByID(ctx, tx.Practice, id)
		return err
	})
	return out, err
}

func addService(ctx context.Context, tx *db.Tx, by policy.Principal, in ServiceInput) (policy.ID, error) {
	id := db.NewID()
	recallService := in.RecallService
	if recallService != nil {
		if _, err := tx.ServiceByID(ctx, tx.Practice, *recallService); err != nil {
			return id, policy.AtField("/recall_service", notFound(err, "service"))
		}
	}
	if err := tx.ServiceInsert(ctx, db.ServiceInsertParams{
		PracticeID: tx.Practice, ID: id, Name: in.Name, DurationMinutes: int32(in.DurationMinutes), BufferBeforeMinutes: int32(in.BufferBeforeMinutes),
		BufferAfterMinutes: int32(in.BufferAfterMinutes), LocationKind: in.LocationKind, UrlTemplate: in.URLTemplate, NeedsRoom: in.NeedsRoom,
		Code: in.Code, TaxBp: int32(in.TaxBP), RecallEvery: in.RecallEvery, RecallServiceID: recallService, Online: in.Online,
	}); err != nil {
		return id, err
	}
	if err := addPrice(ctx, tx, id, nil, in.Price); err != nil {
		return id, err
	}
	if err := setServiceUses(ctx, tx, id, in.Resources, in.Forms); err != nil {
		return id, err
	}
	return id, tx.Record(ctx, db.Entry{
		Verb: "service_created", By: by, Object: "service", ID: id,
		After: map[string]any{"duration_minutes": in.DurationMinutes, "price": in.Price, "recall_every": in.RecallEvery},
	})
}

// addPrice writes a price from a day on, today when none is given. Prices are dated and never overwritten.
func addPrice(ctx context.Context, tx *db.Tx, service policy.ID, from *policy.LocalDate, amount int64) error {
	practice, err := tx.PracticeByID(ctx, tx.Practice)
	if err != nil {
		return notFound(err, "practice")
	}
	today, err := today(ctx, tx, practice.Zone)
	if err != nil {
		return err
	}
	if from == nil {
		from = &today
	}
	if from.Before(today) {
		return policy.InvalidField("/from_on", "in_the_past", "A price counts from today or later: what was visited before has its price.")
	}
	if err := tx.PriceInsert(ctx, db.PriceInsertParams{
		PracticeID: tx.Practice, ServiceID: service, FromOn: *from, Amount: amount, Currency: practice.Currency,
	}); err != nil {
		return fmt.Errorf("write the price: %w", err)
	}
	return nil
}

// today is the practice's local day, on its clock.
func today(ctx context.Context, tx *db.Tx, zone string) (policy.LocalDate, error) {
	clk, err := readClock(ctx, tx.Queries, tx.Practice)
	if err != nil {
		return policy.LocalDate{}, err
	}
	loc, err := policy.LoadZone(zone)
	if err != nil {
		return policy.LocalDate{}, fmt.Errorf("zone of the practice: %w", err)
	}
	return policy.LocalDay(clk.now, loc), nil
}

// setServiceUses replaces who and what a service may use, and the forms it asks for; nil leaves a list as it is.
func setServiceUses(ctx context.Context, tx *db.Tx, service policy.ID, resources []policy.ID, forms []string) error {
	if resources != nil {
		if err := tx.ServiceResourcesClear(ctx, tx.Practice, service); err != nil {
			return fmt.Errorf("clear what the service uses: %w", err)
		}
		for i, r := range resources {
			if _, err := tx.ResourceByID(ctx, tx.Practice, r); err != nil {
				return policy.AtField(fmt.Sprintf("/resources/%d", i), notFound(err, "resource"))
			}
			if err := tx.ServiceResourceInsert(ctx, db.ServiceResourceInsertParams{PracticeID: tx.Practice, ServiceID: service, ResourceID: r}); err != nil {
				return err
			}
		}
	}
	if forms == nil {
		return nil
	}
	if err := tx.ServiceFormsClear(ctx, tx.Practice, service); err != nil {
		return fmt.Errorf("clear the forms of the service: %w", err)
	}
	known, err := tx.FormList(ctx, tx.Practice)
	if err != nil {
		return fmt.Errorf("find the forms: %w", err)
	}
	keys := map[string]bool{}
	for _, f := range known {
		keys[f.FormKey] = true
	}
	for i, key := range forms {
		if !keys[key] {
			return policy.InvalidField(fmt.Sprintf("/forms/%d", i), "unknown_form", "There is no form with this key.")
		}
		if err := tx.ServiceFormInsert(ctx, db.ServiceFormInsertParams{PracticeID: tx.Practice, ServiceID: service, FormKey: key, Position: int32(i)}); err != nil {
			return err
		}
	}
	return nil
}

// ServicePatch changes what is given and leaves the rest. A changed length or buffer counts for bookings from now on; those
// that stand keep their time.
type ServicePatch struct {
	ID                  policy.ID
	Version             int32
	Name                *string
	DurationMinutes     *int
	BufferBeforeMinutes *int
	BufferAfterMinutes  *int
	LocationKind        *string
	URLTemplate         *string
	NeedsRoom           *bool
	Code                *string
	TaxBP               *int
	RecallEvery         *string
	RecallService       **policy.ID // a nil inside: the same service
	Online              *bool
	Resources           []policy.ID // nil leaves them
	Forms               []string    // nil leaves them
}

// UpdateService answers 409 stale_version when somebody else changed the service after it was read.
func (d *Desk) UpdateService(ctx context.Context, by policy.Principal, in ServicePatch) (db.Service, error) {
	var out db.Service
	err := d.command(ctx, by, func(tx *db.Tx) error {
		before, err := tx.ServiceByID(ctx, tx.Practice, in.ID)
		if err != nil {
			return notFound(err, "service")
		}
		next := in.over(before)
		if err := next.clean(); err != nil {
			return err
		}
		if next.RecallService != nil {
			if _, err := tx.ServiceByID(ctx, tx.Practice, *next.RecallService); err != nil {
				return policy.AtField("/recall_service", notFound(err, "service"))
			}
		}
		n, err := tx.ServiceUpdate(ctx, db.ServiceUpdateParams{
			PracticeID: tx.Practice, ID: in.ID, Version: in.Version, Name: next.Name, DurationMinutes: int32(next.DurationMinutes),
			BufferBeforeMinutes: int32(next.BufferBeforeMinutes), BufferAfterMinutes: int32(next.BufferAfterMinutes), LocationKind: next.LocationKind,
			UrlTemplate: next.URLTemplate, NeedsRoom: next.NeedsRoom, Code: next.Code, TaxBp: int32(next.TaxBP), RecallEvery: next.RecallEvery,
			RecallServiceID: next.RecallService, Online: next.Online,
		})
		if err != nil {
			return err
		}
		if n == 0 {
			return staleVersion("service")
		}
		if err := setServiceUses(ctx, tx, in.ID, in.Resources, in.Forms); err != nil {
			return err
		}
		if out, err = tx.ServiceByID(ctx, tx.Practice, in.ID); err != nil {
			return err
		}
		return recordService(ctx, tx, by, before, out)
	})
	return out, err
}

// recordService journals a changed service. One that begins or ceases to recall changes what every open journey of it plans.
func recordService(ctx context.Context, tx *db.Tx, by policy.Principal, before, after db.Service) error {
	if err := tx.Record(ctx, db.Entry{
		Verb: "service_updated", By: by, Object: "service", ID: after.ID, Before: serviceFacts(before), After: serviceFacts(after),
	}); err != nil {
		return err
	}
	if before.RecallEvery == after.RecallEvery {
		return nil
	}
	_, err := tx.OutboxInsertOpen(ctx, "service_updated", tx.Practice)
	return err
}

func serviceFacts(s db.Service) json.RawMessage {
	raw, err := json.Marshal(map[string]any{
		"duration_minutes": s.DurationMinutes, "buffer_before_minutes": s.BufferBeforeMinutes, "buffer_after_minutes": s.BufferAfterMinutes,
		"tax_bp": s.TaxBp, "recall_every": s.RecallEvery, "online": s.Online, "version": s.Version,
	})
	if err != nil {
		panic(err) // numbers and texts always marshal
	}
	return raw
}

func (in ServicePatch) over(s db.Service) ServiceInput {
	out := ServiceInput{
		Name: s.Name, DurationMinutes: int(s.DurationMinutes), BufferBeforeMinutes: int(s.BufferBeforeMinutes), BufferAfterMinutes: int(s.BufferAfterMinutes),
		LocationKind: s.LocationKind, URLTemplate: s.UrlTemplate, NeedsRoom: s.NeedsRoom, Code: s.Code, TaxBP: int(s.TaxBp), RecallEvery: s.RecallEvery,
		RecallService: s.RecallServiceID, Online: s.Online,
	}
	put(&out.Name, in.Name)
	put(&out.DurationMinutes, in.DurationMinutes)
	put(&out.BufferBeforeMinutes, in.BufferBeforeMinutes)
	put(&out.BufferAfterMinutes, in.BufferAfterMinutes)
	put(&out.LocationKind, in.LocationKind)
	put(&out.URLTemplate, in.URLTemplate)
	put(&out.NeedsRoom, in.NeedsRoom)
	put(&out.Code, in.Code)
	put(&out.TaxBP, in.TaxBP)
	put(&out.RecallEvery, in.RecallEvery)
	put(&out.RecallService, in.RecallService)
	put(&out.Online, in.Online)
	return out
}

// put takes over a value that was given.
func put[T any](to *T, given *T) {
	if given != nil {
		*to = *given
	}
}

// SetPrice writes a service's price from a day on, today when none is given.
func (d *Desk) SetPrice(ctx context.Context, by policy.Principal, service policy.ID, amount int64, from *policy.LocalDate) error {
	if err := price(amount); err != nil {
		return err
	}
	return d.command(ctx, by, func(tx *db.Tx) error {
		if _, err := tx.ServiceByID(ctx, tx.Practice, service); err != nil {
			return notFound(err, "service")
		}
		if err := addPrice(ctx, tx, service, from, amount); err != nil {
			return err
		}
		return tx.Record(ctx, db.Entry{
			Verb: "price_set", By: by, Object: "service", ID: service, After: map[string]any{"amount": amount, "from_on": from},
		})
	})
}

// ArchiveService takes a service out of the catalogue. With visits ahead it answers 409 and lists them.
func (d *Desk) ArchiveService(ctx context.Context, by policy.Principal, id policy.ID, version int32) (db.Service, error) {
	var out db.Service
	err := d.command(ctx, by, func(tx *db.Tx) error {
		if err := tx.Lock(ctx, db.LockSet{Resources: []policy.ID{id}}); err != nil { // bookings hold it shared
			return err
		}
		before, err := tx.ServiceByID(ctx, tx.Practice, id)
		if err != nil {
			return notFound(err, "service")
		}
		ahead, err := visitsAhead(ctx, tx, aheadOf{service: &id})
		if err != nil {
			return err
		}
		if len(ahead) > 0 {
			return stranded("service_in_use", "Visits of this service lie ahead. Move or cancel them first.", ahead)
		}
		n, err := tx.ServiceArchive(ctx, db.ServiceArchiveParams{PracticeID: tx.Practice, ID: id, Version: version})
		if err != nil {
			return err
		}
		if n == 0 {
			return staleVersion("service")
		}
		if err := tx.Record(ctx, db.Entry{Verb: "service_archived", By: by, Object: "service", ID: id, Before: serviceFacts(before)}); err != nil {
			return err
		}
		out, err = tx.ServiceByID(ctx, tx.Practice, id)
		return err
	})
	return out, err
}
