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

-- name: AppointmentsPinned :many
-- Open journeys planned by any version of a cadence.
select a.id from appointments a
join subjects s on s.practice_id = a.practice_id and s.kind = 'journey' and s.id = a.id and s.status = 'open'
join cadence_versions v on v.practice_id = a.practice_id and v.id = a.cadence_version_id
where a.practice_id = @practice_id and v.cadence_id = @cadence_id and a.cadence_version_id <> @version_id
    and a.status in ('requested', 'booked', 'confirmed')
    and (sqlc.narg('after')::uuid is null or a.id > sqlc.narg('after'))
order by a.id
limit @page_size;

-- name: AppointmentAdoptCadence :execrows
update appointments set cadence_version_id = @version_id
where practice_id = @practice_id and id = @id and cadence_version_id <> @version_id and status in ('requested', 'booked', 'confirmed');
