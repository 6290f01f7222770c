-- name: SealBound :many
-- The transaction in which the chunk's last entry was written: the chunk ends with all of that transaction's entries.
select xid::text::bigint as xid from journal
where practice_id = @practice_id and epoch = @epoch and xid >= (@from_xid::bigint)::text::xid8 and xid < (@to_xid::bigint)::text::xid8
order by journal.xid, seq
limit 1 offset @chunk::int;

-- name: SealEntries :many
-- Every column, in the order of the chain.
select practice_id, id, seq, xid::text::bigint as xid, epoch, at, recorded_at, verb, actor_kind, actor_id, on_behalf_of,
    subject_kind, subject_id, object_kind, object_id, reason, coalesce(before::text, '')::text as before,
    coalesce(after::text, '')::text as after, request_id
from journal
where practice_id = @practice_id and epoch = @epoch and xid >= (@from_xid::bigint)::text::xid8 and xid < (@to_xid::bigint)::text::xid8
order by journal.xid, seq;

-- name: SealHorizon :one
-- Every transaction below the horizon is over: whatever it wrote in this epoch is visible now and nothing can join it.
select epoch, pg_snapshot_xmin(pg_current_snapshot())::text::bigint as xid from journal_epoch;

-- name: SealInsert :exec
insert into journal_seals (practice_id, n, epoch, up_to_xid, entries, first_id, last_id, hash)
values (@practice_id, @n, @epoch, (@up_to_xid::bigint)::text::xid8, @entries, @first_id, @last_id, @hash);

-- name: SealLast :many
select n, epoch, up_to_xid::text::bigint as up_to_xid, hash from journal_seals
where practice_id = @practice_id
order by n desc
limit 1;

-- name: SealLock :one
-- One sealer per practice at a time; held until the transaction ends.
select pg_try_advisory_xact_lock(hashtextextended('seal ' || (@practice_id::uuid)::text, 0));

-- name: SealNextEpoch :many
-- The epoch of the first entry beyond the last seal; a restored cluster begins a new one.
select epoch from journal
where practice_id = @practice_id and (epoch > @epoch::int or (epoch = @epoch::int and xid >= (@from_xid::bigint)::text::xid8))
order by epoch, journal.xid
limit 1;

-- name: SealPage :many
select n, epoch, up_to_xid::text::bigint as up_to_xid, entries, first_id, last_id, hash from journal_seals
where practice_id = @practice_id and n > @after
order by n
limit 500;

-- name: SealTail :one
-- How many entries no seal covers yet.
select count(*) from journal
where practice_id = @practice_id and (epoch > @epoch::int or (epoch = @epoch::int and xid >= (@from_xid::bigint)::text::xid8));
