-- +goose Up
-- A common name, or the first letters of one, is like tens of thousands of names, and weighing all of them is what made such a
-- search slow. So names that begin as they were typed come first, read in the order of names from two indexes; only where these
-- are few the search goes on to names that are merely alike, and weighs so many of them at most.
create index clients_by_given_name on clients
    (practice_id, search_key(given_name) text_pattern_ops, search_key(family_name) text_pattern_ops, id) where status <> 'erased';
create index clients_by_family_name on clients
    (practice_id, search_key(family_name) text_pattern_ops, search_key(given_name) text_pattern_ops, id) where status <> 'erased';
grant select (given_name, family_name) on clients to kept_lookup;

-- The likeliest clients for a name with typos and without accents; key is search_key() of what was typed, most bounds what each
-- part of the search gives. One word begins a given or a family name, several are a given and a family name in either order,
-- parted at any place. An id may come twice.
-- +goose StatementBegin
create or replace function search_clients(key text, most int) returns setof uuid
    language plpgsql stable security definer rows 200
    set search_path = public, pg_temp
    set pg_trgm.word_similarity_threshold = 0.6
    as $$
declare
    enough constant int := 20;    -- names that begin as typed, so that what is merely alike is not asked for
    weighed constant int := 2000; -- names that are alike; beyond that more has to be typed
    beyond constant text := chr(1114111);
    words text[] := regexp_split_to_array(btrim(key), '\s+');
    one text;
    two text;
    found_now int;
    found_so_far int := 0;
begin
    if btrim(key) = '' then
        return;
    end if;
    for i in 1 .. least(greatest(cardinality(words) - 1, 1), 5) loop
        one := array_to_string(words[1:i], ' ');
        two := array_to_string(words[i + 1:], ' ');
        return query
            select c.id from clients c
            where c.practice_id = current_practice() and c.status <> 'erased'
                and search_key(c.given_name) ~>=~ one and search_key(c.given_name) ~<=~ (one || beyond)
                and search_key(c.family_name) ~>=~ two and search_key(c.family_name) ~<=~ (two || beyond)
            order by search_key(c.given_name) using ~<~, search_key(c.family_name) using ~<~, c.id
            limit most;
        get diagnostics found_now = row_count;
        found_so_far := found_so_far + found_now;
        return query
            select c.id from clients c
            where c.practice_id = current_practice() and c.status <> 'erased'
                and search_key(c.family_name) ~>=~ one and search_key(c.family_name) ~<=~ (one || beyond)
                and search_key(c.given_name) ~>=~ two and search_key(c.given_name) ~<=~ (two || beyond)
            order by search_key(c.family_name) using ~<~, search_key(c.given_name) using ~<~, c.id
            limit most;
        get diagnostics found_now = row_count;
        found_so_far := found_so_far + found_now;
    end loop;
    if found_so_far >= enough then
        return;
    end if;
    foreach one in array array['0.6', '0.4'] loop -- what is much alike; where that is too little, what is less so
        perform set_config('pg_trgm.word_similarity_threshold', one, true);
        return query
            select alike.id from (
                select c.id, c.search_name from clients c
                where c.practice_id = current_practice() and c.status <> 'erased' and key <% c.search_name
                limit weighed) alike
            order by word_similarity(key, alike.search_name) desc, similarity(key, alike.search_name) desc, alike.id
            limit most;
        get diagnostics found_now = row_count;
        exit when found_so_far + found_now >= 5;
    end loop;
end
$$;
-- +goose StatementEnd
