-- +goose Up
-- One row per (client, recall service); completing a trigger service moves calculated_on, an override survives that.
create table recalls (
    practice_id uuid not null references practices (id),
    id uuid not null,
    client_id uuid not null,
    service_id uuid not null,
    calculated_on date not null,
    override_on date,
    due_on date not null generated always as (coalesce(override_on, calculated_on)) stored,
    every text not null,
    last_visit_id uuid,
    cadence_version_id uuid,
    status text not null default 'waiting' check (status in ('waiting', 'started', 'booked', 'stopped', 'exhausted')),
    status_reason text not null default '',
    round int not null default 1,
    started_at timestamptz,
    closed_at timestamptz,
    booked_appointment_id uuid,
    recorded_at timestamptz not null default now(),
    primary key (practice_id, id),
    unique (practice_id, client_id, service_id),
    foreign key (practice_id, client_id) references clients (practice_id, id),
    foreign key (practice_id, service_id) references services (practice_id, id),
    foreign key (practice_id, last_visit_id) references appointments (practice_id, id),
    foreign key (practice_id, booked_appointment_id) references appointments (practice_id, id),
    foreign key (practice_id, cadence_version_id) references cadence_versions (practice_id, id)
);
select protect_table('recalls');
create index recalls_due on recalls (due_on) where status = 'waiting';
create policy system_reads on recalls for select to kept_system using (true);
grant select (practice_id, id, due_on, status) on recalls to kept_system;
