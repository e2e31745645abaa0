package wire

// Action is what a callback tells of.
type Action string

// The two actions.
const (
	Connect    Action = "connect"
	Disconnect Action = "disconnect"
)

// Callback is the body of the POST that tells the backend of a connect or a
// disconnect. The fields up to Request are the original contract, in its
// order; receivers ignore the rest if they do not know it.
type Callback struct {
	Action  Action  `json:"action"`
	Reason  Reason  `json:"reason,omitempty"` // disconnect only
	Token   string  `json:"token"`
	Request Request `json:"request"`

	Detail     Detail `json:"detail,omitempty"`      // disconnect only
	DurationMS *int64 `json:"duration_ms,omitempty"` // disconnect only: since the connect began
	// Undelivered counts the events that were accepted for this token and
	// never handed to its socket. Disconnect only; absent when 0.
	Undelivered int `json:"undelivered,omitempty"`
	// Redelivered says that the disconnect may have been told before, by a gateway
	// that is gone: a receiver that must not count twice looks the token up.
	// Disconnect only.
	Redelivered bool   `json:"redelivered,omitempty"`
	Gateway     string `json:"gateway,omitempty"` // id of the gateway process
}

// Request is the client's request as the gateway got it.
type Request struct {
	URL        string            `json:"url"`     // the raw request target, byte for byte
	Headers    map[string]string `json:"headers"` // lower-case names; repeats joined
	Method     string            `json:"method,omitempty"`
	RemoteAddr string            `json:"remote_addr,omitempty"`
}
