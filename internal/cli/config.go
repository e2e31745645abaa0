package cli

import (
	"context"
	"fmt"
	"slices"

	"tidegate/internal/config"
)

// configure runs tidegate config check or print.
func configure(_ context.Context, sys System) error {
	cfg, words, err := config.Load("config", sys.Args, sys.Env, sys.Stdout)
	if err != nil {
		return err
	}
	if len(words) == 0 || words[0] != "check" && words[0] != "print" {
		return usagef("config: give check or print, as in: tidegate config check --config tidegate.yaml")
	}
	if len(words) > 2 || len(words) == 2 && !slices.Contains([]string{"serve", "gateway", "backend"}, words[1]) {
		return usagef("config: after %s give serve, gateway or backend, or nothing", words[0])
	}
	for _, warning := range cfg.Warnings() {
		fmt.Fprintln(sys.Stderr, "warning:", warning)
	}
	if words[0] == "print" {
		return cfg.Print(sys.Stdout)
	}
	_, err = fmt.Fprintln(sys.Stdout, "configuration is valid")
	return err
}
