-- name: PaymentInsert :exec
insert into payments (practice_id, id, invoice_id, client_id, n, kind, amount, currency, method_id, source, caused_by_step, expires_at, created_at)
values (@practice_id, @id, @invoice_id, @client_id, @n, @kind, @amount, @currency, @method_id, @source, @caused_by_step, @expires_at, @created_at);

-- name: PaymentNextN :one
select (coalesce(max(n), 0) + 1)::int from payments where practice_id = @practice_id and invoice_id = @invoice_id::uuid and kind = @kind;

-- name: PaymentByID :one
select practice_id, id, invoice_id, client_id, n, kind, amount, currency, status, gateway_intent, gateway_session, checkout_url, expires_at,
    decline_code, method_id, refunds_id, source, caused_by_step, occurred_at, created_at, recorded_at
from payments where practice_id = @practice_id and id = @id;

-- name: PaymentByGateway :one
select practice_id, id, invoice_id, client_id, n, kind, amount, currency, status, gateway_intent, gateway_session, checkout_url, expires_at,
    decline_code, method_id, refunds_id, source, caused_by_step, occurred_at, created_at, recorded_at
from payments where practice_id = @practice_id and (gateway_intent = @gateway_id::text or gateway_session = @gateway_id::text);

-- name: PaymentOpenCheckout :one
-- A checkout the client can go back to: not expired and for what is still owed.
select id, checkout_url, amount from payments
where practice_id = @practice_id and invoice_id = @invoice_id::uuid and kind = 'checkout' and status = 'processing' and amount = @amount
    and checkout_url <> '' and expires_at > clock_timestamp() + interval '2 minutes'
order by created_at desc
limit 1;

-- name: PaymentsOfInvoice :many
select practice_id, id, invoice_id, client_id, n, kind, amount, currency, status, gateway_intent, gateway_session, checkout_url, expires_at,
    decline_code, method_id, refunds_id, source, caused_by_step, occurred_at, created_at, recorded_at
from payments where practice_id = @practice_id and invoice_id = @invoice_id::uuid order by created_at, id;

-- name: PaymentAttach :exec
update payments set gateway_intent = coalesce(@gateway_intent, gateway_intent), gateway_session = coalesce(@gateway_session, gateway_session),
    checkout_url = case when @checkout_url::text = '' then checkout_url else @checkout_url::text end,
    status = case when status = 'created' then 'processing' else status end
where practice_id = @practice_id and id = @id;

-- name: PaymentSettle :execrows
-- Monotone: succeeded stands; a failure may still be overtaken by a success of the same intent.
update payments set status = @status, decline_code = @decline_code, occurred_at = @occurred_at,
    gateway_intent = coalesce(@gateway_intent, gateway_intent)
where practice_id = @practice_id and id = @id and status <> 'succeeded' and (status <> @status or @status = 'succeeded');

-- name: MethodInsert :execrows
insert into payment_methods (practice_id, id, client_id, gateway_method, brand, last4, exp_month, exp_year, policy_version, mandate_at)
values (@practice_id, @id, @client_id, @gateway_method, @brand, @last4, @exp_month, @exp_year, @policy_version, @mandate_at)
on conflict (practice_id, gateway_method) do nothing;

-- name: MethodOf :one
-- The card on file: the newest that was not removed.
select id, client_id, gateway_method, brand, last4, exp_month, exp_year from payment_methods
where practice_id = @practice_id and client_id = @client_id and removed_at is null
order by mandate_at desc, id desc
limit 1;

-- name: MethodByID :one
select gateway_method from payment_methods where practice_id = @practice_id and id = @id;

-- name: PaymentUnderWay :one
-- A charge of the invoice that an attempt owns: nobody knows yet whether it took the money.
select exists (
    select from invoices i
    join effects e on e.practice_id = i.practice_id and e.subject_kind in ('collection', 'journey') and e.subject_id in (i.id, i.appointment_id)
        and e.state = 'claimed'
    join payments p on p.practice_id = e.practice_id and p.id = e.object_id and p.invoice_id = i.id and p.status = 'created'
    where i.practice_id = @practice_id and i.id = @invoice_id);

-- name: MethodRemove :execrows
update payment_methods set removed_at = now() where practice_id = @practice_id and id = @id and removed_at is null;
