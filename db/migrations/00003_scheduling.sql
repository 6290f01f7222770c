-- +goose Up
-- Providers, rooms and equipment are all resources. seats > 1: a room that takes several at once.
create table resources (
    practice_id uuid not null references practices (id),
    id uuid not null,
    kind text not null check (kind in ('provider', 'room', 'equipment')),
    name text not null,
    seats int not null default 1 check (seats between 1 and 1000),
    location_id uuid,
    staff_id uuid,
    version int not null default 1,
    archived_at timestamptz,
    created_at timestamptz not null default now(),
    primary key (practice_id, id),
    foreign key (practice_id, location_id) references locations (practice_id, id),
    foreign key (practice_id, staff_id) references staff (practice_id, id)
);
select protect_table('resources');

-- Weekly working hours of a provider at a location: minutes of the local day, end past 1440 runs over midnight.
-- Dated: a change closes one row and opens the next.
create table shifts (
    practice_id uuid not null references practices (id),
    id uuid not null,
    resource_id uuid not null,
    location_id uuid not null,
    weekday int not null check (weekday between 0 and 6),
    start_minute int not null check (start_minute between 0 and 1439),
    end_minute int not null check (end_minute > start_minute and end_minute <= start_minute + 1440),
    from_on date not null,
    until_on date,
    recorded_at timestamptz not null default now(),
    primary key (practice_id, id),
    foreign key (practice_id, resource_id) references resources (practice_id, id),
    foreign key (practice_id, location_id) references locations (practice_id, id),
    check (until_on is null or until_on > from_on)
);
select protect_table('shifts');
create index on shifts (practice_id, resource_id, weekday);

-- Time a resource or a whole location is closed. Dated, lifted rather than deleted.
create table closures (
    practice_id uuid not null references practices (id),
    id uuid not null,
    resource_id uuid,
    location_id uuid,
    during tstzrange not null check (not isempty(during)),
    reason text not null,
    recorded_at timestamptz not null default now(),
    lifted_at timestamptz,
    primary key (practice_id, id),
    foreign key (practice_id, resource_id) references resources (practice_id, id),
    foreign key (practice_id, location_id) references locations (practice_id, id),
    check (num_nonnulls(resource_id, location_id) = 1)
);
select protect_table('closures');
create index on closures using gist (resource_id, during);
create index on closures using gist (location_id, during);

create table services (
    practice_id uuid not null references practices (id),
    id uuid not null,
    name text not null,
    duration_minutes int not null check (duration_minutes between 5 and 1440),
    buffer_before_minutes int not null default 0 check (buffer_before_minutes between 0 and 240),
    buffer_after_minutes int not null default 0 check (buffer_after_minutes between 0 and 240),
    location_kind text not null default 'in_person' check (location_kind in ('in_person', 'phone', 'video')),
    url_template text not null default '',
    needs_room boolean not null default false,
    code text not null default '',
    tax_bp int not null default 0 check (tax_bp between 0 and 10000),
    recall_every text not null default '',
    recall_service_id uuid,
    online boolean not null default true,
    version int not null default 1,
    archived_at timestamptz,
    created_at timestamptz not null default now(),
    primary key (practice_id, id),
    foreign key (practice_id, recall_service_id) references services (practice_id, id)
);
select protect_table('services');

-- Dated, never overwritten: the price of a visit is the row whose from_on is the latest on or before its day.
create table service_prices (
    practice_id uuid not null references practices (id),
    service_id uuid not null,
    from_on date not null,
    amount bigint not null check (amount between 0 and 99999999),
    currency text not null check (currency ~ '^[A-Z]{3}$'),
    recorded_at timestamptz not null default now(),
    primary key (practice_id, service_id, from_on, recorded_at),
    foreign key (practice_id, service_id) references services (practice_id, id)
);
select protect_table('service_prices', true);

-- Which providers offer a service and which rooms or equipment it may use.
create table service_resources (
    practice_id uuid not null references practices (id),
    service_id uuid not null,
    resource_id uuid not null,
    primary key (practice_id, service_id, resource_id),
    foreign key (practice_id, service_id) references services (practice_id, id),
    foreign key (practice_id, resource_id) references resources (practice_id, id)
);
select protect_table('service_resources');

create table cadences (
    practice_id uuid not null references practices (id),
    id uuid not null,
    kind text not null check (kind in ('journey', 'collection', 'recall')),
    name text not null,
    location_id uuid,
    service_id uuid,
    archived_at timestamptz,
    created_at timestamptz not null default now(),
    primary key (practice_id, id),
    foreign key (practice_id, location_id) references locations (practice_id, id),
    foreign key (practice_id, service_id) references services (practice_id, id)
);
select protect_table('cadences');
create unique index cadences_one_per_scope on cadences
    (practice_id, kind, coalesce(location_id, practice_id), coalesce(service_id, practice_id)) where archived_at is null;

-- A published version never changes; journeys pin the version they were planned by. A rule keeps its id through all versions.
create table cadence_versions (
    practice_id uuid not null references practices (id),
    id uuid not null,
    cadence_id uuid not null,
    n int not null,
    status text not null default 'draft' check (status in ('draft', 'published')),
    rules jsonb not null,
    published_at timestamptz,
    created_at timestamptz not null default now(),
    primary key (practice_id, id),
    unique (practice_id, cadence_id, n),
    foreign key (practice_id, cadence_id) references cadences (practice_id, id),
    check ((status = 'published') = (published_at is not null))
);
select protect_table('cadence_versions');

create table classes (
    practice_id uuid not null references practices (id),
    id uuid not null,
    service_id uuid not null,
    provider_id uuid not null,
    location_id uuid not null,
    starts_at timestamptz not null,
    ends_at timestamptz not null,
    capacity int not null check (capacity between 1 and 1000),
    status text not null default 'open' check (status in ('open', 'cancelled')),
    created_at timestamptz not null default now(),
    primary key (practice_id, id),
    foreign key (practice_id, service_id) references services (practice_id, id),
    foreign key (practice_id, provider_id) references resources (practice_id, id),
    foreign key (practice_id, location_id) references locations (practice_id, id),
    check (ends_at > starts_at)
);
select protect_table('classes');

-- One client's visit. version rises with every move; changed_at is when the present time was committed (judges which
-- reminders were booked inside their lead); local_start is the wall time that was meant, kept when zone rules change.
create table appointments (
    practice_id uuid not null references practices (id),
    id uuid not null,
    client_id uuid not null,
    service_id uuid not null,
    provider_id uuid not null,
    location_id uuid not null,
    room_id uuid,
    class_id uuid,
    case_id uuid,
    cadence_version_id uuid not null,
    starts_at timestamptz not null,
    ends_at timestamptz not null,
    zone text not null,
    local_start text not null,
    status text not null check (status in ('requested', 'booked', 'confirmed', 'arrived', 'roomed', 'with_provider', 'completed',
        'no_show', 'cancelled', 'late_cancelled', 'declined', 'expired')),
    version int not null default 1,
    booked_at timestamptz not null,
    changed_at timestamptz not null,
    status_at timestamptz not null,
    previous_status text,
    completions int not null default 0,
    completed_at timestamptz,
    cancel_reason text not null default '',
    cancelled_by text not null default '',
    answered_at timestamptz,
    override boolean not null default false,
    source text not null,
    caused_by_kind text,
    caused_by_id uuid,
    caused_by_step text,
    recorded_at timestamptz not null default now(),
    primary key (practice_id, id),
    foreign key (practice_id, client_id) references clients (practice_id, id),
    foreign key (practice_id, service_id) references services (practice_id, id),
    foreign key (practice_id, provider_id) references resources (practice_id, id),
    foreign key (practice_id, location_id) references locations (practice_id, id),
    foreign key (practice_id, room_id) references resources (practice_id, id),
    foreign key (practice_id, class_id) references classes (practice_id, id),
    foreign key (practice_id, case_id) references cases (practice_id, id),
    foreign key (practice_id, cadence_version_id) references cadence_versions (practice_id, id),
    check (ends_at > starts_at),
    check (status not in ('cancelled', 'late_cancelled') or cancel_reason <> '')
);
select protect_table('appointments');
create index on appointments (practice_id, starts_at, id);
create index on appointments (practice_id, client_id, starts_at desc);
create index on appointments (practice_id, provider_id, starts_at);

create table holds (
    practice_id uuid not null references practices (id),
    id uuid not null,
    client_id uuid,
    service_id uuid not null,
    provider_id uuid not null,
    location_id uuid not null,
    room_id uuid,
    starts_at timestamptz not null,
    ends_at timestamptz not null,
    expires_at timestamptz not null,
    token_hash bytea,
    created_at timestamptz not null default now(),
    primary key (practice_id, id),
    foreign key (practice_id, client_id) references clients (practice_id, id),
    foreign key (practice_id, service_id) references services (practice_id, id),
    foreign key (practice_id, provider_id) references resources (practice_id, id),
    foreign key (practice_id, location_id) references locations (practice_id, id),
    check (ends_at > starts_at)
);
select protect_table('holds');
create index on holds (expires_at);
create policy system_reads on holds for select to kept_system using (true);
grant select (practice_id, id, expires_at) on holds to kept_system;

-- The last word on every slot. during is what truly occupies the resource. Exactly one owner; a cancelled or expired
-- reservation is a deleted row. An empty range would pass the exclusion constraint, hence the check.
create table reservations (
    practice_id uuid not null references practices (id),
    id uuid not null,
    resource_id uuid not null,
    seat int not null default 1 check (seat >= 1),
    during tstzrange not null,
    appointment_id uuid,
    hold_id uuid,
    class_id uuid,
    primary key (practice_id, id),
    foreign key (practice_id, resource_id) references resources (practice_id, id),
    foreign key (practice_id, appointment_id) references appointments (practice_id, id),
    foreign key (practice_id, hold_id) references holds (practice_id, id) on delete cascade,
    foreign key (practice_id, class_id) references classes (practice_id, id),
    constraint reservations_not_empty check (not isempty(during)),
    constraint reservations_one_owner check (num_nonnulls(appointment_id, hold_id, class_id) = 1),
    constraint reservations_no_overlap exclude using gist (resource_id with =, seat with =, during with &&)
);
select protect_table('reservations');
create index on reservations (practice_id, appointment_id) where appointment_id is not null;
create index on reservations (practice_id, hold_id) where hold_id is not null;
