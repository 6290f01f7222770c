-- name: PracticeInsert :exec
insert into practices (id, mode, name, zone, currency, country, mail, phone, postal_address, locale)
values (@id, @mode, @name, @zone, @currency, @country, @mail, @phone, @postal_address, @locale);

-- name: PracticeByID :one
select id, mode, name, zone, currency, country, mail, phone, postal_address, locale, privacy_mode, version, created_at
from practices where id = @id;

-- name: PracticeUpdate :execrows
update practices set name = @name, mail = @mail, phone = @phone, postal_address = @postal_address, version = version + 1
where id = @id and version = @version;

-- name: PracticeNow :one
-- Read after the locks: the instant by which the transaction judges. clock is the database's own.
select practice_now(@practice_id)::timestamptz as now, clock_timestamp()::timestamptz as clock,
    exists (select from test_clocks where practice_id = @practice_id) as test_clock;

-- name: ClockInsert :exec
insert into test_clocks (practice_id, now_at, target_at) values (@practice_id, @now_at, @now_at);

-- name: ClockByPractice :one
select practice_id, now_at, target_at, status, stuck_on, steps, updated_at from test_clocks where practice_id = @practice_id;

-- name: ClockAdvance :execrows
-- Only a clock that stands still, or is stuck on its way, takes a new target.
update test_clocks set target_at = @target_at, status = 'advancing', stuck_on = '', step_started_at = null, updated_at = now()
where practice_id = @practice_id and status in ('ready', 'stuck') and @target_at >= now_at;

-- name: LocationInsert :exec
insert into locations (practice_id, id, name, zone, postal_address, phone)
values (@practice_id, @id, @name, @zone, @postal_address, @phone);

-- name: LocationByID :one
select practice_id, id, name, zone, postal_address, phone, version, archived_at, created_at
from locations where practice_id = @practice_id and id = @id;

-- name: LocationList :many
select practice_id, id, name, zone, postal_address, phone, version, archived_at, created_at
from locations where practice_id = @practice_id and archived_at is null order by name, id;

-- name: StaffInsert :exec
insert into staff (practice_id, id, name, mail, role) values (@practice_id, @id, @name, @mail, @role);

-- name: StaffByID :one
select practice_id, id, name, mail, role, version, archived_at, created_at
from staff where practice_id = @practice_id and id = @id;

-- name: StaffList :many
select practice_id, id, name, mail, role, version, archived_at, created_at
from staff where practice_id = @practice_id order by name, id;

-- name: StaffUpdate :execrows
update staff set name = @name, mail = @mail, role = @role, archived_at = @archived_at, version = version + 1
where practice_id = @practice_id and id = @id and version = @version;

-- name: SettingsFor :many
-- Every level that can speak about one visit; the caller resolves them. A null id leaves its level out.
select level, key, value, locked
from settings
where practice_id = @practice_id and (
    level = 'practice'
    or (level = 'location' and scope_id = sqlc.narg('location_id')::uuid)
    or (level = 'service' and scope_id = sqlc.narg('service_id')::uuid)
    or (level = 'provider' and scope_id = sqlc.narg('provider_id')::uuid))
order by level, key;

-- name: VocabularyList :many
select term, singular, plural from vocabulary where practice_id = @practice_id order by term;

-- name: VocabularyUpsert :exec
insert into vocabulary (practice_id, term, singular, plural) values (@practice_id, @term, @singular, @plural)
on conflict (practice_id, term) do update set singular = excluded.singular, plural = excluded.plural;

-- name: GatewayAccountFor :one
select account from gateway_accounts where practice_id = @practice_id and gateway = @gateway order by created_at limit 1;

-- name: StaffOwnersLock :many
-- Locks the owners, so that of two who leave at once the second one sees that it is the last.
select id from staff
where practice_id = @practice_id and role = 'owner' and archived_at is null
order by id
for no key update;

-- name: GatewayAccountTake :execrows
-- Takes an account that no practice has yet.
insert into gateway_accounts (practice_id, gateway, account) values (@practice_id, @gateway, @account)
on conflict do nothing;

-- name: SettingByKey :one
select level, scope_id, key, value, locked, version
from settings where practice_id = @practice_id and level = @level and scope_id = @scope_id and key = @key;

-- name: SettingLockAbove :one
-- The highest lock that forbids a value of a key on a level: the practice's; a location's, for services and for the providers who work
-- there; a service's, for the providers who offer it. Archived places and services forbid nothing.
select s.level, s.scope_id from settings s
where s.practice_id = @practice_id and s.key = @key and s.locked and (
    (s.level = 'practice' and @level::text <> 'practice')
    or (s.level = 'location' and @level::text in ('service', 'provider')
        and exists (select from locations l where l.practice_id = s.practice_id and l.id = s.scope_id and l.archived_at is null)
        and (@level::text = 'service' or exists (
            select from shifts h where h.practice_id = s.practice_id and h.location_id = s.scope_id and h.resource_id = @scope_id)))
    or (s.level = 'service' and @level::text = 'provider'
        and exists (
            select from services v join service_resources r on r.practice_id = v.practice_id and r.service_id = v.id
            where v.practice_id = s.practice_id and v.id = s.scope_id and v.archived_at is null and r.resource_id = @scope_id)))
order by array_position(array['practice', 'location', 'service'], s.level), s.scope_id
limit 1;

-- name: SettingInsert :execrows
insert into settings (practice_id, level, scope_id, key, value, locked)
values (@practice_id, @level, @scope_id, @key, @value, @locked)
on conflict do nothing;

-- name: SettingUpdate :execrows
update settings set value = @value, locked = @locked, version = version + 1, updated_at = now()
where practice_id = @practice_id and level = @level and scope_id = @scope_id and key = @key and version = @version;

-- name: SettingDrop :execrows
delete from settings where practice_id = @practice_id and level = @level and scope_id = @scope_id and key = @key and version = @version;

-- name: SettingList :many
-- What is written, on every level.
select level, scope_id, key, value, locked, version, updated_at
from settings where practice_id = @practice_id order by key, level, scope_id;

-- name: LocationUpdate :execrows
update locations set name = @name, postal_address = @postal_address, phone = @phone, archived_at = @archived_at, version = version + 1
where practice_id = @practice_id and id = @id and version = @version;

-- name: VocabularyDelete :execrows
delete from vocabulary where practice_id = @practice_id and term = @term;

-- name: PracticeOfMessage :one
-- The zero id when there is none.
select coalesce(practice_of_message(@message::uuid), '00000000-0000-0000-0000-000000000000')::uuid as practice;

-- name: PracticeOfAccount :one
-- The zero id when there is none.
select coalesce(practice_of_account(@gateway::text, @account::text), '00000000-0000-0000-0000-000000000000')::uuid as practice;

-- name: PracticeLock :one
-- Serialises changes that are judged together, such as settings that could contradict each other. Taken before every other lock.
select id from practices where id = @id for no key update;
