package api

import (
	"bytes"
	"errors"
	"fmt"
	"mime/multipart"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kept-practice/kept/internal/desk"
	"github.com/kept-practice/kept/internal/policy"
)

func TestLinks_Move_ChoosesADayThenATime(t *testing.T) {
	t.Parallel()
	f := newLinkFixture(t)
	old := "/l/" + f.visitLink(desk.LinkConfirm)
	path := "/l/" + f.visitLink(desk.LinkMove)
	page := f.get(path)
	require.Contains(t, page.Body, "Times with anybody")
	day := f.get(path + "?from=2031-03-03&day=2031-03-07")
	require.Contains(t, day.Body, "Friday, March 7, 2031")
	choice := slots(day.Body)
	require.Contains(t, choice[5], "2031-03-07T15:15:00Z~")
	require.NotContains(t, choice[5], f.practice.Providers[0].String())
	done := f.fill(path, url.Values{"slot": {choice[5]}})
	require.Equal(t, http.StatusOK, done.Status, done.Body)
	require.Contains(t, done.Body, "Your visit is moved")
	require.Contains(t, done.Body, "10:15 AM")
	require.Equal(t, 1, f.count(`select count(*) from appointments where starts_at = '2031-03-07T15:15:00Z' and version = 2 and answered_at is not null`))
	require.Equal(t, done.Body, f.get(path).Body)
	require.Equal(t, http.StatusGone, f.get(old).Status)
}

func TestLinks_Move_WithAnybody_ChangesTheProvider(t *testing.T) {
	t.Parallel()
	f := newLinkFixture(t)
	path := "/l/" + f.visitLink(desk.LinkMove)
	page := f.get(path + "?with=any&day=2031-03-06&from=2031-03-03")
	require.Contains(t, page.Body, "Pat Provider")
	at := ""
	for _, s := range slots(page.Body) { // the visit's own time is free with the other provider alone
		if strings.HasPrefix(s, "2031-03-06T15:00:00Z~") {
			require.Empty(t, at)
			at = s
		}
	}
	require.Equal(t, http.StatusOK, f.fill(path, url.Values{"slot": {at}}).Status)
	require.Equal(t, 1, f.count(`select count(*) from appointments where provider_id = $1 and version = 2`, f.practice.Providers[1]))
}

func TestLinks_BADL5_MoveIntoATakenTime_409AndAFreshList(t *testing.T) {
	t.Parallel()
	f := newLinkFixture(t)
	path := "/l/" + f.visitLink(desk.LinkMove)
	choice := slots(f.get(path + "?from=2031-03-03&day=2031-03-07").Body)[0]
	form := f.withNonce(path, url.Values{"slot": {choice}})
	f.book(f.practice.Services[2], "2031-03-07T09:00")
	a := f.post(path, form)
	require.Equal(t, http.StatusConflict, a.Status)
	require.Contains(t, a.Body, "That time is taken")
	require.NotContains(t, slots(a.Body), choice)
	require.Equal(t, f.visit.StartsAt, f.startsAt())
}

func (f *linkFixture) startsAt() time.Time {
	f.t.Helper()
	visit, err := f.store.In(f.practice.ID).AppointmentByID(f.t.Context(), f.practice.ID, f.visit.ID)
	require.NoError(f.t, err)
	return visit.StartsAt
}

func TestLinks_ATimeThatNoPageOffers_IsRefused(t *testing.T) {
	t.Parallel()
	f := newLinkFixture(t)
	path := "/l/" + f.visitLink(desk.LinkMove)
	_, handle, _ := strings.Cut(slots(f.get(path).Body)[0], "~")
	for slot, status := range map[string]int{
		"":                                              http.StatusUnprocessableEntity,
		"tomorrow~" + handle:                            http.StatusUnprocessableEntity,
		"2031-03-07T15:00:00Z":                          http.StatusUnprocessableEntity,
		"2031-03-07T15:00:00Z~0000":                     http.StatusConflict,
		"2031-03-07T15:01:00Z~" + handle:                http.StatusConflict, // off the grid
		"2031-03-07T03:00:00Z~" + handle:                http.StatusConflict, // at night
		"2031-03-03T14:00:00Z~" + handle:                http.StatusConflict, // in the past
		"9999-12-31T23:59:59Z~" + handle:                http.StatusConflict,
		f.practice.Providers[1].String() + "~" + handle: http.StatusUnprocessableEntity,
	} {
		require.Equal(t, status, f.fill(path, url.Values{"slot": {slot}}).Status, slot)
	}
	for _, query := range []string{"?from=", "?from=9999-99-99", "?from=2000-01-01", "?from=2500-01-01", "?day=%00", "?day=2031-03-08&with=%ff"} {
		require.Contains(t, []int{http.StatusOK, http.StatusBadRequest}, f.get(path+query).Status, query)
	}
	require.Equal(t, f.visit.StartsAt, f.startsAt())
}

func TestLinks_BookFromRecall_OneVisitWithItsCause(t *testing.T) {
	t.Parallel()
	f := newLinkFixture(t)
	path := "/l/" + f.recallLink(desk.LinkBook)
	page := f.get(path)
	require.Contains(t, page.Body, "Pat Provider", "nobody was seen before, so everybody is offered")
	choices := slots(page.Body)
	forms := []url.Values{f.withNonce(path, url.Values{"slot": {choices[0]}}), f.withNonce(path, url.Values{"slot": {choices[30]}})}
	answers := f.atOnce(8, func(i int) answer { return f.post(path, forms[i%2]) })
	for _, a := range answers {
		require.Equal(t, http.StatusOK, a.Status, a.Body)
		require.Contains(t, a.Body, "Your time is booked")
	}
	require.Equal(t, 1, f.count(`select count(*) from appointments where caused_by_kind = 'recall' and source = 'recall' and service_id = $1`, f.practice.Services[2]))
	require.Equal(t, answers[0].Body, f.get(path).Body)
	f.setClock(linkMonday.Add(91 * 24 * time.Hour))
	require.Equal(t, http.StatusNotFound, f.get(path).Status)
}

func TestLinks_BookFromRecall_RunOutOrStopped_SaysSo(t *testing.T) {
	t.Parallel()
	f := newLinkFixture(t)
	path := "/l/" + f.recallLink(desk.LinkBook)
	form := f.withNonce(path, url.Values{"slot": {slots(f.get(path).Body)[0]}})
	f.setClock(linkMonday.Add(61 * 24 * time.Hour))
	require.Contains(t, f.get(path).Body, "has run out")
	require.Equal(t, http.StatusConflict, f.post(path, form).Status)
	f.setClock(linkMonday)
	f.exec(`update recalls set status = 'stopped', closed_at = now()`)
	require.Equal(t, http.StatusGone, f.get(path).Status)
}

func TestLinks_Pay_LeadsToTheHostedPage(t *testing.T) {
	t.Parallel()
	f := newLinkFixture(t)
	life := linkMonday.Add(365 * 24 * time.Hour)
	invoice := f.invoice("issued", 3000)
	path := "/l/" + f.mint(desk.LinkPay, policy.KindCollection, invoice, 0, life)
	page := f.get(path)
	for _, shown := range []string{"Visit on Monday, March 3, 2031", "$80.00", "$30.00", "Pay $50.00"} {
		require.Contains(t, page.Body, shown)
	}
	require.NotContains(t, page.Body, "Psychotherapy")
	form := f.withNonce(path, nil)
	for range 2 {
		a := f.post(path, form)
		require.Equal(t, http.StatusSeeOther, a.Status)
		require.Equal(t, f.checkout.url, a.Header.Get("Location"))
	}
	require.Equal(t, []policy.ID{invoice, invoice}, f.checkout.asked)

	f.checkout.err = policy.NewError(policy.Unavailable, "gateway_unavailable", "The payment page cannot be reached. Nothing was charged.")
	away := f.post(path, form)
	require.Equal(t, http.StatusServiceUnavailable, away.Status)
	require.NotEmpty(t, away.Header.Get("Retry-After"))
	f.checkout.err = errors.New("boom with sk_live_secret")
	broken := f.post(path, form)
	require.Equal(t, http.StatusInternalServerError, broken.Status)
	require.NotContains(t, broken.Body, "secret")
	f.checkout.err, f.checkout.url = nil, "javascript:alert(1)"
	require.Equal(t, http.StatusInternalServerError, f.post(path, form).Status)

	f.exec(`update invoices set paid = 8000, status = 'paid', paid_at = now()`)
	require.Contains(t, f.get(path).Body, "Paid, thank you")
	require.Equal(t, http.StatusOK, f.post(path, form).Status)
	void := "/l/" + f.mint(desk.LinkPay, policy.KindCollection, f.invoice("void", 0), 0, life)
	require.Equal(t, http.StatusGone, f.get(void).Status)
}

func TestLinks_Pay_InAPlainPractice_NamesTheService(t *testing.T) {
	t.Parallel()
	f := newLinkFixture(t)
	f.exec(`update practices set privacy_mode = 'plain'`)
	path := "/l/" + f.mint(desk.LinkPay, policy.KindCollection, f.invoice("issued", 0), 0, linkMonday.Add(time.Hour))
	require.Contains(t, f.get(path).Body, "Psychotherapy")
}

func TestLinks_BADU_OnlyTheExactOneClickPostActs(t *testing.T) {
	t.Parallel()
	f := newLinkFixture(t)
	f.exec(`insert into subjects (practice_id, kind, id, client_id) values ($1, 'recall', $2, $3)`, f.practice.ID, f.recall(), f.client)
	var recall policy.ID
	require.NoError(t, f.conn.QueryRow(t.Context(), `select id from recalls`).Scan(&recall))
	path := "/l/" + f.mint(desk.LinkUnsubscribe, policy.KindRecall, recall, 0, linkMonday.Add(time.Hour))
	confirm := "/l/" + f.visitLink(desk.LinkConfirm)
	plain := with("Content-Type", "application/x-www-form-urlencoded")
	before := f.fingerprint()
	for _, body := range []string{"", "List-Unsubscribe=one-click", "list-unsubscribe=One-Click", "List-Unsubscribe=One-Click&x=1", "List-Unsubscribe=One-Click&List-Unsubscribe=One-Click", "List-Unsubscribe="} {
		require.Equal(t, http.StatusForbidden, f.send(http.MethodPost, path, strings.NewReader(body), plain).Status, body)
	}
	require.Equal(t, http.StatusForbidden, f.send(http.MethodPost, confirm, strings.NewReader("List-Unsubscribe=One-Click"), plain).Status)
	require.Equal(t, http.StatusUnsupportedMediaType, f.send(http.MethodPost, path, strings.NewReader(`{"List-Unsubscribe":"One-Click"}`), with("Content-Type", "application/json")).Status)
	require.Equal(t, before, f.fingerprint())

	f.setClock(linkMonday.Add(4000 * 24 * time.Hour)) // the law wants it to work as long as the mail lies there
	var body bytes.Buffer
	parts := multipart.NewWriter(&body)
	require.NoError(t, parts.WriteField("List-Unsubscribe", "One-Click"))
	require.NoError(t, parts.Close())
	a := f.send(http.MethodPost, path, &body, with("Content-Type", parts.FormDataContentType()))
	require.Equal(t, http.StatusOK, a.Status, a.Body)
	require.Contains(t, a.Body, "You get no more invitations")
	require.Equal(t, 1, f.count(`select count(*) from opt_outs where purpose = 'recall' and channel = 'mail' and address = 'casey@example.org'`))
	require.Equal(t, 2, f.count(`select count(*) from consents where purpose = 'recall' and not granted`))
	require.Zero(t, f.count(`select count(*) from opt_outs where purpose = 'all'`), "reminders still go")
	require.Contains(t, f.waker.rings, policy.Subject{Practice: f.practice.ID, Kind: policy.KindRecall, ID: recall})
	after := f.fingerprint()
	require.Equal(t, http.StatusOK, f.send(http.MethodPost, path, strings.NewReader("List-Unsubscribe=One-Click"), plain).Status, "twice is no error")
	require.Equal(t, after, f.fingerprint())
}

func TestLinks_Unsubscribe_ByThePage(t *testing.T) {
	t.Parallel()
	f := newLinkFixture(t)
	path := "/l/" + f.recallLink(desk.LinkUnsubscribe)
	done := f.fill(path, nil)
	require.Equal(t, http.StatusOK, done.Status)
	require.Equal(t, done.Body, f.get(path).Body)
	require.Equal(t, 1, f.count(`select count(*) from opt_outs`))
}

func TestLinks_BADL6_Guessing_404Then429AndAnAlarm(t *testing.T) {
	t.Parallel()
	f := newLinkFixture(t)
	good := "/l/" + f.visitLink(desk.LinkConfirm)
	statuses := map[int]int{}
	for i := range 10_000 {
		f.address = fmt.Sprintf("198.51.%d.%d:1234", i%5, i/5%200) // many addresses in a few blocks
		statuses[f.get(fmt.Sprintf("/l/%043d", i)).Status]++
	}
	require.InDelta(t, 5*30, statuses[http.StatusNotFound], 60)
	require.Equal(t, 10_000, statuses[http.StatusNotFound]+statuses[http.StatusTooManyRequests])
	a := f.get(good)
	require.Equal(t, http.StatusTooManyRequests, a.Status, "a guesser's neighbour learns nothing either")
	require.NotEmpty(t, a.Header.Get("Retry-After"))
	require.Contains(t, f.log.String(), "somebody guesses links")
	f.address = "203.0.113.8:1234"
	require.Equal(t, http.StatusOK, f.get(good).Status, "others go on")
}

func TestLinks_OneTokenTooOften_429(t *testing.T) {
	t.Parallel()
	f := newLinkFixture(t)
	path, status := "/l/"+f.visitLink(desk.LinkConfirm), http.StatusOK
	for i := 0; i < 100 && status == http.StatusOK; i++ {
		f.address = fmt.Sprintf("192.0.2.%d:1", i)
		status = f.get(path).Status
	}
	require.Equal(t, http.StatusTooManyRequests, status)
}

func TestLinks_OddBodies_AreRefused(t *testing.T) {
	t.Parallel()
	f := newLinkFixture(t)
	path := "/l/" + f.visitLink(desk.LinkCancel)
	large := f.withNonce(path, url.Values{"reason": {strings.Repeat("a", 64<<10)}})
	before := f.fingerprint()
	require.Equal(t, http.StatusRequestEntityTooLarge, f.post(path, large).Status)
	for body, status := range map[string]int{"%zz": http.StatusBadRequest, "a=%ff": http.StatusBadRequest, "a=1;b=2": http.StatusBadRequest} {
		require.Equal(t, status, f.send(http.MethodPost, path, strings.NewReader(body), with("Content-Type", "application/x-www-form-urlencoded")).Status, body)
	}
	for _, kind := range []string{"", "text/plain", "application/json", "multipart/form-data", "multipart/mixed; boundary=x"} {
		require.Equal(t, http.StatusUnsupportedMediaType, f.send(http.MethodPost, path, strings.NewReader("a=1"), with("Content-Type", kind)).Status, kind)
	}
	require.Equal(t, before, f.fingerprint())
}

func TestLinks_Fresh_SaysTheSameWords_AndAsksTheJourneyOnce(t *testing.T) {
	t.Parallel()
	f := newLinkFixture(t)
	known, unknown := "/l/"+f.visitLink(desk.LinkConfirm), "/l/"+strings.Repeat("C", 43)
	f.exec(`update links set revoked_at = now(), revoked_reason = 'address changed'`)
	ask := url.Values{"do": {"fresh"}}
	before, rung := f.fingerprint(), len(f.waker.rings)
	no := f.post(unknown, ask)
	require.Equal(t, before, f.fingerprint())
	yes := f.post(known, ask)
	require.Equal(t, no.Body, yes.Body)
	require.Equal(t, http.StatusOK, yes.Status)
	require.Equal(t, no.Body, f.post(known, ask).Body)
	require.Equal(t, 1, f.count(`select count(*) from overrides where verb = 'fresh_link' and subject_id = $1`, f.visit.ID))
	require.Equal(t, []policy.Subject{{Practice: f.practice.ID, Kind: policy.KindJourney, ID: f.visit.ID}}, f.waker.rings[rung:])
	require.Equal(t, no.Body, f.post("/l/"+f.recallLink(desk.LinkBook), ask).Body)
	require.Equal(t, 1, f.count(`select count(*) from tasks where kind = 'fresh_link' and client_id = $1`, f.client))
	require.Equal(t, http.StatusForbidden, f.post(known, ask, func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "cross-site") }).Status)
}

func TestSpread_QuartersFirst_OthersWhereNoneIsNear(t *testing.T) {
	t.Parallel()
	at := func(clock string) desk.FreeTime {
		start, err := time.Parse("15:04", clock)
		require.NoError(t, err)
		return desk.FreeTime{StartsAt: start}
	}
	var times []desk.FreeTime
	for _, clock := range []string{"09:05", "09:10", "09:15", "09:20", "09:25", "10:10", "10:20", "10:25", "10:40", "10:45"} {
		times = append(times, at(clock))
	}
	var kept []string
	for _, k := range spread(times, time.UTC) {
		kept = append(kept, k.StartsAt.Format("15:04"))
	}
	require.Equal(t, []string{"09:05", "09:15", "10:10", "10:25", "10:40", "10:45"}, kept)
	require.Len(t, times, 10)
}
