package api

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"html"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/kept-practice/kept/db"
	"github.com/kept-practice/kept/internal/desk"
	"github.com/kept-practice/kept/internal/policy"
	"github.com/kept-practice/kept/internal/proof"
)

// linkFixture is a practice in New York with two providers, one client with a visit on Thursday at 10:00, and a server with
// its link pages. Its clock stands on Monday, 3 March 2031, 09:00.
type linkFixture struct {
	t        *testing.T
	server   *Server
	store    *db.Store
	desk     *desk.Desk
	conn     *pgx.Conn
	waker    *recordingWaker
	log      *lockedBuffer
	checkout *fakeCheckout
	practice desk.CreatedPractice
	client   policy.ID
	visit    db.Appointment
	address  string // the visitor's
}

// fakeCheckout stands for the gateway: it makes one page for each invoice and counts how often it was asked.
type fakeCheckout struct {
	mu    sync.Mutex
	asked []policy.ID
	url   string
	err   error
}

func (f *fakeCheckout) Checkout(_ context.Context, _, invoice policy.ID) (string, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked = append(f.asked, invoice)
	return f.url, f.err
}

var linkMonday = time.Date(2031, 3, 3, 14, 0, 0, 0, time.UTC)

const linkOrigin = "https://kept.example.org"

func newLinkFixture(t *testing.T) *linkFixture {
	t.Helper()
	ctx := t.Context()
	f := &linkFixture{
		t: t, store: proof.NewStore(t), waker: &recordingWaker{}, log: &lockedBuffer{}, address: "203.0.113.7:4000",
		checkout: &fakeCheckout{url: "https://pay.example.com/session/1"},
	}
	f.desk, f.conn = desk.New(f.store), proof.Connect(t, f.store)
	var err error
	f.practice, err = f.desk.CreatePractice(ctx, linkPractice("Harbour Lane"))
	require.NoError(t, err)
	_, err = f.desk.CreatePractice(ctx, linkPractice("Mill Street"))
	require.NoError(t, err)
	f.setClock(linkMonday)
	client, err := f.desk.CreateClient(ctx, f.staff(), desk.ClientInput{GivenName: "Casey", FamilyName: "Client", Mail: "casey@example.org"})
	require.NoError(t, err)
	f.client = client.ID
	f.visit = f.book(f.practice.Services[0], "2031-03-06T10:00")
	f.server, err = New(Deps{Store: f.store, Waker: f.waker, BaseURL: linkOrigin, Logger: slog.New(slog.NewJSONHandler(f.log, nil))})
	require.NoError(t, err)
	t.Cleanup(f.server.Close)
	require.NoError(t, f.server.MountLinks(LinkDeps{Desk: f.desk, Checkout: f.checkout, NonceKey: []byte(strings.Repeat("k", 32))}))
	return f
}

func linkPractice(name string) desk.PracticeInput {
	setup := desk.DefaultSetup("Olive Owner", name)
	setup.Locations[0].PostalAddress = "12 Harbour Lane\nPortsmouth, NH 03801"
	second := setup.Providers[0]
	second.Name = "Pat Provider"
	second.Mail = "pat@example.org"
	setup.Providers = append(setup.Providers, second)
	setup.Services[2].Forms = nil
	return desk.PracticeInput{
		Mode: desk.ModeTest, Name: name, Zone: "America/New_York", Currency: "USD", Country: "US", Mail: "desk@example.org", Phone: "+1 603 555 0123", Setup: &setup,
	}
}

func (f *linkFixture) staff() policy.Principal {
	return policy.Principal{Kind: policy.ByStaff, Practice: f.practice.ID, Staff: &f.practice.Owner, Role: policy.RoleOwner}
}

func (f *linkFixture) setClock(at time.Time) {
	f.t.Helper()
	f.exec(`update test_clocks set now_at = $1, target_at = $1`, at)
}

func (f *linkFixture) exec(sql string, args ...any) {
	f.t.Helper()
	_, err := f.conn.Exec(context.Background(), sql, args...)
	require.NoError(f.t, err)
}

func (f *linkFixture) count(sql string, args ...any) (n int) {
	f.t.Helper()
	require.NoError(f.t, f.conn.QueryRow(context.Background(), sql, args...).Scan(&n))
	return n
}

func (f *linkFixture) book(service policy.ID, at string) db.Appointment {
	f.t.Helper()
	booked, err := f.desk.Book(context.Background(), f.staff(), desk.BookInput{
		Client: f.client, Service: service, Provider: f.practice.Providers[0], Location: f.practice.Locations[0], StartsAt: at, Source: "admin",
	})
	require.NoError(f.t, err)
	return booked.Appointment
}

// mint makes a link of the fixture's client, as the messages do.
func (f *linkFixture) mint(purpose, kind string, subject policy.ID, version int32, expires time.Time) string {
	f.t.Helper()
	var raw [32]byte
	_, err := rand.Read(raw[:])
	require.NoError(f.t, err)
	token := base64.RawURLEncoding.EncodeToString(raw[:])
	hash := sha256.Sum256([]byte(token))
	require.NoError(f.t, f.store.In(f.practice.ID).LinkInsert(context.Background(), db.LinkInsertParams{
		PracticeID: f.practice.ID, ID: db.NewID(), TokenHash: hash[:], Purpose: purpose, ClientID: f.client, SubjectKind: kind, SubjectID: subject,
		Version: version, ExpiresAt: expires, CreatedAt: linkMonday,
	}))
	return token
}

func (f *linkFixture) visitLink(purpose string) string {
	f.t.Helper()
	expires := f.visit.StartsAt
	if purpose == desk.LinkCheckIn {
		expires = f.visit.EndsAt
	}
	return f.mint(purpose, policy.KindJourney, f.visit.ID, f.visit.Version, expires)
}

// invoice is a visit's bill over 80.00, of which paid is paid.
func (f *linkFixture) invoice(status string, paid int64) policy.ID {
	f.t.Helper()
	id := db.NewID()
	f.exec(`insert into invoices (practice_id, id, appointment_id, completion, client_id, service_id, provider_id, location_id, number, status, currency,
			net, tax, total, paid, source, caused_by_step, occurred_on, issued_at, voided_at)
		select practice_id, $2, id, 1 + (select count(*) from invoices)::int, client_id, service_id, provider_id, location_id, 41 + (select count(*) from invoices),
			$3, 'USD', 8000, 0, 8000, $4, 'kept', 'issue', '2031-03-03', $5, case when $3 = 'void' then $5::timestamptz end
		from appointments where id = $1`, f.visit.ID, id, status, paid, linkMonday)
	f.exec(`insert into invoice_lines (practice_id, invoice_id, position, description, quantity_milli, unit_amount, tax_bp, net, tax, total, provider_id,
			service_id, location_id, service_on)
		select practice_id, id, 1, 'Psychotherapy', 1000, 8000, 0, 8000, 0, 8000, provider_id, service_id, location_id, occurred_on from invoices where id = $1`, id)
	return id
}

// recall is one that has started for the check-up.
func (f *linkFixture) recall() policy.ID {
	f.t.Helper()
	id := db.NewID()
	f.exec(`insert into recalls (practice_id, id, client_id, service_id, calculated_on, every, status, started_at)
		values ($1, $2, $3, $4, '2031-03-01', 'P6M', 'started', $5)`, f.practice.ID, id, f.client, f.practice.Services[2], linkMonday)
	return id
}

func (f *linkFixture) recallLink(purpose string) string {
	f.t.Helper()
	return f.mint(purpose, policy.KindRecall, f.recall(), 0, linkMonday.Add(60*24*time.Hour))
}

func (f *linkFixture) send(method, path string, body io.Reader, options ...option) answer {
	f.t.Helper()
	r := httptest.NewRequest(method, path, body)
	r.RemoteAddr = f.address
	for _, o := range options {
		o(r)
	}
	w := httptest.NewRecorder()
	f.server.ServeHTTP(w, r)
	return answer{t: f.t, Status: w.Code, Header: w.Header(), Body: w.Body.String()}
}

func (f *linkFixture) get(path string, options ...option) answer {
	f.t.Helper()
	return f.send(http.MethodGet, path, nil, options...)
}

// post sends a form as a browser does from our own page.
func (f *linkFixture) post(path string, form url.Values, options ...option) answer {
	f.t.Helper()
	browser := []option{with("Content-Type", "application/x-www-form-urlencoded"), with("Sec-Fetch-Site", "same-origin"), with("Origin", "null")}
	return f.send(http.MethodPost, path, strings.NewReader(form.Encode()), append(browser, options...)...)
}

// fill opens the page, adds its nonce to the fields and sends them.
func (f *linkFixture) fill(path string, form url.Values) answer {
	f.t.Helper()
	return f.post(path, f.withNonce(path, form))
}

var nonceField = regexp.MustCompile(`name="nonce" value="([^"]+)"`)

func (f *linkFixture) withNonce(path string, form url.Values) url.Values {
	f.t.Helper()
	page := f.get(path)
	found := nonceField.FindStringSubmatch(page.Body)
	require.NotNil(f.t, found, "no form on the page: %d %s", page.Status, page.Body)
	out := url.Values{"nonce": {found[1]}}
	for name, values := range form {
		out[name] = values
	}
	return out
}

func (f *linkFixture) status() string {
	f.t.Helper()
	visit, err := f.store.In(f.practice.ID).AppointmentByID(context.Background(), f.practice.ID, f.visit.ID)
	require.NoError(f.t, err)
	return visit.Status
}

var slotField = regexp.MustCompile(`name="slot" value="([^"]+)"`)

// slots are the times that a page offers.
func slots(page string) []string {
	var out []string
	for _, found := range slotField.FindAllStringSubmatch(page, -1) {
		out = append(out, html.UnescapeString(found[1]))
	}
	return out
}

// fingerprint is every row of every table, to show that nothing changed.
func (f *linkFixture) fingerprint() map[string]string {
	f.t.Helper()
	ctx := context.Background()
	rows, err := f.conn.Query(ctx, `select tablename from pg_tables where schemaname = 'public' order by 1`)
	require.NoError(f.t, err)
	tables, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(f.t, err)
	require.Greater(f.t, len(tables), 40)
	sums := map[string]string{}
	for _, table := range tables {
		var sum string
		from := table + ` t`
		if table == "journal" { // all but the notes about refused requests
			from += ` where verb <> 'unknown_id_refused'`
		}
		require.NoError(f.t, f.conn.QueryRow(ctx, `select coalesce(md5(string_agg(t::text, E'\n' order by t::text)), '') from `+from).Scan(&sum))
		sums[table] = sum
	}
	return sums
}
