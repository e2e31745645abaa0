package task

import (
	"bytes"
	"context"
	"io"
)

// Result reads the result of a completed task piece by piece.
type Result struct {
	io.Reader
	Size int64 // bytes of JSON
}

// ResultOpener is a [Store] that keeps large results apart from their records. It reads
// them piece by piece, so that many readers of one result hold no copy each.
type ResultOpener interface {
	// OpenResult is Load without the parameters and without a large result. For that
	// it returns a reader; nil if there is no result, or rec has it. The reader may
	// be dropped at any time; ctx bounds it.
	OpenResult(ctx context.Context, id string) (rec Record, result *Result, err error)
}

// Summary is Get without what is large: then Info is Partial. It is cheap.
func (s *Service) Summary(ctx context.Context, id string) (Info, error) {
	rec, ok := s.store.Peek(id)
	if !ok {
		info, _, err := s.Open(ctx, id)
		info.Partial = true
		return info, err
	}
	return s.info(rec), nil
}

// Open is Get with the result apart: a reader, nil if there is no result. ctx
// bounds the reader, too.
func (s *Service) Open(ctx context.Context, id string) (Info, *Result, error) {
	rec, ok := s.store.Peek(id)
	var result *Result
	if !ok || rec.Partial && rec.State.Final() {
		var err error
		if rec, result, err = s.open(ctx, id); err != nil {
			return Info{}, nil, err
		}
	}
	rec.Partial = false
	if result == nil && rec.Result != nil {
		result = &Result{bytes.NewReader(rec.Result), int64(len(rec.Result))}
	}
	rec.Result = nil
	return s.info(rec), result, nil
}

// open is Load with a large result apart, where the store can do that.
func (s *Service) open(ctx context.Context, id string) (Record, *Result, error) {
	if opener, ok := s.store.(ResultOpener); ok {
		return opener.OpenResult(ctx, id)
	}
	rec, err := s.store.Load(ctx, id)
	return rec, nil, err
}
