package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strings"
	"time"

	"github.com/dexidp/dex/storage"
	dexsql "github.com/dexidp/dex/storage/sql"
	"github.com/sirupsen/logrus"
)

const dexConnector = "clerk"

// dexStore calls dex's SQL storage as the token endpoint of dex does (handleAuthCode and handleRefreshToken in server/handlers.go):
//
//   - exchange: GetAuthCode, DeleteAuthCode, CreateRefresh, GetOfflineSessions, and as the user is new CreateOfflineSessions, each
//     a transaction of its own;
//   - rotate: GetRefresh, UpdateOfflineSessions, UpdateRefreshToken, the updates each a serializable transaction.
//
// Left out are HTTP, the client, which is read before, the connector, and the signing of the tokens. There is no PKCE in it.
//
// This is dex of 2018: what came after v2.13.0 has versions that Go takes for another module's, so that nothing newer can be
// required by its version. The calls have stayed the same; the tables have gained columns. A storage of that age cannot be told how
// many connections it may keep, and with more than two clients would connect anew for every other call, so each client has
// a storage of its own, which needs one.
type dexStore []storage.Storage

func newDexStorage(dsn string) (storage.Storage, error) {
	u, err := url.Parse(dsn)
	if err != nil {
		return nil, err
	}
	password, _ := u.User.Password()
	logger := logrus.New()
	logger.Out = io.Discard // it tells of each migration
	postgres := dexsql.Postgres{
		Database: strings.TrimPrefix(u.Path, "/"), User: u.User.Username(), Password: password, Host: u.Host,
		SSL: dexsql.PostgresSSL{Mode: "disable"},
	}
	return postgres.Open(logger)
}

func migrateDex(_ context.Context, dsn string) error {
	s, err := newDexStorage(dsn)
	if err != nil {
		return err
	}
	return s.Close()
}

func openDex(_ context.Context, dsn string, clients int) (store, error) {
	var s dexStore
	for range clients {
		one, err := newDexStorage(dsn)
		if err != nil {
			return nil, errors.Join(err, s.close())
		}
		s = append(s, one)
	}
	return s, nil
}

func (s dexStore) close() error {
	var err error
	for _, one := range s {
		err = errors.Join(err, one.Close())
	}
	return err
}

type dexGrant struct {
	storage storage.Storage
	code    string
	id      string // of the refresh token, which stays when its secret changes
	token   string // that secret
}

func (s dexStore) issue(_ context.Context, client int) (grant, error) {
	code := storage.AuthCode{
		ID: storage.NewID(), ClientID: clientID, RedirectURI: redirectURI, Scopes: []string{"openid", "offline_access"},
		ConnectorID: dexConnector, Claims: storage.Claims{UserID: "user_" + rand.Text()}, Expiry: time.Now().Add(codeLifetime),
	}
	return &dexGrant{storage: s[client], code: code.ID}, s[client].CreateAuthCode(code)
}

func (g *dexGrant) exchange(context.Context) error {
	code, err := g.storage.GetAuthCode(g.code)
	if err != nil {
		return err
	}
	if time.Now().After(code.Expiry) || code.ClientID != clientID || code.RedirectURI != redirectURI {
		return errors.New("the code is not the one that was issued")
	}
	if err := g.storage.DeleteAuthCode(g.code); err != nil {
		return err
	}
	now := time.Now()
	refresh := storage.RefreshToken{
		ID: storage.NewID(), Token: storage.NewID(), ClientID: code.ClientID, ConnectorID: code.ConnectorID, Scopes: code.Scopes,
		Claims: code.Claims, Nonce: code.Nonce, ConnectorData: code.ConnectorData, CreatedAt: now, LastUsed: now,
	}
	if err := g.storage.CreateRefresh(refresh); err != nil {
		return err
	}
	if _, err := g.storage.GetOfflineSessions(code.Claims.UserID, code.ConnectorID); !errors.Is(err, storage.ErrNotFound) {
		return fmt.Errorf("the user is new, and yet: %w", err)
	}
	reference := storage.RefreshTokenRef{ID: refresh.ID, ClientID: refresh.ClientID, CreatedAt: now, LastUsed: now}
	if err := g.storage.CreateOfflineSessions(storage.OfflineSessions{
		UserID: code.Claims.UserID, ConnID: code.ConnectorID,
		Refresh: map[string]*storage.RefreshTokenRef{reference.ClientID: &reference},
	}); err != nil {
		return err
	}
	g.id, g.token = refresh.ID, refresh.Token
	return nil
}

func (g *dexGrant) rotate(context.Context) error {
	refresh, err := g.storage.GetRefresh(g.id)
	if err != nil {
		return err
	}
	if refresh.ClientID != clientID || refresh.Token != g.token {
		return errors.New("the refresh token is not the one that was given")
	}
	now, token := time.Now(), storage.NewID()
	err = g.storage.UpdateOfflineSessions(refresh.Claims.UserID, refresh.ConnectorID,
		func(old storage.OfflineSessions) (storage.OfflineSessions, error) {
			if old.Refresh[clientID].ID != refresh.ID {
				return old, errors.New("refresh token invalid")
			}
			old.Refresh[clientID].LastUsed = now
			return old, nil
		})
	if err != nil {
		return orRefused(err)
	}
	err = g.storage.UpdateRefreshToken(refresh.ID, func(old storage.RefreshToken) (storage.RefreshToken, error) {
		if old.Token != refresh.Token {
			return old, errors.New("refresh token claimed twice")
		}
		old.Token, old.LastUsed = token, now
		return old, nil
	})
	if err != nil {
		return orRefused(err)
	}
	before := g.token
	g.token = token
	return changed(before, token)
}

// orRefused tells a serialization failure by its text, the only thing that dex leaves of it.
func orRefused(err error) error {
	if strings.Contains(err.Error(), "could not serialize access") {
		return errRefused
	}
	return err
}
