package server

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"net/http"
	"time"
)

// What a form or cookie is good for; a token made for one is worth nothing for another.
const (
	formConsent   = "consent"
	formApps      = "apps"
	cookieAllowed = "allowed"
	cookieDev     = "dev"
)

// forms makes the tokens that protect the pages' forms from being sent by other sites (RFC 6749 10.12) and from being
// altered. A token is bound to the browser, by a cookie, to the person, to a purpose and to the rest of the form. Nothing
// is stored, and any replica accepts what another has made.
type forms struct {
	key    []byte
	secure bool // the issuer is https
}

// signed is what a token carries.
type signed struct {
	Person person `json:"p"`
	Unix   int64  `json:"t"`
}

// issue makes a token, and the browser's cookie if there is none yet.
func (f *forms) issue(w http.ResponseWriter, r *http.Request, purpose string, person person, content string) string {
	browser := f.browser(r)
	if browser == "" {
		browser = rand.Text()
		http.SetCookie(w, f.cookie(f.cookieName(), browser))
		r.AddCookie(&http.Cookie{Name: f.cookieName(), Value: browser}) //nolint:gosec // of the request, for a second form on the page
	}
	return f.sign(purpose, person, browser, content)
}

// check returns the person that a token was made for, not longer than age ago, for the same browser, purpose and content.
func (f *forms) check(r *http.Request, purpose, token, content string, age time.Duration) (person, bool) {
	browser := f.browser(r)
	if browser == "" {
		return person{}, false
	}
	return f.verify(purpose, token, browser, content, age)
}

func (f *forms) sign(purpose string, person person, browser, content string) string {
	payload, _ := json.Marshal(signed{person, time.Now().Unix()}) //nolint:errchkjson // strings and a number
	return encode(payload) + "." + encode(f.mac(purpose, browser, content, payload))
}

func (f *forms) verify(purpose, token, browser, content string, age time.Duration) (person, bool) {
	payload, mac, ok := decodeToken(token)
	if !ok || !hmac.Equal(mac, f.mac(purpose, browser, content, payload)) {
		return person{}, false
	}
	var s signed
	if json.Unmarshal(payload, &s) != nil || time.Since(time.Unix(s.Unix, 0)) > age {
		return person{}, false
	}
	return s.Person, true
}

// mac puts the length before each part, so that no two lists of parts read alike.
func (f *forms) mac(purpose, browser, content string, payload []byte) []byte {
	mac := hmac.New(sha256.New, f.key)
	for _, part := range [][]byte{[]byte(purpose), []byte(browser), []byte(content), payload} {
		mac.Write(binary.BigEndian.AppendUint64(nil, uint64(len(part))))
		mac.Write(part)
	}
	return mac.Sum(nil)
}

func (f *forms) browser(r *http.Request) string {
	cookie, err := r.Cookie(f.cookieName())
	if err != nil {
		return ""
	}
	return cookie.Value
}

// cookieName: a browser accepts a __Host- cookie only from this very host over TLS.
func (f *forms) cookieName() string {
	if f.secure {
		return "__Host-gptoauth"
	}
	return "gptoauth"
}

// cookie is Lax, because people come from the client's site. It ends with the browser's session.
func (f *forms) cookie(name, value string) *http.Cookie {
	return &http.Cookie{Name: name, Value: value, Path: "/", HttpOnly: true, Secure: f.secure, SameSite: http.SameSiteLaxMode} //nolint:gosec // not secure only where there is no TLS
}

// spent takes a cookie away.
func (f *forms) spent(name string) *http.Cookie {
	cookie := f.cookie(name, "") //nolint:gosec // likewise
	cookie.MaxAge = -1
	return cookie
}

func encode(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

func decodeToken(token string) (payload, mac []byte, ok bool) {
	for i := range len(token) {
		if token[i] != '.' {
			continue
		}
		payload, payloadErr := base64.RawURLEncoding.DecodeString(token[:i])
		mac, macErr := base64.RawURLEncoding.DecodeString(token[i+1:])
		return payload, mac, payloadErr == nil && macErr == nil
	}
	return nil, nil, false
}
