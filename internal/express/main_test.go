package express

import (
	"os"
	"testing"

	"sluice/internal/leftover"
)

func TestMain(m *testing.M) { os.Exit(leftover.RunWithDescriptors(m)) }
