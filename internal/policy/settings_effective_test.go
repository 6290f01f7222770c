package policy

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestEffectiveSettings_NameTheLevelThatCounts(t *testing.T) {
	t.Parallel()
	all := EffectiveSettings([]SettingValue{
		{Key: "grace_minutes", Level: LevelService, Value: json.RawMessage(`9`)},
		{Key: "grace_minutes", Level: LevelPractice, Value: json.RawMessage(`5`)},
		{Key: "hold_minutes", Level: LevelLocation, Value: json.RawMessage(`7`)},
		{Key: "hold_minutes", Level: LevelPractice, Value: json.RawMessage(`4`), Locked: true},
		{Key: "hold_minutes", Level: LevelProvider, Value: json.RawMessage(`1`)},
		{Key: "of_another_version", Level: LevelPractice, Value: json.RawMessage(`1`)},
	})
	require.Len(t, all, len(SettingKeys()))
	byKey := map[string]EffectiveSetting{}
	for _, e := range all {
		byKey[e.Key] = e
	}
	require.Equal(t, EffectiveSetting{
		Key: "grace_minutes", Value: json.RawMessage(`9`), Level: LevelService, Levels: []Level{LevelPractice, LevelLocation, LevelService},
	}, byKey["grace_minutes"])
	require.Equal(t, EffectiveSetting{
		Key: "hold_minutes", Value: json.RawMessage(`4`), Level: LevelPractice, Locked: true, Levels: []Level{LevelPractice, LevelLocation},
	}, byKey["hold_minutes"])
	require.Equal(t, EffectiveSetting{Key: "tax_inclusive", Value: json.RawMessage(`false`), Level: LevelDefault, Levels: []Level{LevelPractice}}, byKey["tax_inclusive"])
}
