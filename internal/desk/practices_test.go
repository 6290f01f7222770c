package desk_test

import (
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kept-practice/kept/internal/desk"
	"github.com/kept-practice/kept/internal/policy"
)

func TestCreatePractice_CanBeBookedAtOnce(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	client := o.newClient("Casey", "Client", desk.ClientInput{Mail: "casey@example.org"})
	booked := o.book(client.ID, o.made.Services[0], 1, 0)
	require.NotEmpty(t, booked.IntakeToken, "a first visit asks for papers")
	require.Equal(t, 18, o.count(`select count(*) from message_templates where practice_id = $1`, o.made.ID))
	require.Equal(t, 3, o.count(`select count(*) from cadence_versions where practice_id = $1 and status = 'published'`, o.made.ID))
	require.Equal(t, 1, o.count(`select count(*) from test_clocks where practice_id = $1 and now_at <= clock_timestamp()`, o.made.ID))
	require.Equal(t, 1, o.count(`select count(*) from journal where practice_id = $1 and verb = 'practice_created'`, o.made.ID))
	require.Zero(t, o.count(`select count(*) from service_prices where practice_id = $1 and amount <> 0`, o.made.ID), "a price nobody set")
}

// A live practice has no clock of its own, for ever.
func TestCreatePractice_Live_FollowsTheRealClock(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	in := practiceInput("Live")
	in.Mode = desk.ModeLive
	live, err := o.CreatePractice(t.Context(), in)
	require.NoError(t, err)
	require.True(t, strings.HasPrefix(live.Key.Text, "kept_live_"))
	require.Zero(t, o.count(`select count(*) from test_clocks where practice_id = $1`, live.ID))
}

func TestCreatePractice_BadInput_MakesNothing(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	before := o.count(`select count(*) from practices`)
	for name, bad := range map[string]struct {
		change  func(*desk.PracticeInput)
		pointer string
		code    string
	}{
		"BAD-X1 only spaces":         {func(in *desk.PracticeInput) { in.Name = "   " }, "/name", "empty"},
		"BAD-X1 10,000 characters":   {func(in *desk.PracticeInput) { in.Name = strings.Repeat("x", 10_000) }, "/name", "too_long"},
		"BAD-X2 NUL":                 {func(in *desk.PracticeInput) { in.Name = "Harbour\x00Lane" }, "/name", "control_character"},
		"BAD-X invalid UTF-8":        {func(in *desk.PracticeInput) { in.Name = "Harbour\xff" }, "/name", "invalid_utf8"},
		"BAD-X direction override":   {func(in *desk.PracticeInput) { in.Name = "Harbour \u202e Lane" }, "/name", "direction_override"},
		"BAD-X4 line break":          {func(in *desk.PracticeInput) { in.Name = "Harbour\r\nBcc: x@example.org" }, "/name", "line_break"},
		"BAD-X4 line break in mail":  {func(in *desk.PracticeInput) { in.Mail = "a@example.org\nb@example.org" }, "/mail", "invalid_mail"},
		"two mailboxes":              {func(in *desk.PracticeInput) { in.Mail = "a@example.org,b@example.org" }, "/mail", "invalid_mail"},
		"BAD-T offset as zone":       {func(in *desk.PracticeInput) { in.Zone = "+02:00" }, "/zone", "invalid_zone"},
		"BAD-T zone as path":         {func(in *desk.PracticeInput) { in.Zone = "../etc/passwd" }, "/zone", "invalid_zone"},
		"BAD-T zone in wrong casing": {func(in *desk.PracticeInput) { in.Zone = "america/new_york" }, "/zone", "invalid_zone"},
		"unknown currency":           {func(in *desk.PracticeInput) { in.Currency = "XXX" }, "/currency", "unknown_currency"},
		"lower-case currency":        {func(in *desk.PracticeInput) { in.Currency = "usd" }, "/currency", "unknown_currency"},
		"unknown country":            {func(in *desk.PracticeInput) { in.Country = "ZZ" }, "/country", "unknown_country"},
		"no mode":                    {func(in *desk.PracticeInput) { in.Mode = "" }, "/mode", "not_a_choice"},
		"BAD-X5 phone with letters":  {func(in *desk.PracticeInput) { in.Phone = "1-800-FLOWERS" }, "/phone", "invalid_phone"},
		"BAD-X5 short code":          {func(in *desk.PracticeInput) { in.Phone = "911" }, "/phone", "invalid_phone"},
	} {
		in := practiceInput("Bad")
		bad.change(&in)
		_, err := o.CreatePractice(t.Context(), in)
		require.Error(t, err, name)
		require.Equal(t, bad.code, policy.CodeOf(err), name)
		refused(t, err, policy.Invalid, bad.code, bad.pointer)
	}
	require.Equal(t, before, o.count(`select count(*) from practices`))
}

// BAD-X3: what looks like code is kept as written; whoever shows it makes it inert.
func TestCreatePractice_MarkupInTheName_IsKeptAsWritten(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	for _, name := range []string{`<script>alert(1)</script>`, `"><img onerror=x>`, `{{7*7}}`, `${jndi:ldap://x}`, `'; drop table practices; --`, "Zoë's 診療所 👩‍⚕️"} {
		made := o.practice(name)
		row, err := o.store.In(made.ID).PracticeByID(t.Context(), made.ID)
		require.NoError(t, err)
		require.Equal(t, name, row.Name)
	}
}

// BAD-O4
func TestUpdatePractice_TwoOwnersSaveAtOnce_OneWins(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	row, err := o.store.In(o.made.ID).PracticeByID(t.Context(), o.made.ID)
	require.NoError(t, err)
	errs := make([]error, 2)
	var wait sync.WaitGroup
	for i := range errs {
		wait.Go(func() {
			_, errs[i] = o.UpdatePractice(t.Context(), o.by, desk.PracticePatch{Version: row.Version, Name: ptr([]string{"One", "Two"}[i])})
		})
	}
	wait.Wait()
	require.True(t, (errs[0] == nil) != (errs[1] == nil))
	if errs[0] == nil {
		errs[0] = errs[1]
	}
	refused(t, errs[0], policy.Conflict, "stale_version")
	require.Equal(t, 1, o.count(`select count(*) from journal where practice_id = $1 and verb = 'practice_updated'`, o.made.ID))
}

func TestStaff_LastOwner_Stays(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	for _, patch := range []desk.StaffPatch{
		{ID: o.made.Owner, Version: 1, Role: ptr(policy.RoleManager)},
		{ID: o.made.Owner, Version: 1, Archived: ptr(true)},
	} {
		_, err := o.UpdateStaff(t.Context(), o.by, patch)
		refused(t, err, policy.Forbidden, "last_owner")
	}
	_, err := o.AddStaff(t.Context(), o.by, desk.StaffInput{Name: "Second Owner", Mail: "second@example.org", Role: policy.RoleOwner})
	require.NoError(t, err)
	_, err = o.UpdateStaff(t.Context(), o.by, desk.StaffPatch{ID: o.made.Owner, Version: 1, Archived: ptr(true)})
	require.NoError(t, err)
}

// BAD-O5: of two owners who leave at the same moment, one is told to stay.
func TestStaff_TwoOwnersLeaveAtOnce_OneStays(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	second, err := o.AddStaff(t.Context(), o.by, desk.StaffInput{Name: "Second Owner", Mail: "second@example.org", Role: policy.RoleOwner})
	require.NoError(t, err)
	errs := make([]error, 2)
	var wait sync.WaitGroup
	for i, id := range []policy.ID{o.made.Owner, second.ID} {
		wait.Go(func() {
			_, errs[i] = o.UpdateStaff(t.Context(), o.by, desk.StaffPatch{ID: id, Version: 1, Role: ptr(policy.RoleViewer)})
		})
	}
	wait.Wait()
	require.True(t, (errs[0] == nil) != (errs[1] == nil), "%v / %v", errs[0], errs[1])
	require.Equal(t, 1, o.count(`select count(*) from staff where practice_id = $1 and role = 'owner' and archived_at is null`, o.made.ID))
}

// BAD-O5, BAD-A1: nobody gives, takes or mints what they do not have.
func TestStaff_RolesAboveOnesOwn_AreForbidden(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	person, err := o.AddStaff(t.Context(), o.by, desk.StaffInput{Name: "Max Manager", Mail: "max@example.org", Role: policy.RoleManager})
	require.NoError(t, err)
	manager := policy.Principal{Kind: policy.ByStaff, Practice: o.made.ID, Staff: &person.ID, Role: policy.RoleManager}
	_, err = o.UpdateStaff(t.Context(), manager, desk.StaffPatch{ID: person.ID, Version: 1, Role: ptr(policy.RoleOwner)})
	refused(t, err, policy.Forbidden, "role_above_own")
	_, err = o.UpdateStaff(t.Context(), manager, desk.StaffPatch{ID: o.made.Owner, Version: 1, Role: ptr(policy.RoleViewer)})
	refused(t, err, policy.Forbidden, "role_above_own")
	_, err = o.AddStaff(t.Context(), manager, desk.StaffInput{Name: "X", Mail: "x@example.org", Role: policy.RoleOwner})
	refused(t, err, policy.Forbidden, "role_above_own")
	_, err = o.CreateKey(t.Context(), manager, desk.KeyInput{Name: "x", Role: policy.RoleOwner})
	refused(t, err, policy.Forbidden, "role_above_own")
	_, err = o.AddStaff(t.Context(), o.by, desk.StaffInput{Name: "Max Again", Mail: "max@example.org", Role: policy.RoleViewer})
	refused(t, err, policy.Conflict, "mail_in_use")
	_, err = o.AddStaff(t.Context(), o.by, desk.StaffInput{Name: "X", Mail: "x@example.org", Role: "superuser"})
	refused(t, err, policy.Invalid, "not_a_choice", "/role")
}

func TestKeys_OpenTheirPracticeUntilRevoked(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	first, ok := desk.ParseKey(o.made.Key.Text)
	require.True(t, ok)
	practice, err := o.store.Anyone().PracticeOfAPIKey(t.Context(), first)
	require.NoError(t, err)
	require.Equal(t, o.made.ID, practice)

	made, err := o.CreateKey(t.Context(), o.by, desk.KeyInput{Name: "Front desk", Role: policy.RoleFrontDesk, ExpiresAt: ptr(time.Now().Add(time.Hour))})
	require.NoError(t, err)
	hash, ok := desk.ParseKey(made.Key.Text)
	require.True(t, ok)
	row, err := o.store.In(o.made.ID).APIKeyByHash(t.Context(), o.made.ID, hash)
	require.NoError(t, err)
	require.Equal(t, "front_desk", row.Role)
	require.False(t, row.Revoked || row.Expired)

	require.NoError(t, o.RevokeKey(t.Context(), o.by, made.ID))
	require.NoError(t, o.RevokeKey(t.Context(), o.by, made.ID), "a second time changes nothing")
	row, err = o.store.In(o.made.ID).APIKeyByHash(t.Context(), o.made.ID, hash)
	require.NoError(t, err)
	require.True(t, row.Revoked)
	require.Equal(t, 1, o.count(`select count(*) from journal where practice_id = $1 and verb = 'api_key_revoked'`, o.made.ID))
	require.Zero(t, o.count(`select count(*) from journal where after::text like '%' || $1 || '%'`, made.Key.Text), "the journal tells a key")

	_, err = o.CreateKey(t.Context(), o.by, desk.KeyInput{Name: "late", Role: policy.RoleViewer, ExpiresAt: ptr(time.Now().Add(-time.Second))})
	refused(t, err, policy.Invalid, "in_the_past", "/expires_at")
}

func TestKeys_MistypedOrCutShort_AreNoKeys(t *testing.T) {
	t.Parallel()
	key := desk.NewKey(desk.ModeTest).Text
	_, ok := desk.ParseKey(key)
	require.True(t, ok)
	require.Len(t, key, len("kept_test_")+59)
	other := byte('x')
	if key[20] == other {
		other = 'y'
	}
	for _, wrong := range []string{
		"", key[:len(key)-1], key + "0", key[1:], strings.Replace(key, "test", "live", 1), strings.ToUpper(key), key[:20] + string(other) + key[21:], " " + key,
	} {
		_, ok := desk.ParseKey(wrong)
		require.False(t, ok, wrong)
	}
}
