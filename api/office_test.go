package api

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kept-practice/kept/db"
	"github.com/kept-practice/kept/internal/desk"
	"github.com/kept-practice/kept/internal/policy"
)

// billed completes the visit and issues its invoice over 80.00, as the journey's plan does.
func (f *dayFixture) billed() ID[invoiceKind] {
	f.t.Helper()
	f.exec(`update service_prices set amount = 8000`)
	f.say(f.visitPath("/complete"), nil).ok(&AppointmentView{})
	require.NoError(f.t, f.store.InPractice(f.t.Context(), f.practice.ID, func(tx *db.Tx) error {
		if err := f.desk.DraftInvoice(f.t.Context(), tx, f.visit.ID, "invoice/draft/c1"); err != nil {
			return err
		}
		return f.desk.IssueInvoice(f.t.Context(), tx, f.visit.ID, linkMonday)
	}))
	var list List[InvoiceView]
	f.read("/v1/invoices?status=issued&appointment_id=" + ID[appointmentKind](f.visit.ID).String()).ok(&list)
	require.Len(f.t, list.Data, 1)
	return list.Data[0].ID
}

func TestInvoice_IsReadWithLinesAndBooks_AndVoidedOnce(t *testing.T) {
	t.Parallel()
	f := newDayFixture(t)
	id := f.billed()
	path := "/v1/invoices/" + id.String()
	var whole InvoiceWhole
	f.read(path).ok(&whole)
	require.Equal(t, Money{8000, "USD"}, whole.Total)
	require.Equal(t, Money{8000, "USD"}, whole.Due)
	require.Len(t, whole.Lines, 1)
	require.Equal(t, "issue", whole.Ledger[0].Kind)
	sum := int64(0)
	for _, e := range whole.Ledger[0].Entries {
		sum += e.Amount
	}
	require.Zero(t, sum)

	var page HostedPage
	f.say(path+"/checkout", nil).ok(&page)
	require.Equal(t, "https://pay.example.com/session/1", page.URL)
	f.say("/v1/clients/"+ID[clientKind](f.client).String()+"/card-setup", nil).ok(&page)
	require.NotNil(t, page.ExpiresAt)
	require.Equal(t, []string{linkOrigin + PaidPath, linkOrigin + PaidPath}, f.cards.backs, "never taken from the request")
	for _, foreign := range []string{"//evil.example", "javascript:alert(1)", "https://evil.example/", "https://kept.example.org@evil.example/", "http://kept.example.org/", "/docs"} {
		f.say(path+"/checkout", map[string]string{"return_url": foreign}).refused(http.StatusUnprocessableEntity, "foreign_return_url")
	}
	f.say(path+"/checkout", map[string]string{"return_url": linkOrigin + "/docs"}).ok(&page)
	require.Equal(t, linkOrigin+"/docs", f.cards.backs[2])
	f.say("/v1/clients/cli_01k3gq8w5ne7r9vjzt4xhb2mdc/card-setup", nil).refused(http.StatusNotFound, "client_not_found")
	var payments List[PaymentView]
	f.read(path + "/payments").ok(&payments)
	require.Empty(t, payments.Data)

	f.say(path+"/void", `{"reason":" "}`).refused(http.StatusUnprocessableEntity, "empty")
	f.say(path+"/void", `{"reason":"Billed twice.","amount":-1}`).refused(http.StatusUnprocessableEntity, "unknown_field")
	rung := len(f.waker.rings)
	f.say(path+"/void", `{"reason":"Billed twice."}`).ok(&whole)
	require.Equal(t, "void", whole.Status)
	require.Len(t, whole.Ledger, 2)
	require.Len(t, f.waker.rings, rung+1)
	f.exec(`update invoices set status = 'paid', paid = 8000, voided_at = null where id = $1`, policy.ID(id))
	p := f.say(path+"/void", `{"reason":"Again."}`).refused(http.StatusConflict, "invoice_paid")
	require.Equal(t, "paid", p.Facts["invoice"].(map[string]any)["status"])
}

func TestTask_OfTwoWhoClaim_OneHasIt(t *testing.T) {
	t.Parallel()
	f := newDayFixture(t)
	id := db.NewID()
	f.exec(`insert into tasks (practice_id, id, kind, title, queue, due_at, subject_kind, subject_id, cause, opened_at)
		values ($1, $2, 'unpaid', 'Call the client.', 'front_desk', $3, 'journey', $4, 'x', $3)`, f.practice.ID, id, linkMonday, f.visit.ID)
	path := "/v1/tasks/" + ID[taskKind](id).String()
	pat := f.staffOf(f.practice.Providers[1])
	pats := f.newKey(policy.RoleManager, pat)
	var task TaskView
	f.say(path+"/claim", nil).ok(&task)
	require.Equal(t, f.practice.Owner, policy.ID(*task.OwnerID))
	p := f.say(path+"/claim", nil, pats).refused(http.StatusConflict, "task_taken")
	require.Equal(t, ID[staffKind](f.practice.Owner).String(), p.Facts["owner"])
	f.say(path+"/claim", nil, f.newKey(policy.RoleManager, nil)).refused(http.StatusForbidden, "not_a_person")
	var free TaskView
	f.say(path+"/release", nil).ok(&free)
	require.Equal(t, "open", free.Status)
	require.Nil(t, free.OwnerID)
	f.say(path+"/claim", nil, pats).ok(&task)
	f.say(path+"/done", `{"reason":"a\nb"}`).refused(http.StatusUnprocessableEntity, "line_break")
	f.say(path+"/done", `{"reason":"Paid on the phone."}`, pats).ok(&task)
	require.Equal(t, "done", task.Status)
	require.Equal(t, "Paid on the phone.", task.Outcome)
	f.say(path+"/claim", nil).refused(http.StatusConflict, "task_over")

	var list List[TaskView]
	f.read("/v1/tasks?status=done&journey_id=" + ID[journeyKind](f.visit.ID).String()).ok(&list)
	require.Equal(t, []TaskView{task}, list.Data)
	f.read("/v1/tasks?status=open").ok(&list)
	require.Empty(t, list.Data)
	other := f.newKey(policy.RoleProvider, f.staffOf(f.practice.Providers[0]))
	require.Equal(t, http.StatusNotFound, f.read(path, other).Status, "a front desk's task is none of theirs")
}

func TestChannel_Paused_IsResumedOnce(t *testing.T) {
	t.Parallel()
	f := newDayFixture(t)
	f.say("/v1/channels/sms/resume", `{"reason":"It answers."}`).refused(http.StatusConflict, "not_paused")
	f.say("/v1/channels/pigeon/resume", `{"reason":"It answers."}`).refused(http.StatusUnprocessableEntity, "not_a_choice")
	f.exec(`insert into channel_pauses (practice_id, id, channel, reason, at) values ($1, gen_random_uuid(), 'sms', 'three unknown', $2)`, f.practice.ID, linkMonday)
	var list List[ChannelView]
	f.read("/v1/channels").ok(&list)
	require.Equal(t, []string{"mail", "sms", "card"}, convert(list.Data, func(c ChannelView) string { return c.Channel }))
	require.Equal(t, []bool{false, true, false}, convert(list.Data, func(c ChannelView) bool { return c.Paused }))
	pat := f.newKey(policy.RoleProvider, f.staffOf(f.practice.Providers[1]))
	f.say("/v1/channels/sms/resume", `{"reason":"Mine."}`, pat).refused(http.StatusNotFound, "channel_not_found")
	var resumed ResumedView
	f.say("/v1/channels/sms/resume", `{"reason":"It answers."}`).ok(&resumed)
	require.Equal(t, 1, resumed.Subjects)
	f.say("/v1/channels/sms/resume", `{"reason":"It answers."}`).refused(http.StatusConflict, "not_paused")
}

func TestRecall_IsListedMovedAndStopped(t *testing.T) {
	t.Parallel()
	f := newDayFixture(t)
	id := f.recall()
	f.exec(`update recalls set status = 'waiting', started_at = null, calculated_on = '2031-09-01' where id = $1`, id)
	path := "/v1/recalls/" + ID[recallKind](id).String()
	var list List[RecallView]
	f.read("/v1/recalls?due_until=2031-08-31").ok(&list)
	require.Empty(t, list.Data)
	f.read("/v1/recalls?due_until=2031-09-01&status=waiting").ok(&list)
	require.Len(t, list.Data, 1)
	f.say(path+"/override", `{"on":"2031-02-30","reason":"Away."}`).refused(http.StatusUnprocessableEntity, "invalid_date")
	f.say(path+"/override", `{"on":"2031-10-01"}`).refused(http.StatusUnprocessableEntity, "required")
	var recall RecallView
	f.say(path+"/override", `{"on":"2031-10-01","reason":"Away."}`).ok(&recall)
	require.Equal(t, "2031-10-01", recall.DueOn.String())
	f.say(path+"/override", `{"reason":"Back."}`).ok(&recall)
	require.Equal(t, "2031-09-01", recall.DueOn.String())
	f.say(path+"/stop", `{"reason":"Moved away."}`).ok(&recall)
	require.Equal(t, "stopped", recall.Status)
	p := f.say(path+"/stop", `{"reason":"Moved away."}`).refused(http.StatusConflict, "recall_closed")
	require.Equal(t, "stopped", p.Facts["recall"].(map[string]any)["status"])
	f.read(path).ok(&recall)
	f.read("/v1/recalls/"+ID[recallKind](f.client).String()).refused(http.StatusNotFound, "recall_not_found")
}

func TestPacket_AndMessage_AreReadWithAnEntryInTheJournal(t *testing.T) {
	t.Parallel()
	f := newDayFixture(t)
	var packet PacketView
	f.read(f.visitPath("/packet")).ok(&packet)
	require.Equal(t, "open", packet.Status)
	require.Len(t, packet.Forms, 2)
	require.Equal(t, desk.FormIntake, packet.Forms[0].Key)
	message := db.NewID()
	f.exec(`insert into messages (practice_id, id, client_id, subject_kind, subject_id, effect_key, kind, channel, address, template_id, locale, caused_by_step, occurred_at)
		select $1, $2, $3, 'journey', $4, 'confirmation/booked/mail/v1', 'confirmation', 'mail', 'casey@example.org', id, 'en', 'x', $5
		from message_templates where practice_id = $1 limit 1`, f.practice.ID, message, f.client, f.visit.ID, linkMonday)
	var list List[MessageView]
	a := f.read("/v1/messages?journey_id=" + ID[journeyKind](f.visit.ID).String()).ok(&list)
	require.Len(t, list.Data, 1)
	require.NotContains(t, a.Body, "casey@")
	var whole MessageWhole
	f.read("/v1/messages/" + ID[messageKind](message).String()).ok(&whole)
	require.Equal(t, "casey@example.org", whole.Address)

	var journal List[JournalView]
	f.read("/v1/journal?limit=2").ok(&journal)
	require.True(t, journal.HasMore)
	require.Equal(t, []string{"message_read", "packet_read"}, convert(journal.Data, func(j JournalView) string { return j.Verb }))
	f.read("/v1/journal?starting_after=" + journal.Data[0].ID.String() + "&limit=1").ok(&journal)
	require.Equal(t, "packet_read", journal.Data[0].Verb)
	f.read("/v1/journal?ending_before=" + journal.Data[0].ID.String()).ok(&journal)
	require.Equal(t, "message_read", journal.Data[0].Verb)
	f.read("/v1/journal?verb=appointment_booked&object_id=" + ID[appointmentKind](f.visit.ID).String()).ok(&journal)
	require.Len(t, journal.Data, 1)
	f.read("/v1/journal?object_id=x").refused(http.StatusUnprocessableEntity, "invalid_id")
	f.read("/v1/journal", f.newKey(policy.RoleFrontDesk, nil)).refused(http.StatusForbidden, "not_permitted")
}
