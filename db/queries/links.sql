-- name: LinkInsert :exec
insert into links (practice_id, id, token_hash, purpose, client_id, subject_kind, subject_id, version, expires_at, created_at)
values (@practice_id, @id, @token_hash, @purpose, @client_id, @subject_kind, @subject_id, @version, @expires_at, @created_at);

-- name: LinkByHash :one
select practice_id, id, purpose, client_id, subject_kind, subject_id, version, expires_at, used_at, revoked_at, revoked_reason, created_at
from links where practice_id = @practice_id and token_hash = @token_hash;

-- name: LinkUse :exec
update links set used_at = coalesce(used_at, @used_at) where practice_id = @practice_id and id = @id;

-- name: LinksRevoke :execrows
-- Purposes of one subject's links; links that act on the old time die with a move, all of them with a cancellation.
update links set revoked_at = @revoked_at, revoked_reason = @revoked_reason
where practice_id = @practice_id and subject_kind = @subject_kind and subject_id = @subject_id and revoked_at is null
    and purpose = any(@purposes::text[]);

-- name: LinkPostInsert :execrows
insert into link_posts (practice_id, nonce_hash, link_id, outcome) values (@practice_id, @nonce_hash, @link_id, @outcome)
on conflict do nothing;

-- name: LinkPostOutcome :one
select outcome from link_posts where practice_id = @practice_id and nonce_hash = @nonce_hash;

-- name: LinksExtend :exec
-- A link that lives until the visit moves with it.
update links set expires_at = @expires_at
where practice_id = @practice_id and subject_kind = 'journey' and subject_id = @subject_id and purpose = @purpose and revoked_at is null;
