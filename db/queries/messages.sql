-- name: TemplateInsert :exec
insert into message_templates (practice_id, id, kind, channel, locale, n, subject, body)
values (@practice_id, @id, @kind, @channel, @locale, @n, @subject, @body);

-- name: TemplateEnsure :exec
-- The first text of a kind that came into being after the practice did; one that it has by now stays.
insert into message_templates (practice_id, id, kind, channel, locale, n, subject, body)
values (@practice_id, @id, @kind, @channel, @locale, 1, @subject, @body)
on conflict (practice_id, kind, channel, locale, n) do nothing;

-- name: TemplateFor :one
-- The newest template of a kind and channel in the client's language, else in the practice's.
select id, subject, body, locale from message_templates
where practice_id = @practice_id and kind = @kind and channel = @channel and locale in (@locale, @fallback_locale)
order by (locale = @locale) desc, n desc
limit 1;

-- name: TemplateList :many
select distinct on (kind, channel, locale) id, kind, channel, locale, n, subject, body, published_at
from message_templates where practice_id = @practice_id
order by kind, channel, locale, n desc;

-- name: TemplateLastN :one
select coalesce(max(n), 0)::int from message_templates
where practice_id = @practice_id and kind = @kind and channel = @channel and locale = @locale;

-- name: MessageInsert :exec
insert into messages (practice_id, id, client_id, subject_kind, subject_id, effect_key, kind, channel, address, template_id, locale, segments,
    caused_by_step, occurred_at)
values (@practice_id, @id, @client_id, @subject_kind, @subject_id, @effect_key, @kind, @channel, @address, @template_id, @locale, @segments,
    @caused_by_step, @occurred_at);

-- name: MessageSettle :execrows
-- Monotone: delivered, bounced and failed stand; sent and unknown may still be overtaken.
update messages set status = @status, gateway_id = coalesce(@gateway_id, gateway_id),
    settled_at = case when @status in ('delivered', 'bounced', 'failed') then clock_timestamp() else settled_at end
where practice_id = @practice_id and id = @id
    and status not in ('delivered', 'bounced', 'failed') and not (status = 'sent' and @status in ('claimed', 'unknown'));

-- name: MessageByID :one
select practice_id, id, client_id, subject_kind, subject_id, effect_key, kind, channel, address, template_id, locale, segments, status, gateway_id,
    source, caused_by_step, occurred_at, recorded_at, settled_at
from messages where practice_id = @practice_id and id = @id;

-- name: MessageByGatewayID :one
select id from messages where practice_id = @practice_id and gateway_id = @gateway_id;

-- name: MessageList :many
select id, client_id, subject_kind, subject_id, effect_key, kind, channel, status, gateway_id, caused_by_step, occurred_at, recorded_at, settled_at
from messages
where practice_id = @practice_id
    and (sqlc.narg('client_id')::uuid is null or client_id = sqlc.narg('client_id'))
    and (sqlc.narg('subject_id')::uuid is null or subject_id = sqlc.narg('subject_id'))
    and (sqlc.narg('after')::uuid is null or id > sqlc.narg('after'))
order by id
limit @page_size;

-- name: MessageContext :one
-- What a message about a visit may say. Names stay inside the rendering; nothing of this reaches a workflow.
select p.name as practice_name, p.mail as practice_mail, p.phone as practice_phone, p.postal_address as practice_address, p.locale as practice_locale,
    p.privacy_mode, p.mode, c.given_name, c.family_name, c.locale as client_locale, c.zone as client_zone
from practices p
join clients c on c.practice_id = p.id
where p.id = @practice_id and c.id = @client_id;

-- name: MessageSetSegments :exec
update messages set segments = @segments where practice_id = @practice_id and id = @id;

-- name: TemplateByID :one
select practice_id, id, kind, channel, locale, n, subject, body, published_at
from message_templates where practice_id = @practice_id and id = @id;
