package db

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/kept-practice/kept/internal/policy"
)

// Entry is one line of the journal together with the subjects that must look again because of it.
type Entry struct {
	Verb    string // past tense, noun first: appointment_booked
	By      policy.Principal
	Subject policy.Subject // whose timeline it belongs to; zero for entries about a practice's setup
	Object  string         // kind of the thing changed: appointment, invoice, setting …
	ID      policy.ID      // of the thing; zero when there is none
	Reason  string
	Before  any // marshalled as JSON; ids, kinds, instants and amounts, no personal data
	After   any
	At      time.Time        // zero: the practice's clock
	Rings   []policy.Subject // one outbox row each; policy.Rings says which verbs ring whom
}

// Record writes the entry and its outbox rows. Journal and outbox come last in a transaction: no lock follows them.
func (t *Tx) Record(ctx context.Context, e Entry) error {
	id := NewID()
	if e.Reason == "" && e.By.Kind == policy.BySystem {
		e.Reason = t.Cause
	}
	before, err := jsonOrNull(e.Before)
	if err != nil {
		return err
	}
	after, err := jsonOrNull(e.After)
	if err != nil {
		return err
	}
	arg := JournalInsertParams{
		PracticeID: t.Practice, ID: id, Verb: e.Verb, ActorKind: string(e.By.Kind), ActorID: e.By.Actor(), OnBehalfOf: e.By.OnBehalfOf,
		ObjectKind: e.Object, Reason: e.Reason, Before: before, After: after, RequestID: e.By.RequestID,
	}
	if !e.ID.IsZero() {
		arg.ObjectID = &e.ID
	}
	if e.Subject.Kind != "" {
		arg.SubjectKind, arg.SubjectID = &e.Subject.Kind, &e.Subject.ID
	}
	if !e.At.IsZero() {
		arg.At = &e.At
	}
	if err := t.JournalInsert(ctx, arg); err != nil {
		return fmt.Errorf("journal %s: %w", e.Verb, err)
	}
	for _, s := range e.Rings {
		if err := t.OutboxInsert(ctx, OutboxInsertParams{
			PracticeID: t.Practice, ID: NewID(), SubjectKind: s.Kind, SubjectID: s.ID, Label: e.Verb + " " + id.String(),
		}); err != nil {
			return fmt.Errorf("outbox for %s: %w", e.Verb, err)
		}
	}
	return nil
}

func jsonOrNull(v any) (json.RawMessage, error) {
	if v == nil {
		return nil, nil
	}
	raw, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("journal value: %w", err)
	}
	return raw, nil
}
