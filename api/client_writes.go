package api

import (
	"context"

	"github.com/kept-practice/kept/db"
	"github.com/kept-practice/kept/internal/desk"
	"github.com/kept-practice/kept/internal/policy"
)

// NewClient is a person to look after. Names are kept as they are written.
type NewClient struct {
	GivenName  string            `json:"given_name" example:"Casey"`
	FamilyName string            `json:"family_name" example:"Client"`
	BirthdayOn *policy.LocalDate `json:"birthday_on,omitempty" format:"date" example:"1984-02-29"`
	Mail       string            `json:"mail,omitempty" example:"casey@example.org"`
	Phone      string            `json:"phone,omitempty" example:"+12025550123" doc:"With its country's code, or as dialled in the practice's country."`
	Prefers    string            `json:"prefers,omitempty" enum:"mail,sms" example:"mail" doc:"The practice's setting when left out."`
	Locale     string            `json:"locale,omitempty" example:"en"`
	Zone       *string           `json:"zone,omitempty" example:"America/New_York" doc:"Where the client lives, for quiet hours; the practice's when left out."`
	PayerID    ID[clientKind]    `json:"payer_id,omitempty" doc:"Another client, who pays."`
	Source     string            `json:"source,omitempty" example:"phone" doc:"How they came."`
}

func (s *Server) createClient(ctx context.Context, in *create[NewClient]) (*reply[ClientView], error) {
	b := in.Body
	if !b.PayerID.IsZero() {
		if err := s.withinReach(ctx, b.PayerID); err != nil {
			return nil, policy.AtField("/payer_id", err)
		}
	}
	c, err := s.deps.Desk.CreateClient(ctx, callerOf(ctx).Principal, desk.ClientInput{
		GivenName: b.GivenName, FamilyName: b.FamilyName, BirthdayOn: b.BirthdayOn, Mail: b.Mail, Phone: b.Phone, Prefers: b.Prefers,
		Locale: b.Locale, Zone: b.Zone, Payer: b.PayerID.OrNil(), Source: b.Source,
	})
	if err != nil {
		return nil, named(err, map[string]string{"/payer": "/payer_id"})
	}
	return s.clientAfter(ctx, c.ID)
}

// ClientChange is a merge patch: what is left out stays.
type ClientChange struct {
	AsRead
	GivenName  *string                     `json:"given_name,omitempty" example:"Casey"`
	FamilyName *string                     `json:"family_name,omitempty" example:"Client"`
	BirthdayOn clearable[policy.LocalDate] `json:"birthday_on,omitempty" format:"date" example:"1984-02-29" doc:"null takes it away."`
	Locale     *string                     `json:"locale,omitempty" example:"en"`
	Zone       clearable[string]           `json:"zone,omitempty" example:"America/New_York" doc:"null: as the practice's."`
	Prefers    *string                     `json:"prefers,omitempty" enum:"mail,sms" example:"sms"`
	Status     *string                     `json:"status,omitempty" enum:"active,inactive,archived" example:"active" doc:"An inactive client gets no messages; an archived one cannot be booked."`
}

func (s *Server) updateClient(ctx context.Context, in *changeOf[clientKind, ClientChange]) (*reply[ClientView], error) {
	b := in.Body
	return s.changeClient(ctx, in.ID, desk.ClientPatch{
		Version: b.Version, GivenName: b.GivenName, FamilyName: b.FamilyName, BirthdayOn: b.BirthdayOn.change(), Locale: b.Locale,
		Zone: b.Zone.change(), Prefers: b.Prefers, Status: b.Status,
	})
}

func (s *Server) archiveClient(ctx context.Context, in *changeOf[clientKind, AsRead]) (*reply[ClientView], error) {
	return s.changeClient(ctx, in.ID, desk.ClientPatch{Version: in.Body.Version, Status: new(desk.ClientArchived)})
}

func (s *Server) changeClient(ctx context.Context, id ID[clientKind], change desk.ClientPatch) (*reply[ClientView], error) {
	if err := s.withinReach(ctx, id); err != nil {
		return nil, err
	}
	change.ID = policy.ID(id)
	return s.clientWith(ctx)(s.deps.Desk.UpdateClient(ctx, callerOf(ctx).Principal, change))
}

// Erasure says why; it cannot be undone.
type Erasure struct {
	AsRead
	Reason string `json:"reason" example:"The client asked for it in writing."`
}

func (s *Server) eraseClient(ctx context.Context, in *changeOf[clientKind, Erasure]) (*struct{}, error) {
	reason, err := policy.CleanName(in.Body.Reason, 200)
	if err != nil {
		return nil, policy.AtField("/reason", err)
	}
	rung, err := s.deps.Desk.EraseClient(ctx, callerOf(ctx).Principal, policy.ID(in.ID), in.Body.Version, reason)
	ring(ctx, rung...)
	return nil, err
}

// NewContactPoint is an address of a channel.
type NewContactPoint struct {
	Channel string `json:"channel" enum:"mail,sms" example:"sms"`
	Address string `json:"address" example:"+12025550123"`
}

func (s *Server) addContact(ctx context.Context, in *changeOf[clientKind, NewContactPoint]) (*reply[ClientView], error) {
	if err := s.withinReach(ctx, in.ID); err != nil {
		return nil, err
	}
	return s.clientWith(ctx)(s.deps.Desk.AddContact(ctx, callerOf(ctx).Principal, policy.ID(in.ID), in.Body.Channel, in.Body.Address))
}

// contactOf is an operation on one address of a client.
type contactOf[B any] struct {
	ID             ID[clientKind]       `path:"id"`
	ContactPointID ID[contactPointKind] `path:"contact_point_id"`
	Body           B
}

// WhyClosed says why an address is out of use.
type WhyClosed struct {
	Reason string `json:"reason" example:"The number has changed."`
}

func (s *Server) closeContact(ctx context.Context, in *contactOf[WhyClosed]) (*reply[ClientView], error) {
	if err := s.withinReach(ctx, in.ID); err != nil {
		return nil, err
	}
	return s.clientWith(ctx)(s.deps.Desk.CloseContact(ctx, callerOf(ctx).Principal, policy.ID(in.ID), policy.ID(in.ContactPointID), in.Body.Reason))
}

// OptOut is what was said about an address.
type OptOut struct {
	Purpose string `json:"purpose" enum:"all,recall,marketing" example:"all"`
	Source  string `json:"source" example:"phone" doc:"Where it was said."`
}

func (s *Server) optOut(ctx context.Context, in *contactOf[OptOut]) (*reply[ClientView], error) {
	said, err := s.addressOf(ctx, in.ID, in.ContactPointID)
	if err != nil {
		return nil, err
	}
	said.Purpose, said.Source = in.Body.Purpose, in.Body.Source
	rung, err := s.deps.Desk.OptOut(ctx, callerOf(ctx).Principal, said)
	if err != nil {
		return nil, err
	}
	ring(ctx, rung...)
	return s.clientAfter(ctx, policy.ID(in.ID))
}

// OptIn says where an opt-out was taken back.
type OptIn struct {
	Source string `json:"source" example:"desk" doc:"Where it was said."`
}

func (s *Server) optIn(ctx context.Context, in *contactOf[OptIn]) (*reply[ClientView], error) {
	said, err := s.addressOf(ctx, in.ID, in.ContactPointID)
	if err != nil {
		return nil, err
	}
	said.Source = in.Body.Source
	rung, err := s.deps.Desk.OptIn(ctx, callerOf(ctx).Principal, said)
	if err != nil {
		return nil, err
	}
	ring(ctx, rung...)
	return s.clientAfter(ctx, policy.ID(in.ID))
}

// addressOf reads an open address of a client whom the caller may change.
func (s *Server) addressOf(ctx context.Context, client ID[clientKind], id ID[contactPointKind]) (desk.OptOutInput, error) {
	if err := s.withinReach(ctx, client); err != nil {
		return desk.OptOutInput{}, err
	}
	practice := callerOf(ctx).Practice
	point, err := s.deps.Store.In(practice).ContactPointByID(ctx, practice, policy.ID(id))
	if err == nil && (point.ClientID != policy.ID(client) || point.ClosedAt != nil) {
		return desk.OptOutInput{}, policy.NewError(policy.NotFound, "contact_point_not_found", "This client has no such address.")
	}
	return desk.OptOutInput{Channel: point.Channel, Address: point.Address}, missing(err, "contact_point")
}

// Consent is what a client agreed to or withdrew, for one channel and purpose.
type Consent struct {
	Channel string `json:"channel" enum:"mail,sms" example:"mail"`
	Purpose string `json:"purpose" enum:"service,recall,marketing" example:"recall"`
	Granted bool   `json:"granted" example:"true"`
	Source  string `json:"source" example:"form" doc:"Where it was said."`
}

func (s *Server) recordConsent(ctx context.Context, in *changeOf[clientKind, Consent]) (*struct{}, error) {
	if err := s.withinReach(ctx, in.ID); err != nil {
		return nil, err
	}
	b := in.Body
	rung, err := s.deps.Desk.RecordConsent(ctx, callerOf(ctx).Principal, desk.ConsentInput{
		Client: policy.ID(in.ID), Channel: b.Channel, Purpose: b.Purpose, Granted: b.Granted, Source: b.Source,
	})
	ring(ctx, rung...)
	return nil, err
}

// withinReach refuses clients outside the caller's own, where that is how far they reach. The desk refuses those who are not
// there at all.
func (s *Server) withinReach(ctx context.Context, id ID[clientKind]) error {
	staff, ok := ownStaff(ctx)
	if !ok {
		return errNoClient()
	}
	practice := callerOf(ctx).Practice
	_, err := s.deps.Store.In(practice).ClientSeen(ctx, db.ClientSeenParams{PracticeID: practice, ID: policy.ID(id), OwnStaff: staff})
	if db.NoRows(err) {
		return errNoClient()
	}
	return err
}

// clientWith rings those whom a command concerns and shows the client as they are now.
func (s *Server) clientWith(ctx context.Context) func(desk.Client, error) (*reply[ClientView], error) {
	return func(c desk.Client, err error) (*reply[ClientView], error) {
		if err != nil {
			return nil, err
		}
		ring(ctx, c.Rung...)
		return s.clientAfter(ctx, c.ID)
	}
}

// clientAfter shows a client to whoever has just changed them, which the journal says already.
func (s *Server) clientAfter(ctx context.Context, id policy.ID) (*reply[ClientView], error) {
	out := &reply[ClientView]{}
	practice := callerOf(ctx).Practice
	return out, s.deps.Store.InPractice(ctx, practice, func(tx *db.Tx) error {
		row, err := tx.ClientSeen(ctx, db.ClientSeenParams{PracticeID: practice, ID: id})
		if err != nil {
			return err
		}
		views, err := clientViews(ctx, tx, []db.ClientSeenRow{row})
		if err != nil {
			return err
		}
		out.Body = views[0]
		return nil
	})
}
