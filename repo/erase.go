package repo

import "context"

// ErasedResult counts what a call has erased.
type ErasedResult struct {
	Codes    int // deleted
	Sessions int // deleted
	Tokens   int // deleted
	Events   int // kept, but no longer about anyone
}

// EraseUser forgets a person (GDPR, article 17), in one transaction: deletes their codes, tokens and sessions, and takes
// their id, the IP addresses and the host's metadata out of their audit events. What the store itself wrote into an event
// stays, the reasons given to End, EndAll and EndUser among it, so keep personal data out of those. One user_erase event
// counts what was done and does not say to whom. Calling it again is harmless and writes nothing.
//
// As with [Store.EndUser], keep the person from signing in first, and the host from appending events about them. One
// statement deletes all there is: for a person with hundreds of thousands of rotations raise [Config].StatementTimeout,
// [PoolConfig].ReadTimeout, and the deadline of ctx or [Config].Timeout. Backups, archives of events and statement logs are the host's.
func (s *Store) EraseUser(ctx context.Context, clerkUserID string) (_ ErasedResult, err error) {
	ctx, op := s.conn.begin(ctx, "Store.EraseUser")
	defer op.end(&err)
	if err := checkRequired("EraseUser clerkUserID", clerkUserID, maxIDLen); err != nil {
		return ErasedResult{}, err
	}
	call := s.conn.newCall("gpt_erase_user_v1").
		text(clerkUserID).
		id(newID(route{})) // the route of the person would lead back to them
	row, err := s.conn.runRow(ctx, op, call)
	if err != nil {
		return ErasedResult{}, err
	}
	r := ErasedResult{Codes: row.int(), Sessions: row.int(), Tokens: row.int(), Events: row.int()}
	return r, done(op, row.end())
}
