-- name: RecallUpsert :one
-- A completed visit moves the calculated date and opens the next round; an override that lies ahead survives.
insert into recalls (practice_id, id, client_id, service_id, calculated_on, every, last_visit_id, cadence_version_id)
values (@practice_id, @id, @client_id, @service_id, @calculated_on, @every, @last_visit_id, @cadence_version_id)
on conflict (practice_id, client_id, service_id) do update
set calculated_on = excluded.calculated_on, every = excluded.every, last_visit_id = excluded.last_visit_id,
    cadence_version_id = excluded.cadence_version_id, status = 'waiting', status_reason = '', round = recalls.round + 1,
    override_on = case when recalls.override_on > @today::date and recalls.status = 'waiting' then recalls.override_on end,
    started_at = null, closed_at = null, booked_appointment_id = null
returning id, due_on, round;

-- name: RecallByID :one
select practice_id, id, client_id, service_id, calculated_on, override_on, due_on, every, last_visit_id, cadence_version_id, status, status_reason,
    round, started_at, closed_at, booked_appointment_id, recorded_at
from recalls where practice_id = @practice_id and id = @id;

-- name: RecallList :many
select practice_id, id, client_id, service_id, calculated_on, override_on, due_on, every, last_visit_id, cadence_version_id, status, status_reason,
    round, started_at, closed_at, booked_appointment_id, recorded_at
from recalls
where practice_id = @practice_id
    and (sqlc.narg('status')::text is null or status = sqlc.narg('status'))
    and (sqlc.narg('client_id')::uuid is null or client_id = sqlc.narg('client_id'))
    and (sqlc.narg('due_until')::date is null or due_on <= sqlc.narg('due_until'))
    and (sqlc.narg('after')::uuid is null or id > sqlc.narg('after'))
order by id
limit @page_size;

-- name: RecallsOpenOf :many
-- Started recalls of a client that a booking of the service, an opt-out or an ended client concerns.
select id, service_id from recalls
where practice_id = @practice_id and client_id = @client_id and status = 'started'
    and (sqlc.narg('service_id')::uuid is null or service_id = sqlc.narg('service_id'))
order by id;

-- name: RecallOfVisit :one
-- The recall that still stands on this visit's completion.
select id from recalls where practice_id = @practice_id and last_visit_id = @visit_id for no key update;

-- name: RecallReturn :exec
-- Back to what an earlier visit said. A round that waits or runs is answered by the visit that stands again; one that ended otherwise
-- stays ended.
update recalls set calculated_on = @calculated_on, every = @every, last_visit_id = @last_visit_id::uuid,
    booked_appointment_id = case when status in ('waiting', 'started') then @visit_id::uuid else booked_appointment_id end,
    closed_at = case when status in ('waiting', 'started') then @closed_at::timestamptz else closed_at end,
    status = case when status in ('waiting', 'started') then 'booked' else status end
where practice_id = @practice_id and id = @id;

-- name: RecallTakeBack :exec
update recalls set last_visit_id = null, status = 'stopped', status_reason = 'its visit was undone', closed_at = @closed_at::timestamptz
where practice_id = @practice_id and id = @id;

-- name: VisitRecalledFrom :one
-- The client's last completed visit, but one, of a service that invites back for the same.
select a.id, a.starts_at, a.zone, s.recall_every
from appointments a
join services s on s.practice_id = a.practice_id and s.id = a.service_id
where a.practice_id = @practice_id and a.client_id = @client_id and a.status = 'completed' and a.id <> @except_id
    and s.recall_every <> '' and coalesce(s.recall_service_id, s.id) = @back_id::uuid
order by a.starts_at desc, a.id desc
limit 1;

-- name: RecallOverride :execrows
update recalls set override_on = @override_on where practice_id = @practice_id and id = @id and status = 'waiting';

-- name: RecallClose :execrows
update recalls set status = @status, status_reason = @status_reason, closed_at = @closed_at, booked_appointment_id = @booked_appointment_id
where practice_id = @practice_id and id = @id and status in ('started', 'waiting');

-- name: RecallStop :execrows
update recalls set status = 'stopped', status_reason = @status_reason, closed_at = @closed_at
where practice_id = @practice_id and id = @id and status in ('waiting', 'started');

-- name: RecallsBookedBy :many
-- Recalls that an appointment had answered; they wait again when it is cancelled.
update recalls set status = 'waiting', status_reason = '', closed_at = null, started_at = null, booked_appointment_id = null, round = round + 1
where practice_id = @practice_id and booked_appointment_id = @appointment_id::uuid and status = 'booked'
returning id;
