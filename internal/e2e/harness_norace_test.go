//go:build !race

package e2e

// raceFlags build the program as the test itself is built.
var raceFlags []string
