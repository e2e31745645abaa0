package backend

import (
	"context"
	"encoding/json"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"time"

	"tidegate/task"
)

const largeResult = 16 << 20

func large(o *Options) {
	o.Types = []task.Type{{Name: "large", Run: func(context.Context, *task.Run) (any, error) {
		return strings.Repeat("x", largeResult), nil
	}}}
}

// TestX12ReadersOfALargeResultHoldNoCopy has many clients ask for a large result
// that none of them reads.
func TestX12ReadersOfALargeResultHoldNoCopy(t *testing.T) {
	b := setup(t, large)
	b.run(t)
	id := b.start(t, "large")
	for end := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
		info, err := b.Tasks().Get(t.Context(), id)
		if err == nil && info.Status == task.Completed {
			break
		}
		if time.Now().After(end) {
			t.Fatal("the task does not end")
		}
	}
	server := httptest.NewServer(b.REST())
	defer server.Close()
	before := heapBytes()
	const readers = 20
	for range readers {
		conn, err := net.Dial("tcp", strings.TrimPrefix(server.URL, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if _, err := conn.Write([]byte("GET /api/tasks/" + id + " HTTP/1.1\r\nHost: localhost\r\n\r\n")); err != nil {
			t.Fatal(err)
		}
		if _, err := conn.Read(make([]byte, 1)); err != nil { // it is being answered
			t.Fatal(err)
		}
	}
	if grown := heapBytes() - before; grown > largeResult {
		t.Errorf("%d readers of %d MiB hold %d MiB", readers, largeResult>>20, grown>>20)
	}
}

func heapBytes() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

func TestX12ALargeResultArrivesAsItWas(t *testing.T) {
	b := setup(t, large)
	b.run(t)
	id := b.start(t, "large")
	var info task.Info
	for end := time.Now().Add(time.Minute); info.Status != task.Completed; time.Sleep(time.Millisecond) {
		if info, _ = b.Tasks().Get(t.Context(), id); time.Now().After(end) {
			t.Fatal("the task does not end")
		}
	}
	want, err := json.Marshal(info)
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"/api/tasks/" + id, "/api/tasks/" + id + "/status"} {
		w := b.request(http.MethodGet, path, "")
		if w.Code != http.StatusOK || w.Body.String() != string(want) {
			t.Errorf("%s: %d with %d bytes, want %d", path, w.Code, w.Body.Len(), len(want))
		}
	}
	if w := b.request(http.MethodHead, "/api/tasks/"+id, ""); w.Code != http.StatusOK || w.Body.Len() > 0 {
		t.Errorf("HEAD: %d with %d bytes", w.Code, w.Body.Len())
	}
}
