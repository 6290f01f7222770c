//go:build bench

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"golang.org/x/net/html"
)

// newHTTP makes a client that comes from an address of its own: links count requests by the network they come from, and
// every client lives somewhere else.
func newHTTP() *http.Client {
	from := &net.TCPAddr{IP: net.IPv4(127, byte(1+rand.IntN(250)), byte(1+rand.IntN(250)), 1)}
	dialer := &net.Dialer{Timeout: 5 * time.Second, LocalAddr: from}
	return &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{DialContext: dialer.DialContext, MaxIdleConnsPerHost: 64}}
}

// staff speaks to the API with a key.
type staff struct {
	base, key string
	http      *http.Client
}

// post asks and reads a JSON object; every answer but a 2xx is an error.
func (s staff) post(ctx context.Context, path string, body any) (map[string]any, error) {
	raw, err := json.Marshal(body)
	if err != nil {
		return nil, fmt.Errorf("POST %s: %w", path, err)
	}
	status, answer, err := s.send(ctx, path, raw)
	if err != nil {
		return nil, err
	}
	var out map[string]any
	if len(answer) > 0 {
		if err := json.Unmarshal(answer, &out); err != nil {
			return nil, fmt.Errorf("POST %s: %w", path, err)
		}
	}
	if status >= 300 {
		return out, fmt.Errorf("POST %s: %d %v: %v", path, status, out["code"], out["detail"])
	}
	return out, nil
}

func (s staff) send(ctx context.Context, path string, body []byte) (status int, answer []byte, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, s.base+path, bytes.NewReader(body))
	if err != nil {
		return 0, nil, fmt.Errorf("POST %s: %w", path, err)
	}
	request.Header.Set("Authorization", "Bearer "+s.key)
	request.Header.Set("Content-Type", "application/json")
	return do(s.http, request)
}

func do(c *http.Client, request *http.Request) (status int, answer []byte, err error) {
	reply, err := c.Do(request)
	if err != nil {
		return 0, nil, fmt.Errorf("%s: %w", request.Method, err)
	}
	defer func() { err = errors.Join(err, reply.Body.Close()) }()
	answer, err = io.ReadAll(reply.Body)
	return reply.StatusCode, answer, err
}

// page is an opened page: where it is, its links, and what its first POST form holds.
type page struct {
	at     *url.URL
	links  []string
	action string
	values url.Values
	empty  []string // fields that must be filled and are not
	first  url.Values
}

// open reads a page as a browser without scripts does.
func open(ctx context.Context, c *http.Client, address string) (page, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return page{}, fmt.Errorf("open: %w", err)
	}
	return read(c, request)
}

// posting is the request that the page's button makes, with some fields filled in.
func (p page) posting(ctx context.Context, fill map[string]string) (*http.Request, error) {
	if p.values == nil {
		return nil, fmt.Errorf("the page at %s has no form", p.at.Host)
	}
	values := url.Values{}
	for name, v := range p.values {
		values[name] = v
	}
	for name, v := range p.first {
		values[name] = v
	}
	for _, name := range p.empty {
		values.Set(name, "Robin Client")
	}
	for name, v := range fill {
		values.Set(name, v)
	}
	target, err := p.at.Parse(p.action)
	if err != nil {
		return nil, fmt.Errorf("form: %w", err)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, target.String(), strings.NewReader(values.Encode()))
	if err != nil {
		return nil, fmt.Errorf("form: %w", err)
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	request.Header.Set("Sec-Fetch-Site", "same-origin")
	return request, nil
}

// press fills in the form and sends it.
func press(ctx context.Context, c *http.Client, p page, fill map[string]string) (page, error) {
	request, err := p.posting(ctx, fill)
	if err != nil {
		return page{}, err
	}
	return read(c, request)
}

func read(c *http.Client, request *http.Request) (p page, err error) {
	reply, err := c.Do(request)
	if err != nil {
		return page{}, fmt.Errorf("%s: %w", request.Method, err)
	}
	defer func() { err = errors.Join(err, reply.Body.Close()) }()
	root, err := html.Parse(reply.Body)
	if err != nil {
		return page{}, fmt.Errorf("read page: %w", err)
	}
	p = page{at: reply.Request.URL}
	p.walk(root, false)
	if reply.StatusCode >= 400 {
		return p, fmt.Errorf("%s %s answered %d", request.Method, request.URL.Host, reply.StatusCode)
	}
	return p, nil
}

func (p *page) walk(n *html.Node, inForm bool) {
	if n.Type == html.ElementNode {
		at := map[string]string{}
		for _, a := range n.Attr {
			at[a.Key] = a.Val
		}
		switch {
		case n.Data == "a":
			if to, err := p.at.Parse(at["href"]); err == nil {
				p.links = append(p.links, to.String())
			}
		case n.Data == "form" && p.values == nil && strings.EqualFold(at["method"], "post"):
			p.action, p.values, p.first, inForm = at["action"], url.Values{}, url.Values{}, true
		case inForm && at["name"] != "":
			_, required := at["required"]
			p.field(n.Data, at, required)
		}
	}
	for c := n.FirstChild; c != nil; c = c.NextSibling {
		p.walk(c, inForm)
	}
}

// field takes what a field holds; of choices that must be made the first is made, of buttons the first pressed.
func (p *page) field(tag string, at map[string]string, required bool) {
	name := at["name"]
	switch {
	case tag == "button":
		if !p.values.Has(name) {
			p.values.Set(name, at["value"])
		}
	case at["type"] == "radio" || at["type"] == "checkbox":
		if required && !p.first.Has(name) {
			p.first.Set(name, at["value"])
		}
	case required && at["value"] == "":
		p.empty = append(p.empty, name)
	default:
		p.values.Set(name, at["value"])
	}
}

// linkIn finds the address on the line of a mail that begins with these words.
func linkIn(mail, words string) (string, error) {
	for line := range strings.SplitSeq(mail, "\n") {
		if at := strings.Index(line, "http"); at >= 0 && strings.HasPrefix(line, words) {
			return line[at:], nil
		}
	}
	return "", fmt.Errorf("a mail has no line %q with a link", words)
}
