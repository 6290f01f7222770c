-- name: OutboxInsert :exec
insert into outbox (practice_id, id, subject_kind, subject_id, label)
values (@practice_id, @id, @subject_kind, @subject_id, @label);

-- name: OutboxDelete :execrows
-- Eaten by the plan, under the subject's lock, before it loads the facts.
delete from outbox
where practice_id = @practice_id and subject_kind = @subject_kind and subject_id = @subject_id;

-- name: OutboxInsertOpen :execrows
-- Every open subject of the practice looks again; the relay spreads the rings.
insert into outbox (practice_id, id, subject_kind, subject_id, label)
select s.practice_id, gen_random_uuid(), s.kind, s.id, @label
from subjects s where s.practice_id = @practice_id and s.status = 'open';
