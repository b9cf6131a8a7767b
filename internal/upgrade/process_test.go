package upgrade_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"slices"
	"sync"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/gptoauth/gptoauth/internal/upgrade/wire"
	"github.com/gptoauth/gptoauth/repo"
	"github.com/gptoauth/gptoauth/repo/repotest/conformance"
)

var errGone = errors.New("the program has ended")

// process is a program of a release. It is a store by what that release makes of the calls.
type process struct {
	mu      sync.Mutex
	stdin   *json.Encoder
	last    uint64
	pending map[uint64]chan wire.Response
	ended   bool
}

var _ interface {
	conformance.Store
	conformance.UserEnder
	conformance.Watcher
	conformance.Introspector
	conformance.Auditor
} = (*process)(nil)

// start runs a program until the test ends.
func start(t testing.TB, program, databaseURL string, config repo.Config) *process {
	t.Helper()
	settings, err := json.Marshal(wire.Config{
		CodeTTL: config.CodeTTL, RefreshTTL: config.RefreshTTL, SessionTTL: config.SessionTTL, Grace: config.Grace,
	})
	require.NoError(t, err)
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), program)
	cmd.Env = append(os.Environ(), "DATABASE_URL="+databaseURL, "GPTOAUTH_CONFIG="+string(settings))
	cmd.Stderr = t.Output()
	stdin, err := cmd.StdinPipe()
	require.NoError(t, err)
	stdout, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())

	p := &process{stdin: json.NewEncoder(stdin), pending: map[uint64]chan wire.Response{}}
	var reading sync.WaitGroup
	reading.Go(func() { p.read(stdout) })
	t.Cleanup(func() {
		_ = stdin.Close()
		reading.Wait()
		if err := cmd.Wait(); err != nil {
			t.Error(err)
		}
	})
	return p
}

// read hands answers to those who wait for them.
func (p *process) read(stdout io.Reader) {
	answers := json.NewDecoder(bufio.NewReader(stdout))
	for {
		var response wire.Response
		err := answers.Decode(&response)
		p.mu.Lock()
		if err != nil {
			p.ended = true
			for _, waiting := range p.pending {
				close(waiting)
			}
			p.mu.Unlock()
			return
		}
		p.pending[response.ID] <- response
		delete(p.pending, response.ID)
		p.mu.Unlock()
	}
}

// ask sends a request and waits for its answer.
func (p *process) ask(op string, params any) (wire.Response, error) {
	raw, err := json.Marshal(params)
	if err != nil {
		return wire.Response{}, err
	}
	answer := make(chan wire.Response, 1)
	p.mu.Lock()
	if p.ended {
		p.mu.Unlock()
		return wire.Response{}, errGone
	}
	p.last++
	p.pending[p.last] = answer
	err = p.stdin.Encode(wire.Request{ID: p.last, Op: op, Params: raw})
	p.mu.Unlock()
	if err != nil {
		return wire.Response{}, err
	}
	response, ok := <-answer
	switch {
	case !ok:
		return wire.Response{}, errGone
	case response.Failure != nil && response.Failure.Effect != 0:
		return response, &repo.DatabaseError{Op: op, Effect: response.Failure.Effect, Err: errors.New(response.Failure.Text)}
	case response.Failure != nil:
		return response, errors.New(response.Failure.Text)
	default:
		return response, nil
	}
}

func ask[R any](p *process, op string, params any) (result R, secret repo.Secret, err error) {
	response, err := p.ask(op, params)
	if err != nil {
		return result, "", err
	}
	return result, repo.Secret(response.Secret), json.Unmarshal(response.Result, &result)
}

func (p *process) Issue(_ context.Context, params repo.IssueParams) (repo.IssueResult, error) {
	result, code, err := ask[repo.IssueResult](p, "issue", params)
	result.Code = code
	return result, err
}

func (p *process) Exchange(_ context.Context, params repo.ExchangeParams) (repo.ExchangeResult, error) {
	result, token, err := ask[repo.ExchangeResult](p, "exchange", params)
	result.Grant = granted(result.Grant, token)
	return result, err
}

func (p *process) Rotate(_ context.Context, params repo.RotateParams) (repo.RotateResult, error) {
	result, token, err := ask[repo.RotateResult](p, "rotate", params)
	result.Grant = granted(result.Grant, token)
	return result, err
}

// granted puts back what JSON leaves out. The first release told what was consented to with Expired and Reused too.
func granted(grant repo.Grant, token repo.Secret) repo.Grant {
	if token == "" {
		return repo.Grant{SessionID: grant.SessionID, ClerkUserID: grant.ClerkUserID}
	}
	grant.RefreshToken = token
	return grant
}

func (p *process) Revoke(_ context.Context, params repo.RevokeParams) (repo.RevokeResult, error) {
	result, _, err := ask[repo.RevokeResult](p, "revoke", params)
	return result, err
}

func (p *process) Lookup(_ context.Context, token string) (repo.LookupResult, error) {
	result, _, err := ask[repo.LookupResult](p, "lookup", token)
	return result, err
}

func (p *process) End(_ context.Context, params repo.EndParams) (repo.EndedResult, error) {
	result, _, err := ask[repo.EndedResult](p, "end", params)
	return result, err
}

func (p *process) EndAll(_ context.Context, params repo.EndAllParams) (repo.EndedResult, error) {
	result, _, err := ask[repo.EndedResult](p, "end_all", params)
	return result, err
}

func (p *process) EndUser(_ context.Context, clerkUserID, reason string) (repo.EndedResult, error) {
	result, _, err := ask[repo.EndedResult](p, "end_user", wire.EndUserParams{ClerkUserID: clerkUserID, Reason: reason})
	return result, err
}

func (p *process) List(_ context.Context, params repo.SessionListParams) (repo.SessionPage, error) {
	result, _, err := ask[repo.SessionPage](p, "list", params)
	return result, err
}

func (p *process) Active(_ context.Context, id uuid.UUID) (bool, error) {
	result, _, err := ask[bool](p, "active", id)
	return result, err
}

func (p *process) Touch(_ context.Context, id uuid.UUID) (bool, error) {
	result, _, err := ask[bool](p, "touch", id)
	return result, err
}

func (p *process) Trail(_ context.Context, clerkUserID string) ([]string, error) {
	var types []string
	params := repo.EventListParams{ClerkUserID: clerkUserID}
	for {
		page, _, err := ask[repo.EventPage](p, "events", params)
		if err != nil {
			return nil, err
		}
		for _, event := range page.Events {
			types = append(types, event.Type)
		}
		if params.Cursor = page.Next; page.Next == "" {
			slices.Reverse(types)
			return types, nil
		}
	}
}

// migrate brings the database to the schema of this release.
func (p *process) migrate() error {
	_, err := p.ask("migrate", uuid.Nil)
	return err
}

// check says whether the schema will do for this release.
func (p *process) check() error {
	_, err := p.ask("check", uuid.Nil)
	return err
}
