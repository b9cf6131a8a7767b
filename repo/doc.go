// Package repo is the PostgreSQL data layer of an OAuth 2.1 authorization server. It keeps authorization codes, refresh
// tokens, sessions and an audit trail, and decides what becomes of each code and token that a client presents. Signing people
// in, showing consent, authenticating clients and signing access tokens are the host's.
//
// # The store
//
// [Open] connects, or bring a *bun.DB of your own; package migrations makes the schema; [New] gives a [Store], whose four
// repositories are its fields:
//
//   - [Store.AuthCodes]: [AuthCodes.Issue] at the authorization endpoint, [AuthCodes.Exchange] at the token endpoint.
//   - [Store.RefreshTokens]: [RefreshTokens.Rotate] at the token endpoint, [RefreshTokens.Revoke] and [RefreshTokens.Lookup]
//     for revocation (RFC 7009) and introspection (RFC 7662), [RefreshTokens.Family] for a support desk.
//   - [Store.Sessions]: [Sessions.Active] for whoever checks access tokens, [Sessions.Touch] for what is used, [Sessions.End]
//     and [Sessions.EndAll] for signing out, [Sessions.Get] and [Sessions.List] for showing people where they are signed in.
//   - [Store.Events]: [Events.Append] for events of the host's own, [Events.List] and [Events.All] for the audit trail.
//
// [Store.EndUser] offboards a person, [Store.EraseUser] forgets one. [Janitor] deletes what is over. [Config].OnSecurityEvent
// and [Events.Follow] tell of thefts. An [Observer] hears of every call; package repootel makes OpenTelemetry's spans and metrics
// of that. A Store is safe for use by many goroutines.
//
// # Sessions and tokens
//
// A session is what a person has granted to a client: one family of refresh tokens, of which one is current. It is born at the
// exchange, so that an abandoned sign-in leaves nothing behind. Rotating puts a new token in the place of the current one
// (RFC 9700 4.14.2). The direct predecessor is answered with that same successor for [Config].Grace, because clients do refresh
// in parallel and do lose answers; any older one means that there are two holders, and ends the session.
//
// A session is alive until it is ended, or its absolute end has come ([Config].SessionTTL), or its current token has expired
// for want of use ([Config].RefreshTTL). Ending costs the same however long the family is.
//
// Times are the database's. Durations are in Go's time.Duration and kept to a microsecond.
//
// # Outcomes and errors
//
// Whatever the remote party sent yields an [Outcome] and never an error: [Exchanged], [Rotated], [Retried], [Revoked],
// [Unknown], [Mismatch], [Expired], [Ended], [Replayed] or [Reused]. That is because some of them carry a remedy: Replayed and
// Reused have ended the session, in the same transaction as finding out. Inside a transaction of the host's an error would undo
// that, an Outcome does not (see the example of [Outcome]). The Err method of a result turns it into an error for those who want
// one, which wraps [ErrInvalidGrant].
//
// An error, then, is one of two: an [*InputError], where the host itself passed something that breaks a rule, and a
// [*DatabaseError], where the database could not answer. A store that owns its transaction has repeated the call before it gives
// up, with the same ids and secrets, so that a lost answer burns no code and revokes no session.
//
// # Atomicity
//
// Each method that changes state is one transaction and one round trip: a call of a function of the schema, which takes its
// locks in one order everywhere (code, session, token) and writes the audit events of the change. What is done to the same
// code, token or session at the same time is done one after the other.
//
// [Store.With] makes a store's calls part of a transaction of the host's; [Store.InTx] begins one. Then nothing is repeated, and
// the transaction has to be READ COMMITTED.
//
// # Secrets
//
// Codes and refresh tokens are 256 random bits (RFC 6749 10.10), returned once as a [Secret], which prints and logs as its kind
// only. The database has their SHA-256 digests and no more. A successor is derived from its predecessor by HMAC with a nonce that
// the session row keeps until the next rotation, so that it can be given again although it is not stored.
package repo
