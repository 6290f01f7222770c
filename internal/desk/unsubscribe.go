package desk

import (
	"context"
	"errors"
	"fmt"

	"github.com/kept-practice/kept/db"
	"github.com/kept-practice/kept/internal/policy"
)

// UnsubscribeByLink ends invitations back for the client and for everybody who shares their mail address. Messages about
// visits and bills go on. p is nil for the one-click post of a mail program, which carries no nonce.
func (d *Desk) UnsubscribeByLink(ctx context.Context, token string, p *Post, requestID string) (Acted, error) {
	l, err := d.OpenLink(ctx, token)
	switch {
	case err != nil:
		return Acted{Link: l}, err
	case l.Purpose != LinkUnsubscribe:
		return Acted{}, errNoLink()
	case l.State == LinkDone:
		return Acted{Link: l, Repeat: true}, nil
	}
	run := *d
	if p != nil {
		run.post = &linkPost{link: l.ID, nonce: p.Nonce, outcome: LinkUnsubscribe}
	}
	client := l.Client
	rung, err := run.refuseRecalls(ctx, policy.Principal{Kind: policy.ByClient, Practice: l.Practice, Client: &client, RequestID: requestID}, client)
	if err != nil && !errors.Is(err, errPosted) {
		return Acted{Link: l}, err
	}
	after, openErr := d.OpenLink(ctx, token)
	return Acted{Link: after, Repeat: err != nil, Rung: rung}, openErr
}

// refuseRecalls writes the client's no to invitations on every channel, and an opt-out for each of their mail addresses,
// which binds all who share it.
func (d *Desk) refuseRecalls(ctx context.Context, by policy.Principal, client policy.ID) ([]policy.Subject, error) {
	var rung []policy.Subject
	err := d.command(ctx, by, func(tx *db.Tx) error {
		addresses, sharing, err := mailSharers(ctx, tx, client)
		if err != nil {
			return err
		}
		if err := tx.Lock(ctx, db.LockSet{Clients: sharing}); err != nil {
			return err
		}
		clk, err := readClock(ctx, tx.Queries, tx.Practice)
		if err != nil {
			return err
		}
		for _, channel := range []string{policy.ChannelMail, policy.ChannelSMS} {
			if err := tx.ConsentInsert(ctx, db.ConsentInsertParams{
				PracticeID: tx.Practice, ID: db.NewID(), ClientID: client, Channel: channel, Purpose: "recall", Source: "unsubscribe_link", At: clk.now,
			}); err != nil {
				return fmt.Errorf("record the refusal: %w", err)
			}
		}
		for _, address := range addresses {
			if _, err := tx.OptOutInsert(ctx, db.OptOutInsertParams{
				PracticeID: tx.Practice, ID: db.NewID(), Channel: policy.ChannelMail, Address: address, Purpose: "recall", Source: "unsubscribe_link", At: clk.now,
			}); err != nil {
				return fmt.Errorf("record the opt-out: %w", err)
			}
		}
		if rung, err = openSubjects(ctx, tx, policy.OptedOut, sharing); err != nil {
			return err
		}
		return tx.Record(ctx, db.Entry{
			Verb: policy.OptedOut, By: by, Object: "client", ID: client, Reason: "unsubscribed by link", Rings: rung,
			After: map[string]any{"purpose": "recall", "channels": []string{policy.ChannelMail, policy.ChannelSMS}},
		})
	})
	return rung, err
}

// mailSharers gives the client's open mail addresses, and the client with everybody who has one of them.
func mailSharers(ctx context.Context, tx *db.Tx, client policy.ID) (addresses []string, sharing []policy.ID, err error) {
	points, err := tx.ContactPointsOf(ctx, tx.Practice, client)
	if err != nil {
		return nil, nil, fmt.Errorf("read the client's addresses: %w", err)
	}
	sharing = []policy.ID{client}
	for _, p := range points {
		if p.Channel != policy.ChannelMail {
			continue
		}
		addresses = append(addresses, p.Address)
		rows, err := tx.ClientsByAddress(ctx, db.ClientsByAddressParams{PracticeID: tx.Practice, Address: p.Address, PageSize: maxSharers})
		if err != nil {
			return nil, nil, fmt.Errorf("find who shares an address: %w", err)
		}
		for _, r := range rows {
			if r.ID != client {
				sharing = append(sharing, r.ID)
			}
		}
	}
	return addresses, sharing, nil
}

// maxSharers is how many clients of one address are rung at once; the opt-out binds the others when they are next planned.
const maxSharers = 100
