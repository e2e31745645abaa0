package socket

import (
	"net"
	"os"
	"strings"
)

// States for [Notify], see sd_notify(3).
const (
	Ready    = "READY=1"
	Stopping = "STOPPING=1"
	// Starting asks for one more minute before the start counts as failed.
	Starting = "EXTEND_TIMEOUT_USEC=60000000"
)

// Notify reports a state to the service manager, such as systemd. Without one (NOTIFY_SOCKET is not
// set) it does nothing.
func Notify(states ...string) error {
	path := os.Getenv("NOTIFY_SOCKET")
	if path == "" {
		return nil
	}
	c, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		return err
	}
	defer c.Close()
	_, err = c.Write([]byte(strings.Join(states, "\n")))
	return err
}
