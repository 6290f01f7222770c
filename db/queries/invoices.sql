-- name: InvoiceInsert :exec
insert into invoices (practice_id, id, appointment_id, completion, client_id, service_id, provider_id, location_id, case_id, currency, net, tax,
    total, source, caused_by_step, occurred_on)
values (@practice_id, @id, @appointment_id, @completion, @client_id, @service_id, @provider_id, @location_id, @case_id, @currency, @net, @tax,
    @total, @source, @caused_by_step, @occurred_on);

-- name: InvoiceLineInsert :exec
insert into invoice_lines (practice_id, invoice_id, position, code, description, quantity_milli, unit_amount, discount, tax_bp, net, tax, total,
    provider_id, service_id, location_id, service_on)
values (@practice_id, @invoice_id, @position, @code, @description, @quantity_milli, @unit_amount, @discount, @tax_bp, @net, @tax, @total,
    @provider_id, @service_id, @location_id, @service_on);

-- name: InvoiceByID :one
select practice_id, id, appointment_id, completion, client_id, service_id, provider_id, location_id, case_id, number, status, currency, net, tax,
    total, paid, refunded, cadence_version_id, source, caused_by_step, occurred_on, issued_at, due_on, follow_up_at, follow_up_started_at,
    paid_at, voided_at, void_reason, version, recorded_at
from invoices where practice_id = @practice_id and id = @id;

-- name: InvoiceByVisit :one
select id, status from invoices where practice_id = @practice_id and appointment_id = @appointment_id and completion = @completion;

-- name: InvoicesOfVisit :many
select id, completion, status from invoices where practice_id = @practice_id and appointment_id = @appointment_id order by completion;

-- name: InvoiceLines :many
select position, code, description, quantity_milli, unit_amount, discount, tax_bp, net, tax, total, provider_id, service_id, location_id, service_on
from invoice_lines where practice_id = @practice_id and invoice_id = @invoice_id order by position;

-- name: InvoiceNumberTake :one
-- Gapless: the counter's row stays locked until the issuing transaction ends.
insert into invoice_counters (practice_id, location_id, next) values (@practice_id, @location_id, 2)
on conflict (practice_id, location_id) do update set next = invoice_counters.next + 1
returning (next - 1)::bigint as number;

-- name: InvoiceIssue :exec
update invoices set status = 'issued', number = @number, issued_at = @issued_at, due_on = @due_on, follow_up_at = @follow_up_at,
    cadence_version_id = @cadence_version_id, version = version + 1
where practice_id = @practice_id and id = @id and status = 'draft';

-- name: InvoiceVoid :execrows
update invoices set status = 'void', voided_at = @voided_at, void_reason = @void_reason, follow_up_at = null, version = version + 1
where practice_id = @practice_id and id = @id and status in ('draft', 'issued') and paid = 0;

-- name: InvoiceAddPaid :one
-- A void invoice stays void, whatever is still paid on it: that is for a person to give back.
update invoices set paid = paid + @amount, status = case when status = 'issued' and paid + @amount >= total then 'paid' else status end,
    paid_at = case when status = 'issued' and paid + @amount >= total then @paid_at::timestamptz else paid_at end, version = version + 1
where practice_id = @practice_id and id = @id
returning status, paid, total;

-- name: InvoiceList :many
select practice_id, id, appointment_id, completion, client_id, service_id, provider_id, location_id, case_id, number, status, currency, net, tax,
    total, paid, refunded, cadence_version_id, source, caused_by_step, occurred_on, issued_at, due_on, follow_up_at, follow_up_started_at,
    paid_at, voided_at, void_reason, version, recorded_at
from invoices
where practice_id = @practice_id
    and (sqlc.narg('status')::text is null or status = sqlc.narg('status'))
    and (sqlc.narg('client_id')::uuid is null or client_id = sqlc.narg('client_id'))
    and (sqlc.narg('after')::uuid is null or id > sqlc.narg('after'))
order by id
limit @page_size;

-- name: LedgerSetInsert :exec
insert into ledger_sets (practice_id, id, kind, invoice_id, payment_id, reverses_id, occurred_at)
values (@practice_id, @id, @kind, @invoice_id, @payment_id, @reverses_id, @occurred_at);

-- name: LedgerEntryInsert :exec
insert into ledger_entries (practice_id, set_id, position, account, amount, currency, client_id, invoice_id, provider_id, service_id, location_id)
values (@practice_id, @set_id, @position, @account, @amount, @currency, @client_id, @invoice_id, @provider_id, @service_id, @location_id);

-- name: LedgerIssueSet :one
select id from ledger_sets where practice_id = @practice_id and invoice_id = @invoice_id and kind = 'issue';

-- name: LedgerEntriesOfSet :many
select account, amount, currency from ledger_entries where practice_id = @practice_id and set_id = @set_id order by position;

-- name: LedgerOfInvoice :many
select s.id as set_id, s.kind, s.occurred_at, s.recorded_at, e.account, e.amount, e.currency
from ledger_sets s
join ledger_entries e on e.practice_id = s.practice_id and e.set_id = s.id
where s.practice_id = @practice_id and s.invoice_id = @invoice_id
order by s.recorded_at, s.id, e.position;
