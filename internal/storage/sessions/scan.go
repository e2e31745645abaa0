package sessions

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// A survey reads 10,000 records a second at most, of each no more than its
// subject: a ledger of half a million is looked through within a minute, and that
// is not to be felt.
const (
	scanBatch = 500
	scanPause = 50 * time.Millisecond
)

var errScanStopped = errors.New("no more records came, although there are some")

// surveys looks for records that no heir would ever see, because the roster does
// not have their node: storage may lose what is in the nodes' bucket, and keep
// the records. It does so soon after this node has got its name and every
// SurveyEvery from then on, until ctx ends. One of all nodes does.
func (l *Store) scans(ctx context.Context) {
	tick := time.NewTicker(l.opts.CheckEvery)
	defer tick.Stop()
	var as string // the name that this node had at the last survey
	var at time.Time
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		self := l.nodes.Node()
		if !l.nodes.First() || as == self && time.Since(at) < l.opts.ScanEvery {
			continue
		}
		if err := l.scan(ctx); err != nil && ctx.Err() == nil {
			l.log.Warn("not all records could be looked through for nodes that the roster does not have", "error", err)
		}
		as, at = self, time.Now()
	}
}

// survey has the heirs see all nodes that there are records of.
func (l *Store) scan(ctx context.Context) error {
	strangers, err := l.unknownNodes(ctx)
	for _, node := range strangers {
		if fault := l.registerUnknown(ctx, node); fault != nil {
			err = errors.Join(err, fmt.Errorf("node %s: %w", node, fault))
		}
	}
	return err
}

// strangers lists nodes that there are records of and that are not on the roster
// nor have a lease, as far as is known here: as many as are dealt with at once.
func (l *Store) unknownNodes(ctx context.Context) (found []string, err error) {
	records, err := l.openRecords(ctx)
	if err != nil {
		return nil, fmt.Errorf("open the records: %w", err)
	}
	defer l.closeRecords(ctx, records)
	pace := time.NewTicker(scanPause)
	defer pace.Stop()
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
			node := l.nodeOf(m.Subject())
			if seen[node] {
				continue
			}
			seen[node] = true
			if l.nodes.Unknown(node) && len(found) < l.opts.Failovers {
				found = append(found, node)
			}
		}
		if err := batch.Error(); err != nil {
			return found, fmt.Errorf("read the records: %w", err)
		}
		if none { // they were taken out, or nothing comes any more
			return found, l.ended(ctx, records)
		}
		select {
		case <-pace.C:
		case <-ctx.Done():
			return found, context.Cause(ctx)
		}
	}
	return found, nil
}

// openRecords gives a reader of all records. If this process dies it goes by itself.
func (l *Store) openRecords(ctx context.Context) (jetstream.Consumer, error) {
	ctx, cancel := context.WithTimeout(ctx, l.opts.WriteTimeout)
	defer cancel()
	return l.st.CreateConsumer(ctx, jetstream.ConsumerConfig{
		DeliverPolicy: jetstream.DeliverAllPolicy, AckPolicy: jetstream.AckNonePolicy, HeadersOnly: true,
		InactiveThreshold: time.Minute, Replicas: 1, MemoryStorage: true,
	})
}

func (l *Store) closeRecords(ctx context.Context, records jetstream.Consumer) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), l.opts.WriteTimeout)
	defer cancel()
	if err := l.st.DeleteConsumer(ctx, records.CachedInfo().Name); err != nil {
		l.log.Debug("the reader of all records will go by itself", "error", err)
	}
}

// ended makes sure that there are no more records to read.
func (l *Store) ended(ctx context.Context, records jetstream.Consumer) error {
	ctx, cancel := context.WithTimeout(ctx, l.opts.WriteTimeout)
	defer cancel()
	info, err := records.Info(ctx)
	if err == nil && info.NumPending > 0 {
		err = errScanStopped
	}
	return err
}

// nodeOf is the node of a record, "" if the subject is not one of a record.
func (l *Store) nodeOf(subject string) string {
	name, found := strings.CutPrefix(subject, l.e.Subject("st."))
	node, hash, _ := strings.Cut(name, ".")
	if !found || hash == "" || strings.Contains(hash, ".") {
		return ""
	}
	return strings.Clone(node)
}

// adopt puts a node on the roster that is not there and has no lease. It may live
// all the same, which whoever deals with it takes into account, see
// [estate.grace].
func (l *Store) registerUnknown(ctx context.Context, node string) error {
	ctx, cancel := context.WithTimeout(ctx, l.opts.WriteTimeout)
	defer cancel()
	if done, err := l.nodes.RegisterUnknown(ctx, node); !done {
		return err
	}
	l.log.WarnContext(ctx, "streams of a node are on record that the roster did not have: they are dealt with as those of a dead one", "node", node)
	return nil
}
