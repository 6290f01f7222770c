package api

import (
	"context"

	"github.com/kept-practice/kept/db"
	"github.com/kept-practice/kept/internal/policy"
)

// MessageView is a message that went to a client, or was to go.
type MessageView struct {
	ID         ID[messageKind]  `json:"id"`
	ClientID   ID[clientKind]   `json:"client_id"`
	SubjectID  string           `json:"subject_id" doc:"What it is about: jrn_…, inv_… or rcl_…"`
	Step       string           `json:"step" doc:"The key of the step that sent it." example:"reminder/two_days/mail/v1"`
	Kind       string           `json:"kind" example:"reminder"`
	Channel    string           `json:"channel" enum:"mail,sms"`
	Status     string           `json:"status" enum:"claimed,sent,delivered,bounced,failed,unknown"`
	Locale     string           `json:"locale" example:"en"`
	TemplateID ID[templateKind] `json:"template_id"`
	Segments   int32            `json:"segments,omitempty" doc:"Of a text, as carriers count."`
	GatewayID  *string          `json:"gateway_id,omitempty" doc:"What the gateway calls it."`
	OccurredAt Instant          `json:"occurred_at" doc:"On the practice's clock."`
	SettledAt  *Instant         `json:"settled_at,omitempty" doc:"When its fate was known, in real time."`
}

// MessageWhole is a message with the address that it went to.
type MessageWhole struct {
	MessageView
	Address string `json:"address" example:"casey@example.org"`
}

func messageView(m db.Message) MessageView {
	return MessageView{
		ID: ID[messageKind](m.ID), ClientID: ID[clientKind](m.ClientID), SubjectID: subjectID(policy.Subject{Kind: m.SubjectKind, ID: m.SubjectID}),
		Step: m.EffectKey, Kind: m.Kind, Channel: m.Channel, Status: m.Status, Locale: m.Locale, TemplateID: ID[templateKind](m.TemplateID),
		Segments: m.Segments, GatewayID: m.GatewayID, OccurredAt: at(m.OccurredAt), SettledAt: atOrNil(m.SettledAt),
	}
}

type listMessagesInput struct {
	Page[messageKind]
	ClientID  ID[clientKind]  `query:"client_id"`
	JourneyID ID[journeyKind] `query:"journey_id"`
	InvoiceID ID[invoiceKind] `query:"invoice_id"`
	RecallID  ID[recallKind]  `query:"recall_id"`
	Channel   string          `query:"channel" enum:"mail,sms"`
	Status    string          `query:"status" enum:"claimed,sent,delivered,bounced,failed,unknown"`
}

// subject is the one subject that was asked for.
func (in *listMessagesInput) subject() (*policy.ID, error) {
	var given []*policy.ID
	for _, id := range []*policy.ID{in.JourneyID.OrNil(), in.InvoiceID.OrNil(), in.RecallID.OrNil()} {
		if id != nil {
			given = append(given, id)
		}
	}
	switch len(given) {
	case 0:
		return nil, nil
	case 1:
		return given[0], nil
	}
	return nil, policy.InvalidField("query:journey_id", "two_subjects", "Give one of journey_id, invoice_id and recall_id.")
}

func (s *Server) listMessages(ctx context.Context, in *listMessagesInput) (*reply[List[MessageView]], error) {
	out := &reply[List[MessageView]]{Body: List[MessageView]{Data: []MessageView{}}}
	staff, ok := ownStaff(ctx)
	if !ok {
		return out, nil
	}
	subject, err := in.subject()
	if err != nil {
		return nil, err
	}
	practice := callerOf(ctx).Practice
	queries := s.deps.Store.In(practice)
	rows, more, err := turn(in.Page,
		func(id *policy.ID, limit int32) ([]db.Message, error) {
			return queries.MessagePageOlder(ctx, db.MessagePageOlderParams{
				PracticeID: practice, ID: id, ClientID: in.ClientID.OrNil(), SubjectID: subject, Channel: textOrNil(in.Channel), Status: textOrNil(in.Status),
				OwnStaff: staff, PageSize: limit,
			})
		},
		func(id policy.ID, limit int32) ([]db.Message, error) {
			return queries.MessagePageNewer(ctx, db.MessagePageNewerParams{
				PracticeID: practice, ID: id, ClientID: in.ClientID.OrNil(), SubjectID: subject, Channel: textOrNil(in.Channel), Status: textOrNil(in.Status),
				OwnStaff: staff, PageSize: limit,
			})
		})
	if err != nil {
		return nil, err
	}
	out.Body = List[MessageView]{Data: convert(rows, messageView), HasMore: more}
	return out, nil
}

// getMessage shows an address, so that the reading stands in the journal before it is answered.
func (s *Server) getMessage(ctx context.Context, in *byID[messageKind]) (*reply[MessageWhole], error) {
	practice := callerOf(ctx).Practice
	m, err := s.deps.Store.In(practice).MessageByID(ctx, practice, policy.ID(in.ID))
	if db.NoRows(err) {
		return nil, errNotFound("message")
	}
	if err != nil {
		return nil, err
	}
	if err := s.reachesClient(ctx, m.ClientID, "message"); err != nil {
		return nil, err
	}
	return &reply[MessageWhole]{Body: MessageWhole{MessageView: messageView(m), Address: m.Address}}, s.deps.Store.InPractice(ctx, practice, func(tx *db.Tx) error {
		return tx.Record(ctx, db.Entry{Verb: "message_read", By: callerOf(ctx).Principal, Object: "message", ID: m.ID})
	})
}
