package activities_test

import (
	"regexp"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kept-practice/kept/internal/desk"
	"github.com/kept-practice/kept/internal/gateway/mail"
	"github.com/kept-practice/kept/internal/policy"
)

// lostLink is a house whose client was told of a visit, and the token of a link that does not open any more.
func lostLink(t *testing.T) (*house, desk.Booked, string) {
	t.Helper()
	h := newHouse(t)
	booked := h.book("2027-03-15", 2)
	h.until(booked.Journey, h.now().Add(time.Hour).Format(time.RFC3339))
	require.Len(t, h.post.mails, 1)
	token := regexp.MustCompile(`/l/([A-Za-z0-9_-]+)`).FindStringSubmatch(h.post.mails[0].Text)[1]
	h.exec(`update links set revoked_at = now(), revoked_reason = 'address changed'`)
	return h, booked, token
}

func (h *house) ask(token string) []policy.Subject {
	h.t.Helper()
	rung, err := h.desk.AskFreshLink(h.t.Context(), token, "req")
	require.NoError(h.t, err)
	return rung
}

// opening counts the links of a mail that open.
func (h *house) opening(m mail.Message) (purposes []string) {
	h.t.Helper()
	for _, found := range regexp.MustCompile(`/l/([A-Za-z0-9_-]+)`).FindAllStringSubmatch(m.Text, -1) {
		l, err := h.desk.OpenLink(h.t.Context(), found[1])
		require.NoError(h.t, err)
		purposes = append(purposes, l.Purpose)
	}
	return purposes
}

func TestFreshLink_Asked_ComesByMailAtNightToo_ThreeTimesADay(t *testing.T) {
	h, booked, token := lostLink(t)
	h.setClock("2027-03-03T02:00:00Z")
	for n := 1; n <= policy.MaxFreshLinks; n++ {
		require.Equal(t, []policy.Subject{booked.Journey}, h.ask(token))
		require.Empty(t, h.ask(token), "one is on its way")
		h.settle(booked.Journey)
		require.Len(t, h.post.mails, 1+n)
		require.Equal(t, "zoe@example.org", h.post.mails[n].To.Email)
		require.Subset(t, h.opening(h.post.mails[n]), []string{desk.LinkIntake, desk.LinkConfirm, desk.LinkMove, desk.LinkCancel})
	}
	require.Empty(t, h.ask(token))
	h.settle(booked.Journey)
	require.Len(t, h.post.mails, 1+policy.MaxFreshLinks)
	h.setClock("2027-03-04T12:00:00Z")
	require.NotEmpty(t, h.ask(token), "another day")
	h.settle(booked.Journey)
	require.Len(t, h.post.mails, 2+policy.MaxFreshLinks)
	require.Empty(t, h.openTasks())
	h.sound()
}

func TestFreshLink_OfAPracticeOlderThanTheKind_TakesTheDefaultText(t *testing.T) {
	h, booked, token := lostLink(t)
	h.exec(`delete from message_templates where kind = 'fresh_link'`)
	h.setClock("2027-03-03T12:00:00Z")
	h.ask(token)
	h.settle(booked.Journey)
	require.Len(t, h.post.mails, 2)
	require.Equal(t, 1, h.scalar(`select count(*) from message_templates where kind = 'fresh_link'`))
}

func TestFreshLink_NoAddressLeft_IsATaskUntilThereIsOne(t *testing.T) {
	h, booked, token := lostLink(t)
	h.exec(`update contact_points set closed_at = now(), closed_reason = 'test'`)
	h.setClock("2027-03-03T12:00:00Z")
	h.ask(token)
	h.settle(booked.Journey)
	require.Len(t, h.post.mails, 1)
	require.Contains(t, h.openTasks(), "fresh_link")
}

func TestFreshLink_OfABillAfterTheVisit_LeadsToThePaymentAgain(t *testing.T) {
	h, booked := billed(t, "")
	h.until(booked.Journey, h.now().Add(time.Hour).Format(time.RFC3339))
	last := h.post.mails[len(h.post.mails)-1]
	token := regexp.MustCompile(`/l/([A-Za-z0-9_-]+)`).FindStringSubmatch(last.Text)[1]
	h.exec(`update links set revoked_at = now(), revoked_reason = 'address changed'`)
	before := len(h.post.mails)
	require.Equal(t, []policy.Subject{booked.Journey}, h.ask(token))
	require.True(t, h.settle(booked.Journey).Done)
	require.Len(t, h.post.mails, before+1)
	require.Equal(t, []string{desk.LinkPay}, h.opening(h.post.mails[before]))
	h.sound()
}
