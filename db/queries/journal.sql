-- name: JournalInsert :exec
insert into journal (practice_id, id, epoch, at, verb, actor_kind, actor_id, on_behalf_of, subject_kind, subject_id,
    object_kind, object_id, reason, before, after, request_id)
select @practice_id, @id, epoch, coalesce(sqlc.narg('at')::timestamptz, practice_now(@practice_id)), @verb, @actor_kind, @actor_id, @on_behalf_of,
    @subject_kind, @subject_id, @object_kind, @object_id, @reason, @before, @after, @request_id
from journal_epoch;

-- name: JournalBySubject :many
-- The timeline of one subject, oldest first.
select id, seq, at, recorded_at, verb, actor_kind, actor_id, on_behalf_of, subject_kind, subject_id, object_kind, object_id,
    reason, before, after, request_id
from journal
where practice_id = @practice_id and subject_kind = @subject_kind and subject_id = @subject_id
order by seq;

-- name: JournalPage :many
-- Newest first; keyset on seq.
select id, seq, at, recorded_at, verb, actor_kind, actor_id, on_behalf_of, subject_kind, subject_id, object_kind, object_id,
    reason, before, after, request_id
from journal
where practice_id = @practice_id
    and (sqlc.narg('before_seq')::bigint is null or seq < sqlc.narg('before_seq'))
    and (sqlc.narg('object_kind')::text is null or object_kind = sqlc.narg('object_kind'))
    and (sqlc.narg('object_id')::uuid is null or object_id = sqlc.narg('object_id'))
    and (sqlc.narg('verb')::text is null or verb = sqlc.narg('verb'))
order by seq desc
limit @page_size;
