-- name: ServiceInsert :exec
insert into services (practice_id, id, name, duration_minutes, buffer_before_minutes, buffer_after_minutes, location_kind, url_template,
    needs_room, code, tax_bp, recall_every, recall_service_id, online)
values (@practice_id, @id, @name, @duration_minutes, @buffer_before_minutes, @buffer_after_minutes, @location_kind, @url_template,
    @needs_room, @code, @tax_bp, @recall_every, @recall_service_id, @online);

-- name: ServiceByID :one
select practice_id, id, name, duration_minutes, buffer_before_minutes, buffer_after_minutes, location_kind, url_template,
    needs_room, code, tax_bp, recall_every, recall_service_id, online, version, archived_at, created_at
from services where practice_id = @practice_id and id = @id;

-- name: ServiceList :many
select practice_id, id, name, duration_minutes, buffer_before_minutes, buffer_after_minutes, location_kind, url_template,
    needs_room, code, tax_bp, recall_every, recall_service_id, online, version, archived_at, created_at
from services where practice_id = @practice_id and archived_at is null order by name, id;

-- name: PriceInsert :exec
insert into service_prices (practice_id, service_id, from_on, amount, currency)
values (@practice_id, @service_id, @from_on, @amount, @currency);

-- name: PriceOn :one
-- Of the rows for the same day the latest recorded counts.
select amount, currency from service_prices
where practice_id = @practice_id and service_id = @service_id and from_on <= @day
order by from_on desc, recorded_at desc
limit 1;

-- name: ServiceResourceInsert :exec
insert into service_resources (practice_id, service_id, resource_id) values (@practice_id, @service_id, @resource_id)
on conflict do nothing;

-- name: ServiceResources :many
-- Everything a service may use at a location: its providers, and the rooms and equipment that stand there.
select r.id, r.kind, r.name, r.seats, r.location_id, r.version
from service_resources s
join resources r on r.practice_id = s.practice_id and r.id = s.resource_id
where s.practice_id = @practice_id and s.service_id = @service_id and r.archived_at is null
    and (r.location_id is null or r.location_id = @location_id)
order by r.name, r.id;

-- name: ServiceFormInsert :exec
insert into service_forms (practice_id, service_id, form_key, position) values (@practice_id, @service_id, @form_key, @position)
on conflict do nothing;

-- name: ResourceInsert :exec
insert into resources (practice_id, id, kind, name, seats, location_id, staff_id)
values (@practice_id, @id, @kind, @name, @seats, @location_id, @staff_id);

-- name: ResourceByID :one
select practice_id, id, kind, name, seats, location_id, staff_id, version, archived_at, created_at
from resources where practice_id = @practice_id and id = @id;

-- name: ResourceList :many
select practice_id, id, kind, name, seats, location_id, staff_id, version, archived_at, created_at
from resources where practice_id = @practice_id and archived_at is null order by kind, name, id;

-- name: ShiftInsert :exec
insert into shifts (practice_id, id, resource_id, location_id, weekday, start_minute, end_minute, from_on, until_on)
values (@practice_id, @id, @resource_id, @location_id, @weekday, @start_minute, @end_minute, @from_on, @until_on);

-- name: ShiftList :many
select practice_id, id, resource_id, location_id, weekday, start_minute, end_minute, from_on, until_on, recorded_at
from shifts where practice_id = @practice_id and (sqlc.narg('resource_id')::uuid is null or resource_id = sqlc.narg('resource_id'))
order by resource_id, weekday, start_minute, id;

-- name: ShiftsAround :many
-- Shifts of one provider at one location that may touch a local day: that day's and, for those over midnight, the day before's.
select id, weekday, start_minute, end_minute, from_on, until_on from shifts
where practice_id = @practice_id and resource_id = @resource_id and location_id = @location_id
    and from_on <= @day and (until_on is null or until_on > @day_before)
order by weekday, start_minute;

-- name: ClosureInsert :exec
insert into closures (practice_id, id, resource_id, location_id, during, reason)
values (@practice_id, @id, @resource_id, @location_id, tstzrange(@starts_at::timestamptz, @ends_at::timestamptz), @reason);

-- name: ClosureLift :execrows
update closures set lifted_at = now() where practice_id = @practice_id and id = @id and lifted_at is null;

-- name: ClosedDuring :one
select exists (
    select from closures
    where practice_id = @practice_id and lifted_at is null and (resource_id = @resource_id or location_id = @location_id)
        and during && tstzrange(@starts_at::timestamptz, @ends_at::timestamptz));

-- name: SlotStands :one
-- What a slot was judged by, looked at once more under its locks: nothing of it was changed, archived, cut or closed since. Against
-- the calendar (override) shifts and closures do not matter.
select (exists (
        select from services s where s.practice_id = @practice_id and s.id = @service_id and s.version = @service_version and s.archived_at is null)
    and exists (
        select from locations l where l.practice_id = @practice_id and l.id = @location_id and l.version = @location_version and l.archived_at is null)
    and (select count(*) = cardinality(@resource_ids::uuid[]) and sum(r.version) = @resource_versions::bigint
        from resources r where r.practice_id = @practice_id and r.id = any(@resource_ids::uuid[]) and r.archived_at is null)
    and (@override::bool or (
        exists (select from shifts h where h.practice_id = @practice_id and h.id = sqlc.narg('shift_id')::uuid
            and (h.until_on is null or h.until_on > sqlc.narg('shift_day')::date))
        and not exists (
            select from closures c
            where c.practice_id = @practice_id and c.lifted_at is null and (c.resource_id = @provider_id or c.location_id = @location_id)
                and c.during && tstzrange(@starts_at::timestamptz, @ends_at::timestamptz)))))::bool as stands;

-- name: ServiceUpdate :execrows
update services set name = @name, duration_minutes = @duration_minutes, buffer_before_minutes = @buffer_before_minutes,
    buffer_after_minutes = @buffer_after_minutes, location_kind = @location_kind, url_template = @url_template, needs_room = @needs_room,
    code = @code, tax_bp = @tax_bp, recall_every = @recall_every, recall_service_id = @recall_service_id, online = @online,
    version = version + 1
where practice_id = @practice_id and id = @id and version = @version and archived_at is null;

-- name: ServiceArchive :execrows
update services set archived_at = now(), version = version + 1
where practice_id = @practice_id and id = @id and version = @version and archived_at is null;

-- name: ServiceResourcesClear :exec
delete from service_resources where practice_id = @practice_id and service_id = @service_id;

-- name: ServiceFormsClear :exec
delete from service_forms where practice_id = @practice_id and service_id = @service_id;

-- name: PriceList :many
-- Of the rows for the same day the latest recorded counts.
select distinct on (from_on) from_on, amount, currency, recorded_at from service_prices
where practice_id = @practice_id and service_id = @service_id
order by from_on, recorded_at desc;

-- name: ResourceUpdate :execrows
update resources set name = @name, seats = @seats, staff_id = @staff_id, version = version + 1
where practice_id = @practice_id and id = @id and version = @version and archived_at is null;

-- name: ResourceArchive :execrows
update resources set archived_at = now(), version = version + 1
where practice_id = @practice_id and id = @id and version = @version and archived_at is null;

-- name: ShiftByID :one
select practice_id, id, resource_id, location_id, weekday, start_minute, end_minute, from_on, until_on, recorded_at
from shifts where practice_id = @practice_id and id = @id;

-- name: ShiftCut :execrows
-- Ends a row on a day; a shift that had ended earlier stays as it was.
update shifts set until_on = @until_on::date
where practice_id = @practice_id and id = @id and (until_on is null or until_on > @until_on::date) and from_on < @until_on::date;

-- name: ShiftDrop :execrows
-- A row that had not begun never counted.
delete from shifts where practice_id = @practice_id and id = @id and from_on >= @day::date;

-- name: ClosureByID :one
select id, resource_id, location_id, lower(during)::timestamptz as starts_at, upper(during)::timestamptz as ends_at, reason, lifted_at
from closures where practice_id = @practice_id and id = @id;

-- name: ClosureList :many
-- Closures still to come or under way.
select id, resource_id, location_id, lower(during)::timestamptz as starts_at, upper(during)::timestamptz as ends_at, reason, lifted_at
from closures where practice_id = @practice_id and lifted_at is null and upper(during) > @from_at::timestamptz
order by lower(during), id;

-- name: VisitsAhead :many
-- Live visits that a change of the calendar may strand, earliest first.
select id, client_id, service_id, provider_id, location_id, room_id, starts_at, ends_at, zone, status
from appointments
where practice_id = @practice_id and status in ('requested', 'booked', 'confirmed', 'arrived', 'roomed', 'with_provider')
    and ends_at > @from_at::timestamptz and starts_at < coalesce(sqlc.narg('until_at')::timestamptz, 'infinity')
    and (sqlc.narg('service_id')::uuid is null or service_id = sqlc.narg('service_id'))
    and (sqlc.narg('location_id')::uuid is null or location_id = sqlc.narg('location_id'))
    and (sqlc.narg('resource_id')::uuid is null or provider_id = sqlc.narg('resource_id') or room_id = sqlc.narg('resource_id'))
order by starts_at, id
limit @page_size;
