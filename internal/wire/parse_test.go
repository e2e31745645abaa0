package wire_test

import (
	"bytes"
	"reflect"
	"slices"
	"strings"
	"testing"

	"tidegate/internal/wire"
)

// bodies are JSON texts, and nearly such, in which a scanner can go wrong.
var bodies = []string{
	// White space: JSON knows four kinds of it; around the whole body all of Unicode's are let pass.
	"\t\r\n {\t\"token\"\r:\n\"t\" ,\"event\" : { \"data\" : \"d\" , \"name\" : \"n\" } , \"close\" : true }\u00a0\u2028\v", "\u00a0{\"token\":\"t\"}", "{\v\"token\":\"t\"}", "{\u00a0}", "\ufeff{\"token\":\"t\"}", "{\"token\":\"t\"\x00}", "\x00", "{}\x00", "[]\x00",
	// Unfinished, and more than one.
	`{`, `{"`, `{"token`, `{"token"`, `{"token":`, `{"token":"`, `{"token":"t`, `{"token":"t"`, `{"token":"t",`, `{"token":"t","event":{`, `{"token":"t","event":{"data":"d"`, `{"token":"t","event":{"data":"d"}`, `[`, `[1`, `[1,`, `[1,]`, `[,1]`, `[}`, `{]`, `{}]`, `{"token":"t"}}`, `[[]`, `[]]`, `{}{}`, `{"a":[1}`, `{"a":{"b":1]}`, `{"a" 1}`, `{"a":1 "b":2}`, `{"a":1,,"b":2}`, `{,}`, `{:}`, `{1:2}`, `{null:1}`, `[1 2]`, `[:]`, `["a":1]`, `{"a"}`, `{"a",1}`, `{"a":,}`,
	// Names: byte for byte once they are unescaped.
	`{"\u0074oken":"t"}`, `{"\u0074OKEN":"t"}`, `{"tok\u0065n":"a","token":"b"}`, `{"token":"a","tok\u0065n":"b"}`, `{"token\u0000":"t"}`, "{\"token\xff\":\"t\"}", `{"token\ufffd":"t"}`, `{"":"t"}`, `{"token":"t","event":{"d\u0061ta":"d","\u006eame":"n"}}`, `{"\x74oken":"t"}`,
	// Repeats.
	`{"token":"a","token":"b"}`, `{"token":"a","token":null}`, `{"token":"t","event":{"data":"a","name":"b"},"event":{"data":"c"}}`, `{"token":"t","event":{"data":"a"},"event":[]}`, `{"token":"t","event":[],"event":{"data":"a"}}`, `{"token":"t","event":{"data":"a","data":1}}`, `{"token":"t","event":{"data":1,"data":"a","name":0,"name":"n"}}`, `{"token":"t","close":1,"close":true}`, `{"topic":"a","token":"t","topic":"b"}`,
	// Texts. A scanner that looks at several bytes at a time has each byte at each place.
	`{"token":"a b"}`, `{"token":" !#[]^_~"}`, "{\"token\":\"abcdefg\x1fabcdefg\"}", "{\"token\":\"a\x1fb c d e f g h\"}", "{\"token\":\"!\x80 \xa2\xdc\x9f\"}",
	`{"token":"\"\\\/\b\f\n\r\t\u00e9\u4e16\ud83d\ude00"}`, `{"token":"\ud800"}`, `{"token":"\ud800\ud800\udc00"}`, `{"token":"\udc00\ud800"}`, `{"token":"\ud800\n"}`, `{"token":"\ud800\\udc00"}`, `{"token":"\ud800x\udc00"}`, `{"token":"\uD83D\uDE00\uFFFD"}`, `{"token":"\ud83d\u00"}`, `{"token":"\u12"}`, `{"token":"\u12g4"}`, `{"token":"\u"}`, `{"token":"\`, `{"token":"\u123`, `{"token":"\'"}`, `{"token":"\a"}`, `{"token":"\U0041"}`, "{\"token\":\"a\nb\"}", "{\"token\":\"a\x1fb\"}", "{\"token\":\"\x7f\"}", "{\"token\":\"\x00\"}", "{\"token\":\"\\\x00\"}",
	"{\"token\":\"\x80\"}", "{\"token\":\"a\xe4\xb8b\"}", "{\"token\":\"\xf0\x9f\x98\"}", "{\"token\":\"\xed\xa0\x80\"}", "{\"token\":\"\xc0\xaf\"}", "{\"token\":\"\xf4\x90\x80\x80\"}", "{\"token\":\"\xe4\\n\xb8\x96\"}", "{\"token\":\"\xef\xbf\xbd\"}", "{\"token\":\"世界 — 東京 é 😀\"}", `{"token":"世\t界"}`, "{\"token\":\"1234567\xff\"}", "{\"token\":\"12345678\xff\"}",
	// Numbers and words.
	`{"token":"t","n":0}`, `{"token":"t","n":-0}`, `{"token":"t","n":01}`, `{"token":"t","n":-}`, `{"token":"t","n":+1}`, `{"token":"t","n":1.}`, `{"token":"t","n":.5}`, `{"token":"t","n":1.5e}`, `{"token":"t","n":1e+}`, `{"token":"t","n":-12.50E-07}`, `{"token":"t","n":1e999999}`, `{"token":"t","n":0x1}`, `{"token":"t","n":1_0}`, `{"token":"t","n":NaN}`, `{"token":"t","n":--1}`, `{"token":"t","n":0e0}`, `{"token":"t","n":00}`, `{"token":"t","n":1.2.3}`,
	`{"token":"t","n":nul}`, `{"token":"t","n":nulll}`, `{"token":"t","n":tru`, `{"token":"t","n":True}`, `{"token":"t","n":falsetrue}`, `{"token":"t","close":falsе}`, `{"token":"t","n":undefined}`, `{"token":"t","n":true,"o":false,"p":null}`,
	// Unknown fields of any shape.
	`{"a":[],"b":{},"c":[[],{}],"d":{"e":[{"f":[1,"x",true,null,{"token":"no","event":[]}]}]},"token":"t"}`, `{"event":{"a":{"data":"no","b":[{"name":"no"}]},"data":"d"},"token":"t"}`, `{"a":[{"b":1},[2,[3]],"\"]"],"token":"t"}`, `[{"a":[1,2,{"b":null}]},"]"]`, `[{"a":1,}]`, `[{"a":[}]`,
	`{"event":{"name":0,"data":0},"close":0,"idempotency_key":0,"topic":0,"token":0}`, `{"topic":"a","idempotency_key":"\u006b","close":true,"event":{"data":"\u0022"}}`, `{"topic":"a","idempotency_key":"` + strings.Repeat("é", 129) + `"}`, `{"topic":"` + strings.Repeat("x", 257) + `"}`,
	`{"token":"t","topics":["a",null]}`, `{"token":"t","topics":[["a"]]}`, `{"token":"t","topics":["\u0061"],"from":"\u0031-2"}`, `{"token":"t","topics":null}`, `{"token":"t","topics":["a"],"topics":["b"] , "from":"x","from":"y"}`, `{"token":"t","topics":["a"],"from":["x"]}`,
	`{"topic":"a","event":{"transient":true,"data":"d","transient":false,"tr\u0061nsient":true}}`, `{"topic":"a","event":{"transient":true,"data":"d"},"event":{"data":"e"}}`, `{"topic":"a","event":{"data":"e"},"event":{"data":"d","transient":[]}}`,
	`{"token":"t","absent":[{"topic":"\u0062","events":[{"name":"\u006e","data":"d\n","data":"e"},{"x":[],"data":""}],"y":{}},{"topic":"c","events":[{"data":"f"}]}],"from":"earliest","override":true}`,
	`{"token":"t","absent":[{"topic":"b","events":[{"data":"d"}]},null]}`, `{"token":"t","absent":[{"topic":"b","events":[null]}]}`, `{"token":"t","absent":[{"topic":"b","events":[[]]}]}`, `{"token":"t","topics":[],"absent":[{"topic":"b","events":[{"data":"d"}]}]}`,
}

// deep gives texts that nest just as deep as may be, and one deeper.
func deep() []string {
	var texts []string
	for _, n := range []int{9_998, 9_999, 10_000, 10_001} {
		arrays, objects := strings.Repeat("[", n)+strings.Repeat("]", n), strings.Repeat(`{"a":`, n)+"1"+strings.Repeat("}", n)
		texts = append(texts, arrays, objects, `{"token":"t","a":`+arrays+`}`, `{"token":"t","a":`+objects+`,"b":`+arrays+`}`,
			`{"token":"t","event":{"data":"d","a":`+arrays+`}}`, `{"token":"t","event":`+arrays+`}`, strings.Repeat("[", n), strings.Repeat(`[{"a":`, n/2))
	}
	return texts
}

// sameAsReference parses body as both kinds, by both ways.
func sameAsReference(t *testing.T, p *wire.Parser, body []byte) {
	t.Helper()
	before := slices.Clone(body)
	want, wantErr := referenceMessage(body)
	m, err := p.Parse(body)
	if m != want || !reflect.DeepEqual(err, wantErr) {
		t.Errorf("%.200q: Parse gives %+v, %v; want %+v, %v", body, m, err, want, wantErr)
	}
	if m, err = wire.ParseMessage(body); m != want || !reflect.DeepEqual(err, wantErr) {
		t.Errorf("%.200q: ParseMessage gives %+v, %v; want %+v, %v", body, m, err, want, wantErr)
	}
	wantR, wantErr := referenceSubscribe(body)
	r, err := wire.ParseSubscribe(body)
	if !reflect.DeepEqual(r, wantR) || !reflect.DeepEqual(err, wantErr) {
		t.Errorf("%.200q: ParseSubscribe gives %+v, %v; want %+v, %v", body, r, err, wantR, wantErr)
	}
	if !slices.Equal(before, body) {
		t.Errorf("%.200q: the body was changed", before)
	}
	clear(body) // what was taken from it must not be in it
	if !reflect.DeepEqual(r, wantR) || m != want {
		t.Errorf("%.200q: %+v and %+v lie in the body", before, m, r)
	}
	copy(body, before)
}

func TestParseIsLikeEncodingJSON(t *testing.T) {
	t.Parallel()
	var p wire.Parser // one for all: nothing of a message may be left in the next
	for _, body := range bodies {
		for end := range len(body) + 1 {
			sameAsReference(t, &p, []byte(body[:end]))
		}
	}
	for _, body := range deep() {
		sameAsReference(t, &p, []byte(body))
	}
}

// FuzzParseMessageLikeEncodingJSON holds that the scanner and encoding/json read
// the same from every body, or refuse it for the same reason.
func FuzzParseMessageLikeEncodingJSON(f *testing.F) {
	seeds(f)
	for _, body := range slices.Concat(bodies, []string{typical, escaped}) {
		f.Add([]byte(body))
	}
	var p wire.Parser
	f.Fuzz(func(t *testing.T, body []byte) { sameAsReference(t, &p, body) })
}

// pieces are what bodies are put together from.
var pieces = []string{
	`{`, `}`, `[`, `]`, `,`, `:`, ` `, `"token":`, `"topic":`, `"event":{`, `"event":`, `"data":`, `"name":`, `"close":`, `"idempotency_key":`, `"topics":["a"`, `"from":`, `"transient":`, `"override":`, `"absent":[{`, `"events":[{`,
	`"t"`, `"\u0074oken":`, `"d\n"`, `"\ud83d\ude00"`, `"\ud800"`, "\"\xff世\"", `""`, `true`, `false`, `null`, `0`, `-1.5e+3`, `01`, `"`, `\`, "\x00", "\u00a0", `"x":[{"y":[]},1],`, `"x":{},`,
}

// FuzzParseOfPiecesLikeEncodingJSON holds the same of bodies that are mostly
// JSON: each byte of the input stands for a piece.
func FuzzParseOfPiecesLikeEncodingJSON(f *testing.F) {
	f.Add([]byte{0, 7, 17, 4, 9, 12, 19, 4, 11, 20, 1, 4, 13, 24, 1}) // a whole message
	f.Add([]byte{0, 37, 8, 20, 4, 14, 20, 4, 15, 3, 4, 16, 20, 1})
	f.Add([]byte{2, 0, 38, 21, 24, 1, 4, 2, 3, 3})
	f.Add([]byte{0, 7, 20, 4, 18, 8, 20, 4, 19, 11, 20, 1, 3, 1, 3, 4, 16, 20, 4, 17, 24, 1}) // a whole one with absent
	var p wire.Parser
	f.Fuzz(func(t *testing.T, numbers []byte) {
		var body []byte
		for _, n := range numbers {
			body = append(body, pieces[int(n)%len(pieces)]...)
		}
		sameAsReference(t, &p, body)
	})
}

// Bodies of the size that is usual: without escapes, and with JSON as the data.
var (
	typical = `{"token":"c2x1aWNlLXRva2VuLTAwMQ","event":{"name":"task_event","data":"` + strings.Repeat("0123456 ", 16) + `"}}`
	escaped = `{"token":"c2x1aWNlLXRva2VuLTAwMQ","event":{"name":"task_event","data":"` + strings.Repeat(`{\"task\":\"6f1c\",\"percent\":42},`, 4) + `"}}`
)

func TestParseMakesNoGarbage(t *testing.T) {
	for _, body := range []string{
		typical, escaped, ` {"topic":"task:世界","idempotency_key":"k","more":[{"a":[1.5e3,null]}],"close":true,"event":{"data":"é"}} `,
		``, `[]`, `{`, `{"token":"t","event":1}`, strings.Repeat("[", 100_000),
	} {
		var p wire.Parser
		text := []byte(body)
		if n := testing.AllocsPerRun(100, func() { _, _ = p.Parse(text) }); n != 0 {
			t.Errorf("%.100s: %v allocations, want none", body, n)
		}
	}
}

// TestParsedTextsAreBorrowed pins the lifetime that Parse states: a message lies
// in the body, or in the parser where there are escapes, and a clone in neither.
func TestParsedTextsAreBorrowed(t *testing.T) {
	t.Parallel()
	var p wire.Parser
	body := []byte(`{"token":"abc","event":{"data":"d\te"}}`)
	m, err := p.Parse(body)
	if err != nil {
		t.Fatal(err)
	}
	kept := m.Clone()
	copy(body[bytes.Index(body, []byte("abc")):], "xyz")
	if m.Token != "xyz" || kept.Token != "abc" {
		t.Errorf("token %q and its clone %q, want xyz and abc", m.Token, kept.Token)
	}
	if _, err := p.Parse([]byte(`{"token":"f\ng"}`)); err != nil {
		t.Fatal(err)
	}
	if m.Data != "f\ng" || kept.Data != "d\te" {
		t.Errorf("data %q and its clone %q, want the next message's and its own", m.Data, kept.Data)
	}
}

// TestParseKeepsNoMoreThanItsBound has a huge message before a small one.
func TestParseKeepsNoMoreThanItsBound(t *testing.T) {
	huge := []byte(`{"token":"t","event":{"data":"` + strings.Repeat(`\n`, 1<<20) + `"}}`)
	var p wire.Parser
	if n := testing.AllocsPerRun(10, func() { _, _ = p.Parse(huge) }); n == 0 {
		t.Error("a megabyte of scratch was kept for the next message")
	}
}

func BenchmarkParseMessage(b *testing.B) {
	for _, tt := range []struct{ name, body string }{{"plain", typical}, {"escaped", escaped}} {
		body := []byte(tt.body)
		b.Run(tt.name+"/Parser", func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(body)))
			var p wire.Parser
			for b.Loop() {
				_, _ = p.Parse(body)
			}
		})
		b.Run(tt.name+"/ParseMessage", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_, _ = wire.ParseMessage(body)
			}
		})
		b.Run(tt.name+"/encoding-json", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_, _ = referenceMessage(body)
			}
		})
	}
}
