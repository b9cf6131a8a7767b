package leaktest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/uptrace/bun"

	"github.com/gptoauth/gptoauth/repo"
	"github.com/gptoauth/gptoauth/repo/repotest"
)

const (
	dsnVariable  = "GPTOAUTH_LEAKTEST_DSN"  // makes TestProgram a program that uses the whole API and panics
	fileVariable = "GPTOAUTH_LEAKTEST_FILE" // where it writes what it was told in confidence
)

// confidence is what the program and no one else may know.
type confidence struct {
	Grants  []string `json:"grants"`  // codes and tokens
	Secrets []string `json:"secrets"` // verifiers and the like
}

// program is a host that logs and prints whatever it can get hold of.
type program struct {
	t     *testing.T
	store *repo.Store
	logs  []*slog.Logger
	told  confidence
}

// TestProgram is the program. Run as a test it does nothing, see TestNothingLeaks.
func TestProgram(t *testing.T) {
	dsn := os.Getenv(dsnVariable)
	if dsn == "" {
		return
	}
	db, err := repo.Open(t.Context(), dsn, repo.PoolConfig{})
	require.NoError(t, err)
	store, err := repo.New(db, repo.Config{AllowPlain: true, Timeout: 2 * time.Second})
	require.NoError(t, err)
	p := &program{t: t, store: store, logs: []*slog.Logger{
		slog.New(slog.NewTextHandler(os.Stdout, nil)), slog.New(slog.NewJSONHandler(os.Stdout, nil)),
	}}
	p.useEverything()
	p.failEverything(db)

	content, err := json.Marshal(p.told)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(os.Getenv(fileVariable), content, 0o600))
	session := p.session(repo.IssueParams{})
	_, err = db.ExecContext(t.Context(), "SELECT 1 / 0")
	panic(fmt.Errorf("%v: %w", session.Grant, err))
}

// show writes a value down in every way in which hosts do.
func (p *program) show(name string, value any) {
	for _, format := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d", "%t"} {
		fmt.Printf(name+" "+format+"\n", value)
	}
	for _, log := range p.logs {
		log.Info(name, "value", value)
	}
	if err, ok := value.(error); ok {
		fmt.Println(err.Error())
	}
	if _, ok := value.(repo.Secret); ok {
		return // on its own in JSON it is meant for the client
	}
	if err := json.NewEncoder(os.Stdout).Encode(value); err != nil {
		fmt.Println(err)
	}
}

func (p *program) confide(grant repo.Secret) {
	if grant != "" {
		p.told.Grants = append(p.told.Grants, string(grant))
		p.show("secret", grant)
	}
}

func (p *program) session(params repo.IssueParams) repotest.Session {
	session := repotest.NewSession(p.t, p.store, params, 2)
	p.told.Grants = append(append(p.told.Grants, session.Tokens...), string(session.Code.Code))
	p.told.Secrets = append(p.told.Secrets, session.Code.Verifier)
	p.show("issued", session.Code.IssueResult)
	p.show("granted", session.Grant)
	return session
}

// useEverything makes every call on sessions of each kind, and shows what comes of it.
func (p *program) useEverything() {
	verifier := repotest.NewVerifier()
	p.told.Secrets = append(p.told.Secrets, verifier)
	for _, params := range []repo.IssueParams{
		{Scope: "openid", Data: json.RawMessage(`{"nonce": "n"}`)},
		{WithoutPKCE: true},
	} {
		session := p.session(params)
		for _, call := range calls(p.store, session, verifier) {
			value, err := call.make(p.t.Context())
			require.NoError(p.t, cmpInput(err), call.name)
			p.tell(call.name, value, err)
		}
	}

	// The challenge of the method plain is the verifier itself.
	plain := repo.IssueParams{ClerkUserID: "user_plain", ClientID: "c", RedirectURI: "https://c.example/cb", CodeChallenge: verifier, CodeChallengeMethod: "plain"}
	issued, err := p.store.AuthCodes.Issue(p.t.Context(), plain)
	require.NoError(p.t, err)
	p.confide(issued.Code)
	exchanged, err := p.store.AuthCodes.Exchange(p.t.Context(), repo.ExchangeParams{Code: string(issued.Code), ClientID: "c", CodeVerifier: verifier})
	require.NoError(p.t, err)
	require.Equal(p.t, repo.Exchanged, exchanged.Outcome)
	p.tell("plain", exchanged, err)
}

// failEverything has every call fail in different ways: refused by the server, in time, by a timeout, and by a closed pool.
func (p *program) failEverything(db *bun.DB) {
	session := p.session(repo.IssueParams{})
	verifier := repotest.NewVerifier()
	p.told.Secrets = append(p.told.Secrets, verifier)
	fail := func(ctx context.Context, name string) {
		for _, call := range calls(p.store, session, verifier) {
			value, err := call.make(ctx)
			p.tell(name+": "+call.name, value, err)
		}
	}

	rename := func(from, to string) {
		for _, table := range []string{"gpt_sessions", "gpt_authorization_codes", "gpt_refresh_tokens", "gpt_oauth_events"} {
			_, err := db.ExecContext(p.t.Context(), "ALTER TABLE public.? RENAME TO ?", bun.Ident(table+from), bun.Ident(table+to))
			require.NoError(p.t, err)
		}
	}
	rename("", "_gone")
	fail(p.t.Context(), "no tables")
	rename("_gone", "")

	tx, err := db.BeginTx(p.t.Context(), nil)
	require.NoError(p.t, err)
	_, err = tx.ExecContext(p.t.Context(), "LOCK TABLE public.gpt_sessions, public.gpt_authorization_codes, public.gpt_refresh_tokens, public.gpt_oauth_events")
	require.NoError(p.t, err)
	ctx, cancel := context.WithTimeout(p.t.Context(), 5*time.Second)
	defer cancel()
	fail(ctx, "locked")
	require.NoError(p.t, tx.Rollback())

	closed, err := repo.Open(p.t.Context(), os.Getenv(dsnVariable), repo.PoolConfig{})
	require.NoError(p.t, err)
	require.NoError(p.t, closed.Close())
	store := p.store
	defer func() { p.store = store }()
	p.store, err = repo.New(closed, repo.Config{Timeout: 10 * time.Millisecond})
	require.NoError(p.t, err)
	fail(p.t.Context(), "closed")
}

// tell shows what a call has answered, and keeps in mind what of it is secret.
func (p *program) tell(name string, value any, err error) {
	switch value := value.(type) {
	case repo.IssueResult:
		p.confide(value.Code)
	case repo.ExchangeResult:
		p.confide(value.RefreshToken)
		p.show(name, value.Err())
	case repo.RotateResult:
		p.confide(value.RefreshToken)
		p.show(name, value.Err())
	}
	p.show(name, value)
	p.show(name, err)
}

// cmpInput takes what is refused without asking the database for no error.
func cmpInput(err error) error {
	if _, ok := errors.AsType[*repo.InputError](err); ok {
		return nil
	}
	return err
}
