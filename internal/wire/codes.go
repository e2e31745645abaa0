package wire

// Codes lists every code, for metrics and for the reference pages.
func Codes() []Code {
	return []Code{
		CodeTokenMissing, CodeEventType, CodeEventDataMissing, CodeEventNameType,
		CodeEventName, CodeCloseType, CodeTransient, CodeEventMissing,
		CodeTarget, CodeTopic, CodeTopics, CodeAbsent,
		CodeOverride, CodeFrom, CodeIdempotencyKey, CodeParameter,
		CodeJSON, CodeMediaType, CodeBodyTooLarge, CodeTokenNotFound,
		CodeTopicNotFound, CodeTopicClosed, CodeIdempotency, CodeBufferFull,
		CodeTooManyTopics, CodeTooManyConnections, CodeAddressLimit, CodeConnectRate,
		CodeInflight, CodeHeadersFull, CodeBodyTooSlow, CodeHeaderTooLarge,
		CodeDraining, CodeUnauthorized, CodeForbidden, CodeUnknownHost,
		CodeCrossSite, CodeNotFound, CodeMethodNotAllowed, CodeNotConfigured,
		CodeBackendAuthFailed, CodeBackendForbidden, CodeBackendError, CodeBackendUnavailable,
		CodeGatewayTimeout, CodeEngineUnavailable, CodeEngineFull, CodeNodeBusy,
		CodeInternal,
	}
}
