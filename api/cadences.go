package api

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/kept-practice/kept/db"
	"github.com/kept-practice/kept/internal/policy"
)

// CadenceView is a series of messages, charges or tasks, for the practice, a location, a service or both; the most specific
// one counts.
type CadenceView struct {
	ID         ID[cadenceKind]   `json:"id"`
	Kind       string            `json:"kind" enum:"journey,collection,recall"`
	Name       string            `json:"name" example:"Reminders"`
	LocationID *ID[locationKind] `json:"location_id,omitempty"`
	ServiceID  *ID[serviceKind]  `json:"service_id,omitempty"`
	ArchivedAt *Instant          `json:"archived_at,omitempty"`
	CreatedAt  Instant           `json:"created_at"`
}

func cadenceView(c db.Cadence) CadenceView {
	return CadenceView{
		ID: ID[cadenceKind](c.ID), Kind: c.Kind, Name: c.Name, LocationID: idOrNil[locationKind](c.LocationID), ServiceID: idOrNil[serviceKind](c.ServiceID),
		ArchivedAt: atOrNil(c.ArchivedAt), CreatedAt: at(c.CreatedAt),
	}
}

// Rule is one line of a cadence.
type Rule struct {
	ID       string   `json:"id" example:"two_days" doc:"Kept through all versions: what was sent under a rule is never sent again under its next version."`
	Act      string   `json:"act" enum:"message,charge,task" example:"message"`
	When     string   `json:"when" example:"-2d" doc:"From the start of the visit, the issue of the invoice or the due day of the recall: -2h, -7d, +3d@10:00."`
	Channels []string `json:"channels,omitempty" enum:"mail,sms" maxItems:"2" uniqueItems:"true" doc:"Left out: as the client prefers, else the other."`
	Title    string   `json:"title,omitempty" example:"Call the client." doc:"Of a task."`
}

func parsedRules(rules []Rule) ([]policy.Rule, error) {
	out := make([]policy.Rule, len(rules))
	for i, r := range rules {
		when, err := policy.ParseLead(r.When)
		if err != nil {
			return nil, policy.AtField(fmt.Sprintf("/rules/%d/when", i), err)
		}
		out[i] = policy.Rule{ID: r.ID, Act: r.Act, When: when, Channels: r.Channels, Title: r.Title}
	}
	return out, nil
}

// CadenceVersionView is one version of a cadence's rules. A published one never changes.
type CadenceVersionView struct {
	ID          ID[cadenceVersionKind] `json:"id"`
	CadenceID   ID[cadenceKind]        `json:"cadence_id"`
	N           int32                  `json:"n" example:"2"`
	Status      string                 `json:"status" enum:"draft,published"`
	Rules       []Rule                 `json:"rules"`
	Version     int32                  `json:"version" example:"1" doc:"Of the draft: rises with each edit."`
	PublishedAt *Instant               `json:"published_at,omitempty"`
	CreatedAt   Instant                `json:"created_at"`
}

func cadenceVersionView(v db.CadenceVersion) (CadenceVersionView, error) {
	out := CadenceVersionView{
		ID: ID[cadenceVersionKind](v.ID), CadenceID: ID[cadenceKind](v.CadenceID), N: v.N, Status: v.Status, Rules: []Rule{}, Version: v.Version,
		PublishedAt: atOrNil(v.PublishedAt), CreatedAt: at(v.CreatedAt),
	}
	if err := json.Unmarshal(v.Rules, &out.Rules); err != nil {
		return out, fmt.Errorf("read the rules of a cadence: %w", err)
	}
	return out, nil
}

func versionReply(v db.CadenceVersion, err error) (*reply[CadenceVersionView], error) {
	if err != nil {
		return nil, named(err, map[string]string{"/location": "/location_id", "/service": "/service_id"})
	}
	view, err := cadenceVersionView(v)
	return &reply[CadenceVersionView]{Body: view}, err
}

func (s *Server) listCadences(ctx context.Context, in *struct{ Page[cadenceKind] }) (*reply[List[CadenceView]], error) {
	practice := callerOf(ctx).Practice
	rows, err := s.deps.Store.In(practice).CadenceList(ctx, practice)
	if err != nil {
		return nil, err
	}
	return list(in.Page, rows, func(c db.Cadence) policy.ID { return c.ID }, cadenceView)
}

func (s *Server) getCadence(ctx context.Context, in *byID[cadenceKind]) (*reply[CadenceView], error) {
	practice := callerOf(ctx).Practice
	c, err := s.deps.Store.In(practice).CadenceByID(ctx, practice, policy.ID(in.ID))
	return &reply[CadenceView]{Body: cadenceView(c)}, missing(err, "cadence")
}

// listCadenceVersions is one page for ever: a cadence is drafted by hand.
func (s *Server) listCadenceVersions(ctx context.Context, in *byID[cadenceKind]) (*reply[List[CadenceVersionView]], error) {
	practice := callerOf(ctx).Practice
	queries := s.deps.Store.In(practice)
	if _, err := queries.CadenceByID(ctx, practice, policy.ID(in.ID)); err != nil {
		return nil, missing(err, "cadence")
	}
	rows, err := queries.CadenceVersions(ctx, practice, policy.ID(in.ID))
	if err != nil {
		return nil, err
	}
	out := List[CadenceVersionView]{Data: []CadenceVersionView{}}
	for i := len(rows) - 1; i >= 0; i-- {
		view, err := cadenceVersionView(rows[i])
		if err != nil {
			return nil, err
		}
		out.Data = append(out.Data, view)
	}
	return &reply[List[CadenceVersionView]]{Body: out}, nil
}

func (s *Server) getCadenceVersion(ctx context.Context, in *byID[cadenceVersionKind]) (*reply[CadenceVersionView], error) {
	practice := callerOf(ctx).Practice
	v, err := s.deps.Store.In(practice).CadenceVersionByID(ctx, practice, policy.ID(in.ID))
	return versionReply(v, missing(err, "cadence_version"))
}
