package task

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
)

// DecodeParams decodes the parameters of a task into *v, strictly: an unknown key or a
// value of the wrong type is an error that names it. Fill v with the defaults before.
// [Register] does this for types whose parameters are known in Go.
func DecodeParams(raw json.RawMessage, v any) error {
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.DisallowUnknownFields()
	if err := dec.Decode(v); err != nil {
		if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
			return fmt.Errorf("%s must be %s, not %s", wrong.Field, inWords(wrong.Type), wrong.Value)
		}
		return err
	}
	if _, err := dec.Token(); err != io.EOF {
		return errors.New("params has something after its end")
	}
	return nil
}

// inWords names a type in the words of JSON.
func inWords(t reflect.Type) string {
	switch {
	case t.Kind() == reflect.String:
		return "a string"
	case t.Kind() == reflect.Bool:
		return "true or false"
	case t.Kind() == reflect.Float64 || t.Kind() == reflect.Float32:
		return "a number"
	case t.ConvertibleTo(reflect.TypeFor[int]()):
		return "a whole number"
	default:
		return t.String()
	}
}
