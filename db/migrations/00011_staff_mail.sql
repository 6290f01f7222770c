-- +goose Up
-- A mailbox is one person, however its letters are cased. Rows that differ by case alone have to be settled by hand first.
-- +goose StatementBegin
do $$
declare
    twins text;
begin
    select string_agg(ids, '; ') into twins from (
        select string_agg(id::text, ', ' order by id) as ids from staff group by practice_id, lower(mail) having count(*) > 1) t;
    if twins is not null then
        raise exception 'staff with mail addresses that differ in capitals only: %. Give all but one of each another address (table staff), then migrate again', twins;
    end if;
end
$$;
-- +goose StatementEnd
create unique index staff_one_mail on staff (practice_id, lower(mail));
alter table staff drop constraint staff_practice_id_mail_key;
