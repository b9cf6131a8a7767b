package server

import (
	"slices"
	"strings"
)

// resources returns those that a request names (RFC 8707 2), each once and spelled as in the configuration; false if one
// is not among them.
func (s *Server) resources(sent params) ([]string, bool) {
	var named []string
	for _, uri := range sent.all("resource") {
		i := slices.IndexFunc(s.config.Resources, func(own string) bool { return canonical(own) == canonical(uri) })
		if i < 0 {
			return nil, false
		}
		if own := s.config.Resources[i]; !slices.Contains(named, own) {
			named = append(named, own)
		}
	}
	return named, true
}

// defaultResource is for requests that name none (RFC 9068 3).
func (s *Server) defaultResource() string { return s.config.Resources[0] }

// audience is for whom a grant is. One without a resource was issued by another host of the store, and is for the default:
// an access token always has an audience (RFC 9068 2.2).
func (s *Server) audience(granted string) []string {
	if granted == "" {
		return []string{s.defaultResource()}
	}
	return fields(granted)
}

// canonical writes scheme and host in lower case, in which URIs do not differ (RFC 3986 6.2.2.1) and clients do (MCP,
// Canonical Server URI), and an empty path as a slash, which is the same (RFC 3986 6.2.3) and what WHATWG's URL makes of it.
// Nothing else is made equal.
func canonical(uri string) string {
	scheme, rest, ok := strings.Cut(uri, "://")
	if !ok {
		return uri
	}
	end := strings.IndexAny(rest+"/", "/?#")
	if strings.Contains(rest[:end], "@") {
		return uri
	}
	host, path := rest[:end], rest[end:]
	if !strings.HasPrefix(path, "/") {
		path = "/" + path
	}
	return strings.ToLower(scheme) + "://" + strings.ToLower(host) + path
}
