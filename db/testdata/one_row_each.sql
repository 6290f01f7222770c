-- One row in every table that carries practice_id, for the practice in app.practice_id. tenancy_test.go runs it once per
-- practice and fails when a table is left empty: a new table adds its row here. id('x') is this practice's own id of x.
create or replace function pg_temp.id(name text) returns uuid language sql as
    $$ select md5(current_setting('app.practice_id') || name)::uuid $$;
create or replace function pg_temp.p() returns uuid language sql as $$ select current_setting('app.practice_id')::uuid $$;

insert into practices (id, mode, name, zone, currency, country, mail)
values (pg_temp.p(), 'test', 'Practice', 'Europe/London', 'GBP', 'GB', 'desk@example.org');
insert into test_clocks (practice_id, now_at, target_at) values (pg_temp.p(), now(), now());
insert into locations (practice_id, id, name, zone) values (pg_temp.p(), pg_temp.id('location'), 'Main', 'Europe/London');
insert into staff (practice_id, id, name, mail, role) values (pg_temp.p(), pg_temp.id('staff'), 'Olive', 'olive@example.org', 'owner');
insert into api_keys (practice_id, id, name, role, staff_id, hash, last4)
values (pg_temp.p(), pg_temp.id('key'), 'first', 'owner', pg_temp.id('staff'), sha256(pg_temp.id('key')::text::bytea), 'abcd');
insert into gateway_accounts (practice_id, gateway, account) values (pg_temp.p(), 'stripe', pg_temp.id('account')::text);
insert into settings (practice_id, level, scope_id, key, value) values (pg_temp.p(), 'practice', pg_temp.p(), 'quiet_hours', '{}');
insert into vocabulary (practice_id, term, singular, plural) values (pg_temp.p(), 'client', 'patient', 'patients');
insert into idempotency_keys (practice_id, account, key, request_hash, locked_until)
values (pg_temp.p(), pg_temp.id('key'), 'k', sha256('x'), now());

insert into clients (practice_id, id, given_name, family_name) values (pg_temp.p(), pg_temp.id('client'), 'Casey', 'Client');
insert into contact_points (practice_id, id, client_id, channel, address, shown)
values (pg_temp.p(), pg_temp.id('contact'), pg_temp.id('client'), 'mail', 'casey@example.org', 'casey@example.org');
insert into consents (practice_id, id, client_id, channel, purpose, granted, source, at)
values (pg_temp.p(), pg_temp.id('consent'), pg_temp.id('client'), 'mail', 'service', true, 'desk', now());
insert into opt_outs (practice_id, id, channel, address, purpose, source, at)
values (pg_temp.p(), pg_temp.id('opt_out'), 'sms', '+442070000000', 'all', 'reply', now());
insert into cases (practice_id, id, client_id, name) values (pg_temp.p(), pg_temp.id('case'), pg_temp.id('client'), 'Back');

insert into resources (practice_id, id, kind, name) values (pg_temp.p(), pg_temp.id('provider'), 'provider', 'Dr. Pat');
insert into shifts (practice_id, id, resource_id, location_id, weekday, start_minute, end_minute, from_on)
values (pg_temp.p(), pg_temp.id('shift'), pg_temp.id('provider'), pg_temp.id('location'), 1, 540, 1020, '2026-01-01');
insert into closures (practice_id, id, location_id, during, reason)
values (pg_temp.p(), pg_temp.id('closure'), pg_temp.id('location'), '[2026-12-25 00:00+00,2026-12-26 00:00+00)', 'holiday');
insert into services (practice_id, id, name, duration_minutes) values (pg_temp.p(), pg_temp.id('service'), 'Visit', 30);
insert into service_prices (practice_id, service_id, from_on, amount, currency)
values (pg_temp.p(), pg_temp.id('service'), '2026-01-01', 8000, 'GBP');
insert into service_resources (practice_id, service_id, resource_id) values (pg_temp.p(), pg_temp.id('service'), pg_temp.id('provider'));
insert into cadences (practice_id, id, kind, name) values (pg_temp.p(), pg_temp.id('cadence'), 'journey', 'Reminders');
insert into cadence_versions (practice_id, id, cadence_id, n, rules)
values (pg_temp.p(), pg_temp.id('cadence_version'), pg_temp.id('cadence'), 1, '[]');
insert into cadence_adoptions (practice_id, id, version_id, policy, journeys, started_at)
values (pg_temp.p(), pg_temp.id('adoption'), pg_temp.id('cadence_version'), 'adopt_future', 3, now());
insert into classes (practice_id, id, service_id, provider_id, location_id, starts_at, ends_at, capacity)
values (pg_temp.p(), pg_temp.id('class'), pg_temp.id('service'), pg_temp.id('provider'), pg_temp.id('location'), now(), now() + interval '1 hour', 5);
insert into appointments (practice_id, id, client_id, service_id, provider_id, location_id, cadence_version_id, starts_at, ends_at,
    zone, local_start, status, booked_at, changed_at, status_at, source)
values (pg_temp.p(), pg_temp.id('appointment'), pg_temp.id('client'), pg_temp.id('service'), pg_temp.id('provider'), pg_temp.id('location'),
    pg_temp.id('cadence_version'), now(), now() + interval '1 hour', 'Europe/London', '2026-01-05T09:00', 'booked', now(), now(), now(), 'api');
insert into holds (practice_id, id, service_id, provider_id, location_id, starts_at, ends_at, expires_at)
values (pg_temp.p(), pg_temp.id('hold'), pg_temp.id('service'), pg_temp.id('provider'), pg_temp.id('location'), now(), now() + interval '1 hour', now());
insert into reservations (practice_id, id, resource_id, during, appointment_id)
values (pg_temp.p(), pg_temp.id('reservation'), pg_temp.id('provider'), tstzrange(now(), now() + interval '1 hour'), pg_temp.id('appointment'));

insert into journal (practice_id, id, epoch, at, verb, actor_kind, object_kind)
values (pg_temp.p(), pg_temp.id('journal'), 1, now(), 'appointment_booked', 'system', 'appointment');
insert into journal_seals (practice_id, n, epoch, up_to_xid, entries, first_id, last_id, hash)
values (pg_temp.p(), 1, 1, pg_current_xact_id(), 1, pg_temp.id('journal'), pg_temp.id('journal'), sha256('x'));
insert into outbox (practice_id, id, subject_kind, subject_id, label)
values (pg_temp.p(), pg_temp.id('outbox'), 'journey', pg_temp.id('appointment'), 'appointment_booked');
insert into subjects (practice_id, kind, id, client_id) values (pg_temp.p(), 'journey', pg_temp.id('appointment'), pg_temp.id('client'));
insert into effects (practice_id, subject_kind, subject_id, key, kind, state, final, claimed_for)
values (pg_temp.p(), 'journey', pg_temp.id('appointment'), 'confirmation', 'SendConfirmation', 'accepted', true, now());
insert into overrides (practice_id, id, subject_kind, subject_id, verb, actor_kind, reason, at)
values (pg_temp.p(), pg_temp.id('override'), 'journey', pg_temp.id('appointment'), 'pause', 'staff', 'asked', now());
insert into channel_pauses (practice_id, id, channel, reason, at) values (pg_temp.p(), pg_temp.id('pause'), 'sms', 'unknowns', now());
insert into tasks (practice_id, id, kind, title, queue, due_at, cause, opened_at)
values (pg_temp.p(), pg_temp.id('task'), 'unknown_outcome', 'Look', 'front_desk', now(), 'x', now());
insert into links (practice_id, id, token_hash, purpose, client_id, subject_kind, subject_id, expires_at, created_at)
values (pg_temp.p(), pg_temp.id('link'), sha256(pg_temp.id('link')::text::bytea), 'confirm', pg_temp.id('client'), 'journey',
    pg_temp.id('appointment'), now(), now());
insert into link_posts (practice_id, nonce_hash, link_id, outcome) values (pg_temp.p(), sha256('n'), pg_temp.id('link'), 'confirmed');
insert into inbox (id, practice_id, gateway, event_id, type, body)
values (pg_temp.id('inbox'), pg_temp.p(), 'stripe', pg_temp.id('inbox')::text, 'charge.succeeded', '{}');

insert into message_templates (practice_id, id, kind, channel, n, body)
values (pg_temp.p(), pg_temp.id('template'), 'reminder', 'mail', 1, 'See you');
insert into messages (practice_id, id, client_id, subject_kind, subject_id, effect_key, kind, channel, address, template_id, locale,
    caused_by_step, occurred_at)
values (pg_temp.p(), pg_temp.id('message'), pg_temp.id('client'), 'journey', pg_temp.id('appointment'), 'confirmation', 'confirmation', 'mail',
    'casey@example.org', pg_temp.id('template'), 'en', 'confirmation', now());
insert into forms (practice_id, id, form_key, n, title, fields) values (pg_temp.p(), pg_temp.id('form'), 'intake', 1, 'Intake', '[]');
insert into service_forms (practice_id, service_id, form_key, position) values (pg_temp.p(), pg_temp.id('service'), 'intake', 1);
insert into packets (practice_id, id, appointment_id, client_id, due_at, created_at)
values (pg_temp.p(), pg_temp.id('packet'), pg_temp.id('appointment'), pg_temp.id('client'), now(), now());
insert into packet_forms (practice_id, packet_id, form_id, position) values (pg_temp.p(), pg_temp.id('packet'), pg_temp.id('form'), 1);

insert into invoice_counters (practice_id, location_id) values (pg_temp.p(), pg_temp.id('location'));
insert into invoices (practice_id, id, appointment_id, completion, client_id, service_id, provider_id, location_id, currency, net, tax, total,
    source, caused_by_step, occurred_on)
values (pg_temp.p(), pg_temp.id('invoice'), pg_temp.id('appointment'), 1, pg_temp.id('client'), pg_temp.id('service'), pg_temp.id('provider'),
    pg_temp.id('location'), 'GBP', 8000, 0, 8000, 'kept', 'invoice', '2026-01-05');
insert into invoice_lines (practice_id, invoice_id, position, description, quantity_milli, unit_amount, tax_bp, net, tax, total, provider_id,
    service_id, location_id, service_on)
values (pg_temp.p(), pg_temp.id('invoice'), 1, 'Visit', 1000, 8000, 0, 8000, 0, 8000, pg_temp.id('provider'), pg_temp.id('service'),
    pg_temp.id('location'), '2026-01-05');
insert into ledger_sets (practice_id, id, kind, invoice_id, occurred_at)
values (pg_temp.p(), pg_temp.id('set'), 'issue', pg_temp.id('invoice'), now());
insert into ledger_entries (practice_id, set_id, position, account, amount, currency, client_id, invoice_id, provider_id, service_id, location_id)
select pg_temp.p(), pg_temp.id('set'), n, account, amount, 'GBP', pg_temp.id('client'), pg_temp.id('invoice'), pg_temp.id('provider'),
    pg_temp.id('service'), pg_temp.id('location')
from (values (1, 'receivable', 8000), (2, 'revenue', -8000)) as e (n, account, amount);
insert into payment_methods (practice_id, id, client_id, gateway_method, brand, last4, exp_month, exp_year, mandate_at)
values (pg_temp.p(), pg_temp.id('method'), pg_temp.id('client'), 'pm_1', 'visa', '4242', 12, 2030, now());
insert into payments (practice_id, id, invoice_id, client_id, n, kind, amount, currency, source, created_at)
values (pg_temp.p(), pg_temp.id('payment'), pg_temp.id('invoice'), pg_temp.id('client'), 1, 'charge', 8000, 'GBP', 'kept', now());
insert into recalls (practice_id, id, client_id, service_id, calculated_on, every)
values (pg_temp.p(), pg_temp.id('recall'), pg_temp.id('client'), pg_temp.id('service'), '2026-07-06', 'P6M');
insert into zone_rules (practice_id, zone, fingerprint) values (pg_temp.p(), 'Europe/London', 'rules');
