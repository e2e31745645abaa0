package e2e

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"tidegate/internal/socket/sockettest"
)

func TestX26SocketOfAKilledProcessIsTakenOver(t *testing.T) {
	t.Parallel()
	dir := sockettest.Dir(t)
	public, internal := filepath.Join(dir, "p"), filepath.Join(dir, "i")
	args := []string{"--data", "", "--listen", "unix:" + public, "--internal-listen", "unix:" + internal, "--drain-time", "0"}
	first := start(t, "serve", args...)
	second := launch(t, nil, append([]string{"serve"}, args...)...)
	if code := second.exit(); code != 1 || !strings.Contains(second.log(), "in use") {
		t.Errorf("a second process on the same sockets: exit code %d, %s", code, second.log())
	}
	first.signal(syscall.SIGKILL)
	first.exit()
	if _, err := os.Lstat(public); err != nil {
		t.Fatalf("nothing was left behind: %v", err)
	}
	third := start(t, "serve", args...)
	if third.public != "unix:"+public {
		t.Errorf("it is at %s", third.public)
	}
	wantCommandsOverUnix(t, public, internal)
	third.stop()
	if entries, err := os.ReadDir(dir); err != nil || len(entries) > 0 {
		t.Errorf("left behind after a stop: %v, %v", entries, err)
	}
}

// wantCommandsOverUnix has the commands for people reach a server on Unix sockets.
func wantCommandsOverUnix(t *testing.T, public, internal string) {
	t.Helper()
	listening := exec.Command(binary, "listen", "unix:"+public+":/api/sse/utils/version?request_id=me", "--limit", "1", "--json")
	var out bytes.Buffer
	listening.Stdout = &out
	opened, err := listening.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := listening.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := opened.Read(make([]byte, 1)); err != nil { // "stream is open"
		t.Fatal(err)
	}
	sent, err := exec.Command(binary, "send", "--server", "unix:"+internal, "--topic", "version:me", "--name", "version", `{"version":"9"}`).CombinedOutput()
	if err != nil || !bytes.Contains(sent, []byte(`"receivers":1`)) {
		t.Errorf("send: %v, %s", err, sent)
	}
	_, _ = io.Copy(io.Discard, opened)
	if err := listening.Wait(); err != nil || !strings.Contains(out.String(), `\"9\"`) {
		t.Errorf("listen: %v, %s", err, out.String())
	}
	if status, err := exec.Command(binary, "cluster", "status", "--server", "unix:"+internal).CombinedOutput(); err == nil || !strings.Contains(string(status), "storage") {
		t.Errorf("cluster status: %v, %s; want the answer that there is no storage", err, status)
	}
}

// passed runs the program with sockets that it inherits, as systemd starts it.
func passed(t *testing.T, names string, env []string, sockets []*os.File, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command("sh", append([]string{"-c", `LISTEN_PID=$$ exec "$0" "$@"`, binary}, args...)...)
	cmd.Dir, cmd.ExtraFiles = t.TempDir(), sockets
	cmd.Env = slices.Concat(environment(cmd.Dir), []string{"LISTEN_FDS=2", "LISTEN_FDNAMES=" + names}, env)
	return cmd
}

// listening makes a socket on loopback to be passed on, and its address.
func listening(t *testing.T) (*os.File, string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	file, err := l.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = file.Close() })
	return file, l.Addr().String()
}

func TestX26InheritedSockets(t *testing.T) {
	t.Parallel()
	public, publicAt := listening(t)
	internal, internalAt := listening(t)
	dir := sockettest.Dir(t)
	manager, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: filepath.Join(dir, "n"), Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer manager.Close()
	states := make(chan string, 10)
	go func() { // ends with the socket
		for text := make([]byte, 1000); ; {
			n, err := manager.Read(text)
			if err != nil {
				return
			}
			states <- string(text[:n])
		}
	}()
	for i, addresses := range [][2]string{{"fd:web", "systemd:internal"}, {"systemd:web", "fd:4"}} {
		cmd := passed(t, "web:internal", []string{"NOTIFY_SOCKET=" + filepath.Join(dir, "n")}, []*os.File{public, internal},
			"serve", "--data", "", "--listen", addresses[0], "--internal-listen", addresses[1], "--drain-time", "0", "--log-format", "json")
		log, err := cmd.StderrPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = cmd.Process.Kill() })
		ready := said(log)
		if ready.Public != "http://"+publicAt || ready.Internal != "http://"+internalAt {
			t.Fatalf("run %d: ready at %+v, want %s and %s", i, ready, publicAt, internalAt)
		}
		go func() { _, _ = io.Copy(io.Discard, log) }() // ends with the process
		if state := <-states; state != "READY=1" {
			t.Errorf("the service manager received %q", state)
		}
		if fetch(t, "http://"+publicAt+"/healthz") == "" || fetch(t, "http://"+internalAt+"/metrics") == "" {
			t.Error("nobody answers")
		}
		if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		if state := <-states; state != "STOPPING=1" {
			t.Errorf("the service manager received %q", state)
		}
		wantEnd(t, cmd)
		// The socket is still there: a client that comes now waits for the next process.
		if c, err := net.Dial("tcp", publicAt); err != nil {
			t.Errorf("the door is closed: %v", err)
		} else {
			_ = c.Close()
		}
	}
}

func TestX26WrongInheritedSocketsAreUsageErrors(t *testing.T) {
	t.Parallel()
	public, _ := listening(t)
	file, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for address, want := range map[string]string{
		"fd:api": "there are web, null", "fd:null": "no listening socket", "fd:4": "no listening socket", "fd:1": "begin with descriptor 3", "systemd:": "several",
	} {
		cmd := passed(t, "web:null", nil, []*os.File{public, file}, "gateway", "--listen", address, "--internal-listen", "127.0.0.1:0")
		out, err := cmd.CombinedOutput()
		if exit, ok := errors.AsType[*exec.ExitError](err); !ok || exit.ExitCode() != 2 || !strings.Contains(string(out), want) {
			t.Errorf("--listen %s: %v, %s, want exit code 2 and %q", address, err, out, want)
		}
	}
}

// The rules for listeners off loopback hold for inherited sockets too.
func TestX26InheritedSocketOnAllAddressesIsNotLocal(t *testing.T) {
	t.Parallel()
	public, _ := listening(t)
	l, err := net.Listen("tcp", ":0")
	if err != nil {
		t.Fatal(err)
	}
	file, err := l.(*net.TCPListener).File()
	_ = l.Close()
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	cmd := passed(t, "web:internal", nil, []*os.File{public, file}, "gateway", "--listen", "fd:web", "--internal-listen", "fd:internal")
	out, err := cmd.CombinedOutput()
	if exit, ok := errors.AsType[*exec.ExitError](err); !ok || exit.ExitCode() != 2 || !strings.Contains(string(out), "not a loopback address") {
		t.Errorf("%v, %s, want exit code 2", err, out)
	}
}

// The units of deploy/systemd start the program as they are.
func TestX26SystemdUnitsStartTheProgram(t *testing.T) {
	t.Parallel()
	of := func(file, key string) string {
		t.Helper()
		_, value, ok := strings.Cut(readFile(t, "../../deploy/systemd/"+file), "\n"+key+"=")
		if !ok {
			t.Fatalf("%s has no %s", file, key)
		}
		value, _, _ = strings.Cut(value, "\n")
		return value
	}
	words := strings.Fields(strings.ReplaceAll(of("tidegate.service", "ExecStart"), "%S", t.TempDir()))
	if words[0] != "/usr/local/bin/tidegate" || of("tidegate.service", "Type") != "notify" {
		t.Errorf("the service runs %s", words[0])
	}
	public, at := listening(t)
	other, _ := listening(t)
	args := append(words[1:], "--internal-listen", "127.0.0.1:0", "--log-format", "json", "--drain-time", "0", "--grace", "0")
	cmd := passed(t, of("tidegate.socket", "FileDescriptorName")+":other", nil, []*os.File{public, other}, args...)
	log, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	if ready := said(log); ready.Public != "http://"+at {
		t.Errorf("ready at %+v, want %s", ready, at)
	}
	go func() { _, _ = io.Copy(io.Discard, log) }() // ends with the process
	wantCleanEnd(t, cmd)
}
