package api

import (
	"context"
	"slices"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/kept-practice/kept/internal/policy"
)

// Instant is a moment on the wire: RFC 3339 in UTC, to the millisecond.
type Instant struct{ time.Time }

const instantForm = "2006-01-02T15:04:05.999Z"

// MarshalText writes what Schema says.
func (i Instant) MarshalText() ([]byte, error) { return []byte(i.UTC().Format(instantForm)), nil }

// MarshalJSON overrules time.Time's.
func (i Instant) MarshalJSON() ([]byte, error) {
	return []byte(`"` + i.UTC().Format(instantForm) + `"`), nil
}

// Schema tells OpenAPI.
func (Instant) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{Type: huma.TypeString, Format: "date-time", Examples: []any{"2026-03-09T18:00:00Z"}}
}

func at(t time.Time) Instant { return Instant{t} }

func atOrNil(t *time.Time) *Instant {
	if t == nil {
		return nil
	}
	return &Instant{*t}
}

// local is an instant on a zone's clock, as it stands beside it in a view: 2026-03-09T14:00:00.
func local(t time.Time, zone string) (string, error) {
	location, err := policy.LoadZone(zone)
	if err != nil {
		return "", err
	}
	return t.In(location).Format("2006-01-02T15:04:05"), nil
}

// Money is an amount in the minor units of its currency: 8000 USD is eighty dollars.
type Money struct {
	Amount   int64  `json:"amount" minimum:"0" maximum:"99999999" example:"8000"`
	Currency string `json:"currency" pattern:"^[A-Z]{3}$" patternDescription:"an ISO 4217 code" example:"USD"`
}

// Page is what a list takes: how many, and from where. Lists are newest first; a page stays the same when rows are added
// before it.
type Page[K Kind] struct {
	Limit         int   `query:"limit" minimum:"1" maximum:"100" default:"20" doc:"How many at most."`
	StartingAfter ID[K] `query:"starting_after" doc:"The last id of the page before: gives what comes after it."`
	EndingBefore  ID[K] `query:"ending_before" doc:"The first id of the page after: gives what comes before it."`
}

// List is one page.
type List[T any] struct {
	Data    []T  `json:"data"`
	HasMore bool `json:"has_more" doc:"There is more in the direction that was asked for."`
}

// turn reads one page: older gives rows below an id (nil: from the newest), newest first; newer gives rows above it, nearest
// first. Both are asked for one row more than the page holds.
func turn[K Kind, R any](p Page[K], older func(id *policy.ID, limit int32) ([]R, error), newer func(id policy.ID, limit int32) ([]R, error)) ([]R, bool, error) {
	var rows []R
	var err error
	switch {
	case !p.StartingAfter.IsZero() && !p.EndingBefore.IsZero():
		return nil, false, policy.InvalidField("query:ending_before", "two_cursors", "Give starting_after or ending_before, not both.")
	case !p.EndingBefore.IsZero():
		rows, err = newer(policy.ID(p.EndingBefore), int32(p.Limit)+1)
	default:
		rows, err = older(p.StartingAfter.OrNil(), int32(p.Limit)+1)
	}
	if err != nil {
		return nil, false, err
	}
	more := len(rows) > p.Limit
	if more {
		rows = rows[:p.Limit]
	}
	if !p.EndingBefore.IsZero() {
		slices.Reverse(rows)
	}
	return rows, more, nil
}

// reply wraps a view for huma.
type reply[T any] struct{ Body T }

// inputless is for operations that take nothing.
type inputless struct{}

// byID is for operations on one thing.
type byID[K Kind] struct {
	ID ID[K] `path:"id"`
}

// ownStaff narrows a read to a person's own: nil reads all, ok is false when the caller may see only their own and is nobody.
func ownStaff(ctx context.Context) (staff *policy.ID, ok bool) {
	caller := callerOf(ctx)
	if caller.Scope != policy.ScopeOwn {
		return nil, true
	}
	return caller.Staff, caller.Staff != nil
}
