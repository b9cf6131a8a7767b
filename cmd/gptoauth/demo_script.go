package main

import (
	"context"

	"github.com/gptoauth/gptoauth/repo"
)

const rotationRFC = "RFC 9700 4.14.2"

// demoStep is one thing that happens, and what has to come of it.
type demoStep struct {
	name      string
	why       string // it matters, in one sentence
	reference string
	expected  string
	do        func(context.Context) (string, error)
}

// demoPart is a heading and its steps.
type demoPart struct {
	title string
	steps []demoStep
}

// parts is the script. Whatever ended in one part begins anew in the next.
func (s *story) parts() []demoPart {
	return []demoPart{
		{"Migrate: one call, however many replicas start", []demoStep{
			{
				"migrate the database", "Each migration and its record are one transaction: kill -9 is safe.", "",
				"up to date", s.migrate,
			},
		}},
		{"Sign in: a code works once, and only for the app that asked for it", []demoStep{
			{
				"issue a code with PKCE", "It is tied to a verifier that only the app knows.", "RFC 7636 4.4",
				"issued", s.issue,
			},
			{
				"exchange it, wrong verifier", "A thief of the code gets nothing and does not burn it.", "RFC 7636 4.6",
				string(repo.Mismatch), s.exchangeWrongly,
			},
			{
				"exchange it, right verifier", "One call spends the code and begins a session.", "RFC 6749 4.1.3",
				string(repo.Exchanged), s.exchange,
			},
			{
				"present the code again", "Two have the code, so what it gave is taken back.", "RFC 6749 4.1.2",
				string(repo.Replayed), s.replay,
			},
			{
				"refresh with what it gave", "Whoever came in with that code is out again.", "RFC 6749 10.5",
				string(repo.Ended), s.refresh,
			},
		}},
		{"Refresh: an app in a hurry stays signed in", []demoStep{
			{
				"sign in again", "A new code gives a new session.", "RFC 6749 4.1",
				string(repo.Exchanged), s.signIn,
			},
			{
				"refresh 20 times at once", "Apps do. All get the same new token, none is signed out.", rotationRFC,
				"1 rotated, 19 retried, 1 token", s.refreshInParallel,
			},
			{
				"rotate five times", "Every refresh replaces the token, so a copy ages fast.", "RFC 9700 2.2.2",
				"5 rotated", s.rotate,
			},
		}},
		{"Theft: a stolen token gives itself away", []demoStep{
			{
				"a thief uses an old token", "Owner or thief? No one can say, so the session ends now.", rotationRFC,
				string(repo.Reused), s.reuse,
			},
			{
				"the thief tries once more", "The stolen token is dead.", rotationRFC,
				string(repo.Ended), s.reuse,
			},
			{
				"the owner refreshes", "So is the newest one: the owner signs in again, alone.", rotationRFC,
				string(repo.Ended), s.refresh,
			},
		}},
		{"Offboarding: one call ends a person everywhere", []demoStep{
			{
				"sign in on two devices", "And begin on a third, whose code is not exchanged yet.", "RFC 6749 4.1",
				"2 exchanged, 1 issued", s.signInEverywhere,
			},
			{
				"end the user", "A ban, a new password, a sign-out must reach them all.", rotationRFC,
				"2 sessions, 1 code", s.endUser,
			},
			{
				"use what is left", "Neither the tokens nor the waiting code work any more.", "RFC 7009 2.1",
				"2 ended, 1 expired", s.useLeftovers,
			},
		}},
		{"What is left: a family tree and an audit trail", []demoStep{
			{
				"read the sessions", "Old tokens are kept, as digests, so reuse is noticed.", rotationRFC,
				"4 sessions, 10 tokens, 0 current", s.readFamilies,
			},
			{
				"read the audit trail", "Each event is written in the transaction of its change.", "",
				"40 events", s.readTrail,
			},
		}},
	}
}
