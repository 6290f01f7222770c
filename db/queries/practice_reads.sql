-- name: ClientContactPoints :many
-- The open addresses of several clients, oldest first, and what was said about each and not taken back.
select p.id, p.client_id, p.channel, p.shown as address,
    array(select o.purpose from opt_outs o
        where o.practice_id = p.practice_id and o.channel = p.channel and o.address = p.address and o.lifted_at is null
        order by o.purpose)::text[] as opted_out
from contact_points p
where p.practice_id = @practice_id and p.client_id = any(@client_ids::uuid[]) and p.closed_at is null
order by p.client_id, p.created_at, p.id;

-- name: ClientPageNewer :many
-- One page backwards, nearest first; the caller turns it round.
select c.id, c.given_name, c.family_name, c.birthday_on, c.locale, c.zone, c.status, c.payer_id, c.prefers, c.source, c.version, c.created_at
from clients c
where c.practice_id = @practice_id and c.id > @id and c.status <> 'erased'
    and (sqlc.narg('status')::text is null or c.status = sqlc.narg('status'))
    and (sqlc.narg('own_staff')::uuid is null or exists (
        select from appointments a
        join resources r on r.practice_id = a.practice_id and r.id = a.provider_id
        where a.practice_id = c.practice_id and a.client_id = c.id and r.staff_id = sqlc.narg('own_staff')))
order by c.id
limit @page_size;

-- name: ClientPageOlder :many
-- One page, newest first; without id the first one.
select c.id, c.given_name, c.family_name, c.birthday_on, c.locale, c.zone, c.status, c.payer_id, c.prefers, c.source, c.version, c.created_at
from clients c
where c.practice_id = @practice_id and (sqlc.narg('id')::uuid is null or c.id < sqlc.narg('id')) and c.status <> 'erased'
    and (sqlc.narg('status')::text is null or c.status = sqlc.narg('status'))
    and (sqlc.narg('own_staff')::uuid is null or exists (
        select from appointments a
        join resources r on r.practice_id = a.practice_id and r.id = a.provider_id
        where a.practice_id = c.practice_id and a.client_id = c.id and r.staff_id = sqlc.narg('own_staff')))
order by c.id desc
limit @page_size;

-- name: ClientSeen :one
-- own_staff narrows to the clients of that person's appointments, as a provider sees them.
select c.id, c.given_name, c.family_name, c.birthday_on, c.locale, c.zone, c.status, c.payer_id, c.prefers, c.source, c.version, c.created_at
from clients c
where c.practice_id = @practice_id and c.id = @id and c.status <> 'erased'
    and (sqlc.narg('own_staff')::uuid is null or exists (
        select from appointments a
        join resources r on r.practice_id = a.practice_id and r.id = a.provider_id
        where a.practice_id = c.practice_id and a.client_id = c.id and r.staff_id = sqlc.narg('own_staff')));

-- name: LocationPageNewer :many
select practice_id, id, name, zone, postal_address, phone, version, archived_at, created_at
from locations
where practice_id = @practice_id and id > @id
order by id
limit @page_size;

-- name: LocationPageOlder :many
select practice_id, id, name, zone, postal_address, phone, version, archived_at, created_at
from locations
where practice_id = @practice_id and (sqlc.narg('id')::uuid is null or id < sqlc.narg('id'))
order by id desc
limit @page_size;

-- name: PracticeRead :one
-- clock_now is the instant by which the practice is judged; it differs from the database's on a test clock.
select p.id, p.mode, p.name, p.zone, p.currency, p.country, p.mail, p.phone, p.postal_address, p.locale, p.privacy_mode, p.version,
    p.created_at, practice_now(p.id)::timestamptz as clock_now
from practices p
where p.practice_id = @practice_id;
