-- +goose Up
-- Whose transaction ids the epoch counts: the server's system identifier. `kept migrate` raises the epoch when it finds the
-- journal on another server, which is what a restored dump looks like (db/epoch.go). A journal that comes from a release
-- without this column may be a restored one, so its epoch is raised here; the lock lets its writers end first.
lock table journal in share row exclusive mode;
alter table journal_epoch add column server text;
update journal_epoch set server = (pg_control_system()).system_identifier::text,
    epoch = epoch + (select is_called::int from journal_seq_seq);
alter table journal_epoch alter column server set not null;
