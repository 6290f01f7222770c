package proof

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
)

// sinks are the tables that operators, logs and runs read from: whole rows hold ids, kinds, instants and reasons only.
var sinks = []string{
	`select 'journal ' || id::text, to_jsonb(t)::text from journal t where $1::uuid[] is null or practice_id = any($1)`,
	`select 'subject ' || id::text, to_jsonb(t)::text from subjects t where $1::uuid[] is null or practice_id = any($1)`,
	`select 'task ' || id::text, to_jsonb(t)::text from tasks t where $1::uuid[] is null or practice_id = any($1)`,
	`select 'effect ' || subject_id::text || ' ' || key, to_jsonb(t)::text from effects t where $1::uuid[] is null or practice_id = any($1)`,
	`select 'outbox ' || id::text, to_jsonb(t)::text from outbox t where $1::uuid[] is null or practice_id = any($1)`,
	`select 'inbox note ' || id::text, note from inbox where $1::uuid[] is null or practice_id is null or practice_id = any($1)`,
	`select 'template ' || id::text, subject from message_templates where $1::uuid[] is null or practice_id = any($1)`,
	`select 'payment ' || id::text, concat_ws(' ', decline_code, source, caused_by_step) from payments where $1::uuid[] is null or practice_id = any($1)`,
}

// canaries looks for texts that may stand nowhere but in a client's own record: in the tables that others read, in what the
// gateways were told beside the message itself, and in histories where these are given.
func (j *judge) canaries(ctx context.Context) error {
	if len(j.books.Canaries) == 0 {
		return nil
	}
	s := searcher{canaries: lower(j.books.Canaries)}
	for _, sink := range sinks {
		rows, err := j.tx.Query(ctx, sink, j.books.Practices)
		if err != nil {
			return fmt.Errorf("INV9: %w", err)
		}
		for rows.Next() {
			var where, content string
			if err := rows.Scan(&where, &content); err != nil {
				rows.Close()
				return fmt.Errorf("INV9: %w", err)
			}
			s.look(where, content)
		}
		if err := rows.Err(); err != nil {
			return fmt.Errorf("INV9: %w", err)
		}
	}
	if err := j.toldGateways(&s); err != nil {
		return fmt.Errorf("INV9: %w", err)
	}
	if j.books.Histories != nil {
		err := j.books.Histories(ctx, func(where string, content []byte) { s.look(where, string(content)) })
		if err != nil {
			return fmt.Errorf("INV9, read the histories: %w", err)
		}
	}
	j.note("INV9", "no canary stands outside its client's record and messages", s.n, s.bad)
	return nil
}

// toldGateways searches subjects, headers and arguments of mails and all that the card gateway was given.
func (j *judge) toldGateways(s *searcher) error {
	for _, m := range j.ledger.sent {
		told, err := json.Marshal([]any{m.Subject, m.Headers, m.Args})
		if err != nil {
			return err
		}
		s.look(m.Channel+" "+m.ID, string(told))
	}
	for _, c := range j.ledger.charges {
		told, err := json.Marshal([]any{c.About, c.Metadata})
		if err != nil {
			return err
		}
		s.look("charge "+c.ID, string(told))
	}
	return nil
}

type searcher struct {
	canaries []string
	n        int
	bad      []string
}

func (s *searcher) look(where, content string) {
	s.n++
	content = strings.ToLower(content)
	for i, canary := range s.canaries {
		if strings.Contains(content, canary) {
			s.bad = append(s.bad, fmt.Sprintf("canary %d in %s", i+1, where))
		}
	}
}

func lower(texts []string) []string {
	out := make([]string, len(texts))
	for i, t := range texts {
		out[i] = strings.ToLower(t)
	}
	return out
}
