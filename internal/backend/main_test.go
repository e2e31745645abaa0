package backend

import (
	"flag"
	"os"
	"testing"

	"tidegate/internal/leftover"
)

var update = flag.Bool("update", false, "rewrite the conversations in testdata")

func TestMain(m *testing.M) { os.Exit(leftover.Run(m)) }
