package desk

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/kept-practice/kept/db"
	"github.com/kept-practice/kept/internal/policy"
)

// Post is one send of a link's form. Nonce is the hash of the nonce that the page carried: it acts once.
type Post struct {
	Nonce     []byte
	RequestID string
}

// Acted is a link after a post. Repeat says that the effect stood already, so nothing was done now.
type Acted struct {
	Link   Link
	Repeat bool
	Rung   []policy.Subject
}

// linkPost makes a command the answer to one post: the nonce is taken in the command's own transaction, so of two equal
// posts the second waits for the first and then finds it.
type linkPost struct {
	link    policy.ID
	nonce   []byte
	outcome string
	check   func(context.Context, *db.Tx) error // optional, after the command, under its locks
}

var errPosted = errors.New("this form was sent before")

func (p *linkPost) once(ctx context.Context, tx *db.Tx, fn func(*db.Tx) error) error {
	n, err := tx.LinkPostInsert(ctx, db.LinkPostInsertParams{PracticeID: tx.Practice, NonceHash: p.nonce, LinkID: p.link, Outcome: p.outcome})
	if err != nil {
		return fmt.Errorf("take the nonce: %w", err)
	}
	if n == 0 {
		return errPosted
	}
	if err := fn(tx); err != nil {
		return err
	}
	if p.check != nil {
		if err := p.check(ctx, tx); err != nil {
			return err
		}
	}
	clk, err := readClock(ctx, tx.Queries, tx.Practice)
	if err != nil {
		return err
	}
	return tx.LinkUse(ctx, db.LinkUseParams{PracticeID: tx.Practice, ID: p.link, UsedAt: &clk.now})
}

// ConfirmByLink says for the client that they come.
func (d *Desk) ConfirmByLink(ctx context.Context, token string, p Post) (Acted, error) {
	return d.act(ctx, token, p, LinkConfirm, func(d *Desk, l Link, by policy.Principal) ([]policy.Subject, error) {
		v, err := d.SetStatus(ctx, by, StatusInput{Appointment: l.Visit.ID, Verb: policy.VerbConfirm, Version: &l.Visit.Version})
		return v.Rung, err
	})
}

// longestReason bounds what a client may say about a cancellation.
const longestReason = 300

// CancelByLink gives the visit's time back. The reason may stay empty.
func (d *Desk) CancelByLink(ctx context.Context, token string, p Post, reason string) (Acted, error) {
	said := "The client gave no reason."
	if reason != "" {
		clean, err := policy.CleanText(reason, longestReason, true)
		if err != nil {
			return Acted{}, policy.AtField("/reason", err)
		}
		said = clean
	}
	return d.act(ctx, token, p, LinkCancel, func(d *Desk, l Link, by policy.Principal) ([]policy.Subject, error) {
		v, err := d.SetStatus(ctx, by, StatusInput{Appointment: l.Visit.ID, Verb: policy.VerbCancel, Reason: said, Version: &l.Visit.Version})
		return v.Rung, err
	})
}

// CheckInByLink says "I am here", from some hours before the visit until its end.
func (d *Desk) CheckInByLink(ctx context.Context, token string, p Post) (Acted, error) {
	return d.act(ctx, token, p, LinkCheckIn, func(d *Desk, l Link, by policy.Principal) ([]policy.Subject, error) {
		v, err := d.SetStatus(ctx, by, StatusInput{Appointment: l.Visit.ID, Verb: policy.VerbArrive, Version: &l.Visit.Version})
		return v.Rung, err
	})
}

// MoveByLink gives the visit another time that LinkTimes listed.
func (d *Desk) MoveByLink(ctx context.Context, token string, p Post, to FreeTime) (Acted, error) {
	return d.act(ctx, token, p, LinkMove, func(d *Desk, l Link, by policy.Principal) ([]policy.Subject, error) {
		v, err := d.Move(ctx, by, MoveInput{
			Appointment: l.Visit.ID, StartsAt: to.StartsAt.UTC().Format(time.RFC3339), Provider: &to.Provider, Version: &l.Visit.Version,
		})
		return v.Rung, err
	})
}

// BookByLink books the service that a recall is about, once for each recall.
func (d *Desk) BookByLink(ctx context.Context, token string, p Post, at FreeTime) (Acted, error) {
	return d.act(ctx, token, p, LinkBook, func(d *Desk, l Link, by policy.Principal) ([]policy.Subject, error) {
		d.post.check = func(ctx context.Context, tx *db.Tx) error { // the client's lock is held: another booking is seen
			visits, err := tx.LiveVisitsOfRecall(ctx, tx.Practice, l.Recall.ID)
			if err == nil && len(visits) > 1 {
				err = policy.NewError(policy.Conflict, "already_booked", "You have booked already.")
			}
			return err
		}
		booked, err := d.Book(ctx, by, BookInput{
			Client: l.Client, Service: l.Recall.Service, Provider: at.Provider, Location: l.Recall.Location,
			StartsAt: at.StartsAt.UTC().Format(time.RFC3339), Source: "recall",
			CausedBy: &Cause{Kind: policy.KindRecall, ID: l.Recall.ID, Step: "book_link"},
		})
		return booked.Rung, err
	})
}

// LinkForm is what a client filled in on the n-th form of an intake link, from 1.
type LinkForm struct {
	N       int
	Answers map[string]any
	Signer  string
	Signed  bool
	Address string
	Agent   string
}

// SaveFormByLink keeps answers for later.
func (d *Desk) SaveFormByLink(ctx context.Context, token string, p Post, in LinkForm) (Acted, error) {
	return d.fillByLink(ctx, token, p, in, (*Desk).SaveForm)
}

// SubmitFormByLink sends one form for good.
func (d *Desk) SubmitFormByLink(ctx context.Context, token string, p Post, in LinkForm) (Acted, error) {
	return d.fillByLink(ctx, token, p, in, (*Desk).SubmitForm)
}

func (d *Desk) fillByLink(ctx context.Context, token string, p Post, in LinkForm,
	fill func(*Desk, context.Context, policy.Principal, FormInput) (Filled, error),
) (Acted, error) {
	return d.act(ctx, token, p, LinkIntake, func(d *Desk, l Link, by policy.Principal) ([]policy.Subject, error) {
		if in.N < 1 || in.N > len(l.Packet.Forms) {
			return nil, errNoLink()
		}
		form := l.Packet.Forms[in.N-1]
		if form.Submitted {
			return nil, errPosted
		}
		filled, err := fill(d, ctx, by, FormInput{
			Packet: l.Packet.ID, Form: form.ID, Answers: in.Answers, Signer: in.Signer, Signed: in.Signed, Address: in.Address, Agent: in.Agent,
		})
		return filled.Rung, err
	})
}

// act opens the link, lets do run its command as the answer to this post, and opens the link again for the page that follows.
// A link whose effect stands answers as it did the first time; one that acts no more is a 409 with its facts.
func (d *Desk) act(ctx context.Context, token string, p Post, purpose string,
	do func(d *Desk, l Link, by policy.Principal) ([]policy.Subject, error),
) (Acted, error) {
	l, err := d.OpenLink(ctx, token)
	switch {
	case err != nil:
		return Acted{Link: l}, err
	case l.Purpose != purpose:
		return Acted{}, errNoLink()
	case l.State == LinkDone:
		return Acted{Link: l, Repeat: true}, nil
	case l.State == LinkClosed:
		return Acted{Link: l}, l.refusal()
	}
	posting := *d
	posting.post = &linkPost{link: l.ID, nonce: p.Nonce, outcome: purpose}
	client := l.Client
	rung, err := do(&posting, l, policy.Principal{Kind: policy.ByClient, Practice: l.Practice, Client: &client, RequestID: p.RequestID})
	after, openErr := d.OpenLink(ctx, token)
	twin := errors.Is(err, errPosted) || (policy.KindOf(err) == policy.Conflict && openErr == nil && after.State == LinkDone)
	switch {
	case openErr != nil && (err == nil || policy.KindOf(err) == policy.Conflict || errors.Is(err, errPosted)):
		return Acted{Link: after, Rung: rung}, openErr
	case err != nil && !twin:
		return Acted{Link: l}, err
	}
	return Acted{Link: after, Repeat: twin, Rung: rung}, nil
}

// refusal is the conflict of a link that can be read but acts no more, or not yet.
func (l Link) refusal() error {
	sentences := map[string]string{
		WhyBegun:       "The visit has begun. Please speak to the practice.",
		WhyOver:        "The visit is over.",
		WhyTooLate:     "It is too late to change the visit here. Please call the practice.",
		WhyTooEarly:    "Check-in is not open yet.",
		WhyNotApproved: "The practice has not answered your request yet.",
		WhyExpired:     "This invitation has run out. To book a visit, please call the practice.",
	}
	err := policy.NewError(policy.Conflict, "link_closed", sentences[l.Why])
	err.Facts = map[string]any{"why": l.Why}
	return err
}

// LinkTimes lists the free times that a move or a recall's link may choose from: same service, same place. The zero provider
// asks for anybody. 404 for links that choose no time.
func (d *Desk) LinkTimes(ctx context.Context, l Link, from policy.LocalDate, days int, provider policy.ID) ([]FreeTime, error) {
	in := FreeInput{From: from, Days: days}
	if !provider.IsZero() {
		in.Provider = &provider
	}
	switch {
	case l.Purpose == LinkMove && l.Visit != nil:
		in.Service, in.Location, in.ExceptAppointment = l.Visit.Service, l.Visit.Location, &l.Visit.ID
	case l.Purpose == LinkBook && l.Recall != nil:
		in.Service, in.Location = l.Recall.Service, l.Recall.Location
	default:
		return nil, errNoLink()
	}
	times, err := d.FreeTimes(ctx, l.Practice, in)
	if err != nil || l.Purpose != LinkMove {
		return times, err
	}
	return slices.DeleteFunc(times, func(t FreeTime) bool { // the time it has is no other time
		return t.StartsAt.Equal(l.Visit.StartsAt) && t.Provider == l.Visit.Provider
	}), nil
}
