package api

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"strings"
)

// Key is a fresh API key. Text is shown once and kept nowhere; the database keeps Hash and Last4.
type Key struct {
	Text  string
	Hash  []byte
	Last4 string
}

const (
	keyRandomBytes = 32
	keyChars       = 52 + 7 // 256 bits and 32 bits of checksum, 5 a character
)

var keyEncoding = base32.NewEncoding(crockford).WithPadding(base32.NoPadding)

// NewKey makes a key for a practice of the mode, test or live: kept_<mode>_ and 59 characters, the last seven of them a
// checksum over the rest, so that scanners find leaked keys and a mistyped one is refused without a look at the database.
func NewKey(mode string) (Key, error) {
	if mode != "test" && mode != "live" {
		return Key{}, fmt.Errorf("an API key is for a practice in test or live mode, not %q", mode)
	}
	random := make([]byte, keyRandomBytes)
	rand.Read(random) // never fails: the program ends instead
	text := "kept_" + mode + "_" + keyEncoding.EncodeToString(random)
	text += keyChecksum(text)
	return Key{Text: text, Hash: hashKey(text), Last4: text[len(text)-4:]}, nil
}

// parseKey tells whether the text is a key as NewKey makes them, and gives its hash.
func parseKey(text string) (hash []byte, ok bool) {
	rest, test := strings.CutPrefix(text, "kept_test_")
	if !test {
		var live bool
		if rest, live = strings.CutPrefix(text, "kept_live_"); !live {
			return nil, false
		}
	}
	if len(rest) != keyChars || keyChecksum(text[:len(text)-7]) != text[len(text)-7:] {
		return nil, false
	}
	return hashKey(text), true
}

// looksLikeKey finds a key, or a piece of one, where no key belongs.
func looksLikeKey(text string) bool {
	return strings.Contains(text, "kept_live_") || strings.Contains(text, "kept_test_")
}

func hashKey(text string) []byte {
	sum := sha256.Sum256([]byte(text))
	return sum[:]
}

func keyChecksum(text string) string {
	var sum [4]byte
	binary.BigEndian.PutUint32(sum[:], crc32.ChecksumIEEE([]byte(text)))
	return keyEncoding.EncodeToString(sum[:])
}
