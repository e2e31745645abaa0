package transfer

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"

	"tidegate/internal/archive"
	"tidegate/internal/storage/nats"
	"tidegate/internal/storage/segments"
)

// NATSOptions name a cluster, or the folder with the files of an embedded server.
type NATSOptions = nats.Options

// Report is the result of [Check].
type Report struct {
	Folder string `json:"folder"`
	*segments.Report
}

// Check reads the whole log of one process: in a data folder that no process has open, or in a copy
// of the folder log in it. It changes nothing.
func Check(ctx context.Context, dir string, log *slog.Logger) (*Report, error) {
	folder, err := ownLog(dir)
	if err != nil {
		return nil, err
	}
	release, err := nats.HoldFolder(dir)
	if err != nil {
		return nil, err
	}
	defer release()
	report, err := segments.Check(ctx, segments.Options{Dir: folder, Log: log})
	if err != nil {
		return nil, err
	}
	return &Report{folder, report}, nil
}

// ownLog returns the folder of the log.
func ownLog(dir string) (string, error) {
	if _, err := os.Stat(dir); err != nil {
		return "", fmt.Errorf("data folder: %w", err)
	}
	if nats.HasOwnLog(dir) {
		return nats.OwnLogDir(dir), nil
	}
	if isLog(dir) {
		return dir, nil
	}
	if nats.HasServer(dir) {
		return "", fmt.Errorf("data folder %s keeps its events on NATS, which checks them itself; read them with tidegate storage export or dump", dir)
	}
	return "", fmt.Errorf("data folder %s: %w", dir, ErrNoLog)
}

// isLog reports whether a folder is the folder of a log itself.
func isLog(dir string) bool {
	found, err := filepath.Glob(filepath.Join(dir, "*.seg"))
	return err == nil && len(found) > 0
}

// Dump writes the events of a log, or of one topic of it, one a line, oldest first.
func (s *Source) Dump(ctx context.Context, out io.Writer, topic string) error {
	d := archive.NewDump(out)
	err := s.each(ctx, func(e archive.Event) error {
		if topic != "" && e.Topic != topic {
			return nil
		}
		return d.Write(e)
	})
	if err != nil {
		return err
	}
	return d.Flush()
}
