package api

import (
	"context"

	"github.com/kept-practice/kept/db"
	"github.com/kept-practice/kept/internal/policy"
)

// ClientView is a person whom the practice sees.
type ClientView struct {
	ID            ID[clientKind]     `json:"id"`
	GivenName     string             `json:"given_name" example:"Casey"`
	FamilyName    string             `json:"family_name" example:"Client"`
	BirthdayOn    *policy.LocalDate  `json:"birthday_on,omitempty" format:"date" example:"1984-02-29"`
	Locale        string             `json:"locale" example:"en"`
	Zone          *string            `json:"zone,omitempty" doc:"Where the client lives, for quiet hours; the practice's when missing."`
	Status        string             `json:"status" enum:"active,inactive,archived"`
	Prefers       string             `json:"prefers" enum:"mail,sms"`
	PayerID       *ID[clientKind]    `json:"payer_id,omitempty" doc:"Who pays, when somebody else does."`
	Source        string             `json:"source"`
	ContactPoints []ContactPointView `json:"contact_points"`
	Version       int32              `json:"version"`
	CreatedAt     Instant            `json:"created_at"`
}

// ContactPointView is an address that a client can be reached at.
type ContactPointView struct {
	ID       ID[contactPointKind] `json:"id"`
	Channel  string               `json:"channel" enum:"mail,sms"`
	Address  string               `json:"address" example:"casey@example.org"`
	OptedOut []string             `json:"opted_out" enum:"all,recall,marketing" doc:"What may not be sent there."`
}

type listClientsInput struct {
	Page[clientKind]
	Status string `query:"status" enum:"active,inactive,archived" doc:"Only these."`
}

func (s *Server) listClients(ctx context.Context, in *listClientsInput) (*reply[List[ClientView]], error) {
	out := List[ClientView]{Data: []ClientView{}}
	staff, ok := ownStaff(ctx)
	if !ok {
		return &reply[List[ClientView]]{Body: out}, nil
	}
	var status *string
	if in.Status != "" {
		status = &in.Status
	}
	practice := callerOf(ctx).Practice
	err := s.deps.Store.InPractice(ctx, practice, func(tx *db.Tx) error {
		rows, more, err := turn(in.Page,
			func(id *policy.ID, limit int32) ([]db.ClientSeenRow, error) {
				rows, err := tx.ClientPageOlder(ctx, db.ClientPageOlderParams{PracticeID: practice, ID: id, Status: status, OwnStaff: staff, PageSize: limit})
				return convert(rows, func(r db.ClientPageOlderRow) db.ClientSeenRow { return db.ClientSeenRow(r) }), err
			},
			func(id policy.ID, limit int32) ([]db.ClientSeenRow, error) {
				rows, err := tx.ClientPageNewer(ctx, db.ClientPageNewerParams{PracticeID: practice, ID: id, Status: status, OwnStaff: staff, PageSize: limit})
				return convert(rows, func(r db.ClientPageNewerRow) db.ClientSeenRow { return db.ClientSeenRow(r) }), err
			})
		if err != nil {
			return err
		}
		if out.Data, err = clientViews(ctx, tx, rows); err != nil {
			return err
		}
		out.HasMore = more
		seen := convert(out.Data, func(c ClientView) ID[clientKind] { return c.ID })
		return tx.Record(ctx, db.Entry{Verb: "clients_listed", By: callerOf(ctx).Principal, Object: "client", After: map[string]any{"clients": seen}})
	})
	return &reply[List[ClientView]]{Body: out}, err
}

func (s *Server) getClient(ctx context.Context, in *byID[clientKind]) (*reply[ClientView], error) {
	out := &reply[ClientView]{}
	staff, ok := ownStaff(ctx)
	if !ok {
		return nil, errNoClient()
	}
	practice := callerOf(ctx).Practice
	return out, s.deps.Store.InPractice(ctx, practice, func(tx *db.Tx) error {
		row, err := tx.ClientSeen(ctx, db.ClientSeenParams{PracticeID: practice, ID: policy.ID(in.ID), OwnStaff: staff})
		if db.NoRows(err) {
			return errNoClient()
		}
		if err != nil {
			return err
		}
		views, err := clientViews(ctx, tx, []db.ClientSeenRow{row})
		if err != nil {
			return err
		}
		out.Body = views[0]
		return tx.Record(ctx, db.Entry{Verb: "client_read", By: callerOf(ctx).Principal, Object: "client", ID: row.ID})
	})
}

func errNoClient() error {
	return policy.NewError(policy.NotFound, "client_not_found", "There is no such client in this practice, or not among your own.")
}

// clientViews shows clients with their addresses. Its callers write into the journal who saw whom, in the same transaction:
// without the entry nobody has seen them.
func clientViews(ctx context.Context, tx *db.Tx, rows []db.ClientSeenRow) ([]ClientView, error) {
	ids := convert(rows, func(c db.ClientSeenRow) policy.ID { return c.ID })
	points, err := tx.ClientContactPoints(ctx, tx.Practice, ids)
	if err != nil {
		return nil, err
	}
	reachable := map[policy.ID][]ContactPointView{}
	for _, p := range points {
		reachable[p.ClientID] = append(reachable[p.ClientID], ContactPointView{
			ID: ID[contactPointKind](p.ID), Channel: p.Channel, Address: p.Address, OptedOut: append([]string{}, p.OptedOut...),
		})
	}
	return convert(rows, func(c db.ClientSeenRow) ClientView {
		contacts := reachable[c.ID]
		if contacts == nil {
			contacts = []ContactPointView{}
		}
		return ClientView{
			ID: ID[clientKind](c.ID), GivenName: c.GivenName, FamilyName: c.FamilyName, BirthdayOn: c.BirthdayOn, Locale: c.Locale, Zone: c.Zone,
			Status: c.Status, Prefers: c.Prefers, PayerID: idOrNil[clientKind](c.PayerID), Source: c.Source, ContactPoints: contacts,
			Version: c.Version, CreatedAt: at(c.CreatedAt),
		}
	}), nil
}

// convert maps a list; an empty one stays a list on the wire.
func convert[A, B any](in []A, f func(A) B) []B {
	out := make([]B, 0, len(in))
	for _, a := range in {
		out = append(out, f(a))
	}
	return out
}
