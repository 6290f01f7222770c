-- name: MonitorAdoptions :many
-- Practices in which moving journeys to a new cadence has stood still for 5 minutes.
select practice_id, count(*) as adoptions, min(next_at)::timestamptz as oldest from cadence_adoptions
where state = 'running' and next_at < now() - interval '5 minutes'
group by practice_id
order by practice_id;

-- name: MonitorCauses :many
-- The monitor's own open tasks.
select id, cause from tasks
where practice_id = @practice_id and cause like 'overdue/%' and status in ('open', 'claimed')
order by id;

-- name: MonitorIdle :many
-- Open subjects that wait for nothing: no wake-up, no retry, nothing due, no fact on its way to a plan. Those with a
-- human task are in order; the tasks are read practice by practice.
select s.practice_id, s.kind, s.id, s.client_id from subjects s
where s.status = 'open' and s.wake_at is null and s.retry_at is null and s.due_keys = '{}'
    and s.planned_at is not null
    and not exists (select from outbox o where o.practice_id = s.practice_id and o.subject_kind = s.kind and o.subject_id = s.id)
order by s.practice_id, s.kind, s.id
limit 1000;

-- name: MonitorInbox :one
-- Events that have waited longer than applying takes.
select count(*) from inbox
where (state = 'new' and received_at < now() - interval '1 minute') or (state = 'parked' and received_at < now() - interval '1 hour');

-- name: MonitorLate :many
-- Steps more than 5 minutes late; the wake-up of a test practice waits for its clock.
select s.practice_id, s.kind, s.id, s.client_id,
    least(s.due_since, s.retry_at, case when p.mode = 'live' then s.wake_at end)::timestamptz as since
from subjects s join practices p on p.id = s.practice_id
where s.status = 'open' and (
    s.due_since < now() - interval '5 minutes'
    or s.retry_at < now() - interval '5 minutes'
    or (p.mode = 'live' and s.wake_at < now() - interval '5 minutes'))
order by since
limit 1000;

-- name: MonitorOutbox :many
-- Practices with facts that no plan has seen for 30 s.
select practice_id, count(*) as facts, min(created_at)::timestamptz as oldest from outbox
where created_at < now() - interval '30 seconds'
group by practice_id
order by practice_id;

-- name: MonitorStuck :many
-- Subjects whose planner fails; the plan opened their task.
select practice_id, kind, id, client_id from subjects where status = 'stuck'
order by practice_id, kind, id
limit 1000;

-- name: MonitorSubjectsWithTask :many
-- Of one practice's subjects, those for which a person has a task; the monitor's own tasks do not count.
select distinct subject_kind::text as kind, subject_id::uuid as id from tasks
where practice_id = @practice_id and status in ('open', 'claimed') and subject_id is not null and cause not like 'overdue/%'
order by 1, 2;

-- name: MonitorTaskClose :execrows
update tasks set status = 'closed', closed_reason = 'cause_gone', closed_at = practice_now(@practice_id), version = version + 1
where practice_id = @practice_id and id = @id and status in ('open', 'claimed');

-- name: MonitorTaskOpen :execrows
-- One open task per cause.
insert into tasks (practice_id, id, kind, title, queue, priority, due_at, subject_kind, subject_id, client_id, cause, opened_at)
values (@practice_id, @id, 'overdue', @title, 'owner', 1, practice_now(@practice_id), sqlc.narg('subject_kind'), sqlc.narg('subject_id'),
    sqlc.narg('client_id'), @cause, practice_now(@practice_id))
on conflict (practice_id, cause) where status in ('open', 'claimed') do nothing;
