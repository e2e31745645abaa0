package backend

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"time"
	"unicode"

	"tidegate/internal/outbound"
	"tidegate/internal/socket"
)

// Bounds of one poll of the version URL.
const (
	pollTimeout  = 2 * time.Second
	maxPollBytes = 256 << 10
)

// poller polls a URL for the deployed version, and publishes the version when it
// changes. No connect waits for it.
type poller struct {
	url      string
	interval time.Duration
	http     *http.Client
	versions *versions
	metrics  *metrics
	log      *slog.Logger

	// Owned by run.
	etag    string
	last    Version
	failing bool
}

func newPoller(rawURL string, interval time.Duration, v *versions, m *metrics, log *slog.Logger) (*poller, error) {
	target, err := socket.ParseTarget(rawURL)
	if err != nil {
		return nil, errors.New("backend: version URL " + err.Error())
	}
	u, err := url.Parse(target.URL)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, errors.New("backend: version URL must be an http:// or https:// URL")
	}
	opts := outbound.Options{Socket: target.Path}
	if target.Path == "" {
		opts.Proxy = http.ProxyFromEnvironment
	}
	return &poller{
		url: target.URL, interval: interval, versions: v, metrics: m, log: log,
		http: &http.Client{Transport: outbound.New(opts), Timeout: pollTimeout},
	}, nil
}

// run polls at once and then about every interval, until ctx ends. The pauses vary by a
// tenth, so that many backends do not poll together.
func (p *poller) run(ctx context.Context) {
	defer p.http.CloseIdleConnections()
	for {
		p.report(ctx, p.poll(ctx))
		pause := p.interval - p.interval/10 + rand.N(p.interval/5+1)
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
	}
}

// report counts each failure, and logs the first in a row and the recovery.
func (p *poller) report(ctx context.Context, err error) {
	if err != nil && ctx.Err() != nil {
		return
	}
	switch {
	case err != nil:
		p.metrics.polls.WithLabelValues("failed").Inc()
		if !p.failing {
			p.log.Warn("cannot read the version URL; the version stays", "cause", err)
		}
	case p.failing:
		p.log.Info("version URL works again")
	}
	p.failing = err != nil
}

// poll reads the URL once. A version counts as seen only when it has been published.
func (p *poller) poll(ctx context.Context) error {
	v, etag, err := p.fetch(ctx)
	if err != nil {
		return err
	}
	// Another backend, or this one before a restart, may have published it.
	current, _, err := p.versions.newest(ctx)
	if err != nil {
		return fmt.Errorf("read the current version: %w", err)
	}
	switch {
	case v == (Version{}), v == p.last, v == current:
		p.metrics.polls.WithLabelValues("unchanged").Inc()
	default:
		if _, err := p.versions.publish(ctx, "", v); err != nil {
			return fmt.Errorf("publish version: %w", err)
		}
		p.metrics.polls.WithLabelValues("changed").Inc()
	}
	if v != (Version{}) {
		p.last, p.etag = v, etag
	}
	return nil
}

// fetch reads the version at the URL. The zero Version means that it is unchanged.
func (p *poller) fetch(ctx context.Context) (Version, string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, p.url, nil)
	if err != nil {
		return Version{}, "", withoutURL(err)
	}
	req.Header.Set("Accept", "application/json, text/plain")
	if p.etag != "" {
		req.Header.Set("If-None-Match", p.etag)
	}
	res, err := p.http.Do(req)
	if err != nil {
		return Version{}, "", withoutURL(err)
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode == http.StatusNotModified && p.etag != "" {
		return Version{}, "", nil
	}
	if res.StatusCode != http.StatusOK {
		return Version{}, "", fmt.Errorf("status %d", res.StatusCode)
	}
	body, err := io.ReadAll(io.LimitReader(res.Body, maxPollBytes+1))
	if err != nil {
		return Version{}, "", fmt.Errorf("read version: %w", err)
	}
	v, err := parseVersion(res.Header.Get("Content-Type"), body)
	return v, res.Header.Get("ETag"), err
}

// parseVersion parses {"version":…,"changelog":…} or one line of plain text. It refuses
// HTML, which many servers send in place of a missing file.
func parseVersion(contentType string, body []byte) (Version, error) {
	if len(body) > maxPollBytes {
		return Version{}, fmt.Errorf("more than %d bytes", maxPollBytes)
	}
	media, _, _ := mime.ParseMediaType(contentType)
	body = bytes.TrimSpace(body)
	var v Version
	switch {
	case media == "text/html" || bytes.HasPrefix(body, []byte("<")):
		return Version{}, errors.New("got a page of HTML, want JSON or plain text")
	case isJSON(contentType) || bytes.HasPrefix(body, []byte("{")):
		if err := json.Unmarshal(body, &v); err != nil {
			return Version{}, fmt.Errorf("version is not JSON: %w", err)
		}
	default:
		v.Version = string(body)
		if strings.ContainsFunc(v.Version, unicode.IsControl) {
			return Version{}, errors.New("version has more than one line")
		}
	}
	if err := v.check(); err != nil {
		return Version{}, err
	}
	return v, nil
}

// withoutURL takes the URL off an error of net/http: it may hold a secret.
func withoutURL(err error) error {
	if e, ok := errors.AsType[*url.Error](err); ok {
		return e.Err
	}
	return err
}
