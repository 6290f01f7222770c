-- name: AppointmentInsert :exec
insert into appointments (practice_id, id, client_id, service_id, provider_id, location_id, room_id, case_id, cadence_version_id,
    starts_at, ends_at, zone, local_start, status, booked_at, changed_at, status_at, override, source,
    caused_by_kind, caused_by_id, caused_by_step)
values (@practice_id, @id, @client_id, @service_id, @provider_id, @location_id, @room_id, @case_id, @cadence_version_id,
    @starts_at, @ends_at, @zone, @local_start, @status, @now, @now, @now, @override, @source,
    @caused_by_kind, @caused_by_id, @caused_by_step);

-- name: AppointmentByID :one
select practice_id, id, client_id, service_id, provider_id, location_id, room_id, class_id, case_id, cadence_version_id, starts_at,
    ends_at, zone, local_start, status, version, booked_at, changed_at, status_at, previous_status, completions, completed_at,
    cancel_reason, cancelled_by, answered_at, override, source, caused_by_kind, caused_by_id, caused_by_step, recorded_at
from appointments where practice_id = @practice_id and id = @id;

-- name: AppointmentMove :exec
update appointments set provider_id = @provider_id, room_id = @room_id, starts_at = @starts_at, ends_at = @ends_at,
    local_start = @local_start, status = @status, version = version + 1, changed_at = @now, status_at = @now, answered_at = @answered_at,
    override = @override
where practice_id = @practice_id and id = @id;

-- name: AppointmentSetStatus :exec
update appointments set status = @status, previous_status = @previous_status, status_at = @now, answered_at = @answered_at,
    cancel_reason = @cancel_reason, cancelled_by = @cancelled_by, completions = @completions, completed_at = @completed_at
where practice_id = @practice_id and id = @id;

-- name: AppointmentRestore :exec
-- Undo of a cancellation is a new commitment of the time: the version rises, so that its messages are planned afresh.
update appointments set status = @status, previous_status = null, status_at = @now, changed_at = @now, version = version + 1,
    cancel_reason = '', cancelled_by = '', room_id = @room_id, answered_at = null
where practice_id = @practice_id and id = @id;

-- name: AppointmentList :many
select a.practice_id, a.id, a.client_id, a.service_id, a.provider_id, a.location_id, a.room_id, a.class_id, a.case_id,
    a.cadence_version_id, a.starts_at, a.ends_at, a.zone, a.local_start, a.status, a.version, a.booked_at, a.changed_at,
    a.status_at, a.previous_status, a.completions, a.completed_at, a.cancel_reason, a.cancelled_by, a.answered_at,
    a.override, a.source, a.caused_by_kind, a.caused_by_id, a.caused_by_step, a.recorded_at, c.given_name, c.family_name, s.name as service_name
from appointments a
join clients c on c.practice_id = a.practice_id and c.id = a.client_id
join services s on s.practice_id = a.practice_id and s.id = a.service_id
where a.practice_id = @practice_id
    and (sqlc.narg('from_at')::timestamptz is null or a.starts_at >= sqlc.narg('from_at'))
    and (sqlc.narg('until_at')::timestamptz is null or a.starts_at < sqlc.narg('until_at'))
    and (sqlc.narg('client_id')::uuid is null or a.client_id = sqlc.narg('client_id'))
    and (sqlc.narg('provider_id')::uuid is null or a.provider_id = sqlc.narg('provider_id'))
    and (sqlc.narg('location_id')::uuid is null or a.location_id = sqlc.narg('location_id'))
    and (sqlc.narg('status')::text is null or a.status = sqlc.narg('status'))
    and (sqlc.narg('after')::uuid is null or a.id > sqlc.narg('after'))
order by a.id
limit @page_size;

-- name: AppointmentNextOf :one
-- A live visit of the client still to come; of one service where asked.
select id from appointments
where practice_id = @practice_id and client_id = @client_id and status in ('requested', 'booked', 'confirmed')
    and starts_at > @now::timestamptz and (sqlc.narg('service_id')::uuid is null or service_id = sqlc.narg('service_id'))
order by starts_at
limit 1;

-- name: BusyOf :many
-- What occupies these resources in an interval, with each neighbour's buffers, for the list of free times.
select r.resource_id, r.seat, r.starts_at, r.ends_at,
    coalesce(s.buffer_before_minutes, 0)::int as buffer_before, coalesce(s.buffer_after_minutes, 0)::int as buffer_after
from reservations r
left join appointments a on a.practice_id = r.practice_id and a.id = r.appointment_id
left join holds h on h.practice_id = r.practice_id and h.id = r.hold_id
left join services s on s.practice_id = r.practice_id and s.id = coalesce(a.service_id, h.service_id)
where r.practice_id = @practice_id and r.resource_id = any(@resource_ids::uuid[])
    and r.ends_at > @from_at::timestamptz and r.starts_at < @until_at::timestamptz
    and (h.id is null or h.expires_at > @now::timestamptz)
    and (r.appointment_id is null or r.appointment_id is distinct from sqlc.narg('except_appointment')::uuid)
order by r.resource_id, r.seat, 3;

-- name: ClosuresIn :many
select resource_id, location_id, lower(during)::timestamptz as starts_at, upper(during)::timestamptz as ends_at
from closures
where practice_id = @practice_id and lifted_at is null and during && tstzrange(@from_at::timestamptz, @until_at::timestamptz)
order by 3;

-- name: ShiftsOf :many
select resource_id, weekday, start_minute, end_minute, from_on, until_on from shifts
where practice_id = @practice_id and location_id = @location_id and resource_id = any(@resource_ids::uuid[])
    and from_on <= @until_day and (until_on is null or until_on > @from_day)
order by resource_id, weekday, start_minute;
