package gateway

// What tests from outside the package look at.
var (
	InternalRoutes = (*Gateway).internalRoutes
	OpenAPI        = openapi
	RequestOf      = requestOf
)

// Bounds that tests reach.
const (
	MaxBatchLines = maxBatchLines
	MaxStreamBody = maxStreamBody
	ComeBack      = comeBack
)
