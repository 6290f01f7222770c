package proof

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/kept-practice/kept/db"
	"github.com/kept-practice/kept/internal/policy"
)

// journalRules: each change of state has exactly one entry, with its actor, and the last entry says what holds.
var journalRules = []rule{
	{
		"INV7", "every visit's booking, moves, completions and status stand in the journal",
		`select count(*) from appointments where $1::uuid[] is null or practice_id = any($1)`,
		`select format('appointment %s', a.id) from appointments a
		cross join lateral (select
			count(*) filter (where j.verb = 'appointment_booked') as booked,
			count(*) filter (where j.verb = 'appointment_moved'
				or (j.verb = 'appointment_undone' and j.before ->> 'status' in ('cancelled', 'late_cancelled'))) as moved,
			count(*) filter (where j.verb = 'appointment_completed') as completed,
			(array_agg(j.after ->> 'status' order by j.seq desc) filter (where j.after ? 'status'))[1] as status
			from journal j where j.practice_id = a.practice_id and j.object_kind = 'appointment' and j.object_id = a.id) j
		where ($1::uuid[] is null or a.practice_id = any($1))
			and (j.booked <> 1 or j.moved <> a.version - 1 or j.completed <> a.completions or j.status is distinct from a.status)
		order by 1`,
	},
	{
		"INV7", "every invoice's draft, issue and void stand in the journal once",
		`select count(*) from invoices where $1::uuid[] is null or practice_id = any($1)`,
		`select format('invoice %s', i.id) from invoices i
		cross join lateral (select count(*) filter (where j.verb = 'invoice_drafted') as drafted,
			count(*) filter (where j.verb = 'invoice_issued') as issued, count(*) filter (where j.verb = 'invoice_voided') as voided
			from journal j where j.practice_id = i.practice_id and j.object_kind = 'invoice' and j.object_id = i.id) j
		where ($1::uuid[] is null or i.practice_id = any($1))
			and (j.drafted <> 1 or j.issued <> (i.number is not null)::int or j.voided <> (i.voided_at is not null)::int)
		order by 1`,
	},
	{
		"INV7", "every payment that succeeded stands in the journal once",
		`select count(*) from payments where status = 'succeeded' and invoice_id is not null and ($1::uuid[] is null or practice_id = any($1))`,
		`select format('payment %s', p.id) from payments p
		where p.status = 'succeeded' and p.invoice_id is not null and ($1::uuid[] is null or p.practice_id = any($1))
			and 1 <> (select count(*) from journal j where j.practice_id = p.practice_id and j.object_kind = 'invoice' and j.object_id = p.invoice_id
				and j.after ->> 'payment' = p.id::text)
		order by 1`,
	},
	{
		"INV7", "every settled step of the outside stands in the journal with its end",
		`select count(*) from effects where final and channel <> '' and ($1::uuid[] is null or practice_id = any($1))`,
		`select format('%s/%s %s', e.subject_kind, e.subject_id, e.key) from effects e
		cross join lateral (select count(*) filter (where j.verb = 'step_done' or j.verb = 'effect_settled') as accepted,
			count(*) filter (where j.verb = 'step_dropped') as refused, count(*) filter (where j.verb = 'step_failed') as failed,
			count(*) filter (where j.verb = 'step_unknown') as unknown
			from journal j where j.practice_id = e.practice_id and j.subject_kind = e.subject_kind and j.subject_id = e.subject_id
				and j.object_kind = 'step' and j.after ->> 'key' = e.key) j
		where e.final and e.channel <> '' and ($1::uuid[] is null or e.practice_id = any($1)) and not case e.state
			when 'accepted' then j.accepted = 1 when 'refused' then j.refused = 1 when 'unknown' then j.unknown = 1 else j.failed >= 1 end
		order by 1`,
	},
	{
		"INV7", "every verb of staff on a step stands in the journal once",
		`select count(*) from overrides where $1::uuid[] is null or practice_id = any($1)`,
		`select format('override %s', o.id) from overrides o where ($1::uuid[] is null or o.practice_id = any($1))
			and 1 <> (select count(*) from journal j where j.practice_id = o.practice_id and j.object_kind = 'override' and j.object_id = o.id)
		order by 1`,
	},
	{
		"INV7", "every entry of staff or of a key says whose it is",
		`select count(*) from journal where $1::uuid[] is null or practice_id = any($1)`,
		`select format('entry %s', id) from journal
		where actor_kind in ('staff', 'key') and actor_id is null and ($1::uuid[] is null or practice_id = any($1)) order by 1`,
	},
}

// chains computes the seals of every practice again, from the journal as it stands.
func (j *judge) chains(ctx context.Context) error {
	rows, err := j.tx.Query(ctx, `select id from practices where $1::uuid[] is null or id = any($1) order by id`, j.books.Practices)
	if err != nil {
		return fmt.Errorf("INV7, read the practices: %w", err)
	}
	practices, err := pgx.CollectRows(rows, pgx.RowTo[policy.ID])
	if err != nil {
		return fmt.Errorf("INV7, read the practices: %w", err)
	}
	covered, bad := 0, []string(nil)
	for _, p := range practices {
		n, broken, err := chainOf(ctx, db.New(j.tx), p)
		if err != nil {
			return fmt.Errorf("INV7, journal of practice %s: %w", p, err)
		}
		covered += n
		if broken > 0 {
			bad = append(bad, fmt.Sprintf("practice %s, seal %d", p, broken))
		}
	}
	j.note("INV7", "every sealed entry of the journal is as it was sealed", covered, bad)
	return nil
}
