package desk

import (
	"context"
	"crypto/sha256"
	"fmt"

	"github.com/kept-practice/kept/db"
	"github.com/kept-practice/kept/internal/policy"
)

// AskFreshLink is for somebody whose link does not open. When the token was one of ours, its visit's journey sends fresh links to
// the address on file, three times a day at most; a link of no visit becomes a task of the front desk, one a day. For all others
// nothing happens. The caller says the same words either way, and rings the subjects.
func (d *Desk) AskFreshLink(ctx context.Context, token, requestID string) ([]policy.Subject, error) {
	hash := sha256.Sum256([]byte(token))
	practice, err := d.store.Anyone().PracticeOfLink(ctx, hash[:])
	if err != nil {
		return nil, db.Classify(err)
	}
	q := d.store.In(practice)
	row, err := q.LinkPage(ctx, practice, hash[:])
	if db.NoRows(err) || row.ClientStatus == "archived" || row.ClientStatus == "erased" {
		return nil, nil
	}
	if err != nil {
		return nil, db.Classify(err)
	}
	visit, err := visitOfLink(ctx, q, practice, row)
	if err != nil {
		return nil, db.Classify(err)
	}
	by := policy.Principal{Kind: policy.ByClient, Practice: practice, Client: &row.ClientID, RequestID: requestID}
	var rung []policy.Subject
	err = d.command(ctx, by, func(tx *db.Tx) error {
		if visit.IsZero() {
			return askDeskForLink(ctx, tx, by, row)
		}
		rung, err = wantLinks(ctx, tx, by, row, visit)
		return err
	})
	return rung, err
}

// visitOfLink is the visit that a link is about, its bill included; zero for invitations.
func visitOfLink(ctx context.Context, q *db.Queries, practice policy.ID, row db.LinkPageRow) (policy.ID, error) {
	switch row.SubjectKind {
	case policy.KindJourney:
		return row.SubjectID, nil
	case policy.KindCollection:
		inv, err := q.InvoiceByID(ctx, practice, row.SubjectID)
		return inv.AppointmentID, err
	}
	return policy.ID{}, nil
}

// wantLinks records the wish for the plan to answer. One that is still on its way, or the day's last, is enough.
func wantLinks(ctx context.Context, tx *db.Tx, by policy.Principal, row db.LinkPageRow, visit policy.ID) ([]policy.Subject, error) {
	journey := journeyOf(tx.Practice, visit)
	if err := tx.Lock(ctx, db.LockSet{Subjects: []policy.Subject{journey}}); err != nil {
		return nil, err
	}
	look, err := Look(ctx, tx.Queries, journey)
	if err != nil || look.Missing || look.Outlook.LinksOnTheWay() {
		return nil, err
	}
	asked, today := 0, policy.LocalDay(look.Ground.Now, look.Ground.Zone)
	for _, o := range look.Ground.Overrides {
		if o.Verb == policy.AskedFreshLink && policy.LocalDay(o.At, look.Ground.Zone) == today {
			asked++
		}
	}
	if asked >= policy.MaxFreshLinks {
		return nil, nil
	}
	appointment, err := tx.AppointmentByID(ctx, tx.Practice, visit)
	if err != nil {
		return nil, err
	}
	id := db.NewID()
	if err := tx.OverrideInsert(ctx, db.OverrideInsertParams{
		PracticeID: tx.Practice, ID: id, SubjectKind: journey.Kind, SubjectID: journey.ID, Verb: policy.AskedFreshLink,
		Value: fmt.Sprint(appointment.Version), ActorKind: string(by.Kind), ActorID: by.Actor(), Reason: "a link did not open", At: look.Ground.Now,
	}); err != nil {
		return nil, err
	}
	if err := tx.SubjectReopen(ctx, db.SubjectReopenParams{PracticeID: tx.Practice, Kind: journey.Kind, ID: journey.ID}); err != nil {
		return nil, err
	}
	rung := policy.Rings(policy.LinkAsked, policy.SubjectsOf{Practice: tx.Practice, Journeys: []policy.ID{visit}})
	return rung, tx.Record(ctx, db.Entry{
		Verb: policy.LinkAsked, By: by, Subject: journey, Object: "override", ID: id, Rings: rung, After: map[string]any{"link": row.ID, "purpose": row.Purpose},
	})
}

func askDeskForLink(ctx context.Context, tx *db.Tx, by policy.Principal, row db.LinkPageRow) error {
	zone, err := policy.LoadZone(row.Zone)
	if err != nil {
		return err
	}
	if err := openTask(ctx, tx, taskInput{
		cause: "fresh_link/" + row.ID.String() + "/" + policy.LocalDay(row.Now, zone).String(), kind: "fresh_link", queue: "front_desk",
		title: "A client's link does not open any more. Reach the client at the address on file.", client: row.ClientID, dueAt: row.Now,
	}); err != nil {
		return err
	}
	return tx.Record(ctx, db.Entry{Verb: policy.LinkAsked, By: by, Object: "link", ID: row.ID, After: map[string]string{"purpose": row.Purpose}})
}
