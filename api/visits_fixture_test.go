package api

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kept-practice/kept/internal/desk"
	"github.com/kept-practice/kept/internal/policy"
)

// dayFixture is the practice of linkFixture, asked through the API with its owner's key.
type dayFixture struct {
	*linkFixture
	key   string
	cards *fakeCards
}

// fakeCards stands for the card gateway's hosted pages.
type fakeCards struct{ backs []string }

func (c *fakeCards) Checkout(_ context.Context, _, _ policy.ID, back string) (string, error) {
	c.backs = append(c.backs, back)
	return "https://pay.example.com/session/1", nil
}

func (c *fakeCards) SetupPage(_ context.Context, _ policy.Principal, _ policy.ID, back string) (string, time.Time, error) {
	c.backs = append(c.backs, back)
	return "https://pay.example.com/setup/1", linkMonday.Add(2 * time.Hour), nil
}

func newDayFixture(t *testing.T) *dayFixture {
	t.Helper()
	f := &dayFixture{linkFixture: newLinkFixture(t), cards: &fakeCards{}}
	f.key = f.practice.Key.Text
	var err error
	f.server, err = New(Deps{
		Store: f.store, Waker: f.waker, BaseURL: linkOrigin, Logger: slog.New(slog.NewJSONHandler(f.log, nil)), Cards: f.cards,
		TemporalUI: "http://127.0.0.1:8233", RatePerSecond: 10_000, RateBurst: 10_000,
	})
	require.NoError(t, err)
	t.Cleanup(f.server.Close)
	return f
}

// ask sends a request as the owner; body is a JSON text or a value to be written as one.
func (f *dayFixture) ask(method, path string, body any, options ...option) answer {
	f.t.Helper()
	text, ok := body.(string)
	if !ok && body != nil {
		raw, err := json.Marshal(body)
		require.NoError(f.t, err)
		text = string(raw)
	}
	r := httptest.NewRequest(method, path, strings.NewReader(text))
	if text == "" {
		r = httptest.NewRequest(method, path, nil)
	} else {
		r.Header.Set("Content-Type", "application/json")
	}
	r.Header.Set("Authorization", "Bearer "+f.key)
	for _, o := range options {
		o(r)
	}
	w := httptest.NewRecorder()
	f.server.ServeHTTP(w, r)
	return answer{t: f.t, Status: w.Code, Header: w.Header(), Body: w.Body.String()}
}

// over sends a booking through a real connection.
func (f *dayFixture) over(address string, body map[string]any) answer {
	raw, err := json.Marshal(body)
	require.NoError(f.t, err)
	r, err := http.NewRequestWithContext(context.Background(), http.MethodPost, address, bytes.NewReader(raw))
	require.NoError(f.t, err)
	r.Header.Set("Authorization", "Bearer "+f.key)
	r.Header.Set("Content-Type", "application/json")
	reply, err := http.DefaultClient.Do(r)
	require.NoError(f.t, err)
	text, err := io.ReadAll(reply.Body)
	require.NoError(f.t, err)
	require.NoError(f.t, reply.Body.Close())
	return answer{t: f.t, Status: reply.StatusCode, Header: reply.Header, Body: string(text)}
}

func (f *dayFixture) read(path string, options ...option) answer {
	f.t.Helper()
	return f.ask(http.MethodGet, path, nil, options...)
}

func (f *dayFixture) say(path string, body any, options ...option) answer {
	f.t.Helper()
	return f.ask(http.MethodPost, path, body, options...)
}

// wanted is a booking that succeeds: the first visit, with the first provider, on Friday at 14:00.
func (f *dayFixture) wanted(change ...func(map[string]any)) map[string]any {
	out := map[string]any{
		"client_id": ID[clientKind](f.client).String(), "service_id": ID[serviceKind](f.practice.Services[0]).String(),
		"provider_id": ID[providerKind](f.practice.Providers[0]).String(), "location_id": ID[locationKind](f.practice.Locations[0]).String(),
		"starts_at": "2031-03-07T14:00",
	}
	for _, c := range change {
		c(out)
	}
	return out
}

func set(name string, value any) func(map[string]any) {
	return func(m map[string]any) { m[name] = value }
}

func (f *dayFixture) visitPath(rest string) string {
	return "/v1/appointments/" + ID[appointmentKind](f.visit.ID).String() + rest
}

func (f *dayFixture) journeyPath(rest string) string {
	return "/v1/journeys/" + ID[journeyKind](f.visit.ID).String() + rest
}

// facts is the fingerprint of everything but the notes about requests themselves.
func (f *dayFixture) facts() map[string]string {
	f.t.Helper()
	out := f.fingerprint()
	delete(out, "api_keys")
	delete(out, "idempotency_keys")
	delete(out, "guesses")
	return out
}

// newKey makes a key of the role, for a person where one is given.
func (f *dayFixture) newKey(role policy.Role, staff *policy.ID) option {
	f.t.Helper()
	key, err := f.desk.CreateKey(context.Background(), f.staff(), desk.KeyInput{Name: string(role), Role: role, Staff: staff})
	require.NoError(f.t, err)
	return withKey(key.Key.Text)
}

// staffOf is the person behind a provider.
func (f *dayFixture) staffOf(provider policy.ID) *policy.ID {
	f.t.Helper()
	r, err := f.store.In(f.practice.ID).ResourceByID(context.Background(), f.practice.ID, provider)
	require.NoError(f.t, err)
	return r.StaffID
}
