package bench

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"
)

// getPatience bounds one request that only asks for something.
const getPatience = 10 * time.Second

// get sends a GET to the internal API. The caller checks the status.
func (a api) get(ctx context.Context, path string) (status int, body []byte, err error) {
	ctx, cancel := context.WithTimeout(ctx, getPatience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+a.address+a.base+path, nil)
	if err != nil {
		return 0, nil, err
	}
	req.Close = true // no connection is left idle
	if a.secret != "" {
		req.Header.Set("Authorization", "Bearer "+a.secret)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close()
	body, err = io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	return resp.StatusCode, body, err
}

// maxListed is how many events held counts.
const maxListed = 1000

// held is how many events a topic has, maxListed at most: those that are in the
// storage only are among them.
func (a api) held(ctx context.Context, topic string) (int, error) {
	status, body, err := a.get(ctx, fmt.Sprintf("/internal/topics/%s/events?limit=%d", url.PathEscape(topic), maxListed))
	if err != nil {
		return 0, fmt.Errorf("look at a topic: %w", err)
	}
	if status == http.StatusNotFound {
		return 0, nil
	}
	var page struct{ Events []json.RawMessage }
	if err := json.Unmarshal(body, &page); status != http.StatusOK || err != nil {
		return 0, fmt.Errorf("look at a topic: answered %d: %.200s", status, body)
	}
	return len(page.Events), nil
}

// logSize returns the bytes of the event log of a gateway that has one of its own, and -1 for any
// other gateway: its events are on NATS.
func (a api) logSize(ctx context.Context) (int64, error) {
	status, body, err := a.get(ctx, "/internal/cluster")
	if err != nil {
		return 0, fmt.Errorf("read the size of the storage: %w", err)
	}
	var storage struct {
		Streams []struct {
			Name  string
			Bytes int64
		}
	}
	if status != http.StatusOK || json.Unmarshal(body, &storage) != nil {
		return -1, nil
	}
	for _, s := range storage.Streams {
		if s.Name == "log" {
			return s.Bytes, nil
		}
	}
	return -1, nil
}
