package api

import (
	"context"

	"github.com/kept-practice/kept/db"
	"github.com/kept-practice/kept/internal/desk"
	"github.com/kept-practice/kept/internal/policy"
)

// PacketView is the papers of one visit, with what the client answered.
type PacketView struct {
	ID            ID[packetKind]      `json:"id"`
	AppointmentID ID[appointmentKind] `json:"appointment_id"`
	ClientID      ID[clientKind]      `json:"client_id"`
	Status        string              `json:"status" enum:"open,complete,void"`
	DueAt         Instant             `json:"due_at"`
	CompletedAt   *Instant            `json:"completed_at,omitempty"`
	Forms         []PacketFormView    `json:"forms"`
}

// PacketFormView is one form, in the version that was current when the visit was booked.
type PacketFormView struct {
	ID             ID[formKind]   `json:"id"`
	Key            string         `json:"key" example:"intake"`
	Version        int            `json:"version"`
	Title          string         `json:"title"`
	NeedsSignature bool           `json:"needs_signature"`
	Submitted      bool           `json:"submitted"`
	SubmittedAt    *Instant       `json:"submitted_at,omitempty"`
	Answers        map[string]any `json:"answers" doc:"By question; a draft's while the form is open."`
	Signature      *SignatureView `json:"signature,omitempty"`
}

// SignatureView is a signature with the result of checking it now.
type SignatureView struct {
	Signer   string  `json:"signer"`
	SignedAt Instant `json:"signed_at"`
	Hash     string  `json:"hash" doc:"SHA-256 of the signed document, in hexadecimal."`
	Intact   bool    `json:"intact" doc:"Text, questions, answers, name and instant are, byte for byte, what was signed."`
}

// getPacket shows answers, so that the reading stands in the journal before it is answered.
func (s *Server) getPacket(ctx context.Context, in *byID[appointmentKind]) (*reply[PacketView], error) {
	visit, err := s.visit(ctx, policy.ID(in.ID))
	if err != nil {
		return nil, err
	}
	row, err := s.deps.Store.In(visit.PracticeID).PacketByAppointment(ctx, visit.PracticeID, visit.ID)
	if db.NoRows(err) {
		return nil, policy.NewError(policy.NotFound, "packet_not_found", "No papers are due for this visit.")
	}
	if err != nil {
		return nil, err
	}
	packet, err := s.deps.Desk.Packet(ctx, visit.PracticeID, row.ID)
	if err != nil {
		return nil, err
	}
	out := PacketView{
		ID: ID[packetKind](packet.ID), AppointmentID: in.ID, ClientID: ID[clientKind](packet.Client), Status: packet.Status, DueAt: at(packet.DueAt),
		CompletedAt: atOrNil(packet.CompletedAt), Forms: []PacketFormView{},
	}
	for _, f := range packet.Forms {
		form, err := s.packetForm(ctx, visit.PracticeID, packet.ID, f)
		if err != nil {
			return nil, err
		}
		out.Forms = append(out.Forms, form)
	}
	return &reply[PacketView]{Body: out}, s.deps.Store.InPractice(ctx, visit.PracticeID, func(tx *db.Tx) error {
		return tx.Record(ctx, db.Entry{
			Verb: "packet_read", By: callerOf(ctx).Principal, Object: "packet", ID: packet.ID,
			Subject: policy.Subject{Practice: visit.PracticeID, Kind: policy.KindJourney, ID: visit.ID},
		})
	})
}

func (s *Server) packetForm(ctx context.Context, practice, packet policy.ID, f desk.PacketForm) (PacketFormView, error) {
	out := PacketFormView{
		ID: ID[formKind](f.ID), Key: f.Key, Version: f.Version, Title: f.Title, NeedsSignature: f.NeedsSignature, Submitted: f.Submitted,
		SubmittedAt: atOrNil(f.SubmittedAt), Answers: map[string]any(f.Answers),
	}
	if out.Answers == nil {
		out.Answers = map[string]any{}
	}
	if f.SignedAt == nil {
		return out, nil
	}
	check, err := s.deps.Desk.VerifySignature(ctx, practice, packet, f.ID)
	if err != nil {
		return out, err
	}
	out.Signature = &SignatureView{Signer: check.Signer, SignedAt: at(check.SignedAt), Hash: check.Hash, Intact: check.Intact}
	return out, nil
}
