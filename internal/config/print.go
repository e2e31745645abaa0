package config

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Print writes the configuration as a file that --config reads, with the source of each value as a
// comment. Secrets, those in URLs too, are written as "<set>", which [Load] refuses: they have to be put
// back by hand.
func (c *Config) Print(w io.Writer) error {
	// The table sets defaults when it is made, so it is made over a copy that then gets the values.
	effective := new(Config)
	groups := effective.bind(c.command.name)
	*effective = *c

	var out bytes.Buffer
	fmt.Fprintf(&out, "# Effective configuration of tidegate %s.\n", c.command.name)
	if c.File != "" {
		fmt.Fprintf(&out, "# File: %s\n", visible(c.File))
	}
	for _, g := range groups {
		titled := false
		for _, s := range g.settings {
			if s.cmds&c.command.set == 0 || s.name == "config" {
				continue
			}
			if !titled {
				fmt.Fprintf(&out, "\n# %s\n", g.title)
				titled = true
			}
			if err := c.print(&out, s); err != nil {
				return err
			}
		}
	}
	_, err := w.Write(out.Bytes())
	return err
}

// print writes one setting.
func (c *Config) print(out *bytes.Buffer, s setting) error {
	origin := "default"
	if from, ok := c.origins[s.name]; ok {
		origin = visible(from)
	}
	if isSecret(s.value) && s.value.String() == "" {
		fmt.Fprintf(out, "# %s: is not set\n", s.name)
		return nil
	}
	if v, ok := s.value.(*namespaces); ok {
		return printNamespaces(out, s.name, *v.p, origin)
	}
	text, err := yamlText(nodeOf(s.value))
	if err != nil {
		return fmt.Errorf("print %s: %w", s.name, err)
	}
	fmt.Fprintf(out, "%s: %s  # %s\n", s.name, text, origin)
	return nil
}

func isSecret(v value) bool {
	switch v.(type) {
	case secretValue, secretList:
		return true
	}
	return false
}

func printNamespaces(out *bytes.Buffer, name string, all map[string]Namespace, origin string) error {
	fmt.Fprintf(out, "%s:  # %s\n", name, origin)
	for _, key := range slices.Sorted(maps.Keys(all)) {
		n := all[key]
		fields := &yaml.Node{Kind: yaml.MappingNode, Style: yaml.FlowStyle}
		for _, f := range namespaceFields {
			fields.Content = append(fields.Content, textNode(f), nodeOf(n.field(f)))
		}
		keyText, err := yamlText(textNode(key))
		if err != nil {
			return fmt.Errorf("print %s: %w", name, err)
		}
		text, err := yamlText(fields)
		if err != nil {
			return fmt.Errorf("print %s: %w", name, err)
		}
		fmt.Fprintf(out, "  %s: %s\n", keyText, text)
	}
	return nil
}

// nodeOf is a value as YAML, without secrets.
func nodeOf(v value) *yaml.Node {
	switch v := v.(type) {
	case repeatable:
		n := &yaml.Node{Kind: yaml.SequenceNode, Style: yaml.FlowStyle}
		for _, text := range v.Texts() {
			n.Content = append(n.Content, textNode(text))
		}
		return n
	case urlValue:
		return textNode(hideURL(v.String()))
	case scalar[int]:
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!int", Value: v.String()}
	case scalar[bool]:
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!bool", Value: v.String()}
	}
	return textNode(v.String())
}

// textNode is a string, which the encoder puts in quotes where it would be taken for something else.
func textNode(text string) *yaml.Node {
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: text}
}

func yamlText(n *yaml.Node) (string, error) {
	text, err := yaml.Marshal(n)
	return strings.TrimSuffix(string(text), "\n"), err
}
