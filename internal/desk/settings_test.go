package desk_test

import (
	"encoding/json"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kept-practice/kept/internal/desk"
	"github.com/kept-practice/kept/internal/policy"
)

func setting(key, value string) desk.SettingInput {
	return desk.SettingInput{Level: policy.LevelPractice, Key: key, Value: json.RawMessage(value)}
}

// BAD-O: a setting that is nonsense, contradicts another or reaches elsewhere is refused before it counts.
func TestSetSetting_BadInput_WritesNothing(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	at := func(level policy.Level, scope policy.ID, key, value string) desk.SettingInput {
		return desk.SettingInput{Level: level, Scope: scope, Key: key, Value: json.RawMessage(value)}
	}
	for name, bad := range map[string]struct {
		in   desk.SettingInput
		kind policy.ErrorKind
		code string
	}{
		"unknown key":                 {setting("manage_mode", `1`), policy.Invalid, "unknown_setting"},
		"wrong type":                  {setting("horizon_days", `"180"`), policy.Invalid, "wrong_type"},
		"null":                        {setting("auto_charge", `null`), policy.Invalid, "wrong_type"},
		"BAD-O1 negative":             {setting("grace_minutes", `-1`), policy.Invalid, "out_of_range"},
		"BAD-O1 10^9":                 {setting("horizon_days", `1000000000`), policy.Invalid, "out_of_range"},
		"never a message":             {setting("quiet_hours", `{"start":"09:00","end":"08:59"}`), policy.Invalid, "send_window_too_short"},
		"level":                       {at(policy.LevelProvider, o.made.Providers[0], "tax_inclusive", `true`), policy.Invalid, "setting_level"},
		"no such level":               {at("galaxy", o.made.ID, "grace_minutes", `1`), policy.Invalid, "setting_level"},
		"scope on the practice":       {at(policy.LevelPractice, o.made.Locations[0], "grace_minutes", `1`), policy.Invalid, "not_scoped"},
		"BAD-I1 foreign location":     {at(policy.LevelLocation, o.foreign.Locations[0], "grace_minutes", `1`), policy.NotFound, "location_not_found"},
		"BAD-I1 foreign practice":     {at(policy.LevelPractice, o.foreign.ID, "grace_minutes", `1`), policy.Invalid, "not_scoped"},
		"a location as service":       {at(policy.LevelService, o.made.Locations[0], "grace_minutes", `1`), policy.NotFound, "service_not_found"},
		"contradicts the staff's own": {setting("staff_horizon_days", `100`), policy.Invalid, "horizon_beyond_staff"},
	} {
		_, err := o.SetSetting(t.Context(), o.by, bad.in)
		require.Error(t, err, name)
		require.Equal(t, bad.code, policy.CodeOf(err), name)
		refused(t, err, bad.kind, bad.code)
	}
	require.Zero(t, o.count(`select count(*) from settings`))
}

// BAD-O4
func TestSetSetting_TwoOwnersSaveAtOnce_OneWins(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	for round, version := range []int32{0, 1} {
		errs := make([]error, 2)
		var wait sync.WaitGroup
		for i := range errs {
			wait.Go(func() {
				in := setting("grace_minutes", []string{`5`, `7`}[i])
				in.Version = version
				_, errs[i] = o.SetSetting(t.Context(), o.by, in)
			})
		}
		wait.Wait()
		require.True(t, (errs[0] == nil) != (errs[1] == nil), "round %d: %v / %v", round, errs[0], errs[1])
		if errs[0] == nil {
			errs[0] = errs[1]
		}
		refused(t, errs[0], policy.Conflict, "stale_version")
	}
}

// Two settings, each fine alone, saved at the same moment by two owners: together they would let nobody book.
func TestSetSetting_ContradictionsSavedAtOnce_OneIsRefused(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	_, err := o.SetSetting(t.Context(), o.by, setting("staff_horizon_days", `400`))
	require.NoError(t, err)
	errs := make([]error, 2)
	var wait sync.WaitGroup
	wait.Go(func() { _, errs[0] = o.SetSetting(t.Context(), o.by, setting("min_notice_minutes", `20160`)) })
	wait.Go(func() { _, errs[1] = o.SetSetting(t.Context(), o.by, setting("horizon_days", `7`)) })
	wait.Wait()
	require.True(t, (errs[0] == nil) != (errs[1] == nil), "%v / %v", errs[0], errs[1])
}

func TestSetSetting_Locked_ForbidsBelow(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	in := setting("quiet_hours", `{"start":"19:00","end":"10:00"}`)
	in.Locked = true
	row, err := o.SetSetting(t.Context(), o.by, in)
	require.NoError(t, err)
	below := desk.SettingInput{Level: policy.LevelLocation, Scope: o.made.Locations[0], Key: in.Key, Value: json.RawMessage(`{"start":"21:00","end":"08:00"}`)}
	_, err = o.SetSetting(t.Context(), o.by, below)
	refused(t, err, policy.Conflict, "setting_locked")
	require.NoError(t, o.DeleteSetting(t.Context(), o.by, desk.SettingInput{Level: policy.LevelPractice, Key: in.Key, Version: row.Version}))
	_, err = o.SetSetting(t.Context(), o.by, below)
	require.NoError(t, err)
	err = o.DeleteSetting(t.Context(), o.by, desk.SettingInput{Level: policy.LevelPractice, Key: in.Key, Version: 1})
	refused(t, err, policy.NotFound, "setting_not_found")
}

func TestSetSetting_LockedOnAnyLevelAbove_NamesIt(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	setup := o.made
	second, err := o.CreateLocation(t.Context(), o.by, desk.LocationInput{Name: "Annexe", Zone: "America/New_York"})
	require.NoError(t, err)
	at := func(level policy.Level, scope policy.ID) desk.SettingInput {
		return desk.SettingInput{Level: level, Scope: scope, Key: "auto_no_show_minutes", Value: json.RawMessage(`3`)}
	}
	practice, location := at(policy.LevelPractice, policy.ID{}), at(policy.LevelLocation, setup.Locations[0])
	service, provider := at(policy.LevelService, setup.Services[0]), at(policy.LevelProvider, setup.Providers[0])
	annexe := at(policy.LevelLocation, second.ID)
	unused, err := o.CreateService(t.Context(), o.by, desk.ServiceInput{Name: "Nobody's", DurationMinutes: 30})
	require.NoError(t, err)
	for name, c := range map[string]struct {
		lock, write desk.SettingInput
		level       policy.Level // that refuses; "" when nothing does
	}{
		"practice over location":                 {practice, location, policy.LevelPractice},
		"practice over service":                  {practice, service, policy.LevelPractice},
		"practice over provider":                 {practice, provider, policy.LevelPractice},
		"location over service":                  {location, service, policy.LevelLocation},
		"location over who works there":          {location, provider, policy.LevelLocation},
		"location over another":                  {location, annexe, ""},
		"location over who works elsewhere":      {annexe, provider, ""},
		"service over who offers it":             {service, provider, policy.LevelService},
		"service over who does not":              {at(policy.LevelService, unused.ID), provider, ""},
		"service over location":                  {service, location, ""},
		"provider over service":                  {provider, service, ""},
		"own lock":                               {location, location, ""},
		"lock of the practice, on its own level": {practice, practice, ""},
	} {
		lock := c.lock
		lock.Locked = true
		_, err := o.SetSetting(t.Context(), o.by, lock)
		require.NoError(t, err, name)
		write := c.write
		if c.write.Level == c.lock.Level && c.write.Scope == c.lock.Scope {
			write.Version = 1
		}
		_, err = o.SetSetting(t.Context(), o.by, write)
		if c.level == "" {
			require.NoError(t, err, name)
		} else {
			refused(t, err, policy.Conflict, "setting_locked")
			var e *policy.Error
			require.ErrorAs(t, err, &e)
			require.Equal(t, string(c.level), e.Facts["level"], name)
			if c.level != policy.LevelPractice {
				require.Equal(t, c.lock.Scope, e.Facts[string(c.level)], name)
			}
		}
		o.exec(`delete from settings`)
	}
}

func TestSetSetting_RingsEveryOpenSubject_WhenPlansTurnOnIt(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	for i := range 3 {
		o.book(o.newClient("Casey", "Client", desk.ClientInput{}).ID, o.made.Services[1], 3, i)
	}
	o.rings()
	_, err := o.SetSetting(t.Context(), o.by, setting("grid_minutes", `15`))
	require.NoError(t, err)
	require.Zero(t, o.rings())
	_, err = o.SetSetting(t.Context(), o.by, setting("grace_minutes", `10`))
	require.NoError(t, err)
	require.Equal(t, 3, o.rings())
}

func TestWords_AreThePracticesOwn(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	require.NoError(t, o.SetWord(t.Context(), o.by, "client", "patient", "patients"))
	rows, err := o.store.In(o.made.ID).VocabularyList(t.Context(), o.made.ID)
	require.NoError(t, err)
	require.Equal(t, "patients", rows[0].Plural)
	refused(t, o.SetWord(t.Context(), o.by, "temporal", "x", "y"), policy.Invalid, "not_a_choice", "/term")
	refused(t, o.SetWord(t.Context(), o.by, "client", "a\nb", "y"), policy.Invalid, "line_break", "/singular")
	require.NoError(t, o.DropWord(t.Context(), o.by, "client"))
	refused(t, o.DropWord(t.Context(), o.by, "client"), policy.NotFound, "word_not_found")
}
