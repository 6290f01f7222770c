-- +goose Up
-- Four roles, none of which logs in or bypasses row-level security: kept_owner owns the tables, kept_app sees one
-- practice at a time, kept_system runs relay, sweeps and inbox under policies of its own on named tables and columns,
-- kept_lookup owns the functions that turn a key, a link or a gateway's account into a practice id.
-- +goose StatementBegin
do $$
declare
    name text;
begin
    foreach name in array array['kept_owner', 'kept_app', 'kept_system', 'kept_lookup'] loop
        begin
            execute format('create role %I nologin nobypassrls', name);
        exception when duplicate_object or unique_violation then
            null;
        end;
        if not pg_has_role(current_user, name, 'member') then
            execute format('grant %I to current_user', name);
        end if;
    end loop;
end
$$;
-- +goose StatementEnd

create extension if not exists btree_gist;
create extension if not exists pg_trgm;
create extension if not exists unaccent;

grant usage on schema public to kept_app, kept_system;
grant usage, create on schema public to kept_owner, kept_lookup;

-- Null when no practice is set, so that every policy then shows nothing.
create function current_practice() returns uuid
    language sql stable parallel safe
    return nullif(current_setting('app.practice_id', true), '')::uuid;

-- Called once for every table that carries practice_id: own, force, isolate, grant. Tables that only grow say so.
-- +goose StatementBegin
create function protect_table(tbl regclass, append_only boolean default false) returns void
    language plpgsql as $$
begin
    execute format('alter table %s owner to kept_owner', tbl);
    execute format('alter table %s enable row level security', tbl);
    execute format('alter table %s force row level security', tbl);
    execute format(
        'create policy practice_isolation on %s to kept_app using (practice_id = (select current_practice()))'
        ' with check (practice_id = (select current_practice()))', tbl);
    if append_only then
        execute format('grant select, insert on %s to kept_app', tbl);
    else
        execute format('grant select, insert, update, delete on %s to kept_app', tbl);
    end if;
end
$$;
-- +goose StatementEnd

-- +goose StatementBegin
create function refuse_change() returns trigger
    language plpgsql as $$
begin
    raise exception '% only grows', tg_table_name using errcode = 'restrict_violation';
end
$$;
-- +goose StatementEnd

create table practices (
    id uuid primary key,
    practice_id uuid not null generated always as (id) stored,
    mode text not null check (mode in ('test', 'live')),
    name text not null,
    zone text not null,
    currency text not null check (currency ~ '^[A-Z]{3}$'),
    country text not null check (country ~ '^[A-Z]{2}$'),
    mail text not null,
    phone text not null default '',
    postal_address text not null default '',
    locale text not null default 'en',
    privacy_mode text not null default 'strict' check (privacy_mode in ('strict', 'plain')),
    version int not null default 1,
    created_at timestamptz not null default now(),
    unique (practice_id, id)
);
select protect_table('practices');
create policy system_reads on practices for select to kept_system using (true);
grant select (id, practice_id, mode, zone) on practices to kept_system;

-- A practice in test mode owns a clock; business time follows it. No row: the database's clock.
create table test_clocks (
    practice_id uuid primary key references practices (id),
    now_at timestamptz not null,
    target_at timestamptz not null,
    status text not null default 'ready' check (status in ('ready', 'advancing', 'stuck')),
    stuck_on text not null default '',
    step_started_at timestamptz,
    steps int not null default 0,
    updated_at timestamptz not null default now(),
    check (target_at >= now_at)
);
select protect_table('test_clocks');
create policy system_all on test_clocks to kept_system using (true) with check (true);
grant select, update on test_clocks to kept_system;

-- The instant by which everything about a practice is judged.
create function practice_now(practice uuid) returns timestamptz
    language sql volatile
    return coalesce((select now_at from test_clocks where practice_id = practice), clock_timestamp());

create table locations (
    practice_id uuid not null references practices (id),
    id uuid not null,
    name text not null,
    zone text not null,
    postal_address text not null default '',
    phone text not null default '',
    version int not null default 1,
    archived_at timestamptz,
    created_at timestamptz not null default now(),
    primary key (practice_id, id)
);
select protect_table('locations');

create table staff (
    practice_id uuid not null references practices (id),
    id uuid not null,
    name text not null,
    mail text not null,
    role text not null check (role in ('owner', 'manager', 'front_desk', 'provider', 'biller', 'viewer')),
    version int not null default 1,
    archived_at timestamptz,
    created_at timestamptz not null default now(),
    primary key (practice_id, id),
    unique (practice_id, mail)
);
select protect_table('staff');

create table api_keys (
    practice_id uuid not null references practices (id),
    id uuid not null,
    name text not null,
    role text not null check (role in ('owner', 'manager', 'front_desk', 'provider', 'biller', 'viewer')),
    staff_id uuid,
    hash bytea not null unique check (length(hash) = 32),
    last4 text not null,
    expires_at timestamptz,
    revoked_at timestamptz,
    last_used_at timestamptz,
    created_at timestamptz not null default now(),
    primary key (practice_id, id),
    foreign key (practice_id, staff_id) references staff (practice_id, id)
);
select protect_table('api_keys');

-- A gateway's account or number that belongs to one practice: inbound texts and events find their practice here.
create table gateway_accounts (
    practice_id uuid not null references practices (id),
    gateway text not null check (gateway in ('stripe', 'mail', 'sms')),
    account text not null,
    created_at timestamptz not null default now(),
    primary key (practice_id, gateway, account),
    unique (gateway, account)
);
select protect_table('gateway_accounts');

-- Settings on four levels; the most specific wins, a lock forbids overriding below it. scope_id is the practice's,
-- location's, service's or provider's id.
create table settings (
    practice_id uuid not null references practices (id),
    level text not null check (level in ('practice', 'location', 'service', 'provider')),
    scope_id uuid not null,
    key text not null,
    value jsonb not null,
    locked boolean not null default false,
    version int not null default 1,
    updated_at timestamptz not null default now(),
    primary key (practice_id, level, scope_id, key)
);
select protect_table('settings');

-- The words shown to people: client or patient, matter or case.
create table vocabulary (
    practice_id uuid not null references practices (id),
    term text not null,
    singular text not null,
    plural text not null,
    primary key (practice_id, term)
);
select protect_table('vocabulary');

create table idempotency_keys (
    practice_id uuid not null references practices (id),
    account uuid not null,
    key text not null check (length(key) between 1 and 255),
    request_hash bytea not null check (length(request_hash) = 32),
    state text not null default 'in_flight' check (state in ('in_flight', 'done')),
    locked_until timestamptz not null,
    status int,
    content_type text,
    reply bytea,
    created_at timestamptz not null default now(),
    primary key (practice_id, account, key),
    check ((state = 'done') = (status is not null))
);
select protect_table('idempotency_keys');
create policy system_all on idempotency_keys to kept_system using (true);
grant select (created_at), delete on idempotency_keys to kept_system;
create index on idempotency_keys (created_at);
