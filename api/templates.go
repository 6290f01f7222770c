package api

import (
	"context"

	"github.com/kept-practice/kept/db"
	"github.com/kept-practice/kept/internal/desk"
	"github.com/kept-practice/kept/internal/policy"
)

// TemplateView is the text in force of one message, by channel and language.
type TemplateView struct {
	ID          ID[templateKind] `json:"id"`
	Kind        string           `json:"kind" enum:"confirmation,moved,reminder,cancellation,invoice,receipt,dunning,recall,fresh_link"`
	Channel     string           `json:"channel" enum:"mail,sms"`
	Locale      string           `json:"locale" example:"en"`
	N           int32            `json:"n" doc:"Counts the versions."`
	Subject     string           `json:"subject,omitempty" example:"Your appointment at {{practice_name}}"`
	Body        string           `json:"body" example:"Hello {{given_name}}, …"`
	PublishedAt Instant          `json:"published_at"`
}

func templateView(t db.MessageTemplate) TemplateView {
	return TemplateView{
		ID: ID[templateKind](t.ID), Kind: t.Kind, Channel: t.Channel, Locale: t.Locale, N: t.N, Subject: t.Subject, Body: t.Body, PublishedAt: at(t.PublishedAt),
	}
}

func (s *Server) listTemplates(ctx context.Context, in *struct{ Page[templateKind] }) (*reply[List[TemplateView]], error) {
	practice := callerOf(ctx).Practice
	rows, err := s.deps.Store.In(practice).TemplateList(ctx, practice)
	if err != nil {
		return nil, err
	}
	return list(in.Page, rows, func(r db.TemplateListRow) policy.ID { return r.ID }, func(r db.TemplateListRow) TemplateView {
		return templateView(db.MessageTemplate{
			ID: r.ID, Kind: r.Kind, Channel: r.Channel, Locale: r.Locale, N: r.N, Subject: r.Subject, Body: r.Body, PublishedAt: r.PublishedAt,
		})
	})
}

// NewTemplate is the next version of a text. A reader meets it as it is written, with its variables filled.
type NewTemplate struct {
	Kind    string `json:"kind" enum:"confirmation,moved,reminder,cancellation,invoice,receipt,dunning,recall,fresh_link" example:"reminder"`
	Channel string `json:"channel" enum:"mail,sms" example:"sms"`
	Locale  string `json:"locale" example:"en"`
	Subject string `json:"subject,omitempty" example:"" doc:"Of a mail; it may name the practice alone."`
	Body    string `json:"body" example:"{{practice_name}}: see you {{when}}. Change: {{move_url}}"`
	AfterN  *int32 `json:"after_n,omitempty" minimum:"0" example:"1" doc:"The version that it was written from. When somebody published another meanwhile: 409 stale_version."`
}

func (s *Server) publishTemplate(ctx context.Context, in *create[NewTemplate]) (*reply[TemplateView], error) {
	b := in.Body
	t, err := s.deps.Desk.PublishTemplate(ctx, callerOf(ctx).Principal, desk.TemplateInput{
		MessageTemplate: policy.MessageTemplate{Kind: b.Kind, Channel: b.Channel, Subject: b.Subject, Body: b.Body}, Locale: b.Locale, After: b.AfterN,
	})
	return &reply[TemplateView]{Body: templateView(t)}, err
}
