package migrations_test

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/gptoauth/gptoauth/migrations"
	"github.com/gptoauth/gptoauth/repo"
	"github.com/gptoauth/gptoauth/repo/repotest"
)

// appFunctions are those that an application role may call. A new function has to be put here, or to be kept from it.
var appFunctions = []string{
	"gpt_append_events_v1", "gpt_end_session_v1", "gpt_end_sessions_v1", "gpt_end_user_v1", "gpt_exchange_code_v1",
	"gpt_issue_code_v1", "gpt_revoke_refresh_token_v1", "gpt_rotate_refresh_token_v1", "gpt_touch_session_v1",
	"gpt_touch_sessions_v1",
}

// methods are those that runEverything uses. A new one has to be put into it, and here.
var methods = []string{
	"AuthCodes.Exchange", "AuthCodes.Issue",
	"Events.All", "Events.Append", "Events.Count", "Events.Follow", "Events.List",
	"Events.Recorder",
	"RefreshTokens.Family", "RefreshTokens.Find", "RefreshTokens.Get", "RefreshTokens.Lookup", "RefreshTokens.Revoke", "RefreshTokens.Rotate",
	"Sessions.Active", "Sessions.End", "Sessions.EndAll", "Sessions.Get", "Sessions.List", "Sessions.Touch", "Sessions.TouchAll",
}

func TestRunEverythingIsEverything(t *testing.T) {
	t.Parallel()
	var found []string
	for _, repository := range []reflect.Type{
		reflect.TypeFor[*repo.AuthCodes](), reflect.TypeFor[*repo.Events](), reflect.TypeFor[*repo.RefreshTokens](), reflect.TypeFor[*repo.Sessions](),
	} {
		for method := range repository.Methods() {
			found = append(found, repository.Elem().Name()+"."+method.Name)
		}
	}
	require.Equal(t, methods, found)
}

// runEverything uses every method of the store but those that purge and erase.
func runEverything(t *testing.T, store *repo.Store) repotest.Session {
	t.Helper()
	ctx := t.Context()
	s := repotest.NewSession(t, store, repo.IssueParams{Scope: "jobs", Data: json.RawMessage(`{"a": "b"}`)}, 1)
	retried, err := store.RefreshTokens.Rotate(ctx, s.Request(0))
	require.NoError(t, err)
	require.Equal(t, repo.Retried, retried.Outcome)

	found, err := store.RefreshTokens.Lookup(ctx, s.Tokens[1])
	require.NoError(t, err)
	require.True(t, found.Active)
	family, err := store.RefreshTokens.Family(ctx, repo.FamilyParams{SessionID: s.SessionID})
	require.NoError(t, err)
	require.Len(t, family.Tokens, 2)
	got, err := store.Sessions.Get(ctx, s.SessionID)
	require.NoError(t, err)
	require.True(t, got.Alive)
	token, err := store.RefreshTokens.Get(ctx, s.RefreshTokenID)
	require.NoError(t, err)
	require.Equal(t, s.SessionID, token.SessionID)
	sum := sha256.Sum256([]byte(s.Tokens[0]))
	tokens, err := store.RefreshTokens.Find(ctx, repo.TokenFindParams{HashPrefix: hex.EncodeToString(sum[:])})
	require.NoError(t, err)
	require.Len(t, tokens, 1)
	sessions, err := store.Sessions.List(ctx, repo.SessionListParams{ClerkUserID: s.ClerkUserID})
	require.NoError(t, err)
	require.Len(t, sessions.Sessions, 1)
	sessions, err = store.Sessions.List(ctx, repo.SessionListParams{Everyone: true, AliveOnly: true})
	require.NoError(t, err)
	require.NotEmpty(t, sessions.Sessions)
	active, err := store.Sessions.Active(ctx, s.SessionID)
	require.NoError(t, err)
	require.True(t, active)
	alive, err := store.Sessions.Touch(ctx, s.SessionID)
	require.NoError(t, err)
	require.True(t, alive)
	touched, err := store.Sessions.TouchAll(ctx, s.SessionID)
	require.NoError(t, err)
	require.Equal(t, []uuid.UUID{s.SessionID}, touched)
	require.NoError(t, store.Events.Append(ctx, repo.AppendParams{Type: "job_search", ClerkUserID: s.ClerkUserID}))
	recorder, err := store.Events.Recorder(repo.RecorderConfig{})
	require.NoError(t, err)
	require.NoError(t, recorder.Record(ctx, repo.AppendParams{Type: "job_search", ClerkUserID: s.ClerkUserID}))
	require.NoError(t, recorder.Close(ctx))
	require.EqualValues(t, 1, recorder.Stats().Written)
	events, err := store.Events.List(ctx, repo.EventListParams{ClerkUserID: s.ClerkUserID})
	require.NoError(t, err)
	require.Len(t, events.Events, 6)
	filter := repo.EventListParams{ClerkUserID: s.ClerkUserID, Types: []string{"job_search", repo.EventAuthorize}}
	counts, err := store.Events.Count(ctx, repo.EventCountParams{Filter: filter, Bucket: time.Hour})
	require.NoError(t, err)
	require.NotEmpty(t, counts)
	for _, err := range store.Events.All(ctx, filter) {
		require.NoError(t, err)
	}
	filter.Since = time.Now().Add(-time.Hour)
	for event, err := range store.Events.Follow(ctx, repo.FollowParams{Filter: filter}) {
		require.NoError(t, err)
		require.Equal(t, repo.EventAuthorize, event.Type)
		break
	}

	// Every way to end one, on sessions of other people.
	other := repotest.NewSession(t, store, repo.IssueParams{}, 0)
	replayed, err := store.AuthCodes.Exchange(ctx, other.Code.Request())
	require.NoError(t, err)
	require.Equal(t, repo.Replayed, replayed.Outcome)
	other = repotest.NewSession(t, store, repo.IssueParams{}, 2)
	reused, err := store.RefreshTokens.Rotate(ctx, other.Request(0))
	require.NoError(t, err)
	require.Equal(t, repo.Reused, reused.Outcome)
	other = repotest.NewSession(t, store, repo.IssueParams{}, 0)
	revoked, err := store.RefreshTokens.Revoke(ctx, repo.RevokeParams{RefreshToken: other.Tokens[0], ClientID: other.Code.Issued.ClientID})
	require.NoError(t, err)
	require.Equal(t, repo.Revoked, revoked.Outcome)
	other = repotest.NewSession(t, store, repo.IssueParams{}, 0)
	ended, err := store.Sessions.End(ctx, repo.EndParams{SessionID: other.SessionID, Reason: "sign_out"})
	require.NoError(t, err)
	require.Equal(t, 1, ended.Sessions)
	other = repotest.NewSession(t, store, repo.IssueParams{}, 0)
	ended, err = store.Sessions.EndAll(ctx, repo.EndAllParams{ClerkUserID: other.ClerkUserID, Reason: "sign_out"})
	require.NoError(t, err)
	require.Equal(t, 1, ended.Sessions)
	other = repotest.NewSession(t, store, repo.IssueParams{}, 0)
	ended, err = store.EndUser(ctx, other.ClerkUserID, "offboarded")
	require.NoError(t, err)
	require.Equal(t, 1, ended.Sessions)
	return s
}

func TestApplicationRole(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	role, db := w.newRole(t)
	store, err := repo.New(db, repo.Config{})
	require.NoError(t, err)
	_, err = store.AuthCodes.Issue(t.Context(), repotest.NewCode(t, must(repo.New(w.owner, repo.Config{})), repo.IssueParams{}).Issued)
	require.ErrorContains(t, err, insufficientPrivilege, "before the grant")

	w.grant(t, migrations.GrantParams{Role: role})
	session := runEverything(t, store)
	exec(t, w.super, "CREATE SCHEMA AUTHORIZATION "+role) // for what needs a place of its own

	t.Run("ChecksAndFindsNothingToMigrate", func(t *testing.T) {
		require.NoError(t, migrations.Check(t.Context(), db))
		require.NoError(t, migrations.Up(t.Context(), db))
		states, err := migrations.Status(t.Context(), db)
		require.NoError(t, err)
		require.NotEmpty(t, states)
	})

	t.Run("CallsOnlyWhatIsMadeToBeCalled", func(t *testing.T) {
		var allowed []string
		for name, call := range nullCalls(t, db) {
			if state := stateOf(t, db, call); state != insufficientPrivilege {
				allowed = append(allowed, name)
			}
		}
		slices.Sort(allowed)
		require.Equal(t, appFunctions, allowed)
	})

	for name, statement := range map[string]string{
		"CannotReadTheNonce":          "SELECT successor_nonce FROM public.gpt_sessions",
		"CannotFilterByTheNonce":      "SELECT id FROM public.gpt_sessions WHERE successor_nonce IS NOT NULL",
		"CannotReadAllColumns":        "SELECT * FROM public.gpt_sessions",
		"CannotReadWholeRows":         "SELECT s FROM public.gpt_sessions AS s",
		"CannotCopyTheNonce":          "COPY public.gpt_sessions (successor_nonce) TO STDOUT",
		"CannotReadCodes":             "SELECT id FROM public.gpt_authorization_codes",
		"CannotReadTheHold":           "SELECT id FROM public.gpt_migration_locks",
		"CannotRevive":                "UPDATE public.gpt_sessions SET ended_at = NULL",
		"CannotUnrevoke":              "UPDATE public.gpt_refresh_tokens SET revoked_at = NULL",
		"CannotProlong":               "UPDATE public.gpt_refresh_tokens SET expires_at = 'infinity'",
		"CannotRewriteEvents":         "UPDATE public.gpt_oauth_events SET ip_address = NULL",
		"CannotDeleteEvents":          "DELETE FROM public.gpt_oauth_events",
		"CannotTruncateEvents":        "TRUNCATE public.gpt_oauth_events",
		"CannotForgeEvents":           "INSERT INTO public.gpt_oauth_events (event_type) VALUES ('token_revoke')",
		"CannotInsertSessions":        "INSERT INTO public.gpt_sessions (clerk_user_id) VALUES ('user_1')",
		"CannotUnapplyMigrations":     "DELETE FROM public.gpt_migrations",
		"CannotHoldMigrations":        "INSERT INTO public.gpt_migration_locks (holder, reason) VALUES ('x', 'y')",
		"CannotDrawFromSequences":     "SELECT nextval('public.gpt_migrations_id_seq')",
		"CannotLockOthersOut":         "LOCK TABLE public.gpt_sessions IN ACCESS EXCLUSIVE MODE",
		"CannotLockRows":              "SELECT id FROM public.gpt_sessions FOR UPDATE",
		"CannotAddTriggers":           "CREATE TRIGGER t BEFORE INSERT ON public.gpt_sessions EXECUTE FUNCTION suppress_redundant_updates_trigger()",
		"CannotReferTo":               "CREATE TABLE " + role + ".t (id uuid REFERENCES public.gpt_sessions (id))",
		"CannotTurnRowSecurityOff":    "ALTER TABLE public.gpt_sessions DISABLE ROW LEVEL SECURITY",
		"CannotReplaceFunctions":      "ALTER FUNCTION public.gpt_close_session_v1(uuid, text) OWNER TO CURRENT_USER",
		"CannotBecomeTheOwner":        "SET ROLE " + strings.TrimSpace(texts(t, w.super, "SELECT tableowner FROM pg_tables WHERE tablename = 'gpt_sessions'")[0]),
		"CannotGrantOn":               "GRANT SELECT (id) ON public.gpt_sessions TO PUBLIC",
		"CannotReadStatisticsOfNonce": "SELECT 1 / count(*) FROM pg_stats WHERE tablename = 'gpt_sessions' AND attname = 'successor_nonce'",
	} {
		t.Run(name, func(t *testing.T) {
			switch state := stateOf(t, db, statement); name {
			case "CannotGrantOn": // a warning, as the standard wants it
				require.Equal(t, "00000", state)
				require.NotContains(t, strings.Join(describe(t, w.owner), "\n"), "to PUBLIC")
			case "CannotReadStatisticsOfNonce":
				exec(t, w.owner, "ANALYZE public.gpt_sessions")
				require.Equal(t, "22012", stateOf(t, db, statement), "no row")
			default:
				require.Equal(t, insufficientPrivilege, state)
			}
		})
	}

	t.Run("CannotForgeTheStoresEventsByTheFunction", func(t *testing.T) {
		for _, own := range []string{repo.EventAuthorize, repo.EventTokenReuse, repo.EventUserErase} {
			require.Equal(t, "22023", stateOf(t, db, `SELECT public.gpt_append_events_v1(ARRAY[gen_random_uuid()], ARRAY['`+own+`'],
				ARRAY[NULL]::text[], ARRAY[NULL]::text[], ARRAY[NULL]::uuid[], ARRAY[NULL]::jsonb[], ARRAY[NULL]::text[])`))
		}
	})

	t.Run("CannotOverwriteAnEventByTheFunction", func(t *testing.T) {
		events, err := store.Events.List(t.Context(), repo.EventListParams{SessionID: session.SessionID})
		require.NoError(t, err)
		for _, event := range events.Events {
			require.NoError(t, store.Events.Append(t.Context(), repo.AppendParams{ID: event.ID, Type: "forged"}))
		}
		again, err := store.Events.List(t.Context(), repo.EventListParams{SessionID: session.SessionID})
		require.NoError(t, err)
		require.Equal(t, events, again)
	})

	t.Run("CannotReviveByCallingAgain", func(t *testing.T) {
		_, err := store.Sessions.End(t.Context(), repo.EndParams{SessionID: session.SessionID, Reason: "sign_out"})
		require.NoError(t, err)
		rotated, err := store.RefreshTokens.Rotate(t.Context(), session.Request(1))
		require.NoError(t, err)
		require.Equal(t, repo.Ended, rotated.Outcome)
		exchanged, err := store.AuthCodes.Exchange(t.Context(), session.Code.Request())
		require.NoError(t, err)
		require.Equal(t, repo.Replayed, exchanged.Outcome)
		alive, err := store.Sessions.Touch(t.Context(), session.SessionID)
		require.NoError(t, err)
		require.False(t, alive)
	})
}

func must(store *repo.Store, err error) *repo.Store {
	if err != nil {
		panic(err)
	}
	return store
}
