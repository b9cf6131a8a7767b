package main

import (
	"context"
	"crypto/rand"
	"fmt"

	"github.com/uptrace/bun"

	"github.com/gptoauth/gptoauth/migrations"
	"github.com/gptoauth/gptoauth/repo"
)

func migrateLibrary(ctx context.Context, url string) error {
	db, err := repo.Open(ctx, url, repo.PoolConfig{})
	if err != nil {
		return err
	}
	defer db.Close() //nolint:errcheck // its calls are answered
	return migrations.Up(ctx, db)
}

type libraryStore struct {
	store *repo.Store
	db    *bun.DB
}

func openLibrary(ctx context.Context, url string, clients int) (store, error) {
	db, err := repo.Open(ctx, url, repo.PoolConfig{MaxConns: clients})
	if err != nil {
		return nil, err
	}
	s, err := repo.New(db, repo.Config{})
	if err != nil {
		_ = db.Close()
		return nil, err
	}
	return &libraryStore{s, db}, nil
}

func (s *libraryStore) close() error { return s.db.Close() }

type libraryGrant struct {
	store        *repo.Store
	request      repo.ExchangeParams
	refreshToken string
}

func (s *libraryStore) issue(ctx context.Context, _ int) (grant, error) {
	verifier, challenge := newVerifier()
	issued, err := s.store.AuthCodes.Issue(ctx, repo.IssueParams{
		ClerkUserID: "user_" + rand.Text(), ClientID: clientID, RedirectURI: redirectURI, Scope: "offline",
		CodeChallenge: challenge, CodeChallengeMethod: repo.S256,
	})
	return &libraryGrant{store: s.store, request: repo.ExchangeParams{
		Code: string(issued.Code), ClientID: clientID, RedirectURI: redirectURI, CodeVerifier: verifier,
	}}, err
}

func (g *libraryGrant) exchange(ctx context.Context) error {
	result, err := g.store.AuthCodes.Exchange(ctx, g.request)
	if err != nil {
		return err
	}
	if result.Outcome != repo.Exchanged {
		return fmt.Errorf("unexpected outcome: %s", result.Outcome)
	}
	return g.take(string(result.RefreshToken))
}

func (g *libraryGrant) rotate(ctx context.Context) error {
	result, err := g.store.RefreshTokens.Rotate(ctx, repo.RotateParams{RefreshToken: g.refreshToken, ClientID: clientID})
	if err != nil {
		return err
	}
	if result.Outcome != repo.Rotated {
		return fmt.Errorf("unexpected outcome: %s", result.Outcome)
	}
	return g.take(string(result.RefreshToken))
}

func (g *libraryGrant) take(refreshToken string) error {
	before := g.refreshToken
	g.refreshToken = refreshToken
	return changed(before, refreshToken)
}
