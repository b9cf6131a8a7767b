// Command driver makes the calls that it reads from stdin, with the release that it is built with. It is for the test of
// rolling upgrades only.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"

	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"github.com/gptoauth/gptoauth/internal/upgrade/wire"
	"github.com/gptoauth/gptoauth/migrations"
	"github.com/gptoauth/gptoauth/repo"
)

const maxConns = 16

func main() {
	if err := run(context.Background(), os.Getenv("DATABASE_URL"), os.Getenv("GPTOAUTH_CONFIG"), os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// run serves requests until there are no more.
func run(ctx context.Context, url, config string, requests io.Reader, answers io.Writer) error {
	var settings wire.Config
	if err := json.Unmarshal([]byte(config), &settings); err != nil {
		return err
	}
	db, err := repo.Open(ctx, url, repo.PoolConfig{MaxConns: maxConns})
	if err != nil {
		return err
	}
	defer db.Close() //nolint:errcheck // the end of the process closes it too
	store, err := repo.New(db, repo.Config{
		CodeTTL: settings.CodeTTL, RefreshTTL: settings.RefreshTTL, SessionTTL: settings.SessionTTL, Grace: settings.Grace,
	})
	if err != nil {
		return err
	}
	d := &driver{db: db, store: store, answers: json.NewEncoder(answers)}
	defer d.pending.Wait()
	lines := bufio.NewScanner(requests)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var request wire.Request
		if err := json.Unmarshal(lines.Bytes(), &request); err != nil {
			return err
		}
		d.pending.Go(func() { d.serve(ctx, request) })
	}
	return lines.Err()
}

type driver struct {
	db    *bun.DB
	store *repo.Store

	pending sync.WaitGroup
	mu      sync.Mutex
	answers *json.Encoder
}

func (d *driver) serve(ctx context.Context, request wire.Request) {
	response := wire.Response{ID: request.ID}
	result, err := d.call(ctx, request)
	if err == nil {
		response.Secret = secretOf(result)
		response.Result, err = json.Marshal(result)
	}
	if err != nil {
		response.Failure = &wire.Failure{Text: err.Error()}
		if failure, ok := errors.AsType[*repo.DatabaseError](err); ok {
			response.Failure.Effect = failure.Effect
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	_ = d.answers.Encode(response) //nolint:gosec,errchkjson // the secret is for the test that asked; if it has gone, it misses nothing
}

func (d *driver) call(ctx context.Context, request wire.Request) (any, error) {
	switch request.Op {
	case "issue":
		return with(ctx, request, d.store.AuthCodes.Issue)
	case "exchange":
		return with(ctx, request, d.store.AuthCodes.Exchange)
	case "rotate":
		return with(ctx, request, d.store.RefreshTokens.Rotate)
	case "revoke":
		return with(ctx, request, d.store.RefreshTokens.Revoke)
	case "lookup":
		return with(ctx, request, d.store.RefreshTokens.Lookup)
	case "end":
		return with(ctx, request, d.store.Sessions.End)
	case "end_all":
		return with(ctx, request, d.store.Sessions.EndAll)
	case "list":
		return with(ctx, request, d.store.Sessions.List)
	case "active":
		return with(ctx, request, d.store.Sessions.Active)
	case "touch":
		return with(ctx, request, d.store.Sessions.Touch)
	case "end_user":
		return with(ctx, request, func(ctx context.Context, p wire.EndUserParams) (repo.EndedResult, error) {
			return d.store.EndUser(ctx, p.ClerkUserID, p.Reason)
		})
	case "events":
		return with(ctx, request, d.store.Events.List)
	case "migrate":
		return with(ctx, request, func(ctx context.Context, _ uuid.UUID) (bool, error) { return true, migrations.Up(ctx, d.db) })
	case "check":
		return with(ctx, request, func(ctx context.Context, _ uuid.UUID) (bool, error) { return true, migrations.Check(ctx, d.db) })
	default:
		return nil, fmt.Errorf("there is no operation %q", request.Op)
	}
}

// with makes a call with the parameters of a request.
func with[P, R any](ctx context.Context, request wire.Request, call func(context.Context, P) (R, error)) (any, error) {
	var params P
	if err := json.Unmarshal(request.Params, &params); err != nil {
		return nil, err
	}
	return call(ctx, params)
}

func secretOf(result any) string {
	switch result := result.(type) {
	case repo.IssueResult:
		return string(result.Code)
	case repo.ExchangeResult:
		return string(result.RefreshToken)
	case repo.RotateResult:
		return string(result.RefreshToken)
	default:
		return ""
	}
}
