package api

import (
	"context"
	"strings"

	"github.com/kept-practice/kept/db"
	"github.com/kept-practice/kept/internal/policy"
)

type listJournalInput struct {
	Page[journalKind]
	Verb       string `query:"verb" maxLength:"60" example:"appointment_booked"`
	ObjectKind string `query:"object_kind" maxLength:"40" example:"appointment"`
	ObjectID   string `query:"object_id" maxLength:"40" doc:"An id of any kind: apt_…, cli_…" example:"apt_01k3gq8w5ne7r9vjzt4xhb2mdc"`
	ActorKind  string `query:"actor_kind" enum:"system,staff,key,client,gateway"`
	FromAt     string `query:"from_at" maxLength:"40" example:"2026-03-09T00:00:00-04:00"`
	UntilAt    string `query:"until_at" maxLength:"40" example:"2026-03-10T00:00:00-04:00"`
}

func (s *Server) listJournal(ctx context.Context, in *listJournalInput) (*reply[List[JournalView]], error) {
	object, err := anyID("query:object_id", in.ObjectID)
	if err != nil {
		return nil, err
	}
	from, err := queryInstant("from_at", in.FromAt)
	if err != nil {
		return nil, err
	}
	until, err := queryInstant("until_at", in.UntilAt)
	if err != nil {
		return nil, err
	}
	practice := callerOf(ctx).Practice
	queries := s.deps.Store.In(practice)
	rows, more, err := turn(in.Page,
		func(id *policy.ID, limit int32) ([]db.JournalOlderRow, error) {
			return queries.JournalOlder(ctx, db.JournalOlderParams{
				PracticeID: practice, ID: id, Verb: textOrNil(in.Verb), ObjectKind: textOrNil(in.ObjectKind), ObjectID: object,
				ActorKind: textOrNil(in.ActorKind), FromAt: from, UntilAt: until, PageSize: limit,
			})
		},
		func(id policy.ID, limit int32) ([]db.JournalOlderRow, error) {
			rows, err := queries.JournalNewer(ctx, db.JournalNewerParams{
				PracticeID: practice, ID: id, Verb: textOrNil(in.Verb), ObjectKind: textOrNil(in.ObjectKind), ObjectID: object,
				ActorKind: textOrNil(in.ActorKind), FromAt: from, UntilAt: until, PageSize: limit,
			})
			return convert(rows, func(r db.JournalNewerRow) db.JournalOlderRow { return db.JournalOlderRow(r) }), err
		})
	if err != nil {
		return nil, err
	}
	return &reply[List[JournalView]]{Body: List[JournalView]{Data: convert(rows, journalView), HasMore: more}}, nil
}

// anyID reads an id of whatever kind; "" is none.
func anyID(pointer, text string) (*policy.ID, error) {
	if text == "" {
		return nil, nil
	}
	if !wellFormedID(text) {
		return nil, policy.InvalidField(pointer, "invalid_id", "Write an id with its prefix, such as apt_… or cli_….")
	}
	_, encoded, _ := strings.Cut(text, "_")
	id := decodeID(encoded)
	return &id, nil
}
