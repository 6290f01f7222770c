-- +goose Up
-- A link on which a client chooses what is sent, and the choice that it can make of an address: nothing about visits and bills.
alter table links drop constraint links_purpose_check;
alter table links add constraint links_purpose_check check (
    purpose in ('confirm', 'move', 'cancel', 'intake', 'check_in', 'pay', 'book', 'unsubscribe', 'preferences')) not valid;
alter table links validate constraint links_purpose_check;
alter table opt_outs drop constraint opt_outs_purpose_check;
alter table opt_outs add constraint opt_outs_purpose_check check (purpose in ('all', 'service', 'recall', 'marketing')) not valid;
alter table opt_outs validate constraint opt_outs_purpose_check;
