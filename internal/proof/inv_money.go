package proof

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/kept-practice/kept/internal/policy"
)

// moneyRules: the books balance, the columns that are kept for speed equal a replay of the ledger, and numbers have no gap.
var moneyRules = []rule{
	{
		"INV3", "every set of ledger entries sums to zero in its invoice's currency",
		`select count(*) from ledger_sets where $1::uuid[] is null or practice_id = any($1)`,
		`select format('set %s', s.id) from ledger_sets s
		join invoices i on i.practice_id = s.practice_id and i.id = s.invoice_id
		left join ledger_entries e on e.practice_id = s.practice_id and e.set_id = s.id
		where $1::uuid[] is null or s.practice_id = any($1)
		group by s.id, i.currency having coalesce(sum(e.amount), 1) <> 0 or bool_or(e.currency <> i.currency) order by 1`,
	},
	{
		"INV3", "what is owed on every invoice equals a replay of its ledger",
		`select count(*) from invoices where $1::uuid[] is null or practice_id = any($1)`,
		`select format('invoice %s', i.id) from invoices i
		cross join lateral (select
			coalesce(sum(e.amount) filter (where e.account = 'receivable'), 0) as receivable,
			coalesce(sum(e.amount) filter (where e.account = 'write_off'), 0) as written_off
			from ledger_entries e where e.practice_id = i.practice_id and e.invoice_id = i.id) l
		where ($1::uuid[] is null or i.practice_id = any($1))
			and l.receivable <> case when i.status in ('issued', 'paid') then i.total else 0 end - i.paid - l.written_off
		order by 1`,
	},
	{
		"INV14", "paid and refunded of every invoice equal a recompute from the ledger",
		`select count(*) from invoices where $1::uuid[] is null or practice_id = any($1)`,
		`select format('invoice %s', i.id) from invoices i
		cross join lateral (select
			coalesce(sum(e.amount) filter (where s.kind = 'payment'), 0) as paid, coalesce(-sum(e.amount) filter (where s.kind = 'refund'), 0) as refunded
			from ledger_entries e join ledger_sets s on s.practice_id = e.practice_id and s.id = e.set_id
			where e.practice_id = i.practice_id and e.invoice_id = i.id and e.account = 'cash') l
		where ($1::uuid[] is null or i.practice_id = any($1))
			and (i.paid <> l.paid or i.refunded <> l.refunded or (i.status = 'paid') <> (i.paid >= i.total and i.status in ('issued', 'paid')))
		order by 1`,
	},
	{
		"INV14", "every invoice's sums equal those of its lines",
		`select count(*) from invoices where $1::uuid[] is null or practice_id = any($1)`,
		`select format('invoice %s', i.id) from invoices i
		left join invoice_lines l on l.practice_id = i.practice_id and l.invoice_id = i.id
		where $1::uuid[] is null or i.practice_id = any($1)
		group by i.id, i.net, i.tax, i.total
		having (i.net, i.tax, i.total) is distinct from (coalesce(sum(l.net), 0), coalesce(sum(l.tax), 0), coalesce(sum(l.total), 0)) order by 1`,
	},
	{
		"INV14", "invoice numbers have no gap at any location",
		`select count(*) from invoice_counters where $1::uuid[] is null or practice_id = any($1)`,
		`select format('location %s', c.location_id) from invoice_counters c
		left join invoices i on i.practice_id = c.practice_id and i.location_id = c.location_id and i.number is not null
		where $1::uuid[] is null or c.practice_id = any($1)
		group by c.location_id, c.next having count(i.number) <> c.next - 1 or coalesce(max(i.number), 0) <> c.next - 1 order by 1`,
	},
}

// cash: per invoice at most one charge succeeded at the gateway, and what it captured less what it gave back is our cash
// account, to the cent. Money taken at the desk is in no gateway's book.
func (j *judge) cash(ctx context.Context) error {
	if !j.ledger.read {
		return nil
	}
	theirs, taken, foreign := map[string]int64{}, map[string]int{}, []string(nil)
	charge := map[string]string{} // of a charge: invoice and currency
	tries := 0
	for _, c := range j.ledger.charges {
		practice, invoice := idOrZero(c.Metadata["practice"]), idOrZero(c.Metadata["invoice"])
		switch {
		case practice.IsZero() && len(j.books.Practices) > 0, !practice.IsZero() && !j.ours(practice):
			continue
		case practice.IsZero() || invoice.IsZero():
			foreign = append(foreign, "charge "+c.ID)
			continue
		}
		tries++
		key := invoice.String() + " " + strings.ToUpper(c.Currency)
		charge[c.ID] = key
		if c.Paid {
			taken[key]++
			theirs[key] += c.Captured
		}
	}
	for _, r := range j.ledger.refunds {
		if key, ok := charge[r.Charge]; ok && r.Status == "succeeded" {
			theirs[key] -= r.Amount
		}
	}
	ours, err := j.cashAccount(ctx)
	if err != nil {
		return fmt.Errorf("INV2, read the cash account: %w", err)
	}
	var twice, differs []string
	for _, key := range slices.Sorted(maps.Keys(taken)) {
		if taken[key] > 1 {
			twice = append(twice, fmt.Sprintf("invoice %s was charged %d times", key, taken[key]))
		}
	}
	both := maps.Clone(ours)
	maps.Copy(both, theirs)
	for _, key := range slices.Sorted(maps.Keys(both)) {
		if ours[key] != theirs[key] {
			differs = append(differs, fmt.Sprintf("invoice %s: gateway %d, ours %d", key, theirs[key], ours[key]))
		}
	}
	j.note("INV2", "at most one charge succeeded for each invoice", len(taken), twice)
	j.note("INV2", "captured less refunded equals our cash account", len(both), differs)
	j.note("INV2", "every charge names its practice and invoice", tries+len(foreign), foreign)
	return nil
}

// cashAccount sums our cash account by invoice and currency, apart from payments at the desk.
func (j *judge) cashAccount(ctx context.Context) (map[string]int64, error) {
	rows, err := j.tx.Query(ctx, `
		select e.invoice_id, e.currency, sum(e.amount)::bigint from ledger_entries e
		join ledger_sets s on s.practice_id = e.practice_id and s.id = e.set_id
		left join payments p on p.practice_id = s.practice_id and p.id = s.payment_id
		where e.account = 'cash' and p.kind is distinct from 'cash' and ($1::uuid[] is null or e.practice_id = any($1))
		group by 1, 2`, j.books.Practices)
	if err != nil {
		return nil, err
	}
	sums := map[string]int64{}
	var (
		invoice  policy.ID
		currency string
		amount   int64
	)
	_, err = pgx.ForEachRow(rows, []any{&invoice, &currency, &amount}, func() error {
		sums[invoice.String()+" "+currency] = amount
		return nil
	})
	return sums, err
}
