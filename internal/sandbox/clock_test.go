package sandbox_test

import (
	"log/slog"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kept-practice/kept/internal/gateway/stripe"
	"github.com/kept-practice/kept/internal/sandbox"
)

// movable is a sandbox whose clock the test moves.
func movable(t *testing.T) (*stripe.Client, func(time.Duration)) {
	var ahead atomic.Int64
	s, err := sandbox.New(sandbox.Options{
		Dir: t.TempDir(), Logger: slog.New(slog.DiscardHandler),
		Now: func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) },
	})
	require.NoError(t, err)
	front := httptest.NewServer(s.Handler())
	t.Cleanup(func() {
		front.Close()
		require.NoError(t, s.Close())
	})
	c, err := stripe.New(stripe.Options{Key: "sk_test_1", BaseURL: front.URL + "/stripe"})
	require.NoError(t, err)
	return c, func(d time.Duration) { ahead.Add(int64(d)) }
}

func TestStripe_KeyOlderThanADay_Forgotten(t *testing.T) {
	c, pass := movable(t)
	first := c.EnsureCustomer(t.Context(), "key", nil)
	require.True(t, first.OK())
	pass(23*time.Hour + 59*time.Minute)
	require.Equal(t, first.Reference, c.EnsureCustomer(t.Context(), "key", nil).Reference)
	pass(2 * time.Minute)
	later := c.EnsureCustomer(t.Context(), "key", nil)
	require.True(t, later.OK() && !later.Replayed)
	require.NotEqual(t, first.Reference, later.Reference, "so a claim this old must be searched for, not repeated")
}

func TestStripe_PageLeftAlone_ExpiresAtItsTime(t *testing.T) {
	c, pass := movable(t)
	page, out := c.CreateCheckout(t.Context(), stripe.CheckoutInput{
		IdemKey: "k", AmountMinor: 100, Currency: "usd", Description: "Invoice 1", SuccessURL: "http://kept.test/",
		CancelURL: "http://kept.test/", ExpiresAt: time.Now().Add(time.Hour),
	})
	require.True(t, out.OK(), "%+v", out)
	pass(time.Hour + time.Second)
	got, out := c.FetchCheckoutSession(t.Context(), page.ID)
	require.True(t, out.OK())
	require.Equal(t, "expired", got.Status)
	require.Empty(t, got.URL)
	events, _, out := c.ListEvents(t.Context(), time.Now(), "")
	require.True(t, out.OK())
	require.Equal(t, "checkout.session.expired", events[0].Type)
}
