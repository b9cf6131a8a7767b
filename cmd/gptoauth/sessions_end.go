package main

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"github.com/urfave/cli/v3"

	"github.com/gptoauth/gptoauth/repo"
)

func (a *app) sessionsEndCommand() *cli.Command {
	return &cli.Command{
		Name:      "end",
		Usage:     "end a session, or those of a person, of a client, or all",
		ArgsUsage: "[ID]",
		Description: `Those of a person end in one transaction, and their unused codes expire with them. Those of a client, or all, end one after the
other; codes that are under way can still be exchanged for ten minutes, so run it again after that.

Examples:
  gptoauth sessions end 019aa1b2-7c3d-7e4f-8a9b-0c1d2e3f4a5b --reason "stolen laptop"
  gptoauth sessions end --user user_2aBcD --client client_1 --reason disconnected
  gptoauth sessions end --client client_1 --reason "client secret leaked"    # asks first
  gptoauth sessions end --all --reason incident --yes`,
		Arguments: []cli.Argument{&cli.StringArgs{Name: "id", UsageText: "[ID]", Min: 0, Max: 1}},
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "user", Usage: "those of this person; with --client, of this person with that client"},
			&cli.StringFlag{Name: "client", Usage: "those of this client"},
			&cli.BoolFlag{Name: "all", Usage: "all there are"},
			&cli.StringFlag{Name: "reason", Usage: "for the audit trail; without personal data", Required: true},
			&cli.BoolFlag{Name: "yes", Usage: "do not ask"},
		},
		Action: a.sessionsEnd,
	}
}

// endTarget is what sessions end is to end.
type endTarget struct {
	id           uuid.UUID
	user, client string
	all          bool
}

func newEndTarget(cmd *cli.Command) (endTarget, error) {
	target := endTarget{user: cmd.String("user"), client: cmd.String("client"), all: cmd.Bool("all")}
	ids := cmd.StringArgs("id")
	given := len(ids)
	for _, is := range []bool{target.user != "" || target.client != "", target.all} {
		if is {
			given++
		}
	}
	if given != 1 {
		return target, usageErrorf("name one of ID, --user and --client, or --all")
	}
	var err error
	if len(ids) == 1 {
		target.id, err = parseSessionID(ids[0])
	}
	return target, err
}

func (t endTarget) question() string {
	switch {
	case t.id != uuid.Nil:
		return "End session " + t.id.String() + "?"
	case t.all:
		return "End all sessions of all people?"
	case t.client == "":
		return fmt.Sprintf("End all sessions of %s?", printable(t.user))
	case t.user == "":
		return fmt.Sprintf("End all sessions of all people with %s?", printable(t.client))
	default:
		return fmt.Sprintf("End all sessions of %s with %s?", printable(t.user), printable(t.client))
	}
}

func (a *app) sessionsEnd(ctx context.Context, cmd *cli.Command) error {
	target, err := newEndTarget(cmd)
	if err != nil {
		return err
	}
	store, err := a.store(ctx)
	if err != nil {
		return err
	}
	if err := a.confirm(ctx, cmd.Bool("yes"), target.question()); err != nil {
		return err
	}
	reason := cmd.String("reason")
	var result repo.EndedResult
	switch {
	case target.id != uuid.Nil:
		result, err = store.Sessions.End(ctx, repo.EndParams{SessionID: target.id, Reason: reason})
	case target.user != "":
		result, err = store.Sessions.EndAll(ctx, repo.EndAllParams{ClerkUserID: target.user, ClientID: target.client, Reason: reason})
	default:
		result, err = endOneByOne(ctx, store, target.client, reason)
	}
	if err != nil {
		return err
	}
	return a.showEnded(result)
}

// endOneByOne ends the living sessions of a client, or of all, each in a transaction of its own: one for all would hold its
// locks for too long.
func endOneByOne(ctx context.Context, store *repo.Store, client, reason string) (repo.EndedResult, error) {
	var total repo.EndedResult
	params := repo.SessionListParams{Everyone: true, ClientID: client, AliveOnly: true, Limit: sessionPage}
	for {
		page, err := store.Sessions.List(ctx, params)
		if err != nil {
			return total, fmt.Errorf("after %s: %w", count(total.Sessions, "session"), err)
		}
		for _, session := range page.Sessions {
			ended, err := store.Sessions.End(ctx, repo.EndParams{SessionID: session.ID, Reason: reason})
			if err != nil {
				return total, fmt.Errorf("after %s: %w", count(total.Sessions, "session"), err)
			}
			total.Sessions += ended.Sessions
		}
		if params.Cursor = page.Next; params.Cursor == "" {
			return total, nil
		}
	}
}
