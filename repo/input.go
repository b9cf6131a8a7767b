package repo

import (
	"net/netip"
	"net/url"
	"regexp"
	"strings"
	"unicode/utf8"
)

const (
	maxIDLen        = 255
	maxClientIDLen  = 2048
	maxURILen       = 2048
	maxScopeLen     = 4096
	maxResourceLen  = 4096
	maxUserAgentLen = 2048
	maxReasonLen    = 255
)

var eventTypePattern = regexp.MustCompile(`^[a-z][a-z0-9_.]{0,63}$`)

// checkText refuses what the database would not give back byte for byte: the driver replaces invalid UTF-8 silently, so
// that two inputs could collide, and PostgreSQL has no NUL in text.
func checkText(field, s string, maxLen int) error {
	switch {
	case len(s) > maxLen:
		return &InputError{field, "is too long"}
	case !utf8.ValidString(s):
		return &InputError{field, "must be valid UTF-8"}
	case strings.IndexByte(s, 0) >= 0:
		return &InputError{field, "must not contain NUL"}
	default:
		return nil
	}
}

func checkRequired(field, s string, maxLen int) error {
	if s == "" {
		return &InputError{field, "must not be empty"}
	}
	return checkText(field, s, maxLen)
}

// checkRedirectURI: absolute and without a fragment (RFC 6749 3.1.2).
func checkRedirectURI(field, s string) error {
	if err := checkRequired(field, s, maxURILen); err != nil {
		return err
	}
	if !isAbsoluteURI(s) {
		return &InputError{field, "must be an absolute URI without a fragment (RFC 6749 3.1.2)"}
	}
	return nil
}

func isAbsoluteURI(s string) bool {
	u, err := url.Parse(s)
	return err == nil && u.IsAbs() && !strings.Contains(s, "#")
}

// checkScope: tokens of printable ASCII but for quote and backslash, one space in between (RFC 6749 3.3). Empty is fine.
func checkScope(field, s string) error {
	if err := checkText(field, s, maxScopeLen); err != nil || s == "" {
		return err
	}
	for token := range strings.SplitSeq(s, " ") {
		if token == "" || strings.ContainsFunc(token, notScopeChar) {
			return &InputError{field, "must be scope tokens separated by single spaces (RFC 6749 3.3)"}
		}
	}
	return nil
}

func notScopeChar(r rune) bool {
	return r < 0x21 || r > 0x7e || r == '"' || r == '\\'
}

// checkResource: absolute URIs without a fragment, one space in between (RFC 8707 2). Empty is fine.
func checkResource(field, s string) error {
	if err := checkText(field, s, maxResourceLen); err != nil || s == "" {
		return err
	}
	for uri := range strings.SplitSeq(s, " ") {
		if !isAbsoluteURI(uri) {
			return &InputError{field, "must be absolute URIs without a fragment, separated by single spaces (RFC 8707 2)"}
		}
	}
	return nil
}

// checkEventType refuses bad syntax and the types that the store itself writes: an event of these says that the store
// did something.
func checkEventType(field, s string) error {
	if !eventTypePattern.MatchString(s) {
		return &InputError{field, "must be a lower-case letter and up to 63 of a-z, 0-9, _ and ."}
	}
	if isStoreEventType(s) {
		return &InputError{field, "is one that only the store itself writes"}
	}
	return nil
}

// presentedText is for what the remote party sent beside a code or token, and where something malformed must not be an
// error of the host: it becomes the empty text, which nothing stored equals.
func presentedText(s string, maxLen int) string { //nolint:unparam // two limits that happen to be equal
	if checkText("", s, maxLen) != nil {
		return ""
	}
	return s
}

// addressText returns an IP address as it is stored: IPv4 in IPv6 unmapped, no zone (which may hold any text).
func addressText(ip netip.Addr) sqlText {
	if !ip.IsValid() {
		return sqlText{null: true}
	}
	return sqlText{text: ip.Unmap().WithZone("").String()}
}

// firstError returns the first error there is.
func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
