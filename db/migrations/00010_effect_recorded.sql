-- +goose Up
-- When the row last changed, in real time: a verb counts for an effect only when it was said after that. The practice's clock
-- cannot tell, since a test clock may stand still between a failure, the verb and the next attempt.
alter table effects add column recorded_at timestamptz not null default now();
alter table effects alter column recorded_at set default clock_timestamp();
