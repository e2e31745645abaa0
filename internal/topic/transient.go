package topic

import (
	"tidegate/internal/stream"
	"tidegate/sse"
)

// PublishTransient queues an event for the streams that are at a topic, and returns how
// many they are. The event has no id, is in no log, and creates no topic. Each stream
// receives it after all that was published before, and after what is being replayed to
// it. It returns an error of the event's name.
func (h *Hub) PublishTransient(b *stream.Batch, p Publication) (receivers int, err error) {
	block, err := sse.Append(make([]byte, stream.Room, stream.Room+len(p.Name)+len(p.Data)+32), sse.Event{Name: p.Name, Data: p.Data})
	if err != nil {
		return 0, err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	l, ok := h.topics[p.Topic]
	if !ok {
		return 0, nil
	}
	h.finishFanOut(b, l)
	f := stream.NewFrame(block, stream.Room, event{seq: h.seq}.order()+1) // after all that is merged later
	for _, s := range l.subs {
		h.deliverPending(b, s.member)
		if s.member.sink.Push(b, f) == nil {
			receivers++
		}
	}
	if receivers > 0 {
		h.delivered.Add(1)
	}
	return receivers, nil
}
