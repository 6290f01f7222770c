package policy

import (
	"database/sql/driver"
	"encoding/hex"
	"errors"
	"fmt"
)

// ID is a UUID as it stands in the database (UUIDv7, made in package db). Its text form is the usual 36 characters;
// the prefixed form that API callers see (apt_…, cli_…) is made in package api.
type ID [16]byte

// IsZero tells an ID that was never set.
func (id ID) IsZero() bool { return id == ID{} }

// String gives the 36-character form.
func (id ID) String() string {
	var b [36]byte
	hex.Encode(b[0:8], id[0:4])
	hex.Encode(b[9:13], id[4:6])
	hex.Encode(b[14:18], id[6:8])
	hex.Encode(b[19:23], id[8:10])
	hex.Encode(b[24:36], id[10:16])
	b[8], b[13], b[18], b[23] = '-', '-', '-', '-'
	return string(b[:])
}

var errNotID = errors.New("not a UUID of 36 characters")

// ParseID reads the 36-character form, and nothing else.
func ParseID(s string) (ID, error) {
	var id ID
	if len(s) != 36 || s[8] != '-' || s[13] != '-' || s[18] != '-' || s[23] != '-' {
		return ID{}, errNotID
	}
	for i, part := range []string{s[0:8], s[9:13], s[14:18], s[19:23], s[24:36]} {
		at := [5]int{0, 4, 6, 8, 10}[i]
		if _, err := hex.Decode(id[at:], []byte(part)); err != nil {
			return ID{}, errNotID
		}
	}
	return id, nil
}

// MustID is ParseID for constants in tests and seeds.
func MustID(s string) ID {
	id, err := ParseID(s)
	if err != nil {
		panic(err)
	}
	return id
}

// MarshalText and UnmarshalText carry the 36-character form through JSON.
func (id ID) MarshalText() ([]byte, error) { return []byte(id.String()), nil }

func (id *ID) UnmarshalText(b []byte) error {
	parsed, err := ParseID(string(b))
	if err != nil {
		return err
	}
	*id = parsed
	return nil
}

// Value and Scan let database drivers carry an ID.
func (id ID) Value() (driver.Value, error) { return id.String(), nil }

func (id *ID) Scan(src any) error {
	switch v := src.(type) {
	case string:
		return id.UnmarshalText([]byte(v))
	case []byte:
		if len(v) == 16 {
			copy(id[:], v)
			return nil
		}
		return id.UnmarshalText(v)
	case [16]byte:
		*id = v
		return nil
	default:
		return fmt.Errorf("cannot read an ID from %T", src)
	}
}
