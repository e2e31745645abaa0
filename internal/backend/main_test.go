package backend

import (
	"flag"
	"os"
	"testing"

	"sluice/internal/leftover"
)

var update = flag.Bool("update", false, "rewrite the conversations in testdata")

func TestMain(m *testing.M) { os.Exit(leftover.Run(m)) }
