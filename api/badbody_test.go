package api

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestBadBody_WhatCannotBeRead_Is400AndNotCarriedOut(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for name, c := range map[string]struct{ body, code string }{
		"empty":                       {" ", "malformed_json"},
		"not JSON":                    {"name=x", "malformed_json"},
		"cut JSON":                    {`{"name":"x"`, "malformed_json"},
		"trailing data":               {`{"name":"x"}{}`, "malformed_json"},
		"trailing comma":              {`{"name":"x",}`, "malformed_json"},
		"comment":                     {`{"name":"x"} // y`, "malformed_json"},
		"byte order mark":             {"\ufeff" + `{"name":"x"}`, "malformed_json"},
		"NaN":                         {`{"name":"x","count":NaN}`, "malformed_json"},
		"leading zero":                {`{"name":"x","count":01}`, "malformed_json"},
		"raw NUL":                     {"{\"name\":\"x\x00\"}", "malformed_json"},
		"raw newline in a text":       {"{\"name\":\"x\ny\"}", "malformed_json"},
		"invalid UTF-8":               {"{\"name\":\"\xc3\x28\"}", "invalid_unicode"},
		"overlong UTF-8":              {"{\"name\":\"\xc0\xaf\"}", "invalid_unicode"},
		"surrogate in UTF-8":          {"{\"name\":\"\xed\xa0\x80\"}", "invalid_unicode"},
		"lone high surrogate":         {`{"name":"\ud83d"}`, "invalid_unicode"},
		"lone low surrogate":          {`{"name":"\ude00 x"}`, "invalid_unicode"},
		"reversed surrogates":         {`{"name":"\ude00\ud83d"}`, "invalid_unicode"},
		"high surrogate, then escape": {`{"name":"\ud83d\n"}`, "invalid_unicode"},
		"lone surrogate in a name":    {`{"\ud83d":1}`, "invalid_unicode"},
		"noncharacter":                {`{"name":"\uffff"}`, "invalid_unicode"},
		"noncharacter, written out":   {"{\"name\":\"\U0001fffe\"}", "invalid_unicode"},
		"doubled name":                {`{"name":"x","name":"y"}`, "duplicate_key"},
		"doubled name, escaped":       {`{"name":"x","n\u0061me":"y"}`, "duplicate_key"},
		"doubled name, deep":          {`{"name":"x","lines":[{"amount":{"amount":1,"currency":"USD","amount":2}}]}`, "duplicate_key"},
		"nested too deep":             {`{"name":` + strings.Repeat("[", 32) + strings.Repeat("]", 32) + `}`, "nested_too_deep"},
		"nested without end":          {strings.Repeat(`{"a":`, 9000) + "1" + strings.Repeat("}", 9000), "nested_too_deep"},
	} {
		t.Run(name, func(t *testing.T) {
			f.postProbe(c.body).refused(http.StatusBadRequest, c.code)
		})
	}
	p := f.postProbe(`{"name":"x","lines":[{},{"amount":1,"amount":2}]}`).refused(http.StatusBadRequest, "duplicate_key")
	require.Equal(t, []string{"duplicate_key /lines/1/amount"}, pointers(p))
	require.Zero(t, f.runs.Load())
}

func TestBadBody_EmptyWhereDue_PresentWhereNone_Is400(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.postProbe("").refused(http.StatusBadRequest, "empty_body")
	f.send(http.MethodPost, "/v1/probe/"+probeID+"/act", `{}`).refused(http.StatusBadRequest, "body_not_allowed")
	f.send(http.MethodGet, "/v1/clients", `{}`).refused(http.StatusBadRequest, "body_not_allowed")
	require.Zero(t, f.runs.Load())
	f.send(http.MethodPost, "/v1/probe/"+probeID+"/act", "").ok(&map[string]int{})
}

func TestBadBody_JustDeepEnough_IsRead(t *testing.T) {
	t.Parallel()
	require.NoError(t, checkJSON([]byte(strings.Repeat("[", 32)+strings.Repeat("]", 32))))
	require.NoError(t, checkJSON([]byte(`{"a":"\ud83d\ude00 \u00e9 \\u0000 \"","b":[1.5e3,true,null,{}],"c":{"a":[]}}`)))
}

func TestBadBody_OutsideTheSchema_Is422WithPointers(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	line := func(inner string) string {
		return `{"name":"x","lines":[{"amount":{"amount":1,"currency":"USD"},"on":"2026-03-09"` + inner + `}]}`
	}
	for name, c := range map[string]struct {
		body     string
		pointers []string
	}{
		"a list":                        {`[]`, []string{"wrong_type "}},
		"a text":                        {`"x"`, []string{"wrong_type "}},
		"null":                          {`null`, []string{"wrong_type "}},
		"required missing":              {`{}`, []string{"required /name"}},
		"required null":                 {`{"name":null}`, []string{"wrong_type /name"}},
		"optional null, not in schema":  {`{"name":"x","tick":null}`, []string{"wrong_type /tick"}},
		"unknown field":                 {`{"name":"x","role":"owner"}`, []string{"unknown_field /role"}},
		"unknown fields, all named":     {`{"name":"x","role":1,"practice_id":2,"id":3}`, []string{"unknown_field /id", "unknown_field /practice_id", "unknown_field /role"}},
		"unknown field, deep":           {line(`,"price":1`), []string{"unknown_field /lines/0/price"}},
		"other casing":                  {`{"name":"x","Tick":true}`, []string{"unknown_field /Tick"}},
		"both casings":                  {`{"name":"x","NAME":"y"}`, []string{"unknown_field /NAME"}},
		"name that could not be a name": {`{"name":"x","a.b[0]":1}`, []string{"unknown_field "}},
		"text for a number":             {`{"name":"x","count":"1"}`, []string{"wrong_type /count"}},
		"number for a text":             {`{"name":1}`, []string{"wrong_type /name"}},
		"fraction for a whole number":   {`{"name":"x","count":1.5}`, []string{"wrong_type /count"}},
		"whole number with a point":     {`{"name":"x","count":1.0}`, []string{"wrong_type /count"}},
		"beyond the type":               {`{"name":"x","count":3000000000}`, []string{"wrong_type /count"}},
		"beyond the limit":              {`{"name":"x","count":2000000000000}`, []string{"out_of_range /count"}},
		"beyond every float":            {`{"name":"x","large":1e999}`, []string{"wrong_type /large"}},
		"negative":                      {`{"name":"x","count":-1}`, []string{"out_of_range /count"}},
		"text for a tick":               {`{"name":"x","tick":"true"}`, []string{"wrong_type /tick"}},
		"object for a list":             {`{"name":"x","lines":{}}`, []string{"wrong_type /lines"}},
		"not a choice":                  {`{"name":"x","choice":"three"}`, []string{"not_a_choice /choice"}},
		"too long":                      {`{"name":"` + strings.Repeat("é", 41) + `"}`, []string{"too_long /name"}},
		"too short":                     {`{"name":""}`, []string{"too_short /name"}},
		"too many":                      {line(`,"tags":["a","b","c"]`), []string{"wrong_length /lines/0/tags"}},
		"day that does not exist":       {line(`,"until":"2026-02-30"`), []string{"invalid_date /lines/0/until"}},
		"amount too large":              {`{"name":"x","lines":[{"amount":{"amount":100000000,"currency":"USD"},"on":"2026-03-09"}]}`, []string{"out_of_range /lines/0/amount/amount"}},
		"currency in words":             {`{"name":"x","lines":[{"amount":{"amount":1,"currency":"dollars"},"on":"2026-03-09"}]}`, []string{"invalid_form /lines/0/amount/currency"}},
		"escaped NUL":                   {`{"name":"a\u0000b"}`, []string{"control_character /name"}},
		"escaped NUL in a name":         {`{"name":"x","a\u0000":1}`, []string{"unknown_field "}},
		"malformed id":                  {`{"name":"x","client_id":"5"}`, []string{"invalid_id /client_id"}},
		"UUID as id":                    {`{"name":"x","client_id":"0192f3a8-7c1e-7000-8000-000000000000"}`, []string{"invalid_id /client_id"}},
		"several":                       {`{"count":-1,"choice":"x","tick":1}`, []string{"not_a_choice /choice", "out_of_range /count", "required /name", "wrong_type /tick"}},
	} {
		t.Run(name, func(t *testing.T) {
			a := f.postProbe(c.body)
			require.Equal(t, http.StatusUnprocessableEntity, a.Status, a.Body)
			code := "invalid_request"
			if len(c.pointers) == 1 {
				code, _, _ = strings.Cut(c.pointers[0], " ")
			}
			require.ElementsMatch(t, c.pointers, pointers(a.refused(http.StatusUnprocessableEntity, code)), a.Body)
		})
	}
	require.Zero(t, f.runs.Load())
	f.postProbe(`{"name":"x","note":null}`).ok(&map[string]int{})
	f.postProbe(line(`,"more":{"a":"b"},"tags":["a"]`)).ok(&map[string]int{})
}

func TestBadBody_NothingSent_ComesBackOrIsLogged(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	const canary = "zq9canary"
	for _, body := range []string{
		`{"name":1,"note":"zq9canary"`, `{"name":["zq9canary"]}`, `{"name":"x","choice":"zq9canary"}`, `{"name":"x","count":"zq9canary"}`,
		`{"name":"x","client_id":"zq9canary"}`, `{"name":"x","a zq9canary":1}`, `{"name":"x","name":"zq9canary"}`, `{"name":"x","tick":"zq9canary"}`,
		`{"name":"x","lines":[{"on":"zq9canary","until":"zq9canary","amount":{"amount":1,"currency":"zq9canary"}}]}`, `"zq9canary"`,
	} {
		a := f.postProbe(body)
		require.GreaterOrEqual(t, a.Status, 400)
		require.NotContains(t, a.Body, canary, body)
	}
	for _, target := range []string{
		"/v1/clients/zq9canary", "/v1/clients?limit=zq9canary", "/v1/clients?status=zq9canary", "/v1/clients?starting_after=zq9canary", "/zq9canary",
		"/v1/clients?zq9canary%20x=1", "/v1/clients?a=%zq9canary",
	} {
		a := f.get(target)
		require.GreaterOrEqual(t, a.Status, 400)
		require.NotContains(t, a.Body, canary, target)
	}
	a := f.postProbe(`{"name":"x"}`, with("Idempotency-Key", "zq9canary x"), with("X-Any", canary))
	require.NotContains(t, a.Body, canary)
	require.NotContains(t, f.log.String(), canary)
}

func TestBadBody_SizeAndType_AreBounded(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	padded := func(size int) string { return `{"name":"x"}` + strings.Repeat(" ", size-len(`{"name":"x"}`)) }
	f.postProbe(padded(maxBody)).ok(&map[string]int{})
	f.postProbe(padded(maxBody+1)).refused(http.StatusRequestEntityTooLarge, "body_too_large")
	f.postProbe(padded(maxBody+1), func(r *http.Request) { r.ContentLength = -1 }).refused(http.StatusRequestEntityTooLarge, "body_too_large")

	contentType := func(values ...string) option {
		return func(r *http.Request) { r.Header["Content-Type"] = values }
	}
	for _, values := range [][]string{
		nil,
		{""},
		{"text/plain"},
		{"application/x-www-form-urlencoded"},
		{"application/json", "application/json"},
		{"application/json, text/plain"},
		{"application/json; charset=latin1"},
		{"application/json; profile=x"},
		{"application/merge-patch+json"},
		{"application/vnd.api+json"},
		{"json"},
		{"application/json;"},
	} {
		a := f.postProbe(`{"name":"x"}`, contentType(values...))
		if len(values) == 1 && values[0] == "application/json;" { // an empty parameter list is none
			require.Equal(t, http.StatusCreated, a.Status)
			continue
		}
		a.refused(http.StatusUnsupportedMediaType, "unsupported_media_type")
	}
	f.postProbe(`{"name":"x"}`, contentType(`Application/JSON; charset="UTF-8"`)).ok(&map[string]int{})
	for _, encoding := range []string{"gzip", "deflate", "br", "zstd", "x-any", "identity, gzip"} {
		f.postProbe(`{"name":"x"}`, with("Content-Encoding", encoding)).refused(http.StatusUnsupportedMediaType, "compressed_body")
	}
	f.postProbe(`{"name":"x"}`, with("Content-Encoding", "identity")).ok(&map[string]int{})
}

// overWire serves the fixture on a real socket, where bodies can be slow and cut.
func overWire(t *testing.T, f *fixture) *httptest.Server {
	t.Helper()
	s := httptest.NewUnstartedServer(f.server)
	s.Config = f.server.HTTP("")
	s.Start()
	t.Cleanup(s.Close)
	return s
}

func exchange(t *testing.T, s *httptest.Server, raw string, then func(net.Conn)) (*http.Response, string) {
	t.Helper()
	conn, err := net.Dial("tcp", s.Listener.Addr().String())
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	require.NoError(t, conn.SetDeadline(time.Now().Add(20*time.Second)))
	_, err = io.WriteString(conn, raw)
	require.NoError(t, err)
	if then != nil {
		then(conn)
	}
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	require.NoError(t, err)
	body, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	return response, string(body)
}

func TestBadBody_SlowOrCut_IsAnsweredAndNotCarriedOut(t *testing.T) {
	t.Parallel()
	f := newFixture(t, func(d *Deps) { d.BodyTimeout = 300 * time.Millisecond })
	s := overWire(t, f)
	head := "POST /v1/probe/" + probeID + " HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nAuthorization: Bearer " + f.keys["owner"] + "\r\n"

	started := time.Now()
	response, body := exchange(t, s, head+"Content-Length: 12\r\n\r\n{\"name\"", nil)
	require.Equal(t, http.StatusRequestTimeout, response.StatusCode, body)
	require.Contains(t, body, "body_too_slow")
	require.Less(t, time.Since(started), 5*time.Second)

	response, body = exchange(t, s, head+"Transfer-Encoding: chunked\r\n\r\n7\r\n{\"name\"\r\n", nil)
	require.Equal(t, http.StatusRequestTimeout, response.StatusCode, body)

	// One byte at a time, never still for long: the deadline is for the whole body.
	response, body = exchange(t, s, head+"Content-Length: 1000\r\n\r\n", func(conn net.Conn) {
		ticker := time.NewTicker(20 * time.Millisecond)
		defer ticker.Stop()
		for range 40 {
			<-ticker.C
			if _, err := io.WriteString(conn, " "); err != nil {
				return
			}
		}
	})
	require.Equal(t, http.StatusRequestTimeout, response.StatusCode, body)

	response, body = exchange(t, s, head+"Content-Length: 100\r\n\r\n{\"name\":\"x\"", func(conn net.Conn) {
		require.NoError(t, conn.(*net.TCPConn).CloseWrite())
	})
	require.Equal(t, http.StatusBadRequest, response.StatusCode, body)
	require.Contains(t, body, "body_cut_off")

	response, body = exchange(t, s, head+"Transfer-Encoding: chunked\r\n\r\nzz\r\n", nil)
	require.Equal(t, http.StatusBadRequest, response.StatusCode, body)

	// Refused unread, while the body still trickles in.
	stranger := strings.Replace(head, "Bearer kept", "Bearer nobody", 1)
	response, body = exchange(t, s, stranger+"Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n", nil)
	require.Equal(t, http.StatusUnauthorized, response.StatusCode, body)
	require.Zero(t, f.runs.Load())

	// The body's deadline does not outlive the body: a handler may take longer.
	response, body = exchange(t, s, head+"Content-Length: 12\r\n\r\n{\"name\":\"x\"}", nil)
	require.Equal(t, http.StatusCreated, response.StatusCode, body)
}

func TestBadHeader_OverWire_IsAProblemUpToTheServersOwnLimit(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	s := overWire(t, f)
	ask := func(extra string) (*http.Response, string) {
		return exchange(t, s, "GET /v1/practice HTTP/1.1\r\nHost: evil.example\r\nAuthorization: Bearer "+f.keys["owner"]+"\r\n"+extra+"\r\n", nil)
	}
	response, body := ask("X-Pad: " + strings.Repeat("a", 15<<10) + "\r\n")
	require.Equal(t, http.StatusOK, response.StatusCode, body)
	response, body = ask("X-Pad: " + strings.Repeat("a", 17<<10) + "\r\n")
	require.Equal(t, http.StatusRequestHeaderFieldsTooLarge, response.StatusCode)
	require.Contains(t, body, "header_too_large")
	response, _ = ask("X-Pad: " + strings.Repeat("a", 70<<10) + "\r\n")
	require.Equal(t, http.StatusRequestHeaderFieldsTooLarge, response.StatusCode)
	for _, control := range []string{"\x00", "\x01", "\x7f", "a\rb"} {
		response, body = ask("X-Pad: a" + control + "\r\n")
		require.Equal(t, http.StatusBadRequest, response.StatusCode, "%q: %s", control, body)
	}
	for _, path := range []string{"/v1/%00", "/v1/clients/%0d%0aX: y", "/v1/clients/%ff", "/v1/%7f"} {
		response, body = exchange(t, s, fmt.Sprintf("GET %s HTTP/1.1\r\nHost: x\r\n\r\n", strings.ReplaceAll(path, " ", "%20")), nil)
		require.Equal(t, http.StatusBadRequest, response.StatusCode, "%s: %s", path, body)
		require.Contains(t, body, "control_character")
	}
}
