-- +goose Up
-- Row-level security keeps trigram operators, which are not leakproof, from using an index. So the search itself is a lookup
-- function: it answers ids of the caller's own practice and nothing else, over an index that begins with the practice.
create extension if not exists btree_gin;
drop index clients_search_name;
create index clients_search_name on clients using gin (practice_id, search_name gin_trgm_ops);

create policy lookup_reads on clients for select to kept_lookup using (true);
grant select (practice_id, id, search_name, status) on clients to kept_lookup;

-- loads the library, which knows the setting that the function below keeps for itself
select similarity('', '');

-- The likeliest clients for a name with typos and without accents; key is search_key() of what was typed. What is much like it
-- first; where that is too little, what is less like it too, so that a common name costs little and a mangled one is found.
-- +goose StatementBegin
create function search_clients(key text, most int) returns setof uuid
    language plpgsql stable security definer
    set search_path = public, pg_temp
    set pg_trgm.word_similarity_threshold = 0.6
    as $$
declare
    found_so_far int;
begin
    return query
        select c.id from clients c
        where c.practice_id = current_practice() and c.status <> 'erased' and key <% c.search_name
        order by word_similarity(key, c.search_name) desc, similarity(key, c.search_name) desc, c.id
        limit most;
    get diagnostics found_so_far = row_count;
    if found_so_far >= 5 then
        return;
    end if;
    perform set_config('pg_trgm.word_similarity_threshold', '0.4', true);
    return query
        select c.id from clients c
        where c.practice_id = current_practice() and c.status <> 'erased' and key <% c.search_name
        order by word_similarity(key, c.search_name) desc, similarity(key, c.search_name) desc, c.id
        limit most;
end
$$;
-- +goose StatementEnd
alter function search_clients(text, int) owner to kept_lookup;
revoke all on function search_clients(text, int) from public;
grant execute on function search_clients(text, int) to kept_app;

create index subjects_open_of_client on subjects (practice_id, client_id) where status <> 'done';
