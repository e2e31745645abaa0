package harness

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

const (
	natsPort    = "4222"
	routePort   = "6222"
	monitorPort = "8222"
)

// prepareCluster assigns all addresses first: each node's flags name other nodes.
func (b *Deployment) prepareCluster(ctx context.Context) error {
	o := &b.opts
	o.Servers, o.Gateways, o.Backends = cmp.Or(o.Servers, 3), cmp.Or(o.Gateways, 3), cmp.Or(o.Backends, 2)
	var natsPlaces, backendPlaces []int
	var natsURLs, routes []string
	for range o.Servers {
		place := b.place()
		natsPlaces = append(natsPlaces, place)
		natsURLs = append(natsURLs, "nats://"+b.net.address(place)+":"+natsPort)
		routes = append(routes, "nats://"+b.net.address(place)+":"+routePort)
	}
	for range o.Backends {
		backendPlaces = append(backendPlaces, b.place())
	}
	for i, place := range natsPlaces {
		if err := b.addNATS(ctx, i, place, routes); err != nil {
			return err
		}
	}
	var engine []string
	for _, url := range natsURLs {
		engine = append(engine, "--nats-url", url)
	}
	for i := range o.Gateways {
		callback := fmt.Sprintf("http://%s:%s/api/sse/callback", b.net.address(backendPlaces[i%o.Backends]), backendPort)
		if o.CallbackURL != nil {
			callback = o.CallbackURL(b.net.here())
		}
		if err := b.addGateway(ctx, i, engine, callback); err != nil {
			return err
		}
	}
	for i, place := range backendPlaces {
		if err := b.addBackend(ctx, i, place, engine); err != nil {
			return err
		}
	}
	return nil
}

func (b *Deployment) addNATS(ctx context.Context, i, place int, routes []string) error {
	name, addr := fmt.Sprint("nats-", i+1), b.net.address(place)
	config := fmt.Sprintf(`server_name: %s
listen: %s:%s
http: %s:%s
max_payload: 8MB
jetstream { store_dir: %q }
`, name, addr, natsPort, addr, monitorPort, filepath.Join(b.opts.Dir, name))
	if len(routes) > 1 {
		config += fmt.Sprintf("cluster { name: tidegate, listen: %s:%s, routes: [%s] }\n", addr, routePort, strings.Join(routes, ", "))
	}
	path := filepath.Join(b.opts.Dir, name+".conf")
	if err := os.WriteFile(path, []byte(config), 0o644); err != nil {
		return err
	}
	n, err := b.add(ctx, name, place, "http://"+addr+":"+monitorPort+"/healthz", []string{b.opts.NATS, "-c", path})
	if err != nil {
		return err
	}
	b.nats = append(b.nats, n)
	return nil
}

func (b *Deployment) addGateway(ctx context.Context, i int, engine []string, callback string) error {
	place := b.place()
	addr := b.net.address(place)
	args := slices.Concat(b.tidegateArgs(Gateway, addr), engine, []string{"--callback-url", callback}, b.opts.GatewayFlags)
	n, err := b.add(ctx, fmt.Sprint("gateway-", i+1), place, "http://"+addr+":"+publicPort+"/readyz", args)
	if err != nil {
		return err
	}
	b.gateways = append(b.gateways, n)
	return nil
}

func (b *Deployment) addBackend(ctx context.Context, i, place int, engine []string) error {
	addr := b.net.address(place)
	args := slices.Concat([]string{
		b.opts.Tidegate, "backend", "--listen", addr + ":" + backendPort, "--gateway-url", b.Internal()[i%len(b.gateways)],
		"--api-open", "--internal-listen", addr + ":" + scrapePort, "--internal-open",
	}, engine, b.opts.BackendFlags)
	n, err := b.add(ctx, fmt.Sprint("backend-", i+1), place, "http://"+addr+":"+backendPort+"/readyz", args)
	if err != nil {
		return err
	}
	b.backends = append(b.backends, n)
	return nil
}

// leader returns the NATS server that leads the event stream, or nil if none is known.
func (b *Deployment) leader(ctx context.Context) *node {
	for _, server := range b.nats {
		name := leaderOf(ctx, "http://"+server.addr+":"+monitorPort)
		for _, n := range b.nats {
			if n.Name() == name {
				return n
			}
		}
	}
	return nil
}

// leaderOf asks one server for the leader of the stream whose name ends with _EV.
func leaderOf(ctx context.Context, monitor string) string {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, monitor+"/jsz?accounts=true&streams=true", nil)
	if err != nil {
		return ""
	}
	response, err := probe.Do(request)
	if err != nil {
		return ""
	}
	defer response.Body.Close()
	var answer struct {
		Accounts []struct {
			Streams []struct {
				Name    string
				Cluster struct{ Leader string }
			} `json:"stream_detail"`
		} `json:"account_details"`
	}
	if json.NewDecoder(response.Body).Decode(&answer) != nil {
		return ""
	}
	for _, account := range answer.Accounts {
		for _, stream := range account.Streams {
			if strings.HasSuffix(stream.Name, "_EV") {
				return stream.Cluster.Leader
			}
		}
	}
	return ""
}
