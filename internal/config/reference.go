package config

import (
	"bytes"
	_ "embed"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"tidegate/internal/markdown"
)

// exampleFile is the file of the reference page. A test loads it.
const exampleFile = `# tidegate gateway --config gateway.yaml
listen: :8080
callback-url: http://127.0.0.1:8082/api/sse/callback
heartbeat: 25s
max-pending: 4MiB
cors-origin: [https://example.org, https://app.example.org]
namespace:
  chat: {events: 500, age: 1h, replay: all}
  "*": {bytes: 256KiB}
`

// Reference returns docs/reference/configuration.md.
func Reference() []byte {
	var out bytes.Buffer
	fmt.Fprintf(&out, referenceTop, exampleFile)
	for _, g := range new(Config).bind("config") {
		fmt.Fprintf(&out, "\n## %s\n", g.title)
		for _, s := range g.settings {
			s.write(&out)
		}
	}
	out.WriteString(referenceEnd)
	return out.Bytes()
}

// write writes the section of the setting.
func (s setting) write(out *bytes.Buffer) {
	fmt.Fprintf(out, "\n### `--%s`\n\n%s\n", s.name, markdown.Wrap("", Sentence(s.usage)))
	takes := s.value.Allowed()
	if _, many := s.value.(repeatable); many {
		takes += "; can be given several times"
	}
	fmt.Fprintf(out, "%s- Default: %s\n- Variable: `%s`\n- Commands: `%s`\n",
		markdown.Wrap("- ", "Value: "+takes), s.defaultText(), envName(s.name), strings.Join(s.cmds.names(), "`, `"))
}

// defaultText is the default as the page shows it.
func (s setting) defaultText() string {
	switch text := s.shownDefault(); {
	case s.name == "namespace":
		return "[below](#namespaces)"
	case text != "":
		return "`" + text + "`"
	case s.value.Type() == "":
		return "`false`"
	}
	return "none"
}

// Sentence gives text a capital letter and a full stop.
func Sentence(text string) string {
	for i, r := range text {
		text = string(unicode.ToUpper(r)) + text[i+utf8.RuneLen(r):]
		break
	}
	return strings.TrimSuffix(text, ".") + "."
}

//go:embed reference_top.md
var referenceTop string

//go:embed reference_end.md
var referenceEnd string
