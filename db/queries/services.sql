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

-- name: ServiceSetRecall :exec
update services set recall_every = @recall_every, recall_service_id = @recall_service_id, version = version + 1
where practice_id = @practice_id and id = @id;

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
select r.id, r.kind, r.name, r.seats, r.location_id
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

-- name: ShiftEnd :execrows
update shifts set until_on = @until_on where practice_id = @practice_id and id = @id and until_on is null;

-- name: ShiftList :many
select practice_id, id, resource_id, location_id, weekday, start_minute, end_minute, from_on, until_on, recorded_at
from shifts where practice_id = @practice_id and (sqlc.narg('resource_id')::uuid is null or resource_id = sqlc.narg('resource_id'))
order by resource_id, weekday, start_minute, id;

-- name: ShiftsAround :many
-- Shifts of one provider at one location that may touch a local day: that day's and, for those over midnight, the day before's.
select weekday, start_minute, end_minute, from_on, until_on from shifts
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
