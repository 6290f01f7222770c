-- name: FormInsert :exec
insert into forms (practice_id, id, form_key, n, title, document, fields, needs_signature, valid_months)
values (@practice_id, @id, @form_key, @n, @title, @document, @fields, @needs_signature, @valid_months);

-- name: FormList :many
-- The newest version of each form.
select distinct on (form_key) practice_id, id, form_key, n, title, document, fields, needs_signature, valid_months, published_at
from forms where practice_id = @practice_id
order by form_key, n desc;

-- name: FormsDueFor :many
-- The forms a service asks for, newest version each, leaving out what this client signed or sent and is still valid at the visit.
select distinct on (sf.position, sf.form_key) f.id, sf.position
from service_forms sf
join forms f on f.practice_id = sf.practice_id and f.form_key = sf.form_key
where sf.practice_id = @practice_id and sf.service_id = @service_id
    and not exists (
        select from packet_forms pf
        join packets p on p.practice_id = pf.practice_id and p.id = pf.packet_id and p.client_id = @client_id
        join forms done on done.practice_id = pf.practice_id and done.id = pf.form_id and done.form_key = sf.form_key
        where pf.practice_id = sf.practice_id and pf.status = 'submitted' and done.valid_months is not null
            and pf.submitted_at + make_interval(months => done.valid_months) > @visit_at::timestamptz)
order by sf.position, sf.form_key, f.n desc;

-- name: PacketInsert :exec
insert into packets (practice_id, id, appointment_id, client_id, due_at, created_at)
values (@practice_id, @id, @appointment_id, @client_id, @due_at, @created_at);

-- name: PacketFormInsert :exec
insert into packet_forms (practice_id, packet_id, form_id, position) values (@practice_id, @packet_id, @form_id, @position);

-- name: PacketByAppointment :one
select practice_id, id, appointment_id, client_id, status, due_at, completed_at, created_at
from packets where practice_id = @practice_id and appointment_id = @appointment_id;

-- name: PacketByID :one
select practice_id, id, appointment_id, client_id, status, due_at, completed_at, created_at
from packets where practice_id = @practice_id and id = @id;

-- name: PacketLock :one
select id, status from packets where practice_id = @practice_id and id = @id for no key update;

-- name: PacketSetStatus :exec
update packets set status = @status, completed_at = @completed_at where practice_id = @practice_id and id = @id;

-- name: PacketMoveDue :exec
update packets set due_at = @due_at where practice_id = @practice_id and appointment_id = @appointment_id and status = 'open';

-- name: PacketForms :many
select pf.packet_id, pf.form_id, pf.position, pf.status, pf.answers, pf.signed_name, pf.signed_at, pf.submitted_at, pf.document,
    pf.document_hash, pf.version, f.form_key, f.n, f.title, f.document as form_document, f.fields, f.needs_signature
from packet_forms pf
join forms f on f.practice_id = pf.practice_id and f.id = pf.form_id
where pf.practice_id = @practice_id and pf.packet_id = @packet_id
order by pf.position, pf.form_id;

-- name: PacketFormSave :execrows
update packet_forms set answers = @answers, version = version + 1
where practice_id = @practice_id and packet_id = @packet_id and form_id = @form_id and status = 'open';

-- name: PacketFormSubmit :execrows
update packet_forms set status = 'submitted', answers = @answers, submitted_at = @submitted_at, signed_name = @signed_name,
    signed_at = @signed_at, signed_ip = @signed_ip, signed_agent = @signed_agent, document = @document, document_hash = @document_hash,
    version = version + 1
where practice_id = @practice_id and packet_id = @packet_id and form_id = @form_id and status = 'open';

-- name: PacketFormsOpen :one
select count(*) from packet_forms where practice_id = @practice_id and packet_id = @packet_id and status = 'open';
