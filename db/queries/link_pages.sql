-- name: LinkPage :one
-- Everything that decides whether a link opens, in one statement, so that an unknown token costs what a known one does.
select l.id, l.purpose, l.client_id, l.subject_kind, l.subject_id, l.version, l.expires_at, l.used_at, l.revoked_at, l.revoked_reason,
    c.given_name, c.status as client_status, p.name as practice_name, p.phone as practice_phone, p.country, p.zone, p.privacy_mode,
    practice_now(l.practice_id)::timestamptz as now
from links l
join clients c on c.practice_id = l.practice_id and c.id = l.client_id
join practices p on p.id = l.practice_id
where l.practice_id = @practice_id and l.token_hash = @token_hash;

-- name: LinkVisit :one
select a.id, a.client_id, a.service_id, a.provider_id, a.location_id, a.starts_at, a.ends_at, a.zone, a.status, a.version,
    l.name as location_name, l.postal_address, l.phone as location_phone, r.name as provider_name
from appointments a
join locations l on l.practice_id = a.practice_id and l.id = a.location_id
join resources r on r.practice_id = a.practice_id and r.id = a.provider_id
where a.practice_id = @practice_id and a.id = @id;

-- name: LiveVisitsOfRecall :many
-- Visits booked from a recall's link that still stand, newest first; more than one only inside a transaction that must not commit.
select id from appointments
where practice_id = @practice_id and caused_by_kind = 'recall' and caused_by_id = @recall_id::uuid
    and status in ('requested', 'booked', 'confirmed', 'arrived', 'roomed', 'with_provider')
order by booked_at desc, id desc;

-- name: PracticeOfLink :one
-- The nil id when no link has this hash, so that whoever asks does the same work either way.
select coalesce(practice_of_link(@hash::bytea), '00000000-0000-0000-0000-000000000000')::uuid as practice_id;
