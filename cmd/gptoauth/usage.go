package main

import (
	"context"
	"regexp"
	"slices"
	"strings"

	"github.com/urfave/cli/v3"
)

// plainWord is what may be repeated in an error. Anything else could be half of a URL with its password.
var plainWord = regexp.MustCompile(`^[a-z][a-z_-]{0,30}$`)

// checkArguments wants exactly the arguments that the command names. An argument to a command that has commands is an
// unknown one of these.
func checkArguments(_ context.Context, cmd *cli.Command) error {
	given, wanted := cmd.Args().Slice(), cmd.Arguments
	needed := len(wanted)
	for needed > 0 && isOptional(wanted[needed-1]) {
		needed--
	}
	switch {
	case len(cmd.Commands) > 0 && len(given) > 0:
		return inCommand(cmd, unknownCommand(cmd, given[0]))
	case len(given) < needed:
		return inCommand(cmd, usageErrorf("%s is missing", wanted[len(given)].Usage()))
	case len(given) > len(wanted) && len(wanted) == 0:
		return inCommand(cmd, usageErrorf("there is an argument and none is wanted"))
	case len(given) > len(wanted):
		return inCommand(cmd, usageErrorf("there are %d arguments and only %d wanted", len(given), len(wanted)))
	}
	return nil
}

// isOptional: an argument of this library that may be left out is a list of none or one.
func isOptional(argument cli.Argument) bool {
	list, ok := argument.(*cli.StringArgs)
	return ok && list.Min == 0
}

func missingCommand(_ context.Context, cmd *cli.Command) error {
	commands := cmd.VisibleCommands()
	names := make([]string, len(commands))
	for i, sub := range commands {
		names[i] = sub.Name
	}
	return usageErrorf("name a command: %s", strings.Join(names, ", "))
}

func unknownCommand(cmd *cli.Command, name string) error {
	if !plainWord.MatchString(name) {
		return usageErrorf("there is an argument where a command is wanted")
	}
	if similar := cli.SuggestCommand(cmd.VisibleCommands(), name); similar != "" && similar != name {
		return usageErrorf("there is no command %s; did you mean %s?", name, similar)
	}
	return usageErrorf("there is no command %s", name)
}

// badValue is what the parser says of a value. It repeats it, too.
var badValue = regexp.MustCompile(`^invalid value .* for flag -([a-z-]+): `)

// flagError is what the parser says of flags, without what might be a secret.
func flagError(err error) error {
	if name, ok := strings.CutPrefix(err.Error(), "flag provided but not defined: -"); ok {
		if plainWord.MatchString(name) {
			return usageErrorf("there is no flag --%s", name)
		}
		return usageErrorf("there is an unknown flag")
	}
	if match := badValue.FindStringSubmatch(err.Error()); match != nil {
		return usageErrorf("the value of --%s is not of its kind", match[1])
	}
	return usageErrorf("%w", err)
}

// helpAsFlag turns "gptoauth help migrate up" and "gptoauth migrate help up" into "gptoauth migrate up --help".
func helpAsFlag(args []string) []string {
	for i := 1; i < len(args) && i <= 2; i++ {
		if args[i] == "help" {
			return slices.Concat(args[:i], args[i+1:], []string{"--help"})
		}
	}
	return args
}
