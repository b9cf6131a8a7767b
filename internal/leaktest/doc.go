// Package leaktest looks for secrets where they must not be: in the server's log with everything logged, in errors, in what a
// host logs, in a panic and in what the command prints. It consists of tests only.
package leaktest
