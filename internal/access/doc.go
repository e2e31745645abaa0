// Package access decides who may call: by secret, by the name that a client
// calls the server by, and by the page that a browser's request comes from.
//
// [Secrets] are bearer tokens that can be rotated. [Names] checks the Host header, which stops DNS
// rebinding. [Sites] checks Sec-Fetch-Site and Origin, which stops requests of another site's pages.
// [Guard] puts these checks in front of handlers, and [Login] gives browsers a cookie for a token.
package access
