package activities_test

import (
	"context"
	"encoding/json"
	"time"

	"github.com/kept-practice/kept/db"
	"github.com/kept-practice/kept/internal/desk"
	"github.com/kept-practice/kept/internal/policy"
)

// command is one fact that somebody or something commits. Its rings are dropped: only the outbox may save them.
type command struct {
	name    string
	prepare func(context.Context, *busy) error // committed and seen by every plan before
	do      func(context.Context, *busy) error
}

func visit(verb policy.StatusVerb) func(context.Context, *busy) error {
	return func(ctx context.Context, b *busy) error {
		_, err := b.desk.SetStatus(ctx, b.by, desk.StatusInput{Appointment: b.ahead.Appointment.ID, Verb: verb, Reason: "asked"})
		return err
	}
}

func override(verb, step, value string) func(context.Context, *busy) error {
	return func(ctx context.Context, b *busy) error {
		_, err := b.desk.Override(ctx, b.by, desk.OverrideInput{Subject: b.ahead.Journey, Verb: verb, Step: step, Value: value, Reason: "asked"})
		return err
	}
}

func undo(ctx context.Context, b *busy) error {
	_, err := b.desk.Undo(ctx, b.by, b.ahead.Appointment.ID, "by mistake")
	return err
}

func setting(key, value string) func(context.Context, *busy) error {
	return func(ctx context.Context, b *busy) error {
		_, err := b.desk.SetSetting(ctx, b.by, desk.SettingInput{Level: policy.LevelPractice, Key: key, Value: json.RawMessage(value)})
		return err
	}
}

func patchClient(change func(*desk.ClientPatch)) func(context.Context, *busy) error {
	return func(ctx context.Context, b *busy) error {
		in := desk.ClientPatch{ID: b.client, Version: int32(b.scalar(`select version from clients where id = $1`, b.client))}
		change(&in)
		_, err := b.desk.UpdateClient(ctx, b.by, in)
		return err
	}
}

func optOut(channel, address, purpose string) func(context.Context, *busy) error {
	return func(ctx context.Context, b *busy) error {
		_, err := b.desk.OptOut(ctx, b.by, desk.OptOutInput{Channel: channel, Address: address, Purpose: purpose, Source: "phone"})
		return err
	}
}

func text(body string) func(context.Context, *busy) error {
	return func(ctx context.Context, b *busy) error {
		_, err := b.desk.ApplyText(ctx, b.practice.ID, "+442079460101", body)
		return err
	}
}

// page opens a hosted page for the unpaid invoice; news of it is applied afterwards.
func page(_ context.Context, b *busy) error {
	_, err := b.acts.Checkout(b.t.Context(), b.practice.ID, b.unpaid.ID, "a", "b")
	return err
}

func news(status, code string) func(context.Context, *busy) error {
	return func(_ context.Context, b *busy) error {
		inv := b.invoice()
		b.applies(desk.PaymentNews{Payment: b.payment("checkout"), Status: status, Code: code, Intent: "pi_1", Amount: inv.Total, Currency: "GBP"})
		return nil
	}
}

func form(document bool) func(context.Context, *busy) error {
	return func(ctx context.Context, b *busy) error {
		in := desk.FormInput{Packet: b.packet, Answers: map[string]any{"reason": "knee", "seen_before": "no"}}
		if document {
			in.Answers, in.Signer, in.Signed = map[string]any{"agree": true}, "Zoë Quartermaine", true
		}
		err := b.super.QueryRow(ctx, `select p.form_id from packet_forms p join forms f on f.id = p.form_id where p.packet_id = $1 and f.needs_signature = $2`,
			b.packet, document).Scan(&in.Form)
		if err != nil {
			return err
		}
		_, err = b.desk.SubmitForm(ctx, b.by, in)
		return err
	}
}

// papers asks for the papers of the visit ahead to be due now, so that a task stands open for them.
func papers(_ context.Context, b *busy) error {
	b.exec(`update packets set due_at = '2027-09-21T00:00:00Z' where id = $1`, b.packet)
	return nil
}

func firstForm(ctx context.Context, b *busy) error {
	if err := papers(ctx, b); err != nil {
		return err
	}
	return form(false)(ctx, b)
}

func ringCommands() []command {
	const reminder = "reminder/week/mail/v1"
	day := 24 * time.Hour
	return []command{
		{"book another visit", nil, func(_ context.Context, b *busy) error { b.book("2027-10-18", 1); return nil }},
		{"book what the recall asks for", nil, func(_ context.Context, b *busy) error { b.book("2027-10-18", 2); return nil }},
		{"book by the recall's link", nil, func(ctx context.Context, b *busy) error {
			_, err := b.desk.BookByLink(ctx, b.token(desk.LinkBook), nonce(), b.free(2, "2027-10-18"))
			return err
		}},
		{"cancel what the recall asked for", func(_ context.Context, b *busy) error { b.booked = b.book("2027-10-18", 2); return nil }, func(_ context.Context, b *busy) error {
			b.status(b.booked.Appointment.ID, policy.VerbCancel, "asked")
			return nil
		}},
		{"undo that cancellation while the recall is under way again", func(_ context.Context, b *busy) error {
			b.booked = b.book("2027-10-18", 2)
			b.settle(b.recall)
			b.status(b.booked.Appointment.ID, policy.VerbCancel, "asked")
			b.settle(b.recall)
			b.sweep()
			return nil
		}, func(ctx context.Context, b *busy) error {
			_, err := b.desk.Undo(ctx, b.by, b.booked.Appointment.ID, "by mistake")
			return err
		}},
		{"move", nil, func(ctx context.Context, b *busy) error {
			to := b.ahead.Appointment.StartsAt.Add(day).Format(time.RFC3339)
			_, err := b.desk.Move(ctx, b.by, desk.MoveInput{Appointment: b.ahead.Appointment.ID, StartsAt: to})
			return err
		}},
		{"new rules for clocks", func(_ context.Context, b *busy) error {
			id := b.ahead.Appointment.ID // where older rules had it
			b.exec(`update appointments set starts_at = starts_at + interval '1 hour', ends_at = ends_at + interval '1 hour' where id = $1`, id)
			b.exec(`update reservations set during = tstzrange(lower(during) + interval '1 hour', upper(during) + interval '1 hour') where appointment_id = $1`, id)
			return nil
		}, func(ctx context.Context, b *busy) error {
			_, err := b.desk.KeepWallTimes(ctx, b.practice.ID)
			return err
		}},
		{"move by link", nil, func(ctx context.Context, b *busy) error {
			_, err := b.desk.MoveByLink(ctx, b.token(desk.LinkMove), nonce(), b.free(0, "2027-10-18"))
			return err
		}},
		{"confirm", nil, visit(policy.VerbConfirm)},
		{"confirm by link", nil, func(ctx context.Context, b *busy) error {
			_, err := b.desk.ConfirmByLink(ctx, b.token(desk.LinkConfirm), nonce())
			return err
		}},
		{"ask for a fresh link", nil, func(ctx context.Context, b *busy) error {
			_, err := b.desk.AskFreshLink(ctx, b.token(desk.LinkConfirm), "")
			return err
		}},
		{"confirm by text", nil, text("C")},
		{"arrive", nil, visit(policy.VerbArrive)},
		{"room", visit(policy.VerbArrive), visit(policy.VerbRoom)},
		{"start", visit(policy.VerbArrive), visit(policy.VerbStart)},
		{"complete", visit(policy.VerbArrive), visit(policy.VerbComplete)},
		{"miss", nil, visit(policy.VerbNoShow)},
		{"cancel", nil, visit(policy.VerbCancel)},
		{"cancel late", nil, visit(policy.VerbCancelLate)},
		{"cancel by link", nil, func(ctx context.Context, b *busy) error {
			_, err := b.desk.CancelByLink(ctx, b.token(desk.LinkCancel), nonce(), "")
			return err
		}},
		{"undo a cancellation", visit(policy.VerbCancel), undo},
		{"undo a completion", visit(policy.VerbComplete), undo},
		{"submit the first of two forms", papers, form(false)},
		{"submit the last form", firstForm, form(true)},
		{"pause", nil, override(policy.VerbPause, "", "")},
		{"pause a step", nil, override(policy.VerbPause, reminder, "")},
		{"resume", override(policy.VerbPause, "", ""), override(policy.VerbResume, "", "")},
		{"skip", nil, override(policy.VerbSkip, reminder, "")},
		{"fire now", nil, override(policy.VerbFireNow, reminder, "")},
		{"reroute", nil, override(policy.VerbReroute, reminder, "sms")},
		{"change a setting that plans turn on", nil, setting("quiet_hours", `{"start":"12:00","end":"11:00"}`)},
		{"change a setting that none turns on", nil, setting("hold_minutes", `20`)},
		{"prefer texts", nil, patchClient(func(in *desk.ClientPatch) { sms := policy.ChannelSMS; in.Prefers = &sms })},
		{"live elsewhere", nil, patchClient(func(in *desk.ClientPatch) { zone := "Asia/Tokyo"; at := &zone; in.Zone = &at })},
		{"rename a client", nil, patchClient(func(in *desk.ClientPatch) { name := "Zoe"; in.GivenName = &name })},
		{"end a client", nil, patchClient(func(in *desk.ClientPatch) { gone := desk.ClientInactive; in.Status = &gone })},
		{
			"take a client back", patchClient(func(in *desk.ClientPatch) { gone := desk.ClientInactive; in.Status = &gone }),
			patchClient(func(in *desk.ClientPatch) { back := desk.ClientActive; in.Status = &back }),
		},
		{"erase a client", visit(policy.VerbCancel), func(ctx context.Context, b *busy) error {
			_, err := b.desk.EraseClient(ctx, b.by, b.client, int32(b.scalar(`select version from clients where id = $1`, b.client)), "asked")
			return err
		}},
		{"close an address", nil, func(ctx context.Context, b *busy) error {
			var id policy.ID
			if err := b.super.QueryRow(ctx, `select id from contact_points where channel = 'mail'`).Scan(&id); err != nil {
				return err
			}
			_, err := b.desk.CloseContact(ctx, b.by, b.client, id, "moved")
			return err
		}},
		{"add an address", optOut(policy.ChannelMail, "zoe@example.org", "all"), func(ctx context.Context, b *busy) error {
			_, err := b.desk.AddContact(ctx, b.by, b.client, policy.ChannelMail, "zoe.new@example.org")
			return err
		}},
		{"opt out", nil, optOut(policy.ChannelMail, "zoe@example.org", "all")},
		{"opt out of invitations", nil, optOut(policy.ChannelMail, "zoe@example.org", "recall")},
		{"opt out by text", nil, text("STOP")},
		{"opt in", optOut(policy.ChannelMail, "zoe@example.org", "all"), func(ctx context.Context, b *busy) error {
			_, err := b.desk.OptIn(ctx, b.by, desk.OptOutInput{Channel: policy.ChannelMail, Address: "zoe@example.org", Source: "phone"})
			return err
		}},
		{"refuse invitations", nil, func(ctx context.Context, b *busy) error {
			_, err := b.desk.RecordConsent(ctx, b.by, desk.ConsentInput{Client: b.client, Channel: policy.ChannelMail, Purpose: "recall", Source: "desk"})
			return err
		}},
		{"unsubscribe by link", nil, func(ctx context.Context, b *busy) error {
			_, err := b.desk.UnsubscribeByLink(ctx, b.token(desk.LinkUnsubscribe), nil, "")
			return err
		}},
		{"choose by link what is sent", nil, func(ctx context.Context, b *busy) error {
			_, err := b.desk.SavePreferencesByLink(ctx, b.token(desk.LinkPreferences), desk.Post{Nonce: make([]byte, 32)}, []desk.Choice{
				{Purpose: desk.PurposeService, Channel: policy.ChannelMail, Was: desk.PreferenceOn}, {Purpose: desk.PurposeRecall, Channel: policy.ChannelMail, Was: desk.PreferenceOn},
			})
			return err
		}},
		{"bounce", nil, func(ctx context.Context, b *busy) error {
			_, err := b.desk.ApplyMessage(ctx, b.practice.ID, desk.MessageNews{Message: b.lastMessage(), Status: "bounced"})
			return err
		}},
		{"settle an unknown outcome by an event", unknownOutcome, func(ctx context.Context, b *busy) error {
			_, err := b.desk.ApplyMessage(ctx, b.practice.ID, desk.MessageNews{Message: b.lastMessage(), Status: "delivered"})
			return err
		}},
		{"send again", unknownOutcome, func(ctx context.Context, b *busy) error {
			_, err := b.desk.Override(ctx, b.by, desk.OverrideInput{Subject: b.booked.Journey, Verb: policy.VerbSendAgain, Step: "confirmation/booked/mail/v1", Reason: "asked"})
			return err
		}},
		{"resume a channel", func(ctx context.Context, b *busy) error {
			b.exec(`insert into channel_pauses (practice_id, id, channel, reason, at) values ($1, $2, 'mail', 'test', now())`, b.practice.ID, db.NewID())
			b.booked = b.book("2027-10-18", 1)
			b.setClock("2027-09-23T10:00:00Z")
			return nil
		}, func(ctx context.Context, b *busy) error {
			_, err := b.desk.ResumeChannel(ctx, b.by, policy.ChannelMail, "it works again")
			return err
		}},
		{"open a page to pay on", nil, page},
		{"pay", page, news(desk.PaymentSucceeded, "")},
		{"decline", page, news(desk.PaymentFailed, "card_declined")},
		{"let the page expire", page, news(desk.PaymentExpired, "")},
		{"leave a card", func(ctx context.Context, b *busy) error {
			_, _, err := b.acts.SetupPage(ctx, b.by, b.client, "a")
			return err
		}, func(ctx context.Context, b *busy) error {
			return b.store.InPractice(ctx, b.practice.ID, func(tx *db.Tx) error {
				_, err := b.desk.StoreCard(ctx, tx, policy.Principal{Kind: policy.ByGateway, Practice: b.practice.ID}, desk.CardNews{
					Payment: b.payment("setup"), Customer: "cus_1", Method: "pm_1", Brand: "visa", Last4: "4242", ExpMonth: 1, ExpYear: 2030,
				})
				return err
			})
		}},
		{"void the invoice", nil, func(ctx context.Context, b *busy) error {
			_, _, err := b.desk.Void(ctx, b.by, b.unpaid.ID, "billed by mistake")
			return err
		}},
		{"start the collection", func(_ context.Context, b *busy) error {
			b.exec(`delete from subjects where kind = 'collection'`)
			b.exec(`update invoices set follow_up_started_at = null where id = $1`, b.unpaid.ID)
			return nil
		}, func(_ context.Context, b *busy) error { b.sweep(); return nil }},
		{"stop the recall", nil, func(ctx context.Context, b *busy) error {
			_, err := b.desk.StopRecall(ctx, b.by, b.recall.ID, "asked")
			return err
		}},
		{"start the next recall", func(ctx context.Context, b *busy) error {
			b.exec(`update recalls set status = 'waiting', round = round + 1, started_at = null`)
			return nil
		}, func(_ context.Context, b *busy) error { b.sweep(); return nil }},
		{"schedule the next recall while one is under way", nil, func(_ context.Context, b *busy) error {
			walkIn := b.book("2027-09-24", 2)
			b.status(walkIn.Appointment.ID, policy.VerbComplete, "")
			b.plan(b.recall)
			b.before, b.planned = b.outlooks(), walkIn.Journey
			b.plan(walkIn.Journey)
			return nil
		}},
		{"change how often a service recalls", nil, func(ctx context.Context, b *busy) error {
			var version int32
			if err := b.super.QueryRow(ctx, `select version from services where id = $1`, b.practice.Services[0]).Scan(&version); err != nil {
				return err
			}
			every := "P1Y"
			_, err := b.desk.UpdateService(ctx, b.by, desk.ServicePatch{ID: b.practice.Services[0], Version: version, RecallEvery: &every})
			return err
		}},
		{"publish a cadence for visits under way", nil, func(ctx context.Context, b *busy) error {
			var cadence policy.ID
			if err := b.super.QueryRow(ctx, `select id from cadences where kind = 'journey'`).Scan(&cadence); err != nil {
				return err
			}
			draft, err := b.desk.DraftCadence(ctx, b.by, cadence, []policy.Rule{{ID: "day", Act: policy.ActMessage, When: policy.MustLead("-1d")}})
			if err != nil {
				return err
			}
			published, err := b.desk.PublishCadence(ctx, b.by, desk.PublishInput{Version: draft.ID, Adopt: desk.AdoptFuture})
			if err != nil {
				return err
			}
			_, err = b.desk.AdoptBatch(ctx, b.practice.ID, published.Adoption.ID)
			return err
		}},
	}
}

// unknownOutcome leaves a confirmation whose end nobody knows.
func unknownOutcome(_ context.Context, b *busy) error {
	b.booked = b.book("2027-10-18", 1)
	b.answers("mail", unclear)
	b.step(b.booked.Journey, b.due(b.booked.Journey))
	b.post.answer = nil
	return nil
}
