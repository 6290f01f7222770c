-- +goose Up
-- What the desk searches by: lower case, without accents. unaccent() is only stable because its dictionary can be
-- replaced; ours is not, so an immutable wrapper may feed a generated column and its index.
create function search_key(raw text) returns text
    language sql immutable parallel safe strict
    return lower(public.unaccent('public.unaccent', raw));

create table clients (
    practice_id uuid not null references practices (id),
    id uuid not null,
    given_name text not null,
    family_name text not null,
    search_name text not null generated always as (search_key(given_name || ' ' || family_name)) stored,
    birthday_on date,
    locale text not null default 'en',
    zone text,
    status text not null default 'active' check (status in ('active', 'inactive', 'archived', 'erased')),
    payer_id uuid,
    prefers text not null default 'mail' check (prefers in ('mail', 'sms')),
    source text not null default '',
    gateway_customer text,
    version int not null default 1,
    created_at timestamptz not null default now(),
    primary key (practice_id, id),
    foreign key (practice_id, payer_id) references clients (practice_id, id)
);
select protect_table('clients');
create index clients_search_name on clients using gin (search_name gin_trgm_ops);
create index on clients (practice_id, birthday_on);

create table contact_points (
    practice_id uuid not null references practices (id),
    id uuid not null,
    client_id uuid not null,
    channel text not null check (channel in ('mail', 'sms')),
    address text not null,
    shown text not null,
    closed_at timestamptz,
    closed_reason text not null default '',
    created_at timestamptz not null default now(),
    primary key (practice_id, id),
    foreign key (practice_id, client_id) references clients (practice_id, id)
);
select protect_table('contact_points');
create unique index contact_points_one_open on contact_points (practice_id, client_id, channel, address) where closed_at is null;
create index on contact_points (practice_id, address);

-- What a client agreed to or withdrew, by purpose; only grows, the latest row of (client, channel, purpose) counts.
create table consents (
    practice_id uuid not null references practices (id),
    id uuid not null,
    client_id uuid not null,
    channel text not null check (channel in ('mail', 'sms')),
    purpose text not null check (purpose in ('service', 'recall', 'marketing')),
    granted boolean not null,
    source text not null,
    at timestamptz not null,
    recorded_at timestamptz not null default now(),
    primary key (practice_id, id),
    foreign key (practice_id, client_id) references clients (practice_id, id)
);
select protect_table('consents', true);
create index on consents (practice_id, client_id, channel, purpose, at desc);

-- An opt-out belongs to the number or address within the practice, for all who share it, until it is lifted.
create table opt_outs (
    practice_id uuid not null references practices (id),
    id uuid not null,
    channel text not null check (channel in ('mail', 'sms')),
    address text not null,
    purpose text not null check (purpose in ('all', 'recall', 'marketing')),
    source text not null,
    at timestamptz not null,
    recorded_at timestamptz not null default now(),
    lifted_at timestamptz,
    primary key (practice_id, id)
);
select protect_table('opt_outs');
create unique index opt_outs_one_open on opt_outs (practice_id, channel, address, purpose) where lifted_at is null;

create table cases (
    practice_id uuid not null references practices (id),
    id uuid not null,
    client_id uuid not null,
    name text not null,
    closed_at timestamptz,
    created_at timestamptz not null default now(),
    primary key (practice_id, id),
    foreign key (practice_id, client_id) references clients (practice_id, id)
);
select protect_table('cases');
