package repo

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"github.com/uptrace/bun"
)

const challenge = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM" // RFC 7636, appendix B

// offline is a store whose database must not be reached: a nil one panics.
func offline(t *testing.T, config Config) *Store {
	t.Helper()
	config, err := config.withDefaults()
	require.NoError(t, err)
	return newStore(&conn{db: (*bun.DB)(nil), config: config, owns: true})
}

func validIssue() IssueParams {
	return IssueParams{
		ClerkUserID: "user_1", ClientID: "client_1", RedirectURI: "https://example.com/cb",
		CodeChallenge: challenge, CodeChallengeMethod: S256,
	}
}

func TestIssueRefuses(t *testing.T) {
	t.Parallel()
	store := offline(t, Config{})
	const secretValue = "s3cr3t-value"

	for _, tc := range []struct {
		name  string
		field string
		with  func(p *IssueParams)
	}{
		{"NoUser", "ClerkUserID", func(p *IssueParams) { p.ClerkUserID = "" }},
		{"LongUser", "ClerkUserID", func(p *IssueParams) { p.ClerkUserID = secretValue + strings.Repeat("x", 255) }},
		{"UserWithNUL", "ClerkUserID", func(p *IssueParams) { p.ClerkUserID = secretValue + "\x00" }},
		{"UserInvalidUTF8", "ClerkUserID", func(p *IssueParams) { p.ClerkUserID = secretValue + "\xff" }},
		{"NoClient", "ClientID", func(p *IssueParams) { p.ClientID = "" }},
		{"LongClient", "ClientID", func(p *IssueParams) { p.ClientID = secretValue + strings.Repeat("x", 2048) }},
		{"NoRedirectURI", "RedirectURI", func(p *IssueParams) { p.RedirectURI = "" }},
		{"RelativeRedirectURI", "RedirectURI", func(p *IssueParams) { p.RedirectURI = "/cb/" + secretValue }},
		{"RedirectURIWithFragment", "RedirectURI", func(p *IssueParams) { p.RedirectURI = "https://example.com/cb#" + secretValue }},
		{"RedirectURIWithEmptyFragment", "RedirectURI", func(p *IssueParams) { p.RedirectURI = "https://example.com/cb#" }},
		{"LongRedirectURI", "RedirectURI", func(p *IssueParams) { p.RedirectURI = "https://example.com/" + strings.Repeat("x", 2048) }},
		{"ScopeWithQuote", "Scope", func(p *IssueParams) { p.Scope = `a "` + secretValue }},
		{"ScopeWithTwoSpaces", "Scope", func(p *IssueParams) { p.Scope = "a  b" }},
		{"ScopeNotASCII", "Scope", func(p *IssueParams) { p.Scope = "é" }},
		{"ResourceRelative", "Resource", func(p *IssueParams) { p.Resource = "https://a.example b" }},
		{"ResourceWithFragment", "Resource", func(p *IssueParams) { p.Resource = "https://a.example/#x" }},
		{"TTLNegative", "TTL", func(p *IssueParams) { p.TTL = -time.Second }},
		{"TTLTooLong", "TTL", func(p *IssueParams) { p.TTL = 10*time.Minute + 1 }},
		{"TTLBelowAMicrosecond", "TTL", func(p *IssueParams) { p.TTL = time.Nanosecond }},
		{"DataNotAnObject", "Data", func(p *IssueParams) { p.Data = json.RawMessage(`["` + secretValue + `"]`) }},
		{"DataInvalid", "Data", func(p *IssueParams) { p.Data = json.RawMessage(`{"a":`) }},
		{"DataTooLong", "Data", func(p *IssueParams) { p.Data = json.RawMessage(`{"a":"` + strings.Repeat("x", 16<<10) + `"}`) }},
		{"DataWithNUL", "Data", func(p *IssueParams) { p.Data = json.RawMessage(`{"a":"\u0000"}`) }},
		{"NoChallenge", "CodeChallenge", func(p *IssueParams) { p.CodeChallenge, p.CodeChallengeMethod = "", "" }},
		{"ChallengePadded", "CodeChallenge", func(p *IssueParams) { p.CodeChallenge += "=" }},
		{"ChallengeNotCanonical", "CodeChallenge", func(p *IssueParams) { p.CodeChallenge = challenge[:42] + "N" }},
		{"ChallengeStandardBase64", "CodeChallenge", func(p *IssueParams) { p.CodeChallenge = challenge[:40] + "+/A" }},
		{"Plain", "CodeChallengeMethod", func(p *IssueParams) { p.CodeChallengeMethod = Plain }},
		{"MethodAbsentMeansPlain", "CodeChallengeMethod", func(p *IssueParams) { p.CodeChallengeMethod = "" }},
		{"MethodUnknown", "CodeChallengeMethod", func(p *IssueParams) { p.CodeChallengeMethod = "s256" }},
		{"WithoutPKCEAndChallenge", "CodeChallenge", func(p *IssueParams) { p.WithoutPKCE = true }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			params := validIssue()
			tc.with(&params)
			_, err := store.AuthCodes.Issue(t.Context(), params)
			var input *InputError
			require.ErrorAs(t, err, &input)
			require.Equal(t, "IssueParams."+tc.field, input.Field)
			require.NotContains(t, err.Error(), secretValue)
		})
	}

	t.Run("PlainChallengeOfBadSyntax", func(t *testing.T) {
		t.Parallel()
		params := validIssue()
		params.CodeChallengeMethod = Plain
		for _, bad := range []string{strings.Repeat("a", 42), strings.Repeat("a", 129), strings.Repeat("a", 43) + "=", strings.Repeat("a", 43) + " "} {
			params.CodeChallenge = bad
			_, err := offline(t, Config{AllowPlain: true}).AuthCodes.Issue(t.Context(), params)
			var input *InputError
			require.ErrorAs(t, err, &input)
		}
	})
}

func TestOtherCallsRefuse(t *testing.T) {
	t.Parallel()
	store := offline(t, Config{})
	ctx := t.Context()
	long := strings.Repeat("x", 2049)
	for name, call := range map[string]func() error{
		"ExchangeParams.UserAgent": func() error { _, err := store.AuthCodes.Exchange(ctx, ExchangeParams{UserAgent: "\xff"}); return err },
		"EndParams.Reason":         func() error { _, err := store.Sessions.End(ctx, EndParams{}); return err },
		"EndAllParams.ClerkUserID": func() error { _, err := store.Sessions.EndAll(ctx, EndAllParams{Reason: "x"}); return err },
		"EndAllParams.ClientID": func() error {
			_, err := store.Sessions.EndAll(ctx, EndAllParams{ClerkUserID: "u", ClientID: long, Reason: "x"})
			return err
		},
		"EndAllParams.Reason":           func() error { _, err := store.Sessions.EndAll(ctx, EndAllParams{ClerkUserID: "u"}); return err },
		"EndUser clerkUserID":           func() error { _, err := store.EndUser(ctx, "", "x"); return err },
		"EndUser reason":                func() error { _, err := store.EndUser(ctx, "u", ""); return err },
		"SessionListParams.ClerkUserID": func() error { _, err := store.Sessions.List(ctx, SessionListParams{}); return err },
		"SessionListParams.Everyone": func() error {
			_, err := store.Sessions.List(ctx, SessionListParams{ClerkUserID: "u", Everyone: true})
			return err
		},
		"SessionListParams.IdleOver": func() error {
			_, err := store.Sessions.List(ctx, SessionListParams{ClerkUserID: "u", IdleOver: -1})
			return err
		},
		"SessionListParams.Limit": func() error {
			_, err := store.Sessions.List(ctx, SessionListParams{ClerkUserID: "u", Limit: 1001})
			return err
		},
		"SessionListParams.Cursor": func() error {
			_, err := store.Sessions.List(ctx, SessionListParams{ClerkUserID: "u", Cursor: "x"})
			return err
		},
		"EventListParams.Limit":    func() error { _, err := store.Events.List(ctx, EventListParams{Limit: -1}); return err },
		"EventListParams.Cursor":   func() error { _, err := store.Events.List(ctx, EventListParams{Cursor: "!"}); return err },
		"FamilyParams.Cursor":      func() error { _, err := store.RefreshTokens.Family(ctx, FamilyParams{Cursor: "x"}); return err },
		"AppendParams.Type":        func() error { return store.Events.Append(ctx, AppendParams{Type: "Job"}) },
		"AppendParams.ClerkUserID": func() error { return store.Events.Append(ctx, AppendParams{Type: "job", ClerkUserID: "\x00"}) },
		"AppendParams.Metadata": func() error {
			return store.Events.Append(ctx, AppendParams{Type: "job", Metadata: json.RawMessage(`1`)})
		},
		"Append events": func() error { return store.Events.Append(ctx, make([]AppendParams, 1001)...) },
	} {
		var input *InputError
		require.ErrorAs(t, call(), &input, name)
		require.Equal(t, name, input.Field)
	}
	for _, own := range []string{EventAuthorize, EventTokenReuse, EventUserErase} {
		require.Error(t, store.Events.Append(ctx, AppendParams{Type: own}), own)
	}
}

func TestMalformedCostsNoQuery(t *testing.T) {
	t.Parallel()
	store := offline(t, Config{}) // would panic if asked
	for _, text := range []string{"", "x", newSecret(codePrefix, route{}).text() + "x", strings.Repeat("\x00", secretTextLen)} {
		exchanged, err := store.AuthCodes.Exchange(t.Context(), ExchangeParams{Code: text})
		require.NoError(t, err)
		require.Equal(t, Unknown, exchanged.Outcome)
		rotated, err := store.RefreshTokens.Rotate(t.Context(), RotateParams{RefreshToken: text})
		require.NoError(t, err)
		require.Equal(t, Unknown, rotated.Outcome)
		revoked, err := store.RefreshTokens.Revoke(t.Context(), RevokeParams{RefreshToken: text})
		require.NoError(t, err)
		require.Equal(t, Unknown, revoked.Outcome)
		require.NoError(t, revoked.Err(), "RFC 7009 2.2")
		looked, err := store.RefreshTokens.Lookup(t.Context(), text)
		require.NoError(t, err)
		require.False(t, looked.Active)
	}
}

func TestCheckJSON(t *testing.T) {
	t.Parallel()
	for _, good := range []string{
		``, `{}`, ` {"a": true, "b": [1, 2.5e3, -1E-3, null], "c": {"d": "e"}}`, `{"a":"\ud83d\ude00 \\u0000 \" \/"}`, `{"a":1e308}`,
		`{"a":false,"e":true}`, `{"a":` + strings.Repeat("[", 63) + strings.Repeat("]", 63) + `}`,
	} {
		require.NoError(t, checkJSON("Data", json.RawMessage(good)), good)
	}
	for _, bad := range []string{
		` `, `null`, `1`, `"a"`, `[]`, `{`, `{} {}`, `{"a":"\u0000"}`, `{"\u0000":1}`, `{"a":"\ud800"}`, `{"a":"\ud800\u0041"}`, `{"a":"\udc00"}`,
		`{"a":"\ud800\n"}`, `{"a":1e309}`, `{"a":1E+400000}`, `{"a":1e-99999999999999999999}`, "{\"a\":\"\xff\"}", "{\"a\":\"\x00\"}",
		`{"a":` + strings.Repeat("[", 64) + strings.Repeat("]", 64) + `}`,
	} {
		require.Error(t, checkJSON("Data", json.RawMessage(bad)), bad)
	}
}

func TestConfig(t *testing.T) {
	t.Parallel()
	defaults, err := Config{}.withDefaults()
	require.NoError(t, err)
	require.Equal(t, 10*time.Minute, defaults.CodeTTL)
	require.Equal(t, 30*24*time.Hour, defaults.RefreshTTL)
	require.Equal(t, 365*24*time.Hour, defaults.SessionTTL)
	require.Equal(t, 90*time.Second, defaults.Grace)
	require.Equal(t, time.Minute, defaults.TouchInterval)

	off, err := Config{SessionTTL: Off, Grace: Off, TouchInterval: Off}.withDefaults()
	require.NoError(t, err)
	require.Zero(t, off.SessionTTL+off.Grace+off.TouchInterval)

	for _, bad := range []Config{
		{CodeTTL: 11 * time.Minute},
		{CodeTTL: Off},
		{RefreshTTL: -2},
		{RefreshTTL: math.MaxInt64},
		{SessionTTL: time.Nanosecond},
		{Grace: time.Hour},
		{TouchInterval: 25 * time.Hour},
		{Timeout: Off},
		{StatementTimeout: -5},
	} {
		_, err := New(nil, bad)
		var input *InputError
		require.ErrorAs(t, err, &input, fmt.Sprint(bad))
	}
}

func TestOutcomeErr(t *testing.T) {
	t.Parallel()
	for _, outcome := range []Outcome{Unknown, Mismatch, Expired, Ended, Replayed, Reused} {
		for _, err := range []error{ExchangeResult{Outcome: outcome}.Err(), RotateResult{Outcome: outcome}.Err()} {
			require.ErrorIs(t, err, ErrInvalidGrant)
			var typed *OutcomeError
			require.ErrorAs(t, err, &typed)
			require.Equal(t, outcome, typed.Outcome)
		}
	}
	require.NoError(t, errors.Join(ExchangeResult{Outcome: Exchanged}.Err(), RotateResult{Outcome: Rotated}.Err(), RotateResult{Outcome: Retried}.Err()))
	require.Error(t, ExchangeResult{}.Err(), "no outcome is no success")
	require.ErrorIs(t, RevokeResult{Outcome: Mismatch}.Err(), ErrInvalidGrant)
}

func TestAddressText(t *testing.T) {
	t.Parallel()
	require.True(t, addressText(netip.Addr{}).null)
	require.Equal(t, "1.2.3.4", addressText(netip.MustParseAddr("::ffff:1.2.3.4")).text)
	require.Equal(t, "fe80::1", addressText(netip.MustParseAddr("fe80::1%'; DROP")).text)
}

func TestCursor(t *testing.T) {
	t.Parallel()
	at := position{at: time.Date(2026, 3, 1, 12, 0, 0, 123456000, time.UTC), id: uuid.New()}
	back, err := parseCursor("Cursor", at.cursor())
	require.NoError(t, err)
	require.Equal(t, at, back)
}
