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
