package api

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kept-practice/kept/internal/desk"
	"github.com/kept-practice/kept/internal/policy"
)

const intakeForm = `[
	{"key":"concern","label":"What brings you here?","kind":"text","multiline":true,"required":true},
	{"key":"born","label":"Date of birth","kind":"date"},
	{"key":"allergy","label":"Any allergy?","kind":"choice","required":true,"options":[{"value":"no","label":"No"},{"value":"yes","label":"Yes"}]},
	{"key":"which","label":"Which one?","kind":"text","required":true,"show_if":{"field":"allergy","equals":"yes"}},
	{"key":"symptoms","label":"Symptoms","kind":"choice","many":true,"options":[{"value":"cough","label":"Cough"},{"value":"ache","label":"Ache"}]},
	{"key":"news","label":"Send me news","kind":"tick"}
]`

// papers gives the visit a packet of two forms: questions first, then a consent to sign.
func (f *linkFixture) papers() (path string, packet, consent policy.ID) {
	f.t.Helper()
	f.exec(`update forms set fields = $1 where form_key = 'intake'`, intakeForm)
	require.NoError(f.t, f.conn.QueryRow(f.t.Context(), `
		select p.id, f.id from packets p join packet_forms pf on pf.packet_id = p.id join forms f on f.id = pf.form_id
		where f.form_key = 'consent' and p.appointment_id = $1`, f.visit.ID).Scan(&packet, &consent))
	return "/l/" + f.visitLink(desk.LinkIntake), packet, consent
}

func TestLinks_I2_SaveAndResume_NeverShowsAnAnswer(t *testing.T) {
	t.Parallel()
	f := newLinkFixture(t)
	path, _, _ := f.papers()
	require.Contains(t, f.get(path).Body, "to do")
	saved := f.fill(path+"/1", url.Values{"do": {"save"}, "a.concern": {"Secret worry"}, "a.allergy": {"yes"}, "a.which": {"Pollen"}, "a.symptoms": {"ache", "cough"}})
	require.Equal(t, http.StatusSeeOther, saved.Status, saved.Body)
	require.Equal(t, path+"?saved=1", saved.Header.Get("Location"))
	list := f.get(path + "?saved=1")
	require.Contains(t, list.Body, "started")
	require.Contains(t, list.Body, "Saved.")
	page := f.get(path + "/1")
	require.Equal(t, 3, strings.Count(page.Body, `class="answered"`), page.Body)
	for _, never := range []string{"Secret worry", "Pollen", "checked"} {
		require.NotContains(t, page.Body, never)
	}
	require.Empty(t, f.waker.rings, "a draft concerns no plan")

	// Empty fields keep what was saved; the rest is added; one saved answer is taken away.
	sent := f.fill(path+"/1", url.Values{"do": {"send"}, "a.concern": {""}, "a.which": {" "}, "a.born": {"1990-02-28"}, "clear": {"symptoms"}, "a.news": {"yes"}})
	require.Equal(t, http.StatusSeeOther, sent.Status, sent.Body)
	require.Equal(t, 1, f.count(`select count(*) from packet_forms where status = 'submitted'
		and answers = '{"concern":"Secret worry","allergy":"yes","which":"Pollen","born":"1990-02-28","news":true}'`))
	after := f.get(path + "/1")
	require.Contains(t, after.Body, "This form is sent")
	require.NotContains(t, after.Body, "Secret worry")
}

func TestLinks_I2_ConditionsBelowTheirOption_RequiredOnlyWhenAsked(t *testing.T) {
	t.Parallel()
	f := newLinkFixture(t)
	path, _, _ := f.papers()
	page := f.get(path + "/1")
	yes, which := strings.Index(page.Body, `value="yes"`), strings.Index(page.Body, "Which one?")
	require.Less(t, yes, which)
	require.Contains(t, page.Body[yes:which], `class="then"`)
	a := f.fill(path+"/1", url.Values{"do": {"send"}, "a.concern": {"<script>alert(1)</script>"}, "a.allergy": {"yes"}})
	require.Equal(t, http.StatusUnprocessableEntity, a.Status)
	require.Contains(t, a.Body, `id="q-which-error"`)
	require.Contains(t, a.Body, "&lt;script&gt;", "what was typed is there again, and inert")
	require.NotContains(t, a.Body, "<script")
	require.Regexp(t, `value="yes"[^>]* checked`, a.Body)
	require.Zero(t, f.count(`select count(*) from packet_forms where answers <> '{}'`))
	ok := f.fill(path+"/1", url.Values{"do": {"send"}, "a.concern": {"x"}, "a.allergy": {"no"}, "a.which": {"left over"}})
	require.Equal(t, http.StatusSeeOther, ok.Status, ok.Body)
	require.Equal(t, 1, f.count(`select count(*) from packet_forms where answers = '{"concern":"x","allergy":"no"}'`))
}

func TestLinks_BADF1_WhatTheFormDoesNotAsk_422(t *testing.T) {
	t.Parallel()
	f := newLinkFixture(t)
	path, _, _ := f.papers()
	before := f.fingerprint()
	for name, form := range map[string]url.Values{
		"extra question":  {"do": {"save"}, "a.smuggled": {"x"}},
		"extra, empty":    {"do": {"save"}, "a.smuggled": {""}},
		"clear a nothing": {"do": {"save"}, "clear": {"smuggled"}},
		"unknown field":   {"do": {"save"}, "role": {"owner"}},
		"no button":       {"a.concern": {"x"}},
		"odd button":      {"do": {"delete"}, "a.concern": {"x"}},
		"two of one":      {"do": {"save"}, "a.concern": {"x", "y"}},
		"two options":     {"do": {"save"}, "a.allergy": {"yes", "no"}},
		"no such option":  {"do": {"save"}, "a.symptoms": {"plague"}},
		"odd tick":        {"do": {"save"}, "a.news": {"1"}},
		"odd date":        {"do": {"save"}, "a.born": {"yesterday"}},
		"nothing at all":  {"do": {"send"}},
	} {
		a := f.fill(path+"/1", form)
		require.Equal(t, http.StatusUnprocessableEntity, a.Status, "%s: %s", name, a.Body)
	}
	require.Equal(t, before, f.fingerprint())
	require.Equal(t, http.StatusForbidden, f.post(path, f.withNonce(path+"/1", nil)).Status, "the list takes no form")
}

func TestLinks_I3_SignAndVerify_OneByteBreaksIt(t *testing.T) {
	t.Parallel()
	f := newLinkFixture(t)
	path, packet, consent := f.papers()
	require.Equal(t, http.StatusSeeOther, f.fill(path+"/1", url.Values{"do": {"send"}, "a.concern": {"x"}, "a.allergy": {"no"}}).Status)
	require.Empty(t, f.waker.rings)
	for name, form := range map[string]url.Values{
		"no name":      {"a.agree": {"yes"}, "signed": {"yes"}},
		"blank name":   {"a.agree": {"yes"}, "signed": {"yes"}, "signer": {" \u200b "}},
		"no tick":      {"a.agree": {"yes"}, "signer": {"Casey Client"}},
		"no consent":   {"signed": {"yes"}, "signer": {"Casey Client"}},
		"turned name":  {"a.agree": {"yes"}, "signed": {"yes"}, "signer": {"Casey \u202etneilC"}},
		"endless name": {"a.agree": {"yes"}, "signed": {"yes"}, "signer": {strings.Repeat("C", 10_000)}},
	} {
		form.Set("do", "send")
		require.Equal(t, http.StatusUnprocessableEntity, f.fill(path+"/2", form).Status, name)
	}
	form := f.withNonce(path+"/2", url.Values{"do": {"send"}, "a.agree": {"yes"}, "signed": {"yes"}, "signer": {" Casey Client "}})
	answers := f.atOnce(6, func(int) answer { return f.post(path+"/2", form, with("User-Agent", "Pho\u00e9ne 1.0")) })
	for _, a := range answers {
		require.Equal(t, http.StatusSeeOther, a.Status, a.Body)
	}
	require.Equal(t, 1, f.count(`select count(*) from journal where verb = 'packet_completed'`))
	require.Equal(t, []policy.Subject{{Practice: f.practice.ID, Kind: policy.KindJourney, ID: f.visit.ID}}, f.waker.rings)
	require.Contains(t, f.get(path).Body, "All your papers are here")

	verify := func() desk.Signature {
		t.Helper()
		s, err := f.desk.VerifySignature(t.Context(), f.practice.ID, packet, consent)
		require.NoError(t, err)
		return s
	}
	s := verify()
	require.True(t, s.Intact)
	require.Equal(t, "Casey Client", s.Signer)
	require.Equal(t, linkMonday, s.SignedAt.UTC())
	require.Equal(t, 1, f.count(`select count(*) from packet_forms where signed_ip = '203.0.113.7' and signed_agent = 'Phone 1.0' and length(document_hash) = 32`))
	for name, change := range map[string][2]string{
		"document text": {`update forms set document = document || '.' where form_key = 'consent'`, `update forms set document = left(document, -1) where form_key = 'consent'`},
		"title":         {`update forms set title = 'your consent' where form_key = 'consent'`, `update forms set title = 'Your consent' where form_key = 'consent'`},
		"an answer":     {`update packet_forms set answers = '{"agree":false}' where signed_name <> ''`, `update packet_forms set answers = '{"agree":true}' where signed_name <> ''`},
		"the name":      {`update packet_forms set signed_name = 'Casey Cliend' where signed_name <> ''`, `update packet_forms set signed_name = 'Casey Client' where signed_name <> ''`},
		"the instant":   {`update packet_forms set signed_at = signed_at + interval '1 microsecond'`, `update packet_forms set signed_at = signed_at - interval '1 microsecond'`},
		"the copy": {
			`update packet_forms set document = set_byte(document, 5, get_byte(document, 5) # 1) where document is not null`,
			`update packet_forms set document = set_byte(document, 5, get_byte(document, 5) # 1) where document is not null`,
		},
		"the hash": {
			`update packet_forms set document_hash = set_byte(document_hash, 0, get_byte(document_hash, 0) # 1) where document is not null`,
			`update packet_forms set document_hash = set_byte(document_hash, 0, get_byte(document_hash, 0) # 1) where document is not null`,
		},
	} {
		f.exec(change[0])
		require.False(t, verify().Intact, name)
		f.exec(change[1])
		require.True(t, verify().Intact, name)
	}
	intake := policy.ID{}
	require.NoError(t, f.conn.QueryRow(t.Context(), `select form_id from packet_forms where signed_name = ''`).Scan(&intake))
	_, err := f.desk.VerifySignature(t.Context(), f.practice.ID, packet, intake)
	require.Equal(t, policy.Conflict, policy.KindOf(err))
	_, err = f.desk.VerifySignature(t.Context(), otherPractice(t, f), packet, consent)
	require.Equal(t, policy.NotFound, policy.KindOf(err), "another practice has no such packet")
}

// otherPractice is the other practice of the database.
func otherPractice(t *testing.T, f *linkFixture) (other policy.ID) {
	t.Helper()
	require.NoError(t, f.conn.QueryRow(t.Context(), `select id from practices where id <> $1`, f.practice.ID).Scan(&other))
	return other
}

func TestLinks_Intake_UntilTheVisit(t *testing.T) {
	t.Parallel()
	f := newLinkFixture(t)
	path, _, _ := f.papers()
	form := f.withNonce(path+"/1", url.Values{"do": {"save"}, "a.concern": {"x"}})
	f.setClock(f.visit.StartsAt)
	require.Equal(t, http.StatusConflict, f.post(path+"/1", form).Status)
	require.Equal(t, http.StatusOK, f.get(path).Status)
	require.NotContains(t, f.get(path+"/1").Body, "<form")
}

func TestSubmitForm_ByStaff_FollowsTheSameRules(t *testing.T) {
	t.Parallel()
	f := newLinkFixture(t)
	_, packet, consent := f.papers()
	in := desk.FormInput{Packet: packet, Form: consent, Answers: map[string]any{"agree": true}, Signer: "Casey Client", Signed: true}
	_, err := f.desk.SubmitForm(t.Context(), f.staff(), in)
	require.NoError(t, err)
	_, err = f.desk.SubmitForm(t.Context(), f.staff(), in)
	require.Equal(t, "form_submitted", policy.CodeOf(err))
	stranger := policy.Principal{Kind: policy.ByClient, Practice: f.practice.ID, Client: &consent}
	_, err = f.desk.SaveForm(t.Context(), stranger, in)
	require.Equal(t, policy.NotFound, policy.KindOf(err))
	other := f.staff()
	other.Practice = otherPractice(t, f)
	_, err = f.desk.SaveForm(t.Context(), other, in)
	require.Equal(t, policy.NotFound, policy.KindOf(err))
}
