package desk

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"time"

	"github.com/kept-practice/kept/db"
	"github.com/kept-practice/kept/internal/policy"
)

// Purposes of a link. Each acts on its one purpose only.
const (
	LinkConfirm     = "confirm"
	LinkMove        = "move"
	LinkCancel      = "cancel"
	LinkIntake      = "intake"
	LinkCheckIn     = "check_in"
	LinkPay         = "pay"
	LinkBook        = "book"
	LinkUnsubscribe = "unsubscribe"
)

// linksOfTime act on one version of a visit's time and die with a move; the others live until the visit ends.
var linksOfTime = []string{LinkConfirm, LinkMove, LinkCancel, LinkCheckIn}

var linksOfVisit = []string{LinkConfirm, LinkMove, LinkCancel, LinkCheckIn, LinkIntake}

const (
	// readable is how long a link can still be opened after it stopped acting.
	readable = 30 * 24 * time.Hour
	// checkInLead is how long before the visit a client can say "I am here".
	checkInLead = 3 * time.Hour
)

// linkInput says what a token may do.
type linkInput struct {
	purpose   string
	client    policy.ID
	subject   policy.Subject
	version   int32
	expiresAt time.Time
}

// mint makes a link and returns its raw token: 256 random bits, of which only the hash is kept.
func mint(ctx context.Context, tx *db.Tx, in linkInput, now time.Time) (string, error) {
	token := rawToken()
	hash := sha256.Sum256([]byte(token))
	err := tx.LinkInsert(ctx, db.LinkInsertParams{
		PracticeID: tx.Practice, ID: db.NewID(), TokenHash: hash[:], Purpose: in.purpose, ClientID: in.client,
		SubjectKind: in.subject.Kind, SubjectID: in.subject.ID, Version: in.version, ExpiresAt: in.expiresAt, CreatedAt: now,
	})
	if err != nil {
		return "", fmt.Errorf("mint %s link: %w", in.purpose, err)
	}
	return token, nil
}

func rawToken() string {
	var b [32]byte
	_, _ = rand.Read(b[:]) // never fails since Go 1.24: the program ends instead
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// revokeLinks ends links of a subject; a later visitor is told why.
func revokeLinks(ctx context.Context, tx *db.Tx, subject policy.Subject, purposes []string, reason string, now time.Time) error {
	_, err := tx.LinksRevoke(ctx, db.LinksRevokeParams{
		PracticeID: tx.Practice, SubjectKind: subject.Kind, SubjectID: subject.ID, Purposes: purposes, RevokedReason: reason, RevokedAt: &now,
	})
	if err != nil {
		return fmt.Errorf("revoke links: %w", err)
	}
	return nil
}
