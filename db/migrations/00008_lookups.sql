-- +goose Up
-- The only ways from a secret or a gateway's name to a practice, before the practice is known. They return ids, nothing else.
create policy lookup_reads on api_keys for select to kept_lookup using (true);
grant select on api_keys to kept_lookup;
create policy lookup_reads on links for select to kept_lookup using (true);
grant select on links to kept_lookup;
create policy lookup_reads on gateway_accounts for select to kept_lookup using (true);
grant select on gateway_accounts to kept_lookup;
create policy lookup_reads on messages for select to kept_lookup using (true);
grant select (id, practice_id, gateway_id) on messages to kept_lookup;
create policy lookup_reads on payments for select to kept_lookup using (true);
grant select (id, practice_id, gateway_intent, gateway_session) on payments to kept_lookup;

create function practice_of_api_key(key_hash bytea) returns uuid
    language sql stable security definer set search_path = public, pg_temp
    return (select practice_id from api_keys where hash = key_hash);
create function practice_of_link(hash bytea) returns uuid
    language sql stable security definer set search_path = public, pg_temp
    return (select practice_id from links where token_hash = hash);
create function practice_of_account(gateway_name text, account_name text) returns uuid
    language sql stable security definer set search_path = public, pg_temp
    return (select practice_id from gateway_accounts where gateway = gateway_name and account = account_name);
create function practice_of_message(message uuid) returns uuid
    language sql stable security definer set search_path = public, pg_temp
    return (select practice_id from messages where id = message);
create function practice_of_gateway_message(gateway_message text) returns uuid
    language sql stable security definer set search_path = public, pg_temp
    return (select practice_id from messages where gateway_id = gateway_message limit 1);
create function practice_of_payment(gateway_object text) returns uuid
    language sql stable security definer set search_path = public, pg_temp
    return (select practice_id from payments where gateway_intent = gateway_object or gateway_session = gateway_object limit 1);

-- +goose StatementBegin
do $$
declare
    signature text;
begin
    foreach signature in array array['practice_of_api_key(bytea)', 'practice_of_link(bytea)', 'practice_of_account(text, text)',
        'practice_of_message(uuid)', 'practice_of_gateway_message(text)', 'practice_of_payment(text)'] loop
        execute format('alter function %s owner to kept_lookup', signature);
        execute format('revoke all on function %s from public', signature);
        execute format('grant execute on function %s to kept_app, kept_system', signature);
    end loop;
end
$$;
-- +goose StatementEnd
