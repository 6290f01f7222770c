package api

import (
	"encoding/json"
	"errors"
	"reflect"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/kept-practice/kept/db"
	"github.com/kept-practice/kept/internal/policy"
)

// clearable is a field of a merge patch that can be left alone, set, or taken away with null.
type clearable[T any] struct {
	given bool
	value *T
}

// UnmarshalJSON is called for null, too, and not at all for a field that was left out.
func (c *clearable[T]) UnmarshalJSON(raw []byte) error {
	c.given = true
	return json.Unmarshal(raw, &c.value)
}

// Schema is that of T, with null.
func (clearable[T]) Schema(r huma.Registry) *huma.Schema {
	schema := *r.Schema(reflect.TypeFor[T](), true, "")
	schema.Nullable = true
	return &schema
}

// change is what the desk takes: nil leaves the value, a nil inside takes it away.
func (c clearable[T]) change() **T {
	if !c.given {
		return nil
	}
	return &c.value
}

// idChange is change for an id.
func idChange[K Kind](c clearable[ID[K]]) **policy.ID {
	if !c.given {
		return nil
	}
	id := (*policy.ID)(c.value)
	return &id
}

// orEmpty is change for a text that is empty when there is none.
func orEmpty(c clearable[string]) *string {
	switch {
	case !c.given:
		return nil
	case c.value == nil:
		return new(string)
	default:
		return c.value
	}
}

// changeOf is an operation that changes one thing.
type changeOf[K Kind, B any] struct {
	ID   ID[K] `path:"id"`
	Body B
}

// create is an operation that makes something.
type create[B any] struct{ Body B }

// AsRead says which state of a thing the caller has seen.
type AsRead struct {
	Version int32 `json:"version" minimum:"1" example:"1" doc:"As it was read. When somebody else changed it meanwhile: 409 stale_version."`
}

// plainIDs takes the kind off a list of ids; nil stays nil.
func plainIDs[K Kind](ids []ID[K]) []policy.ID {
	if ids == nil {
		return nil
	}
	return convert(ids, func(id ID[K]) policy.ID { return policy.ID(id) })
}

// pageOf is turn for lists that are short by nature and come whole: the places, people and services of one practice.
func pageOf[K Kind, R any](p Page[K], rows []R, id func(R) policy.ID) ([]R, bool, error) {
	compare := func(a, b policy.ID) int { return slices.Compare(a[:], b[:]) }
	slices.SortFunc(rows, func(a, b R) int { return compare(id(b), id(a)) })
	return turn(p,
		func(below *policy.ID, limit int32) ([]R, error) {
			start := 0
			if below != nil {
				if start = slices.IndexFunc(rows, func(r R) bool { return compare(id(r), *below) < 0 }); start < 0 {
					start = len(rows)
				}
			}
			return rows[start:min(start+int(limit), len(rows))], nil
		},
		func(above policy.ID, limit int32) ([]R, error) {
			var out []R
			for _, r := range slices.Backward(rows) {
				if compare(id(r), above) > 0 && len(out) < int(limit) {
					out = append(out, r)
				}
			}
			return out, nil
		})
}

// list is the reply of pageOf, with each row as its view.
func list[K Kind, R, V any](p Page[K], rows []R, id func(R) policy.ID, view func(R) V) (*reply[List[V]], error) {
	page, more, err := pageOf(p, rows, id)
	if err != nil {
		return nil, err
	}
	return &reply[List[V]]{Body: List[V]{Data: convert(page, view), HasMore: more}}, nil
}

// named gives the fields of an error the names that they have on the wire: /location becomes /location_id.
func named(err error, names map[string]string) error {
	var e *policy.Error
	if !errors.As(err, &e) || len(e.Fields) == 0 {
		return err
	}
	out := *e
	out.Fields = slices.Clone(e.Fields)
	for i, f := range out.Fields {
		for from, to := range names {
			if rest, ok := strings.CutPrefix(f.Pointer, from); ok && (rest == "" || rest[0] == '/') {
				out.Fields[i].Pointer = to + rest
				break
			}
		}
	}
	return &out
}

// notThere is what the desk says of things that are not there, foreign ones included; reads say the same.
var notThere = map[string]*policy.Error{
	"api_key":         policy.NewError(policy.NotFound, "api_key_not_found", "There is no such api_key in this practice."),
	"appointment":     policy.NewError(policy.NotFound, "appointment_not_found", "There is no such appointment in this practice."),
	"cadence":         policy.NewError(policy.NotFound, "cadence_not_found", "There is no such cadence in this practice."),
	"cadence_version": policy.NewError(policy.NotFound, "cadence_version_not_found", "There is no such cadence_version in this practice."),
	"channel":         policy.NewError(policy.NotFound, "channel_not_found", "There is no such channel in this practice."),
	"client":          policy.NewError(policy.NotFound, "client_not_found", "There is no such client in this practice."),
	"closure":         policy.NewError(policy.NotFound, "closure_not_found", "There is no such closure in this practice."),
	"contact_point":   policy.NewError(policy.NotFound, "contact_point_not_found", "There is no such contact_point in this practice."),
	"hold":            policy.NewError(policy.NotFound, "hold_not_found", "There is no such hold in this practice."),
	"invoice":         policy.NewError(policy.NotFound, "invoice_not_found", "There is no such invoice in this practice."),
	"journey":         policy.NewError(policy.NotFound, "journey_not_found", "There is no such journey in this practice."),
	"location":        policy.NewError(policy.NotFound, "location_not_found", "There is no such location in this practice."),
	"message":         policy.NewError(policy.NotFound, "message_not_found", "There is no such message in this practice."),
	"provider":        policy.NewError(policy.NotFound, "provider_not_found", "There is no such provider in this practice."),
	"recall":          policy.NewError(policy.NotFound, "recall_not_found", "There is no such recall in this practice."),
	"resource":        policy.NewError(policy.NotFound, "resource_not_found", "There is no such resource in this practice."),
	"service":         policy.NewError(policy.NotFound, "service_not_found", "There is no such service in this practice."),
	"setting":         policy.NewError(policy.NotFound, "setting_not_found", "There is no such setting in this practice."),
	"shift":           policy.NewError(policy.NotFound, "shift_not_found", "There is no such shift in this practice."),
	"staff":           policy.NewError(policy.NotFound, "staff_not_found", "There is no such staff in this practice."),
	"task":            policy.NewError(policy.NotFound, "task_not_found", "There is no such task in this practice."),
}

// missing says what is not there when a query for one row found none.
func missing(err error, what string) error {
	if db.NoRows(err) {
		return notThere[what]
	}
	return err
}
