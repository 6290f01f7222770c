-- name: InboxPostpone :exec
-- The event could not be applied; it comes back later.
update inbox set next_at = clock_timestamp() + make_interval(secs => @seconds::float8), note = @note
where id = @id and state in ('new', 'parked');

-- name: InboxSettle :exec
-- What applying came to. A parked event keeps waiting; every other state is the last. Only a waiting one is settled, so
-- of two workers that applied the same event the first one's answer stays.
update inbox set
    state = @state,
    note = @note,
    practice_id = coalesce(sqlc.narg('practice_id'), practice_id),
    next_at = case when @state::text = 'parked' then clock_timestamp() + make_interval(secs => @seconds::float8) else next_at end,
    settled_at = case when @state::text = 'parked' then null else clock_timestamp() end
where id = @id and state in ('new', 'parked');

-- name: InboxTake :many
-- Skips what another worker is taking. The row is leased by next_at, not locked: applying may call a gateway.
with taken as materialized (
    select inbox.id from inbox
    where inbox.state in ('new', 'parked') and inbox.next_at <= now()
    order by inbox.next_at
    limit @most
    for update skip locked
)
update inbox set attempts = attempts + 1, next_at = clock_timestamp() + make_interval(secs => @lease_seconds::float8)
from taken where inbox.id = taken.id
returning inbox.id, inbox.practice_id, inbox.gateway, inbox.event_id, inbox.type, inbox.body, inbox.state, inbox.attempts, inbox.received_at;

-- name: RelayOutbox :many
-- Takes the subjects that have waited longest for a ring, with all their rows, and puts these off: 4, 8 … 60 s. Rows that
-- another relay or a plan holds are skipped, so nobody ever waits for a relay's lock.
with oldest as materialized (
    select practice_id, subject_kind, subject_id from outbox
    where next_ring_at <= now()
    order by next_ring_at
    limit @most
    for update skip locked
), theirs as materialized (
    select o.id from outbox o
    where (o.practice_id, o.subject_kind, o.subject_id) in (select practice_id, subject_kind, subject_id from oldest)
    for update skip locked
)
update outbox o set
    rings = o.rings + 1,
    next_ring_at = clock_timestamp() + make_interval(secs => least(60, 2 ^ (least(o.rings, 5) + 2)))
from theirs where o.id = theirs.id
returning o.id, o.practice_id, o.subject_kind, o.subject_id, o.label;

-- name: RelayOutboxUnreached :exec
-- Temporal was away: these tries do not count, and the next one comes soon.
update outbox set rings = greatest(rings - 1, 0), next_ring_at = clock_timestamp() + interval '1 second'
where id in (select o.id from outbox o where o.id = any(@ids::uuid[]) for update skip locked);

-- name: RelayOverdue :many
-- Open subjects that Temporal seems to have forgotten: what they wait for is 2 minutes over. The wake-up of a test
-- practice is judged by its clock, and only while nobody advances it. Each is rung once a minute until a plan writes it.
with late as materialized (
    select s.practice_id, s.kind, s.id from subjects s
    where s.status = 'open' and s.next_ring_at <= now() and (
        s.due_since < now() - interval '2 minutes'
        or s.retry_at < now() - interval '2 minutes'
        or (s.wake_at < now() - interval '2 minutes'
            and exists (select from practices p where p.id = s.practice_id and p.mode = 'live'))
        or exists (select from test_clocks c where c.practice_id = s.practice_id and c.status <> 'advancing'
            and c.updated_at < now() - interval '2 minutes' and s.wake_at <= c.now_at))
    order by s.next_ring_at
    limit @most
    for no key update of s skip locked
)
update subjects s set rings = s.rings + 1, next_ring_at = clock_timestamp() + interval '1 minute'
from late where s.practice_id = late.practice_id and s.kind = late.kind and s.id = late.id
returning s.practice_id, s.kind, s.id;

-- name: RelayOverdueUnreached :exec
-- Temporal was away: the next try comes soon.
update subjects set rings = greatest(rings - 1, 0), next_ring_at = clock_timestamp() + interval '1 second'
where id in (
    select s.id from subjects s
    where s.id = any(@ids::uuid[]) and s.status = 'open'
    for no key update skip locked);

-- name: RewakeCount :one
select count(*) from subjects where status <> 'done';

-- name: RewakePage :many
-- Every subject that is not done, in key order.
select practice_id, kind, id from subjects
where status <> 'done' and (practice_id, kind, id) > (@after_practice::uuid, @after_kind::text, @after_id::uuid)
order by practice_id, kind, id
limit @most;
