package harness

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
)

// network gives each node its own address. So all nodes can use the same ports, and
// no outgoing connection of another program takes a port while a node is down. The
// addresses are 127.A.B.n. With namespaces, each node has a network namespace on a
// bridge with 10.A.B.1 and can be cut off. A and B are random, so that several
// deployments can share one machine.
type network struct {
	a, b   byte
	bridge string   // "" on loopback
	nodes  []string // namespaces that exist
}

// ErrNoNamespaces is returned when --namespaces is set and the system lacks them.
var ErrNoNamespaces = errors.New("network namespaces need Linux, root, and the program ip of iproute2")

// newNetwork creates a network. With namespaces, the caller must call close.
func newNetwork(ctx context.Context, namespaces bool) (*network, error) {
	var random [2]byte
	_, _ = rand.Read(random[:]) // never fails
	n := &network{a: 1 + random[0]%254, b: random[1]}
	if !namespaces {
		return n, nil
	}
	if _, err := exec.LookPath("ip"); err != nil || os.Geteuid() != 0 {
		return nil, ErrNoNamespaces
	}
	n.bridge = fmt.Sprintf("sl%02x%02x", n.a, n.b)
	err := n.ip(ctx, []string{
		"link add " + n.bridge + " type bridge",
		"addr add " + n.address(1) + "/24 dev " + n.bridge,
		"link set " + n.bridge + " up",
	})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%w: %w", ErrNoNamespaces, err), n.close(ctx))
	}
	return n, nil
}

// address returns the address of node i, from 2. Number 1 is this process.
func (n *network) address(i int) string {
	first := "127"
	if n.bridge != "" {
		first = "10"
	}
	return fmt.Sprintf("%s.%d.%d.%d", first, n.a, n.b, i)
}

// here returns the address at which this process listens for nodes.
func (n *network) here() string {
	if n.bridge == "" {
		return "127.0.0.1"
	}
	return n.address(1)
}

func (n *network) space(i int) string { return fmt.Sprintf("%s-%d", n.bridge, i) }
func (n *network) link(i int) string  { return fmt.Sprintf("%s.%d", n.bridge, i) }

// enter creates the place of node i and returns the words that its command starts with.
func (n *network) enter(ctx context.Context, i int) ([]string, error) {
	if n.bridge == "" {
		return nil, nil
	}
	space, link := n.space(i), n.link(i)
	if err := n.ip(ctx, []string{"netns add " + space}); err != nil {
		return nil, err
	}
	n.nodes = append(n.nodes, space)
	err := n.ip(ctx, []string{
		"link add " + link + " type veth peer name eth0 netns " + space,
		"link set " + link + " master " + n.bridge,
		"link set " + link + " up",
		"-n " + space + " addr add " + n.address(i) + "/24 dev eth0",
		"-n " + space + " link set lo up",
		"-n " + space + " link set eth0 up",
	})
	return []string{"ip", "netns", "exec", space}, err
}

// cut takes node i off the network, or puts it back.
func (n *network) cut(ctx context.Context, i int, off bool) error {
	return n.ip(ctx, []string{"link set " + n.link(i) + map[bool]string{true: " down", false: " up"}[off]})
}

// part separates node i from some others only, or connects it again.
func (n *network) part(ctx context.Context, i int, others []int, off bool) error {
	var commands []string
	for _, other := range others {
		do := map[bool]string{true: "add", false: "del"}[off]
		commands = append(commands, fmt.Sprintf("-n %s route %s blackhole %s/32", n.space(i), do, n.address(other)))
	}
	return n.ip(ctx, commands)
}

// close removes the network. All nodes must have ended.
func (n *network) close(ctx context.Context) error {
	if n.bridge == "" {
		return nil
	}
	var errs []error
	for _, space := range n.nodes {
		errs = append(errs, n.ip(ctx, []string{"netns del " + space}))
	}
	return errors.Join(append(errs, n.ip(ctx, []string{"link del " + n.bridge}))...)
}

func (n *network) ip(ctx context.Context, commands []string) error {
	for _, command := range commands {
		out, err := exec.CommandContext(ctx, "ip", strings.Fields(command)...).CombinedOutput()
		if err != nil {
			return fmt.Errorf("ip %s: %w: %s", command, err, strings.TrimSpace(string(out)))
		}
	}
	return nil
}
