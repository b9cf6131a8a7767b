package main

import "github.com/urfave/cli/v3"

func (a *app) eventsCommand() *cli.Command {
	return &cli.Command{
		Name:     "events",
		Usage:    "read the audit trail",
		Commands: []*cli.Command{a.eventsForwardCommand()},
	}
}
