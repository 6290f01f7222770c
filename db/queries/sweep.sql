-- name: SweepExpiredHoldPractices :many
-- Practices with a hold that has run out on their clock.
select distinct h.practice_id from holds h left join test_clocks c on c.practice_id = h.practice_id
where h.expires_at <= coalesce(c.now_at, now());

-- name: SweepHolds :many
-- Lets go of holds that have run out; their reservations go with them. A hold that a booking is taking is skipped.
delete from holds
where holds.practice_id = @practice_id and holds.id in (
    select h.id from holds h
    where h.practice_id = @practice_id and h.expires_at <= practice_now(@practice_id)
    order by h.expires_at
    limit 100
    for update skip locked)
returning id;

-- name: SweepInvoicesDue :many
-- Unpaid invoices whose first follow-up is due and not begun, after a given one.
select id, client_id, follow_up_at from invoices
where practice_id = @practice_id and status = 'issued' and follow_up_started_at is null and follow_up_at <= @now
    and id > @after_id
order by id
limit 200;

-- name: SweepInvoiceStart :execrows
-- Under the locks of client, subject and invoice.
update invoices set follow_up_started_at = @now
where practice_id = @practice_id and id = @id and status = 'issued' and follow_up_started_at is null and follow_up_at <= @now;

-- name: SweepLivePractices :many
select id from practices where mode = 'live' order by id;

-- name: SweepPractice :one
select zone, mode, practice_now(id)::timestamptz as now from practices where id = @practice_id;

-- name: SweepPractices :many
select id from practices order by id;

-- name: SweepRecallStart :execrows
-- Under the locks of client and subject.
update recalls set status = 'started', status_reason = '', started_at = @now
where practice_id = @practice_id and id = @id and status = 'waiting' and due_on <= @today;

-- name: SweepRecallsDue :many
-- Recalls whose day has come and that nobody began, after a given one.
select id, client_id, due_on from recalls
where practice_id = @practice_id and status = 'waiting' and due_on <= @today and id > @after_id
order by id
limit 200;

-- name: SweepSubjectOpen :exec
-- A recall's next round opens the same subject again.
insert into subjects (practice_id, kind, id, client_id)
values (@practice_id, @kind, @id, @client_id)
on conflict (practice_id, kind, id) do update set
    status = 'open', stage = '', waiting = '', wake_at = null, retry_at = null, due_keys = '{}', due_since = null,
    plan_failures = 0, plan_error = '', rings = 0, next_ring_at = clock_timestamp(), opened_at = now();
