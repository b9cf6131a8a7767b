package repo_test

import (
	"bytes"
	"cmp"
	"database/sql"
	"encoding/json"
	"errors"
	"math/big"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/uuid"
	_ "github.com/jackc/pgx/v5/stdlib"
	"github.com/stretchr/testify/require"
	"github.com/uptrace/bun"
	"github.com/uptrace/bun/dialect/pgdialect"

	"github.com/gptoauth/gptoauth/repo"
	"github.com/gptoauth/gptoauth/repo/repotest"
)

// sent is all that a store writes down for others. Each field comes back byte for byte, or is refused before it is sent.
type sent struct {
	user, client, redirect, scope, resource, data, agent, reason, metadata string
}

// plain is what stands in for a field that is refused, so that the others are still tried.
var plain = sent{
	user: "user_1", client: "client_1", redirect: "https://example.com/cb", scope: "jobs", resource: "https://api.example.com", data: `{}`,
	agent: "agent", reason: "sign_out", metadata: `{}`,
}

// oddTexts are those that some layer between here and the disk could take for something else.
var oddTexts = []string{
	"", " ", "a ", " a", "\t", "\n", "\r\n", "a\nb",
	`'`, `''`, `'''`, `\`, `\\`, `\'`, `\\'`, `\\\'`, `'\`, `\x41`, `\u0041`, `\101`, `a\`, `\' OR true --`, `\'); DROP TABLE public.gpt_sessions; --`,
	`'); DROP TABLE public.gpt_sessions; --`, `' || pg_sleep(9) || '`, `/*`, `*/`, `--`, `;`, `"`, `E'`, `U&'\0041'`, `$$`, `$a$`, `$1`, `$0`, `$2 $3`,
	"?", "?0", "?1", "??", "?name", "?TableName", "?(", `\?`, `'?'`, "%s", "%!s(MISSING)", "{}", "{a,b}", "NULL", `{NULL}`, `"a","b"`, "(,)", `("a""b",)`, `(\\,)`,
	"1", "-1", "1e5", "true", "null", "infinity", "\x01", "\x08", "\x1b[31m", "\x7f", "\u0080", "\u009b", "\u00ad",
	"é", "e\u0301", "\u212b", "ß", "ı", "İ", "ﬀ", "ǆ", "\u4f60\u597d", "שלום", "\u202e", "\u2066", "\u200b", "\u200d", "\ufeff", "\u2028", "\u2029",
	"\ud7ff", "\ue000", "\ufdd0", "\ufffd", "\ufffe", "\uffff", "\U00010000", "\U0001f600", "\U0001fffe", "\U0010fffd", "\U0010ffff",
	"\x00", "a\x00b", "\xff", "\xc0\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xe2\x82", "a\xffb", "\xc3\x28",
	strings.Repeat("'", 255), strings.Repeat(`\`, 255), strings.Repeat("\U0010ffff", 63), strings.Repeat("x", 2048), strings.Repeat("x", 2049),
}

// oddJSON is valid, or nearly so.
var oddJSON = []string{
	`{}`, ` {"a" : 1} `, `{"":""}`, `{"a":1,"a":2}`, `{"a":"'"}`, `{"a":"\\"}`, `{"a":"\\'"}`, `{"a":"\\' OR true --"}`, `{"\\":"\\u0041"}`, `{"a":"\u0041\n\t\b\f\r\/\""}`,
	`{"a":"\ud83d\ude00"}`, `{"a":"\ud83d"}`, `{"a":"\ude00"}`, `{"a":"\u0000"}`, `{"a":"\\u0000"}`, `{"a":"\ufffe\uffff"}`, `{"?":"?0","$1":"??"}`,
	`{"a":0,"b":-0,"c":0.0,"d":-0.0e0,"e":1E+2,"f":1e-2}`, `{"a":1e308,"b":-1e308,"c":1e-308}`, `{"a":1e309}`, `{"a":123456789012345678901234567890.123456789012345678901234567890}`,
	`{"a":9007199254740993,"b":0.1,"c":1.10}`, `{"a":` + strings.Repeat("9", 16000) + `}`, `{"a":0.` + strings.Repeat("9", 16000) + `e-308}`, `{"a":` + strings.Repeat("9", 16000) + `e308}`,
	`{"a":[[[]],{},null,true,false]}`, `{"a":` + strings.Repeat("[", 63) + strings.Repeat("]", 63) + `}`, `{"a":` + strings.Repeat("[", 64) + strings.Repeat("]", 64) + `}`,
	`[]`, `null`, `1`, `"a"`, ``, `{`, `{"a":tru}`, `{"a":01}`, `{"a":.5}`, `{"a":NaN}`, "{\"a\":\"\x01\"}", "{\"a\":\"\x7f\u2028\"}", "\ufeff{}", "{}\x00",
}

// FuzzRoundTrip needs a database, so that it does hundreds of inputs a second and not a hundred thousand.
func FuzzRoundTrip(f *testing.F) {
	for _, text := range oddTexts {
		f.Add(text, text, "https://example.com/"+text, text, "urn:"+text, `{"a":"`+text+`"}`, text, text)
	}
	for _, data := range oddJSON {
		f.Add("user_1", "client_1", "https://example.com/cb", "", "", data, "", "sign_out")
	}
	store := repotest.CommittingStore(f, repo.Config{}, 4)
	f.Fuzz(func(t *testing.T, user, client, redirect, scope, resource, data, agent, reason string) {
		requireRoundTrip(t, store, sent{user, client, redirect, scope, resource, data, agent, reason, data})
	})
}

// requireRoundTrip sends s in every way that the store has, and reads it back in every way. It returns the secrets that it
// was given.
func requireRoundTrip(t *testing.T, store *repo.Store, s sent) []string {
	t.Helper()
	ctx := t.Context()
	verifier := repotest.NewVerifier()
	code, params := issueRefusing(t, store, s, repotest.Challenge(verifier))
	request := repo.ExchangeParams{
		Code: string(code), ClientID: params.ClientID, RedirectURI: params.RedirectURI, CodeVerifier: verifier, UserAgent: s.agent,
	}

	// What a remote party sends is compared, never refused.
	for _, wrong := range []func(*repo.ExchangeParams){
		func(r *repo.ExchangeParams) { r.ClientID = s.reason + "x" },
		func(r *repo.ExchangeParams) { r.RedirectURI = s.client + "x" },
		func(r *repo.ExchangeParams) { r.CodeVerifier = s.agent + "x" },
	} {
		mismatched := request
		mismatched.UserAgent = ""
		wrong(&mismatched)
		if mismatched.ClientID == request.ClientID && mismatched.RedirectURI == request.RedirectURI && mismatched.CodeVerifier == verifier {
			continue
		}
		result, err := store.AuthCodes.Exchange(ctx, mismatched)
		require.NoError(t, err)
		require.Equal(t, repo.Mismatch, result.Outcome)
	}

	exchanged, err := store.AuthCodes.Exchange(ctx, request)
	if isInputError(t, err) {
		require.True(t, isRefused(s.agent, 2048))
		request.UserAgent = ""
		exchanged, err = store.AuthCodes.Exchange(ctx, request)
	}
	require.NoError(t, err)
	require.Equal(t, repo.Exchanged, exchanged.Outcome)
	requireGrant(t, params, exchanged.Grant)
	rotated, err := store.RefreshTokens.Rotate(ctx, repo.RotateParams{RefreshToken: string(exchanged.RefreshToken), ClientID: params.ClientID})
	require.NoError(t, err)
	require.Equal(t, repo.Rotated, rotated.Outcome)
	requireGrant(t, params, rotated.Grant)
	retried, err := store.RefreshTokens.Rotate(ctx, repo.RotateParams{RefreshToken: string(exchanged.RefreshToken), ClientID: params.ClientID})
	require.NoError(t, err)
	require.Equal(t, repo.Retried, retried.Outcome)
	require.Equal(t, rotated.RefreshToken, retried.RefreshToken, "the nonce came back")

	requireSession(t, store, exchanged.SessionID, params, request.UserAgent)
	reason := cmp.Or(s.reason, plain.reason)
	_, err = store.Sessions.End(ctx, repo.EndParams{SessionID: exchanged.SessionID, Reason: reason})
	if isInputError(t, err) {
		require.True(t, isRefused(reason, 255))
		reason = plain.reason
		_, err = store.Sessions.End(ctx, repo.EndParams{SessionID: exchanged.SessionID, Reason: reason})
	}
	require.NoError(t, err)
	require.Equal(t, reason, get(t, store, exchanged.SessionID).EndReason)
	requireEvents(t, store, exchanged.SessionID, params, s.metadata, reason)
	return []string{string(code), verifier, string(exchanged.RefreshToken), string(rotated.RefreshToken)}
}

// issueRefusing issues a code, with something plain in the place of what is refused.
func issueRefusing(t *testing.T, store *repo.Store, s sent, challenge string) (repo.Secret, repo.IssueParams) {
	t.Helper()
	params := repo.IssueParams{
		ClerkUserID: s.user, ClientID: s.client, RedirectURI: s.redirect, Scope: s.scope, Resource: s.resource, Data: json.RawMessage(s.data),
		CodeChallenge: challenge, CodeChallengeMethod: repo.S256,
	}
	for range 7 {
		issued, err := store.AuthCodes.Issue(t.Context(), params)
		if !isInputError(t, err) {
			require.NoError(t, err)
			return issued.Code, params
		}
		var input *repo.InputError
		require.ErrorAs(t, err, &input)
		switch strings.TrimPrefix(input.Field, "IssueParams.") {
		case "ClerkUserID":
			require.True(t, params.ClerkUserID == "" || isRefused(params.ClerkUserID, 255))
			params.ClerkUserID = plain.user
		case "ClientID":
			require.True(t, params.ClientID == "" || isRefused(params.ClientID, 2048))
			params.ClientID = plain.client
		case "RedirectURI":
			params.RedirectURI = plain.redirect
		case "Scope":
			params.Scope = plain.scope
		case "Resource":
			params.Resource = plain.resource
		case "Data":
			params.Data = json.RawMessage(plain.data)
		default:
			require.Fail(t, "refused", input.Error())
		}
	}
	require.Fail(t, "the same field is refused twice")
	return "", params
}

// isRefused is what the store refuses of a text, and all that it refuses.
func isRefused(s string, maxLen int) bool {
	return len(s) > maxLen || !utf8.ValidString(s) || strings.Contains(s, "\x00")
}

func isInputError(t *testing.T, err error) bool {
	t.Helper()
	var input *repo.InputError
	return errors.As(err, &input)
}

func requireGrant(t *testing.T, want repo.IssueParams, got repo.Grant) {
	t.Helper()
	require.Equal(t, want.ClerkUserID, got.ClerkUserID)
	require.Equal(t, want.Scope, got.Scope)
	require.Equal(t, want.Resource, got.Resource)
	requireSameJSON(t, want.Data, got.Data)
}

func requireSession(t *testing.T, store *repo.Store, id uuid.UUID, want repo.IssueParams, agent string) {
	t.Helper()
	session := get(t, store, id)
	require.Equal(t, want.ClerkUserID, session.ClerkUserID)
	require.Equal(t, want.ClientID, session.ClientID)
	require.Equal(t, want.Scope, session.Scope)
	require.Equal(t, want.Resource, session.Resource)
	require.Equal(t, agent, session.UserAgent)
	requireSameJSON(t, want.Data, session.Data)
	page, err := store.Sessions.List(t.Context(), repo.SessionListParams{ClerkUserID: want.ClerkUserID})
	require.NoError(t, err)
	require.Equal(t, session.ID, page.Sessions[0].ID, "the newest")
	for _, other := range page.Sessions {
		require.Equal(t, want.ClerkUserID, other.ClerkUserID)
	}
}

func requireEvents(t *testing.T, store *repo.Store, session uuid.UUID, want repo.IssueParams, metadata, reason string) {
	t.Helper()
	appended := repo.AppendParams{
		Type: "job_search", ClerkUserID: want.ClerkUserID, ClientID: want.ClientID, SessionID: session, Metadata: json.RawMessage(metadata),
	}
	err := store.Events.Append(t.Context(), appended)
	if isInputError(t, err) {
		appended.Metadata = json.RawMessage(plain.metadata)
		err = store.Events.Append(t.Context(), appended)
	}
	require.NoError(t, err)
	page, err := store.Events.List(t.Context(), repo.EventListParams{
		ClerkUserID: want.ClerkUserID, ClientID: want.ClientID, SessionID: session,
	})
	require.NoError(t, err)
	require.Len(t, page.Events, 5)
	for _, event := range page.Events {
		require.Equal(t, want.ClerkUserID, event.ClerkUserID)
		require.Equal(t, want.ClientID, event.ClientID)
	}
	requireSameJSON(t, appended.Metadata, page.Events[0].Metadata)
	var ended struct {
		Reason string `json:"reason"`
	}
	require.NoError(t, json.Unmarshal(page.Events[1].Metadata, &ended))
	require.Equal(t, reason, ended.Reason)
}

// requireSameJSON compares what PostgreSQL keeps: not spaces, not the order of keys, of equal keys the last.
func requireSameJSON(t *testing.T, want, got json.RawMessage) {
	t.Helper()
	if len(want) == 0 {
		require.Contains(t, []string{"", "{}"}, string(got)) // an event's metadata defaults to an object
		return
	}
	require.True(t, reflect.DeepEqual(decoded(t, want), decoded(t, got)), "%.300q is not %.300q", want, got)
}

func decoded(t *testing.T, data []byte) any {
	t.Helper()
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber()
	var value any
	require.NoError(t, decoder.Decode(&value))
	return exact(value)
}

// exact makes numbers comparable that are written differently.
func exact(value any) any {
	switch v := value.(type) {
	case json.Number:
		rat, _ := new(big.Rat).SetString(v.String())
		return rat.String()
	case []any:
		for i := range v {
			v[i] = exact(v[i])
		}
	case map[string]any:
		for key := range v {
			v[key] = exact(v[key])
		}
	}
	return value
}

// TestEveryCharacterComesBack, as text and in JSON: all 1,112,063 of Unicode's but NUL.
func TestEveryCharacterComesBack(t *testing.T) {
	t.Parallel()
	store := repotest.Store(t, repo.Config{})
	session := repotest.NewSession(t, store, repo.IssueParams{}, 0)
	var batch []repo.AppendParams
	characters := 0
	flush := func() {
		require.NoError(t, store.Events.Append(t.Context(), batch...))
		page, err := store.Events.List(t.Context(), repo.EventListParams{SessionID: session.SessionID, Type: "character", Limit: 1000})
		require.NoError(t, err)
		found := make(map[uuid.UUID]repo.Event)
		for _, event := range page.Events {
			found[event.ID] = event
		}
		for _, want := range batch {
			got := found[want.ID]
			require.Equal(t, want.ClientID, got.ClientID)
			requireSameJSON(t, want.Metadata, got.Metadata)
		}
		batch = nil
		_, err = store.DB().NewDelete().TableExpr("public.gpt_oauth_events").Where("event_type = 'character'").Exec(t.Context())
		require.NoError(t, err)
	}
	var text strings.Builder
	for r := rune(1); r <= utf8.MaxRune; r++ {
		if utf8.ValidRune(r) {
			text.WriteRune(r)
			characters++
		}
		if text.Len() > 2048-utf8.UTFMax || r == utf8.MaxRune {
			metadata, err := json.Marshal(map[string]string{text.String(): text.String()})
			require.NoError(t, err)
			batch = append(batch, repo.AppendParams{
				ID: uuid.New(), Type: "character", ClientID: text.String(), SessionID: session.SessionID, Metadata: metadata,
			})
			text.Reset()
		}
		if len(batch) == 500 || r == utf8.MaxRune {
			flush()
		}
	}
	require.Equal(t, 1112063, characters)
}

// TestSettingsChangeNoText: a role or a database may have other settings, and behind a transaction pooler another client
// may have left them on the connection.
func TestSettingsChangeNoText(t *testing.T) {
	t.Parallel()
	const output = "SET bytea_output = escape; SET extra_float_digits = 0; SET TimeZone = 'Asia/Kathmandu'; SET IntervalStyle = sql_standard"
	const backslashes = "SET standard_conforming_strings = off; SET escape_string_warning = off; SET backslash_quote = "
	for name, settings := range map[string]string{
		"pgdriver":             output,
		"pgx":                  output,
		"pgdriver/Backslashes": backslashes + "on",
		"pgdriver/NoQuotes":    backslashes + "off",
		"pgdriver/Nulls":       "SET transform_null_equals = on; SET array_nulls = off; SET quote_all_identifiers = on",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			driver, _, _ := strings.Cut(name, "/")
			store := storeOver(t, driver, repotest.URL(t))
			_, err := store.DB().(*bun.DB).DB.ExecContext(t.Context(), settings)
			require.NoError(t, err)
			for _, text := range oddTexts {
				if text == "" || strings.ContainsAny(text, "'\\?$\"") && len(text) < 100 {
					requireRoundTrip(t, store, sent{
						text, text, "https://example.com/" + text, text, "urn:" + text, `{"a":"` + text + `"}`, text, text, `{"b":"` + text + `"}`,
					})
				}
			}
		})
	}
}

// storeOver is a store over one connection.
func storeOver(t *testing.T, driver, dsn string) *repo.Store {
	t.Helper()
	var db *bun.DB
	if driver == "pgx" {
		sqlDB, err := sql.Open("pgx", withParameter(t, dsn, "default_query_exec_mode", "simple_protocol"))
		require.NoError(t, err)
		sqlDB.SetMaxOpenConns(1)
		db = bun.NewDB(sqlDB, pgdialect.New())
	} else {
		var err error
		db, err = repo.Open(t.Context(), dsn, repo.PoolConfig{MaxConns: 1})
		require.NoError(t, err)
	}
	t.Cleanup(func() { _ = db.Close() })
	store, err := repo.New(db, repo.Config{})
	require.NoError(t, err)
	return store
}

// TestOpenRefusesSettingsThatChangeTheMeaningOfText, where they are there from the start.
func TestOpenRefusesSettingsThatChangeTheMeaningOfText(t *testing.T) {
	t.Parallel()
	for _, setting := range []string{"standard_conforming_strings = off", "client_encoding = 'SJIS'", "client_encoding = 'LATIN1'"} {
		dsn := repotest.URL(t)
		db, err := repo.Open(t.Context(), dsn, repo.PoolConfig{})
		require.NoError(t, err)
		_, err = db.DB.ExecContext(t.Context(), `DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET `+strings.ReplaceAll(setting, "'", "''")+`', current_database()); END $$`)
		require.NoError(t, err)
		require.NoError(t, db.Close())
		_, err = repo.Open(t.Context(), dsn, repo.PoolConfig{})
		require.ErrorContains(t, err, "standard_conforming_strings=on and client_encoding=UTF8", setting)
	}
}
