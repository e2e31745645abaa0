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

// get asks the internal API for something. The status is not looked at.
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
