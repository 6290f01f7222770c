-- +goose Up
-- Failed guesses at secrets and ids, counted for all processes of the API together: one row per kind and guesser and window.
-- Unlogged: after a crash the count begins anew, which costs a guesser's next window. Only failures are written.
create unlogged table guesses (
    kind text not null check (kind in ('link', 'key', 'id')),
    guesser text not null,
    ends_at timestamptz not null,
    misses int not null default 1,
    primary key (kind, guesser)
);
alter table guesses owner to kept_owner;
grant select, insert, update, delete on guesses to kept_system;
