-- +goose Up
-- By which rules of each zone the instants of a practice's visits ahead were computed: a fingerprint of the zone's offsets, since
-- tzdata tells its version to nobody. A visit keeps its wall time (local_start), its zone and its instant; where the rules that kept
-- runs with differ from these, the instants are computed anew and the visits that move are reported.
create table zone_rules (
    practice_id uuid not null references practices (id),
    zone text not null,
    fingerprint text not null check (fingerprint <> ''),
    since timestamptz not null default clock_timestamp(),
    primary key (practice_id, zone)
);
select protect_table('zone_rules');
