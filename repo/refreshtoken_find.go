package repo

import (
	"context"
	"regexp"

	"github.com/google/uuid"
	"github.com/uptrace/bun"
)

// Get reads one generation of a refresh token by its id, dead or alive. [ErrNotFound] if there is none with this id; any
// other error is a [*DatabaseError].
func (t *RefreshTokens) Get(ctx context.Context, id uuid.UUID) (_ RefreshToken, err error) {
	ctx, op := t.conn.begin(ctx, "RefreshTokens.Get")
	defer op.end(&err)
	var found []RefreshToken
	err = t.conn.repeat(ctx, op, func(ctx context.Context) error {
		found = nil
		return t.conn.db.NewSelect().Model(&found).Where("t.id = ?", id).Scan(ctx)
	})
	switch {
	case err != nil:
		return RefreshToken{}, err
	case len(found) == 0:
		return RefreshToken{}, ErrNotFound
	default:
		return found[0], nil
	}
}

// TokenFindParams asks for tokens by what is stored of them.
type TokenFindParams struct {
	HashPrefix string // 4 to 64 lower-case hex digits, with which the SHA-256 of the token begins
	Limit      int    // at most 1,000; defaults to 100
}

var hashPrefixPattern = regexp.MustCompile(`^[0-9a-f]{4,64}$`)

// Find lists the tokens whose stored digest begins with a prefix, as it may stand in a ticket or in a log of statements,
// ordered by digest. It is for people who look into something: a client's token is for [RefreshTokens.Lookup]. Bad params
// are an [*InputError]; any other error is a [*DatabaseError].
func (t *RefreshTokens) Find(ctx context.Context, params TokenFindParams) (_ []RefreshToken, err error) {
	ctx, op := t.conn.begin(ctx, "RefreshTokens.Find")
	defer op.end(&err)
	limit, err := pageLimit("TokenFindParams.Limit", params.Limit)
	if err != nil {
		return nil, err
	}
	if !hashPrefixPattern.MatchString(params.HashPrefix) {
		return nil, &InputError{"TokenFindParams.HashPrefix", "must be 4 to 64 lower-case hex digits"}
	}
	var found []RefreshToken
	err = t.conn.repeat(ctx, op, func(ctx context.Context) error {
		found = nil
		column, err := t.hashColumn(ctx)
		if err != nil {
			return err
		}
		return t.conn.db.NewSelect().Model(&found).
			Where("? >= ?", column, params.HashPrefix).
			Where("? < ?", column, params.HashPrefix+"g"). // the digit that would follow f
			OrderExpr("?", column).
			Limit(int64(limit)).
			Scan(ctx)
	})
	return found, err
}

// hashColumn is the column of digests, to be compared with a range of them. Its index is in the order of the database's
// collation, which is not always that of bytes: for Danes "aa" comes after "z", and some count "9" before "10". Such an
// order has no range for a prefix, so there the comparison is by bytes, and reads the whole table.
func (t *RefreshTokens) hashColumn(ctx context.Context) (bun.Safe, error) {
	var ordered bool
	if err := t.conn.db.QueryRowContext(ctx, hexOrderQuery).Scan(&ordered); err != nil {
		return "", err
	}
	if !ordered {
		return `t.token_hash COLLATE "C"`, nil
	}
	return "t.token_hash", nil
}

// hexOrderQuery asks whether the collation of the column puts every one and two digits, and what may follow f, in the order
// of their bytes. Collations know no letters of three hex digits. Types are
// qualified because a temporary one of that name would come first. The empty first branch lends its collation to the rest.
const hexOrderQuery = `
SELECT bool_and(ordered)
  FROM (SELECT hex > lag(hex) OVER (ORDER BY hex COLLATE "C") AS ordered
          FROM (SELECT token_hash FROM public.gpt_refresh_tokens WHERE false
                 UNION ALL
                SELECT a || b FROM unnest('{0,1,2,3,4,5,6,7,8,9,a,b,c,d,e,f}'::pg_catalog.text[]) AS a,
                                   unnest('{"",0,1,2,3,4,5,6,7,8,9,a,b,c,d,e,f,g}'::pg_catalog.text[]) AS b) AS digits (hex)) AS pairs`
