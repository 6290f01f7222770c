package policy

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func value(key string, level Level, raw string, locked ...bool) SettingValue {
	return SettingValue{Key: key, Level: level, Value: json.RawMessage(raw), Locked: len(locked) > 0}
}

func TestEffective_O6_MostSpecificWinsUnlessLocked(t *testing.T) {
	t.Parallel()
	practice, location := value("k", LevelPractice, "1"), value("k", LevelLocation, "2")
	service, provider := value("k", LevelService, "3"), value("k", LevelProvider, "4")
	locked := func(v SettingValue) SettingValue { v.Locked = true; return v }
	for _, c := range []struct {
		name   string
		values []SettingValue
		want   string
		level  Level
	}{
		{"none", nil, "", LevelDefault},
		{"practice alone", []SettingValue{practice}, "1", LevelPractice},
		{"provider alone", []SettingValue{provider}, "4", LevelProvider},
		{"all", []SettingValue{practice, location, service, provider}, "4", LevelProvider},
		{"in any order", []SettingValue{provider, practice, service, location}, "4", LevelProvider},
		{"practice locks", []SettingValue{provider, service, location, locked(practice)}, "1", LevelPractice},
		{"location locks", []SettingValue{practice, locked(location), service, provider}, "2", LevelLocation},
		{"the first lock counts", []SettingValue{practice, locked(location), locked(service), provider}, "2", LevelLocation},
		{"a lock at the end", []SettingValue{practice, locked(provider)}, "4", LevelProvider},
		{"unknown level", []SettingValue{value("k", "planet", "9")}, "", LevelDefault},
	} {
		got, level := Effective(c.values)
		require.Equal(t, c.want, string(got), c.name)
		require.Equal(t, c.level, level, c.name)
	}
	rapid.Check(t, func(t *rapid.T) {
		var values []SettingValue
		for _, level := range levelOrder {
			if rapid.Bool().Draw(t, "written") {
				values = append(values, SettingValue{Key: "k", Level: level, Value: json.RawMessage(`"` + level + `"`), Locked: rapid.Bool().Draw(t, "locked")})
			}
		}
		_, got := Effective(rapid.Permutation(values).Draw(t, "order"))
		want := LevelDefault
		for _, v := range values {
			want = v.Level
			if v.Locked {
				break
			}
		}
		require.Equal(t, want, got)
	})
}

func TestDefaultSettings(t *testing.T) {
	t.Parallel()
	s := DefaultSettings()
	require.Len(t, s.Levels, len(SettingKeys()))
	for _, key := range SettingKeys() {
		require.Equal(t, LevelDefault, s.Levels[key], key)
	}
	s.Levels["grace_minutes"] = LevelProvider
	require.Equal(t, LevelDefault, DefaultSettings().Levels["grace_minutes"], "the defaults are nobody's to change")
	s.Levels = nil
	require.Equal(t, Settings{
		GraceMinutes: 3, QuietHours: DefaultQuietHours, PreferChannel: "mail", StalePolicy: "skip", AutoNoShowMinutes: 0, AutoComplete: false,
		InvoiceCutoff: WallTime{18, 0}, AutoCharge: true, TaxInclusive: false, PaymentDueDays: 14, UndoMinutes: 30, NoCancelMinutes: 0,
		MinNoticeMinutes: 60, HorizonDays: 180, StaffHorizonDays: 730, GridMinutes: 5, BufferMode: "stack", HoldMinutes: 10,
	}, s)
	require.NoError(t, s.Check())
}

func TestResolveSettings_NamesEachLevel(t *testing.T) {
	t.Parallel()
	s, err := ResolveSettings([]SettingValue{
		value("grace_minutes", LevelPractice, "10"),
		value("grace_minutes", LevelService, "0"),
		value("quiet_hours", LevelLocation, `{"start":"19:30","end":"08:00"}`),
		value("invoice_cutoff", LevelPractice, `"20:15"`, true),
		value("invoice_cutoff", LevelLocation, `"12:00"`),
		value("auto_complete", LevelProvider, "true"),
		value("prefer_channel", LevelPractice, `"sms"`),
		value("grid_minutes", LevelService, "15"),
		value("tax_inclusive", LevelProvider, "true"), // a level that may not hold it
		value("from_a_newer_version", LevelPractice, `{"x":1}`),
	})
	require.NoError(t, err)
	require.Equal(t, 0, s.GraceMinutes)
	require.Equal(t, LevelService, s.Levels["grace_minutes"])
	require.Equal(t, QuietHours{WallTime{19, 30}, WallTime{8, 0}}, s.QuietHours)
	require.Equal(t, LevelLocation, s.Levels["quiet_hours"])
	require.Equal(t, WallTime{20, 15}, s.InvoiceCutoff)
	require.Equal(t, LevelPractice, s.Levels["invoice_cutoff"])
	require.True(t, s.AutoComplete)
	require.Equal(t, "sms", s.PreferChannel)
	require.Equal(t, 15, s.GridMinutes)
	require.False(t, s.TaxInclusive)
	require.Equal(t, LevelDefault, s.Levels["tax_inclusive"])
	require.NotContains(t, s.Levels, "from_a_newer_version")

	_, err = ResolveSettings([]SettingValue{value("undo_minutes", LevelLocation, "0")})
	var e *Error
	require.ErrorAs(t, err, &e)
	require.Equal(t, "out_of_range", e.Code)
	require.Equal(t, "/undo_minutes", e.Fields[0].Pointer)
	require.Equal(t, "The setting undo_minutes of the location is not valid. It must be between 1 and 10080.", e.Message)
}

func TestValidateSetting_BADO_RefusesBeforeItCounts(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ key, raw, code string }{
		{"grace_minutes", "0", ""},
		{"grace_minutes", "120", ""},
		{"grace_minutes", " 5 ", ""},
		{"grace_minutes", "-1", "out_of_range"},
		{"grace_minutes", "121", "out_of_range"},
		{"grace_minutes", "1000000000", "out_of_range"},
		{"grace_minutes", "3.5", "wrong_type"},
		{"grace_minutes", "1e1", "wrong_type"},
		{"grace_minutes", `"3"`, "wrong_type"},
		{"grace_minutes", "null", "wrong_type"},
		{"grace_minutes", "", "wrong_type"},
		{"grace_minutes", "[3]", "wrong_type"},
		{"grace_minutes", "3 4", "wrong_type"},
		{"grace_minutes", "99999999999999999999", "wrong_type"},
		{"grace_minutes", "{", "wrong_type"},
		{"undo_minutes", "1", ""},
		{"undo_minutes", "10080", ""},
		{"undo_minutes", "0", "out_of_range"},
		{"undo_minutes", "10081", "out_of_range"},
		{"horizon_days", "0", "out_of_range"},
		{"horizon_days", "730", ""},
		{"staff_horizon_days", "1096", "out_of_range"},
		{"no_cancel_minutes", "-5", "out_of_range"},
		{"min_notice_minutes", "43201", "out_of_range"},
		{"auto_no_show_minutes", "15", ""},
		{"auto_no_show_minutes", "1441", "out_of_range"},
		{"payment_due_days", "366", "out_of_range"},
		{"hold_minutes", "0", "out_of_range"},
		{"grid_minutes", "5", ""},
		{"grid_minutes", "90", ""},
		{"grid_minutes", "7", "uneven_grid"},
		{"grid_minutes", "0", "out_of_range"},
		{"auto_complete", "true", ""},
		{"auto_complete", "1", "wrong_type"},
		{"auto_complete", `"true"`, "wrong_type"},
		{"auto_complete", "null", "wrong_type"},
		{"auto_charge", "false", ""},
		{"tax_inclusive", "true", ""},
		{"prefer_channel", `"sms"`, ""},
		{"prefer_channel", `"SMS"`, "not_a_choice"},
		{"prefer_channel", `"fax"`, "not_a_choice"},
		{"prefer_channel", "1", "wrong_type"},
		{"stale_policy", `"ask"`, ""},
		{"stale_policy", `""`, "not_a_choice"},
		{"buffer_mode", `"max"`, ""},
		{"buffer_mode", `"min"`, "not_a_choice"},
		{"invoice_cutoff", `"17:45"`, ""},
		{"invoice_cutoff", `"24:00"`, "wrong_type"},
		{"invoice_cutoff", "18", "wrong_type"},
		{"invoice_cutoff", "null", "wrong_type"},
		{"quiet_hours", `{"start":"21:00","end":"08:00"}`, ""},
		{"quiet_hours", `{"start":"21:00"}`, "wrong_type"},
		{"quiet_hours", `{"start":"21:00","end":null}`, "wrong_type"},
		{"quiet_hours", `{"start":"21:00","end":"08:00","days":1}`, "wrong_type"},
		{"quiet_hours", `["21:00","08:00"]`, "wrong_type"},
		{"quiet_hours", `{"Start":"21:00","end":"08:00"}`, "wrong_type"},
		{"quiet_hours", `{"start":"9pm","end":"08:00"}`, "wrong_type"},
		{"quiet_hours", `{"start":"09:00","end":"09:00"}`, "send_window_too_short"},
		{"quiet_hours", `{"start":"09:30","end":"09:00"}`, "send_window_too_short"},
		{"reminder_sound", `"bell"`, "unknown_setting"},
		{"", `1`, "unknown_setting"},
		{"Grace_minutes", `1`, "unknown_setting"},
	} {
		err := ValidateSetting(value(c.key, LevelPractice, c.raw))
		require.Equal(t, c.code, CodeOf(err), "%s = %s", c.key, c.raw)
		if c.code != "" {
			require.Equal(t, Invalid, KindOf(err))
		}
	}
}

func TestValidateSetting_LevelsThatMayHoldIt(t *testing.T) {
	t.Parallel()
	for _, rule := range settingRules {
		raw := rule.fallback
		require.NoError(t, ValidateSetting(value(rule.key, LevelPractice, raw)), rule.key)
		for _, level := range []Level{LevelDefault, "", "planet"} {
			require.Equal(t, "setting_level", CodeOf(ValidateSetting(value(rule.key, level, raw))), "%s %s", rule.key, level)
		}
	}
	require.NoError(t, ValidateSetting(value("min_notice_minutes", LevelProvider, "5")))
	require.NoError(t, ValidateSetting(value("horizon_days", LevelService, "5")))
	err := ValidateSetting(value("horizon_days", LevelProvider, "5"))
	require.Equal(t, "setting_level", CodeOf(err))
	require.True(t, strings.HasSuffix(err.Error(), "practice, location, service."))
	require.Equal(t, "setting_level", CodeOf(ValidateSetting(value("tax_inclusive", LevelLocation, "true"))))
}

func TestSettings_Check_BADO_Contradictions(t *testing.T) {
	t.Parallel()
	s := DefaultSettings()
	s.HorizonDays, s.MinNoticeMinutes = 1, 1440
	require.Equal(t, "nothing_bookable", CodeOf(s.Check()))
	s.MinNoticeMinutes = 1439
	require.NoError(t, s.Check())
	s.HorizonDays, s.StaffHorizonDays = 181, 180
	require.Equal(t, "horizon_beyond_staff", CodeOf(s.Check()))
}
