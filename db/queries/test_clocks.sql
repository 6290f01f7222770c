-- name: TestClockDue :many
-- Who must look at this instant: open subjects whose wake-up has come, and those with facts no plan has seen.
select s.kind, s.id from subjects s
where s.practice_id = @practice_id and s.status = 'open' and s.wake_at <= @now
union
select o.subject_kind, o.subject_id from outbox o
where o.practice_id = @practice_id
order by 1, 2;

-- name: TestClockInbox :many
-- The oldest event that may still change this practice's facts. One whose practice nobody could tell counts until it has
-- been tried, so that an event kept for a person holds up no clock.
select gateway, id from inbox
where state = 'new' and (practice_id = @practice_id::uuid or (practice_id is null and attempts = 0))
order by received_at
limit 1;

-- name: TestClockLease :one
-- Held until the transaction ends; taken by one worker at a time. No row is locked, so writers are not held up.
select pg_try_advisory_xact_lock(hashtextextended('test clock ' || (@practice_id::uuid)::text, 0));

-- name: TestClockMove :execrows
-- To the next instant, unless someone else moved it.
update test_clocks set now_at = @next_at, step_started_at = clock_timestamp(), steps = steps + 1, updated_at = clock_timestamp()
where practice_id = @practice_id and status = 'advancing' and now_at = @was_at and @next_at <= target_at;

-- name: TestClockNextDue :many
-- The earliest instant after now at which something is due, the recalls of later days apart.
select due.at from (
    select wake_at as at from subjects where subjects.practice_id = @practice_id and status = 'open' and wake_at > @now::timestamptz
    union all
    select follow_up_at from invoices where invoices.practice_id = @practice_id and status = 'issued' and follow_up_started_at is null and follow_up_at > @now
    union all
    select expires_at from holds where holds.practice_id = @practice_id and expires_at > @now
    union all
    select expires_at from links where links.practice_id = @practice_id and expires_at > @now and revoked_at is null
) due
order by due.at
limit 1;

-- name: TestClockNextRecall :many
select due_on from recalls
where practice_id = @practice_id and status = 'waiting' and due_on > @today
order by due_on
limit 1;

-- name: TestClockReady :execrows
update test_clocks set status = 'ready', stuck_on = '', step_started_at = null, updated_at = clock_timestamp()
where practice_id = @practice_id and status = 'advancing' and now_at = target_at;

-- name: TestClockRead :one
select now_at, target_at, status from test_clocks where practice_id = @practice_id;

-- name: TestClockStuck :execrows
update test_clocks set status = 'stuck', stuck_on = @stuck_on, updated_at = clock_timestamp()
where practice_id = @practice_id and status = 'advancing' and now_at = @now;

-- name: TestClocksAdvancing :many
select practice_id from test_clocks where status = 'advancing' order by updated_at;

-- name: TestClockUnsettled :many
-- One thing that is still under way at this instant: a fact no plan has seen, a wake-up no plan has answered, a due step
-- without a final effect or with one that turned out otherwise than its plan assumed (so a plan follows), or a wait for
-- a machine, or journeys that have yet to follow a new cadence.
select 'unplanned' as what, subject_kind as kind, subject_id as id, label as key from outbox
where outbox.practice_id = @practice_id
union all
select 'wake_up', s.kind, s.id, s.waiting from subjects s
where s.practice_id = @practice_id and s.status = 'open' and s.wake_at <= @now
union all
select 'step', s.kind, s.id, due.key from subjects s cross join unnest(s.due_keys) due (key)
    left join effects e on e.practice_id = s.practice_id and e.subject_kind = s.kind and e.subject_id = s.id and e.key = due.key
where s.practice_id = @practice_id and s.status = 'open'
    and (e.final is not true or e.state <> 'accepted')
union all
select 'retry', s.kind, s.id, e.key from subjects s
    join effects e on e.practice_id = s.practice_id and e.subject_kind = s.kind and e.subject_id = s.id
where s.practice_id = @practice_id and s.status = 'open' and s.retry_at is not null and not e.final
union all
select 'adoption', 'cadence_adoption', a.id, moved::text from cadence_adoptions a
where a.practice_id = @practice_id and a.state = 'running'
limit 1;
