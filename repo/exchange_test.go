package repo_test

import (
	"encoding/json"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/gptoauth/gptoauth/repo"
	"github.com/gptoauth/gptoauth/repo/repotest"
)

var address = netip.MustParseAddr("192.0.2.7")

func TestIssue(t *testing.T) {
	t.Parallel()

	t.Run("StoresDigestsOnly", func(t *testing.T) {
		t.Parallel()
		store := repotest.Store(t, repo.Config{AllowPlain: true})
		verifier := repotest.NewVerifier()
		code := repotest.NewCode(t, store, repo.IssueParams{CodeChallenge: verifier, CodeChallengeMethod: repo.Plain})

		var row struct{ Code, CodeChallenge, CodeChallengeMethod string }
		require.NoError(t, store.DB().NewSelect().TableExpr("gpt_authorization_codes").
			Column("code", "code_challenge", "code_challenge_method").Where("id = ?", code.ID).Scan(t.Context(), &row))
		require.Regexp(t, "^[0-9a-f]{64}$", row.Code)
		require.Equal(t, repotest.Challenge(verifier), row.CodeChallenge, "a plain challenge is stored in its S256 form")
		require.Equal(t, repo.S256, row.CodeChallengeMethod)

		request := code.Request()
		request.CodeVerifier = verifier
		exchanged, err := store.AuthCodes.Exchange(t.Context(), request)
		require.NoError(t, err)
		require.Equal(t, repo.Exchanged, exchanged.Outcome)
	})

	t.Run("ExpiresByTheDatabasesClock", func(t *testing.T) {
		t.Parallel()
		store := repotest.Store(t, repo.Config{})
		code := repotest.NewCode(t, store, repo.IssueParams{TTL: time.Minute})
		require.WithinDuration(t, databaseNow(t, store).Add(time.Minute), code.ExpiresAt, 5*time.Second)
	})

	t.Run("LeavesNoSession", func(t *testing.T) {
		t.Parallel()
		store := repotest.Store(t, repo.Config{})
		code := repotest.NewCode(t, store, repo.IssueParams{IPAddress: address})
		page, err := store.Sessions.List(t.Context(), repo.SessionListParams{ClerkUserID: code.Issued.ClerkUserID})
		require.NoError(t, err)
		require.Empty(t, page.Sessions)
		require.Equal(t, []string{"authorize"}, trail(t, store, code.Issued.ClerkUserID))
	})
}

func TestExchange(t *testing.T) {
	t.Parallel()

	t.Run("GivesWhatWasConsentedTo", func(t *testing.T) {
		t.Parallel()
		store := repotest.Store(t, repo.Config{})
		params := repo.IssueParams{
			ClientID: "https://client.example/metadata.json", Scope: "jobs:read resume", Resource: "https://api.example/mcp",
			Data: json.RawMessage(`{"nonce": "n-1", "auth_time": 1700000000}`),
		}
		code := repotest.NewCode(t, store, params)
		request := code.Request()
		request.IPAddress, request.UserAgent = address, "ChatGPT-User/1.0"
		exchanged, err := store.AuthCodes.Exchange(t.Context(), request)
		require.NoError(t, err)
		require.NoError(t, exchanged.Err())
		require.Equal(t, code.Issued.ClerkUserID, exchanged.ClerkUserID)
		require.Equal(t, params.Scope, exchanged.Scope)
		require.Equal(t, params.Resource, exchanged.Resource)
		require.JSONEq(t, string(params.Data), string(exchanged.Data))
		require.WithinDuration(t, databaseNow(t, store).Add(30*24*time.Hour), exchanged.RefreshExpiresAt, 5*time.Second)
		require.WithinDuration(t, databaseNow(t, store).Add(365*24*time.Hour), exchanged.SessionExpiresAt, 5*time.Second)

		session, err := store.Sessions.Get(t.Context(), exchanged.SessionID)
		require.NoError(t, err)
		require.True(t, session.Alive)
		require.Equal(t, params.ClientID, session.ClientID)
		require.Equal(t, exchanged.RefreshTokenID, session.RefreshTokenID)
		require.Equal(t, "192.0.2.7", session.IPAddress)
		require.Equal(t, "ChatGPT-User/1.0", session.UserAgent)
	})

	t.Run("RedirectURIMayBeLeftOutWithPKCE", func(t *testing.T) {
		t.Parallel()
		store := repotest.Store(t, repo.Config{})
		request := repotest.NewCode(t, store, repo.IssueParams{}).Request()
		request.RedirectURI = ""
		require.Equal(t, repo.Exchanged, exchange(t, store, request).Outcome)
	})

	t.Run("WithoutPKCE", func(t *testing.T) {
		t.Parallel()
		store := repotest.Store(t, repo.Config{})
		code := repotest.NewCode(t, store, repo.IssueParams{WithoutPKCE: true})
		for name, with := range map[string]func(r *repo.ExchangeParams){
			"AVerifier":          func(r *repo.ExchangeParams) { r.CodeVerifier = repotest.NewVerifier() },
			"AMalformedVerifier": func(r *repo.ExchangeParams) { r.CodeVerifier = "short" },
			"NotAuthenticated":   func(r *repo.ExchangeParams) { r.ClientAuthenticated = false },
			"NoRedirectURI":      func(r *repo.ExchangeParams) { r.RedirectURI = "" },
		} {
			request := code.Request()
			with(&request)
			require.Equal(t, repo.Mismatch, exchange(t, store, request).Outcome, name)
		}
		require.Equal(t, repo.Exchanged, exchange(t, store, code.Request()).Outcome)
	})

	t.Run("MismatchBurnsAndRevokesNothing", func(t *testing.T) {
		t.Parallel()
		store := repotest.Store(t, repo.Config{})
		code := repotest.NewCode(t, store, repo.IssueParams{})
		wrong := map[string]func(r *repo.ExchangeParams){
			"client_id":               func(r *repo.ExchangeParams) { r.ClientID = "client_2" },
			"client_id empty":         func(r *repo.ExchangeParams) { r.ClientID = "" },
			"client_id NUL":           func(r *repo.ExchangeParams) { r.ClientID = "client_1\x00" },
			"client_id invalid UTF-8": func(r *repo.ExchangeParams) { r.ClientID = "client_1\xff" },
			"client_id too long":      func(r *repo.ExchangeParams) { r.ClientID = strings.Repeat("x", 2049) },
			"redirect_uri":            func(r *repo.ExchangeParams) { r.RedirectURI += "/" },
			"redirect_uri NUL":        func(r *repo.ExchangeParams) { r.RedirectURI += "\x00" },
			"no verifier":             func(r *repo.ExchangeParams) { r.CodeVerifier = "" },
			"verifier":                func(r *repo.ExchangeParams) { r.CodeVerifier = repotest.NewVerifier() },
			"verifier malformed":      func(r *repo.ExchangeParams) { r.CodeVerifier = "too short" },
			"the challenge itself":    func(r *repo.ExchangeParams) { r.CodeVerifier = code.Issued.CodeChallenge },
		}
		refused := func(session uuid.UUID) {
			for name, with := range wrong {
				request := code.Request()
				with(&request)
				result := exchange(t, store, request)
				require.Equal(t, repo.Mismatch, result.Outcome, name)
				require.Equal(t, session, result.SessionID)
				require.Empty(t, result.RefreshToken)
			}
		}

		refused(uuid.Nil)
		exchanged := exchange(t, store, code.Request())
		require.Equal(t, repo.Exchanged, exchanged.Outcome)
		refused(exchanged.SessionID)
		requireAlive(t, store, exchanged.SessionID, true)
		require.Equal(t, 2*len(wrong), countEvents(t, store, code.Issued.ClerkUserID, repo.EventCodeMismatch))
	})

	t.Run("ReplayEndsTheSession", func(t *testing.T) {
		t.Parallel()
		store := repotest.Store(t, repo.Config{})
		session := repotest.NewSession(t, store, repo.IssueParams{}, 3)
		for range 2 {
			result := exchange(t, store, session.Code.Request())
			require.Equal(t, repo.Replayed, result.Outcome)
			require.Equal(t, session.SessionID, result.SessionID)
		}
		require.Equal(t, "code_replay", get(t, store, session.SessionID).EndReason)
		require.Equal(t, repo.Ended, rotate(t, store, session.Request(3)).Outcome)
		require.Equal(t, 2, countEvents(t, store, session.ClerkUserID, repo.EventCodeReplay))
	})

	t.Run("ReplayOfAnExpiredCodeIsStillAReplay", func(t *testing.T) {
		t.Parallel()
		store := repotest.Store(t, repo.Config{})
		session := repotest.NewSession(t, store, repo.IssueParams{}, 0)
		repotest.Age(t, store, time.Hour)
		require.Equal(t, repo.Replayed, exchange(t, store, session.Code.Request()).Outcome)
		requireAlive(t, store, session.SessionID, false)
	})

	t.Run("Expired", func(t *testing.T) {
		t.Parallel()
		store := repotest.Store(t, repo.Config{})
		code := repotest.NewCode(t, store, repo.IssueParams{TTL: time.Minute})
		repotest.Age(t, store, time.Minute)
		require.Equal(t, repo.Expired, exchange(t, store, code.Request()).Outcome)
		wrong := code.Request()
		wrong.ClientID = "client_2"
		require.Equal(t, repo.Mismatch, exchange(t, store, wrong).Outcome, "decided before the expiry")
		require.Equal(t, []string{"authorize", "code_mismatch"}, trail(t, store, code.Issued.ClerkUserID))
	})

	t.Run("UnknownWritesNothing", func(t *testing.T) {
		t.Parallel()
		store := repotest.Store(t, repo.Config{})
		other := repotest.NewCode(t, repotest.Store(t, repo.Config{}), repo.IssueParams{}) // well-formed, of another transaction
		require.Equal(t, repo.Unknown, exchange(t, store, other.Request()).Outcome)
		require.Empty(t, trail(t, store, other.Issued.ClerkUserID))
	})

	t.Run("AdoptedCodeIsUnknown", func(t *testing.T) {
		t.Parallel()
		store := repotest.Store(t, repo.Config{})
		code := repotest.NewCode(t, store, repo.IssueParams{})
		_, err := store.DB().NewUpdate().TableExpr("gpt_authorization_codes").Set("client_id = NULL").Where("id = ?", code.ID).Exec(t.Context())
		require.NoError(t, err)
		require.Equal(t, repo.Unknown, exchange(t, store, code.Request()).Outcome)
	})

	t.Run("SessionWithoutEnd", func(t *testing.T) {
		t.Parallel()
		store := repotest.Store(t, repo.Config{SessionTTL: repo.Off})
		session := repotest.NewSession(t, store, repo.IssueParams{}, 0)
		require.True(t, session.SessionExpiresAt.IsZero())
		require.True(t, get(t, store, session.SessionID).ExpiresAt.IsZero())
	})

	t.Run("TokenNeverOutlivesTheSession", func(t *testing.T) {
		t.Parallel()
		store := repotest.Store(t, repo.Config{SessionTTL: time.Hour})
		session := repotest.NewSession(t, store, repo.IssueParams{}, 1)
		require.Equal(t, session.SessionExpiresAt, session.RefreshExpiresAt)
	})
}
