package api

import (
	"bytes"
	"context"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/kept-practice/kept/api/web"
	"github.com/kept-practice/kept/internal/desk"
	"github.com/kept-practice/kept/internal/policy"
)

// draft is what a page shows again when its form was refused: what was typed, and why.
type draft struct {
	form     url.Values
	sentence string
	fields   map[string]string // by pointer
}

// act is the only way to change anything: a form sent by a person, from our own page, with the nonce that this page carried.
// The one exception is the one-click post of RFC 8058 on an unsubscribe link.
func (l *links) act(c *gin.Context) {
	form, err := l.readForm(c)
	if err != nil {
		l.fail(visitor{Context: c}, err)
		return
	}
	if slices.Equal(form["do"], []string{"fresh"}) && len(form) == 1 {
		l.fresh(c)
		return
	}
	v, ok := l.open(c)
	if !ok {
		return
	}
	if v.link.Purpose == desk.LinkUnsubscribe && oneClick(form) {
		l.unsubscribe(v, nil)
		return
	}
	nonce, late, err := l.checkForm(v, form)
	if err != nil {
		l.fail(v, err)
		return
	}
	if late {
		l.page(v, http.StatusForbidden, draft{form: form, sentence: "This page was open for a long time. Please check it and send it again."})
		return
	}
	l.carryOut(v, form, desk.Post{Nonce: nonce, RequestID: requestOf(c.Request.Context()).id})
}

// oneClick tells the post that mail programs send for their unsubscribe button: exactly this field and nothing else.
func oneClick(form url.Values) bool {
	return len(form) == 1 && slices.Equal(form["List-Unsubscribe"], []string{"One-Click"})
}

// fresh answers the same words whether or not the link was ever ours.
func (l *links) fresh(c *gin.Context) {
	if err := l.sameOrigin(c.Request); err != nil {
		l.fail(visitor{Context: c}, err)
		return
	}
	rung, err := l.deps.Desk.AskFreshLink(c.Request.Context(), c.Param("token"), requestOf(c.Request.Context()).id)
	if err != nil {
		l.fail(visitor{Context: c}, err)
		return
	}
	ring(c.Request.Context(), rung...)
	l.note(c, http.StatusOK, web.Note{Tone: "plain", Head: "Thank you", Text: []string{
		"If this link was one of ours, fresh ones are on their way. They go only to the address that the practice has on file.",
	}})
}

// readForm reads a posted form within its bounds. Multipart is for the one-click post, which may come so.
func (l *links) readForm(c *gin.Context) (url.Values, error) {
	body, err := io.ReadAll(io.LimitReader(c.Request.Body, maxBody+1))
	var slow net.Error
	switch {
	case errors.As(err, &slow) && slow.Timeout():
		c.Header("Connection", "close")
		return nil, protocolError(http.StatusRequestTimeout, "body_too_slow", "The form did not arrive completely. Please try again.")
	case err != nil:
		c.Header("Connection", "close")
		return nil, policy.NewError(policy.Unreadable, "body_cut_off", "The form did not arrive completely. Please try again.")
	case len(body) > maxBody:
		c.Header("Connection", "close")
		return nil, protocolError(http.StatusRequestEntityTooLarge, "body_too_large", "This is more text than the form takes. Please shorten it.")
	}
	if c.Request.ContentLength != 0 { // the deadline was for the body alone; recorders in tests have none
		_ = http.NewResponseController(c.Writer).SetReadDeadline(time.Time{})
	}
	kind, params, err := mime.ParseMediaType(c.GetHeader("Content-Type"))
	switch {
	case err == nil && kind == "application/x-www-form-urlencoded":
		return parseQuery(string(body))
	case err == nil && kind == "multipart/form-data" && params["boundary"] != "":
		return readMultipart(body, params["boundary"])
	}
	return nil, protocolError(http.StatusUnsupportedMediaType, "unsupported_media_type", "Please use the form on the page.")
}

func readMultipart(body []byte, boundary string) (url.Values, error) {
	form, err := multipart.NewReader(bytes.NewReader(body), boundary).ReadForm(maxBody)
	if err != nil || len(form.File) > 0 {
		return nil, policy.NewError(policy.Unreadable, "malformed_form", "The form cannot be read.")
	}
	return form.Value, nil
}

// carryOut does what the link is for. Every command opens the link again, so a link that was used up a moment ago answers
// as it did the first time.
func (l *links) carryOut(v visitor, form url.Values, p desk.Post) {
	ctx := v.Request.Context()
	if err := knownFields(v.link.Purpose, form); err != nil {
		l.fail(v, err)
		return
	}
	d := l.deps.Desk
	switch v.link.Purpose {
	case desk.LinkConfirm:
		l.after(v, form)(d.ConfirmByLink(ctx, v.token, p))
	case desk.LinkCancel:
		l.after(v, form)(d.CancelByLink(ctx, v.token, p, strings.TrimSpace(form.Get("reason"))))
	case desk.LinkCheckIn:
		l.after(v, form)(d.CheckInByLink(ctx, v.token, p))
	case desk.LinkMove:
		l.choose(v, form, p, d.MoveByLink)
	case desk.LinkBook:
		l.choose(v, form, p, d.BookByLink)
	case desk.LinkIntake:
		l.fill(v, form, p)
	case desk.LinkPay:
		l.pay(v, form)
	case desk.LinkUnsubscribe:
		l.unsubscribe(v, &p)
	case desk.LinkPreferences:
		l.prefer(v, form, p)
	}
}

// formFields are what the form of a purpose may send besides its nonce.
var formFields = map[string][]string{
	desk.LinkCancel: {"reason"},
	desk.LinkMove:   {"slot"},
	desk.LinkBook:   {"slot"},
	desk.LinkIntake: {"do", "signer", "signed"},

	desk.LinkPreferences: preferenceFields(),
}

// knownFields refuses fields that no page of ours sends, and single ones sent twice. Answers are judged by their form.
func knownFields(purpose string, form url.Values) error {
	for name, values := range form {
		if purpose == desk.LinkIntake && (strings.HasPrefix(name, answerPrefix) || name == "clear") {
			continue
		}
		if len(values) > 1 || (name != "nonce" && !slices.Contains(formFields[purpose], name)) {
			return policy.NewError(policy.Invalid, "unknown_field", "This form holds a field that our page does not have. Nothing was changed.")
		}
	}
	return nil
}

// after writes what follows an attempt: the page of the link as it stands now, or the form again with what was wrong.
func (l *links) after(v visitor, form url.Values) func(desk.Acted, error) {
	return func(acted desk.Acted, err error) {
		if err == nil {
			ring(v.Request.Context(), acted.Rung...)
			v.link = acted.Link
			l.page(v, http.StatusOK, draft{})
			return
		}
		if !acted.Link.ID.IsZero() {
			v.link = acted.Link
		}
		l.refuse(v, form, err)
	}
}

// refuse draws the form again for what the client can mend, and fails with a page of its own for all else.
func (l *links) refuse(v visitor, form url.Values, err error) {
	var known *policy.Error
	if !errors.As(err, &known) {
		l.fail(v, err)
		return
	}
	switch known.Kind {
	case policy.Invalid, policy.Conflict:
		if v.link.Purpose == "" {
			break
		}
		again := draft{form: form, sentence: known.Message, fields: map[string]string{}}
		for _, f := range known.Fields {
			again.fields[f.Pointer] = f.Detail
		}
		requestOf(v.Request.Context()).code = known.Code
		if v.link.State == desk.LinkClosed {
			again = draft{}
		}
		l.page(v, statusOfKind[known.Kind], again)
		return
	}
	l.fail(v, err)
}

// choose finds the chosen time among those that are free now, so that nothing else can be asked for.
func (l *links) choose(v visitor, form url.Values, p desk.Post, act func(context.Context, string, desk.Post, desk.FreeTime) (desk.Acted, error)) {
	ctx := v.Request.Context()
	if v.link.State != desk.LinkOpen {
		l.after(v, form)(act(ctx, v.token, p, desk.FreeTime{}))
		return
	}
	start, handle, _ := strings.Cut(form.Get("slot"), "~")
	at, err := time.Parse(time.RFC3339, start)
	if err != nil || handle == "" {
		l.refuse(v, form, policy.InvalidField("/slot", "no_time_chosen", "Please choose one of the times."))
		return
	}
	var times []desk.FreeTime
	if day, ok := dayIn(policy.LocalDay(at, v.link.Zone).String(), policy.LocalDay(v.link.Now, v.link.Zone)); ok {
		if times, err = l.deps.Desk.LinkTimes(ctx, v.link, day, 1, policy.ID{}); err != nil {
			l.fail(v, err)
			return
		}
	}
	i := slices.IndexFunc(times, func(t desk.FreeTime) bool { return t.StartsAt.Equal(at) && l.handle(v.link.ID, t.Provider) == handle })
	if i < 0 {
		// A twin of this post may have taken the time for this very client a moment ago.
		if again, openErr := l.deps.Desk.OpenLink(ctx, v.token); openErr == nil && again.State == desk.LinkDone {
			v.link = again
			l.page(v, http.StatusOK, draft{})
			return
		}
		l.refuse(v, form, policy.NewError(policy.Conflict, "slot_taken", "That time is taken. Choose another one."))
		return
	}
	l.after(v, form)(act(ctx, v.token, p, times[i]))
}

// pay leads to the hosted page. Nothing is stored here: the checkout itself is made once for what is owed.
func (l *links) pay(v visitor, form url.Values) {
	if v.link.State != desk.LinkOpen {
		l.page(v, http.StatusOK, draft{})
		return
	}
	target, err := l.deps.Checkout.Checkout(v.Request.Context(), v.link.Practice, v.link.Bill.Invoice)
	if err == nil {
		if u, parseErr := url.Parse(target); parseErr != nil || (u.Scheme != "https" && u.Scheme != "http") || u.Host == "" {
			err = errors.New("the gateway gave no address for the payment page")
		}
	}
	if err != nil {
		l.refuse(v, form, err)
		return
	}
	v.Header("Location", target)
	v.Status(http.StatusSeeOther)
}

func (l *links) unsubscribe(v visitor, p *desk.Post) {
	l.after(v, nil)(l.deps.Desk.UnsubscribeByLink(v.Request.Context(), v.token, p, requestOf(v.Request.Context()).id))
}

// fill saves or sends one form, and goes back to the list, so that reloading sends nothing twice.
func (l *links) fill(v visitor, form url.Values, p desk.Post) {
	if v.n == 0 {
		l.fail(v, policy.NewError(policy.Invalid, "unknown_field", "Please choose one of the forms first."))
		return
	}
	in := desk.LinkForm{
		N: v.n, Answers: answersOf(v.link.Packet.Forms[v.n-1], form), Signer: form.Get("signer"), Signed: form.Get("signed") == "yes",
		Address: v.ClientIP(), Agent: v.Request.UserAgent(),
	}
	act, then := l.deps.Desk.SubmitFormByLink, ""
	switch form.Get("do") {
	case "send":
	case "save":
		act, then = l.deps.Desk.SaveFormByLink, "?saved=1"
	default:
		l.fail(v, policy.NewError(policy.Invalid, "unknown_field", "Please use one of the buttons of the form."))
		return
	}
	acted, err := act(v.Request.Context(), v.token, p, in)
	if err != nil {
		l.after(v, form)(acted, err)
		return
	}
	ring(v.Request.Context(), acted.Rung...)
	v.Header("Location", "/l/"+url.PathEscape(v.token)+then)
	v.Status(http.StatusSeeOther)
}
