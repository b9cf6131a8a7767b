package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/urfave/cli/v3"

	"github.com/gptoauth/gptoauth/cmd/gptoauth/internal/draw"
	"github.com/gptoauth/gptoauth/repo"
)

// traceResult is what --json prints.
type traceResult struct {
	Found  found        `json:"found"`
	Family family       `json:"family"`
	Events []trailEvent `json:"events"` // of the session, oldest first
}

// found says what was asked for.
type found struct {
	By             string    `json:"by"`
	RefreshTokenID uuid.UUID `json:"refresh_token_id,omitzero"` // unless by session id
	Generation     int       `json:"generation,omitempty"`      // its place in the family, from 1

	session uuid.UUID
}

// What a family can be found by.
const (
	byToken     = "token"
	bySessionID = "session_id"
	byTokenID   = "refresh_token_id"
	byHash      = "hash"
)

func (a *app) tokensTraceCommand() *cli.Command {
	return &cli.Command{
		Name:  "trace",
		Usage: "draw the family of a token: what was rotated, retried, reused, and why it ended",
		Description: `It takes the token on stdin, never as an argument, where the shell's history and every other user of the machine would
see it. On a terminal it asks, and does not echo. Or name, as an argument, the id of a session or of a refresh token, or at
least four hex digits with which the token's SHA-256 begins, as the column token_hash has it.

Of a long family and a long trail the middle is left out, but for what was reused, for alarms and for ends. --json has all.

Examples:
  gptoauth tokens trace < token.txt
  pbpaste | gptoauth tokens trace
  gptoauth tokens trace 01990000-0000-7000-8000-00000051beef
  gptoauth tokens trace 3f9ac2 --all
  gptoauth tokens trace 3f9ac2 --json | jq '.family.generations[] | select(.reused_at)'`,
		Arguments: []cli.Argument{&cli.StringArgs{Name: "what", UsageText: "[ID or HASH]", Max: 1}},
		Flags:     []cli.Flag{&cli.BoolFlag{Name: "all", Usage: "leave nothing out"}},
		Action:    a.tokensTrace,
	}
}

func (a *app) tokensTrace(ctx context.Context, cmd *cli.Command) error {
	var argument string
	if given := cmd.StringArgs("what"); len(given) > 0 {
		argument = given[0]
	}
	find, err := a.wanted(ctx, argument)
	if err != nil {
		return err
	}
	store, err := a.store(ctx)
	if err != nil {
		return err
	}
	result := traceResult{Events: []trailEvent{}}
	if result.Found, err = find(ctx, store); err != nil {
		return err
	}
	var events []trailEvent
	result.Family, events, err = loadFamily(ctx, store, result.Found.session)
	if errors.Is(err, repo.ErrNotFound) {
		return errors.New("the session has been purged meanwhile")
	}
	if err != nil {
		return err
	}
	result.Events = append(result.Events, events...)
	if g := result.Family.byID()[result.Found.RefreshTokenID]; g != nil {
		result.Found.Generation = g.Number
	}
	return a.show(result, func() { a.printTrace(result, cmd.Bool("all")) })
}

// finder finds the session in question.
type finder func(context.Context, *repo.Store) (found, error)

// wanted reads what to look for before there is a connection, so that a mistake costs none.
func (a *app) wanted(ctx context.Context, argument string) (finder, error) {
	if argument == "" {
		token, err := a.readSecret(ctx, "refresh token: ")
		if err != nil {
			return nil, err
		}
		return findByToken(token)
	}
	if id, err := uuid.Parse(argument); err == nil && strings.Contains(argument, "-") {
		return findByID(id), nil
	}
	if strings.HasPrefix(argument, "gptr_") || strings.HasPrefix(argument, "gptc_") {
		return nil, usageErrorf("a token does not belong on the command line, where others see it: give it on stdin, and take this one for leaked")
	}
	if prefix := strings.ToLower(argument); isHashPrefix(prefix) {
		return findByHash(prefix), nil
	}
	return nil, usageErrorf("the argument is neither an id nor 4 to 64 hex digits of a hash")
}

func isHashPrefix(text string) bool {
	return len(text) >= 4 && len(text) <= 64 && strings.Trim(text, "0123456789abcdef") == ""
}

func findByToken(token string) (finder, error) {
	switch {
	case token == "":
		return nil, usageErrorf("there is nothing on stdin: give the token there, or an id or the beginning of a hash as an argument")
	case strings.HasPrefix(token, "gptc_"):
		return nil, usageErrorf("this is an authorization code, not a refresh token")
	}
	return func(ctx context.Context, store *repo.Store) (found, error) {
		lookup, err := store.RefreshTokens.Lookup(ctx, token)
		if err == nil && lookup.Token.ID == uuid.Nil {
			return found{}, errors.New("there is no such token: mangled on its way, purged, or of another database")
		}
		return found{By: byToken, RefreshTokenID: lookup.Token.ID, session: lookup.Session.ID}, err
	}, nil
}

// findByID takes the id of a session or of a token: both are UUIDs, and no two rows share one.
func findByID(id uuid.UUID) finder {
	return func(ctx context.Context, store *repo.Store) (found, error) {
		_, err := store.Sessions.Get(ctx, id)
		if err == nil {
			return found{By: bySessionID, session: id}, nil
		}
		if !errors.Is(err, repo.ErrNotFound) {
			return found{}, err
		}
		token, err := store.RefreshTokens.Get(ctx, id)
		if errors.Is(err, repo.ErrNotFound) {
			return found{}, errors.New("there is neither a session nor a refresh token with this id")
		}
		if err != nil {
			return found{}, err
		}
		return ofToken(byTokenID, token)
	}
}

func findByHash(prefix string) finder {
	return func(ctx context.Context, store *repo.Store) (found, error) {
		tokens, err := store.RefreshTokens.Find(ctx, repo.TokenFindParams{HashPrefix: prefix, Limit: 2})
		switch {
		case err != nil:
			return found{}, err
		case len(tokens) == 0:
			return found{}, errors.New("there is no token whose hash begins like this")
		case len(tokens) > 1:
			return found{}, errors.New("several hashes begin like this: give more digits")
		default:
			return ofToken(byHash, tokens[0])
		}
	}
}

func ofToken(by string, token repo.RefreshToken) (found, error) {
	if token.SessionID == uuid.Nil {
		return found{}, errors.New("the token is older than gptoauth here and belongs to no session")
	}
	return found{By: by, RefreshTokenID: token.ID, session: token.SessionID}, nil
}

func (a *app) printTrace(r traceResult, all bool) {
	f := r.Family
	facts := [][2]string{
		{"session", f.SessionID.String()},
		{"user", f.ClerkUserID},
		{"client", f.ClientID},
		{"scope", f.Scope},
		{"from", strings.Trim(f.IPAddress+", "+f.UserAgent, ", ")},
		{"begun", timestamp(f.CreatedAt)},
		{"ends", timestamp(f.ExpiresAt)},
	}
	if !f.EndedAt.IsZero() {
		facts[len(facts)-1] = [2]string{"ended", timestamp(f.EndedAt) + ", " + f.EndReason}
	}
	if r.Found.Generation > 0 {
		facts = append(facts, [2]string{"token", r.Found.RefreshTokenID.String()})
		facts = append(facts, [2]string{"", a.verdict(r)})
	}
	a.facts(facts)

	a.printf("\n%s\n", a.pen.Paint(draw.Strong, "The family, "+generationsOf(f)))
	a.lines(familyTree(a.pen, []family{f}, treeView{all: all, presented: r.Found.RefreshTokenID}))
	if len(r.Events) > 0 {
		a.printf("\n%s\n", a.pen.Paint(draw.Strong, "The audit trail since "+timestamp(r.Events[0].CreatedAt)))
		a.lines(timeline(a.pen, r.Events, all))
	}
}

// verdict says of the token in question what a client would be told, and since when.
func (a *app) verdict(r traceResult) string {
	g := r.Family.Generations[r.Found.Generation-1]
	text := fmt.Sprintf("generation %s of %s: %s", thousands(g.Number), thousands(len(r.Family.Generations)), g.State)
	if !g.RevokedAt.IsZero() {
		text += ", " + elapsed(g.RevokedAt.Sub(g.CreatedAt)) + " after its issue"
	}
	return text
}

func generationsOf(f family) string {
	retries, text := 0, thousands(len(f.Generations))+" generations"
	if len(f.Generations) == 1 {
		text = "1 generation"
	}
	var last time.Time
	for _, g := range f.Generations {
		retries += g.Retries
		last = g.CreatedAt
	}
	if retries > 0 {
		text += ", " + thousands(retries) + " asked for again"
	}
	if len(f.Generations) > 1 {
		text += ", one every " + elapsed(last.Sub(f.CreatedAt)/time.Duration(len(f.Generations)-1))
	}
	return text
}

// facts prints names and what they are; what is empty is left out, and a fact without a name goes on with the one before.
func (a *app) facts(facts [][2]string) {
	var rows [][]draw.Cell
	for _, fact := range facts {
		if fact[1] != "" {
			rows = append(rows, []draw.Cell{{Text: fact[0], Tone: draw.Faint}, {Text: printable(fact[1])}})
		}
	}
	a.lines(a.pen.Table(rows))
}
