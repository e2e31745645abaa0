package config

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// maxFile bounds the configuration file, in bytes.
const maxFile = 1 << 20

// readFile returns the text of the file.
func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, reasonOf(err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, reasonOf(err)
	}
	if len(text) > maxFile {
		return nil, fmt.Errorf("is larger than %v", ByteSize(maxFile))
	}
	return text, nil
}

// yamlFile turns a YAML document into settings, in the order in which they are written.
type yamlFile struct {
	name   string
	known  map[string]setting // the settings, by name
	apply  func(given)        // takes a setting whose values are not checked yet
	report func(*Problem)
}

// parse reads the one document of text, a map whose keys are names of settings.
func (f *yamlFile) parse(text []byte) {
	dec := yaml.NewDecoder(bytes.NewReader(text))
	var doc, next yaml.Node
	if err := dec.Decode(&doc); err == io.EOF {
		return
	} else if err != nil {
		f.syntaxError(err)
		return
	}
	if err := dec.Decode(&next); err == nil {
		f.problem(&next, "", "a second document begins; give one")
	} else if err != io.EOF {
		f.syntaxError(err)
	}
	root := doc.Content[0]
	if isNull(root) {
		return
	}
	f.each(root, "", f.setting)
}

// quotedPart matches the parts of a parser error that repeat the text, which can be a secret.
var (
	quotedPart = regexp.MustCompile("'[^']{2,}'|`[^`]*`")
	yamlLine   = regexp.MustCompile(`^(?:yaml: )?(?:line ([0-9]+): )?((?s).*)$`)
)

func (f *yamlFile) syntaxError(err error) {
	parts := yamlLine.FindStringSubmatch(err.Error())
	source, reason := f.name, quotedPart.ReplaceAllString(parts[2], "…")
	if parts[1] != "" {
		source += ":" + parts[1]
	}
	if strings.Contains(reason, "unknown anchor") {
		reason = "a value that begins with * must be in quotes"
	}
	f.report(&Problem{Source: source, Reason: "is not YAML: " + reason})
}

func (f *yamlFile) problem(n *yaml.Node, key, reason string) {
	f.report(&Problem{Source: f.source(n, key), Reason: reason})
}

// source is "tidegate.yaml:4 key heartbeat".
func (f *yamlFile) source(n *yaml.Node, key string) string {
	source := fmt.Sprintf("%s:%d", f.name, n.Line)
	if key != "" {
		source += " key " + visible(key)
	}
	return source
}

// each calls do for each pair of a map, and reports what is no map and keys that occur twice.
func (f *yamlFile) each(n *yaml.Node, of string, do func(key, value *yaml.Node)) {
	n = target(n)
	if n.Kind != yaml.MappingNode {
		f.problem(n, of, "give a map, with a key: value on each line")
		return
	}
	lines := map[string]int{}
	for pair := range slices.Chunk(n.Content, 2) {
		key := target(pair[0])
		name := strings.TrimPrefix(of+"."+key.Value, ".")
		switch line, twice := lines[key.Value]; {
		case key.Kind != yaml.ScalarNode:
			f.problem(key, of, "a key has to be a word")
		case twice:
			f.problem(key, name, fmt.Sprintf("is given twice, here and in line %d", line))
		default:
			lines[key.Value] = key.Line
			do(key, target(pair[1]))
		}
	}
}

// setting reads one key of the document.
func (f *yamlFile) setting(key, value *yaml.Node) {
	name := key.Value
	s, known := f.known[name]
	switch {
	case name == "config":
		f.problem(key, name, "a file cannot name another; leave it out")
		return
	case !known:
		f.problem(key, name, "unknown key"+didYouMean(name, slices.Sorted(maps.Keys(f.known)), ""))
		return
	}
	_, many := s.value.(repeatable)
	g := given{name: name, from: fmt.Sprintf("%s:%d", f.name, key.Line)}
	items := []*yaml.Node{value}
	switch {
	case value.Kind == yaml.MappingNode && name == "namespace":
		f.each(value, name, func(key, value *yaml.Node) { f.namespace(&g, key, value) })
		items = nil
	case value.Kind == yaml.SequenceNode && many:
		items = value.Content
	}
	for _, item := range items {
		if text, ok := f.text(item, name); ok {
			g.entries = append(g.entries, entry{text, f.source(item, name)})
		}
	}
	f.apply(g)
}

// namespace writes NAME: {events: 5, age: 1h} as the entry that the flag takes. What would change the
// meaning of an entry, such as a comma in a name or in a value, is refused here.
func (f *yamlFile) namespace(g *given, key, value *yaml.Node) {
	name := "namespace." + key.Value
	if !namespaceName.MatchString(key.Value) {
		f.problem(key, name, notNamespace)
		return
	}
	var fields []string
	f.each(value, name, func(key, value *yaml.Node) {
		text, ok := f.text(value, name+"."+key.Value)
		switch {
		case !ok:
		case !slices.Contains(namespaceFields, key.Value):
			f.problem(key, name+"."+key.Value, "unknown field"+didYouMean(key.Value, namespaceFields, ""))
		default:
			v := new(Namespace).field(key.Value)
			if p := set(v, entry{text, f.source(value, name+"."+key.Value)}); p != nil {
				f.report(p)
				return
			}
			fields = append(fields, key.Value+":"+text)
		}
	})
	if len(fields) > 0 {
		g.entries = append(g.entries, entry{key.Value + "=" + strings.Join(fields, ","), f.source(key, name)})
	}
}

// text is the text of a scalar as it is written, whatever type YAML takes it for.
func (f *yamlFile) text(n *yaml.Node, key string) (string, bool) {
	n = target(n)
	switch {
	case isNull(n):
		f.problem(n, key, `has no value; leave the key out, or give ""`)
	case n.Kind != yaml.ScalarNode:
		f.problem(n, key, "give a single value")
	case !slices.Contains(plainTags, n.ShortTag()):
		f.problem(n, key, "begins with a tag (!…); give a plain value, in quotes if it begins with !")
	default:
		return n.Value, true
	}
	return "", false
}

var plainTags = []string{"!!str", "!!int", "!!float", "!!bool", "!!timestamp", "!!merge"}

func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null" }

// target is the node that an alias stands for.
func target(n *yaml.Node) *yaml.Node {
	if n.Kind == yaml.AliasNode {
		return n.Alias
	}
	return n
}
