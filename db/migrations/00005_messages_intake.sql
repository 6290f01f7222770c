-- +goose Up
-- A published version never changes. Variables are typed and checked when it is published.
create table message_templates (
    practice_id uuid not null references practices (id),
    id uuid not null,
    kind text not null,
    channel text not null check (channel in ('mail', 'sms')),
    locale text not null default 'en',
    n int not null,
    subject text not null default '',
    body text not null,
    published_at timestamptz not null default now(),
    primary key (practice_id, id),
    unique (practice_id, kind, channel, locale, n)
);
select protect_table('message_templates');

-- occurred_at is the instant it counts (practice's clock), recorded_at when we wrote it.
create table messages (
    practice_id uuid not null references practices (id),
    id uuid not null,
    client_id uuid not null,
    subject_kind text not null,
    subject_id uuid not null,
    effect_key text not null,
    kind text not null,
    channel text not null check (channel in ('mail', 'sms')),
    address text not null,
    template_id uuid not null,
    locale text not null,
    segments int not null default 1,
    status text not null default 'claimed' check (status in ('claimed', 'sent', 'delivered', 'failed', 'bounced', 'unknown')),
    gateway_id text,
    source text not null default 'kept',
    caused_by_step text not null,
    occurred_at timestamptz not null,
    recorded_at timestamptz not null default now(),
    settled_at timestamptz,
    primary key (practice_id, id),
    foreign key (practice_id, client_id) references clients (practice_id, id),
    foreign key (practice_id, template_id) references message_templates (practice_id, id)
);
select protect_table('messages');
create index on messages (practice_id, client_id, occurred_at desc);
create index on messages (practice_id, subject_kind, subject_id);
create index on messages (practice_id, gateway_id) where gateway_id is not null;

create table forms (
    practice_id uuid not null references practices (id),
    id uuid not null,
    form_key text not null,
    n int not null,
    title text not null,
    document text not null default '',
    fields jsonb not null,
    needs_signature boolean not null default false,
    valid_months int,
    published_at timestamptz not null default now(),
    primary key (practice_id, id),
    unique (practice_id, form_key, n)
);
select protect_table('forms');

-- Which forms a service asks for, by key: the newest version counts when the packet is made.
create table service_forms (
    practice_id uuid not null references practices (id),
    service_id uuid not null,
    form_key text not null,
    position int not null,
    primary key (practice_id, service_id, form_key),
    foreign key (practice_id, service_id) references services (practice_id, id)
);
select protect_table('service_forms');

create table packets (
    practice_id uuid not null references practices (id),
    id uuid not null,
    appointment_id uuid not null,
    client_id uuid not null,
    status text not null default 'open' check (status in ('open', 'complete', 'void')),
    due_at timestamptz not null,
    completed_at timestamptz,
    created_at timestamptz not null,
    recorded_at timestamptz not null default now(),
    primary key (practice_id, id),
    unique (practice_id, appointment_id),
    foreign key (practice_id, appointment_id) references appointments (practice_id, id),
    foreign key (practice_id, client_id) references clients (practice_id, id),
    check ((status = 'complete') = (completed_at is not null))
);
select protect_table('packets');

-- A submission pins its form version; document_hash covers text, answers, name and instant of the signature.
create table packet_forms (
    practice_id uuid not null references practices (id),
    packet_id uuid not null,
    form_id uuid not null,
    position int not null,
    status text not null default 'open' check (status in ('open', 'submitted')),
    answers jsonb not null default '{}',
    signed_name text not null default '',
    signed_at timestamptz,
    signed_ip text not null default '',
    signed_agent text not null default '',
    document bytea,
    document_hash bytea,
    submitted_at timestamptz,
    version int not null default 1,
    primary key (practice_id, packet_id, form_id),
    foreign key (practice_id, packet_id) references packets (practice_id, id),
    foreign key (practice_id, form_id) references forms (practice_id, id),
    check ((status = 'submitted') = (submitted_at is not null)),
    check ((document is null) = (document_hash is null))
);
select protect_table('packet_forms');
