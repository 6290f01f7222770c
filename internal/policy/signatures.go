package policy

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"time"
)

// SignedDocument is everything a signature stands for. Its canonical form is hashed and kept; changing one byte of any
// member changes the hash.
type SignedDocument struct {
	Form      string      `json:"form"`
	Version   int         `json:"version"`
	Title     string      `json:"title"`
	Text      string      `json:"text"`
	Questions []FormField `json:"questions"`
	Answers   Answers     `json:"answers"`
	Signer    string      `json:"signer"`
	SignedAt  time.Time   `json:"signed_at"`
	Practice  ID          `json:"practice"`
	Packet    ID          `json:"packet"`
}

// Canonical gives the one byte form of the document and its SHA-256: UTF-8 JSON without spaces, members in the order above,
// answers sorted by key, the instant in UTC to the microsecond.
func (d SignedDocument) Canonical() (document, hash []byte, err error) {
	d.SignedAt = d.SignedAt.UTC().Truncate(time.Microsecond)
	if d.Answers == nil {
		d.Answers = Answers{}
	}
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(d); err != nil {
		return nil, nil, fmt.Errorf("write the signed document: %w", err)
	}
	document = bytes.TrimSuffix(b.Bytes(), []byte("\n"))
	sum := sha256.Sum256(document)
	return document, sum[:], nil
}
