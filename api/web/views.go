// Package web draws pages: what lies behind client links. Components take view structs and nothing else, so that a page
// shows what its handler chose to show, and no more.
package web

import (
	"embed"
)

// Shell is what every page has around it. Nothing personal stands in a title.
type Shell struct {
	Title    string
	Practice string // "" when the link does not say whose it is
	Phone    string
	Style    string // path of the style sheet
}

// Visit is a visit as a client reads it.
type Visit struct {
	Day     string // Monday 9 March 2026
	Time    string // 2:00 pm
	Zone    string // EDT, New York
	Place   string
	Address string
	Off     bool // cancelled
}

// Note is a page that only says something.
type Note struct {
	Shell
	Tone  string // good, plain, bad
	Head  string
	Text  []string
	Visit *Visit
	Fresh bool   // offers to ask for a fresh link
	Retry string // path to go back to, "" for none
}

// Ask is a page with one visit and one button.
type Ask struct {
	Shell
	Hello  string // first name
	Lead   string
	Visit  Visit
	Hint   string
	Reason bool // asks why, without insisting
	Typed  string
	Button string
	Danger bool
	Nonce  string
	Error  string
	Papers []string // missing papers
}

// Times is a page on which a free time is chosen.
type Times struct {
	Shell
	Hello    string
	Lead     string
	Head     string
	Visit    *Visit // the present time, when there is one
	Days     []DayTab
	Earlier  string // queries of other pages of days; "" for none
	Later    string
	Anybody  string // query that widens the choice to every provider; "" when it is wide
	Slots    []Slot
	Day      string
	Zone     string
	Button   string
	Nonce    string
	Error    string
	HasTimes bool
}

// DayTab leads to the times of one day.
type DayTab struct {
	Query   string
	Weekday string
	Date    string
	Free    string
	Current bool
}

// Slot is one time to choose. Value is opaque to the browser.
type Slot struct {
	Value string
	Time  string
	With  string
}

// Papers is the list of forms behind an intake link.
type Papers struct {
	Shell
	Hello string
	Visit Visit
	Forms []PaperState
	Saved bool
}

// PaperState is one form of the list.
type PaperState struct {
	Path  string
	Title string
	State string // Sent, Started, Open
	Done  bool
}

// Paper is one form to fill in.
type Paper struct {
	Shell
	Title     string
	Text      []string // paragraphs of the document
	Questions []Question
	Signature bool
	Signer    string
	SignerErr string
	SignedErr string
	Resumed   bool // answers were saved before; they are not shown
	Nonce     string
	Error     string
	Back      string
	Step      string // "Form 1 of 3"
}

// Question is a field of a form. Children hang below the option, or the tick, that opens them.
type Question struct {
	Key       string
	ID        string
	Label     string
	Help      string
	Kind      string // text, lines, date, tick, one, many
	Required  bool
	Insist    bool // the browser insists too: nothing is saved and no condition hides it
	Max       int
	Value     string
	Ticked    bool
	Options   []Option
	Then      []Question // opened by a tick
	ThenNot   []Question // open while a tick is not set
	Answered  bool       // a saved answer stands and is not shown
	Unsettled bool       // what the saved answer opens is not shown either: children stand open
	Error     string
}

// Option is one choice with the questions that it opens.
type Option struct {
	Value  string
	ID     string
	Label  string
	Chosen bool
	Then   []Question
}

// Bill is what is to be paid.
type Bill struct {
	Shell
	Hello  string
	Number string
	Lines  []BillLine
	Total  string
	Paid   string // "" when nothing was paid yet
	Owed   string
	Nonce  string
	Error  string
}

// BillLine is one line of a bill.
type BillLine struct {
	Text   string
	Amount string
}

//go:embed static
var static embed.FS

// Style is the one style sheet of the link pages.
func Style() ([]byte, error) { return static.ReadFile("static/links.css") }

// ContentType is that of every page.
const ContentType = "text/html; charset=utf-8"
