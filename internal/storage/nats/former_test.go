package nats

import (
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tidegate/internal/former"
	"tidegate/internal/storage/natstest"
)

// TestAClusterOfTheFormerNameIsNotBegunAnew: streams with the prefix of before and
// none of today are most likely meant, and empty ones would be made beside them.
func TestAClusterOfTheFormerNameIsNotBegunAnew(t *testing.T) {
	t.Parallel()
	for what, needs := range map[string]Need{"gateway": NeedLog | NeedNodes | NeedSessions, "backend": NeedTasks, "serve": allNeeds} {
		urls := []string{natstest.StartServer(t)}
		openWith(t, Options{URLs: urls, Prefix: former.Prefix, Needs: needs}).Close()
		for _, mine := range []Need{NeedLog, NeedTasks} {
			if err := refused(t, Options{URLs: urls, Needs: mine}); !strings.Contains(err, "give --nats-prefix sluice") {
				t.Errorf("%s: error %s", what, err)
			}
		}
		if e := openWith(t, Options{URLs: urls, Prefix: former.Prefix, Needs: needs}); e.opts.Prefix != former.Prefix {
			t.Errorf("%s: prefix %q", what, e.opts.Prefix)
		}
		openWith(t, Options{URLs: urls, Prefix: defaultPrefix, Needs: needs}).Close() // somebody wants new ones
		if e := openWith(t, Options{URLs: urls, Needs: needs}); e.opts.Prefix != defaultPrefix {
			t.Errorf("%s: prefix %q, where there are streams of both", what, e.opts.Prefix)
		}
	}
}

// TestStreamsOfOthersAreNotOfTheFormerName.
func TestStreamsOfOthersAreNotOfTheFormerName(t *testing.T) {
	t.Parallel()
	urls := []string{natstest.StartServer(t)}
	openWith(t, Options{URLs: urls, Prefix: "sluice-2", Needs: allNeeds}).Close()
	openWith(t, Options{URLs: urls, Prefix: "blue", Needs: allNeeds}).Close()
	if e := openWith(t, Options{URLs: urls, Needs: allNeeds}); e.opts.Prefix != defaultPrefix {
		t.Errorf("prefix %q", e.opts.Prefix)
	}
}

// TestAFolderKeepsItsPrefix, also without its record.
func TestAFolderKeepsItsPrefix(t *testing.T) {
	t.Parallel()
	for _, prefix := range []string{"", former.Prefix, "blue-1"} {
		for _, record := range []bool{true, false} {
			dir := t.TempDir()
			e := openWith(t, Options{Dir: dir, Prefix: prefix, Needs: NeedLog})
			generation, want := e.Generation(), e.opts.Prefix
			e.Close()
			if !record {
				if err := os.Remove(recordPath(dir)); err != nil {
					t.Fatal(err)
				}
			}
			e = openWith(t, Options{Dir: dir, Needs: NeedLog})
			if e.opts.Prefix != want || record && e.Generation() != generation {
				t.Errorf("prefix %q, record %v: %q with generation %q, want %q with %q", prefix, record, e.opts.Prefix, e.Generation(), want, generation)
			}
			e.Close()
			if err := refused(t, Options{Dir: dir, Prefix: "other"}); !strings.Contains(err, "prefix "+want) {
				t.Errorf("error %s", err)
			}
		}
	}
}

// TestAStreamKeepsTheKeysItWasMadeWith, so that processes of before and of today may
// share it.
func TestAStreamKeepsTheKeysItWasMadeWith(t *testing.T) {
	t.Parallel()
	urls := []string{natstest.StartServer(t)}
	e := openWith(t, Options{URLs: urls, Needs: NeedLog})
	s, err := e.EventStream(natstest.Within(t))
	if err != nil {
		t.Fatal(err)
	}
	config := s.CachedInfo().Config
	config.Metadata = maps.Clone(config.Metadata)
	delete(config.Metadata, generationKey)
	config.Metadata["sluice_generation"], config.Metadata["sluice_discarded"] = "oldoldol", "7"
	if _, err := e.js.UpdateStream(natstest.Within(t), config); err != nil {
		t.Fatal(err)
	}
	var log natstest.Lines
	e = openWith(t, Options{URLs: urls, Needs: NeedLog, Log: log.Logger(0)})
	info, err := e.StreamInfo(natstest.Within(t), "TIDEGATE_EV")
	if err != nil {
		t.Fatal(err)
	}
	if _, doubled := info.Config.Metadata[generationKey]; e.Generation() != "oldoldol" || info.Config.Metadata["sluice_discarded"] != "7" || doubled || strings.Contains(log.String(), "changed") {
		t.Errorf("generation %q, metadata %v, log %s", e.Generation(), info.Config.Metadata, log.String())
	}
}

// TestACrashWhileAFolderIsTakenOver leaves the folder of before or the one of today.
func TestACrashWhileAFolderIsTakenOver(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	opts := Options{Dir: filepath.Join(dir, "today"), Former: filepath.Join(dir, "before"), Needs: NeedLog}
	e := openWith(t, Options{Dir: opts.Former, Prefix: former.Prefix, Needs: NeedLog})
	generation := e.Generation()
	e.Close()
	// It was renamed, and nothing else.
	lock, err := renameFormer(opts.withDefaults())
	if err != nil || lock == nil {
		t.Fatalf("lock %v, %v", lock, err)
	}
	if second, err := renameFormer(opts.withDefaults()); second != nil || err != nil {
		t.Fatalf("taken over twice: %v, %v", second, err)
	}
	if err := dropLock(lock); err != nil {
		t.Fatal(err)
	}
	if e := openWith(t, opts); e.Generation() != generation || e.opts.Prefix != former.Prefix {
		t.Errorf("generation %q, prefix %q; want %q, %q", e.Generation(), e.opts.Prefix, generation, former.Prefix)
	}
}

// TestAFolderOfSomebodyElseIsNotTakenOver only because of its name.
func TestAFolderOfSomebodyElseIsNotTakenOver(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	opts := Options{Dir: filepath.Join(dir, "today"), Former: filepath.Join(dir, "before"), Needs: NeedLog}
	if err := os.MkdirAll(filepath.Join(opts.Former, "pictures"), 0o700); err != nil {
		t.Fatal(err)
	}
	openWith(t, opts)
	if entries, err := os.ReadDir(opts.Former); err != nil || len(entries) != 1 {
		t.Errorf("it holds %v, %v", entries, err)
	}
}
