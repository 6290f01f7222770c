package api

import (
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kept-practice/kept/internal/desk"
	"github.com/kept-practice/kept/internal/policy"
)

// everyLink is one open link of each purpose.
func (f *linkFixture) everyLink() map[string]string {
	f.t.Helper()
	out := map[string]string{}
	for _, purpose := range []string{desk.LinkConfirm, desk.LinkMove, desk.LinkCancel, desk.LinkIntake, desk.LinkCheckIn} {
		out[purpose] = "/l/" + f.visitLink(purpose)
	}
	out["form"] = out[desk.LinkIntake] + "/1"
	out[desk.LinkPay] = "/l/" + f.mint(desk.LinkPay, policy.KindCollection, f.invoice("issued", 0), 0, linkMonday.Add(365*24*time.Hour))
	recall := f.recall()
	out[desk.LinkBook] = "/l/" + f.mint(desk.LinkBook, policy.KindRecall, recall, 0, linkMonday.Add(60*24*time.Hour))
	out[desk.LinkUnsubscribe] = "/l/" + f.mint(desk.LinkUnsubscribe, policy.KindRecall, recall, 0, linkMonday.Add(3650*24*time.Hour))
	out[desk.LinkPreferences] = "/l/" + f.visitLink(desk.LinkPreferences)
	return out
}

// Mail scanners open every link, follow what they find and try what they know; none of it may change one byte.
func TestLinks_C15_Scanner_ChangesNothing(t *testing.T) {
	t.Parallel()
	f := newLinkFixture(t)
	paths := f.everyLink()
	f.setClock(time.Date(2031, 3, 6, 14, 0, 0, 0, time.UTC)) // check-in is open
	before := f.fingerprint()
	for purpose, path := range paths {
		for _, target := range []string{path, path + "?action=confirm&confirm=1&do=send&slot=now", path + "?List-Unsubscribe=One-Click", path + "?day=2031-03-07&from=x&with=any"} {
			for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodOptions} {
				a := f.send(method, target, nil)
				require.Less(t, a.Status, 300, "%s %s", method, purpose)
			}
			f.get(target, with("Purpose", "prefetch"), with("Sec-Purpose", "prefetch;prerender"), with("X-Moz", "prefetch"))
			f.get(target, with("X-HTTP-Method-Override", "POST"), with("User-Agent", "Mozilla/5.0 BarracudaCentral"))
		}
		for _, method := range []string{http.MethodPut, http.MethodDelete, http.MethodPatch} {
			require.Equal(t, http.StatusMethodNotAllowed, f.send(method, path, nil).Status)
		}
		// Scripts of a scanner that send what a form might hold, without the page's nonce or from elsewhere.
		for _, form := range []url.Values{{}, {"nonce": {""}}, {"nonce": {"AAAA"}}, {"do": {"send"}}} {
			require.Equal(t, http.StatusForbidden, f.post(path, form).Status, purpose)
		}
	}
	require.Equal(t, before, f.fingerprint())
	require.Empty(t, f.waker.rings)
	require.Empty(t, f.checkout.asked)
}

func TestLinks_EveryPage_IsPrivateAndWithoutScript(t *testing.T) {
	t.Parallel()
	f := newLinkFixture(t)
	paths := f.everyLink()
	paths["unknown"] = "/l/" + strings.Repeat("A", 43)
	paths["paid"], paths["unpaid"] = PaidPath, UnpaidPath
	for name, path := range paths {
		a := f.get(path)
		require.Equal(t, "text/html; charset=utf-8", a.Header.Get("Content-Type"), name)
		require.Equal(t, "no-store", a.Header.Get("Cache-Control"), name)
		require.Equal(t, "no-referrer", a.Header.Get("Referrer-Policy"), name)
		require.Contains(t, a.Header.Get("X-Robots-Tag"), "noindex", name)
		require.Equal(t, "nosniff", a.Header.Get("X-Content-Type-Options"), name)
		csp := a.Header.Get("Content-Security-Policy")
		require.Contains(t, csp, "default-src 'none'", name)
		require.NotContains(t, csp, "script", name)
		require.NotContains(t, csp, "unsafe", name)
		require.Empty(t, a.Header.Values("Set-Cookie"), name)
		for _, never := range []string{"<script", "javascript:", "http://", "https://", " style=", "onload", "First visit", "Psychotherapy", "Client", "casey@"} {
			require.NotContains(t, a.Body, never, name)
		}
		for _, id := range []policy.ID{f.practice.ID, f.client, f.visit.ID, f.practice.Providers[0], f.practice.Services[0]} {
			require.NotContains(t, a.Body, id.String(), name)
		}
		require.NotContains(t, a.Body[:strings.Index(a.Body, "</title>")], "Casey", name)
	}
	a := f.get(paths[desk.LinkConfirm])
	for _, shown := range []string{"Casey", "Thursday, March 6, 2031", "10:00 AM", "EST, New York time", "Harbour Lane", "603"} {
		require.Contains(t, a.Body, shown)
	}
	style := f.get(f.styleOf(a))
	require.Equal(t, "text/css; charset=utf-8", style.Header.Get("Content-Type"))
	require.LessOrEqual(t, len(style.Body), 6<<10)
	require.NotContains(t, f.log.String(), strings.TrimPrefix(paths[desk.LinkConfirm], "/l/"), "a token stands in the log")
}

func (f *linkFixture) styleOf(a answer) string {
	f.t.Helper()
	_, rest, found := strings.Cut(a.Body, `rel="stylesheet" href="`)
	require.True(f.t, found)
	path, _, _ := strings.Cut(rest, `"`)
	return path
}

func TestLinks_Confirm_ActsOnceAndAnswersStably(t *testing.T) {
	t.Parallel()
	f := newLinkFixture(t)
	path := "/l/" + f.visitLink(desk.LinkConfirm)
	form := f.withNonce(path, nil)
	first := f.post(path, form)
	require.Equal(t, http.StatusOK, first.Status, first.Body)
	require.Contains(t, first.Body, "Your visit is confirmed")
	require.Equal(t, "confirmed", f.status())
	require.Equal(t, []policy.Subject{{Practice: f.practice.ID, Kind: policy.KindJourney, ID: f.visit.ID}}, f.waker.rings)
	before := f.fingerprint()
	again := f.post(path, form)
	require.Equal(t, first.Body, again.Body)
	require.Equal(t, first.Body, f.get(path).Body)
	require.Equal(t, before, f.fingerprint())
	require.Equal(t, 1, f.count(`select count(*) from journal where verb = 'appointment_confirmed' and actor_kind = 'client' and actor_id = $1`, f.client))
}

func TestLinks_WithoutProof_403AndNothingHappens(t *testing.T) {
	t.Parallel()
	f := newLinkFixture(t)
	path, other := "/l/"+f.visitLink(desk.LinkCancel), "/l/"+f.visitLink(desk.LinkConfirm)
	form := f.withNonce(path, nil)
	before := f.fingerprint()
	plain := with("Content-Type", "application/x-www-form-urlencoded")
	for name, a := range map[string]answer{
		"nonce of another link": f.post(path, f.withNonce(other, nil)),
		"no nonce":              f.post(path, nil),
		"two nonces":            f.post(path, url.Values{"nonce": {form.Get("nonce"), form.Get("nonce")}}),
		"altered nonce":         f.post(path, url.Values{"nonce": {strings.Replace(form.Get("nonce"), form.Get("nonce")[9:12], "zZz", 1)}}),
		"cross-site":            f.send(http.MethodPost, path, strings.NewReader(form.Encode()), plain, with("Sec-Fetch-Site", "cross-site")),
		"same site, not origin": f.send(http.MethodPost, path, strings.NewReader(form.Encode()), plain, with("Sec-Fetch-Site", "same-site")),
		"foreign origin":        f.send(http.MethodPost, path, strings.NewReader(form.Encode()), plain, with("Origin", "https://evil.example")),
		"no proof at all":       f.send(http.MethodPost, path, strings.NewReader(form.Encode()), plain),
	} {
		require.Equal(t, http.StatusForbidden, a.Status, name)
	}
	require.Equal(t, before, f.fingerprint())
	require.Equal(t, http.StatusOK, f.send(http.MethodPost, path, strings.NewReader(form.Encode()), plain, with("Origin", linkOrigin)).Status)
	require.Equal(t, "cancelled", f.status())
}

func TestLinks_BADL_EveryTokenNotExactlyOurs_TheSame404(t *testing.T) {
	t.Parallel()
	f := newLinkFixture(t)
	known := f.visitLink(desk.LinkConfirm)
	want := f.get("/l/" + strings.Repeat("B", 43))
	require.Equal(t, http.StatusNotFound, want.Status)
	require.Contains(t, want.Body, "fresh")
	for name, token := range map[string]string{
		"cut off": known[:42], "one more": known + "A", "other case": strings.ToLower(known), "padded": known + "=", "short": "a", "escaped": "%41" + known[1:],
		"id": f.visit.ID.String(), "quote": "'--", "form of a confirm link": known + "/1", "no such form": f.visitLink(desk.LinkIntake) + "/9",
		"odd number of a form": f.visitLink(desk.LinkIntake) + "/01",
	} {
		if name == "escaped" && strings.HasPrefix(known, "A") {
			continue
		}
		a := f.get("/l/" + token)
		require.Equal(t, http.StatusNotFound, a.Status, name)
		require.Equal(t, want.Body, a.Body, name)
	}
	f.setClock(f.visit.StartsAt.Add(31 * 24 * time.Hour))
	require.Equal(t, want.Body, f.get("/l/"+known).Body, "long expired")
	f.setClock(linkMonday)
	require.Equal(t, http.StatusOK, f.get("/l/"+known).Status)
	f.exec(`update links set revoked_at = now(), revoked_reason = 'address changed'`)
	require.Equal(t, want.Body, f.get("/l/"+known).Body, "changed address")
	f.exec(`update links set revoked_at = null, revoked_reason = ''`)
	f.exec(`update clients set status = 'erased'`)
	require.Equal(t, want.Body, f.get("/l/"+known).Body, "erased")
	require.Equal(t, want.Body, f.post("/l/"+known, nil).Body)
}

func TestLinks_BADL1_CancelledOrMoved_410WithTheNextStep(t *testing.T) {
	t.Parallel()
	f := newLinkFixture(t)
	confirm, cancel, intake := "/l/"+f.visitLink(desk.LinkConfirm), "/l/"+f.visitLink(desk.LinkCancel), "/l/"+f.visitLink(desk.LinkIntake)
	moved, err := f.desk.Move(t.Context(), f.staff(), desk.MoveInput{Appointment: f.visit.ID, StartsAt: "2031-03-07T11:00"})
	require.NoError(t, err)
	for _, path := range []string{confirm, cancel} {
		for _, a := range []answer{f.get(path), f.post(path, nil)} {
			require.Equal(t, http.StatusGone, a.Status)
			require.Contains(t, a.Body, "newest message")
			require.Contains(t, a.Body, "Harbour Lane")
		}
	}
	require.Contains(t, f.get(intake).Body, "Friday, March 7, 2031", "papers move along")
	f.visit = moved.Appointment
	fresh := "/l/" + f.visitLink(desk.LinkConfirm)
	require.Equal(t, http.StatusOK, f.get(fresh).Status)
	_, err = f.desk.SetStatus(t.Context(), f.staff(), desk.StatusInput{Appointment: f.visit.ID, Verb: policy.VerbCancel, Reason: "ill"})
	require.NoError(t, err)
	for _, path := range []string{fresh, intake, confirm} {
		a := f.get(path)
		require.Equal(t, http.StatusGone, a.Status)
		require.Contains(t, a.Body, "cancelled")
	}
}

func TestLinks_BADL2_ATokenActsOnItsOnePurposeOnly(t *testing.T) {
	t.Parallel()
	f := newLinkFixture(t)
	token := f.visitLink(desk.LinkConfirm)
	ctx, p := t.Context(), desk.Post{Nonce: make([]byte, 32)}
	before := f.fingerprint()
	for name, act := range map[string]func() (desk.Acted, error){
		"cancel":      func() (desk.Acted, error) { return f.desk.CancelByLink(ctx, token, p, "") },
		"check in":    func() (desk.Acted, error) { return f.desk.CheckInByLink(ctx, token, p) },
		"move":        func() (desk.Acted, error) { return f.desk.MoveByLink(ctx, token, p, desk.FreeTime{}) },
		"book":        func() (desk.Acted, error) { return f.desk.BookByLink(ctx, token, p, desk.FreeTime{}) },
		"save":        func() (desk.Acted, error) { return f.desk.SaveFormByLink(ctx, token, p, desk.LinkForm{N: 1}) },
		"unsubscribe": func() (desk.Acted, error) { return f.desk.UnsubscribeByLink(ctx, token, nil, "") },
	} {
		_, err := act()
		require.Equal(t, policy.NotFound, policy.KindOf(err), name)
	}
	a := f.fill("/l/"+token, url.Values{"reason": {"no"}})
	require.Equal(t, http.StatusUnprocessableEntity, a.Status)
	require.Equal(t, before, f.fingerprint())
}

func TestLinks_BADL4_OnePostManyTimesAtOnce_OneEffect(t *testing.T) {
	t.Parallel()
	f := newLinkFixture(t)
	path := "/l/" + f.visitLink(desk.LinkMove)
	page := f.get(path)
	form := f.withNonce(path, url.Values{"slot": {slots(page.Body)[3]}})
	answers := f.atOnce(8, func(int) answer { return f.post(path, form) })
	for _, a := range answers {
		require.Equal(t, http.StatusOK, a.Status, a.Body)
		require.Equal(t, answers[0].Body, a.Body)
	}
	require.Equal(t, 1, f.count(`select count(*) from journal where verb = 'appointment_moved'`))
	require.Equal(t, 1, f.count(`select count(*) from link_posts`))
}

func TestLinks_BADL4_ConfirmAndCancelAtOnce_EndCancelledOnce(t *testing.T) {
	t.Parallel()
	f := newLinkFixture(t)
	confirm, cancel := "/l/"+f.visitLink(desk.LinkConfirm), "/l/"+f.visitLink(desk.LinkCancel)
	forms := []url.Values{f.withNonce(confirm, nil), f.withNonce(cancel, nil)}
	answers := f.atOnce(8, func(i int) answer { return f.post([]string{confirm, cancel}[i%2], forms[i%2]) })
	for i, a := range answers {
		if i%2 == 1 {
			require.Equal(t, http.StatusOK, a.Status, a.Body)
			continue
		}
		require.Contains(t, []int{http.StatusOK, http.StatusGone, http.StatusConflict}, a.Status, a.Body)
	}
	require.Equal(t, "cancelled", f.status())
	require.Equal(t, 1, f.count(`select count(*) from journal where verb = 'appointment_cancelled'`))
	require.LessOrEqual(t, f.count(`select count(*) from journal where verb = 'appointment_confirmed'`), 1)
	require.Contains(t, f.get(cancel).Body, "Your visit is cancelled")
	require.Equal(t, http.StatusGone, f.get(confirm).Status)
}

func (f *linkFixture) atOnce(n int, do func(i int) answer) []answer {
	f.t.Helper()
	out := make([]answer, n)
	var wait sync.WaitGroup
	for i := range n {
		wait.Go(func() { out[i] = do(i) })
	}
	wait.Wait()
	return out
}

func TestLinks_BADL5_AfterTheStart_409WithTheFacts(t *testing.T) {
	t.Parallel()
	f := newLinkFixture(t)
	for _, purpose := range []string{desk.LinkConfirm, desk.LinkCancel, desk.LinkMove} {
		path := "/l/" + f.visitLink(purpose)
		f.setClock(linkMonday)
		form := f.withNonce(path, url.Values{})
		f.setClock(f.visit.StartsAt)
		before := f.fingerprint()
		a := f.post(path, form)
		require.Equal(t, http.StatusConflict, a.Status, purpose)
		require.Contains(t, a.Body, "Thursday, March 6, 2031", purpose)
		require.Equal(t, http.StatusOK, f.get(path).Status, "it stays readable")
		require.NotContains(t, f.get(path).Body, "<form", purpose)
		require.Equal(t, before, f.fingerprint(), purpose)
	}
}

func TestLinks_BADL5_InsideTheNoCancelWindow_409(t *testing.T) {
	t.Parallel()
	f := newLinkFixture(t)
	path := "/l/" + f.visitLink(desk.LinkCancel)
	form := f.withNonce(path, nil)
	f.exec(`insert into settings (practice_id, level, scope_id, key, value) values ($1, 'practice', $1, 'no_cancel_minutes', '1440')`, f.practice.ID)
	require.Contains(t, f.get(path).Body, "You can cancel here until 10:00 AM on Wednesday, March 5, 2031")
	f.setClock(f.visit.StartsAt.Add(-24 * time.Hour))
	a := f.post(path, form)
	require.Equal(t, http.StatusConflict, a.Status)
	require.Contains(t, a.Body, "call us")
	require.Equal(t, "booked", f.status())
}

func TestLinks_Cancel_KeepsTheReason(t *testing.T) {
	t.Parallel()
	f := newLinkFixture(t)
	path := "/l/" + f.visitLink(desk.LinkCancel)
	refused := f.fill(path, url.Values{"reason": {"a\x00b"}})
	require.Equal(t, http.StatusUnprocessableEntity, refused.Status)
	require.Equal(t, "booked", f.status())
	a := f.fill(path, url.Values{"reason": {` <b>ill</b> {{7*7}} `}})
	require.Equal(t, http.StatusOK, a.Status)
	require.Equal(t, 1, f.count(`select count(*) from appointments where cancel_reason = '<b>ill</b> {{7*7}}' and cancelled_by = 'client'`))
}

func TestLinks_X1_CheckIn_OpensThreeHoursBeforeAndMarksOnce(t *testing.T) {
	t.Parallel()
	f := newLinkFixture(t)
	path := "/l/" + f.visitLink(desk.LinkCheckIn)
	require.Contains(t, f.get(path).Body, "from 7:00 AM on Thursday, March 6, 2031 on")
	f.setClock(f.visit.StartsAt.Add(5 * time.Minute)) // late, and still welcome
	a := f.get(path)
	require.Contains(t, a.Body, "About you")
	done := f.fill(path, nil)
	require.Equal(t, http.StatusOK, done.Status)
	require.Contains(t, done.Body, "You are checked in")
	require.Contains(t, done.Body, "Your consent", "what is missing is said again")
	require.Equal(t, "arrived", f.status())
	require.Equal(t, done.Body, f.get(path).Body)
	require.Equal(t, 1, f.count(`select count(*) from journal where verb = 'appointment_arrived'`))
}

func TestLinks_OldNonce_DrawsTheFormAgainWithWhatWasTyped(t *testing.T) {
	t.Parallel()
	f := newLinkFixture(t)
	path := "/l/" + f.visitLink(desk.LinkCancel)
	l := &links{deps: LinkDeps{NonceKey: []byte(strings.Repeat("k", 32))}}
	b := make([]byte, nonceSize) // made in 1970
	copy(b[nonceHead:], l.mac("nonce", path, string(b[:nonceHead])))
	a := f.post(path, url.Values{"nonce": {encodeNonce(b)}, "reason": {"a long letter"}})
	require.Equal(t, http.StatusForbidden, a.Status)
	require.Contains(t, a.Body, "a long letter")
	require.Contains(t, a.Body, "open for a long time")
	require.Equal(t, "booked", f.status())
}

func TestLinks_WhileTheClockAdvances_409(t *testing.T) {
	t.Parallel()
	f := newLinkFixture(t)
	path := "/l/" + f.visitLink(desk.LinkConfirm)
	form := f.withNonce(path, nil)
	f.exec(`update test_clocks set status = 'advancing', target_at = now_at + interval '1 day'`)
	require.Equal(t, http.StatusConflict, f.post(path, form).Status)
	f.exec(`update test_clocks set status = 'ready'`)
	require.Equal(t, http.StatusOK, f.post(path, form).Status, "the nonce was not spent")
}
