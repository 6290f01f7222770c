package desk

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"strings"
	"time"

	"github.com/kept-practice/kept/db"
	"github.com/kept-practice/kept/internal/policy"
)

// Packet is the papers of one visit.
type Packet struct {
	ID          policy.ID
	Appointment policy.ID
	Client      policy.ID
	Status      string // open, complete, void
	DueAt       time.Time
	CompletedAt *time.Time
	Forms       []PacketForm // in the order they are filled in
}

// PacketForm is one form of a packet, in the version that was current when the packet was opened. Answers are for staff:
// no link gives them back.
type PacketForm struct {
	ID             policy.ID
	Key            string
	Version        int
	Title          string
	Text           string
	Fields         []policy.FormField
	NeedsSignature bool
	Submitted      bool
	SubmittedAt    *time.Time
	Answers        policy.Answers
	Signer         string
	SignedAt       *time.Time

	document, hash []byte
}

// Open counts the forms that are still to be sent.
func (p Packet) Open() int {
	open := 0
	for _, f := range p.Forms {
		if !f.Submitted {
			open++
		}
	}
	return open
}

// Packet reads the papers of one visit with all answers.
func (d *Desk) Packet(ctx context.Context, practice, id policy.ID) (Packet, error) {
	q := d.store.In(practice)
	row, err := q.PacketByID(ctx, practice, id)
	if err != nil {
		return Packet{}, notFound(db.Classify(err), "packet")
	}
	return readPacket(ctx, q, row)
}

func readPacket(ctx context.Context, q *db.Queries, row db.PacketByIDRow) (Packet, error) {
	p := Packet{
		ID: row.ID, Appointment: row.AppointmentID, Client: row.ClientID, Status: row.Status, DueAt: row.DueAt, CompletedAt: row.CompletedAt,
	}
	rows, err := q.PacketForms(ctx, row.PracticeID, row.ID)
	if err != nil {
		return Packet{}, fmt.Errorf("read the forms of a packet: %w", err)
	}
	for _, r := range rows {
		f := PacketForm{
			ID: r.FormID, Key: r.FormKey, Version: int(r.N), Title: r.Title, Text: r.FormDocument, NeedsSignature: r.NeedsSignature,
			Submitted: r.Status == "submitted", SubmittedAt: r.SubmittedAt, Signer: r.SignedName, SignedAt: r.SignedAt,
			document: r.Document, hash: r.DocumentHash,
		}
		if f.Fields, err = policy.ParseFields(r.Fields); err != nil {
			return Packet{}, fmt.Errorf("questions of form %s: %w", r.FormID, err)
		}
		if f.Answers, err = policy.ReadAnswers(r.Answers); err != nil {
			return Packet{}, err
		}
		p.Forms = append(p.Forms, f)
	}
	return p, nil
}

// FormInput is what somebody filled in. Answers are added to those already saved; null takes one away. Signer and Signed
// belong to forms that ask for a signature, and to submitting.
type FormInput struct {
	Packet  policy.ID
	Form    policy.ID
	Answers map[string]any
	Signer  string // the typed name
	Signed  bool   // the tick that makes the name a signature
	Address string // where the signature came from
	Agent   string
}

// Filled is a packet after a form was saved or submitted.
type Filled struct {
	Packet Packet
	Rung   []policy.Subject
}

// SaveForm keeps answers for later. They are checked one by one; questions may stay open.
func (d *Desk) SaveForm(ctx context.Context, by policy.Principal, in FormInput) (Filled, error) {
	return d.fillForm(ctx, by, in, func(tx *db.Tx, p Packet, f PacketForm, answers json.RawMessage, _ clock) ([]policy.Subject, error) {
		n, err := tx.PacketFormSave(ctx, db.PacketFormSaveParams{PracticeID: tx.Practice, PacketID: p.ID, FormID: f.ID, Answers: answers})
		if err != nil || n == 0 {
			return nil, orSubmitted(err)
		}
		return nil, tx.Record(ctx, db.Entry{
			Verb: "form_saved", By: by, Subject: journeyOf(tx.Practice, p.Appointment), Object: "packet", ID: p.ID,
			After: map[string]any{"form": f.ID, "answered": len(f.Answers)},
		})
	}, false)
}

// SubmitForm sends one form for good: every required question answered, and signed where the form asks for it. The last
// one completes the packet, and the journey looks again.
func (d *Desk) SubmitForm(ctx context.Context, by policy.Principal, in FormInput) (Filled, error) {
	return d.fillForm(ctx, by, in, func(tx *db.Tx, p Packet, f PacketForm, answers json.RawMessage, clk clock) ([]policy.Subject, error) {
		submit := db.PacketFormSubmitParams{PracticeID: tx.Practice, PacketID: p.ID, FormID: f.ID, Answers: answers, SubmittedAt: &clk.now}
		if err := sign(&submit, tx.Practice, p, f, in, clk.now); err != nil {
			return nil, err
		}
		n, err := tx.PacketFormSubmit(ctx, submit)
		if err != nil || n == 0 {
			return nil, orSubmitted(err)
		}
		journey := journeyOf(tx.Practice, p.Appointment)
		open, err := tx.PacketFormsOpen(ctx, tx.Practice, p.ID)
		if err != nil {
			return nil, err
		}
		if open == 0 {
			if err := tx.PacketSetStatus(ctx, db.PacketSetStatusParams{PracticeID: tx.Practice, ID: p.ID, Status: "complete", CompletedAt: &clk.now}); err != nil {
				return nil, err
			}
		}
		if err := tx.Record(ctx, db.Entry{
			Verb: "form_submitted", By: by, Subject: journey, Object: "packet", ID: p.ID,
			After: map[string]any{"form": f.ID, "signed": f.NeedsSignature, "document_hash": hex.EncodeToString(submit.DocumentHash), "open": open},
		}); err != nil || open > 0 {
			return nil, err
		}
		rung := policy.Rings(policy.PacketCompleted, policy.SubjectsOf{Practice: tx.Practice, Journeys: []policy.ID{p.Appointment}})
		return rung, tx.Record(ctx, db.Entry{Verb: policy.PacketCompleted, By: by, Subject: journey, Object: "packet", ID: p.ID, Rings: rung})
	}, true)
}

// fillForm finds the open form under the journey's lock, adds the answers to the saved ones and hands the result on.
func (d *Desk) fillForm(ctx context.Context, by policy.Principal, in FormInput,
	write func(*db.Tx, Packet, PacketForm, json.RawMessage, clock) ([]policy.Subject, error), final bool,
) (Filled, error) {
	var out Filled
	err := d.command(ctx, by, func(tx *db.Tx) error {
		p, f, clk, err := lockForm(ctx, tx, by, in)
		if err != nil {
			return err
		}
		given := maps.Clone(in.Answers)
		for key, saved := range f.Answers {
			if _, again := given[key]; !again {
				if given == nil {
					given = map[string]any{}
				}
				given[key] = saved
			}
		}
		if f.Answers, err = policy.ValidateAnswers(f.Fields, given, final); err != nil {
			return err
		}
		raw, err := json.Marshal(f.Answers)
		if err != nil {
			return fmt.Errorf("write answers: %w", err)
		}
		if out.Rung, err = write(tx, p, f, raw, clk); err != nil {
			return err
		}
		row, err := tx.PacketByID(ctx, tx.Practice, p.ID)
		if err != nil {
			return err
		}
		out.Packet, err = readPacket(ctx, tx.Queries, row)
		return err
	})
	return out, err
}

func lockForm(ctx context.Context, tx *db.Tx, by policy.Principal, in FormInput) (Packet, PacketForm, clock, error) {
	none := func(err error) (Packet, PacketForm, clock, error) { return Packet{}, PacketForm{}, clock{}, err }
	row, err := tx.PacketByID(ctx, tx.Practice, in.Packet)
	if err != nil {
		return none(notFound(err, "packet"))
	}
	if err := tx.Lock(ctx, db.LockSet{Subjects: []policy.Subject{journeyOf(tx.Practice, row.AppointmentID)}}); err != nil {
		return none(err)
	}
	if _, err := tx.PacketLock(ctx, tx.Practice, in.Packet); err != nil {
		return none(notFound(err, "packet"))
	}
	if row, err = tx.PacketByID(ctx, tx.Practice, in.Packet); err != nil {
		return none(notFound(err, "packet"))
	}
	if by.Kind == policy.ByClient && (by.Client == nil || *by.Client != row.ClientID) {
		return none(policy.NewError(policy.NotFound, "packet_not_found", "There is no such packet in this practice."))
	}
	if row.Status == "void" {
		return none(policy.NewError(policy.Conflict, "packet_void", "The visit was cancelled, so its papers are not needed any more."))
	}
	p, err := readPacket(ctx, tx.Queries, row)
	if err != nil {
		return none(err)
	}
	clk, err := readClock(ctx, tx.Queries, tx.Practice)
	if err != nil {
		return none(err)
	}
	for _, f := range p.Forms {
		switch {
		case f.ID != in.Form:
		case f.Submitted:
			return none(orSubmitted(nil))
		default:
			return p, f, clk, nil
		}
	}
	return none(policy.NewError(policy.NotFound, "form_not_found", "There is no such form in this packet."))
}

// orSubmitted is the answer to a form that is no longer open, unless something else went wrong.
func orSubmitted(err error) error {
	if err != nil {
		return err
	}
	return policy.NewError(policy.Conflict, "form_submitted", "This form was sent already.")
}

const (
	longestSigner = 200
	longestAgent  = 300
)

// sign puts the signature and the document it stands under into the row; forms that ask for none get none.
func sign(submit *db.PacketFormSubmitParams, practice policy.ID, p Packet, f PacketForm, in FormInput, now time.Time) error {
	if !f.NeedsSignature {
		if in.Signer != "" || in.Signed {
			return policy.InvalidField("/signer", "no_signature", "This form asks for no signature.")
		}
		return nil
	}
	signer, err := policy.CleanName(in.Signer, longestSigner)
	if err != nil {
		return policy.AtField("/signer", err)
	}
	if !in.Signed {
		return policy.InvalidField("/signed", "not_signed", "Tick the box to sign with the name you typed.")
	}
	signedAt := now.UTC().Truncate(time.Microsecond)
	submit.Document, submit.DocumentHash, err = f.canonical(practice, p.ID, signer, signedAt)
	submit.SignedName, submit.SignedAt = signer, &signedAt
	submit.SignedIp, submit.SignedAgent = in.Address, plainAgent(in.Agent)
	return err
}

// canonical is the canonical document of the form as it stands now.
func (f PacketForm) canonical(practice, packet policy.ID, signer string, signedAt time.Time) (document, hash []byte, err error) {
	return policy.SignedDocument{
		Form: f.Key, Version: f.Version, Title: f.Title, Text: f.Text, Questions: f.Fields, Answers: f.Answers,
		Signer: signer, SignedAt: signedAt, Practice: practice, Packet: packet,
	}.Canonical()
}

// plainAgent keeps what a browser says of itself, shortened and in readable characters.
func plainAgent(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return -1
		}
		return r
	}, s)
	return s[:min(len(s), longestAgent)]
}

// Signature is what a check of a signed form found.
type Signature struct {
	Signer   string
	SignedAt time.Time
	Hash     string // SHA-256 of the stored document, in hexadecimal
	Intact   bool   // document, questions, answers, name and instant are, byte for byte, what was signed
}

// VerifySignature builds the signed document again from the form, the answers and the name as they stand now, and compares it
// with the document and the hash that were stored. 409 for a form that nobody signed.
func (d *Desk) VerifySignature(ctx context.Context, practice, packet, form policy.ID) (Signature, error) {
	p, err := d.Packet(ctx, practice, packet)
	if err != nil {
		return Signature{}, err
	}
	for _, f := range p.Forms {
		if f.ID != form {
			continue
		}
		if f.SignedAt == nil || f.document == nil {
			return Signature{}, policy.NewError(policy.Conflict, "not_signed", "Nobody has signed this form.")
		}
		document, hash, err := f.canonical(practice, p.ID, f.Signer, *f.SignedAt)
		if err != nil {
			return Signature{}, err
		}
		kept := sha256.Sum256(f.document)
		return Signature{
			Signer: f.Signer, SignedAt: *f.SignedAt, Hash: hex.EncodeToString(f.hash),
			Intact: bytes.Equal(document, f.document) && bytes.Equal(hash, f.hash) && bytes.Equal(kept[:], f.hash),
		}, nil
	}
	return Signature{}, policy.NewError(policy.NotFound, "form_not_found", "There is no such form in this packet.")
}
