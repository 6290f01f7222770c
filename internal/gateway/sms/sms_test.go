package sms_test

import (
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kept-practice/kept/internal/gateway/sms"
	"github.com/kept-practice/kept/internal/policy"
)

const (
	vectorURL   = "https://mycompany.com/myapp.php"
	vectorQuery = "foo=1&bar=2"
)

func vector(number string) url.Values {
	return url.Values{
		"CallSid": {"CA1234567890ABCDE"}, "Caller": {number}, "Digits": {"1234"}, "From": {number}, "To": {"+18005551212"},
	}
}

// Twilio's own published examples: two in its documentation, one for repeated fields in its libraries' tests.
func TestSign_TwiliosPublishedVectors(t *testing.T) {
	require.Equal(t, "RSOYDt4T1cUTdK1PDd93/VVr8B8=", sms.Sign(vectorURL+"?"+vectorQuery, vector("+14158675309"), "12345"))
	require.Equal(t, "0/KCTR6DLpKmkAf8muzZqo1nDgQ=", sms.Sign(vectorURL+"?"+vectorQuery, vector("+12349013030"), "12345"))
	repeated := url.Values{"Sid": {"CA123"}, "SidAccount": {"AC123"}, "Digits": {"5678", "1234", "1234"}}
	require.Equal(t, "IK+Dwps556ElfBT0I3Rgjkr1wJU=", sms.Sign(vectorURL+"?"+vectorQuery, repeated, "12345"))
}

func TestVerify_ForgedOrOdd_OneAnswer(t *testing.T) {
	body := vector("+14158675309").Encode()
	const good = "RSOYDt4T1cUTdK1PDd93/VVr8B8="
	form, err := sms.Verify(vectorURL, vectorQuery, []byte(body), good, []string{"old", "12345"})
	require.NoError(t, err)
	require.Equal(t, "1234", form.Get("Digits"))
	for name, c := range map[string]struct {
		url, query, body, signature string
		tokens                      []string
	}{
		"missing":          {vectorURL, vectorQuery, body, "", []string{"12345"}},
		"other token":      {vectorURL, vectorQuery, body, good, []string{"54321"}},
		"no token":         {vectorURL, vectorQuery, body, good, nil},
		"empty token":      {vectorURL, vectorQuery, body, sms.Sign(vectorURL+"?"+vectorQuery, vector("+14158675309"), ""), []string{""}},
		"other host":       {"https://evil.example/myapp.php", vectorQuery, body, good, []string{"12345"}},
		"http":             {strings.Replace(vectorURL, "https", "http", 1), vectorQuery, body, good, []string{"12345"}},
		"other query":      {vectorURL, "foo=1&bar=3", body, good, []string{"12345"}},
		"no query":         {vectorURL, "", body, good, []string{"12345"}},
		"extra field":      {vectorURL, vectorQuery, body + "&Extra=1", good, []string{"12345"}},
		"changed field":    {vectorURL, vectorQuery, strings.Replace(body, "1234", "4321", 1), good, []string{"12345"}},
		"not a form":       {vectorURL, vectorQuery, "%zz", good, []string{"12345"}},
		"no padding":       {vectorURL, vectorQuery, body, strings.TrimRight(good, "="), []string{"12345"}},
		"loose last bits":  {vectorURL, vectorQuery, body, "RSOYDt4T1cUTdK1PDd93/VVr8B9=", []string{"12345"}},
		"line break":       {vectorURL, vectorQuery, body, good + "\n", []string{"12345"}},
		"SHA-256 in place": {vectorURL, vectorQuery, body, "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", []string{"12345"}},
	} {
		_, err := sms.Verify(c.url, c.query, []byte(c.body), c.signature, c.tokens)
		require.Equal(t, policy.Unauthenticated, policy.KindOf(err), name)
		require.Equal(t, "bad_signature", policy.CodeOf(err), name)
	}
	twice := "MessageSid=SM1&MessageSid=SM1&From=%2B1&To=%2B2"
	values, err := url.ParseQuery(twice)
	require.NoError(t, err)
	_, err = sms.Verify(vectorURL, "", []byte(twice), sms.Sign(vectorURL, values, "12345"), []string{"12345"})
	require.Equal(t, policy.Unreadable, policy.KindOf(err), "proven, but a field occurs twice")
}

func TestParse_WithoutIds_Unreadable(t *testing.T) {
	_, err := sms.ParseStatus(url.Values{"MessageSid": {"SM1"}}, "ref=a")
	require.Equal(t, policy.Unreadable, policy.KindOf(err))
	_, err = sms.ParseInbound(url.Values{"MessageSid": {"SM1"}, "From": {"+1"}})
	require.Equal(t, policy.Unreadable, policy.KindOf(err))
	s, err := sms.ParseStatus(url.Values{"MessageSid": {"SM1"}, "MessageStatus": {"failed"}, "ErrorCode": {"30003"}}, "ref=a%20b")
	require.NoError(t, err)
	require.Equal(t, sms.Status{SID: "SM1", Ref: "a b", State: "failed", Code: "30003"}, s)
}

func TestSegments_AsCarriersBill(t *testing.T) {
	for _, c := range []struct {
		body string
		n    int
		gsm  bool
	}{
		{"", 0, true},
		{strings.Repeat("a", 160), 1, true},
		{strings.Repeat("a", 161), 2, true},
		{strings.Repeat("a", 306), 2, true},
		{strings.Repeat("a", 307), 3, true},
		{strings.Repeat("€", 80), 1, true},
		{strings.Repeat("€", 81), 2, true},
		{strings.Repeat("a", 152) + "€" + strings.Repeat("a", 152), 3, true}, // the escape pair is not split
		{strings.Repeat("ä", 160), 1, true},
		{strings.Repeat("ç", 70), 1, false}, // only the capital stands in the alphabet
		{strings.Repeat("ж", 71), 2, false},
		{strings.Repeat("ж", 134), 2, false},
		{strings.Repeat("ж", 135), 3, false},
		{strings.Repeat("😀", 35), 1, false},
		{strings.Repeat("😀", 36), 2, false},
		{strings.Repeat("😀", 67), 3, false}, // 33 whole faces in each part
		{"See you Tuesday 09:00 – Harbour Lane", 1, false},
	} {
		n, gsm := sms.Segments(c.body)
		require.Equal(t, c.n, n, "%.20q × %d", c.body, len([]rune(c.body)))
		require.Equal(t, c.gsm, gsm)
	}
}

func FuzzVerify(f *testing.F) {
	f.Add([]byte(vector("+14158675309").Encode()), "RSOYDt4T1cUTdK1PDd93/VVr8B8=", vectorQuery)
	f.Add([]byte("a=1;b"), "AA==", "%")
	f.Fuzz(func(t *testing.T, body []byte, signature, query string) {
		form, err := sms.Verify(vectorURL, query, body, signature, []string{"12345"})
		if err != nil {
			require.Nil(t, form)
			return
		}
		address := vectorURL
		if query != "" {
			address += "?" + query
		}
		require.Equal(t, sms.Sign(address, form, "12345"), signature)
	})
}
