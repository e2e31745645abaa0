package gateway_test

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"os"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"tidegate/internal/gateway"
	"tidegate/internal/stream"
	"tidegate/internal/topic"
)

// BenchmarkStreamsInMemory holds up to a million streams on simulated sockets:
// everything is real but the system's part. What it reports is resident memory
// for each, and the time and CPU of a publish to all of them.
//
//	go test ./internal/gateway -run '^$' -bench StreamsInMemory -benchtime 1x
func BenchmarkStreamsInMemory(b *testing.B) {
	for _, streams := range []int{10_000, 100_000, 1_000_000} {
		b.Run(fmt.Sprint(streams), func(b *testing.B) {
			for b.Loop() {
				holdStreams(b, streams)
			}
		})
	}
}

func holdStreams(b *testing.B, streams int) {
	before := memoryAfterGC(b)
	var k stream.Simulation
	g := gateway.New(gateway.Options{
		Topics:      topic.New(topic.Options{Default: topic.Retention{Events: 10}}),
		CallbackURL: "http://127.0.0.1:1/", MaxConns: streams, Heartbeat: time.Hour,
		CallbackQueue: 1, CallbackRetention: time.Nanosecond,
	})
	g.Simulate(&k)
	ctx, cancel := context.WithCancel(b.Context())
	var running sync.WaitGroup
	running.Go(func() { _ = g.Run(ctx) })
	defer running.Wait()
	defer cancel()

	begin := time.Now()
	for i := range streams {
		if _, err := g.OpenSimulated(&k, browserRequest(b, i), "all"); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(time.Since(begin).Nanoseconds())/float64(streams), "ns/open")
	after := memoryAfterGC(b)
	b.ReportMetric(float64(after-before)/float64(streams), "B/stream")
	b.ReportMetric(float64(after)/(1<<20), "MiB-resident")

	const publishes = 5
	api := g.Internal()
	written, cpu := k.Writes.Load(), cpuTime(b)
	var answered time.Duration
	begin = time.Now()
	for i := range publishes {
		asked := time.Now()
		answer := post(api, "/internal/send", "application/json", fmt.Appendf(nil, `{"topic":"all","event":{"data":"%0128d"}}`, i))
		if answer.Code != http.StatusOK || !strings.Contains(answer.Body.String(), fmt.Sprintf(`"receivers":%d}`, streams)) {
			b.Fatalf("publish: %d %s", answer.Code, answer.Body)
		}
		answered += time.Since(asked)
		for k.Writes.Load()-written < int64((i+1)*streams) {
			runtime.Gosched()
		}
	}
	b.ReportMetric(float64(time.Since(begin).Milliseconds())/publishes, "ms/publish")
	b.ReportMetric(float64(answered.Microseconds())/publishes, "µs/answer")
	b.ReportMetric(float64((cpuTime(b)-cpu).Nanoseconds())/float64(publishes*streams), "cpu-ns/delivery")
}

// browserRequest is what a browser sends; only the cookie and the target differ.
func browserRequest(b *testing.B, i int) *http.Request {
	b.Helper()
	raw := fmt.Sprintf("GET /api/sse/tasks?task_id=%032x HTTP/1.1\r\nHost: app.example.test\r\nConnection: keep-alive\r\n"+
		"sec-ch-ua: \"Chromium\";v=\"142\", \"Not=A?Brand\";v=\"24\"\r\nsec-ch-ua-mobile: ?0\r\nsec-ch-ua-platform: \"Linux\"\r\n"+
		"User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36\r\n"+
		"Accept: text/event-stream\r\nCache-Control: no-cache\r\nSec-Fetch-Site: same-origin\r\nSec-Fetch-Mode: cors\r\n"+
		"Sec-Fetch-Dest: empty\r\nReferer: https://app.example.test/\r\nAccept-Encoding: gzip, deflate, br, zstd\r\n"+
		"Accept-Language: en-US,en;q=0.9\r\nCookie: session=%032x\r\n\r\n", i, i*7919)
	r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(raw)))
	if err != nil {
		b.Fatal(err)
	}
	r.RemoteAddr = fmt.Sprintf("10.%d.%d.%d:%d", i>>16&255, i>>8&255, i&255, 1024+i%60000)
	return r
}

// memoryAfterGC is the resident memory when garbage has been given back.
func memoryAfterGC(b *testing.B) int64 {
	b.Helper()
	runtime.GC()
	debug.FreeOSMemory()
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		b.Skip("resident memory is read from /proc: ", err)
	}
	for line := range strings.Lines(string(text)) {
		var kb int64
		if _, err := fmt.Sscanf(line, "VmRSS: %d kB", &kb); err == nil {
			return kb << 10
		}
	}
	b.Fatal("no VmRSS in /proc/self/status")
	return 0
}

func cpuTime(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
