// Package socket makes the system calls of a connection to PostgreSQL cheaper, and looks whether one is still good.
//
// Package net announces each of its system calls to Go's scheduler, as it must for those that block: its monitor wakes up, looks
// every 20 microseconds whether the call has come back, and takes the processor away from it if not. But the descriptors of
// package net do not block: a read that finds nothing returns at once, and the waiting is done by the poller. [New] leaves the
// announcements out, on Linux (amd64 and arm64), and the rest to package net: waiting, deadlines, closing. One call in a hundred
// milliseconds is announced all the same, because the monitor also takes the processor from whoever computes for long, and
// sleeps while the process does. A fifth to two fifths of the processor time that a call costs the client go with the rest;
// repo/PERFORMANCE.md has the figures.
package socket
