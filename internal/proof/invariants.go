package proof

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/kept-practice/kept/internal/policy"
)

// Books are what Check compares: kept's own database and the counterparty's ledger.
type Books struct {
	Database  string      // URL of a login that row-level security does not bind; Check only reads
	Sandbox   string      // base URL of the sandbox, whose ledger is the counterparty's book; empty leaves comparisons with it out
	Practices []policy.ID // whose books; empty: everybody's
	Canaries  []string    // texts that may stand nowhere but in a client's own record and messages

	// Histories, when given, hands every place outside the database that is read by operators (a workflow's history, its id, a
	// task queue's name) to visit, to be searched for canaries.
	Histories func(ctx context.Context, visit func(where string, content []byte)) error
}

// Violation is one broken invariant: how often, and the first cases by their ids.
type Violation struct {
	Invariant string
	Detail    string
	Count     int
}

// Checked is one comparison and how many things it judged: a zero says nothing without its N.
type Checked struct {
	Invariant  string
	What       string
	N          int
	Violations int
}

// Report lists every comparison that was made, in order.
type Report []Checked

// String gives one line for each comparison: invariant, violations of N, what was compared.
func (r Report) String() string {
	var b strings.Builder
	for _, c := range r {
		fmt.Fprintf(&b, "%-6s %4d of %-6d %s\n", c.Invariant, c.Violations, c.N, c.What)
	}
	return b.String()
}

// Check judges the invariants of the books in one snapshot of the database. It is meant for books at rest: outbox empty,
// events applied, nothing under way. Violations are no error; an error means that the books could not be read.
func Check(ctx context.Context, b Books) (found []Violation, r Report, err error) {
	conn, err := pgx.Connect(ctx, b.Database)
	if err != nil {
		return nil, nil, fmt.Errorf("open the books: %w", err)
	}
	defer func() { err = errors.Join(err, conn.Close(context.WithoutCancel(ctx))) }()
	err = pgx.BeginTxFunc(ctx, conn, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}, func(tx pgx.Tx) error {
		found, r, err = checkIn(ctx, tx, b)
		return err
	})
	return found, r, err
}

// checkIn judges what one transaction sees.
func checkIn(ctx context.Context, tx pgx.Tx, b Books) ([]Violation, Report, error) {
	j := &judge{books: b, tx: tx}
	var err error
	if j.ledger, err = readLedger(ctx, b.Sandbox); err != nil {
		return nil, nil, err
	}
	err = j.all(ctx)
	return j.found, j.report, err
}

// judge collects what the comparisons find.
type judge struct {
	books  Books
	tx     pgx.Tx
	ledger ledger
	found  []Violation
	report Report
}

func (j *judge) all(ctx context.Context) error {
	for _, rules := range [][]rule{slotRules, moneyRules, journalRules, loopRules} {
		for _, r := range rules {
			if err := j.rule(ctx, r); err != nil {
				return fmt.Errorf("%s, %s: %w", r.invariant, r.what, err)
			}
		}
	}
	for _, compare := range []func(context.Context) error{j.hours, j.cash, j.messages, j.tooLate, j.quietHours, j.chains, j.canaries} {
		if err := compare(ctx); err != nil {
			return err
		}
	}
	slices.SortStableFunc(j.report, func(a, b Checked) int { return number(a.Invariant) - number(b.Invariant) })
	slices.SortStableFunc(j.found, func(a, b Violation) int { return number(a.Invariant) - number(b.Invariant) })
	return nil
}

// number is the n of INVn.
func number(invariant string) (n int) {
	for _, c := range strings.TrimPrefix(invariant, "INV") {
		n = 10*n + int(c-'0')
	}
	return n
}

// rule is an invariant that SQL alone can judge. total counts what is judged, bad gives one line for each violation; $1 is
// the practices, null for all.
type rule struct {
	invariant, what, total, bad string
}

func (j *judge) rule(ctx context.Context, r rule) error {
	var n int
	if err := j.tx.QueryRow(ctx, r.total, j.books.Practices).Scan(&n); err != nil {
		return err
	}
	bad, err := j.lines(ctx, r.bad, j.books.Practices)
	j.note(r.invariant, r.what, n, bad)
	return err
}

// lines runs a query that gives one text for each violation.
func (j *judge) lines(ctx context.Context, query string, args ...any) ([]string, error) {
	rows, err := j.tx.Query(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[string])
}

// shownCases is how many cases of one violation are named.
const shownCases = 3

func (j *judge) note(invariant, what string, n int, bad []string) {
	j.report = append(j.report, Checked{Invariant: invariant, What: what, N: n, Violations: len(bad)})
	if len(bad) == 0 {
		return
	}
	detail := what + ": " + strings.Join(bad[:min(len(bad), shownCases)], "; ")
	if len(bad) > shownCases {
		detail += "; …"
	}
	j.found = append(j.found, Violation{Invariant: invariant, Detail: detail, Count: len(bad)})
}

// ours tells whether a practice is among those that are judged.
func (j *judge) ours(practice policy.ID) bool {
	return len(j.books.Practices) == 0 || slices.Contains(j.books.Practices, practice)
}
