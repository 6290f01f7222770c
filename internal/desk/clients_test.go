package desk_test

import (
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kept-practice/kept/db"
	"github.com/kept-practice/kept/internal/desk"
	"github.com/kept-practice/kept/internal/policy"
)

func TestCreateClient_AddressesBecomeOneForm(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	c := o.newClient("  José  ", "O'Brien-Łukasz", desk.ClientInput{Mail: "Jose@Example.org", Phone: "(202) 555-0123", BirthdayOn: ptr(policy.MustLocalDate("1980-02-29"))})
	require.Equal(t, "José", c.GivenName)
	require.Equal(t, "mail", c.Prefers)
	got := map[string]db.ContactPointsOfRow{}
	for _, p := range c.Contacts {
		got[p.Channel] = p
	}
	require.Equal(t, "jose@example.org", got["mail"].Address)
	require.Equal(t, "Jose@Example.org", got["mail"].Shown)
	require.Equal(t, "+12025550123", got["sms"].Address)
}

func TestCreateClient_BadInput_WritesNothing(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	before := o.count(`select count(*) from clients`)
	for name, bad := range map[string]struct {
		in      desk.ClientInput
		pointer string
		code    string
	}{
		"BAD-X1 empty name":             {desk.ClientInput{GivenName: "\u200b\u2060", FamilyName: "x"}, "/given_name", "empty"},
		"BAD-X1 10,000 characters":      {desk.ClientInput{GivenName: "x", FamilyName: strings.Repeat("é", 10_000)}, "/family_name", "too_long"},
		"BAD-X2 NUL":                    {desk.ClientInput{GivenName: "a\x00b", FamilyName: "x"}, "/given_name", "control_character"},
		"BAD-X4 line break":             {desk.ClientInput{GivenName: "a\nb", FamilyName: "x"}, "/given_name", "line_break"},
		"BAD-X stacked marks":           {desk.ClientInput{GivenName: "a" + strings.Repeat("\u0301", 50), FamilyName: "x"}, "/given_name", "stacked_marks"},
		"BAD-X mail with a name":        {desk.ClientInput{GivenName: "a", FamilyName: "x", Mail: "Ana <ana@example.org>"}, "/mail", "invalid_mail"},
		"BAD-X mail of a machine":       {desk.ClientInput{GivenName: "a", FamilyName: "x", Mail: "ana@[127.0.0.1]"}, "/mail", "invalid_mail"},
		"BAD-X5 letters":                {desk.ClientInput{GivenName: "a", FamilyName: "x", Phone: "202-555-HELP"}, "/phone", "invalid_phone"},
		"BAD-X5 40 digits":              {desk.ClientInput{GivenName: "a", FamilyName: "x", Phone: strings.Repeat("2", 40)}, "/phone", "invalid_phone"},
		"BAD-X5 premium":                {desk.ClientInput{GivenName: "a", FamilyName: "x", Phone: "+1 900 555 0123"}, "/phone", "invalid_phone"},
		"BAD-X5 premium abroad":         {desk.ClientInput{GivenName: "a", FamilyName: "x", Phone: "+44 909 879 0123"}, "/phone", "invalid_phone"},
		"BAD-X5 short code":             {desk.ClientInput{GivenName: "a", FamilyName: "x", Phone: "73822"}, "/phone", "invalid_phone"},
		"BAD-X5 emergency":              {desk.ClientInput{GivenName: "a", FamilyName: "x", Phone: "911"}, "/phone", "invalid_phone"},
		"two phones":                    {desk.ClientInput{GivenName: "a", FamilyName: "x", Phone: "2025550123/2025550124"}, "/phone", "invalid_phone"},
		"an extension":                  {desk.ClientInput{GivenName: "a", FamilyName: "x", Phone: "+12025550123;ext=5"}, "/phone", "invalid_phone"},
		"digits of another script":      {desk.ClientInput{GivenName: "a", FamilyName: "x", Phone: "٢٠٢٥٥٥٠١٢٣"}, "/phone", "invalid_phone"},
		"born tomorrow":                 {desk.ClientInput{GivenName: "a", FamilyName: "x", BirthdayOn: ptr(o.today().AddDays(2))}, "/birthday_on", "out_of_range"},
		"born long ago":                 {desk.ClientInput{GivenName: "a", FamilyName: "x", BirthdayOn: ptr(policy.MustLocalDate("1066-10-14"))}, "/birthday_on", "out_of_range"},
		"locale":                        {desk.ClientInput{GivenName: "a", FamilyName: "x", Locale: "../en"}, "/locale", "invalid_locale"},
		"zone":                          {desk.ClientInput{GivenName: "a", FamilyName: "x", Zone: ptr("EST5EDT")}, "/zone", "invalid_zone"},
		"prefers":                       {desk.ClientInput{GivenName: "a", FamilyName: "x", Prefers: "pigeon"}, "/prefers", "not_a_choice"},
		"BAD-I1 payer of another house": {desk.ClientInput{GivenName: "a", FamilyName: "x", Payer: &o.foreign.Owner}, "/payer", "client_not_found"},
	} {
		_, err := o.CreateClient(t.Context(), o.by, bad.in)
		require.Error(t, err, name)
		require.Equal(t, bad.code, policy.CodeOf(err), name)
		var e *policy.Error
		require.ErrorAs(t, err, &e, name)
		require.Equal(t, bad.pointer, e.Fields[0].Pointer, name)
	}
	require.Equal(t, before, o.count(`select count(*) from clients`))
}

func TestUpdateClient_MergesWhatIsGiven_AndRefusesAStaleVersion(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	c := o.newClient("Casey", "Client", desk.ClientInput{BirthdayOn: ptr(policy.MustLocalDate("1980-01-01")), Zone: ptr("America/Chicago")})
	got, err := o.UpdateClient(t.Context(), o.by, desk.ClientPatch{ID: c.ID, Version: c.Version, FamilyName: ptr("Married")})
	require.NoError(t, err)
	require.Equal(t, "Casey", got.GivenName)
	require.Equal(t, "Married", got.FamilyName)
	require.Equal(t, c.BirthdayOn, got.BirthdayOn)
	require.Equal(t, c.Version+1, got.Version)

	_, err = o.UpdateClient(t.Context(), o.by, desk.ClientPatch{ID: c.ID, Version: c.Version, FamilyName: ptr("Late")})
	refused(t, err, policy.Conflict, "stale_version")

	got, err = o.UpdateClient(t.Context(), o.by, desk.ClientPatch{ID: c.ID, Version: got.Version, BirthdayOn: ptr[*policy.LocalDate](nil), Zone: ptr[*string](nil)})
	require.NoError(t, err)
	require.Nil(t, got.BirthdayOn)
	require.Nil(t, got.Zone)
}

// What a plan turns on rings it; a name does not.
func TestUpdateClient_RingsOnlyWhenPlansTurnOnIt(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	c := o.newClient("Casey", "Client", desk.ClientInput{Mail: "casey@example.org", Phone: "+12025550123"})
	o.book(c.ID, o.made.Services[1], 3, 0)
	o.rings()
	version := c.Version
	for _, step := range []struct {
		patch desk.ClientPatch
		rings int
	}{
		{desk.ClientPatch{GivenName: ptr("Kasey")}, 0},
		{desk.ClientPatch{Prefers: ptr("sms")}, 1},
		{desk.ClientPatch{Zone: ptr(ptr("America/Denver"))}, 1},
		{desk.ClientPatch{Status: ptr(desk.ClientInactive)}, 1},
		{desk.ClientPatch{Status: ptr(desk.ClientActive)}, 1},
	} {
		step.patch.ID, step.patch.Version = c.ID, version
		got, err := o.UpdateClient(t.Context(), o.by, step.patch)
		require.NoError(t, err)
		require.Len(t, got.Rung, step.rings)
		require.Equal(t, step.rings, o.rings())
		version = got.Version
	}
}

func TestContacts_AChangedAddress_EndsLinksAndRings(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	c := o.newClient("Casey", "Client", desk.ClientInput{Mail: "casey@example.org"})
	booked := o.book(c.ID, o.made.Services[0], 3, 0)
	require.NotEmpty(t, booked.IntakeToken)
	o.rings()
	open := func() int {
		return o.count(`select count(*) from links where client_id = $1 and revoked_at is null`, c.ID)
	}

	got, err := o.AddContact(t.Context(), o.by, c.ID, "sms", "202 555 0123")
	require.NoError(t, err)
	require.Len(t, got.Contacts, 2)
	require.Equal(t, 1, open(), "a first phone takes no mail's place")
	require.Equal(t, 1, o.rings())

	got, err = o.AddContact(t.Context(), o.by, c.ID, "mail", "new@example.org")
	require.NoError(t, err)
	require.Zero(t, open())
	require.Equal(t, 1, o.rings())
	_, err = o.AddContact(t.Context(), o.by, c.ID, "mail", "NEW@example.org")
	refused(t, err, policy.Conflict, "address_in_use")

	for _, p := range got.Contacts {
		_, err = o.CloseContact(t.Context(), o.by, c.ID, p.ID, "asked to")
		require.NoError(t, err)
	}
	require.Zero(t, o.count(`select count(*) from contact_points where client_id = $1 and closed_at is null`, c.ID))
}

// STOP belongs to the number, for all who share it.
func TestOptOut_SharedNumber_StopsAllAndAsksAPerson(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	one := o.newClient("Ana", "Parent", desk.ClientInput{Phone: "+12025550123", Prefers: "sms"})
	two := o.newClient("Bea", "Child", desk.ClientInput{Phone: "202-555-0123", Prefers: "sms"})
	other := o.newClient("Cem", "Stranger", desk.ClientInput{Phone: "+12025550124", Prefers: "sms"})
	o.book(one.ID, o.made.Services[1], 3, 0)
	o.book(two.ID, o.made.Services[1], 3, 1)
	o.book(other.ID, o.made.Services[1], 3, 2)
	o.rings()
	in := desk.OptOutInput{Channel: "sms", Address: "(202) 555 0123", Purpose: "all", Source: "phone call"}
	rung, err := o.OptOut(t.Context(), o.by, in)
	require.NoError(t, err)
	require.Len(t, rung, 2)
	require.Equal(t, 2, o.rings())
	require.Equal(t, 1, o.count(`select count(*) from tasks where practice_id = $1 and status = 'open'`, o.made.ID))

	rung, err = o.OptOut(t.Context(), o.by, in)
	require.NoError(t, err)
	require.Empty(t, rung, "said before")
	require.Equal(t, 1, o.count(`select count(*) from opt_outs where practice_id = $1`, o.made.ID))

	rung, err = o.OptIn(t.Context(), o.by, in)
	require.NoError(t, err)
	require.Len(t, rung, 2)
	require.Zero(t, o.count(`select count(*) from opt_outs where practice_id = $1 and lifted_at is null`, o.made.ID))

	in.Purpose = "everything"
	_, err = o.OptOut(t.Context(), o.by, in)
	refused(t, err, policy.Invalid, "not_a_choice", "/purpose")
}

func TestConsent_RefusedRecall_IsReadByTheNextPlan(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	c := o.newClient("Ana", "Client", desk.ClientInput{Mail: "ana@example.org"})
	refusedRecall := func() bool {
		rows, err := o.store.In(o.made.ID).ReachOf(t.Context(), o.made.ID, c.ID)
		require.NoError(t, err)
		return rows[0].RefusedRecall
	}
	require.False(t, refusedRecall())
	_, err := o.RecordConsent(t.Context(), o.by, desk.ConsentInput{Client: c.ID, Channel: "mail", Purpose: "recall", Source: "desk"})
	require.NoError(t, err)
	require.True(t, refusedRecall())
}

// BAD-I4 and O13: an archived client keeps the past, an erased one keeps no name.
func TestClient_ArchivedOrErased_IsNotBooked(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	c := o.newClient("Casey", "Client", desk.ClientInput{Mail: "casey@example.org"})
	booked := o.book(c.ID, o.made.Services[1], 3, 0)
	_, err := o.UpdateClient(t.Context(), o.by, desk.ClientPatch{ID: c.ID, Version: 1, Status: ptr(desk.ClientArchived)})
	refused(t, err, policy.Conflict, "client_in_use")
	_, err = o.EraseClient(t.Context(), o.by, c.ID, 1, "asked to")
	refused(t, err, policy.Conflict, "client_in_use")
	_, err = o.SetStatus(t.Context(), o.by, desk.StatusInput{Appointment: booked.Appointment.ID, Verb: policy.VerbCancel, Reason: "moves away"})
	require.NoError(t, err)

	_, err = o.EraseClient(t.Context(), o.by, c.ID, 1, "asked to")
	require.NoError(t, err)
	require.Zero(t, o.count(`select count(*) from clients where id = $1 and (given_name ilike '%casey%' or search_name like '%casey%' or birthday_on is not null)`, c.ID))
	require.Zero(t, o.count(`select count(*) from contact_points where client_id = $1 and (address <> '' or closed_at is null)`, c.ID))
	require.Zero(t, o.count(`select count(*) from links where client_id = $1 and revoked_at is null`, c.ID))
	_, err = o.UpdateClient(t.Context(), o.by, desk.ClientPatch{ID: c.ID, Version: 2, GivenName: ptr("Casey")})
	refused(t, err, policy.NotFound, "client_not_found")
	_, err = o.Book(t.Context(), o.by, desk.BookInput{
		Client: c.ID, Service: o.made.Services[1], Provider: o.made.Providers[0], Location: o.made.Locations[0],
		StartsAt: booked.Appointment.StartsAt.Format("2006-01-02T15:04:05Z07:00"), Source: "test",
	})
	refused(t, err, policy.NotFound, "client_not_found")
}

// Two who change addresses and one who opts out meet in every order; nobody waits for ever.
func TestOptOut_BesideChangedAddresses_NoDeadlock(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	var clients []policy.ID
	for range 6 {
		clients = append(clients, o.newClient("Ana", "Client", desk.ClientInput{Phone: "+12025550123"}).ID)
	}
	var wait sync.WaitGroup
	errs := make(chan error, 100)
	for range 5 {
		wait.Go(func() {
			_, err := o.OptOut(t.Context(), o.by, desk.OptOutInput{Channel: "sms", Address: "+12025550123", Purpose: "all", Source: "text"})
			errs <- err
			_, err = o.OptIn(t.Context(), o.by, desk.OptOutInput{Channel: "sms", Address: "+12025550123", Source: "text"})
			errs <- err
		})
	}
	for i, c := range clients {
		wait.Go(func() {
			_, err := o.AddContact(t.Context(), o.by, c, "sms", "+120255501"+[]string{"30", "31", "32", "33", "34", "35"}[i])
			errs <- err
		})
	}
	wait.Wait()
	close(errs)
	for err := range errs {
		require.NoError(t, err)
	}
}
