package backend

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// encode renders v as JSON without the escapes for HTML, which would only make
// events larger. v is one of this package's own types, which always encode.
func encode(v any) []byte {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(v); err != nil {
		panic(fmt.Sprintf("backend: encode %T: %v", v, err))
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}
