-- +goose Up
-- Row-level security keeps trigram operators, which are not leakproof, from using an index. So the search itself is a lookup
-- function: it answers ids of the caller's own practice and nothing else, over an index that begins with the practice.
create extension if not exists btree_gin;
drop index clients_search_name;
create index clients_search_name on clients using gin (practice_id, search_name gin_trgm_ops);

create policy lookup_reads on clients for select to kept_lookup using (true);
grant select (practice_id, id, search_name, status) on clients to kept_lookup;

select similarity('load', 'the library, whose setting the function below changes');

-- The likeliest clients for a name with typos and without accents, best first. A prefix of a word counts as a likeness.
create function search_clients(name text, most int) returns setof uuid
    language sql stable security definer
    set search_path = public, pg_temp
    set pg_trgm.word_similarity_threshold = 0.4
    as $$
        select id from clients
        where practice_id = current_practice() and status <> 'erased' and search_key(name) <% search_name
        order by word_similarity(search_key(name), search_name) desc, similarity(search_key(name), search_name) desc, id
        limit most
    $$;
alter function search_clients(text, int) owner to kept_lookup;
revoke all on function search_clients(text, int) from public;
grant execute on function search_clients(text, int) to kept_app;

create index subjects_open_of_client on subjects (practice_id, client_id) where status <> 'done';
