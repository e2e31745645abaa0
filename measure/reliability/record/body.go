package record

import (
	"fmt"
	"strconv"
	"strings"
)

// Body is the content of a run's event. It identifies the event in the records.
type Body struct {
	Global    uint64
	Publisher int
	Topic     int
	Number    int
}

// Text returns the data of an event, padded with dots to size bytes.
func (b Body) Text(size int) string {
	text := fmt.Sprintf("%d %d %d %d ", b.Global, b.Publisher, b.Topic, b.Number)
	return text + strings.Repeat(".", max(0, size-len(text)))
}

// ParseBody parses the data of an event. It returns an error that wraps
// [ErrInvalid] for everything that Text does not produce.
func ParseBody(data string) (Body, error) {
	fields := strings.Split(data, " ")
	if len(fields) != 5 || strings.Trim(fields[4], ".") != "" {
		return Body{}, fmt.Errorf("%w: %.80q is not an event of a run", ErrInvalid, data)
	}
	global, err := strconv.ParseUint(fields[0], 10, 64)
	b := Body{Global: global}
	for i, into := range []*int{&b.Publisher, &b.Topic, &b.Number} {
		if err == nil {
			*into, err = strconv.Atoi(fields[1+i])
		}
	}
	if err != nil || b.Text(len(data)) != data {
		return Body{}, fmt.Errorf("%w: %.80q is not an event of a run", ErrInvalid, data)
	}
	return b, nil
}
