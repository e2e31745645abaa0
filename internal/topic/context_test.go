package topic_test

import "context"

// ctx is for calls that wait for nobody.
var ctx = context.Background()
