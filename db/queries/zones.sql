-- name: AppointmentRezone :exec
-- The same wall time under new rules of its zone: a new instant, so a new version with messages of its own.
update appointments set starts_at = @starts_at, ends_at = @ends_at, version = version + 1, changed_at = @now
where practice_id = @practice_id and id = @id;

-- name: ReservationsOver :many
-- What occupies these resources in an interval, to see whether visits can move there.
select id, resource_id, seat, lower(during)::timestamptz as starts_at, upper(during)::timestamptz as ends_at, appointment_id, hold_id
from reservations
where practice_id = @practice_id and resource_id = any(@resource_ids::uuid[])
    and during && tstzrange(@from_at::timestamptz, @until_at::timestamptz)
order by lower(during), id;

-- name: VisitsAheadIn :many
-- Visits ahead whose wall time is meant in a zone.
select id, client_id, provider_id, location_id, room_id, starts_at, ends_at, local_start, status, version
from appointments
where practice_id = @practice_id and zone = @zone and class_id is null and status in ('requested', 'booked', 'confirmed')
    and starts_at > @now::timestamptz
order by starts_at, id;

-- name: ZoneRulesPut :exec
insert into zone_rules (practice_id, zone, fingerprint) values (@practice_id, @zone, @fingerprint)
on conflict (practice_id, zone) do update set fingerprint = excluded.fingerprint, since = clock_timestamp();

-- name: ZonesAhead :many
-- The zones of a practice and of its visits ahead, each with the rules by which instants were computed so far; "" when unknown.
select z.zone::text as zone, coalesce(r.fingerprint, '')::text as fingerprint
from (select p.zone from practices p where p.id = @practice_id
    union select l.zone from locations l where l.practice_id = @practice_id
    union select a.zone from appointments a where a.practice_id = @practice_id and a.starts_at > practice_now(@practice_id)) z
left join zone_rules r on r.practice_id = @practice_id and r.zone = z.zone
order by z.zone;
