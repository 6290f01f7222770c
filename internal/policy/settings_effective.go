package policy

import (
	"encoding/json"
	"slices"
)

// EffectiveSetting is what counts of one key, for a reader: the value as JSON, the level it comes from, whether that level
// forbids overriding below, and the levels on which it may be written.
type EffectiveSetting struct {
	Key    string
	Value  json.RawMessage
	Level  Level
	Locked bool
	Levels []Level
}

// EffectiveSettings lists every key that exists, in the order of the table; values are passed over as in ResolveSettings.
func EffectiveSettings(values []SettingValue) []EffectiveSetting {
	out := make([]EffectiveSetting, 0, len(settingRules))
	for _, rule := range settingRules {
		var own []SettingValue
		for _, v := range values {
			if v.Key == rule.key && rule.holds(v.Level) {
				own = append(own, v)
			}
		}
		e := EffectiveSetting{Key: rule.key, Levels: slices.Clone(rule.levels())}
		if e.Value, e.Level = Effective(own); e.Level == LevelDefault {
			e.Value = json.RawMessage(rule.fallback)
		}
		e.Locked = slices.ContainsFunc(own, func(v SettingValue) bool { return v.Level == e.Level && v.Locked })
		out = append(out, e)
	}
	return out
}
