package api

import (
	"context"
	"strings"

	"github.com/kept-practice/kept/db"
	"github.com/kept-practice/kept/internal/desk"
	"github.com/kept-practice/kept/internal/policy"
)

// ClientSearch is what is known of a person: one text that may be anything, or any of the fields.
type ClientSearch struct {
	Query      string            `json:"query,omitempty" example:"maria lopez" doc:"A name, a phone, a mail address or a birthday (YYYY-MM-DD)."`
	Name       string            `json:"name,omitempty" example:"Maria Lopez" doc:"As it was heard: accents and small slips do not matter."`
	Phone      string            `json:"phone,omitempty" example:"(202) 555-0123"`
	Mail       string            `json:"mail,omitempty" example:"maria@example.org"`
	BirthdayOn *policy.LocalDate `json:"birthday_on,omitempty" format:"date" example:"1984-02-29"`
	Limit      int32             `json:"limit,omitempty" minimum:"1" maximum:"50" example:"20" doc:"20 when left out."`
}

// FoundClient is one hit.
type FoundClient struct {
	ID         ID[clientKind]    `json:"id"`
	GivenName  string            `json:"given_name" example:"María"`
	FamilyName string            `json:"family_name" example:"López"`
	BirthdayOn *policy.LocalDate `json:"birthday_on,omitempty" format:"date"`
	Status     string            `json:"status" enum:"active,inactive,archived"`
	NextVisit  *NextVisit        `json:"next_visit,omitempty"`
	Balance    *Money            `json:"balance,omitempty" doc:"The open part of issued invoices; missing when there is none, or the caller does not see invoices."`
	Score      float64           `json:"score" doc:"Higher the better everything that was said fits."`
	Matched    []string          `json:"matched" enum:"name,phone,mail,birthday"`
}

// NextVisit is when a client comes next.
type NextVisit struct {
	AppointmentID ID[appointmentKind] `json:"appointment_id"`
	StartsAt      Instant             `json:"starts_at"`
	Zone          string              `json:"zone" example:"America/New_York"`
	Local         string              `json:"local" example:"2026-03-09T14:00:00"`
}

func (s *Server) searchClients(ctx context.Context, in *create[ClientSearch]) (*reply[List[FoundClient]], error) {
	out := &reply[List[FoundClient]]{Body: List[FoundClient]{Data: []FoundClient{}}}
	staff, ok := ownStaff(ctx)
	search, err := in.Body.input()
	if err != nil {
		return nil, err
	}
	if !ok {
		return out, nil
	}
	search.OwnStaff = staff
	caller := callerOf(ctx)
	found, err := s.deps.Desk.SearchClients(ctx, caller.Practice, search)
	if err != nil {
		if in.Body.Query != "" {
			err = named(err, map[string]string{"/name": "/query", "/phone": "/query", "/mail": "/query", "/birthday_on": "/query"})
		}
		return nil, err
	}
	return out, s.deps.Store.InPractice(ctx, caller.Practice, func(tx *db.Tx) error {
		if out.Body.Data, err = foundClients(ctx, tx, caller.Role, found); err != nil {
			return err
		}
		seen := convert(out.Body.Data, func(c FoundClient) ID[clientKind] { return c.ID })
		return tx.Record(ctx, db.Entry{Verb: "clients_searched", By: caller.Principal, Object: "client", After: map[string]any{"clients": seen}})
	})
}

// input reads the one text as what it looks like: @ makes a mail address, digits and dashes a day or else a phone.
func (b ClientSearch) input() (desk.SearchInput, error) {
	in := desk.SearchInput{Name: b.Name, Phone: b.Phone, Mail: b.Mail, BirthdayOn: b.BirthdayOn, Limit: int(b.Limit)}
	query := strings.TrimSpace(b.Query)
	if b.Query == "" {
		return in, nil
	}
	if b.Name != "" || b.Phone != "" || b.Mail != "" || b.BirthdayOn != nil {
		return in, policy.InvalidField("/query", "one_of", "Give either one text to look for or single fields.")
	}
	day, err := policy.ParseLocalDate(query)
	switch {
	case strings.Contains(query, "@"):
		in.Mail = query
	case err == nil:
		in.BirthdayOn = &day
	case strings.ContainsAny(query, "0123456789") && strings.Trim(query, "+0123456789 ()-./") == "":
		in.Phone = query
	default:
		in.Name = b.Query
	}
	return in, nil
}

// foundClients adds to the hits what a desk wants to know next. Money shows to those only who may read invoices.
func foundClients(ctx context.Context, tx *db.Tx, role policy.Role, found []desk.Found) ([]FoundClient, error) {
	ids := convert(found, func(f desk.Found) policy.ID { return f.ID })
	visits, err := tx.ClientsNextVisit(ctx, tx.Practice, ids)
	if err != nil {
		return nil, err
	}
	next := map[policy.ID]*NextVisit{}
	for _, v := range visits {
		day, err := local(v.StartsAt, v.Zone)
		if err != nil {
			return nil, err
		}
		next[v.ClientID] = &NextVisit{AppointmentID: ID[appointmentKind](v.ID), StartsAt: at(v.StartsAt), Zone: v.Zone, Local: day}
	}
	owes := map[policy.ID]*Money{}
	if _, ok := policy.Allowed(role, policy.InvoicesRead); ok {
		balances, err := tx.ClientsBalance(ctx, tx.Practice, ids)
		if err != nil {
			return nil, err
		}
		for _, b := range balances {
			owes[b.ClientID] = &Money{Amount: b.Amount, Currency: b.Currency}
		}
	}
	return convert(found, func(f desk.Found) FoundClient {
		return FoundClient{
			ID: ID[clientKind](f.ID), GivenName: f.GivenName, FamilyName: f.FamilyName, BirthdayOn: f.BirthdayOn, Status: f.Status,
			NextVisit: next[f.ID], Balance: owes[f.ID], Score: f.Score, Matched: f.Matched,
		}
	}), nil
}
