package nats

import (
	"errors"
	"slices"

	"github.com/nats-io/nats-server/v2/server"
	natsgo "github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Error codes of JetStream, as the server numbers them. The client library has names
// for few of them.
const (
	codeNoPeers         = jetstream.ErrorCode(server.JSClusterNoPeersErrF)
	codeNoLeader        = jetstream.ErrorCode(server.JSClusterNotAvailErr)
	codeNoResources     = jetstream.ErrorCode(server.JSInsufficientResourcesErr)
	codeNoMemory        = jetstream.ErrorCode(server.JSMemoryResourcesExceededErr)
	codeNoStorage       = jetstream.ErrorCode(server.JSStorageResourcesExceededErr)
	codeNotReplicated   = jetstream.ErrorCode(server.JSStreamReplicasNotSupportedErr)
	codeNoReplicaLimits = jetstream.ErrorCode(server.JSNoLimitsErr)
	codeStoreFailed     = jetstream.ErrorCode(server.JSStreamStoreFailedF) // its text says why

	// CodeTooLarge: the message is larger than the stream takes.
	CodeTooLarge = jetstream.ErrorCode(server.JSStreamMessageExceedsMaximumErr)
	// CodeWrongSequence: the subject's last message is another one; the text ends with
	// its number.
	CodeWrongSequence = jetstream.ErrorCode(server.JSStreamWrongLastSequenceErrF)
	// CodeSubjectBusy: a replicated stream is storing another message at the subject.
	CodeSubjectBusy = jetstream.ErrorCode(server.JSStreamWrongLastSequenceConstantErr)
	// CodeDuplicateBusy: a message with the same Msg-Id is being stored.
	CodeDuplicateBusy = jetstream.ErrorCode(server.JSStreamDuplicateMessageConflict)
)

// APIError is what JetStream answered; its zero value is for other errors.
func APIError(err error) jetstream.APIError {
	if api, ok := errors.AsType[*jetstream.APIError](err); ok {
		return *api
	}
	if js, ok := errors.AsType[jetstream.JetStreamError](err); ok && js.APIError() != nil {
		return *js.APIError()
	}
	return jetstream.APIError{}
}

// IsWrongSequence reports whether a write was refused because its subject's last
// message is not the one that was expected.
func IsWrongSequence(err error) bool {
	code := APIError(err).ErrorCode
	return code == CodeWrongSequence || code == CodeSubjectBusy
}

// IsSubjectTaken reports whether a write was refused because its subject has a message
// already, and takes no second one.
func IsSubjectTaken(err error) bool {
	api := APIError(err)
	return api.ErrorCode == codeStoreFailed && api.Description == server.ErrMaxMsgsPerSubject.Error()
}

// IsFull reports whether a stream has no room for a message. It never will have if the message
// is too large for the stream or the connection.
func IsFull(err error) bool {
	if errors.Is(err, natsgo.ErrMaxPayload) {
		return true
	}
	switch api := APIError(err); api.ErrorCode {
	case codeNoResources, codeNoStorage, codeNoMemory, CodeTooLarge:
		return true
	case codeStoreFailed:
		texts := []string{server.ErrMaxBytes.Error(), server.ErrMaxMsgs.Error(), server.ErrMsgTooLarge.Error()}
		return slices.Contains(texts, api.Description)
	default:
		return false
	}
}
