// Print prints the User-Agent of this build, for a test.
package main

import (
	"fmt"

	"tidegate/internal/version"
)

func main() { fmt.Println(version.UserAgent()) }
