-- name: SubjectInsert :exec
insert into subjects (practice_id, kind, id, client_id) values (@practice_id, @kind, @id, @client_id)
on conflict do nothing;

-- name: SubjectByID :one
select practice_id, kind, id, status, stage, waiting, wake_at, retry_at, due_keys, due_since, client_id, planned_at, plan_failures,
    plan_error, rings, next_ring_at, opened_at
from subjects where practice_id = @practice_id and kind = @kind and id = @id;

-- name: SubjectPlanned :exec
-- What the plan says, under the subject's lock. due_since keeps its value while anything is due, for the overdue monitor.
update subjects set status = @status, stage = @stage, waiting = @waiting, wake_at = @wake_at, retry_at = @retry_at, due_keys = @due_keys::text[],
    due_since = case when cardinality(@due_keys::text[]) = 0 then null else coalesce(due_since, clock_timestamp()) end,
    planned_at = clock_timestamp(), plan_failures = 0, plan_error = '', rings = 0, next_ring_at = clock_timestamp()
where practice_id = @practice_id and kind = @kind and id = @id;

-- name: SubjectPlanFailed :one
-- Recorded in a transaction of its own, since the plan's was rolled back.
update subjects set plan_failures = plan_failures + 1, plan_error = @plan_error,
    status = case when plan_failures + 1 >= 5 then 'stuck' else status end
where practice_id = @practice_id and kind = @kind and id = @id
returning plan_failures, client_id;

-- name: SubjectReopen :exec
update subjects set status = 'open' where practice_id = @practice_id and kind = @kind and id = @id and status = 'done';

-- name: EffectsOf :many
select key, kind, state, final, attempt, reference, object_id, rule, channel, version, reason, exempt, claimed_for, first_claimed_at,
    call_by, next_at, settled_at, recorded_at
from effects
where practice_id = @practice_id and subject_kind = @subject_kind and subject_id = @subject_id
order by first_claimed_at, key;

-- name: EffectLock :one
-- Locks the row; effects come after client, subject, appointment and invoice in the lock order.
select practice_id, subject_kind, subject_id, key, kind, state, final, attempt, owner, idem_key, reference, object_id, client_id,
    rule, channel, version, reason, exempt, claimed_for, first_claimed_at, call_by, next_at, settled_at
from effects
where practice_id = @practice_id and subject_kind = @subject_kind and subject_id = @subject_id and key = @key
for update;

-- name: EffectInsert :exec
insert into effects (practice_id, subject_kind, subject_id, key, kind, state, final, owner, idem_key, client_id, rule, channel, version,
    reason, exempt, claimed_for, call_by, settled_at, object_id)
values (@practice_id, @subject_kind, @subject_id, @key, @kind, @state, @final, @owner, @idem_key, @client_id, @rule, @channel, @version,
    @reason, @exempt, @claimed_for, @call_by, @settled_at, @object_id);

-- name: EffectDone :execrows
-- A step done inside the plan: it stands or falls with the plan's transaction, and a second plan finds it.
insert into effects (practice_id, subject_kind, subject_id, key, kind, state, final, client_id, rule, claimed_for, settled_at)
values (@practice_id, @subject_kind, @subject_id, @key, @kind, 'accepted', true, @client_id, @rule, @claimed_for, @claimed_for)
on conflict (practice_id, subject_kind, subject_id, key) do nothing;

-- name: EffectReclaim :exec
update effects set state = 'claimed', final = false, owner = @owner, call_by = @call_by, idem_key = @idem_key, next_at = null,
    attempt = attempt + 1, recorded_at = clock_timestamp(), claimed_for = @claimed_for, exempt = @exempt, object_id = coalesce(@object_id, object_id)
where practice_id = @practice_id and subject_kind = @subject_kind and subject_id = @subject_id and key = @key;

-- name: EffectSettle :execrows
-- Never leaves a final state: a late answer, event or look-up finds claimed, failed or unknown, or changes nothing.
update effects set state = @state, final = @final, reason = @reason, reference = coalesce(@reference, reference), next_at = @next_at,
    owner = null, call_by = null, recorded_at = clock_timestamp(), settled_at = case when @final then @settled_at::timestamptz else null end
where practice_id = @practice_id and subject_kind = @subject_kind and subject_id = @subject_id and key = @key
    and (not final or state = 'unknown')
    and (sqlc.narg('owner')::uuid is null or owner = sqlc.narg('owner'));

-- name: EffectUnknownStreak :one
-- Unknown outcomes in a row on a channel, newest first, since anything else settled there or staff resumed it.
select count(*) from effects e
where e.practice_id = @practice_id and e.channel = @channel and e.state = 'unknown'
    and e.first_claimed_at > coalesce((
        select max(o.first_claimed_at) from effects o
        where o.practice_id = @practice_id and o.channel = @channel and o.state = 'accepted'), '-infinity')
    and e.first_claimed_at > coalesce((
        select max(p.resumed_at) from channel_pauses p
        where p.practice_id = @practice_id and p.channel = @channel), '-infinity');

-- name: OverridesOf :many
select verb, step_key, value, actor_kind, actor_id, reason, at, recorded_at from overrides
where practice_id = @practice_id and subject_kind = @subject_kind and subject_id = @subject_id
order by recorded_at, id;

-- name: OverrideInsert :exec
insert into overrides (practice_id, id, subject_kind, subject_id, verb, step_key, value, actor_kind, actor_id, reason, at)
values (@practice_id, @id, @subject_kind, @subject_id, @verb, @step_key, @value, @actor_kind, @actor_id, @reason, @at);

-- name: PausedChannels :many
select channel, reason, at from channel_pauses where practice_id = @practice_id and resumed_at is null order by channel;

-- name: ChannelPause :execrows
insert into channel_pauses (practice_id, id, channel, reason, at) values (@practice_id, @id, @channel, @reason, @at)
on conflict (practice_id, channel) where resumed_at is null do nothing;

-- name: ChannelResume :execrows
update channel_pauses set resumed_at = clock_timestamp()
where practice_id = @practice_id and channel = @channel and resumed_at is null;

-- name: SubjectsHeldByChannel :many
-- Open subjects to look again when a channel is resumed.
select kind, id from subjects where practice_id = @practice_id and status = 'open' order by kind, id;

-- name: TaskInsert :execrows
insert into tasks (practice_id, id, kind, title, queue, priority, due_at, subject_kind, subject_id, step_key, client_id, cause, opened_at)
select @practice_id, @id, @kind, @title, @queue, @priority, @due_at, @subject_kind, @subject_id, @step_key, @client_id, @cause, @opened_at
where not exists (select from tasks where practice_id = @practice_id and cause = @cause)
on conflict (practice_id, cause) where status in ('open', 'claimed') do nothing;

-- name: TasksOfSubject :many
select id, cause, status, kind, title, queue, step_key, due_at, owner_id from tasks
where practice_id = @practice_id and subject_kind = @subject_kind and subject_id = @subject_id and status in ('open', 'claimed')
order by opened_at, id;

-- name: TaskClose :execrows
update tasks set status = 'closed', closed_reason = @closed_reason, closed_at = @closed_at, version = version + 1
where practice_id = @practice_id and id = @id and status in ('open', 'claimed');

-- name: TaskByID :one
select practice_id, id, kind, title, queue, owner_id, priority, due_at, subject_kind, subject_id, step_key, client_id, cause,
    status, closed_reason, opened_at, closed_at, version
from tasks where practice_id = @practice_id and id = @id;

-- name: TaskClaim :execrows
-- Atomic: of two who claim at once one finds it open.
update tasks set status = 'claimed', owner_id = @owner_id, version = version + 1
where practice_id = @practice_id and id = @id and status = 'open';

-- name: TaskRelease :execrows
update tasks set status = 'open', owner_id = null, version = version + 1
where practice_id = @practice_id and id = @id and status = 'claimed';

-- name: TaskDone :execrows
update tasks set status = 'done', closed_reason = @closed_reason, closed_at = @closed_at, version = version + 1
where practice_id = @practice_id and id = @id and status in ('open', 'claimed');

-- name: TaskList :many
select practice_id, id, kind, title, queue, owner_id, priority, due_at, subject_kind, subject_id, step_key, client_id, cause,
    status, closed_reason, opened_at, closed_at, version
from tasks
where practice_id = @practice_id
    and (sqlc.narg('status')::text is null or status = sqlc.narg('status'))
    and (sqlc.narg('queue')::text is null or queue = sqlc.narg('queue'))
    and (sqlc.narg('owner_id')::uuid is null or owner_id = sqlc.narg('owner_id'))
    and (sqlc.narg('subject_id')::uuid is null or subject_id = sqlc.narg('subject_id'))
    and (sqlc.narg('after')::uuid is null or id > sqlc.narg('after'))
order by id
limit @page_size;

-- name: ChainOf :many
-- The subjects of one visit's chain: its journey, the collections of its invoices, the recall that its completion set.
select kind, id from subjects s
where s.practice_id = @practice_id and (
    (s.kind = 'journey' and s.id = @appointment_id)
    or (s.kind = 'collection' and s.id in (select i.id from invoices i where i.practice_id = @practice_id and i.appointment_id = @appointment_id))
    or (s.kind = 'recall' and s.id in (select r.id from recalls r where r.practice_id = @practice_id and r.last_visit_id = @appointment_id)))
order by array_position(array['journey', 'collection', 'recall'], kind), id;

-- name: SubjectStepSettled :exec
-- A step that a plan called due is settled: what is left of that plan is not overdue because of it. Where nothing else is left to
-- wait for, the run's next look is: should the run be lost before it, the relay sees that nobody looked.
update subjects set due_keys = array_remove(due_keys, @key::text),
    due_since = case when cardinality(array_remove(due_keys, @key::text)) = 0 then null else due_since end,
    retry_at = case when wake_at is null and retry_at is null and due_keys = array[@key::text] then clock_timestamp() + interval '15 seconds'
        else retry_at end
where practice_id = @practice_id and kind = @kind and id = @id;

-- name: SubjectsOpenOf :many
select kind, id from subjects
where practice_id = @practice_id and client_id = any(@client_ids::uuid[]) and status = 'open'
order by kind, id;
