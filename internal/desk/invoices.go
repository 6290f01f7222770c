package desk

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/kept-practice/kept/db"
	"github.com/kept-practice/kept/internal/policy"
)

// DraftInvoice bills a completed visit, once for each completion: one line at the price of the visit's day. It runs inside
// the plan's transaction.
func (d *Desk) DraftInvoice(ctx context.Context, tx *db.Tx, appointment policy.ID, step string) error {
	visit, err := tx.AppointmentByID(ctx, tx.Practice, appointment)
	if err != nil {
		return err
	}
	service, err := tx.ServiceByID(ctx, tx.Practice, visit.ServiceID)
	if err != nil {
		return err
	}
	settings, err := settingsAt(ctx, tx.Queries, tx.Practice, &visit.LocationID, &visit.ServiceID, &visit.ProviderID)
	if err != nil {
		return err
	}
	zone, err := policy.LoadZone(visit.Zone)
	if err != nil {
		return err
	}
	day := policy.LocalDay(visit.StartsAt, zone)
	price, err := tx.PriceOn(ctx, db.PriceOnParams{PracticeID: tx.Practice, ServiceID: service.ID, Day: day})
	if err != nil {
		return fmt.Errorf("price of the service on %s: %w", day, err)
	}
	sums, err := policy.LineInput{QuantityMilli: 1000, UnitMinor: price.Amount, TaxBP: int64(service.TaxBp), Inclusive: settings.TaxInclusive}.Amounts()
	if err != nil {
		return err
	}
	id := db.NewID()
	if err := tx.InvoiceInsert(ctx, db.InvoiceInsertParams{
		PracticeID: tx.Practice, ID: id, AppointmentID: visit.ID, Completion: visit.Completions, ClientID: visit.ClientID, ServiceID: visit.ServiceID,
		ProviderID: visit.ProviderID, LocationID: visit.LocationID, CaseID: visit.CaseID, Currency: price.Currency,
		Net: sums.Net, Tax: sums.Tax, Total: sums.Total, Source: "visit", CausedByStep: step, OccurredOn: day,
	}); err != nil {
		return err
	}
	if err := tx.InvoiceLineInsert(ctx, db.InvoiceLineInsertParams{
		PracticeID: tx.Practice, InvoiceID: id, Position: 1, Code: service.Code, Description: service.Name, QuantityMilli: 1000, UnitAmount: price.Amount,
		TaxBp: service.TaxBp, Net: sums.Net, Tax: sums.Tax, Total: sums.Total,
		ProviderID: visit.ProviderID, ServiceID: visit.ServiceID, LocationID: visit.LocationID, ServiceOn: day,
	}); err != nil {
		return err
	}
	return tx.Record(ctx, db.Entry{
		Verb: "invoice_drafted", By: policy.System(tx.Practice), Subject: journeyOf(tx.Practice, visit.ID), Object: "invoice", ID: id,
		After: invoiceFacts{Status: policy.InvoiceDraft, Total: sums.Total, Currency: price.Currency},
	})
}

// invoiceFacts is what the journal keeps of an invoice.
type invoiceFacts struct {
	Status   string     `json:"status"`
	Number   int64      `json:"number,omitempty"`
	Total    int64      `json:"total"`
	Currency string     `json:"currency"`
	FollowUp *time.Time `json:"follow_up_at,omitempty"`
}

// IssueInvoice gives the draft of a visit's present completion its number, books it and sets the day of its first follow-up.
// An invoice of nothing is settled at once.
func (d *Desk) IssueInvoice(ctx context.Context, tx *db.Tx, appointment policy.ID, now time.Time) error {
	inv, err := d.lockVisitInvoice(ctx, tx, appointment)
	if err != nil {
		return err
	}
	if inv.Status != policy.InvoiceDraft {
		return nil
	}
	location, err := tx.LocationByID(ctx, tx.Practice, inv.LocationID)
	if err != nil {
		return err
	}
	zone, err := policy.LoadZone(location.Zone)
	if err != nil {
		return err
	}
	settings, err := settingsAt(ctx, tx.Queries, tx.Practice, &inv.LocationID, &inv.ServiceID, &inv.ProviderID)
	if err != nil {
		return err
	}
	followUp, cadence, err := firstFollowUp(ctx, tx, inv, now, zone)
	if err != nil {
		return err
	}
	number, err := tx.InvoiceNumberTake(ctx, tx.Practice, inv.LocationID)
	if err != nil {
		return fmt.Errorf("take the next number: %w", err)
	}
	due := policy.LocalDay(now, zone).AddDays(settings.PaymentDueDays)
	if err := tx.InvoiceIssue(ctx, db.InvoiceIssueParams{
		PracticeID: tx.Practice, ID: inv.ID, Number: &number, IssuedAt: &now, DueOn: &due, FollowUpAt: followUp, CadenceVersionID: cadence,
	}); err != nil {
		return err
	}
	entries, err := policy.IssueEntries(policy.Money{Amount: inv.Total, Currency: inv.Currency}, policy.Money{Amount: inv.Tax, Currency: inv.Currency})
	if err != nil {
		return err
	}
	if err := post(ctx, tx, inv, posting{kind: "issue", entries: entries, at: now}); err != nil {
		return err
	}
	if inv.Total == 0 {
		if _, err := tx.InvoiceAddPaid(ctx, db.InvoiceAddPaidParams{PracticeID: tx.Practice, ID: inv.ID, PaidAt: now}); err != nil {
			return err
		}
	}
	return tx.Record(ctx, db.Entry{
		Verb: "invoice_issued", By: policy.System(tx.Practice), Subject: journeyOf(tx.Practice, appointment), Object: "invoice", ID: inv.ID,
		After: invoiceFacts{Status: policy.InvoiceIssued, Number: number, Total: inv.Total, Currency: inv.Currency, FollowUp: followUp},
	})
}

// firstFollowUp is when the invoice's collection starts if nothing is paid by then; nil for a cadence without rules.
func firstFollowUp(ctx context.Context, tx *db.Tx, inv db.Invoice, now time.Time, zone *time.Location) (*time.Time, *policy.ID, error) {
	if inv.Total == 0 {
		return nil, nil, nil
	}
	version, err := tx.CadenceVersionFor(ctx, db.CadenceVersionForParams{
		PracticeID: tx.Practice, Kind: policy.KindCollection, ServiceID: &inv.ServiceID, LocationID: &inv.LocationID,
	})
	if db.NoRows(err) {
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, fmt.Errorf("find the collection cadence: %w", err)
	}
	rules, err := policy.ParseRules(policy.KindCollection, version.Rules)
	if err != nil {
		return nil, nil, fmt.Errorf("collection cadence %s: %w", version.ID, err)
	}
	at, ok := policy.FirstFollowUp(rules, now, zone)
	if !ok {
		return nil, &version.ID, nil
	}
	return &at, &version.ID, nil
}

// VoidInvoice takes back the invoice of a visit that is not completed any more, its books reversed. One with money on it is
// left to a person, whom the plan asks: a refund is a decision.
func (d *Desk) VoidInvoice(ctx context.Context, tx *db.Tx, appointment policy.ID, reason string, now time.Time) error {
	inv, err := d.lockVisitInvoice(ctx, tx, appointment)
	if err != nil {
		return err
	}
	_, err = d.void(ctx, tx, policy.System(tx.Practice), inv, reason, now)
	return err
}

// Void takes an unpaid invoice back by hand.
func (d *Desk) Void(ctx context.Context, by policy.Principal, id policy.ID, reason string) (db.Invoice, []policy.Subject, error) {
	if reason == "" {
		return db.Invoice{}, nil, policy.InvalidField("/reason", "missing_reason", "Say why the invoice is voided.")
	}
	var (
		inv  db.Invoice
		rung []policy.Subject
	)
	err := d.command(ctx, by, func(tx *db.Tx) error {
		var err error
		if inv, err = d.lockInvoice(ctx, tx, id); err != nil {
			return err
		}
		if inv.Status == policy.InvoiceVoid {
			return nil
		}
		if inv.Status == policy.InvoicePaid || inv.Paid > 0 {
			return policy.NewError(policy.Conflict, "invoice_paid", "Money was taken for this invoice. Refund it first.")
		}
		clk, err := readClock(ctx, tx.Queries, tx.Practice)
		if err != nil {
			return err
		}
		if rung, err = d.void(ctx, tx, by, inv, reason, clk.now); err != nil {
			return err
		}
		inv, err = tx.InvoiceByID(ctx, tx.Practice, id)
		return err
	})
	return inv, rung, err
}

func (d *Desk) void(ctx context.Context, tx *db.Tx, by policy.Principal, inv db.Invoice, reason string, now time.Time) ([]policy.Subject, error) {
	n, err := tx.InvoiceVoid(ctx, db.InvoiceVoidParams{PracticeID: tx.Practice, ID: inv.ID, VoidedAt: &now, VoidReason: reason})
	if err != nil {
		return nil, err
	}
	if n == 0 { // money is on it: it stands, and the plan asks a person
		return nil, nil
	}
	if inv.Status == policy.InvoiceIssued && inv.Total > 0 {
		if err := reverseIssue(ctx, tx, inv, now); err != nil {
			return nil, err
		}
	}
	if err := revokeLinks(ctx, tx, policy.Subject{Practice: tx.Practice, Kind: policy.KindCollection, ID: inv.ID}, []string{LinkPay}, "voided", now); err != nil {
		return nil, err
	}
	rung, err := invoiceRings(ctx, tx, policy.InvoiceVoided, inv)
	if err != nil {
		return nil, err
	}
	rung = ringsBeside(by, journeyOf(tx.Practice, inv.AppointmentID), rung)
	return rung, tx.Record(ctx, db.Entry{
		Verb: policy.InvoiceVoided, By: by, Subject: journeyOf(tx.Practice, inv.AppointmentID), Object: "invoice", ID: inv.ID, Reason: reason,
		Before: invoiceFacts{Status: inv.Status, Total: inv.Total, Currency: inv.Currency}, After: invoiceFacts{Status: policy.InvoiceVoid, Currency: inv.Currency},
		Rings: rung,
	})
}

// ringsBeside leaves the own subject out of what a step of its plan rings: that plan looks again by itself.
func ringsBeside(by policy.Principal, own policy.Subject, rings []policy.Subject) []policy.Subject {
	if by.Kind != policy.BySystem {
		return rings
	}
	return slices.DeleteFunc(rings, func(s policy.Subject) bool { return s == own })
}

// invoiceRings: the visit's journey and the invoice's collection look again while they are open. News of money does not
// reopen one that has ended.
func invoiceRings(ctx context.Context, tx *db.Tx, verb string, inv db.Invoice) ([]policy.Subject, error) {
	of := policy.SubjectsOf{Practice: tx.Practice, Journeys: []policy.ID{inv.AppointmentID}, Collections: []policy.ID{inv.ID}}
	var open []policy.Subject
	for _, s := range policy.Rings(verb, of) {
		row, err := tx.SubjectByID(ctx, db.SubjectByIDParams{PracticeID: tx.Practice, Kind: s.Kind, ID: s.ID})
		if db.NoRows(err) || (err == nil && row.Status == "done") {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("look who is open: %w", err)
		}
		open = append(open, s)
	}
	return open, nil
}

// lockVisitInvoice locks the newest invoice of a visit; its subject is locked already.
func (d *Desk) lockVisitInvoice(ctx context.Context, tx *db.Tx, appointment policy.ID) (db.Invoice, error) {
	rows, err := tx.InvoicesOfVisit(ctx, tx.Practice, appointment)
	if err != nil {
		return db.Invoice{}, err
	}
	if len(rows) == 0 {
		return db.Invoice{}, policy.NewError(policy.NotFound, "invoice_not_found", "The visit has no invoice.")
	}
	id := rows[len(rows)-1].ID
	if err := tx.Lock(ctx, db.LockSet{Invoices: []policy.ID{id}}); err != nil {
		return db.Invoice{}, err
	}
	return tx.InvoiceByID(ctx, tx.Practice, id)
}

// lockInvoice locks journey, collection and invoice, in that order, and reads the invoice under the locks.
func (d *Desk) lockInvoice(ctx context.Context, tx *db.Tx, id policy.ID) (db.Invoice, error) {
	inv, err := tx.InvoiceByID(ctx, tx.Practice, id)
	if err != nil {
		return inv, notFound(err, "invoice")
	}
	if err := tx.Lock(ctx, db.LockSet{
		Subjects: []policy.Subject{journeyOf(tx.Practice, inv.AppointmentID), {Practice: tx.Practice, Kind: policy.KindCollection, ID: id}},
		Invoices: []policy.ID{id},
	}); err != nil {
		return inv, err
	}
	return tx.InvoiceByID(ctx, tx.Practice, id)
}
