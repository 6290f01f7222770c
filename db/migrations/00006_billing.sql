-- +goose Up
-- Gapless per location: the counter's row is locked by the transaction that issues.
create table invoice_counters (
    practice_id uuid not null references practices (id),
    location_id uuid not null,
    next bigint not null default 1,
    primary key (practice_id, location_id),
    foreign key (practice_id, location_id) references locations (practice_id, id)
);
select protect_table('invoice_counters');

-- occurred_on is the day of the visit; completion n of the appointment, so that un-complete and complete again make two.
create table invoices (
    practice_id uuid not null references practices (id),
    id uuid not null,
    appointment_id uuid not null,
    completion int not null,
    client_id uuid not null,
    service_id uuid not null,
    provider_id uuid not null,
    location_id uuid not null,
    case_id uuid,
    number bigint,
    status text not null default 'draft' check (status in ('draft', 'issued', 'paid', 'void')),
    currency text not null check (currency ~ '^[A-Z]{3}$'),
    net bigint not null,
    tax bigint not null,
    total bigint not null check (total >= 0),
    paid bigint not null default 0,
    refunded bigint not null default 0,
    cadence_version_id uuid,
    source text not null,
    caused_by_step text not null,
    occurred_on date not null,
    issued_at timestamptz,
    due_on date,
    follow_up_at timestamptz,
    follow_up_started_at timestamptz,
    paid_at timestamptz,
    voided_at timestamptz,
    void_reason text not null default '',
    version int not null default 1,
    recorded_at timestamptz not null default now(),
    primary key (practice_id, id),
    unique (practice_id, appointment_id, completion),
    foreign key (practice_id, appointment_id) references appointments (practice_id, id),
    foreign key (practice_id, client_id) references clients (practice_id, id),
    foreign key (practice_id, service_id) references services (practice_id, id),
    foreign key (practice_id, provider_id) references resources (practice_id, id),
    foreign key (practice_id, location_id) references locations (practice_id, id),
    foreign key (practice_id, cadence_version_id) references cadence_versions (practice_id, id),
    check (total = net + tax),
    check ((status = 'draft') = (issued_at is null) or status = 'void'),
    check ((number is null) = (issued_at is null)),
    check (refunded <= paid)
);
select protect_table('invoices');
create unique index invoices_number on invoices (practice_id, location_id, number) where number is not null;
create index on invoices (practice_id, client_id);
create index invoices_follow_up on invoices (follow_up_at) where status = 'issued' and follow_up_started_at is null;
create policy system_reads on invoices for select to kept_system using (true);
grant select (practice_id, id, status, follow_up_at, follow_up_started_at) on invoices to kept_system;

create table invoice_lines (
    practice_id uuid not null references practices (id),
    invoice_id uuid not null,
    position int not null,
    code text not null default '',
    description text not null,
    quantity_milli bigint not null check (quantity_milli > 0),
    unit_amount bigint not null,
    discount bigint not null default 0,
    tax_bp int not null,
    net bigint not null,
    tax bigint not null,
    total bigint not null check (total = net + tax),
    provider_id uuid not null,
    service_id uuid not null,
    location_id uuid not null,
    service_on date not null,
    primary key (practice_id, invoice_id, position),
    foreign key (practice_id, invoice_id) references invoices (practice_id, id)
);
select protect_table('invoice_lines');

-- Double entry, append-only. Debits are positive, credits negative; every set sums to zero per currency.
create table ledger_sets (
    practice_id uuid not null references practices (id),
    id uuid not null,
    kind text not null check (kind in ('issue', 'payment', 'refund', 'reversal', 'write_off')),
    invoice_id uuid not null,
    payment_id uuid,
    reverses_id uuid,
    occurred_at timestamptz not null,
    recorded_at timestamptz not null default now(),
    primary key (practice_id, id),
    foreign key (practice_id, invoice_id) references invoices (practice_id, id),
    foreign key (practice_id, reverses_id) references ledger_sets (practice_id, id)
);
select protect_table('ledger_sets', true);
create unique index ledger_sets_one_per_payment on ledger_sets (practice_id, payment_id) where payment_id is not null;
create unique index ledger_sets_one_reversal on ledger_sets (practice_id, reverses_id) where reverses_id is not null;
create unique index ledger_sets_one_issue on ledger_sets (practice_id, invoice_id) where kind = 'issue';

create table ledger_entries (
    practice_id uuid not null references practices (id),
    set_id uuid not null,
    position int not null,
    account text not null check (account in ('receivable', 'revenue', 'tax', 'cash', 'refunds', 'write_off', 'fees')),
    amount bigint not null check (amount <> 0),
    currency text not null,
    client_id uuid not null,
    invoice_id uuid not null,
    provider_id uuid not null,
    service_id uuid not null,
    location_id uuid not null,
    primary key (practice_id, set_id, position),
    foreign key (practice_id, set_id) references ledger_sets (practice_id, id)
);
select protect_table('ledger_entries', true);
create index on ledger_entries (practice_id, invoice_id);
create trigger ledger_sets_only_grow before update or delete on ledger_sets for each row execute function refuse_change();
create trigger ledger_entries_only_grow before update or delete on ledger_entries for each row execute function refuse_change();

-- +goose StatementBegin
create function check_ledger_set() returns trigger
    language plpgsql as $$
begin
    if exists (select from ledger_entries
               where practice_id = new.practice_id and set_id = new.set_id
               group by currency having sum(amount) <> 0) then
        raise exception 'ledger set does not sum to zero' using errcode = 'check_violation', constraint = 'ledger_set_balanced';
    end if;
    return null;
end
$$;
-- +goose StatementEnd
create constraint trigger ledger_set_balanced after insert on ledger_entries
    deferrable initially deferred for each row execute function check_ledger_set();

create table payment_methods (
    practice_id uuid not null references practices (id),
    id uuid not null,
    client_id uuid not null,
    gateway_method text not null,
    brand text not null,
    last4 text not null,
    exp_month int not null,
    exp_year int not null,
    policy_version text not null default '',
    mandate_at timestamptz not null,
    removed_at timestamptz,
    primary key (practice_id, id),
    unique (practice_id, gateway_method),
    foreign key (practice_id, client_id) references clients (practice_id, id)
);
select protect_table('payment_methods');

-- The row stands before the gateway is called; its id is the idempotency key's core.
create table payments (
    practice_id uuid not null references practices (id),
    id uuid not null,
    invoice_id uuid,
    client_id uuid not null,
    n int not null,
    kind text not null check (kind in ('charge', 'checkout', 'setup', 'refund', 'cash')),
    amount bigint not null check (amount >= 0),
    currency text not null,
    status text not null default 'created' check (status in ('created', 'processing', 'succeeded', 'failed', 'expired')),
    gateway_intent text,
    gateway_session text,
    checkout_url text not null default '',
    expires_at timestamptz,
    decline_code text not null default '',
    method_id uuid,
    refunds_id uuid,
    source text not null,
    caused_by_step text not null default '',
    occurred_at timestamptz,
    created_at timestamptz not null,
    recorded_at timestamptz not null default now(),
    primary key (practice_id, id),
    foreign key (practice_id, invoice_id) references invoices (practice_id, id),
    foreign key (practice_id, client_id) references clients (practice_id, id),
    foreign key (practice_id, method_id) references payment_methods (practice_id, id),
    foreign key (practice_id, refunds_id) references payments (practice_id, id),
    check ((status = 'succeeded') = (occurred_at is not null))
);
select protect_table('payments');
create unique index payments_n on payments (practice_id, invoice_id, kind, n) where invoice_id is not null;
create index on payments (practice_id, gateway_intent) where gateway_intent is not null;
create index on payments (practice_id, gateway_session) where gateway_session is not null;
