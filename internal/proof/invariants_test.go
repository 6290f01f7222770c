package proof_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kept-practice/kept/internal/proof"
)

func TestCheck_WholeJourney_HoldsEveryInvariantAndSaysOfHowMany(t *testing.T) {
	b := played(t)
	found, report := b.check("Quartermaine", "zoe@example.org", "+442079460101")
	require.Empty(t, found, report.String())
	judged := map[string]int{}
	for _, c := range report {
		judged[c.Invariant] += c.N
	}
	for _, invariant := range []string{"INV1", "INV2", "INV3", "INV4", "INV5", "INV6", "INV7", "INV8", "INV9", "INV10", "INV11", "INV14"} {
		require.Positive(t, judged[invariant], "%s judged nothing:\n%s", invariant, report)
	}
}

func TestCheck_WithoutSandbox_LeavesTheCounterpartyOut(t *testing.T) {
	b := played(t)
	b.sandbox = ""
	found, report := b.check()
	require.Empty(t, found, report.String())
	for _, c := range report {
		require.NotEqual(t, "INV2", c.Invariant)
	}
}

func TestCheck_UnreachableBooks_AreAnError(t *testing.T) {
	b := newBooth(t)
	_, _, err := proof.Check(t.Context(), proof.Books{Database: b.url, Sandbox: "http://127.0.0.1:1"})
	require.ErrorContains(t, err, "sandbox's ledger")
	_, _, err = proof.Check(t.Context(), proof.Books{Database: "postgres://127.0.0.1:1/none"})
	require.ErrorContains(t, err, "open the books")
}

// Each seeded breach must be seen by the invariant it breaks: an invariant that nothing can break proves nothing.
func TestCheck_SeededBreach_IsSeen(t *testing.T) {
	b := played(t)
	whole, _ := b.check()
	require.Empty(t, whole)
	for _, breach := range []struct{ name, invariant, sql string }{
		{"overlapping reservations", "INV1", `alter table reservations drop constraint reservations_no_overlap;
			insert into reservations (practice_id, id, resource_id, seat, during, appointment_id)
			select practice_id, gen_random_uuid(), resource_id, seat, during, appointment_id from reservations`},
		{"visit without its slot", "INV1", `delete from reservations where appointment_id is not null`},
		{"cancelled visit keeps its slot", "INV1", `insert into reservations (practice_id, id, resource_id, during, appointment_id)
			select practice_id, gen_random_uuid(), provider_id, tstzrange(starts_at, ends_at), id from appointments where status = 'cancelled'`},
		{"visit at midnight", "INV1", `update appointments set starts_at = date_trunc('day', starts_at), ends_at = date_trunc('day', starts_at) + interval '30 minutes'
			where status = 'completed'; update reservations r set during = tstzrange(a.starts_at, a.ends_at) from appointments a where a.id = r.appointment_id`},
		{"charge that we never booked", "INV2", `alter table ledger_entries disable trigger all; delete from ledger_entries where account = 'cash'`},
		{"set out of balance", "INV3", `alter table ledger_entries disable trigger all; update ledger_entries set amount = amount + 1 where account = 'revenue'`},
		{"paid column off by a cent", "INV14", `update invoices set paid = paid - 1`},
		{"line changed after the issue", "INV14", `update invoice_lines set net = net + 1, total = total + 1`},
		{"gap in the numbers", "INV14", `update invoice_counters set next = next + 1`},
		{"second mail for one effect", "INV4", `update messages set effect_key = (select effect_key from messages order by id limit 1),
			subject_id = (select subject_id from messages order by id limit 1)`},
		{"mail that we never wrote", "INV4", `delete from messages where kind = 'reminder'`},
		{"sent, but only in our book", "INV4", `update messages set effect_key = 'reminder/x/mail/v1' where kind = 'reminder';
			insert into messages (practice_id, id, client_id, subject_kind, subject_id, effect_key, kind, channel, address, template_id, locale, caused_by_step, occurred_at)
			select m.practice_id, gen_random_uuid(), m.client_id, m.subject_kind, m.subject_id, e.key, m.kind, m.channel, m.address, m.template_id, m.locale, '', now()
			from messages m join effects e on e.subject_id = m.subject_id and e.key like 'reminder/%' and e.state = 'accepted' where m.kind = 'reminder' limit 1`},
		{"reminder forgotten without a reason", "INV4", `delete from effects where key like 'reminder/%'`},
		{"called failed although it went out", "INV4", `update effects set state = 'failed' where key like 'reminder/%' and state = 'accepted'`},
		{"unknown outcome that nobody was shown", "INV4", `update effects set state = 'unknown' where key like 'reminder/%' and state = 'accepted'`},
		{"claimed after the cancellation", "INV5", `update effects e set first_claimed_at = now() from appointments a where a.id = e.subject_id and a.status = 'cancelled'
			and e.state = 'accepted'`},
		{"taken by the gateway long after the opt-out", "INV5", `alter table journal disable trigger all; insert into opt_outs (practice_id, id, channel, address, purpose, source, at)
			select practice_id, gen_random_uuid(), 'mail', 'zoe@example.org', 'all', 'test', now() from practices;
			insert into journal (practice_id, id, epoch, at, recorded_at, verb, actor_kind, object_kind, object_id)
			select practice_id, gen_random_uuid(), 1, now(), now() - interval '1 day', 'client_opted_out', 'client', 'opt_out', id from opt_outs`},
		{"at night", "INV6", `update effects set claimed_for = date_trunc('day', claimed_for) + interval '3 hours' where state = 'accepted' and channel = 'mail'`},
		{"altered entry", "INV7", `alter table journal disable trigger all; update journal set reason = 'altered' where verb = 'appointment_cancelled'`},
		{"status without an entry", "INV7", `update appointments set status = 'no_show' where status = 'completed'`},
		{"step without an entry", "INV7", `alter table journal disable trigger all; delete from journal where verb = 'step_done'`},
		{"message of another practice", "INV8", `insert into practices (id, mode, name, zone, currency, country, mail) values
				('01900000-0000-7000-8000-000000000001', 'test', 'B', 'UTC', 'USD', 'US', 'b@example.org');
			alter table messages disable trigger all; set session_replication_role = replica;
			update messages set practice_id = '01900000-0000-7000-8000-000000000001'; set session_replication_role = origin`},
		{"a name in a task", "INV9", `insert into tasks (practice_id, id, kind, title, queue, due_at, cause, opened_at)
			select id, gen_random_uuid(), 'x', 'Call Mrs Quartermaine', 'owner', now(), 'x', now() from practices`},
		{"open subject that waits for nothing", "INV10", `update subjects set status = 'open', wake_at = null, retry_at = null, due_keys = '{}'`},
		{"fact that no plan saw", "INV10", `insert into outbox (practice_id, id, subject_kind, subject_id, label) select practice_id, gen_random_uuid(), kind, id, 'x' from subjects`},
		{"event that was never applied", "INV11", `insert into inbox (id, practice_id, gateway, event_id, type, body) select gen_random_uuid(), id, 'stripe', 'evt_1', 'x', '' from practices`},
		{"payment booked twice", "INV11", `drop index ledger_sets_one_per_payment; insert into ledger_sets (practice_id, id, kind, invoice_id, payment_id, occurred_at)
			select practice_id, gen_random_uuid(), kind, invoice_id, payment_id, occurred_at from ledger_sets where payment_id is not null`},
	} {
		t.Run(breach.name, func(t *testing.T) {
			found := b.breached(t, breach.sql)
			var seen []string
			for _, v := range found {
				seen = append(seen, v.Invariant)
				require.NotEmpty(t, v.Detail)
				require.Positive(t, v.Count)
			}
			require.Contains(t, seen, breach.invariant)
		})
	}
}

// breached judges the books after something was done past kept, and takes it back.
func (b *booth) breached(t *testing.T, sql string) []proof.Violation {
	t.Helper()
	tx, err := b.super.Begin(t.Context())
	require.NoError(t, err)
	defer func() { require.NoError(t, tx.Rollback(context.Background())) }()
	_, err = tx.Conn().PgConn().Exec(t.Context(), sql).ReadAll()
	require.NoError(t, err)
	found, _, err := proof.CheckIn(t.Context(), tx, proof.Books{Database: b.url, Sandbox: b.sandbox, Canaries: []string{"Quartermaine"}})
	require.NoError(t, err)
	return found
}

func TestCheck_Histories_AreSearchedForCanaries(t *testing.T) {
	b := newBooth(t)
	found, _, err := proof.Check(t.Context(), proof.Books{
		Database: b.url, Canaries: []string{"quartermaine"},
		Histories: func(_ context.Context, visit func(string, []byte)) error {
			visit("workflow journey/1", []byte(`{"summary":"Reminder for Quartermaine"}`))
			return nil
		},
	})
	require.NoError(t, err)
	require.Len(t, found, 1)
	require.Equal(t, "INV9", found[0].Invariant)
	require.Contains(t, found[0].Detail, "workflow journey/1")
	require.NotContains(t, found[0].Detail, "uartermaine", "a report repeats no canary")
}

func TestFingerprint_NamesTheTablesThatChanged(t *testing.T) {
	b := newBooth(t)
	visit := b.book("2027-03-15")
	before, err := proof.Fingerprint(t.Context(), b.url)
	require.NoError(t, err)
	_, err = b.desk.Journey(t.Context(), b.practice.ID, visit.ID)
	require.NoError(t, err)
	after, err := proof.Fingerprint(t.Context(), b.url)
	require.NoError(t, err)
	require.Empty(t, proof.Changed(before, after), "reading changes nothing")
	b.exec(`update clients set family_name = 'Other' where id = $1`, b.client)
	after, err = proof.Fingerprint(t.Context(), b.url)
	require.NoError(t, err)
	require.Equal(t, []string{"clients"}, proof.Changed(before, after))
}
