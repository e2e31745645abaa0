package gateway_test

import (
	"encoding/json"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"tidegate/internal/gateway"
)

// document is the OpenAPI document as decoded JSON.
type document map[string]any

func readDocument(t testing.TB) document {
	t.Helper()
	var d document
	if err := json.Unmarshal(gateway.OpenAPI, &d); err != nil {
		t.Fatalf("openapi.json: %v", err)
	}
	return d
}

// at walks down objects; nil if there is nothing.
func at(node any, path ...string) any {
	for _, name := range path {
		object, _ := node.(map[string]any)
		node = object[name]
	}
	return node
}

// follow resolves a reference, if node is one.
func (d document) follow(node any) any {
	for {
		ref, ok := at(node, "$ref").(string)
		if !ok {
			return node
		}
		node = at(map[string]any(d), strings.Split(strings.TrimPrefix(ref, "#/"), "/")...)
		if node == nil {
			panic("openapi.json: nothing at " + ref)
		}
	}
}

// operation is one method of one path.
type operation struct {
	method, path string
	node         any
}

func (d document) operations() map[string]operation {
	found := map[string]operation{}
	for path, item := range at(map[string]any(d), "paths").(map[string]any) {
		for _, method := range []string{"get", "post", "delete", "options", "put", "patch", "head"} {
			if node := at(item, method); node != nil {
				found[at(node, "operationId").(string)] = operation{strings.ToUpper(method), path, node}
			}
		}
	}
	return found
}

// check compares a decoded value with a schema and lists what does not fit. It
// knows as much of JSON Schema as the document uses. An object with a list of
// what it requires may have no fields beside its properties, so that what the
// gateway says more than its document is found.
func (d document) check(schema, value any, where string) (faults []string) {
	s, _ := d.follow(schema).(map[string]any)
	fault := func(format string, args ...any) {
		faults = append(faults, where+": "+fmt.Sprintf(format, args...))
	}
	if want, ok := s["const"]; ok && !reflect.DeepEqual(value, want) {
		fault("is %v, want %v", value, want)
	}
	if list, ok := s["enum"].([]any); ok && !slices.Contains(list, value) {
		fault("is %v, want one of %v", value, list)
	}
	for _, part := range list(s["allOf"]) {
		faults = append(faults, d.check(part, value, where)...)
	}
	if options := list(s["oneOf"]); options != nil {
		fits := 0
		for _, option := range options {
			if len(d.check(option, value, where)) == 0 {
				fits++
			}
		}
		if fits != 1 {
			fault("fits %d of the %d schemas of oneOf", fits, len(options))
		}
	}
	if kind, ok := s["type"]; ok && kind != kindOf(value) {
		fault("is %s %v, want %v", kindOf(value), value, kind)
		return faults
	}
	switch v := value.(type) {
	case map[string]any:
		faults = append(faults, d.checkObject(s, v, where)...)
	case []any:
		if least, ok := s["minItems"].(float64); ok && float64(len(v)) < least {
			fault("has %d items, want %v", len(v), least)
		}
		for i, item := range v {
			faults = append(faults, d.check(s["items"], item, fmt.Sprint(where, "[", i, "]"))...)
		}
	case string:
		if n := float64(utf8.RuneCountInString(v)); !within(n, s["minLength"], s["maxLength"]) {
			fault("has %v characters", n)
		}
		if p, ok := s["pattern"].(string); ok && !regexp.MustCompile(p).MatchString(v) {
			fault("%q does not match %s", v, p)
		}
	case float64:
		if !within(v, s["minimum"], s["maximum"]) || s["type"] == "integer" && v != float64(int64(v)) {
			fault("%v is out of bounds", v)
		}
	}
	return faults
}

func (d document) checkObject(s, v map[string]any, where string) (faults []string) {
	for _, name := range list(s["required"]) {
		if _, ok := v[name.(string)]; !ok {
			faults = append(faults, fmt.Sprintf("%s: has no %s", where, name))
		}
	}
	properties, _ := s["properties"].(map[string]any)
	for name, field := range v {
		schema, ok := properties[name]
		if !ok {
			schema = s["additionalProperties"]
		}
		_, closed := s["required"]
		if schema == nil && closed && properties != nil {
			faults = append(faults, fmt.Sprintf("%s: has %s, which is not described", where, name))
		}
		if schema != nil {
			faults = append(faults, d.check(schema, field, where+"."+name)...)
		}
	}
	return faults
}

func list(node any) []any {
	items, _ := node.([]any)
	return items
}

func within(n float64, low, high any) bool {
	least, hasLeast := low.(float64)
	most, hasMost := high.(float64)
	return (!hasLeast || n >= least) && (!hasMost || n <= most)
}

// kindOf names a value's type; whole numbers are integers.
func kindOf(value any) string {
	switch v := value.(type) {
	case nil:
		return "null"
	case bool:
		return "boolean"
	case string:
		return "string"
	case float64:
		if v == float64(int64(v)) {
			return "integer"
		}
		return "number"
	case []any:
		return "array"
	}
	return "object"
}
