package main

import "github.com/urfave/cli/v3"

// showCompletion lets the library's command be found, with the shells that we test.
func (a *app) showCompletion(cmd *cli.Command) {
	cmd.Hidden = false
	cmd.Usage = "print a script that completes commands and flags in bash, zsh or fish"
	cmd.Description = `The script asks gptoauth itself what fits, so that it need not be renewed with a new release.

Examples:
  source <(gptoauth completion bash)                                          # in ~/.bashrc, after bash-completion
  source <(gptoauth completion zsh)                                           # in ~/.zshrc, after compinit
  gptoauth completion fish > ~/.config/fish/completions/gptoauth.fish`
	var shells []*cli.Command
	for _, shell := range cmd.Commands {
		if shell.Name != "pwsh" {
			shells = append(shells, shell)
		}
	}
	cmd.Commands = shells
	a.prepare(cmd)
}
