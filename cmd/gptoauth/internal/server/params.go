package server

import (
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
)

const maxFormLen = 64 << 10

// params are those of one request, by RFC 6749 3.1 and 3.2: an empty value is as good as none, none comes twice but
// resource (RFC 8707 2), and unknown ones are ignored.
type params url.Values

func (p params) get(name string) string { return url.Values(p).Get(name) }

// all returns the values of a parameter that may come several times.
func (p params) all(name string) []string {
	var values []string
	for _, value := range p[name] {
		if value != "" {
			values = append(values, value)
		}
	}
	return values
}

// repeats says whether a parameter comes twice that must not.
func (p params) repeats() bool {
	for name, values := range p {
		if name != "resource" && len(values) > 1 {
			return true
		}
	}
	return false
}

// bodyParams reads a form from the body, and never from the URL, where secrets would end in logs (RFC 6749 2.3.1).
func bodyParams(w http.ResponseWriter, r *http.Request) (params, *oauthError) {
	mediaType, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || mediaType != "application/x-www-form-urlencoded" {
		return nil, badRequest("invalid_request", "the body must be application/x-www-form-urlencoded")
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxFormLen))
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return nil, &oauthError{status: http.StatusRequestEntityTooLarge, code: "invalid_request", description: "the body is too long"}
	}
	if err != nil {
		return nil, badRequest("invalid_request", "the body ended early")
	}
	values, err := url.ParseQuery(string(body))
	if err != nil {
		return nil, badRequest("invalid_request", "the body is not a form")
	}
	if params(values).repeats() {
		return nil, badRequest("invalid_request", "a parameter comes twice")
	}
	return params(values), nil
}
