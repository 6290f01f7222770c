package desk

import (
	"context"
	"fmt"

	"github.com/kept-practice/kept/db"
	"github.com/kept-practice/kept/internal/policy"
)

// TemplateInput is a new version of one message in one language.
type TemplateInput struct {
	policy.MessageTemplate
	Locale string
	After  *int32 // the version it was written from; when somebody published another meanwhile: 409
}

// PublishTemplate makes a text count for every message from now on. It is checked first; see policy.CheckTemplate.
func (d *Desk) PublishTemplate(ctx context.Context, by policy.Principal, in TemplateInput) (db.MessageTemplate, error) {
	if err := firstOf(policy.CheckTemplate(in.MessageTemplate), locale(in.Locale)); err != nil {
		return db.MessageTemplate{}, err
	}
	var out db.MessageTemplate
	err := d.command(ctx, by, func(tx *db.Tx) error {
		if _, err := tx.PracticeLock(ctx, tx.Practice); err != nil {
			return notFound(err, "practice")
		}
		last, err := tx.TemplateLastN(ctx, db.TemplateLastNParams{PracticeID: tx.Practice, Kind: in.Kind, Channel: in.Channel, Locale: in.Locale})
		if err != nil {
			return fmt.Errorf("find the last version: %w", err)
		}
		if in.After != nil && *in.After != last {
			return staleVersion("message")
		}
		id := db.NewID()
		if err := tx.TemplateInsert(ctx, db.TemplateInsertParams{
			PracticeID: tx.Practice, ID: id, Kind: in.Kind, Channel: in.Channel, Locale: in.Locale, N: last + 1, Subject: in.Subject, Body: in.Body,
		}); err != nil {
			return err
		}
		if err := tx.Record(ctx, db.Entry{
			Verb: "template_published", By: by, Object: "message_template", ID: id,
			After: map[string]any{"kind": in.Kind, "channel": in.Channel, "locale": in.Locale, "n": last + 1},
		}); err != nil {
			return err
		}
		out, err = tx.TemplateByID(ctx, tx.Practice, id)
		return err
	})
	return out, err
}
