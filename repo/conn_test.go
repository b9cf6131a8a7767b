package repo_test

import (
	"context"
	"encoding/json"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/uptrace/bun"

	"github.com/gptoauth/gptoauth/repo"
	"github.com/gptoauth/gptoauth/repo/repotest"
)

// TestAnswers: what a person or a client wrote comes back byte for byte, whatever it looks like to SQL, to Bun or to the
// text of a row.
func TestAnswers(t *testing.T) {
	t.Parallel()
	db := repotest.DB(t).WithNamedArg("name", "replaced")
	for _, hostile := range []string{
		`"`, `\`, `\"`, `,`, `(a,b)`, `)`, ` `, "\n\t", `'`, `''`, `--`, `?`, `?0`, `\?`, `?name`, `?name'`, `$1`, "ü€😀", "{}", `NULL`, `null`, `""`,
	} {
		store, err := repo.New(db, repo.Config{})
		require.NoError(t, err)
		data, err := json.Marshal(map[string]string{hostile: hostile})
		require.NoError(t, err)
		code := repotest.NewCode(t, store, repo.IssueParams{
			ClerkUserID: hostile, ClientID: hostile, RedirectURI: "https://client.example/cb?state=?name", Data: data,
		})
		exchanged := exchange(t, store, code.Request())
		require.Equal(t, repo.Exchanged, exchanged.Outcome, hostile)
		rotated := rotate(t, store, repo.RotateParams{RefreshToken: string(exchanged.RefreshToken), ClientID: hostile})
		require.Equal(t, repo.Rotated, rotated.Outcome, hostile)
		for _, grant := range []repo.Grant{exchanged.Grant, rotated.Grant} {
			require.Equal(t, hostile, grant.ClerkUserID)
			require.JSONEq(t, string(data), string(grant.Data))
		}
	}
}

// queryLog is a query hook, as bunotel is one.
type queryLog struct {
	mu      sync.Mutex
	queries []string
}

func (*queryLog) BeforeQuery(ctx context.Context, _ *bun.QueryEvent) context.Context { return ctx }

func (l *queryLog) AfterQuery(_ context.Context, event *bun.QueryEvent) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.queries = append(l.queries, event.Query)
}

// TestQueryHooks: each call is one query to the hooks, its text stays what it was, and no secret is in it.
func TestQueryHooks(t *testing.T) {
	t.Parallel()
	log := &queryLog{}
	store, err := repo.New(repotest.DB(t).WithQueryHook(log), repo.Config{})
	require.NoError(t, err)
	session := repotest.NewSession(t, store, repo.IssueParams{}, 1)
	_, err = store.Sessions.Touch(t.Context(), session.SessionID)
	require.NoError(t, err)
	_, err = store.RefreshTokens.Lookup(t.Context(), session.Tokens[1])
	require.NoError(t, err)
	end(t, store, session.SessionID)

	require.Len(t, log.queries, 6)
	for i, function := range []string{"gpt_issue_code_v1", "gpt_exchange_code_v1", "gpt_rotate_refresh_token_v1", "gpt_touch_session_v1"} {
		require.Regexp(t, `^SET LOCAL statement_timeout = +\d+; SELECT public\.`+function+`\([^;]*\)::pg_catalog\.text AS a$`, log.queries[i])
	}
	for _, secret := range append(session.Tokens, string(session.Code.Code), session.Code.Verifier) {
		require.NotContains(t, strings.Join(log.queries, "\n"), secret)
	}
}

// TestPoolExhausted: waiting for a connection ends with the context, and with Config.Timeout if it has no end.
func TestPoolExhausted(t *testing.T) {
	t.Parallel()
	db := open(t, repotest.URL(t), repo.PoolConfig{MaxConns: 1})
	held, err := db.Conn(t.Context())
	require.NoError(t, err)
	defer held.Close()
	store, err := repo.New(db, repo.Config{Timeout: 50 * time.Millisecond})
	require.NoError(t, err)
	session := repotest.NewUserID()

	var failure *repo.DatabaseError
	_, err = store.EndUser(context.WithoutCancel(t.Context()), session, "offboarded")
	require.ErrorAs(t, err, &failure)
	require.ErrorIs(t, err, context.DeadlineExceeded)

	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(10*time.Millisecond, cancel)
	store, err = repo.New(db, repo.Config{})
	require.NoError(t, err)
	_, err = store.EndUser(ctx, session, "offboarded")
	require.ErrorIs(t, err, context.Canceled)
}
