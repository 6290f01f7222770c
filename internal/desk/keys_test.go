package desk_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kept-practice/kept/internal/desk"
)

func TestKey_OneLetterWrong_IsRefused(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{"test", "live"} {
		key := desk.NewKey(mode)
		require.Len(t, key.Text, len("kept_test_")+59)
		hash, ok := desk.ParseKey(key.Text)
		require.True(t, ok)
		require.Equal(t, key.Hash, hash)
		require.Equal(t, key.Text[len(key.Text)-4:], key.Last4)
		for i := range key.Text {
			wrong := []byte(key.Text)
			if wrong[i] = '0'; key.Text[i] == '0' {
				wrong[i] = '1'
			}
			_, ok := desk.ParseKey(string(wrong))
			require.False(t, ok, "letter %d", i)
		}
		_, ok = desk.ParseKey(key.Text + "0")
		require.False(t, ok)
	}
}
