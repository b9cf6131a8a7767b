package repo

import (
	"net/url"
	"strings"
)

const encodeHint = "; in a URL, percent-encode what is special in a user or password (: as %3A, / as %2F, ? as %3F, @ as %40, % as %25)"

// splitURL reads what follows "postgres://", by libpq's rules, not by net/url's: that one refuses the percent-encoded
// folder of a socket as a host, reads + as a space, and cuts at #. The last @ before the path ends the user info, so that
// an @ in a password does no harm.
func splitURL(rest string) (parameters, error) {
	p := parameters{}
	location, query, _ := strings.Cut(rest, "?")
	authority, database, _ := strings.Cut(location, "/")
	at := strings.LastIndexByte(authority, '@')
	if strings.Contains(database, "@") || at < 0 && strings.Contains(query, "@") {
		return nil, &DSNError{"", "has an @ after the host" + encodeHint}
	}
	if at >= 0 {
		user, password, _ := strings.Cut(authority[:at], ":")
		if err := p.addDecoded("user", user); err != nil {
			return nil, err
		}
		if err := p.addDecoded("password", password); err != nil {
			return nil, err
		}
	}
	host, port, err := splitHostPort(authority[at+1:])
	if err != nil {
		return nil, err
	}
	for _, part := range []parameter{{hostParameter, host}, {"port", port}, {"dbname", database}} {
		if err := p.addDecoded(part.name, part.value); err != nil {
			return nil, err
		}
	}
	return p, p.addQuery(query)
}

// splitHostPort leaves a list of hosts whole, for hostOf to refuse.
func splitHostPort(hostPort string) (host, port string, err error) {
	if inside, ok := strings.CutPrefix(hostPort, "["); ok {
		host, port, ok = strings.Cut(inside, "]")
		if !ok || port != "" && port[0] != ':' {
			return "", "", &DSNError{hostParameter, "has brackets that do not enclose an IPv6 address"}
		}
		return host, strings.TrimPrefix(port, ":"), nil
	}
	if strings.Contains(hostPort, ",") {
		return hostPort, "", nil
	}
	host, port, _ = strings.Cut(hostPort, ":")
	return host, port, nil
}

func (p parameters) addQuery(query string) error {
	if query == "" {
		return nil
	}
	for pair := range strings.SplitSeq(query, "&") {
		name, value, ok := strings.Cut(pair, "=")
		if !ok {
			return &DSNError{"", "has a query parameter without a value" + encodeHint}
		}
		name, err := url.PathUnescape(name)
		if err != nil {
			return &DSNError{"", "has a query parameter with a bad percent-encoding" + encodeHint}
		}
		if err := p.addDecoded(name, value); err != nil {
			return err
		}
	}
	return nil
}

// addDecoded leaves out what is empty, as in postgres:///database?host=/folder.
func (p parameters) addDecoded(name, encoded string) error {
	if err := checkName(name); err != nil || encoded == "" {
		return err
	}
	value, err := url.PathUnescape(encoded)
	if err != nil {
		return &DSNError{name, "has a bad percent-encoding" + encodeHint}
	}
	return p.add(name, value)
}

// splitKeyValues reads libpq's form: key = 'value with \' and \\' key=value ...
func splitKeyValues(s string) (parameters, error) {
	p := parameters{}
	for s = strings.TrimLeft(s, keyValueSpace); s != ""; s = strings.TrimLeft(s, keyValueSpace) {
		name, rest, ok := strings.Cut(s, "=")
		name = strings.TrimRight(name, keyValueSpace)
		if !ok || name == "" || strings.ContainsAny(name, keyValueSpace) {
			return nil, &DSNError{"", "has something that is no key=value pair; quote values with spaces: password='..'"}
		}
		if err := checkName(name); err != nil {
			return nil, err
		}
		value, rest, ok := cutValue(strings.TrimLeft(rest, keyValueSpace))
		if !ok {
			return nil, &DSNError{name, "has a quote that does not end, or a value that goes on after it"}
		}
		if err := p.add(name, value); err != nil {
			return nil, err
		}
		s = rest
	}
	return p, nil
}

const keyValueSpace = " \t\r\n\f\v"

// cutValue reads one value, quoted or not. A backslash takes the next byte as it is, in both.
func cutValue(s string) (value, rest string, ok bool) {
	quoted := strings.HasPrefix(s, "'")
	if quoted {
		s = s[1:]
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case c == '\\' && i+1 < len(s):
			i++
			b.WriteByte(s[i])
		case quoted && c == '\'':
			rest = s[i+1:]
			return b.String(), rest, rest == "" || strings.IndexByte(keyValueSpace, rest[0]) >= 0
		case !quoted && strings.IndexByte(keyValueSpace, c) >= 0:
			return b.String(), s[i:], true
		default:
			b.WriteByte(c)
		}
	}
	return b.String(), "", !quoted
}
