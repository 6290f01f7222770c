-- name: AppointmentPageNewer :many
-- One page backwards, nearest first; the caller turns it round.
select a.practice_id, a.id, a.client_id, a.service_id, a.provider_id, a.location_id, a.room_id, a.class_id, a.case_id, a.cadence_version_id,
    a.starts_at, a.ends_at, a.zone, a.local_start, a.status, a.version, a.booked_at, a.changed_at, a.status_at, a.previous_status, a.completions,
    a.completed_at, a.cancel_reason, a.cancelled_by, a.answered_at, a.override, a.source, a.caused_by_kind, a.caused_by_id, a.caused_by_step,
    a.recorded_at
from appointments a
where a.practice_id = @practice_id and a.id > @id
    and (sqlc.narg('from_at')::timestamptz is null or a.starts_at >= sqlc.narg('from_at'))
    and (sqlc.narg('until_at')::timestamptz is null or a.starts_at < sqlc.narg('until_at'))
    and (sqlc.narg('client_id')::uuid is null or a.client_id = sqlc.narg('client_id'))
    and (sqlc.narg('provider_id')::uuid is null or a.provider_id = sqlc.narg('provider_id'))
    and (sqlc.narg('location_id')::uuid is null or a.location_id = sqlc.narg('location_id'))
    and (sqlc.narg('service_id')::uuid is null or a.service_id = sqlc.narg('service_id'))
    and (sqlc.narg('status')::text is null or a.status = sqlc.narg('status'))
    and (sqlc.narg('own_staff')::uuid is null or exists (
        select from resources r where r.practice_id = a.practice_id and r.id = a.provider_id and r.staff_id = sqlc.narg('own_staff')))
order by a.id
limit @page_size;

-- name: AppointmentPageOlder :many
-- One page, newest first; without id the first one.
select a.practice_id, a.id, a.client_id, a.service_id, a.provider_id, a.location_id, a.room_id, a.class_id, a.case_id, a.cadence_version_id,
    a.starts_at, a.ends_at, a.zone, a.local_start, a.status, a.version, a.booked_at, a.changed_at, a.status_at, a.previous_status, a.completions,
    a.completed_at, a.cancel_reason, a.cancelled_by, a.answered_at, a.override, a.source, a.caused_by_kind, a.caused_by_id, a.caused_by_step,
    a.recorded_at
from appointments a
where a.practice_id = @practice_id and (sqlc.narg('id')::uuid is null or a.id < sqlc.narg('id'))
    and (sqlc.narg('from_at')::timestamptz is null or a.starts_at >= sqlc.narg('from_at'))
    and (sqlc.narg('until_at')::timestamptz is null or a.starts_at < sqlc.narg('until_at'))
    and (sqlc.narg('client_id')::uuid is null or a.client_id = sqlc.narg('client_id'))
    and (sqlc.narg('provider_id')::uuid is null or a.provider_id = sqlc.narg('provider_id'))
    and (sqlc.narg('location_id')::uuid is null or a.location_id = sqlc.narg('location_id'))
    and (sqlc.narg('service_id')::uuid is null or a.service_id = sqlc.narg('service_id'))
    and (sqlc.narg('status')::text is null or a.status = sqlc.narg('status'))
    and (sqlc.narg('own_staff')::uuid is null or exists (
        select from resources r where r.practice_id = a.practice_id and r.id = a.provider_id and r.staff_id = sqlc.narg('own_staff')))
order by a.id desc
limit @page_size;

-- name: ChannelPauses :many
-- Every channel with its open pause, if it has one.
select c.channel::text as channel, p.reason, p.at
from unnest(array['mail', 'sms', 'card']) c (channel)
left join channel_pauses p on p.practice_id = @practice_id and p.channel = c.channel and p.resumed_at is null
order by array_position(array['mail', 'sms', 'card'], c.channel);

-- name: InvoicePageNewer :many
select i.practice_id, i.id, i.appointment_id, i.completion, i.client_id, i.service_id, i.provider_id, i.location_id, i.case_id, i.number, i.status,
    i.currency, i.net, i.tax, i.total, i.paid, i.refunded, i.cadence_version_id, i.source, i.caused_by_step, i.occurred_on, i.issued_at, i.due_on,
    i.follow_up_at, i.follow_up_started_at, i.paid_at, i.voided_at, i.void_reason, i.version, i.recorded_at
from invoices i
where i.practice_id = @practice_id and i.id > @id
    and (sqlc.narg('status')::text is null or i.status = sqlc.narg('status'))
    and (sqlc.narg('client_id')::uuid is null or i.client_id = sqlc.narg('client_id'))
    and (sqlc.narg('appointment_id')::uuid is null or i.appointment_id = sqlc.narg('appointment_id'))
    and (sqlc.narg('own_staff')::uuid is null or exists (
        select from resources r where r.practice_id = i.practice_id and r.id = i.provider_id and r.staff_id = sqlc.narg('own_staff')))
order by i.id
limit @page_size;

-- name: InvoicePageOlder :many
select i.practice_id, i.id, i.appointment_id, i.completion, i.client_id, i.service_id, i.provider_id, i.location_id, i.case_id, i.number, i.status,
    i.currency, i.net, i.tax, i.total, i.paid, i.refunded, i.cadence_version_id, i.source, i.caused_by_step, i.occurred_on, i.issued_at, i.due_on,
    i.follow_up_at, i.follow_up_started_at, i.paid_at, i.voided_at, i.void_reason, i.version, i.recorded_at
from invoices i
where i.practice_id = @practice_id and (sqlc.narg('id')::uuid is null or i.id < sqlc.narg('id'))
    and (sqlc.narg('status')::text is null or i.status = sqlc.narg('status'))
    and (sqlc.narg('client_id')::uuid is null or i.client_id = sqlc.narg('client_id'))
    and (sqlc.narg('appointment_id')::uuid is null or i.appointment_id = sqlc.narg('appointment_id'))
    and (sqlc.narg('own_staff')::uuid is null or exists (
        select from resources r where r.practice_id = i.practice_id and r.id = i.provider_id and r.staff_id = sqlc.narg('own_staff')))
order by i.id desc
limit @page_size;

-- name: JournalNewer :many
-- One page backwards, nearest first: entries after the one with this id.
select j.id, j.seq, j.at, j.recorded_at, j.verb, j.actor_kind, j.actor_id, j.on_behalf_of, j.subject_kind, j.subject_id, j.object_kind, j.object_id,
    j.reason, j.before, j.after, j.request_id
from journal j
where j.practice_id = @practice_id
    and j.seq > (select k.seq from journal k where k.practice_id = @practice_id and k.id = @id)
    and (sqlc.narg('verb')::text is null or j.verb = sqlc.narg('verb'))
    and (sqlc.narg('object_kind')::text is null or j.object_kind = sqlc.narg('object_kind'))
    and (sqlc.narg('object_id')::uuid is null or j.object_id = sqlc.narg('object_id'))
    and (sqlc.narg('actor_kind')::text is null or j.actor_kind = sqlc.narg('actor_kind'))
    and (sqlc.narg('from_at')::timestamptz is null or j.at >= sqlc.narg('from_at'))
    and (sqlc.narg('until_at')::timestamptz is null or j.at < sqlc.narg('until_at'))
order by j.seq
limit @page_size;

-- name: JournalOlder :many
-- One page, newest first: entries before the one with this id; without id the first page.
select j.id, j.seq, j.at, j.recorded_at, j.verb, j.actor_kind, j.actor_id, j.on_behalf_of, j.subject_kind, j.subject_id, j.object_kind, j.object_id,
    j.reason, j.before, j.after, j.request_id
from journal j
where j.practice_id = @practice_id
    and (sqlc.narg('id')::uuid is null or j.seq < (select k.seq from journal k where k.practice_id = @practice_id and k.id = sqlc.narg('id')))
    and (sqlc.narg('verb')::text is null or j.verb = sqlc.narg('verb'))
    and (sqlc.narg('object_kind')::text is null or j.object_kind = sqlc.narg('object_kind'))
    and (sqlc.narg('object_id')::uuid is null or j.object_id = sqlc.narg('object_id'))
    and (sqlc.narg('actor_kind')::text is null or j.actor_kind = sqlc.narg('actor_kind'))
    and (sqlc.narg('from_at')::timestamptz is null or j.at >= sqlc.narg('from_at'))
    and (sqlc.narg('until_at')::timestamptz is null or j.at < sqlc.narg('until_at'))
order by j.seq desc
limit @page_size;

-- name: JourneyPageNewer :many
select s.id, s.status, s.stage, s.waiting, s.wake_at, s.retry_at, s.due_keys, s.planned_at, s.opened_at, a.client_id, a.service_id, a.provider_id,
    a.location_id, a.starts_at, a.zone, a.status as visit_status
from subjects s
join appointments a on a.practice_id = s.practice_id and a.id = s.id
where s.practice_id = @practice_id and s.kind = 'journey' and s.id > @id
    and (sqlc.narg('status')::text is null or s.status = sqlc.narg('status'))
    and (sqlc.narg('status')::text is not null or s.status <> 'done')
    and (sqlc.narg('client_id')::uuid is null or s.client_id = sqlc.narg('client_id'))
    and (sqlc.narg('own_staff')::uuid is null or exists (
        select from resources r where r.practice_id = a.practice_id and r.id = a.provider_id and r.staff_id = sqlc.narg('own_staff')))
order by s.id
limit @page_size;

-- name: JourneyPageOlder :many
-- What the last plan of each journey said; without a status those that are not done.
select s.id, s.status, s.stage, s.waiting, s.wake_at, s.retry_at, s.due_keys, s.planned_at, s.opened_at, a.client_id, a.service_id, a.provider_id,
    a.location_id, a.starts_at, a.zone, a.status as visit_status
from subjects s
join appointments a on a.practice_id = s.practice_id and a.id = s.id
where s.practice_id = @practice_id and s.kind = 'journey' and (sqlc.narg('id')::uuid is null or s.id < sqlc.narg('id'))
    and (sqlc.narg('status')::text is null or s.status = sqlc.narg('status'))
    and (sqlc.narg('status')::text is not null or s.status <> 'done')
    and (sqlc.narg('client_id')::uuid is null or s.client_id = sqlc.narg('client_id'))
    and (sqlc.narg('own_staff')::uuid is null or exists (
        select from resources r where r.practice_id = a.practice_id and r.id = a.provider_id and r.staff_id = sqlc.narg('own_staff')))
order by s.id desc
limit @page_size;

-- name: MessagePageNewer :many
select m.practice_id, m.id, m.client_id, m.subject_kind, m.subject_id, m.effect_key, m.kind, m.channel, m.address, m.template_id, m.locale, m.segments,
    m.status, m.gateway_id, m.source, m.caused_by_step, m.occurred_at, m.recorded_at, m.settled_at
from messages m
where m.practice_id = @practice_id and m.id > @id
    and (sqlc.narg('client_id')::uuid is null or m.client_id = sqlc.narg('client_id'))
    and (sqlc.narg('subject_id')::uuid is null or m.subject_id = sqlc.narg('subject_id'))
    and (sqlc.narg('channel')::text is null or m.channel = sqlc.narg('channel'))
    and (sqlc.narg('status')::text is null or m.status = sqlc.narg('status'))
    and (sqlc.narg('own_staff')::uuid is null or exists (
        select from appointments a join resources r on r.practice_id = a.practice_id and r.id = a.provider_id
        where a.practice_id = m.practice_id and a.client_id = m.client_id and r.staff_id = sqlc.narg('own_staff')))
order by m.id
limit @page_size;

-- name: MessagePageOlder :many
select m.practice_id, m.id, m.client_id, m.subject_kind, m.subject_id, m.effect_key, m.kind, m.channel, m.address, m.template_id, m.locale, m.segments,
    m.status, m.gateway_id, m.source, m.caused_by_step, m.occurred_at, m.recorded_at, m.settled_at
from messages m
where m.practice_id = @practice_id and (sqlc.narg('id')::uuid is null or m.id < sqlc.narg('id'))
    and (sqlc.narg('client_id')::uuid is null or m.client_id = sqlc.narg('client_id'))
    and (sqlc.narg('subject_id')::uuid is null or m.subject_id = sqlc.narg('subject_id'))
    and (sqlc.narg('channel')::text is null or m.channel = sqlc.narg('channel'))
    and (sqlc.narg('status')::text is null or m.status = sqlc.narg('status'))
    and (sqlc.narg('own_staff')::uuid is null or exists (
        select from appointments a join resources r on r.practice_id = a.practice_id and r.id = a.provider_id
        where a.practice_id = m.practice_id and a.client_id = m.client_id and r.staff_id = sqlc.narg('own_staff')))
order by m.id desc
limit @page_size;

-- name: ProviderOfStaff :one
-- Whether a provider is this person.
select exists (select from resources where practice_id = @practice_id and id = @provider_id and kind = 'provider' and staff_id = @staff_id::uuid) as own;

-- name: RecallPageNewer :many
select c.practice_id, c.id, c.client_id, c.service_id, c.calculated_on, c.override_on, c.due_on, c.every, c.last_visit_id, c.cadence_version_id,
    c.status, c.status_reason, c.round, c.started_at, c.closed_at, c.booked_appointment_id, c.recorded_at
from recalls c
where c.practice_id = @practice_id and c.id > @id
    and (sqlc.narg('status')::text is null or c.status = sqlc.narg('status'))
    and (sqlc.narg('client_id')::uuid is null or c.client_id = sqlc.narg('client_id'))
    and (sqlc.narg('due_until')::date is null or c.due_on <= sqlc.narg('due_until'))
    and (sqlc.narg('own_staff')::uuid is null or exists (
        select from appointments a join resources r on r.practice_id = a.practice_id and r.id = a.provider_id
        where a.practice_id = c.practice_id and a.client_id = c.client_id and r.staff_id = sqlc.narg('own_staff')))
order by c.id
limit @page_size;

-- name: RecallPageOlder :many
select c.practice_id, c.id, c.client_id, c.service_id, c.calculated_on, c.override_on, c.due_on, c.every, c.last_visit_id, c.cadence_version_id,
    c.status, c.status_reason, c.round, c.started_at, c.closed_at, c.booked_appointment_id, c.recorded_at
from recalls c
where c.practice_id = @practice_id and (sqlc.narg('id')::uuid is null or c.id < sqlc.narg('id'))
    and (sqlc.narg('status')::text is null or c.status = sqlc.narg('status'))
    and (sqlc.narg('client_id')::uuid is null or c.client_id = sqlc.narg('client_id'))
    and (sqlc.narg('due_until')::date is null or c.due_on <= sqlc.narg('due_until'))
    and (sqlc.narg('own_staff')::uuid is null or exists (
        select from appointments a join resources r on r.practice_id = a.practice_id and r.id = a.provider_id
        where a.practice_id = c.practice_id and a.client_id = c.client_id and r.staff_id = sqlc.narg('own_staff')))
order by c.id desc
limit @page_size;

-- name: SeenByStaff :one
-- Whether a person is the provider of any of the client's visits.
select exists (
    select from appointments a join resources r on r.practice_id = a.practice_id and r.id = a.provider_id
    where a.practice_id = @practice_id and a.client_id = @client_id and r.staff_id = @staff_id::uuid) as own;

-- name: TaskPageNewer :many
select t.practice_id, t.id, t.kind, t.title, t.queue, t.owner_id, t.priority, t.due_at, t.subject_kind, t.subject_id, t.step_key, t.client_id, t.cause,
    t.status, t.closed_reason, t.opened_at, t.closed_at, t.version
from tasks t
where t.practice_id = @practice_id and t.id > @id
    and (sqlc.narg('status')::text is null or t.status = sqlc.narg('status'))
    and (sqlc.narg('queue')::text is null or t.queue = sqlc.narg('queue'))
    and (sqlc.narg('owner_id')::uuid is null or t.owner_id = sqlc.narg('owner_id'))
    and (sqlc.narg('subject_id')::uuid is null or t.subject_id = sqlc.narg('subject_id'))
    and (sqlc.narg('own_staff')::uuid is null or t.owner_id = sqlc.narg('own_staff') or t.queue = 'providers')
order by t.id
limit @page_size;

-- name: TaskPageOlder :many
-- own_staff narrows to what a provider holds and to the providers' queue.
select t.practice_id, t.id, t.kind, t.title, t.queue, t.owner_id, t.priority, t.due_at, t.subject_kind, t.subject_id, t.step_key, t.client_id, t.cause,
    t.status, t.closed_reason, t.opened_at, t.closed_at, t.version
from tasks t
where t.practice_id = @practice_id and (sqlc.narg('id')::uuid is null or t.id < sqlc.narg('id'))
    and (sqlc.narg('status')::text is null or t.status = sqlc.narg('status'))
    and (sqlc.narg('queue')::text is null or t.queue = sqlc.narg('queue'))
    and (sqlc.narg('owner_id')::uuid is null or t.owner_id = sqlc.narg('owner_id'))
    and (sqlc.narg('subject_id')::uuid is null or t.subject_id = sqlc.narg('subject_id'))
    and (sqlc.narg('own_staff')::uuid is null or t.owner_id = sqlc.narg('own_staff') or t.queue = 'providers')
order by t.id desc
limit @page_size;
