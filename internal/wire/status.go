package wire

// ClusterStatus is the answer to GET /internal/cluster: the state of the storage.
type ClusterStatus struct {
	Node       string         `json:"node,omitempty"` // the node that answers; "" without other nodes
	Mode       string         `json:"mode"`           // "embedded" or "external"
	Server     string         `json:"server"`         // the NATS server that the node is connected to
	Version    string         `json:"version"`        // of the NATS server
	Cluster    string         `json:"cluster,omitempty"`
	URL        string         `json:"url,omitempty"`        // without secrets; external only
	Listen     string         `json:"listen,omitempty"`     // where embedded storage serves other machines
	Generation string         `json:"generation,omitempty"` // first part of all event ids
	Durability string         `json:"durability,omitempty"` // of embedded storage
	Disk       *DiskStatus    `json:"disk,omitempty"`       // of the data folder
	Streams    []StreamStatus `json:"streams"`
	Nodes      []string       `json:"nodes"`              // nodes that are alive
	Health     []string       `json:"health"`             // problems, those of other nodes with their names; empty if there is none
	Warnings   []string       `json:"warnings,omitempty"` // settings or states that work but are probably not intended
}

// DiskStatus is the space of a file system, in bytes.
type DiskStatus struct {
	Free  int64 `json:"free"`
	Total int64 `json:"total"`
}

// StreamStatus is a stream or bucket of the storage.
type StreamStatus struct {
	Name     string   `json:"name"`
	Messages uint64   `json:"messages"`
	Bytes    uint64   `json:"bytes"`
	MaxBytes int64    `json:"max_bytes"`
	First    uint64   `json:"first"` // positions
	Last     uint64   `json:"last"`
	Replicas int      `json:"replicas"`
	Leader   string   `json:"leader,omitempty"`  // server that leads it; "" while none does
	Lag      uint64   `json:"lag"`               // operations by which the slowest replica is behind
	Offline  []string `json:"offline,omitempty"` // servers whose replicas are offline
	Error    string   `json:"error,omitempty"`   // why nothing else is known about it

	// For the log of one process only.
	Segments int    `json:"segments,omitempty"` // files
	Topics   int    `json:"topics,omitempty"`
	Holes    uint64 `json:"holes,omitempty"` // ranges of events that are missing because files are damaged
}
