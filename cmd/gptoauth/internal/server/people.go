package server

import (
	"net/http"
)

// person is someone who is signed in.
type person struct {
	ID   string `json:"id"`
	Name string `json:"name"` // what to call them; may be empty
}

// String is what the pages call a person.
func (p person) String() string {
	if p.Name != "" {
		return p.Name
	}
	return p.ID
}

// people is who knows the people: Clerk, or the page of --dev on which one picks a name.
type people interface {
	// signedIn says who is signed in at the browser that sent r. An error says that it could not be found out.
	signedIn(r *http.Request) (person, bool, error)
	// signInURL is where to send a browser to sign in; it comes back to returnTo.
	signInURL(returnTo string) string
	// switchURL is where to sign in as someone else; empty if there is no such place.
	switchURL(returnTo string) string
}

func (s *Server) peopleFailed(w http.ResponseWriter, r *http.Request, err error) {
	s.log.ErrorContext(r.Context(), "cannot find out who is signed in", "error", err)
	w.Header().Set("Retry-After", "5")
	s.showError(w, r, http.StatusServiceUnavailable, "Signing in does not work at the moment", "Try again in a moment.")
}
