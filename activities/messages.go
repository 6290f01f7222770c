package activities

import (
	"context"
	"fmt"

	"github.com/kept-practice/kept/db"
	"github.com/kept-practice/kept/internal/desk"
	"github.com/kept-practice/kept/internal/gateway"
	"github.com/kept-practice/kept/internal/gateway/mail"
	"github.com/kept-practice/kept/internal/gateway/sms"
	"github.com/kept-practice/kept/internal/policy"
)

// SendMail sends one message by e-mail: at most once for its key. SendGrid takes no idempotency key and tells nothing
// afterwards, so an attempt without an answer is unknown and never repeated by itself.
func (a *Activities) SendMail(ctx context.Context, s policy.Subject, step policy.Step) (again bool, err error) {
	var letter desk.Letter
	return a.run(ctx, s, step, a.sending(&letter, func(ctx context.Context) gateway.Outcome {
		return a.mail.Send(ctx, mail.Message{
			From:    mail.Address{Name: letter.From, Email: a.mailFrom},
			ReplyTo: &mail.Address{Name: letter.From, Email: letter.ReplyTo},
			To:      mail.Address{Email: letter.Address},
			Subject: letter.Subject, Text: letter.Text, HTML: letter.HTML,
			Ref: letter.Message.String(), Practice: s.Practice.String(), Unsubscribe: letter.Unsubscribe,
		})
	}))
}

// SendSMS sends one message as a text, under the same rules.
func (a *Activities) SendSMS(ctx context.Context, s policy.Subject, step policy.Step) (again bool, err error) {
	var (
		letter desk.Letter
		out    gateway.Outcome
	)
	again, err = a.run(ctx, s, step, a.sending(&letter, func(ctx context.Context) gateway.Outcome {
		out = a.sms.Send(ctx, sms.Message{To: letter.Address, From: letter.Sender, Body: letter.Text, Ref: letter.Message.String()})
		return out
	}))
	if err != nil || out.Code != sms.CodeOptedOut {
		return again, err
	}
	// The carrier knows of a STOP that has not reached us: believe it.
	_, err = a.desk.OptOut(ctx, policy.Principal{Kind: policy.ByGateway, Practice: s.Practice}, desk.OptOutInput{
		Channel: policy.ChannelSMS, Address: letter.Address, Purpose: "all", Source: "carrier",
	})
	return again, err
}

// sending writes and renders the letter in the claiming transaction, so that what goes out is what the facts said then.
func (a *Activities) sending(letter *desk.Letter, send func(context.Context) gateway.Outcome) act {
	return act{
		prepare: func(ctx context.Context, tx *db.Tx, c *claim) error {
			var err error
			*letter, err = a.desk.WriteLetter(ctx, tx, c.subject, c.step, c.look, a.baseURL)
			if err != nil {
				return fmt.Errorf("write the message: %w", err)
			}
			if c.step.Channel == policy.ChannelSMS {
				segments, _ := sms.Segments(letter.Text)
				if err := a.desk.CountSegments(ctx, tx, letter.Message, segments); err != nil {
					return err
				}
			}
			c.object = &letter.Message
			return nil
		},
		lock: lockSubject,
		call: func(ctx context.Context, _ *claim) gateway.Outcome { return send(ctx) },
		done: func(ctx context.Context, tx *db.Tx, c *claim, out gateway.Outcome) ([]policy.Subject, error) {
			status := map[gateway.State]string{gateway.Accepted: "sent", gateway.Refused: "failed", gateway.Unclear: "unknown"}[out.State]
			_, err := tx.MessageSettle(ctx, db.MessageSettleParams{
				PracticeID: tx.Practice, ID: *c.object, Status: status, GatewayID: orNil(out.Reference),
			})
			return nil, err
		},
	}
}
