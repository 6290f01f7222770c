package desk

import (
	"context"
	"fmt"
	"time"

	"github.com/kept-practice/kept/db"
	"github.com/kept-practice/kept/internal/policy"
)

// packetLead is how long before the visit the papers are due.
const packetLead = 24 * time.Hour

// openPacket puts the forms that service and client need into one packet and mints its link, in the booking's own
// transaction: the answer carries the link, and a retry or a move never makes a second packet. "" when nothing is due.
func (d *Desk) openPacket(ctx context.Context, tx *db.Tx, by policy.Principal, appointment policy.ID, in BookInput, visitAt time.Time, clk clock) (string, error) {
	forms, err := tx.FormsDueFor(ctx, db.FormsDueForParams{PracticeID: tx.Practice, ServiceID: in.Service, ClientID: in.Client, VisitAt: visitAt})
	if err != nil {
		return "", fmt.Errorf("find the forms due: %w", err)
	}
	if len(forms) == 0 {
		return "", nil
	}
	id := db.NewID()
	if err := tx.PacketInsert(ctx, db.PacketInsertParams{
		PracticeID: tx.Practice, ID: id, AppointmentID: appointment, ClientID: in.Client, DueAt: packetDue(visitAt, clk.now), CreatedAt: clk.now,
	}); err != nil {
		return "", fmt.Errorf("open packet: %w", err)
	}
	for _, f := range forms {
		if err := tx.PacketFormInsert(ctx, db.PacketFormInsertParams{PracticeID: tx.Practice, PacketID: id, FormID: f.ID, Position: f.Position}); err != nil {
			return "", fmt.Errorf("put form into packet: %w", err)
		}
	}
	journey := policy.Subject{Practice: tx.Practice, Kind: policy.KindJourney, ID: appointment}
	token, err := mint(ctx, tx, linkInput{purpose: LinkIntake, client: in.Client, subject: journey, expiresAt: visitAt}, clk.now)
	if err != nil {
		return "", err
	}
	return token, tx.Record(ctx, db.Entry{
		Verb: "packet_opened", By: by, Subject: journey, Object: "packet", ID: id,
		After: map[string]any{"forms": len(forms), "due_at": packetDue(visitAt, clk.now)},
	})
}

// packetDue is a day before the visit, or the visit itself when that is nearer.
func packetDue(visitAt, now time.Time) time.Time {
	if due := visitAt.Add(-packetLead); due.After(now) {
		return due
	}
	return visitAt
}
