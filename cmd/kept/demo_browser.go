package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"time"

	"golang.org/x/net/html"

	"github.com/kept-practice/kept/db"
)

// caller speaks to the API as staff do: JSON, a key, an idempotency key on every POST.
type caller struct {
	base, key string
	http      *http.Client
}

// answer is a JSON object read by path.
type answer map[string]any

// text reads a string at a dotted path, "" when there is none.
func (a answer) text(path string) string {
	var at any = map[string]any(a)
	for name := range strings.SplitSeq(path, ".") {
		m, ok := at.(map[string]any)
		if !ok {
			return ""
		}
		at = m[name]
	}
	s, _ := at.(string)
	return s
}

// list reads an array of objects.
func (a answer) list(name string) []answer {
	items, _ := a[name].([]any)
	out := make([]answer, 0, len(items))
	for _, item := range items {
		if m, ok := item.(map[string]any); ok {
			out = append(out, m)
		}
	}
	return out
}

func (c *caller) get(ctx context.Context, path string) (answer, error) {
	return c.do(ctx, http.MethodGet, path, nil)
}

func (c *caller) post(ctx context.Context, path string, body any) (answer, error) {
	return c.do(ctx, http.MethodPost, path, body)
}

func (c *caller) do(ctx context.Context, method, path string, body any) (answer, error) {
	var sent io.Reader
	if body != nil {
		raw, err := json.Marshal(body)
		if err != nil {
			return nil, fmt.Errorf("%s %s: %w", method, path, err)
		}
		sent = bytes.NewReader(raw)
	}
	key := db.NewID().String()
	for {
		out, retry, err := c.once(ctx, method, path, key, sent)
		if !retry {
			return out, err
		}
		if s, ok := sent.(io.Seeker); ok {
			if _, err := s.Seek(0, io.SeekStart); err != nil {
				return nil, err
			}
		}
		select { // the same key: whatever a killed process had done counts once
		case <-ctx.Done():
			return nil, errors.Join(err, ctx.Err())
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// once asks; retry tells that the answer says nothing about the request: nobody answered, or it is under way.
func (c *caller) once(ctx context.Context, method, path, key string, body io.Reader) (out answer, retry bool, err error) {
	request, err := http.NewRequestWithContext(ctx, method, c.base+path, body)
	if err != nil {
		return nil, false, fmt.Errorf("%s %s: %w", method, path, err)
	}
	request.Header.Set("Authorization", "Bearer "+c.key)
	if body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	if method == http.MethodPost {
		request.Header.Set("Idempotency-Key", key)
	}
	reply, err := c.http.Do(request)
	if err != nil {
		return nil, true, fmt.Errorf("%s %s: %w", method, path, err)
	}
	defer func() { err = errors.Join(err, reply.Body.Close()) }()
	raw, err := io.ReadAll(reply.Body)
	if err != nil {
		return nil, true, fmt.Errorf("%s %s: %w", method, path, err)
	}
	if len(raw) > 0 {
		if err := json.Unmarshal(raw, &out); err != nil {
			return nil, false, fmt.Errorf("%s %s: answer %d is not JSON: %w", method, path, reply.StatusCode, err)
		}
	}
	if reply.StatusCode >= 300 {
		err = fmt.Errorf("%s %s: %d %s: %s", method, path, reply.StatusCode, out.text("code"), out.text("detail"))
		return out, reply.StatusCode >= 500 || out.text("code") == "in_flight" || out.text("code") == "clock_advancing", err
	}
	return out, false, nil
}

// browser is the client's: it opens pages and fills in the forms it finds, without scripts.
type browser struct{ http *http.Client }

func newBrowser() (*browser, error) {
	jar, err := cookiejar.New(nil)
	if err != nil {
		return nil, fmt.Errorf("cookies: %w", err)
	}
	return &browser{http: &http.Client{Jar: jar, Timeout: 20 * time.Second}}, nil
}

// page is an opened page: where it is, its heading, its links and its form.
type page struct {
	url     *url.URL
	heading string
	links   []string
	form    *webForm
}

// webForm is the first POST form of a page, with what its fields hold.
type webForm struct {
	action string
	values url.Values
	fields []webField
}

type webField struct {
	kind, name, value string
	required          bool
}

func (b *browser) open(ctx context.Context, address string) (page, error) {
	return b.patiently(ctx, func() (*http.Request, error) {
		return http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	})
}

// send fills the form and posts it as the button would.
func (b *browser) send(ctx context.Context, p page, fill map[string]string) (page, error) {
	if p.form == nil {
		return page{}, fmt.Errorf("the page %q has no form to send", p.heading)
	}
	values := url.Values{}
	for name, v := range p.form.values {
		values[name] = v
	}
	for name, v := range fill {
		values.Set(name, v)
	}
	target, err := p.url.Parse(p.form.action)
	if err != nil {
		return page{}, fmt.Errorf("form of %q: %w", p.heading, err)
	}
	return b.patiently(ctx, func() (*http.Request, error) {
		request, err := http.NewRequestWithContext(ctx, http.MethodPost, target.String(), strings.NewReader(values.Encode()))
		if err != nil {
			return nil, err
		}
		request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		request.Header.Set("Origin", target.Scheme+"://"+target.Host)
		request.Header.Set("Sec-Fetch-Site", "same-origin")
		return request, nil
	})
}

// patiently presses reload, as a person does, while nobody answers: the form's nonce makes a repeat count once.
func (b *browser) patiently(ctx context.Context, ask func() (*http.Request, error)) (page, error) {
	for {
		request, err := ask()
		if err != nil {
			return page{}, fmt.Errorf("ask for a page: %w", err)
		}
		p, down, err := b.read(request)
		if !down {
			return p, err
		}
		select {
		case <-ctx.Done():
			return p, errors.Join(err, ctx.Err())
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// read gets one page; down tells that nobody answered, or only that something is away for the moment.
func (b *browser) read(request *http.Request) (p page, down bool, err error) {
	reply, err := b.http.Do(request)
	if err != nil {
		return page{}, true, fmt.Errorf("%s: %w", request.Method, err)
	}
	defer func() { err = errors.Join(err, reply.Body.Close()) }()
	root, err := html.Parse(reply.Body)
	if err != nil {
		return page{}, true, fmt.Errorf("read page: %w", err)
	}
	p = page{url: reply.Request.URL}
	p.walk(root)
	if reply.StatusCode >= 400 {
		return p, reply.StatusCode >= 500, fmt.Errorf("%s answered %d: %q", request.Method, reply.StatusCode, p.heading)
	}
	return p, false, nil
}

func (p *page) walk(n *html.Node) {
	if n.Type == html.ElementNode {
		switch n.Data {
		case "h1":
			p.heading = strings.Join(strings.Fields(textOf(n)), " ")
		case "a":
			if at, err := p.url.Parse(attribute(n, "href")); err == nil {
				p.links = append(p.links, at.String())
			}
		case "form":
			if p.form == nil && strings.EqualFold(attribute(n, "method"), "post") {
				p.form = &webForm{action: attribute(n, "action"), values: url.Values{}}
				p.form.collect(n)
			}
		}
	}
	for c := n.FirstChild; c != nil; c = c.NextSibling {
		p.walk(c)
	}
}

func (f *webForm) collect(n *html.Node) {
	if n.Type == html.ElementNode && (n.Data == "input" || n.Data == "textarea" || n.Data == "button" || n.Data == "select") {
		field := webField{kind: attribute(n, "type"), name: attribute(n, "name"), value: attribute(n, "value"), required: hasAttribute(n, "required")}
		if n.Data != "input" {
			field.kind = n.Data
		}
		f.fields = append(f.fields, field)
		switch {
		case field.name == "" || field.kind == "checkbox" || field.kind == "radio":
		case field.kind == "button":
			if !f.values.Has(field.name) { // the first button is the one that Enter presses
				f.values.Set(field.name, field.value)
			}
		default:
			f.values.Set(field.name, field.value)
		}
	}
	for c := n.FirstChild; c != nil; c = c.NextSibling {
		f.collect(c)
	}
}

// answers fills every field that must be filled: the first choice, a tick, some text.
func (f *webForm) answers(text string) map[string]string {
	out := map[string]string{}
	for _, field := range f.fields {
		if _, done := out[field.name]; done || !field.required || field.name == "" {
			continue
		}
		switch field.kind {
		case "radio", "checkbox":
			out[field.name] = field.value
		case "date":
			out[field.name] = "1985-04-12"
		default:
			if f.values.Get(field.name) == "" {
				out[field.name] = text
			}
		}
	}
	return out
}

func textOf(n *html.Node) string {
	if n.Type == html.TextNode {
		return n.Data
	}
	var b strings.Builder
	for c := n.FirstChild; c != nil; c = c.NextSibling {
		b.WriteString(textOf(c))
	}
	return b.String()
}

func attribute(n *html.Node, name string) string {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}

func hasAttribute(n *html.Node, name string) bool {
	for _, a := range n.Attr {
		if a.Key == name {
			return true
		}
	}
	return false
}
