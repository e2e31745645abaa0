package backend

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"

	"tidegate/internal/wire"
	"tidegate/task"
)

const (
	// smallResult is the largest result that is held whole while it is sent.
	smallResult = 64 << 10
	// resultPiece is how much of a larger one is held for each reader.
	resultPiece = 32 << 10
)

// writeTask answers with a task. A large result goes from the store to the client piece
// by piece, so that its size does not decide how much memory is used.
func (h *restHandlers) writeTask(w http.ResponseWriter, r *http.Request, info task.Info, result *task.Result) error {
	if result != nil && result.Size <= smallResult {
		small, err := io.ReadAll(io.LimitReader(result, result.Size))
		if err != nil {
			return err
		}
		info.Result, result = small, nil
	}
	if result == nil {
		wire.WriteJSON(w, http.StatusOK, info)
		return nil
	}
	head, tail, err := around(info)
	if err != nil {
		return err
	}
	header := w.Header()
	header.Set("Content-Type", "application/json; charset=utf-8")
	header.Set("Cache-Control", "no-store")
	header.Set("Content-Length", strconv.FormatInt(int64(len(head)+len(tail))+result.Size, 10))
	w.WriteHeader(http.StatusOK)
	if r.Method == http.MethodHead {
		return nil
	}
	// Without ReadFrom, so that the writer sees each piece.
	out := struct{ io.Writer }{w}
	_, err = io.CopyBuffer(out, io.MultiReader(bytes.NewReader(head), struct{ io.Reader }{result}, bytes.NewReader(tail)), make([]byte, resultPiece))
	if err != nil {
		h.log.Debug("could not send a large result to its end", "task", info.ID, "cause", err)
		panic(http.ErrAbortHandler) // the client must see that it is not whole
	}
	return nil
}

// around returns the JSON of a task before and behind its result.
func around(info task.Info) (head, tail []byte, err error) {
	const key = `"result":`
	info.Result = nil
	whole, err := json.Marshal(info)
	if err != nil {
		return nil, nil, err
	}
	// Only texts and times come before the key, and texts cannot contain it: their quotes
	// are escaped.
	at := bytes.Index(whole, []byte(key+"null"))
	if at < 0 {
		return nil, nil, fmt.Errorf("no result in %.100s", whole)
	}
	at += len(key)
	return whole[:at], whole[at+len("null"):], nil
}
