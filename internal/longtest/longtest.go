// Package longtest lets random tests run longer in CI than by default.
package longtest

import "os"

// Variable is the environment variable that selects the long runs. .ci/run sets it.
const Variable = "TIDETEST_LONG"

// Number returns how many random cases a test runs: short, or long if [Variable] is set.
// The cases of a short run are the first ones of the long run.
func Number(short, long int) int {
	if os.Getenv(Variable) == "" {
		return short
	}
	return long
}
