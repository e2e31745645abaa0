package wire

// Action is what a callback reports.
type Action string

// The two actions.
const (
	Connect    Action = "connect"
	Disconnect Action = "disconnect"
)

// Callback is the body of the POST that reports a connect or a disconnect to the backend. The fields up
// to Request are those of the Node gateway, in its order. Receivers ignore fields that they do not
// know.
type Callback struct {
	Action  Action  `json:"action"`
	Reason  Reason  `json:"reason,omitempty"` // disconnect only
	Token   string  `json:"token"`
	Request Request `json:"request"`

	Detail     Detail `json:"detail,omitempty"`      // disconnect only
	DurationMS *int64 `json:"duration_ms,omitempty"` // disconnect only: since the connect began
	// Undelivered is the number of events that were accepted for this token and never written to its
	// socket. Disconnect only; absent when 0.
	Undelivered int `json:"undelivered,omitempty"`
	// Redelivered says that a gateway which is gone may have sent this disconnect before. A receiver
	// that must not count it twice looks the token up. Disconnect only.
	Redelivered bool   `json:"redelivered,omitempty"`
	Gateway     string `json:"gateway,omitempty"` // id of the gateway process
}

// Request is the client's request as the gateway received it.
type Request struct {
	URL        string            `json:"url"`     // the raw request target, byte for byte
	Headers    map[string]string `json:"headers"` // lower-case names; repeats joined
	Method     string            `json:"method,omitempty"`
	RemoteAddr string            `json:"remote_addr,omitempty"`
}
