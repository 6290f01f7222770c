-- +goose Up
-- Under row-level security a plan may use an index only through leakproof functions, and && on ranges is none: every look at a
-- calendar read the resource's whole past. Plain instants are compared leakproof.
alter table reservations
    add column starts_at timestamptz not null generated always as (lower(during)) stored,
    add column ends_at timestamptz not null generated always as (upper(during)) stored;
create index reservations_by_end on reservations (practice_id, resource_id, ends_at) include (starts_at);
