package cluster

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"tidegate/internal/topic"
)

// A server that can be killed is a process of its own: this binary, told so by
// its environment.
const replicaEnv = "TIDEGATE_TEST_CLUSTER_MEMBER"

func init() {
	if config := os.Getenv(replicaEnv); config != "" {
		if err := runReplica(config); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
}

// replicaConfig is a server of a cluster, and replicaAddress where it can be found.
type replicaConfig struct {
	Name, Dir string
	Routes    []string
}

type replicaAddress struct{ Client, Route string }

// runReplica serves until its input ends, so that it never outlives the test.
func runReplica(config string) error {
	var c replicaConfig
	if err := json.Unmarshal([]byte(config), &c); err != nil {
		return err
	}
	opts := &server.Options{
		ServerName: c.Name, Host: "127.0.0.1", Port: -1, NoSigs: true, NoLog: true,
		JetStream: true, StoreDir: c.Dir, MaxPayload: 2 << 20,
		Cluster: server.ClusterOpts{Name: "test", Host: "127.0.0.1", Port: -1},
	}
	for _, route := range c.Routes {
		u, err := url.Parse(route)
		if err != nil {
			return err
		}
		opts.Routes = append(opts.Routes, u)
	}
	s, err := server.NewServer(opts)
	if err != nil {
		return err
	}
	s.Start()
	// It is not ready before there are others, but it listens.
	for late := time.Now().Add(logPatience); s.Addr() == nil || s.ClusterAddr() == nil; {
		if time.Now().After(late) {
			return errors.New("the server does not listen")
		}
		runtime.Gosched()
	}
	address := replicaAddress{Client: s.ClientURL(), Route: "nats://" + s.ClusterAddr().String()}
	if err := json.NewEncoder(os.Stdout).Encode(address); err != nil {
		return err
	}
	_, _ = bufio.NewReader(os.Stdin).ReadByte()
	return nil
}

// replicaServer is a server of a cluster as the test sees it.
type replicaServer struct {
	replicaAddress
	kill func()
}

func startReplica(t *testing.T, name, dir string, routes ...string) replicaServer {
	t.Helper()
	config, err := json.Marshal(replicaConfig{Name: name, Dir: dir, Routes: routes})
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), replicaEnv+"="+string(config))
	cmd.Stderr = os.Stderr
	if _, err := cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	m := replicaServer{kill: sync.OnceFunc(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // it says that it was killed
	})}
	t.Cleanup(m.kill)
	if err := json.NewDecoder(out).Decode(&m.replicaAddress); err != nil {
		t.Fatal(err)
	}
	return m
}

// The server that leads the log of three replicas is killed while two nodes
// publish: nothing is lost, repeated, or out of order, and nobody is told that
// something was.
func TestLeaderThatIsKilledLosesNothing(t *testing.T) {
	t.Parallel()
	members := map[string]replicaServer{}
	var urls []string
	routes := []string{"nats://127.0.0.1:1"} // there must be one; nobody is there
	for _, name := range []string{"m1", "m2", "m3"} {
		m := startReplica(t, name, t.TempDir(), routes...)
		members[name] = m
		urls, routes = append(urls, m.Client), append(routes, m.Route)
	}
	var nodes []*logNode
	for i := range 2 {
		e := openURL(t, urls...)
		logBecomes(t, "a cluster", func() bool {
			_, err := e.js.CreateOrUpdateStream(t.Context(), evConfig(e, 3))
			return err == nil
		})
		nodes = append(nodes, runLog(t, e, makeEV(t, e, 3), LogOptions{
			Node:   func() string { return fmt.Sprint("node", i) },
			Others: func() []string { return []string{fmt.Sprint("node", 1-i)} },
		}))
	}
	info, err := nodes[0].info(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	leader := info.Cluster.Leader
	var wg sync.WaitGroup
	var outage time.Duration
	wg.Go(func() {
		nodes[0].hub.until(t, "some events", func(h *fakeHub) bool { return len(h.events) >= 100 })
		members[leader].kill()
		killed := time.Now()
		count := len(nodes[0].hub.all())
		nodes[0].hub.until(t, "more events", func(h *fakeHub) bool { return len(h.events) >= count+20 })
		outage = time.Since(killed)
	})
	answered := hammer(t, nodes, 4, 4, 60, nil)
	wg.Wait()
	t.Logf("%s was killed; 20 more events after %v", leader, outage)
	for i, n := range nodes {
		n.hub.until(t, "all events", func(h *fakeHub) bool { return len(h.events) >= len(answered) })
		checkOrder(t, fmt.Sprint("node", i), n.hub.all(), answered)
		if len(n.hub.rewound) > 0 {
			t.Errorf("node %d was rewound to %v", i, n.hub.rewound)
		}
		t.Logf("node %d: %+v", i, n.Stats())
	}
	checkReplicaReads(t, nodes[0])
}

func checkReplicaReads(t *testing.T, n *logNode) {
	t.Helper()
	for k := range 4 {
		name := fmt.Sprint("topic", k)
		want := slices.DeleteFunc(n.hub.all(), func(e topic.Stored) bool { return e.Topic != name })
		got, err := readAll(n.Log, name, 1, 1<<40)
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("Read(%s) gives %d events, want %d: %v", name, len(got), len(want), err)
		}
		// What was just answered is there to be read.
		data := strings.Repeat("x", k+1)
		stored := n.mustAppend(t, name, data)
		if e, ok, err := n.Last(t.Context(), name); err != nil || !ok || e.Seq != stored.Seq || e.Data != data {
			t.Errorf("Last(%s) = %+v, %v, %v", name, e, ok, err)
		}
		got, err = readAll(n.Log, name, stored.Seq, stored.Seq+1)
		if err != nil || len(got) != 1 || got[0].Data != data {
			t.Errorf("Read(%s) of the newest = %+v, %v", name, got, err)
		}
	}
}
