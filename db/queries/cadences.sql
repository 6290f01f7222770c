-- name: CadenceInsert :exec
insert into cadences (practice_id, id, kind, name, location_id, service_id)
values (@practice_id, @id, @kind, @name, @location_id, @service_id);

-- name: CadenceByID :one
select practice_id, id, kind, name, location_id, service_id, archived_at, created_at
from cadences where practice_id = @practice_id and id = @id;

-- name: CadenceList :many
select practice_id, id, kind, name, location_id, service_id, archived_at, created_at
from cadences where practice_id = @practice_id and archived_at is null order by kind, name, id;

-- name: CadenceVersionInsert :exec
insert into cadence_versions (practice_id, id, cadence_id, n, status, rules, published_at)
values (@practice_id, @id, @cadence_id, @n, @status, @rules, @published_at);

-- name: CadenceVersionByID :one
select practice_id, id, cadence_id, n, status, rules, published_at, created_at
from cadence_versions where practice_id = @practice_id and id = @id;

-- name: CadenceVersions :many
select practice_id, id, cadence_id, n, status, rules, published_at, created_at
from cadence_versions where practice_id = @practice_id and cadence_id = @cadence_id order by n;

-- name: CadenceVersionSetRules :execrows
update cadence_versions set rules = @rules where practice_id = @practice_id and id = @id and status = 'draft';

-- name: CadenceVersionPublish :execrows
update cadence_versions set status = 'published', published_at = @now
where practice_id = @practice_id and id = @id and status = 'draft';

-- name: CadenceVersionFor :one
-- The newest published version of the most specific cadence: service, then location, then practice.
select v.id, v.rules
from cadences c
join cadence_versions v on v.practice_id = c.practice_id and v.cadence_id = c.id and v.status = 'published'
where c.practice_id = @practice_id and c.kind = @kind and c.archived_at is null
    and (c.service_id is null or c.service_id = @service_id) and (c.location_id is null or c.location_id = @location_id)
order by (c.service_id is not null) desc, (c.location_id is not null) desc, v.n desc
limit 1;

-- name: CadenceJourneys :many
-- Open journeys that a cadence is the most specific one for and that do not pin the given version of it, after a given one.
select a.id from appointments a
join subjects s on s.practice_id = a.practice_id and s.kind = 'journey' and s.id = a.id and s.status <> 'done'
join cadences c on c.practice_id = a.practice_id and c.id = @cadence_id
where a.practice_id = @practice_id and a.cadence_version_id <> @version_id and a.status in ('requested', 'booked', 'confirmed')
    and (c.service_id is null or c.service_id = a.service_id) and (c.location_id is null or c.location_id = a.location_id)
    and not exists (
        select from cadences o
        join cadence_versions v on v.practice_id = o.practice_id and v.cadence_id = o.id and v.status = 'published'
        where o.practice_id = a.practice_id and o.kind = c.kind and o.archived_at is null and o.id <> c.id
            and (o.service_id is null or o.service_id = a.service_id) and (o.location_id is null or o.location_id = a.location_id)
            and (o.service_id is not null, o.location_id is not null) > (c.service_id is not null, c.location_id is not null))
    and (sqlc.narg('after')::uuid is null or a.id > sqlc.narg('after'))
order by a.id
limit @page_size;

-- name: AppointmentAdoptCadence :execrows
update appointments set cadence_version_id = @version_id
where practice_id = @practice_id and id = @id and cadence_version_id <> @version_id and status in ('requested', 'booked', 'confirmed');

-- name: CadenceArchive :execrows
update cadences set archived_at = now() where practice_id = @practice_id and id = @id and archived_at is null;
