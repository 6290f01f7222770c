package db_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kept-practice/kept/internal/proof"
)

func TestCatalog_EveryTenantTable_ForcesRowLevelSecurity(t *testing.T) {
	t.Parallel()
	conn := proof.Connect(t, proof.NewStore(t))
	require.Empty(t, collect[string](t, conn, `
		select c.relname::text from pg_class c
		where c.relkind in ('r', 'p') and c.relnamespace = 'public'::regnamespace
			and exists (select from pg_attribute a where a.attrelid = c.oid and a.attname = 'practice_id')
			and not (c.relrowsecurity and c.relforcerowsecurity and c.relowner = 'kept_owner'::regrole)`),
		"not protected: call protect_table")
	require.Empty(t, collect[string](t, conn, `
		select c.relname::text from pg_class c
		where c.relkind in ('r', 'p') and c.relnamespace = 'public'::regnamespace and c.relname <> 'inbox'
			and exists (select from pg_attribute a where a.attrelid = c.oid and a.attname = 'practice_id')
			and 1 <> (select count(*) from pg_policies p
				where p.tablename = c.relname and p.roles = '{kept_app}' and p.cmd = 'ALL'
					and p.qual like '%practice_id = %current_practice()%' and p.with_check = p.qual)`),
		"its policy does not both show and check the practice")
	require.Empty(t, collect[string](t, conn, `
		select p.tablename || ': ' || p.policyname from pg_policies p
		where p.roles && '{public}' or ('kept_app' = any(p.roles) and p.policyname <> 'practice_isolation')`),
		"a policy that widens what a practice sees")
	require.Empty(t, collect[string](t, conn, `
		select c.relname::text from pg_class c where c.relkind in ('v', 'm') and c.relnamespace = 'public'::regnamespace`),
		"a view reads with its owner's eyes; make it security_invoker and say so here")
}

func TestCatalog_NoRole_BypassesRowLevelSecurity(t *testing.T) {
	t.Parallel()
	conn := proof.Connect(t, proof.NewStore(t))
	require.Equal(t, []string{"kept_app", "kept_lookup", "kept_owner", "kept_system"}, collect[string](t, conn, `
		select rolname::text from pg_roles
		where rolname like 'kept\_%' and not (rolsuper or rolbypassrls or rolcanlogin or rolcreaterole or rolcreatedb) order by 1`))
	require.Empty(t, collect[string](t, conn, `
		select m.rolname || ' is a member of ' || g.rolname
		from pg_auth_members a join pg_roles m on m.oid = a.member join pg_roles g on g.oid = a.roleid
		where m.rolname like 'kept\_%'`))
	require.Empty(t, collect[string](t, conn, `
		select table_name || ' ' || privilege_type from information_schema.role_table_grants
		where grantee = 'PUBLIC' and table_schema = 'public'`))
}

// What the system role may touch in all practices. A change of this list is a change of who sees what: think twice.
func TestCatalog_SystemRole_HoldsExactlyTheseGrants(t *testing.T) {
	t.Parallel()
	conn := proof.Connect(t, proof.NewStore(t))
	require.Equal(t, []string{
		"guesses delete", "guesses insert", "guesses select", "guesses update",
		"idempotency_keys delete",
		"inbox insert", "inbox select", "inbox update",
		"outbox delete", "outbox select",
		"quarantine insert", "quarantine select",
		"subjects select",
		"test_clocks select", "test_clocks update",
	}, collect[string](t, conn, `
		select table_name || ' ' || lower(privilege_type) from information_schema.role_table_grants
		where grantee = 'kept_system' order by 1`))
	require.Equal(t, []string{
		"cadence_adoptions select id, next_at, practice_id, state",
		"holds select expires_at, id, practice_id",
		"idempotency_keys select created_at",
		"invoices select follow_up_at, follow_up_started_at, id, practice_id, status",
		"links select expires_at, id, practice_id, revoked_at",
		"outbox update next_ring_at, rings",
		"practices select id, mode, practice_id, zone",
		"recalls select due_on, id, practice_id, status",
		"subjects update next_ring_at, rings",
	}, collect[string](t, conn, `
		select g.table_name || ' ' || lower(g.privilege_type) || ' ' || string_agg(g.column_name, ', ' order by g.column_name)
		from information_schema.role_column_grants g
		where g.grantee = 'kept_system' and not exists (
			select from information_schema.role_table_grants w
			where w.grantee = g.grantee and w.table_name = g.table_name and w.privilege_type = g.privilege_type)
		group by g.table_name, g.privilege_type order by 1`))
	require.Equal(t, []string{
		"api_keys kept_lookup SELECT",
		"cadence_adoptions kept_system SELECT",
		"clients kept_lookup SELECT",
		"gateway_accounts kept_lookup SELECT",
		"holds kept_system SELECT",
		"idempotency_keys kept_system ALL",
		"inbox kept_system ALL",
		"invoices kept_system SELECT",
		"links kept_lookup SELECT",
		"links kept_system SELECT",
		"messages kept_lookup SELECT",
		"outbox kept_system ALL",
		"payments kept_lookup SELECT",
		"practices kept_system SELECT",
		"quarantine kept_system ALL",
		"recalls kept_system SELECT",
		"subjects kept_system ALL",
		"test_clocks kept_system ALL",
	}, collect[string](t, conn, `
		select tablename || ' ' || array_to_string(roles, ',') || ' ' || cmd from pg_policies
		where policyname <> 'practice_isolation' order by 1`))
}

func TestCatalog_EveryForeignKey_CarriesThePractice(t *testing.T) {
	t.Parallel()
	conn := proof.Connect(t, proof.NewStore(t))
	require.Empty(t, collect[string](t, conn, `
		with tenant as (
			select attrelid, attnum from pg_attribute where attname = 'practice_id' and not attisdropped
		)
		select k.conrelid::regclass || ' ' || k.conname
		from pg_constraint k
		join tenant child on child.attrelid = k.conrelid
		join tenant parent on parent.attrelid = k.confrelid
		where k.contype = 'f' and k.confrelid <> 'practices'::regclass
			and not exists (
				select from generate_subscripts(k.conkey, 1) i
				where k.conkey[i] = child.attnum and k.confkey[i] = parent.attnum)`),
		"a foreign row could be referenced: put practice_id into the key on both sides")
	require.Empty(t, collect[string](t, conn, `
		select c.relname::text from pg_class c
		join pg_attribute a on a.attrelid = c.oid and a.attname = 'practice_id'
		where c.relkind = 'r' and c.relnamespace = 'public'::regnamespace and c.relname <> 'practices'
			and not exists (select from pg_constraint k
				where k.contype = 'f' and k.conrelid = c.oid and k.confrelid = 'practices'::regclass and k.conkey = array[a.attnum])`),
		"its practice_id does not refer to practices")
}

// A unique key across practices tells one practice what another has; only unguessable or gateway-owned values may have one.
func TestCatalog_UniqueKeys_DoNotReachAcrossPractices(t *testing.T) {
	t.Parallel()
	conn := proof.Connect(t, proof.NewStore(t))
	require.Equal(t, []string{
		"api_keys_hash_key", "gateway_accounts_gateway_account_key", "inbox_gateway_event_id_key", "inbox_pkey",
		"links_token_hash_key", "outbox_pkey", "practices_pkey",
	}, collect[string](t, conn, `
		select i.indexrelid::regclass::text from pg_index i
		join pg_attribute a on a.attrelid = i.indrelid and a.attname = 'practice_id'
		join pg_class c on c.oid = i.indrelid
		where i.indisunique and c.relnamespace = 'public'::regnamespace and not a.attnum = any(i.indkey::smallint[]) order by 1`))
}

func TestCatalog_LookupFunctions_AnswerIdsAndNobodyElseRunsThem(t *testing.T) {
	t.Parallel()
	conn := proof.Connect(t, proof.NewStore(t))
	require.Equal(t, []string{
		"practice_of_account uuid", "practice_of_api_key uuid", "practice_of_gateway_message uuid", "practice_of_link uuid",
		"practice_of_message uuid", "practice_of_payment uuid", "search_clients uuid",
	}, collect[string](t, conn, `
		select p.proname || ' ' || p.prorettype::regtype from pg_proc p
		where p.prosecdef and p.pronamespace = 'public'::regnamespace and p.proowner = 'kept_lookup'::regrole order by 1`))
	require.Empty(t, collect[string](t, conn, `
		select p.proname::text from pg_proc p
		where p.prosecdef and p.pronamespace = 'public'::regnamespace
			and (p.proowner <> 'kept_lookup'::regrole or has_function_privilege('public', p.oid, 'execute')
				or not p.proconfig @> array['search_path=public, pg_temp'])`))
}
