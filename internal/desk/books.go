package desk

import (
	"context"
	"fmt"
	"time"

	"github.com/kept-practice/kept/db"
	"github.com/kept-practice/kept/internal/policy"
)

// posting is one set of entries about one invoice.
type posting struct {
	kind     string
	entries  []policy.Entry
	at       time.Time // the instant it counts, on the practice's clock
	payment  *policy.ID
	reverses *policy.ID
}

// post writes a balanced set; the database refuses one that does not sum to zero, and a second one for the same payment.
func post(ctx context.Context, tx *db.Tx, inv db.Invoice, p posting) error {
	if len(p.entries) == 0 {
		return nil
	}
	if err := policy.Balanced(p.entries); err != nil {
		return err
	}
	set := db.NewID()
	if err := tx.LedgerSetInsert(ctx, db.LedgerSetInsertParams{
		PracticeID: tx.Practice, ID: set, Kind: p.kind, InvoiceID: inv.ID, PaymentID: p.payment, ReversesID: p.reverses, OccurredAt: p.at,
	}); err != nil {
		return fmt.Errorf("post %s: %w", p.kind, err)
	}
	for i, e := range p.entries {
		if err := tx.LedgerEntryInsert(ctx, db.LedgerEntryInsertParams{
			PracticeID: tx.Practice, SetID: set, Position: int32(i + 1), Account: string(e.Account), Amount: e.Amount, Currency: e.Currency,
			ClientID: inv.ClientID, InvoiceID: inv.ID, ProviderID: inv.ProviderID, ServiceID: inv.ServiceID, LocationID: inv.LocationID,
		}); err != nil {
			return fmt.Errorf("post %s: %w", p.kind, err)
		}
	}
	return nil
}

// reverseIssue posts the opposite of what issuing the invoice posted.
func reverseIssue(ctx context.Context, tx *db.Tx, inv db.Invoice, now time.Time) error {
	set, err := tx.LedgerIssueSet(ctx, tx.Practice, inv.ID)
	if err != nil {
		return fmt.Errorf("find what was posted: %w", err)
	}
	rows, err := tx.LedgerEntriesOfSet(ctx, tx.Practice, set)
	if err != nil {
		return err
	}
	entries := make([]policy.Entry, len(rows))
	for i, r := range rows {
		entries[i] = policy.Entry{Account: policy.Account(r.Account), Amount: r.Amount, Currency: r.Currency}
	}
	return post(ctx, tx, inv, posting{kind: "reversal", entries: policy.Reverse(entries), at: now, reverses: &set})
}
