package api

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"net/http"
	"net/url"
	"time"

	"github.com/kept-practice/kept/internal/policy"
)

// A form's nonce proves that this server drew this page, not long ago, for this very link: minute, chance, and a MAC over both
// and the page's path. It needs no storage until it is used.
const (
	nonceMinutes = 120
	nonceHead    = 4 + 12
	nonceSize    = nonceHead + 16
)

func (l *links) newNonce(v visitor) string {
	var b [nonceSize]byte
	binary.BigEndian.PutUint32(b[:4], uint32(time.Now().Unix()/60))
	_, _ = rand.Read(b[4:nonceHead]) // never fails since Go 1.24: the program ends instead
	copy(b[nonceHead:], l.mac("nonce", v.Request.URL.Path, string(b[:nonceHead])))
	return encodeNonce(b[:])
}

func encodeNonce(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// mac signs parts with the installation's key, for one use.
func (l *links) mac(use string, parts ...string) []byte {
	m := hmac.New(sha256.New, l.deps.NonceKey)
	for _, part := range append([]string{use}, parts...) {
		var size [8]byte
		binary.BigEndian.PutUint64(size[:], uint64(len(part)))
		m.Write(size[:])
		m.Write([]byte(part))
	}
	return m.Sum(nil)[:16]
}

// checkForm asks for same-origin proof and for the nonce of this page, and gives the hash by which the nonce is spent. A nonce that
// is genuine but old is late: the page is drawn once more with everything that was typed.
func (l *links) checkForm(v visitor, form url.Values) (hash []byte, late bool, err error) {
	if err := l.sameOrigin(v.Request); err != nil {
		return nil, false, err
	}
	given := form["nonce"]
	if len(given) != 1 {
		return nil, false, errNonce()
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(given[0])
	if err != nil || len(b) != nonceSize || !hmac.Equal(b[nonceHead:], l.mac("nonce", v.Request.URL.Path, string(b[:nonceHead]))) {
		return nil, false, errNonce()
	}
	age := time.Now().Unix()/60 - int64(binary.BigEndian.Uint32(b[:4]))
	sum := sha256.Sum256(b)
	return sum[:], age > nonceMinutes || age < -1, nil
}

func errNonce() error {
	return policy.NewError(policy.Forbidden, "invalid_nonce", "This form does not come from our page. Nothing was changed. Open the link again and use the form there.")
}

// sameOrigin wants proof that the post comes from our own page. Browsers send Sec-Fetch-Site, older ones Origin; on pages that send
// no referrer some write Origin: null, which is let through where Sec-Fetch-Site is missing, since the nonce still has to fit.
func (l *links) sameOrigin(r *http.Request) error {
	switch r.Header.Get("Sec-Fetch-Site") {
	case "same-origin":
		return nil
	case "":
		if origin := r.Header.Get("Origin"); origin == l.origin || origin == "null" {
			return nil
		}
	}
	return policy.NewError(policy.Forbidden, "foreign_origin", "This form was sent from somewhere else than our page. Nothing was changed. Open the link again and use the form there.")
}

// handle names a provider towards the browser for one link; ids never go there.
func (l *links) handle(link, provider policy.ID) string {
	return hex.EncodeToString(l.mac("provider", string(link[:]), string(provider[:]))[:8])
}
