// Package e2e tests the program as it is run: the real binary, real sockets, and
// on the other side of them backends and clients that misbehave.
package e2e
