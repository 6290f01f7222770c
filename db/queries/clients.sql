-- name: ClientInsert :exec
insert into clients (practice_id, id, given_name, family_name, birthday_on, locale, zone, payer_id, prefers, source)
values (@practice_id, @id, @given_name, @family_name, @birthday_on, @locale, @zone, @payer_id, @prefers, @source);

-- name: ClientByID :one
select practice_id, id, given_name, family_name, birthday_on, locale, zone, status, payer_id, prefers, source, gateway_customer,
    version, created_at
from clients where practice_id = @practice_id and id = @id;

-- name: ClientUpdate :execrows
update clients set given_name = @given_name, family_name = @family_name, birthday_on = @birthday_on, locale = @locale, zone = @zone,
    prefers = @prefers, status = @status, version = version + 1
where practice_id = @practice_id and id = @id and version = @version and status <> 'erased';

-- name: ClientSetCustomer :exec
update clients set gateway_customer = @gateway_customer
where practice_id = @practice_id and id = @id and gateway_customer is null;

-- name: ClientList :many
select practice_id, id, given_name, family_name, birthday_on, locale, zone, status, payer_id, prefers, source, gateway_customer,
    version, created_at
from clients
where practice_id = @practice_id and status <> 'erased'
    and (sqlc.narg('after')::uuid is null or id > sqlc.narg('after'))
order by id
limit @page_size;

-- name: ClientsByAddress :many
select c.id, c.given_name, c.family_name, c.birthday_on, c.status, c.prefers, c.locale
from contact_points p
join clients c on c.practice_id = p.practice_id and c.id = p.client_id
where p.practice_id = @practice_id and p.address = @address and p.closed_at is null and c.status <> 'erased'
order by c.id
limit @page_size;

-- name: ClientsByBirthday :many
select id, given_name, family_name, birthday_on, status, prefers, locale
from clients
where practice_id = @practice_id and birthday_on = @birthday_on and status <> 'erased'
order by family_name, id
limit @page_size;

-- name: ContactPointInsert :exec
insert into contact_points (practice_id, id, client_id, channel, address, shown)
values (@practice_id, @id, @client_id, @channel, @address, @shown);

-- name: ContactPointsOf :many
select id, client_id, channel, address, shown, closed_at, closed_reason, created_at
from contact_points
where practice_id = @practice_id and client_id = @client_id and closed_at is null
order by created_at, id;

-- name: ContactPointClose :execrows
update contact_points set closed_at = now(), closed_reason = @reason
where practice_id = @practice_id and client_id = @client_id and channel = @channel and address = @address and closed_at is null;

-- name: ReachOf :many
-- How one client can be reached: the newest open address of each channel, whether that address opted out of everything, of
-- messages about visits and bills or of recalls, and the client's latest consent for each.
select distinct on (p.channel) p.channel, p.address,
    exists (select from opt_outs o where o.practice_id = p.practice_id and o.channel = p.channel and o.address = p.address
            and o.lifted_at is null and o.purpose = 'all') as opted_out,
    exists (select from opt_outs o where o.practice_id = p.practice_id and o.channel = p.channel and o.address = p.address
            and o.lifted_at is null and o.purpose = 'service') as opted_out_service,
    exists (select from opt_outs o where o.practice_id = p.practice_id and o.channel = p.channel and o.address = p.address
            and o.lifted_at is null and o.purpose in ('recall', 'marketing')) as opted_out_recall,
    coalesce((select not c.granted from consents c where c.practice_id = p.practice_id and c.client_id = p.client_id
            and c.channel = p.channel and c.purpose = 'service' order by c.at desc, c.recorded_at desc limit 1), false)::boolean as refused_service,
    coalesce((select not c.granted from consents c where c.practice_id = p.practice_id and c.client_id = p.client_id
            and c.channel = p.channel and c.purpose = 'recall' order by c.at desc, c.recorded_at desc limit 1), false)::boolean as refused_recall
from contact_points p
where p.practice_id = @practice_id and p.client_id = @client_id and p.closed_at is null
order by p.channel, p.created_at desc, p.id desc;

-- name: ConsentInsert :exec
insert into consents (practice_id, id, client_id, channel, purpose, granted, source, at)
values (@practice_id, @id, @client_id, @channel, @purpose, @granted, @source, @at);

-- name: OptOutInsert :execrows
insert into opt_outs (practice_id, id, channel, address, purpose, source, at)
values (@practice_id, @id, @channel, @address, @purpose, @source, @at)
on conflict (practice_id, channel, address, purpose) where lifted_at is null do nothing;

-- name: OptOutLift :execrows
update opt_outs set lifted_at = @at
where practice_id = @practice_id and channel = @channel and address = @address and lifted_at is null;

-- name: OptOutLiftOne :execrows
-- One purpose of an address, and no other.
update opt_outs set lifted_at = @at
where practice_id = @practice_id and channel = @channel and address = @address and purpose = @purpose and lifted_at is null;

-- name: OptOutsOpen :many
-- What was said about an address and not taken back, and where.
select purpose, source from opt_outs
where practice_id = @practice_id and channel = @channel and address = @address and lifted_at is null
order by purpose;

-- name: ClientSearch :many
-- Clients found by name, best first, as ClientSeen shows them. The ids come from an index; the rest is read as the caller.
select c.id, c.given_name, c.family_name, c.birthday_on, c.status,
    word_similarity(search_key(@query::text), c.search_name)::float8 as likeness,
    similarity(search_key(@query::text), c.search_name)::float8 as closeness
from clients c
where c.practice_id = @practice_id and c.id in (select search_clients(search_key(@query::text), @most::int))
order by likeness desc, closeness desc, c.id;

-- name: ClientsFound :many
-- The rows of some ids; own_staff narrows to the clients of that person's appointments.
select c.id, c.given_name, c.family_name, c.birthday_on, c.status
from clients c
where c.practice_id = @practice_id and c.id = any(@ids::uuid[]) and c.status <> 'erased'
    and (sqlc.narg('own_staff')::uuid is null or exists (
        select from appointments a
        join resources r on r.practice_id = a.practice_id and r.id = a.provider_id
        where a.practice_id = c.practice_id and a.client_id = c.id and r.staff_id = sqlc.narg('own_staff')))
order by c.id;

-- name: ClientErase :execrows
-- Keeps the row, since books and journal refer to it, and nothing that says who it was.
update clients set given_name = 'Erased', family_name = 'client', birthday_on = null, zone = null, status = 'erased', source = '',
    version = version + 1
where practice_id = @practice_id and id = @id and version = @version and status <> 'erased';

-- name: ContactPointsErase :exec
update contact_points set address = '', shown = '', closed_at = coalesce(closed_at, now()), closed_reason = 'erased'
where practice_id = @practice_id and client_id = @client_id;

-- name: ContactPointByID :one
select id, client_id, channel, address, shown, closed_at from contact_points where practice_id = @practice_id and id = @id;

-- name: LinksRevokeOfClient :execrows
update links set revoked_at = @revoked_at, revoked_reason = @revoked_reason
where practice_id = @practice_id and client_id = @client_id and revoked_at is null;

-- name: ClientLikeness :many
-- How much a name is like those of clients found otherwise.
select id, word_similarity(search_key(@query::text), search_name)::float8 as likeness,
    similarity(search_key(@query::text), search_name)::float8 as closeness
from clients where practice_id = @practice_id and id = any(@ids::uuid[])
order by id;
