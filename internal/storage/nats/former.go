package nats

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/nats-io/nats.go/jetstream"

	"tidegate/internal/backoff"
	"tidegate/internal/former"
)

// renameFormer renames the data folder of the program's former name, if there is none of
// today's name. It changes nothing else, so a crash at any point does no harm. If another
// process has the folder that is an error.
//
// It returns the lock of the renamed folder, nil if it renamed none.
func renameFormer(opts Options) (*os.File, error) {
	if opts.Former == "" || !holdsData(opts.Former) {
		return nil, nil
	}
	if _, err := os.Lstat(opts.Dir); err == nil {
		opts.Log.Warn("the data folder of before is not used: there is one of today", "before", opts.Former, "dir", opts.Dir)
		return nil, nil
	} else if !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("data folder: %w", err)
	}
	lock, err := takeLock(opts.Former)
	if err != nil {
		return nil, err
	}
	err = os.Rename(opts.Former, opts.Dir)
	if err == nil {
		err = syncFile(filepath.Dir(opts.Dir))
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("the data folder of before, %s, cannot be renamed to %s: give --data %s to use it where it is: %w",
			opts.Former, opts.Dir, opts.Former, err), dropLock(lock))
	}
	opts.Log.Info("the data folder of before was renamed", "from", opts.Former, "to", opts.Dir)
	return lock, nil
}

// holdsData reports whether a directory is a data folder.
func holdsData(dir string) bool {
	for _, path := range []string{recordPath(dir), storeDir(dir), logDir(dir)} {
		if _, err := os.Stat(path); err == nil {
			return true
		}
	}
	return false
}

// keptPrefix is the prefix of a folder's streams: the one it was made with. recorded
// is what its record says, asked what is configured; either may be "".
func keptPrefix(dir, recorded, asked string) (string, error) {
	if recorded == "" {
		has, err := storedPrefixes(dir)
		switch {
		case err != nil:
			return "", fmt.Errorf("data folder: %w", err)
		case asked == "":
			return former.Choose(has, defaultPrefix), nil
		case len(has) == 0 || slices.Contains(has, asked):
			return asked, nil
		}
		recorded = strings.Join(has, ", ")
	}
	if asked == "" || asked == recorded {
		return recorded, nil
	}
	return "", fmt.Errorf("data folder %s has streams with the prefix %s: leave --nats-prefix %s out, or choose another folder", dir, recorded, asked)
}

// storedPrefixes lists the prefixes that a folder has a log, session records or tasks of.
func storedPrefixes(dir string) (prefixes []string, err error) {
	entries, err := os.ReadDir(streamsDir(storeDir(dir)))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	for _, entry := range entries {
		for _, name := range []string{"_EV", "_ST", "_TASKS"} {
			if prefix, ok := strings.CutSuffix(strings.ToLower(entry.Name()), strings.ToLower(name)); ok && !slices.Contains(prefixes, prefix) {
				prefixes = append(prefixes, prefix)
			}
		}
	}
	return prefixes, nil
}

// refuseFormer returns an error if an external server has streams of the program's former
// name only, and no prefix is configured. New streams would be empty.
func (e *Engine) refuseFormer(ctx context.Context) error {
	if e.opts.Prefix != "" {
		return nil
	}
	for _, prefix := range []string{defaultPrefix, former.Prefix} {
		has, err := e.hasStreams(ctx, prefix)
		switch {
		case err != nil:
			return err
		case has && prefix == former.Prefix:
			return fmt.Errorf("it has streams with the prefix %s and none with %s: give --nats-prefix %s to go on with them, or --nats-prefix %s to begin anew",
				prefix, defaultPrefix, prefix, defaultPrefix)
		case has:
			return nil
		}
	}
	return nil
}

// hasStreams reports whether an external server has streams with a prefix, and that there
// are none where the user may not list them. It waits for servers that are starting.
func (e *Engine) hasStreams(ctx context.Context, prefix string) (bool, error) {
	ctx, cancel := e.untilRefused(ctx)
	defer cancel()
	for {
		has, err := e.hasStreamsOnce(ctx, prefix)
		switch {
		case err == nil:
			return has, nil
		case e.refusal() != nil:
			return false, nil
		case !e.isTemporary(err) || backoff.Wait(ctx, makeRetry) != nil:
			return false, fmt.Errorf("list streams: %w", err)
		}
	}
}

// hasStreamsOnce asks the leader of the cluster; the streams need no leaders for that.
func (e *Engine) hasStreamsOnce(ctx context.Context, prefix string) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, answerWait)
	defer cancel()
	names := e.js.StreamNames(ctx, jetstream.WithStreamListSubject(prefix+".>"))
	for name := range names.Name() {
		if strings.HasPrefix(name, strings.ToUpper(prefix)+"_") {
			return true, nil
		}
	}
	return false, names.Err()
}
