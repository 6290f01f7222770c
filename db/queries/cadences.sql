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
select practice_id, id, cadence_id, n, status, rules, published_at, created_at, version
from cadence_versions where practice_id = @practice_id and id = @id;

-- name: CadenceVersions :many
select practice_id, id, cadence_id, n, status, rules, published_at, created_at, version
from cadence_versions where practice_id = @practice_id and cadence_id = @cadence_id order by n;

-- name: CadenceVersionSetRules :execrows
-- Of a draft as it was read.
update cadence_versions set rules = @rules, version = version + 1
where practice_id = @practice_id and id = @id and status = 'draft' and version = @version;

-- name: CadenceVersionPublish :execrows
update cadence_versions set status = 'published', published_at = @now
where practice_id = @practice_id and id = @id and status = 'draft'
    and (sqlc.narg('version')::int is null or version = sqlc.narg('version'));

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
-- Open journeys that a version's cadence is the most specific one for and that pin neither it nor a newer one, after a given one.
select a.id from appointments a
join subjects s on s.practice_id = a.practice_id and s.kind = 'journey' and s.id = a.id and s.status <> 'done'
join cadence_versions w on w.practice_id = a.practice_id and w.id = @version_id
join cadences c on c.practice_id = a.practice_id and c.id = w.cadence_id
where a.practice_id = @practice_id and a.status in ('requested', 'booked', 'confirmed')
    and not exists (
        select from cadence_versions pinned where pinned.practice_id = a.practice_id and pinned.id = a.cadence_version_id
            and pinned.cadence_id = w.cadence_id and pinned.n >= w.n)
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

-- name: CadenceJourneysCount :one
-- How many CadenceJourneys would give in all.
select count(*)::int from appointments a
join subjects s on s.practice_id = a.practice_id and s.kind = 'journey' and s.id = a.id and s.status <> 'done'
join cadence_versions w on w.practice_id = a.practice_id and w.id = @version_id
join cadences c on c.practice_id = a.practice_id and c.id = w.cadence_id
where a.practice_id = @practice_id and a.status in ('requested', 'booked', 'confirmed')
    and not exists (
        select from cadence_versions pinned where pinned.practice_id = a.practice_id and pinned.id = a.cadence_version_id
            and pinned.cadence_id = w.cadence_id and pinned.n >= w.n)
    and (c.service_id is null or c.service_id = a.service_id) and (c.location_id is null or c.location_id = a.location_id)
    and not exists (
        select from cadences o
        join cadence_versions v on v.practice_id = o.practice_id and v.cadence_id = o.id and v.status = 'published'
        where o.practice_id = a.practice_id and o.kind = c.kind and o.archived_at is null and o.id <> c.id
            and (o.service_id is null or o.service_id = a.service_id) and (o.location_id is null or o.location_id = a.location_id)
            and (o.service_id is not null, o.location_id is not null) > (c.service_id is not null, c.location_id is not null));

-- name: AppointmentAdoptCadence :execrows
-- Never back to an older version of the same cadence.
update appointments a set cadence_version_id = w.id
from cadence_versions w
where a.practice_id = @practice_id and a.id = @id and w.practice_id = a.practice_id and w.id = @version_id
    and a.status in ('requested', 'booked', 'confirmed')
    and not exists (
        select from cadence_versions pinned where pinned.practice_id = a.practice_id and pinned.id = a.cadence_version_id
            and pinned.cadence_id = w.cadence_id and pinned.n >= w.n);

-- name: CadenceArchive :execrows
update cadences set archived_at = now() where practice_id = @practice_id and id = @id and archived_at is null;

-- name: CadenceAdoptionByID :one
select practice_id, id, version_id, policy, selected, state, after_id, journeys, moved, kept, failed, changed, sends_moved,
    sends_vanished, sends_added, sends_late, actor_id, next_at, started_at, ended_at
from cadence_adoptions where practice_id = @practice_id and id = @id;

-- name: CadenceAdoptionEnd :execrows
update cadence_adoptions set state = @state, ended_at = practice_now(@practice_id)
where practice_id = @practice_id and id = @id and state = 'running';

-- name: CadenceAdoptionInsert :execrows
-- One running adoption of all journeys per version: a publish that is repeated meanwhile adds none.
insert into cadence_adoptions (practice_id, id, version_id, policy, selected, journeys, actor_id, started_at)
values (@practice_id, @id, @version_id, @policy, @selected::uuid[], @journeys, @actor_id, @started_at)
on conflict (practice_id, version_id) where state = 'running' and policy = 'adopt_future' do nothing;

-- name: CadenceAdoptionProgress :exec
update cadence_adoptions set after_id = @after_id, moved = moved + @moved, kept = kept + @kept, failed = failed + @failed,
    changed = changed + @changed, sends_moved = sends_moved + @sends_moved, sends_vanished = sends_vanished + @sends_vanished,
    sends_added = sends_added + @sends_added, sends_late = sends_late + @sends_late, next_at = clock_timestamp()
where practice_id = @practice_id and id = @id;

-- name: CadenceAdoptionSelected :many
-- The named journeys after a given one.
select named.id::uuid as id from cadence_adoptions a cross join unnest(a.selected) named (id)
where a.practice_id = @practice_id and a.id = @id and (sqlc.narg('after')::uuid is null or named.id > sqlc.narg('after'))
order by named.id
limit @page_size;

-- name: CadenceAdoptionTake :one
-- Locks a running adoption for one batch; no row when it has ended or another worker is at it.
select practice_id, id, version_id, policy, selected, state, after_id, journeys, moved, kept, failed, changed, sends_moved,
    sends_vanished, sends_added, sends_late, actor_id, next_at, started_at, ended_at
from cadence_adoptions where practice_id = @practice_id and id = @id and state = 'running'
for update skip locked;

-- name: CadenceAdoptions :many
-- Of one version, newest first.
select practice_id, id, version_id, policy, selected, state, after_id, journeys, moved, kept, failed, changed, sends_moved,
    sends_vanished, sends_added, sends_late, actor_id, next_at, started_at, ended_at
from cadence_adoptions where practice_id = @practice_id and version_id = @version_id
order by id desc
limit 100;

-- name: CadenceAdoptionsDue :many
-- Running adoptions of all practices, the one that waited longest first.
select practice_id, id from cadence_adoptions where state = 'running' order by next_at limit @most;

-- name: CadenceAdoptionsSupersede :many
-- Ends what still runs for older versions of a version's cadence, or for all versions of an archived one.
update cadence_adoptions a set state = 'superseded', ended_at = practice_now(@practice_id)
from cadence_versions v
where a.practice_id = @practice_id and a.state = 'running' and v.practice_id = a.practice_id and v.id = a.version_id
    and v.cadence_id = @cadence_id and v.n < @below_n
returning a.id;

-- name: AppointmentsKnown :many
select id from appointments where practice_id = @practice_id and id = any(@ids::uuid[]) order by id;
