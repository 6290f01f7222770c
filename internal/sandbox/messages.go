package sandbox

import (
	"html"
	"regexp"
	"slices"
	"strings"
	"time"
)

const (
	channelMail = "mail"
	channelSMS  = "sms"

	statusDelivered   = "delivered"
	statusBounced     = "bounced"
	statusBlocked     = "blocked"
	statusDropped     = "dropped" // the mailbox bounced before
	statusUndelivered = "undelivered"
	statusReceived    = "received" // from a person to us
)

// message is one mail or text as its receiver finds it. Nothing is masked: this is the receiver's own mailbox.
type message struct {
	Seq       int64             `json:"seq,omitempty"`
	ID        string            `json:"id"` // SendGrid's message id, or the text's sid
	Channel   string            `json:"channel"`
	Direction string            `json:"direction"` // out: to a person; in: from a person to us
	At        time.Time         `json:"at"`
	From      string            `json:"from"`
	FromName  string            `json:"from_name,omitempty"`
	ReplyTo   string            `json:"reply_to,omitempty"`
	To        string            `json:"to"`
	ToName    string            `json:"to_name,omitempty"`
	Subject   string            `json:"subject"`
	Text      string            `json:"text"`
	HTML      string            `json:"html"`
	Headers   map[string]string `json:"headers,omitempty"`
	Args      map[string]string `json:"args,omitempty"` // our custom arguments; of a text: ref
	Status    string            `json:"status"`
	Reason    string            `json:"reason,omitempty"`
	Segments  int               `json:"segments,omitempty"`
}

var (
	hrefs = regexp.MustCompile(`(?i)href\s*=\s*"([^"]+)"`)
	urls  = regexp.MustCompile(`https?://[^\s<>"')\]]+`)
)

// links lists the addresses in a message, each once, in reading order, those of the text part first.
func (m *message) links() []string {
	found := []string{}
	add := func(link string) {
		link = strings.TrimRight(link, ".,;:!?")
		if strings.HasPrefix(link, "http") && !slices.Contains(found, link) {
			found = append(found, link)
		}
	}
	for _, link := range urls.FindAllString(m.Text, -1) {
		add(link)
	}
	for _, match := range hrefs.FindAllStringSubmatch(m.HTML, -1) {
		add(html.UnescapeString(match[1]))
	}
	return found
}

// concerns tells a message to or from an address; letter case is forgiven.
func (m *message) concerns(address string) bool {
	return address == "" || strings.EqualFold(m.To, address) || strings.EqualFold(m.From, address)
}
