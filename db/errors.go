package db

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/kept-practice/kept/internal/policy"
)

// constraints maps constraint names to what they mean to a caller. Message texts of PostgreSQL are never read.
var constraints = map[string]*policy.Error{
	"reservations_no_overlap":                 policy.NewError(policy.Conflict, "slot_taken", "That time is taken. Choose another one."),
	"staff_one_mail":                          policy.NewError(policy.Conflict, "mail_in_use", "Someone on the staff, perhaps one who has left, already uses this mail address; capitals make no difference."),
	"cadences_one_per_scope":                  policy.NewError(policy.Conflict, "cadence_exists", "This scope already has a cadence of that kind. Publish a new version of it instead."),
	"contact_points_one_open":                 policy.NewError(policy.Conflict, "address_in_use", "The client already has this address."),
	"channel_pauses_one_open":                 policy.NewError(policy.Conflict, "already_paused", "The channel is already paused."),
	"appointments_practice_id_client_id_fkey": policy.NewError(policy.NotFound, "client_not_found", "There is no such client in this practice."),
	"holds_practice_id_client_id_fkey":        policy.NewError(policy.NotFound, "client_not_found", "There is no such client in this practice."),
}

// lostRace tells the two SQLSTATEs after which running the same transaction again can succeed.
func lostRace(err error) bool {
	var pg *pgconn.PgError
	return errors.As(err, &pg) && (pg.Code == "40P01" || pg.Code == "40001")
}

// classify turns driver errors into policy errors. What it does not know stays as it is and counts as internal.
func classify(err error) error {
	if err == nil {
		return nil
	}
	var known *policy.Error
	if errors.As(err, &known) {
		return err
	}
	if errors.Is(err, pgx.ErrNoRows) {
		return &policy.Error{Kind: policy.NotFound, Code: "not_found", Message: "There is no such thing in this practice.", Cause: err}
	}
	var pg *pgconn.PgError
	if !errors.As(err, &pg) {
		if errors.Is(err, context.Canceled) {
			return err
		}
		var connect *pgconn.ConnectError
		if errors.As(err, &connect) || errors.Is(err, context.DeadlineExceeded) || pgconn.SafeToRetry(err) {
			return unavailable(err)
		}
		return err
	}
	if meaning, ok := constraints[pg.ConstraintName]; ok && pg.ConstraintName != "" {
		e := *meaning
		e.Cause = err
		return &e
	}
	switch pg.Code {
	case "40P01", "40001", "55P03", "57014": // deadlock, serialisation, lock timeout, statement timeout
		return unavailable(err)
	case "53000", "53100", "53200", "53300", "57P01", "57P02", "57P03": // disk full, out of memory, too many connections, shutdown
		return unavailable(err)
	}
	return err
}

func unavailable(cause error) error {
	return &policy.Error{
		Kind: policy.Unavailable, Code: "database_unavailable",
		Message: "The database did not answer in time. Nothing was done; try again.", Cause: cause,
	}
}

// Classify is for errors of single statements answered by In, System or Anyone.
func Classify(err error) error { return classify(err) }

// NoRows tells that a query for one row found none.
func NoRows(err error) bool { return errors.Is(err, pgx.ErrNoRows) }
