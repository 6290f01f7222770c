-- +goose Up
-- What a client asked for behind a link that did not open any more stands beside the verbs of staff: the journey's plan answers it.
alter table overrides drop constraint overrides_verb_check;
alter table overrides add constraint overrides_verb_check check (
    verb in ('pause', 'resume', 'skip', 'retry', 'fire_now', 'reroute', 'send_again', 'fresh_link')) not valid;
alter table overrides validate constraint overrides_verb_check;
