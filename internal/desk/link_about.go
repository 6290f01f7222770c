package desk

import (
	"context"
	"fmt"
	"slices"

	"github.com/kept-practice/kept/db"
	"github.com/kept-practice/kept/internal/policy"
)

// openBill shows what is owed: a draft does not exist yet, a void invoice is gone.
func (l *Link) openBill(ctx context.Context, q *db.Queries) error {
	inv, err := q.InvoiceByID(ctx, l.Practice, l.subject.ID)
	if err != nil {
		return noLink(err)
	}
	if inv.ClientID != l.Client || inv.Status == policy.InvoiceDraft {
		return errNoLink()
	}
	if inv.Status == policy.InvoiceVoid {
		return policy.NewError(policy.Gone, "invoice_void", "This invoice was withdrawn. There is nothing to pay.")
	}
	l.Bill = &LinkBill{Invoice: inv.ID, On: inv.OccurredOn, Currency: inv.Currency, Total: inv.Total, Owed: inv.Total - inv.Paid}
	if inv.Number != nil {
		l.Bill.Number = *inv.Number
	}
	lines, err := q.InvoiceLines(ctx, l.Practice, inv.ID)
	if err != nil {
		return fmt.Errorf("read invoice lines: %w", err)
	}
	for _, line := range lines {
		l.Bill.Lines = append(l.Bill.Lines, LinkBillLine{Description: line.Description, Total: line.Total})
	}
	l.State = LinkOpen
	if inv.Status == policy.InvoicePaid || l.Bill.Owed <= 0 {
		l.State = LinkDone
	}
	return nil
}

// openRecall offers times like those of the client's last visit: same place, and the same provider first.
func (l *Link) openRecall(ctx context.Context, q *db.Queries) error {
	r, err := q.RecallByID(ctx, l.Practice, l.subject.ID)
	if err != nil {
		return noLink(err)
	}
	if r.ClientID != l.Client {
		return errNoLink()
	}
	booked, err := q.LiveVisitsOfRecall(ctx, l.Practice, r.ID)
	if err != nil {
		return fmt.Errorf("find the visit of a recall: %w", err)
	}
	if len(booked) > 0 {
		l.State = LinkDone
		return l.readVisit(ctx, q, booked[0])
	}
	next, err := q.AppointmentNextOf(ctx, db.AppointmentNextOfParams{PracticeID: l.Practice, ClientID: l.Client, Now: l.Now, ServiceID: &r.ServiceID})
	if err == nil {
		l.State = LinkDone
		return l.readVisit(ctx, q, next)
	}
	if !db.NoRows(err) {
		return fmt.Errorf("find the next visit: %w", err)
	}
	if r.Status == "stopped" {
		return policy.NewError(policy.Gone, "recall_stopped", "This invitation is not open any more. To book a visit, please call the practice.")
	}
	l.Recall = &LinkRecall{ID: r.ID, Service: r.ServiceID}
	if err := l.placeRecall(ctx, q, r.LastVisitID); err != nil {
		return err
	}
	l.State = LinkOpen
	if !l.Now.Before(l.expires) {
		l.State, l.Why = LinkClosed, WhyExpired
	}
	return nil
}

func (l *Link) placeRecall(ctx context.Context, q *db.Queries, lastVisit *policy.ID) error {
	locations, err := q.LocationList(ctx, l.Practice)
	if err != nil {
		return fmt.Errorf("read locations: %w", err)
	}
	if len(locations) == 0 {
		return errNoLink()
	}
	at := 0
	if lastVisit != nil {
		last, err := q.AppointmentByID(ctx, l.Practice, *lastVisit)
		if err != nil {
			return noLink(err)
		}
		if i := slices.IndexFunc(locations, func(o db.Location) bool { return o.ID == last.LocationID }); i >= 0 {
			at, l.Recall.Provider = i, last.ProviderID
		}
	}
	l.Recall.Location = locations[at].ID
	if locations[at].Phone != "" {
		l.Phone = locations[at].Phone
	}
	l.Zone, err = policy.LoadZone(locations[at].Zone)
	return err
}

// openList tells whether the client still gets invitations back.
func (l *Link) openList(ctx context.Context, q *db.Queries) error {
	reach, err := q.ReachOf(ctx, l.Practice, l.Client)
	if err != nil {
		return fmt.Errorf("read how the client is reached: %w", err)
	}
	l.State = LinkDone
	for _, r := range reach {
		if r.Channel == policy.ChannelMail && !r.OptedOut && !r.OptedOutRecall || !r.RefusedRecall {
			l.State = LinkOpen
		}
	}
	return nil
}
