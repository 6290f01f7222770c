package policy

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Level is where a setting's value was written. The later level is the more specific and wins.
type Level string

const (
	LevelDefault  Level = "default" // nowhere: the value kept brings along
	LevelPractice Level = "practice"
	LevelLocation Level = "location"
	LevelService  Level = "service"
	LevelProvider Level = "provider"
)

var levelOrder = []Level{LevelPractice, LevelLocation, LevelService, LevelProvider}

// SettingValue is one stored value of one key, at most one for each level. Locked forbids overriding below its level.
type SettingValue struct {
	Key    string
	Level  Level
	Value  json.RawMessage
	Locked bool
}

// Effective is the value that counts among the values of one key, and the level it comes from: the most specific, but nothing below
// the first lock. Without any value it is nil and LevelDefault.
func Effective(values []SettingValue) (json.RawMessage, Level) {
	var value json.RawMessage
	from := LevelDefault
	for _, level := range levelOrder {
		for _, v := range values {
			if v.Level != level {
				continue
			}
			value, from = v.Value, level
			if v.Locked {
				return value, from
			}
		}
	}
	return value, from
}

// Settings is every setting with its effective value, for one practice, location, service and provider.
type Settings struct {
	GraceMinutes      int        // between a booking or move and its confirmation, so that a correction costs no second message
	QuietHours        QuietHours // of each client's day
	PreferChannel     string     // mail or sms, for clients who did not say
	StalePolicy       string     // what happens after a resume to messages that fell due in the pause: send, skip or ask
	AutoNoShowMinutes int        // after the start, when nobody arrived; 0 is off
	AutoComplete      bool       // complete a visit at its end when the client checked in
	InvoiceCutoff     WallTime   // until when drafts of the day wait to be issued
	AutoCharge        bool       // charge the card on file when the invoice is issued
	TaxInclusive      bool       // prices contain their tax
	PaymentDueDays    int        // from issue until the invoice is overdue
	UndoMinutes       int        // how long a change of status can be taken back
	NoCancelMinutes   int        // before the start, when a link neither cancels nor moves; 0 is up to the start
	MinNoticeMinutes  int        // before the start, after which nobody books by themselves
	HorizonDays       int        // how far ahead clients book
	StaffHorizonDays  int        // how far ahead staff book
	GridMinutes       int        // starts are multiples of it, from midnight on the wall
	BufferMode        string     // buffers of neighbours: stack (they add up) or max (the larger counts)
	HoldMinutes       int        // how long a slot is kept while a client types

	Levels map[string]Level // by key, where each value comes from
}

// settingRule is one line of the table: what a value may be, where it may be written, and its field.
type settingRule struct {
	key      string
	fallback string // JSON
	lowest   Level  // the most specific level that may hold it
	set      func(*Settings, json.RawMessage) error
}

const (
	week  = 7 * minutesPerDay
	month = 30 * minutesPerDay
)

var settingRules = []settingRule{
	{"grace_minutes", `3`, LevelService, wholeNumber(0, 120, func(s *Settings) *int { return &s.GraceMinutes })},
	{"quiet_hours", `{"start":"20:00","end":"09:00"}`, LevelLocation, setQuietHours},
	{"prefer_channel", `"mail"`, LevelService, oneOf(func(s *Settings) *string { return &s.PreferChannel }, "mail", "sms")},
	{"stale_policy", `"skip"`, LevelService, oneOf(func(s *Settings) *string { return &s.StalePolicy }, "send", "skip", "ask")},
	{"auto_no_show_minutes", `0`, LevelProvider, wholeNumber(0, minutesPerDay, func(s *Settings) *int { return &s.AutoNoShowMinutes })},
	{"auto_complete", `false`, LevelProvider, onOff(func(s *Settings) *bool { return &s.AutoComplete })},
	{"invoice_cutoff", `"18:00"`, LevelLocation, setInvoiceCutoff},
	{"auto_charge", `true`, LevelService, onOff(func(s *Settings) *bool { return &s.AutoCharge })},
	{"tax_inclusive", `false`, LevelPractice, onOff(func(s *Settings) *bool { return &s.TaxInclusive })},
	{"payment_due_days", `14`, LevelLocation, wholeNumber(0, 365, func(s *Settings) *int { return &s.PaymentDueDays })},
	{"undo_minutes", `30`, LevelLocation, wholeNumber(1, week, func(s *Settings) *int { return &s.UndoMinutes })},
	{"no_cancel_minutes", `0`, LevelProvider, wholeNumber(0, month, func(s *Settings) *int { return &s.NoCancelMinutes })},
	{"min_notice_minutes", `60`, LevelProvider, wholeNumber(0, month, func(s *Settings) *int { return &s.MinNoticeMinutes })},
	{"horizon_days", `180`, LevelService, wholeNumber(1, 730, func(s *Settings) *int { return &s.HorizonDays })},
	{"staff_horizon_days", `730`, LevelService, wholeNumber(1, 1095, func(s *Settings) *int { return &s.StaffHorizonDays })},
	{"grid_minutes", `5`, LevelProvider, setGrid},
	{"buffer_mode", `"stack"`, LevelPractice, oneOf(func(s *Settings) *string { return &s.BufferMode }, "stack", "max")},
	{"hold_minutes", `10`, LevelLocation, wholeNumber(1, 60, func(s *Settings) *int { return &s.HoldMinutes })},
}

var defaultSettings = func() Settings {
	s := Settings{Levels: map[string]Level{}}
	for _, rule := range settingRules {
		if err := rule.set(&s, json.RawMessage(rule.fallback)); err != nil {
			panic(rule.key + ": " + err.Error())
		}
		s.Levels[rule.key] = LevelDefault
	}
	return s
}()

// DefaultSettings are those of a practice that has written none.
func DefaultSettings() Settings {
	s := defaultSettings
	s.Levels = maps.Clone(s.Levels)
	return s
}

// ResolveSettings gives every setting its effective value. A stored value that is not valid is an error naming its key and level;
// keys of another version of kept, and values on levels that may not hold them, are passed over.
func ResolveSettings(values []SettingValue) (Settings, error) {
	s := DefaultSettings()
	for _, rule := range settingRules {
		var own []SettingValue
		for _, v := range values {
			if v.Key == rule.key && rule.holds(v.Level) {
				own = append(own, v)
			}
		}
		value, level := Effective(own)
		if level == LevelDefault {
			continue
		}
		if err := rule.set(&s, value); err != nil {
			return Settings{}, InvalidField("/"+rule.key, CodeOf(err), fmt.Sprintf("The setting %s of the %s is not valid. %s", rule.key, level, sentence(err)))
		}
		s.Levels[rule.key] = level
	}
	return s, nil
}

// ValidateSetting refuses, as Invalid, a value before it is stored: an unknown key, a level that may not hold it, a wrong type, form
// or range.
func ValidateSetting(v SettingValue) error {
	i := slices.IndexFunc(settingRules, func(r settingRule) bool { return r.key == v.Key })
	if i < 0 {
		return InvalidField("/key", "unknown_setting", "There is no such setting; these exist: "+strings.Join(SettingKeys(), ", ")+".")
	}
	rule := settingRules[i]
	if !rule.holds(v.Level) {
		return InvalidField("/level", "setting_level", fmt.Sprintf("This setting can be written on these levels: %s.", joinLevels(rule.levels())))
	}
	var s Settings
	if err := rule.set(&s, v.Value); err != nil {
		return InvalidField("/value", CodeOf(err), sentence(err))
	}
	return nil
}

// Check refuses, as Invalid, settings that contradict each other. Whoever saves a value checks what becomes effective with it.
func (s Settings) Check() error {
	if s.MinNoticeMinutes >= s.HorizonDays*minutesPerDay {
		return InvalidField("/value", "nothing_bookable", "With this notice and horizon no time could ever be booked: the notice must be shorter than the horizon.")
	}
	if s.StaffHorizonDays < s.HorizonDays {
		return InvalidField("/value", "horizon_beyond_staff", "Clients cannot book further ahead than staff: raise staff_horizon_days or lower horizon_days.")
	}
	return nil
}

// SettingKeys lists every key that a setting may have.
func SettingKeys() []string {
	keys := make([]string, len(settingRules))
	for i, r := range settingRules {
		keys[i] = r.key
	}
	return keys
}

func (r settingRule) levels() []Level { return levelOrder[:slices.Index(levelOrder, r.lowest)+1] }

func (r settingRule) holds(l Level) bool { return slices.Contains(r.levels(), l) }

func joinLevels(levels []Level) string {
	names := make([]string, len(levels))
	for i, l := range levels {
		names[i] = string(l)
	}
	return strings.Join(names, ", ")
}

func wholeNumber(least, most int, field func(*Settings) *int) func(*Settings, json.RawMessage) error {
	return func(s *Settings, raw json.RawMessage) error {
		var n int
		if err := decodeSetting(raw, &n, "a whole number"); err != nil {
			return err
		}
		if n < least || n > most {
			return NewError(Invalid, "out_of_range", fmt.Sprintf("It must be between %d and %d.", least, most))
		}
		*field(s) = n
		return nil
	}
}

func oneOf(field func(*Settings) *string, choices ...string) func(*Settings, json.RawMessage) error {
	return func(s *Settings, raw json.RawMessage) error {
		var choice string
		if err := decodeSetting(raw, &choice, "a text"); err != nil {
			return err
		}
		if !slices.Contains(choices, choice) {
			return NewError(Invalid, "not_a_choice", "It must be one of: "+strings.Join(choices, ", ")+".")
		}
		*field(s) = choice
		return nil
	}
}

func onOff(field func(*Settings) *bool) func(*Settings, json.RawMessage) error {
	return func(s *Settings, raw json.RawMessage) error { return decodeSetting(raw, field(s), "true or false") }
}

func setInvoiceCutoff(s *Settings, raw json.RawMessage) error {
	return decodeSetting(raw, &s.InvoiceCutoff, `a time of day like "18:00"`)
}

func setQuietHours(s *Settings, raw json.RawMessage) error {
	var q map[string]*WallTime // a map reads names with exact casing
	const form = `{"start": "20:00", "end": "09:00"}`
	if err := decodeSetting(raw, &q, form); err != nil {
		return err
	}
	start, end := q["start"], q["end"]
	if start == nil || end == nil || len(q) != 2 {
		return NewError(Invalid, "wrong_type", "It must be "+form+".")
	}
	s.QuietHours = QuietHours{Start: *start, End: *end}
	return s.QuietHours.Validate()
}

// setGrid asks that the grid meets midnight again, so that starts are the same every day.
func setGrid(s *Settings, raw json.RawMessage) error {
	if err := wholeNumber(1, minutesPerDay, func(s *Settings) *int { return &s.GridMinutes })(s, raw); err != nil {
		return err
	}
	if minutesPerDay%s.GridMinutes != 0 {
		return NewError(Invalid, "uneven_grid", "It must divide the 1440 minutes of a day: 5, 10, 15, 20, 30, 60, …")
	}
	return nil
}

// decodeSetting reads exactly one JSON value of the wanted form; null is wrong.
func decodeSetting(raw json.RawMessage, into any, form string) error {
	err := json.Unmarshal(raw, into)
	if err != nil || bytes.Equal(bytes.TrimSpace(raw), []byte("null")) {
		return &Error{Kind: Invalid, Code: "wrong_type", Message: "It must be " + form + ".", Cause: err}
	}
	return nil
}

// sentence is what an error of the rules above says to a person.
func sentence(err error) string {
	var e *Error
	if errors.As(err, &e) {
		return e.Message
	}
	return err.Error()
}
