package proof

// loopRules: no subject is forgotten, no fact waits unseen, and every accepted event took effect once.
var loopRules = []rule{
	{
		"INV10", "every open subject waits for an instant, a machine, a step, a person or a resume",
		`select count(*) from subjects where status <> 'done' and ($1::uuid[] is null or practice_id = any($1))`,
		`select format('%s/%s', s.kind, s.id) from subjects s
		where s.status <> 'done' and ($1::uuid[] is null or s.practice_id = any($1))
			and (s.status = 'stuck' or (s.wake_at is null and s.retry_at is null and s.due_keys = '{}'))
			and not exists (select from tasks t where t.practice_id = s.practice_id and t.subject_kind = s.kind and t.subject_id = s.id
				and t.status in ('open', 'claimed') and t.cause not like 'overdue/%')
			and (s.status = 'stuck' or (
				not exists (select from channel_pauses p where p.practice_id = s.practice_id and p.resumed_at is null)
				and coalesce((select o.verb from overrides o where o.practice_id = s.practice_id and o.subject_kind = s.kind and o.subject_id = s.id
					and o.verb in ('pause', 'resume') order by o.recorded_at desc limit 1), 'resume') <> 'pause'))
		order by 1`,
	},
	{
		"INV10", "no fact waits for a plan to see it",
		`select count(*) from subjects where $1::uuid[] is null or practice_id = any($1)`,
		`select format('%s/%s: %s', subject_kind, subject_id, label) from outbox where $1::uuid[] is null or practice_id = any($1) order by 1`,
	},
	{
		"INV10", "no subject of a resting test clock has its wake-up behind it",
		`select count(*) from subjects s join test_clocks c on c.practice_id = s.practice_id
		where c.status = 'ready' and s.status = 'open' and ($1::uuid[] is null or s.practice_id = any($1))`,
		`select format('%s/%s', s.kind, s.id) from subjects s join test_clocks c on c.practice_id = s.practice_id
		where c.status = 'ready' and s.status = 'open' and s.wake_at <= c.now_at and ($1::uuid[] is null or s.practice_id = any($1)) order by 1`,
	},
	{
		"INV10", "no recall, collection or hold that has come due was left asleep on a resting test clock",
		`select (select count(*) from recalls where status = 'waiting' and ($1::uuid[] is null or practice_id = any($1)))
			+ (select count(*) from invoices where status = 'issued' and follow_up_started_at is null and ($1::uuid[] is null or practice_id = any($1)))
			+ (select count(*) from holds where $1::uuid[] is null or practice_id = any($1))`,
		`with clocks as (select c.practice_id, c.now_at, p.zone from test_clocks c join practices p on p.id = c.practice_id where c.status = 'ready')
		select format('recall %s', r.id) from recalls r join clocks c on c.practice_id = r.practice_id
		where r.status = 'waiting' and r.due_on < (c.now_at at time zone c.zone)::date and ($1::uuid[] is null or r.practice_id = any($1))
		union all select format('invoice %s', i.id) from invoices i join clocks c on c.practice_id = i.practice_id
		where i.status = 'issued' and i.follow_up_started_at is null and i.follow_up_at <= c.now_at and ($1::uuid[] is null or i.practice_id = any($1))
		union all select format('hold %s', h.id) from holds h join clocks c on c.practice_id = h.practice_id
		where h.expires_at <= c.now_at and ($1::uuid[] is null or h.practice_id = any($1))
		order by 1`,
	},
	{
		"INV11", "every accepted event was settled",
		`select count(*) from inbox where $1::uuid[] is null or practice_id is null or practice_id = any($1)`,
		`select format('%s event %s is %s', gateway, id, state) from inbox
		where (state in ('new', 'parked')) = (settled_at is not null) or (state = 'new' and ($1::uuid[] is null or practice_id = any($1))) order by 1`,
	},
	{
		"INV11", "no gateway's object took effect twice",
		`select count(*) from payments where status = 'succeeded' and gateway_intent is not null and ($1::uuid[] is null or practice_id = any($1))`,
		`select format('intent %s paid %s payments', gateway_intent, count(*)) from payments
		where status = 'succeeded' and gateway_intent is not null and ($1::uuid[] is null or practice_id = any($1))
		group by practice_id, gateway_intent having count(*) > 1 order by 1`,
	},
	{
		"INV11", "every payment that succeeded is booked once",
		`select count(*) from payments where status = 'succeeded' and invoice_id is not null and ($1::uuid[] is null or practice_id = any($1))`,
		`select format('payment %s', p.id) from payments p
		where p.invoice_id is not null and ($1::uuid[] is null or p.practice_id = any($1)) and (p.status = 'succeeded')::int <> (
			select count(*) from ledger_sets s where s.practice_id = p.practice_id and s.payment_id = p.id) order by 1`,
	},
}
