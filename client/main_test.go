package client_test

import (
	"os"
	"testing"

	"tidegate/internal/leftover"
)

func TestMain(m *testing.M) { os.Exit(leftover.Run(m)) }
