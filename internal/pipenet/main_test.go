package pipenet_test

import (
	"os"
	"testing"

	"sluice/internal/leftover"
)

func TestMain(m *testing.M) { os.Exit(leftover.Run(m)) }
