-- name: ClientsBalance :many
-- What some clients owe: the open part of their issued invoices. Those who owe nothing have no row.
select client_id, sum(total - paid)::bigint as amount, currency
from invoices
where practice_id = @practice_id and client_id = any(@client_ids::uuid[]) and status = 'issued' and total > paid
group by client_id, currency
order by client_id, currency;

-- name: ClientsNextVisit :many
-- The next live visit of some clients, by the practice's clock.
select distinct on (client_id) client_id, id, starts_at, zone
from appointments
where practice_id = @practice_id and client_id = any(@client_ids::uuid[])
    and status in ('requested', 'booked', 'confirmed', 'arrived', 'roomed', 'with_provider') and ends_at > practice_now(@practice_id)
order by client_id, starts_at, id;

-- name: ServicesForms :many
-- The forms that some services ask for, in the order of their packets.
select service_id, form_key
from service_forms
where practice_id = @practice_id and service_id = any(@service_ids::uuid[])
order by service_id, position, form_key;

-- name: ServicesPriced :many
-- What some services cost on a day. Of the rows for the same day the latest recorded counts.
select distinct on (service_id) service_id, amount, currency, from_on
from service_prices
where practice_id = @practice_id and service_id = any(@service_ids::uuid[]) and from_on <= @day
order by service_id, from_on desc, recorded_at desc;

-- name: ServicesUse :many
-- Who and what some services may use, archived or not.
select s.service_id, r.id, r.kind
from service_resources s
join resources r on r.practice_id = s.practice_id and r.id = s.resource_id
where s.practice_id = @practice_id and s.service_id = any(@service_ids::uuid[])
order by s.service_id, r.name, r.id;
