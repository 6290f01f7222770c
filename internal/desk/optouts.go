package desk

import (
	"context"
	"fmt"

	"github.com/kept-practice/kept/db"
	"github.com/kept-practice/kept/internal/policy"
)

type optOutInput struct {
	channel, address, purpose, source string
}

// lockSharers locks every client with this address, by id, and returns them.
func lockSharers(ctx context.Context, tx *db.Tx, address string) ([]policy.ID, error) {
	ids, err := sharersOf(ctx, tx, address)
	if err != nil {
		return nil, err
	}
	return ids, tx.Lock(ctx, db.LockSet{Clients: ids})
}

// sharersOf are the clients with this address, for a lock set that holds more than them.
func sharersOf(ctx context.Context, tx *db.Tx, address string) ([]policy.ID, error) {
	rows, err := tx.ClientsByAddress(ctx, db.ClientsByAddressParams{PracticeID: tx.Practice, Address: address, PageSize: 100})
	if err != nil {
		return nil, fmt.Errorf("find who shares the address: %w", err)
	}
	ids := make([]policy.ID, len(rows))
	for i, r := range rows {
		ids[i] = r.ID
	}
	return ids, nil
}

// optOut stops messages to an address within the practice, for all clients who share it, and returns the open subjects of those
// clients, to look again. A shared address opens a task. Repeating it changes nothing.
func (d *Desk) optOut(ctx context.Context, tx *db.Tx, by policy.Principal, in optOutInput) ([]policy.Subject, error) {
	sharers, err := lockSharers(ctx, tx, in.address)
	if err != nil {
		return nil, err
	}
	return d.stopAddress(ctx, tx, by, in, sharers)
}

// stopAddress is an opt-out under the locks of those who share the address.
func (d *Desk) stopAddress(ctx context.Context, tx *db.Tx, by policy.Principal, in optOutInput, sharers []policy.ID) ([]policy.Subject, error) {
	clk, err := readClock(ctx, tx.Queries, tx.Practice)
	if err != nil {
		return nil, err
	}
	id := db.NewID()
	n, err := tx.OptOutInsert(ctx, db.OptOutInsertParams{
		PracticeID: tx.Practice, ID: id, Channel: in.channel, Address: in.address, Purpose: in.purpose, Source: in.source, At: clk.now,
	})
	if err != nil || n == 0 {
		return nil, err
	}
	if len(sharers) > 1 {
		if err := openTask(ctx, tx, taskInput{
			cause: "shared_opt_out/" + id.String(), kind: "shared_opt_out", queue: "front_desk", client: sharers[0], dueAt: clk.now,
			title: "An address that several clients share opted out. Ask each for an address of their own.",
		}); err != nil {
			return nil, err
		}
	}
	return d.recordReach(ctx, tx, by, policy.OptedOut, id, in, sharers)
}

// optIn lifts every opt-out of an address.
func (d *Desk) optIn(ctx context.Context, tx *db.Tx, by policy.Principal, in optOutInput) ([]policy.Subject, error) {
	sharers, err := lockSharers(ctx, tx, in.address)
	if err != nil {
		return nil, err
	}
	clk, err := readClock(ctx, tx.Queries, tx.Practice)
	if err != nil {
		return nil, err
	}
	n, err := tx.OptOutLift(ctx, db.OptOutLiftParams{PracticeID: tx.Practice, Channel: in.channel, Address: in.address, At: &clk.now})
	if err != nil || n == 0 {
		return nil, err
	}
	return d.recordReach(ctx, tx, by, policy.OptedIn, policy.ID{}, in, sharers)
}

// recordReach journals that an address may or may not be used any more, and rings all open subjects of its clients.
func (d *Desk) recordReach(ctx context.Context, tx *db.Tx, by policy.Principal, verb string, id policy.ID, in optOutInput, clients []policy.ID) ([]policy.Subject, error) {
	rung, err := openSubjects(ctx, tx, verb, clients)
	if err != nil {
		return nil, err
	}
	return rung, tx.Record(ctx, db.Entry{
		Verb: verb, By: by, Object: "opt_out", ID: id, Reason: in.source, Rings: rung,
		After: map[string]any{"channel": in.channel, "purpose": in.purpose, "clients": clients},
	})
}

// openSubjects are the open subjects of some clients, of the kinds that a verb rings.
func openSubjects(ctx context.Context, tx *db.Tx, verb string, clients []policy.ID) ([]policy.Subject, error) {
	rows, err := tx.SubjectsOpenOf(ctx, tx.Practice, clients)
	if err != nil {
		return nil, fmt.Errorf("find open subjects: %w", err)
	}
	of := policy.SubjectsOf{Practice: tx.Practice}
	for _, r := range rows {
		switch r.Kind {
		case policy.KindJourney:
			of.Journeys = append(of.Journeys, r.ID)
		case policy.KindCollection:
			of.Collections = append(of.Collections, r.ID)
		case policy.KindRecall:
			of.Recalls = append(of.Recalls, r.ID)
		}
	}
	return policy.Rings(verb, of), nil
}

// ApplyText takes in what a client wrote: stop and start act at once, a doubtful text goes to a person, the word cancel
// stops texts and asks a person about the visit, since carriers take it for an opt-out.
func (d *Desk) ApplyText(ctx context.Context, practice policy.ID, from, body string) ([]policy.Subject, error) {
	by := policy.Principal{Kind: policy.ByClient, Practice: practice}
	reply := policy.OptOut(body)
	var rung []policy.Subject
	err := d.store.InPractice(ctx, practice, func(tx *db.Tx) error {
		var err error
		in := optOutInput{channel: policy.ChannelSMS, address: from, purpose: "all", source: "text: " + string(reply)}
		switch {
		case reply.StopsMessages():
			rung, err = d.optOut(ctx, tx, by, in)
		case reply == policy.ReplyOptIn:
			rung, err = d.optIn(ctx, tx, by, in)
		case reply == policy.ReplyConfirm:
			rung, err = d.confirmByText(ctx, tx, by, from)
		}
		if err != nil || (reply != policy.ReplyCancelWord && reply != policy.ReplyDoubtful) {
			return err
		}
		return d.askAboutText(ctx, tx, from)
	})
	return rung, err
}

// confirmByText confirms the sender's next visit when exactly one client writes from that number; otherwise a person looks.
func (d *Desk) confirmByText(ctx context.Context, tx *db.Tx, by policy.Principal, from string) ([]policy.Subject, error) {
	clients, err := tx.ClientsByAddress(ctx, db.ClientsByAddressParams{PracticeID: tx.Practice, Address: from, PageSize: 2})
	if err != nil {
		return nil, err
	}
	if len(clients) != 1 {
		return nil, d.askAboutText(ctx, tx, from)
	}
	clk, err := readClock(ctx, tx.Queries, tx.Practice)
	if err != nil {
		return nil, err
	}
	next, err := tx.AppointmentNextOf(ctx, db.AppointmentNextOfParams{PracticeID: tx.Practice, ClientID: clients[0].ID, Now: clk.now})
	if db.NoRows(err) {
		return nil, d.askAboutText(ctx, tx, from)
	}
	if err != nil {
		return nil, err
	}
	visit, clk, err := d.lockVisit(ctx, tx, next, nil)
	if err != nil || reached(policy.Status(visit.Status), policy.VerbConfirm) {
		return nil, err
	}
	by.Client = &clients[0].ID
	out, err := d.setStatus(ctx, tx, by, visit, StatusInput{Appointment: next, Verb: policy.VerbConfirm}, policy.VisitConfirmed, clk)
	return out.Rung, err
}

func (d *Desk) askAboutText(ctx context.Context, tx *db.Tx, from string) error {
	clk, err := readClock(ctx, tx.Queries, tx.Practice)
	if err != nil {
		return err
	}
	in := taskInput{
		cause: "text/" + db.NewID().String(), kind: "text_received", queue: "front_desk", dueAt: clk.now,
		title: "A client wrote a text that a person should read and answer.",
	}
	clients, err := tx.ClientsByAddress(ctx, db.ClientsByAddressParams{PracticeID: tx.Practice, Address: from, PageSize: 1})
	if err != nil {
		return err
	}
	if len(clients) == 1 {
		in.client = clients[0].ID
	}
	return openTask(ctx, tx, in)
}
