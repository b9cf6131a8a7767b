package repo_test

import (
	"crypto/sha256"
	"encoding/hex"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"github.com/uptrace/bun"

	"github.com/gptoauth/gptoauth/repo"
	"github.com/gptoauth/gptoauth/repo/repotest"
)

func TestRefreshTokensGet(t *testing.T) {
	t.Parallel()
	store := repotest.Store(t, repo.Config{})
	session := repotest.NewSession(t, store, repo.IssueParams{}, 1)
	token, err := store.RefreshTokens.Get(t.Context(), session.RefreshTokenID)
	require.NoError(t, err)
	require.Equal(t, session.SessionID, token.SessionID)
	_, err = store.RefreshTokens.Get(t.Context(), uuid.New())
	require.ErrorIs(t, err, repo.ErrNotFound)
}

func TestFind(t *testing.T) {
	t.Parallel()

	t.Run("FindsATokenByItsDigest", func(t *testing.T) {
		t.Parallel()
		store := repotest.Store(t, repo.Config{})
		session := repotest.NewSession(t, store, repo.IssueParams{}, 1)
		sum := sha256.Sum256([]byte(session.Tokens[1]))
		for _, digits := range []int{16, 64} {
			found, err := store.RefreshTokens.Find(t.Context(), repo.TokenFindParams{HashPrefix: hex.EncodeToString(sum[:])[:digits]})
			require.NoError(t, err)
			require.Len(t, found, 1)
			require.Equal(t, session.RefreshTokenID, found[0].ID)
		}
	})

	t.Run("RefusesWhatIsNoPrefix", func(t *testing.T) {
		t.Parallel()
		store := repotest.Store(t, repo.Config{})
		for _, prefix := range []string{"", "abc", "ABCD", "abcg", "ab%d"} {
			_, err := store.RefreshTokens.Find(t.Context(), repo.TokenFindParams{HashPrefix: prefix})
			var input *repo.InputError
			require.ErrorAs(t, err, &input, prefix)
		}
	})

	// In every order of letters: in Danish "aa" follows "z", in Welsh "dd" and "ff" are letters, and kn counts.
	for collation, byIndex := range map[string]bool{"C": true, "en-US-x-icu": true, "da-x-icu": false, "cy-x-icu": false, "numeric": false} {
		t.Run("MissesNothingInTheOrderOf_"+collation, func(t *testing.T) {
			t.Parallel()
			store := repotest.CommittingStore(t, repo.Config{}, 1)
			_, err := store.DB().ExecContext(t.Context(), "CREATE COLLATION public.numeric (provider = icu, locale = 'en-u-kn-true')")
			if err != nil {
				t.Skip("this PostgreSQL is built without ICU; the CI's has it:", err)
			}
			fillWithDigests(t, store, collation)
			before := tableScans(t, store)
			for _, prefix := range []string{"0000", "00aa", "aa00", "aaaa", "aaff", "a099", "dddd", "d1dd", "ffff", "fffd", "9999", "0999"} {
				found, err := store.RefreshTokens.Find(t.Context(), repo.TokenFindParams{HashPrefix: prefix})
				require.NoError(t, err)
				require.Len(t, found, 1, prefix)
			}
			require.Equal(t, byIndex, tableScans(t, store) == before)
		})
	}
}

// tableScans counts how often the tokens were read without an index.
func tableScans(t *testing.T, store *repo.Store) (n int) {
	t.Helper()
	for range 2 { // what this connection has counted is flushed at the end of the first
		require.NoError(t, store.DB().QueryRowContext(t.Context(), "SELECT pg_stat_get_numscans(c) FROM (SELECT pg_stat_force_next_flush()) f,"+
			" (VALUES ('public.gpt_refresh_tokens'::regclass)) v (c)").Scan(&n))
	}
	return n
}

// fillWithDigests makes one digest of each beginning of four of eight digits, in a column of a collation.
func fillWithDigests(t *testing.T, store *repo.Store, collation string) {
	t.Helper()
	for _, query := range []string{
		"ALTER TABLE public.gpt_refresh_tokens ALTER COLUMN token_hash TYPE text COLLATE ?",
		"WITH digits (d) AS (SELECT unnest('{0,1,9,a,b,d,e,f}'::text[]))" +
			" INSERT INTO public.gpt_refresh_tokens (token_hash, clerk_user_id, expires_at)" +
			" SELECT a.d || b.d || c.d || d.d || md5(a.d || b.d || c.d || d.d) || 'aaffdd0123456789aaffdd099999', 'user', now()" +
			" FROM digits AS a, digits AS b, digits AS c, digits AS d",
	} {
		_, err := store.DB().ExecContext(t.Context(), query, bun.Ident(collation))
		require.NoError(t, err, query)
	}
}
