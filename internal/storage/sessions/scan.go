package sessions

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// A scan reads at most 10,000 records a second, and only their subjects. Half a million take
// a minute, and nobody notices.
const (
	scanBatch = 500
	scanPause = 50 * time.Millisecond
)

var errScanStopped = errors.New("no more records came, although there are some")

// scans looks for records of nodes that are not registered, and so would never be taken
// over. Storage may lose what is in the nodes' bucket and keep the records. It does so
// soon after this node has got its name and every ScanEvery from then on, until ctx
// ends. One of all nodes does.
func (s *Store) scans(ctx context.Context) {
	tick := time.NewTicker(s.opts.CheckEvery)
	defer tick.Stop()
	var as string // the name that this node had at the last scan
	var at time.Time
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		self := s.nodes.Node()
		if !s.nodes.First() || as == self && time.Since(at) < s.opts.ScanEvery {
			continue
		}
		if err := s.scan(ctx); err != nil && ctx.Err() == nil {
			s.log.Warn("not all session records could be scanned for nodes that are not registered", "error", err)
		}
		as, at = self, time.Now()
	}
}

// scan registers the nodes that have records and no registration, so that they are taken
// over.
func (s *Store) scan(ctx context.Context) error {
	unknown, err := s.unknownNodes(ctx)
	for _, node := range unknown {
		if fault := s.registerUnknown(ctx, node); fault != nil {
			err = errors.Join(err, fmt.Errorf("node %s: %w", node, fault))
		}
	}
	return err
}

// unknownNodes lists nodes that have records, but as far as is known here neither a
// registration nor a lease. It lists as many as are taken over at once.
func (s *Store) unknownNodes(ctx context.Context) (found []string, err error) {
	records, err := s.openRecords(ctx)
	if err != nil {
		return nil, fmt.Errorf("open the records: %w", err)
	}
	defer s.closeRecords(ctx, records)
	pause := time.NewTicker(scanPause)
	defer pause.Stop()
	seen := map[string]bool{"": true}
	for left := records.CachedInfo().NumPending; left > 0; {
		batch, err := records.FetchNoWait(scanBatch)
		if err != nil {
			return found, fmt.Errorf("read the records: %w", err)
		}
		none := true
		for m := range batch.Messages() {
			none = false
			if about, err := m.Metadata(); err == nil {
				left = about.NumPending
			}
			node := s.nodeOf(m.Subject())
			if seen[node] {
				continue
			}
			seen[node] = true
			if s.nodes.Unknown(node) && len(found) < s.opts.Failovers {
				found = append(found, node)
			}
		}
		if err := batch.Error(); err != nil {
			return found, fmt.Errorf("read the records: %w", err)
		}
		if none { // they were deleted, or nothing comes any more
			return found, s.ended(ctx, records)
		}
		select {
		case <-pause.C:
		case <-ctx.Done():
			return found, context.Cause(ctx)
		}
	}
	return found, nil
}

// openRecords makes a reader of all records. The server drops it a minute after this
// process has died.
func (s *Store) openRecords(ctx context.Context) (jetstream.Consumer, error) {
	ctx, cancel := context.WithTimeout(ctx, s.opts.WriteTimeout)
	defer cancel()
	return s.st.CreateConsumer(ctx, jetstream.ConsumerConfig{
		DeliverPolicy: jetstream.DeliverAllPolicy, AckPolicy: jetstream.AckNonePolicy, HeadersOnly: true,
		InactiveThreshold: time.Minute, Replicas: 1, MemoryStorage: true,
	})
}

func (s *Store) closeRecords(ctx context.Context, records jetstream.Consumer) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.opts.WriteTimeout)
	defer cancel()
	if err := s.st.DeleteConsumer(ctx, records.CachedInfo().Name); err != nil {
		s.log.Debug("the reader of all records is left for the server to drop", "error", err)
	}
}

// ended returns an error if there are more records to read.
func (s *Store) ended(ctx context.Context, records jetstream.Consumer) error {
	ctx, cancel := context.WithTimeout(ctx, s.opts.WriteTimeout)
	defer cancel()
	info, err := records.Info(ctx)
	if err == nil && info.NumPending > 0 {
		err = errScanStopped
	}
	return err
}

// nodeOf is the node of a record, "" if the subject is not one of a record.
func (s *Store) nodeOf(subject string) string {
	name, found := strings.CutPrefix(subject, s.e.Subject("st."))
	node, hash, _ := strings.Cut(name, ".")
	if !found || hash == "" || strings.Contains(hash, ".") {
		return ""
	}
	return strings.Clone(node)
}

// registerUnknown registers a node that has records, and neither a registration nor a lease.
func (s *Store) registerUnknown(ctx context.Context, node string) error {
	ctx, cancel := context.WithTimeout(ctx, s.opts.WriteTimeout)
	defer cancel()
	if done, err := s.nodes.RegisterUnknown(ctx, node); !done {
		return err
	}
	s.log.WarnContext(ctx, "sessions are on record of a node that is not registered: they are taken over", "node", node)
	return nil
}
