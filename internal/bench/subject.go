package bench

import (
	"cmp"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"tidegate/internal/selfsigned"
)

// subject is a gateway that is measured, before it runs.
type subject struct {
	name   string // heading of its figures
	beside bool   // the figures of the other are compared with its
	limit  bool   // the bare one, without topics: events to the token everyToken go to all streams

	// What is started; nil if it runs already.
	command []string // without the callback URL
	env     []string

	storage    string // of a gateway that is started
	natsServer string // in its place; "" for none
}

// everyToken is where a program of --limit sends events to all streams.
const everyToken = "*"

// subjects are the gateway and the one that it is compared with, if any.
func (o *Options) subjects(files selfsigned.Files) []subject {
	first := subject{name: o.gatewayName(), storage: o.Storage, natsServer: o.NATSServer}
	if !o.external() {
		first.command = o.gatewayCommand(o.binary(), files)
		first.env = gatewayEnvironment(o.InternalSecret)
	}
	list := []subject{first}
	switch {
	case o.Limit != "":
		list = append(list, subject{name: o.besideName(), beside: true, limit: true, command: o.limitCommand(), env: os.Environ(),
			storage: storageMemory})
	case o.Compare+o.CompareStorage != "":
		list = append(list, subject{name: o.besideName(), beside: true,
			command: o.gatewayCommand(cmp.Or(o.Compare, o.binary()), files), env: gatewayEnvironment(o.InternalSecret),
			storage: cmp.Or(o.CompareStorage, o.Storage), natsServer: o.NATSServer})
	}
	return list
}

func (o *Options) gatewayName() string {
	if o.external() {
		return o.Public
	}
	return withStorage(filepath.Base(o.binary()), o.Storage)
}

// withStorage names a gateway.
func withStorage(name, storage string) string {
	if storage == storageMemory {
		return name
	}
	return name + "/" + storage
}

// besideName is the name of what the gateway is compared with; "" for nothing.
func (o *Options) besideName() string {
	if o.Limit+o.Compare+o.CompareStorage == "" {
		return ""
	}
	path := cmp.Or(o.Limit, o.Compare, o.binary())
	name := filepath.Base(path)
	if o.Limit == "" {
		storage := cmp.Or(o.CompareStorage, o.Storage)
		path, name = withStorage(path, storage), withStorage(name, storage)
	}
	if name != o.gatewayName() {
		return name
	}
	return path
}

func (o *Options) binary() string {
	return cmp.Or(o.Binary, o.Self)
}

func (o *Options) gatewayCommand(binary string, files selfsigned.Files) []string {
	command := []string{binary, "gateway", "--listen", "127.0.0.1:0", "--internal-listen", "127.0.0.1:0",
		"--log-format", "json", "--drain-time", "0"}
	if files.Cert != "" {
		command = append(command, "--tls-cert", files.Cert, "--tls-key", files.Key)
	}
	return append(command, strings.Fields(o.GatewayArgs)...)
}

func (o *Options) limitCommand() []string {
	command := []string{o.Limit, "--public", "127.0.0.1:0", "--internal", "127.0.0.1:0"}
	if o.Threads > 0 {
		command = append(command, "--threads", strconv.Itoa(o.Threads))
	}
	return command
}

// legacyVariables are read by a gateway too.
var legacyVariables = []string{"PORT", "CALLBACK_URL", "HEARTBEAT_INTERVAL_SECONDS"}

// gatewayEnvironment is ours without what would configure a gateway: its
// settings are the defaults, and what is on its command line, wherever the
// figures are made.
func gatewayEnvironment(secret string) []string {
	env := slices.DeleteFunc(os.Environ(), func(line string) bool {
		name, _, _ := strings.Cut(line, "=")
		return strings.HasPrefix(name, "TIDEGATE_") || slices.Contains(legacyVariables, name)
	})
	if secret != "" {
		env = append(env, "TIDEGATE_INTERNAL_SECRET="+secret) // others could read a command line
	}
	return env
}
