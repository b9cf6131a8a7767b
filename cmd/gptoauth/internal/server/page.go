package server

import (
	"bytes"
	"embed"
	"html/template"
	"net/http"
	"strconv"
	"strings"
	"time"
)

//go:embed pages/*.html
var pageFiles embed.FS

//go:embed assets/style.css
var styleSheet []byte

const stylePath = "/assets/style.css"

var pageTemplates = parsePages("consent", "again", "apps", "signin", "error", "callback")

// parsePages puts each page into the layout.
func parsePages(names ...string) map[string]*template.Template {
	functions := template.FuncMap{"when": when, "stamp": stamp}
	pages := make(map[string]*template.Template, len(names))
	for _, name := range names {
		pages[name] = template.Must(template.New("layout.html").Funcs(functions).
			ParseFS(pageFiles, "pages/layout.html", "pages/"+name+".html"))
	}
	return pages
}

// show renders a page. formTargets are what its forms may redirect to beside this server.
func (s *Server) show(w http.ResponseWriter, r *http.Request, status int, name string, data any, formTargets ...string) {
	var body bytes.Buffer
	if err := pageTemplates[name].Execute(&body, data); err != nil {
		s.log.ErrorContext(r.Context(), "cannot render a page", "page", name, "error", err)
		http.Error(w, http.StatusText(http.StatusInternalServerError), http.StatusInternalServerError)
		return
	}
	header := w.Header()
	header.Set("Content-Type", "text/html; charset=utf-8")
	header.Set("Content-Security-Policy", contentSecurityPolicy(formTargets))
	header.Set("X-Frame-Options", "DENY") // for browsers that do not know frame-ancestors
	header.Set("Referrer-Policy", "no-referrer")
	header.Set("Cross-Origin-Opener-Policy", "same-origin")
	noStore(w)
	w.WriteHeader(status)
	_, _ = w.Write(body.Bytes()) // the browser has gone
}

// contentSecurityPolicy: no script at all, our style sheet, forms to us, and never in a frame (RFC 9700 4.16).
func contentSecurityPolicy(formTargets []string) string {
	return "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; frame-ancestors 'none'; form-action " +
		strings.Join(append([]string{"'self'"}, formTargets...), " ")
}

type errorPage struct {
	Title, Text, RequestID string
}

func (s *Server) showError(w http.ResponseWriter, r *http.Request, status int, title, text string) {
	s.show(w, r, status, "error", errorPage{title, text, note(r).id})
}

func (s *Server) showUnavailable(w http.ResponseWriter, r *http.Request, err error) {
	failure := s.storeFailed(r, err)
	if failure.retryAfter > 0 {
		w.Header().Set("Retry-After", "1")
	}
	s.showError(w, r, failure.status, "This does not work at the moment", "Nothing was changed, as far as is known. Try again in a moment.")
}

func (s *Server) style(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/css; charset=utf-8")
	w.Header().Set("Cache-Control", "public, max-age=300")
	_, _ = w.Write(styleSheet) // the browser has gone
}

// when words a time for people. Without a script the page does not know their time zone, so near times are relative.
func when(t time.Time) string {
	switch age := time.Since(t); {
	case age < 2*time.Minute:
		return "just now"
	case age < 2*time.Hour:
		return plural(int(age.Minutes()), "minute") + " ago"
	case age < 48*time.Hour:
		return plural(int(age.Hours()), "hour") + " ago"
	default:
		return t.UTC().Format("2 January 2006")
	}
}

// stamp is a time for machines.
func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

func plural(n int, unit string) string {
	if n == 1 {
		return "1 " + unit
	}
	return strconv.Itoa(n) + " " + unit + "s"
}
