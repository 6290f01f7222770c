-- name: APIKeyByHash :one
-- What authentication needs to know, judged by the database's clock: security times never follow a test clock. A key whose
-- person has left counts as revoked.
select k.id, k.role, k.staff_id,
    (k.revoked_at is not null or s.archived_at is not null)::boolean as revoked,
    coalesce(k.expires_at <= clock_timestamp(), false)::boolean as expired
from api_keys k
left join staff s on s.practice_id = k.practice_id and s.id = k.staff_id
where k.practice_id = @practice_id and k.hash = @hash;

-- name: APIKeyInsert :exec
insert into api_keys (practice_id, id, name, role, staff_id, hash, last4, expires_at)
values (@practice_id, @id, @name, @role, @staff_id, @hash, @last4, @expires_at);

-- name: APIKeyRevoke :execrows
update api_keys set revoked_at = clock_timestamp()
where practice_id = @practice_id and id = @id and revoked_at is null;

-- name: APIKeyUsed :exec
-- At most one write a minute and key, however many processes see it used.
update api_keys set last_used_at = clock_timestamp()
where practice_id = @practice_id and id = @id
    and (last_used_at is null or last_used_at < clock_timestamp() - interval '1 minute');

-- name: PracticeOfAPIKey :one
-- No row when no key has this hash.
select k.practice_id::uuid as practice_id
from (select practice_of_api_key(@hash::bytea) as practice_id) k
where k.practice_id is not null;

-- name: APIKeyByID :one
select id, name, role, staff_id, last4, expires_at, revoked_at, last_used_at, created_at
from api_keys where practice_id = @practice_id and id = @id;

-- name: APIKeyList :many
-- Newest first, revoked ones included: who had access stays readable.
select id, name, role, staff_id, last4, expires_at, revoked_at, last_used_at, created_at
from api_keys where practice_id = @practice_id order by id desc;
