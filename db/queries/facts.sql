-- name: JourneyFacts :one
-- Everything about one visit that the journey planner reads in a row of its own.
select a.status, a.version, a.starts_at, a.ends_at, a.zone, a.booked_at, a.changed_at, a.status_at, a.answered_at, a.source, a.cancelled_by,
    a.completions, a.completed_at, a.client_id, a.service_id, a.provider_id, a.location_id,
    s.recall_every, c.prefers, c.status as client_status, c.zone as client_zone, v.rules,
    k.due_at as packet_due_at,
    i.id as invoice_id, i.completion as invoice_completion, i.status as invoice_status, i.issued_at as invoice_issued_at,
    exists (select from payment_methods m where m.practice_id = a.practice_id and m.client_id = a.client_id and m.removed_at is null) as has_card
from appointments a
join services s on s.practice_id = a.practice_id and s.id = a.service_id
join clients c on c.practice_id = a.practice_id and c.id = a.client_id
join cadence_versions v on v.practice_id = a.practice_id and v.id = a.cadence_version_id
left join packets k on k.practice_id = a.practice_id and k.appointment_id = a.id and k.status = 'open'
left join invoices i on i.practice_id = a.practice_id and i.appointment_id = a.id and i.completion = (
    select max(l.completion) from invoices l where l.practice_id = a.practice_id and l.appointment_id = a.id)
where a.practice_id = @practice_id and a.id = @id;

-- name: CollectionFacts :one
select i.status, i.issued_at, i.total, i.paid, i.client_id, i.service_id, i.provider_id, i.location_id, i.completion,
    l.zone, c.prefers, c.status as client_status, c.zone as client_zone, v.rules,
    exists (select from payment_methods m where m.practice_id = i.practice_id and m.client_id = i.client_id and m.removed_at is null) as has_card,
    exists (select from payments p where p.practice_id = i.practice_id and p.invoice_id = i.id and (p.status = 'processing' or (p.status = 'created'
        and exists (select from effects e where e.practice_id = i.practice_id and e.subject_id in (i.id, i.appointment_id)
            and e.subject_kind in ('collection', 'journey') and e.object_id = p.id and e.state = 'claimed')))) as processing
from invoices i
join locations l on l.practice_id = i.practice_id and l.id = i.location_id
join clients c on c.practice_id = i.practice_id and c.id = i.client_id
left join cadence_versions v on v.practice_id = i.practice_id and v.id = i.cadence_version_id
where i.practice_id = @practice_id and i.id = @id;

-- name: RecallFacts :one
select r.status, r.round, r.due_on, r.client_id, r.service_id, p.zone, c.prefers, c.status as client_status, c.zone as client_zone, v.rules,
    exists (select from appointments a where a.practice_id = r.practice_id and a.client_id = r.client_id and a.service_id = r.service_id
            and a.status in ('requested', 'booked', 'confirmed', 'arrived', 'roomed', 'with_provider')
            and a.starts_at > practice_now(r.practice_id)) as booked
from recalls r
join practices p on p.id = r.practice_id
join clients c on c.practice_id = r.practice_id and c.id = r.client_id
left join cadence_versions v on v.practice_id = r.practice_id and v.id = r.cadence_version_id
where r.practice_id = @practice_id and r.id = @id;
