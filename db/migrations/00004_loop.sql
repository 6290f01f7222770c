-- +goose Up
-- Append-only audit trail and timeline. Sealed by transaction horizon, not by id: ids are not in commit order, and
-- transaction ids restart in a restored cluster, hence the epoch.
create table journal_epoch (
    epoch int primary key
);
insert into journal_epoch values (1);
alter table journal_epoch owner to kept_owner;
grant select on journal_epoch to kept_app;

create table journal (
    practice_id uuid not null references practices (id),
    id uuid not null,
    seq bigint not null generated always as identity,
    xid xid8 not null default pg_current_xact_id(),
    epoch int not null,
    at timestamptz not null,
    recorded_at timestamptz not null default clock_timestamp(),
    verb text not null,
    actor_kind text not null check (actor_kind in ('system', 'staff', 'key', 'client', 'gateway')),
    actor_id uuid,
    on_behalf_of uuid,
    subject_kind text,
    subject_id uuid,
    object_kind text not null,
    object_id uuid,
    reason text not null default '',
    before jsonb,
    after jsonb,
    request_id text not null default '',
    primary key (practice_id, id)
);
select protect_table('journal', true);
create trigger journal_only_grows before update or delete on journal for each row execute function refuse_change();
create trigger journal_never_emptied before truncate on journal for each statement execute function refuse_change();
create index on journal (practice_id, subject_kind, subject_id, seq);
create index on journal (practice_id, object_kind, object_id, seq);
create index on journal (practice_id, epoch, xid, seq);

create table journal_seals (
    practice_id uuid not null references practices (id),
    n bigint not null,
    epoch int not null,
    up_to_xid xid8 not null,
    entries int not null check (entries > 0),
    first_id uuid not null,
    last_id uuid not null,
    hash bytea not null check (length(hash) = 32),
    sealed_at timestamptz not null default now(),
    primary key (practice_id, n)
);
select protect_table('journal_seals', true);
create trigger journal_seals_only_grow before update or delete on journal_seals for each row execute function refuse_change();

-- One row per fact and subject; deleted by the plan that saw it. Insert only, so commands never queue on each other.
create table outbox (
    practice_id uuid not null references practices (id),
    id uuid primary key,
    subject_kind text not null,
    subject_id uuid not null,
    label text not null,
    created_at timestamptz not null default clock_timestamp(),
    rings int not null default 0,
    next_ring_at timestamptz not null default clock_timestamp() + interval '2 seconds'
);
select protect_table('outbox');
create policy system_all on outbox to kept_system using (true) with check (true);
grant select, delete, update (rings, next_ring_at) on outbox to kept_system;
create index on outbox (next_ring_at);
create index on outbox (practice_id, subject_kind, subject_id);

-- What the last plan said, for relay, monitors, lists and test clocks. The planner never reads it; its row is the lock.
create table subjects (
    practice_id uuid not null references practices (id),
    kind text not null check (kind in ('journey', 'collection', 'recall')),
    id uuid not null,
    status text not null default 'open' check (status in ('open', 'done', 'stuck')),
    stage text not null default '',
    waiting text not null default '',
    wake_at timestamptz,
    retry_at timestamptz,
    due_keys text[] not null default '{}',
    due_since timestamptz,
    client_id uuid not null,
    planned_at timestamptz,
    plan_failures int not null default 0,
    plan_error text not null default '',
    rings int not null default 0,
    next_ring_at timestamptz not null default clock_timestamp(),
    opened_at timestamptz not null default now(),
    primary key (practice_id, kind, id),
    foreign key (practice_id, client_id) references clients (practice_id, id)
);
select protect_table('subjects');
create policy system_all on subjects to kept_system using (true) with check (true);
grant select, update (rings, next_ring_at) on subjects to kept_system;
create index subjects_wake on subjects (wake_at) where status = 'open';
create index subjects_due on subjects (due_since) where status = 'open' and due_since is not null;
create index subjects_open on subjects (practice_id, kind) where status <> 'done';

-- One row per effect of a subject: claimed before the call, recorded after. claimed_for is the practice's clock by which
-- it was judged; call_by and next_at are machine time.
create table effects (
    practice_id uuid not null references practices (id),
    subject_kind text not null,
    subject_id uuid not null,
    key text not null check (length(key) between 1 and 200),
    kind text not null,
    state text not null check (state in ('claimed', 'accepted', 'refused', 'failed', 'unknown')),
    final boolean not null,
    attempt int not null default 1,
    owner uuid,
    idem_key text,
    reference text,
    object_id uuid,
    client_id uuid,
    rule text not null default '',
    channel text not null default '',
    version int not null default 0,
    reason text not null default '',
    exempt text not null default '',
    claimed_for timestamptz not null,
    first_claimed_at timestamptz not null default clock_timestamp(),
    call_by timestamptz,
    next_at timestamptz,
    settled_at timestamptz,
    primary key (practice_id, subject_kind, subject_id, key),
    check (state <> 'claimed' or (owner is not null and call_by is not null and not final)),
    check (state in ('claimed', 'failed') or final),
    check (state <> 'failed' or final or next_at is not null)
);
select protect_table('effects');
create index on effects (practice_id, client_id, claimed_for) where channel <> '';
create index effects_unknown on effects (practice_id, channel, first_claimed_at) where state = 'unknown';
create index effects_reference on effects (practice_id, reference) where reference is not null;

-- pause, resume, skip, retry, fire_now, reroute, send_again as facts; the latest of a (subject, step, verb) counts.
create table overrides (
    practice_id uuid not null references practices (id),
    id uuid not null,
    subject_kind text not null,
    subject_id uuid not null,
    verb text not null check (verb in ('pause', 'resume', 'skip', 'retry', 'fire_now', 'reroute', 'send_again')),
    step_key text not null default '',
    value text not null default '',
    actor_kind text not null,
    actor_id uuid,
    reason text not null check (reason <> ''),
    at timestamptz not null,
    recorded_at timestamptz not null default clock_timestamp(),
    primary key (practice_id, id)
);
select protect_table('overrides', true);
create index on overrides (practice_id, subject_kind, subject_id, at);

-- A channel that staff or three unknown outcomes in a row have paused.
create table channel_pauses (
    practice_id uuid not null references practices (id),
    id uuid not null,
    channel text not null check (channel in ('mail', 'sms', 'card')),
    reason text not null,
    at timestamptz not null,
    resumed_at timestamptz,
    primary key (practice_id, id)
);
select protect_table('channel_pauses');
create unique index channel_pauses_one_open on channel_pauses (practice_id, channel) where resumed_at is null;

create table tasks (
    practice_id uuid not null references practices (id),
    id uuid not null,
    kind text not null,
    title text not null,
    queue text not null check (queue in ('front_desk', 'billing', 'providers', 'owner')),
    owner_id uuid,
    priority int not null default 2 check (priority between 1 and 3),
    due_at timestamptz not null,
    subject_kind text,
    subject_id uuid,
    step_key text not null default '',
    client_id uuid,
    cause text not null,
    status text not null default 'open' check (status in ('open', 'claimed', 'done', 'closed')),
    closed_reason text not null default '',
    opened_at timestamptz not null,
    closed_at timestamptz,
    version int not null default 1,
    primary key (practice_id, id),
    foreign key (practice_id, owner_id) references staff (practice_id, id),
    foreign key (practice_id, client_id) references clients (practice_id, id),
    check ((status in ('done', 'closed')) = (closed_at is not null))
);
select protect_table('tasks');
create unique index tasks_one_per_cause on tasks (practice_id, cause) where status in ('open', 'claimed');
create index on tasks (practice_id, subject_kind, subject_id);

-- 256-bit random token, stored hashed; bound to practice, subject, purpose and version.
create table links (
    practice_id uuid not null references practices (id),
    id uuid not null,
    token_hash bytea not null unique check (length(token_hash) = 32),
    purpose text not null check (purpose in ('confirm', 'move', 'cancel', 'intake', 'check_in', 'pay', 'book', 'unsubscribe')),
    client_id uuid not null,
    subject_kind text not null,
    subject_id uuid not null,
    version int not null default 0,
    expires_at timestamptz not null,
    used_at timestamptz,
    revoked_at timestamptz,
    revoked_reason text not null default '',
    created_at timestamptz not null,
    primary key (practice_id, id),
    foreign key (practice_id, client_id) references clients (practice_id, id)
);
select protect_table('links');
create index on links (practice_id, subject_kind, subject_id);
create policy system_reads on links for select to kept_system using (true);
grant select (practice_id, id, expires_at, revoked_at) on links to kept_system;

-- A form's nonce acts once; the stored reply answers the repeat.
create table link_posts (
    practice_id uuid not null references practices (id),
    nonce_hash bytea not null check (length(nonce_hash) = 32),
    link_id uuid not null,
    outcome text not null,
    at timestamptz not null default now(),
    primary key (practice_id, nonce_hash),
    foreign key (practice_id, link_id) references links (practice_id, id)
);
select protect_table('link_posts');

-- A verified gateway event, kept as received; applied afterwards by going to look at the gateway's object.
create table inbox (
    id uuid primary key,
    practice_id uuid references practices (id),
    gateway text not null check (gateway in ('stripe', 'mail', 'sms')),
    event_id text not null,
    type text not null,
    body bytea not null,
    state text not null default 'new' check (state in ('new', 'applied', 'ignored', 'parked', 'refused')),
    note text not null default '',
    attempts int not null default 0,
    next_at timestamptz not null default clock_timestamp(),
    received_at timestamptz not null default clock_timestamp(),
    settled_at timestamptz,
    unique (gateway, event_id)
);
alter table inbox owner to kept_owner;
alter table inbox enable row level security;
alter table inbox force row level security;
create policy system_all on inbox to kept_system using (true) with check (true);
grant select, insert, update on inbox to kept_system;
create index inbox_waiting on inbox (next_at) where state in ('new', 'parked');

create table quarantine (
    id uuid primary key,
    gateway text not null,
    body bytea not null,
    reason text not null,
    received_at timestamptz not null default clock_timestamp()
);
alter table quarantine owner to kept_owner;
alter table quarantine enable row level security;
alter table quarantine force row level security;
create policy system_all on quarantine to kept_system using (true) with check (true);
grant select, insert on quarantine to kept_system;
