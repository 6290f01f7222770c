-- +goose Up
-- How often a draft was edited: two owners who save at once must not overwrite each other.
alter table cadence_versions add column version int not null default 1;

-- Moving journeys under way to a published version, in batches. The row is the whole state of it: cursor and counts change in
-- the transaction that moves a batch, so whoever takes the next one goes on where the last was committed.
create table cadence_adoptions (
    practice_id uuid not null references practices (id),
    id uuid not null,
    version_id uuid not null,
    policy text not null check (policy in ('adopt_future', 'adopt_selected')),
    selected uuid[] not null default '{}',
    state text not null default 'running' check (state in ('running', 'done', 'superseded')),
    after_id uuid,
    journeys int not null,
    moved int not null default 0,
    kept int not null default 0,
    failed int not null default 0,
    changed int not null default 0,
    sends_moved int not null default 0,
    sends_vanished int not null default 0,
    sends_added int not null default 0,
    sends_late int not null default 0,
    actor_id uuid,
    next_at timestamptz not null default clock_timestamp(),
    started_at timestamptz not null,
    ended_at timestamptz,
    primary key (practice_id, id),
    foreign key (practice_id, version_id) references cadence_versions (practice_id, id),
    check ((state = 'running') = (ended_at is null)),
    check ((policy = 'adopt_selected') = (selected <> '{}'))
);
select protect_table('cadence_adoptions');
create unique index cadence_adoptions_one_running on cadence_adoptions (practice_id, version_id)
    where state = 'running' and policy = 'adopt_future';
create index on cadence_adoptions (practice_id, version_id, id);
create index cadence_adoptions_running on cadence_adoptions (next_at) where state = 'running';
create policy system_reads on cadence_adoptions for select to kept_system using (true);
grant select (practice_id, id, state, next_at) on cadence_adoptions to kept_system;
