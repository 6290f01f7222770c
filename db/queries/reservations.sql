-- name: ReservationInsert :exec
insert into reservations (practice_id, id, resource_id, seat, during, appointment_id, hold_id)
values (@practice_id, @id, @resource_id, @seat, tstzrange(@starts_at::timestamptz, @ends_at::timestamptz), @appointment_id, @hold_id);

-- name: ReservationDeleteByAppointment :execrows
delete from reservations where practice_id = @practice_id and appointment_id = @appointment_id::uuid;

-- name: ReservationDeleteByHold :execrows
delete from reservations where practice_id = @practice_id and hold_id = @hold_id::uuid;

-- name: ReservationsOfAppointment :many
select resource_id, seat from reservations
where practice_id = @practice_id and appointment_id = @appointment_id::uuid
order by resource_id, seat;

-- name: ReservationTaken :many
-- Seats of these resources that are taken in an interval, buffers of both neighbours stacked, own appointment and hold left
-- out, expired holds not counted. busy_from and busy_until include the wanted visit's own buffers; the window is wide enough for
-- any neighbour's. Read under the advisory locks before inserting, and without them to turn losers away early.
select r.resource_id, r.seat
from reservations r
left join appointments a on a.practice_id = r.practice_id and a.id = r.appointment_id
left join holds h on h.practice_id = r.practice_id and h.id = r.hold_id
left join services s on s.practice_id = r.practice_id and s.id = coalesce(a.service_id, h.service_id)
where r.practice_id = @practice_id
    and r.resource_id = any(@resource_ids::uuid[])
    and r.ends_at > @window_from::timestamptz and r.starts_at < @window_until::timestamptz
    and r.starts_at - coalesce(s.buffer_before_minutes, 0) * interval '1 minute' < @busy_until::timestamptz
    and r.ends_at + coalesce(s.buffer_after_minutes, 0) * interval '1 minute' > @busy_from::timestamptz
    and (h.id is null or h.expires_at > @now::timestamptz)
    and (r.appointment_id is null or r.appointment_id is distinct from sqlc.narg('except_appointment')::uuid)
    and (r.hold_id is null or r.hold_id is distinct from sqlc.narg('except_hold')::uuid)
order by r.resource_id, r.seat;

-- name: HoldInsert :exec
insert into holds (practice_id, id, client_id, service_id, provider_id, location_id, room_id, starts_at, ends_at, expires_at)
values (@practice_id, @id, @client_id, @service_id, @provider_id, @location_id, @room_id, @starts_at, @ends_at, @expires_at);

-- name: HoldByID :one
select practice_id, id, client_id, service_id, provider_id, location_id, room_id, starts_at, ends_at, expires_at, token_hash,
    created_at
from holds where practice_id = @practice_id and id = @id;

-- name: HoldDelete :execrows
-- Its reservations go with it.
delete from holds where practice_id = @practice_id and id = @id;

-- name: HoldsOfClient :one
select count(*) from holds where practice_id = @practice_id and client_id = @client_id::uuid and expires_at > @now::timestamptz;

-- name: HoldDeleteExpired :execrows
-- Holds met by a commit on its own resources: gone before the free seat is looked for.
delete from holds h
where h.practice_id = @practice_id and h.expires_at <= @now::timestamptz
    and exists (select from reservations r where r.practice_id = h.practice_id and r.hold_id = h.id
                and r.resource_id = any(@resource_ids::uuid[]));
