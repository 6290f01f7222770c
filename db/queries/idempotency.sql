-- name: IdempotencyClaim :one
-- Takes the key for one attempt, for 10 seconds: new, older than 24 hours, or left in flight by an attempt whose lock has run out. No row:
-- somebody else has it, or it is done. locked_until is the attempt's proof of ownership.
insert into idempotency_keys as i (practice_id, account, key, request_hash, locked_until, created_at)
values (@practice_id, @account, @key, @request_hash, clock_timestamp() + interval '10 seconds', clock_timestamp())
on conflict (practice_id, account, key) do update
set request_hash = excluded.request_hash, locked_until = excluded.locked_until, created_at = excluded.created_at,
    state = 'in_flight', status = null, content_type = null, reply = null
where i.created_at < clock_timestamp() - interval '24 hours'
    or (i.state = 'in_flight' and i.locked_until < clock_timestamp() and i.request_hash = excluded.request_hash)
returning locked_until;

-- name: IdempotencyComplete :execrows
-- Stores the reply if the attempt still owns the key.
update idempotency_keys
set state = 'done', status = @status::int, content_type = @content_type::text, reply = @reply::bytea
where practice_id = @practice_id and account = @account and key = @key and state = 'in_flight' and locked_until = @locked_until;

-- name: IdempotencyRead :one
select request_hash, state, status, content_type, reply
from idempotency_keys
where practice_id = @practice_id and account = @account and key = @key;

-- name: IdempotencyRelease :exec
-- After a reply that must not be stored: the next attempt starts afresh.
delete from idempotency_keys
where practice_id = @practice_id and account = @account and key = @key and state = 'in_flight' and locked_until = @locked_until;

-- name: IdempotencySweep :execrows
-- Run by the system role: forgets what is older than 24 hours, in every practice.
delete from idempotency_keys where created_at < clock_timestamp() - interval '24 hours';
