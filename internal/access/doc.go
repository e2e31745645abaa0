// Package access decides who may call: by secret, by the name that a client
// calls the server by, and by the page that a browser's request comes from.
//
// [Secrets] are bearer tokens that can be rotated. [Names] is the check of the
// Host header, which stops DNS rebinding. [Sites] is the check of Sec-Fetch-Site
// and Origin, which stops requests that another site's page makes. [Guard] puts
// them in front of handlers.
package access
