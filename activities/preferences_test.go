package activities_test

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestLetters_MailsAboutVisits_OfferAPageOfPreferences(t *testing.T) {
	h := newHouse(t)
	booked := h.book("2027-03-15", 2)
	h.step(booked.Journey, h.due(booked.Journey))
	require.NotEmpty(t, h.post.mails)
	require.Contains(t, h.post.mails[0].Text, "Choose what we send you: https://kept.example.org/l/")
	require.Equal(t, len(h.post.mails), h.scalar(`select count(*) from links where purpose = 'preferences' and expires_at - created_at = interval '365 days'`))
}
