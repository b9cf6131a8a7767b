package server

import (
	"errors"
	"net/http"
	"time"

	"github.com/google/uuid"

	"github.com/gptoauth/gptoauth/repo"
)

const (
	appsPath    = "/account/apps"
	appsEndPath = "/account/apps/end"

	appsAge = time.Hour

	// maxApps are shown on the page, the newest first. "End all" ends the others too.
	maxApps     = 100
	maxAppPages = 10

	reasonPerson = "ended_by_person"
)

// app is a living session as the page shows it.
type app struct {
	SessionID  uuid.UUID
	Client     string
	Scopes     []string
	CreatedAt  time.Time
	LastActive time.Time
}

type appsPage struct {
	Person person
	Apps   []app
	Token  string
	Ended  bool // something has just been ended
	Switch string
}

// apps shows a person which clients act for them.
func (s *Server) apps(w http.ResponseWriter, r *http.Request) {
	person, ok, err := s.people.signedIn(r)
	if err != nil {
		s.peopleFailed(w, r, err)
		return
	}
	if !ok {
		s.redirect(w, r, s.people.signInURL(s.config.Issuer+appsPath))
		return
	}
	living, err := s.livingSessions(r, person)
	if err != nil {
		s.showUnavailable(w, r, err)
		return
	}
	s.show(w, r, http.StatusOK, "apps", appsPage{
		Person: person,
		Apps:   living,
		Token:  s.forms.issue(w, r, formApps, person, ""),
		Ended:  r.URL.Query().Has("ended"),
		Switch: s.people.switchURL(s.config.Issuer + appsPath),
	})
}

func (s *Server) livingSessions(r *http.Request, person person) ([]app, error) {
	var living []app
	params := repo.SessionListParams{ClerkUserID: person.ID, Limit: maxApps}
	for range maxAppPages {
		page, err := s.store.Sessions.List(r.Context(), params)
		if err != nil {
			return nil, err
		}
		for _, session := range page.Sessions {
			if session.Alive && !s.isOver(session) && len(living) < maxApps {
				living = append(living, s.appOf(session))
			}
		}
		if params.Cursor = page.Next; page.Next == "" || len(living) == maxApps {
			break
		}
	}
	return living, nil
}

// isOver: without refresh tokens a connection ends with its access token, as the consent page says. The session lives on in
// the store, with a refresh token that no one was given.
func (s *Server) isOver(session repo.Session) bool {
	client := s.clients[session.ClientID]
	return client != nil && client.NoRefresh && time.Since(session.CreatedAt) > s.config.AccessTokenTTL
}

func (s *Server) appOf(session repo.Session) app {
	a := app{SessionID: session.ID, Client: session.ClientID, CreatedAt: session.CreatedAt, LastActive: session.LastActiveAt}
	if client := s.clients[session.ClientID]; client != nil {
		a.Client = client.Name
	}
	for _, scope := range fields(session.Scope) {
		if words := s.config.Scopes[scope]; words != "" {
			scope = words
		}
		a.Scopes = append(a.Scopes, scope)
	}
	return a
}

// endApps ends one session of the person, or all. The session of someone else is as good as none. Whoever was shown the
// page may end what stands on it, even if their sign-in has run out since: it gives no one anything.
func (s *Server) endApps(w http.ResponseWriter, r *http.Request) {
	form, failure := bodyParams(w, r)
	if failure != nil {
		s.showError(w, r, failure.status, "This form cannot be read", failure.description)
		return
	}
	person, ok := s.forms.check(r, formApps, form.get("token"), "", appsAge)
	now, signedIn, err := s.people.signedIn(r)
	if err != nil {
		s.peopleFailed(w, r, err)
		return
	}
	if !ok || signedIn && now.ID != person.ID {
		s.showError(w, r, http.StatusForbidden, "This page is too old", "Open Connected apps again.")
		return
	}
	if err := s.endSessions(r, person, form.get("session")); err != nil {
		s.showUnavailable(w, r, err)
		return
	}
	s.redirect(w, r, s.config.Issuer+appsPath+"?ended")
}

func (s *Server) endSessions(r *http.Request, person person, which string) error {
	if which == "all" {
		_, err := s.store.Sessions.EndAll(r.Context(), repo.EndAllParams{
			ClerkUserID: person.ID, Reason: reasonPerson, IPAddress: s.addressOf(r),
		})
		return err
	}
	id, err := uuid.Parse(which)
	if err != nil {
		return nil //nolint:nilerr // no such session: it is as good as ended
	}
	session, err := s.store.Sessions.Get(r.Context(), id)
	if errors.Is(err, repo.ErrNotFound) || err == nil && session.ClerkUserID != person.ID {
		return nil
	}
	if err != nil {
		return err
	}
	_, err = s.store.Sessions.End(r.Context(), repo.EndParams{SessionID: id, Reason: reasonPerson, IPAddress: s.addressOf(r)})
	return err
}
