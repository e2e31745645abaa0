package nats

import (
	"cmp"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"strconv"
	"strings"
	"time"

	natsgo "github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"tidegate/internal/backoff"
)

const (
	// Servers before this one lose acknowledged messages in cases that it fixed.
	oldestMajor, oldestMinor = 2, 15

	connectRetry = 250 * time.Millisecond // pause between attempts of Open
	answerWait   = 3 * time.Second        // for one answer of JetStream
)

// openExternal connects to an external server and checks that it has what is needed.
func (e *Engine) openExternal(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, e.opts.ConnectWait)
	defer cancel()
	access, err := e.accessOptions()
	if err != nil {
		return err
	}
	if e.nc, err = connect(ctx, e.opts.URLs, append(e.connectOptions(), access...)); err != nil {
		return fmt.Errorf("connect to NATS at %s: %w", redacted(e.opts.URLs), err)
	}
	if e.js, err = jetstream.New(e.nc); err != nil {
		return err
	}
	if err = e.checkServerFits(ctx); err == nil {
		err = e.refuseFormer(ctx)
	}
	if err != nil {
		return fmt.Errorf("NATS at %s: %w", redacted([]string{e.nc.ConnectedUrl()}), err)
	}
	e.opts.Prefix = cmp.Or(e.opts.Prefix, defaultPrefix)
	return nil
}

// connect tries until ctx ends, because a cluster may start together with this process. It
// gives up when a server refuses for a reason that does not pass by itself.
func connect(ctx context.Context, urls []string, options []natsgo.Option) (*natsgo.Conn, error) {
	for {
		nc, err := natsgo.Connect(strings.Join(urls, ","), options...)
		if err == nil {
			return nc, nil
		}
		if isRefusal(err) || backoff.Wait(ctx, connectRetry) != nil {
			return nil, err
		}
	}
}

// isRefusal reports whether a server refused this client, or this client the server's
// certificate, or a file with credentials cannot be read.
func isRefusal(err error) bool {
	for _, refusal := range []error{
		natsgo.ErrAuthorization, natsgo.ErrAuthExpired, natsgo.ErrAuthRevoked, natsgo.ErrAccountAuthExpired,
		natsgo.ErrSecureConnRequired, natsgo.ErrSecureConnWanted, natsgo.ErrNkeysNotSupported,
	} {
		if errors.Is(err, refusal) {
			return true
		}
	}
	_, unknown := errors.AsType[x509.UnknownAuthorityError](err)
	_, name := errors.AsType[x509.HostnameError](err)
	_, invalid := errors.AsType[x509.CertificateInvalidError](err)
	_, file := errors.AsType[*fs.PathError](err) // a certificate of ours
	return unknown || name || invalid || file
}

// accessOptions are the credentials and certificates.
func (e *Engine) accessOptions() ([]natsgo.Option, error) {
	o, options := e.opts, []natsgo.Option{natsgo.Timeout(answerWait)}
	if o.Credentials != "" {
		options = append(options, natsgo.UserCredentials(o.Credentials))
	}
	if o.NKey != "" {
		nkey, err := natsgo.NkeyOptionFromSeed(o.NKey)
		if err != nil {
			return nil, fmt.Errorf("nkey file %s: %w", o.NKey, err)
		}
		options = append(options, nkey)
	}
	if o.User != "" {
		options = append(options, natsgo.UserInfo(o.User, o.Password))
	}
	if o.Token != "" {
		options = append(options, natsgo.Token(o.Token))
	}
	return append(options, e.certificates.clientOptions()), nil
}

// connectOptions are common to both kinds of servers. The client buffers nothing while
// there is no connection: late messages must not be sent as if they were new.
func (e *Engine) connectOptions() []natsgo.Option {
	return []natsgo.Option{
		natsgo.Name("tidegate " + e.opts.Command + "/" + e.opts.Node),
		natsgo.MaxReconnects(-1),
		natsgo.ReconnectBufSize(-1),
		natsgo.ReconnectWait(500 * time.Millisecond),
		natsgo.ReconnectJitter(500*time.Millisecond, 500*time.Millisecond), // all nodes lose a server at once
		natsgo.PingInterval(5 * time.Second),                               // a dead peer is noticed in 15 s, not in 4 minutes
		natsgo.MaxPingsOutstanding(2),
		natsgo.IgnoreAuthErrorAbort(), // the user may correct the credentials meanwhile
		natsgo.DisconnectErrHandler(func(_ *natsgo.Conn, err error) {
			if err != nil {
				e.log.Warn("disconnected", "err", err)
			}
			e.CheckNow()
		}),
		natsgo.ReconnectHandler(func(nc *natsgo.Conn) {
			e.log.Info("connected again", "server", nc.ConnectedServerName())
			e.CheckNow()
		}),
		natsgo.ReconnectErrHandler(func(_ *natsgo.Conn, err error) { e.log.Debug("connect again", "err", err) }),
		natsgo.ErrorHandler(func(_ *natsgo.Conn, _ *natsgo.Subscription, err error) { e.onServerError(err) }),
	}
}

// onServerError takes errors that the server reports without a request.
func (e *Engine) onServerError(err error) {
	if !errors.Is(err, natsgo.ErrPermissionViolation) {
		e.log.Warn("NATS reports", "err", err)
		return
	}
	if strings.Contains(err.Error(), subjectServers) { // Warnings reports it
		e.log.Debug("not permitted", "err", err)
		return
	}
	e.log.Error("not permitted: give the user the right to it", "err", err)
	e.mu.Lock()
	e.refused = err
	giveUp := e.onRefused
	e.mu.Unlock()
	giveUp()
}

// untilRefused gives a context that ends when the server reports that something is not
// permitted: such a request gets no other answer. One goroutine at a time uses it.
func (e *Engine) untilRefused(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	e.mu.Lock()
	defer e.mu.Unlock()
	e.refused, e.onRefused = nil, cancel
	return ctx, cancel
}

// refusal is what was not permitted since untilRefused, nil for nothing.
func (e *Engine) refusal() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.refused
}

// checkServerFits returns an error if a server lacks something that is needed.
func (e *Engine) checkServerFits(ctx context.Context) error {
	if version := e.nc.ConnectedServerVersion(); !isRecent(version) {
		return fmt.Errorf("version %s is too old: want %d.%d or later", version, oldestMajor, oldestMinor)
	}
	if need := e.opts.MaxBody + smallestEnvelope; e.nc.MaxPayload() < need {
		return fmt.Errorf("max_payload is %d bytes, and events of up to %d need %d: raise max_payload in the server's configuration, or lower --max-body to %d",
			e.nc.MaxPayload(), e.opts.MaxBody, need, e.nc.MaxPayload()-smallestEnvelope)
	}
	ctx, cancel := e.untilRefused(ctx)
	defer cancel()
	for {
		err := e.askJetStream(ctx)
		switch {
		case err == nil:
			return nil
		case errors.Is(err, jetstream.ErrJetStreamNotEnabledForAccount):
			return fmt.Errorf("JetStream is not enabled for this account: %w", err)
		case e.refusal() != nil:
			return fmt.Errorf("JetStream may not be used: %w", e.refusal())
		case backoff.Wait(ctx, connectRetry) != nil:
			return fmt.Errorf("JetStream does not answer: is it enabled, and does the cluster have a leader? %w", err)
		}
	}
}

// askJetStream makes the cheapest request that JetStream answers.
func (e *Engine) askJetStream(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, answerWait)
	defer cancel()
	_, err := e.js.AccountInfo(ctx)
	return err
}

// isRecent reports whether a server's version is supported.
func isRecent(version string) bool {
	major, rest, _ := strings.Cut(strings.TrimPrefix(version, "v"), ".")
	minor, _, _ := strings.Cut(rest, ".")
	a, errA := strconv.Atoi(major)
	b, errB := strconv.Atoi(minor)
	return errA == nil && errB == nil && (a > oldestMajor || a == oldestMajor && b >= oldestMinor)
}

// redacted lists URLs without the secrets in them.
func redacted(urls []string) string {
	var safe []string
	for _, raw := range urls {
		u, err := parseURL(raw)
		if err != nil {
			continue
		}
		if _, both := u.User.Password(); !both && u.User != nil {
			u.User = url.User("xxxxx") // a token
		}
		safe = append(safe, u.Redacted())
	}
	return strings.Join(safe, ", ")
}

// parseURL parses as the client does: nats:// may be left out.
func parseURL(raw string) (*url.URL, error) {
	if !strings.Contains(raw, "://") {
		raw = "nats://" + raw
	}
	return url.Parse(raw)
}
