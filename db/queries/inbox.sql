-- name: InboxDiffering :many
-- Of these events the ids that stand here with another content. The first content is kept.
select i.event_id
from inbox i
join (select unnest(@event_ids::text[]) as event_id, unnest(@bodies::bytea[]) as body) given on given.event_id = i.event_id
where i.gateway = @gateway and i.body <> given.body
order by i.event_id;

-- name: InboxInsert :many
-- Verified events, as many as came in one webhook. One that is known already is left as it stands and not returned.
insert into inbox (id, gateway, event_id, type, body)
select unnest(@ids::uuid[]), @gateway, unnest(@event_ids::text[]), unnest(@types::text[]), unnest(@bodies::bytea[])
on conflict (gateway, event_id) do nothing
returning event_id;

-- name: QuarantineInsert :exec
-- Signed by the gateway, but not readable by us: kept for a person, never applied.
insert into quarantine (id, gateway, body, reason) values (@id, @gateway, @body, @reason);
