package cluster

import "context"

// OpenLog makes the log of all topics, unless it is there.
func (e *Engine) OpenLog(ctx context.Context, opts LogOptions) (*Log, error) {
	ev, err := e.ensureLog(ctx)
	if err != nil {
		return nil, err
	}
	return NewLog(e, ev, opts), nil
}

// OpenNodes makes what nodes know of each other by, unless it is there.
func (e *Engine) OpenNodes(ctx context.Context, opts NodesOptions) (*Nodes, error) {
	kv, err := e.ensureNodes(ctx)
	if err != nil {
		return nil, err
	}
	return NewNodes(e, kv, opts), nil
}

// OpenLedger makes the ledger of streams, unless it is there.
func (e *Engine) OpenLedger(ctx context.Context, nodes *Nodes, opts LedgerOptions) (*Ledger, error) {
	st, err := e.ensureLedger(ctx)
	if err != nil {
		return nil, err
	}
	return NewLedger(e, st, nodes, opts), nil
}

// OpenTasks makes the store of tasks, unless it is there.
func (e *Engine) OpenTasks(ctx context.Context, opts TasksOptions) (*Tasks, error) {
	s, err := e.ensureTasks(ctx)
	if err != nil {
		return nil, err
	}
	return NewTasks(e, s.records, s.queue, s.leases, s.results, opts), nil
}
