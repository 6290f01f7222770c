-- name: OutboxInsert :exec
insert into outbox (practice_id, id, subject_kind, subject_id, label)
values (@practice_id, @id, @subject_kind, @subject_id, @label);

-- name: OutboxDelete :execrows
-- Eaten by the plan, under the subject's lock, before it loads the facts.
delete from outbox
where practice_id = @practice_id and subject_kind = @subject_kind and subject_id = @subject_id;
