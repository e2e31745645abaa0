package main

import (
	"fmt"
	"regexp"
	"strings"
	"unicode/utf8"
)

// Bounds of the house's English.
const (
	maxWords     = 25  // in a sentence
	maxColumns   = 100 // in a line of prose
	maxCell      = 120 // characters in a cell of a table
	maxParagraph = 5   // lines, at maxColumns each
)

// place is something to mend.
type place struct {
	line int
	text string
}

// prose sums up sentences.
type prose struct {
	sentences, words, longSentences, wideLines, longParagraphs, wideCells int
	longest                                                               largest
	places                                                                []place // of the file that was added last
}

func (p *prose) report(f *figures, prefix string) {
	f.add(prefix+"sentences", "%d", p.sentences)
	f.add(prefix+"words a sentence", "%.1f", float64(p.words)/float64(max(p.sentences, 1)))
	f.add(prefix+fmt.Sprintf("sentences above %d words", maxWords), "%d", p.longSentences)
	f.add(prefix+"longest sentence", "%s", p.longest)
	f.add(prefix+fmt.Sprintf("lines above %d columns", maxColumns), "%d", p.wideLines)
	if prefix == "pages: " {
		f.add(prefix+fmt.Sprintf("paragraphs above %d lines", maxParagraph), "%d", p.longParagraphs)
		f.add(prefix+fmt.Sprintf("cells above %d characters", maxCell), "%d", p.wideCells)
	}
}

// tooLong lists what exceeds the bounds in a page or in the comments of a Go file.
func tooLong(f file) []place {
	var p prose
	switch {
	case strings.HasSuffix(f.name, ".md"):
		p.addPage(f)
	case strings.HasSuffix(f.name, ".go"):
		(&code{folders: map[string]int{}}).add(f, &p)
	}
	return p.places
}

var (
	fence    = regexp.MustCompile("^\\s*(```|~~~)")
	listItem = regexp.MustCompile(`^\s*(?:[-*+]|\d+\.)\s+`)
	heading  = regexp.MustCompile(`^(#|!\[|<|\[[^\]]+\]:)`)
)

// addPage reads the prose of a page: paragraphs and items of lists, but neither
// headings nor code.
func (p *prose) addPage(f file) {
	var paragraph []string
	begin, inCode := 0, false
	flush := func() {
		if len(paragraph) > 0 {
			p.addParagraph(f.name, begin, strings.Join(paragraph, " "))
		}
		paragraph = nil
	}
	number := 0
	for line := range strings.Lines(f.text) {
		number++
		line = strings.TrimRight(line, "\r\n")
		switch {
		case fence.MatchString(line):
			flush()
			inCode = !inCode
			continue
		case inCode:
			continue
		case strings.HasPrefix(line, "|"):
			flush()
			p.addRow(number, line)
			continue
		case strings.TrimSpace(line) == "", heading.MatchString(line):
			flush()
			continue
		case strings.HasPrefix(line, "    ") && len(paragraph) == 0:
			continue // code
		case listItem.MatchString(line):
			flush()
		}
		if n := utf8.RuneCountInString(line); n > maxColumns {
			p.wideLines++
			p.places = append(p.places, place{number, fmt.Sprintf("%d columns", n)})
		}
		if len(paragraph) == 0 {
			begin = number
		}
		paragraph = append(paragraph, strings.TrimSpace(listItem.ReplaceAllString(line, "")))
	}
	flush()
}

func (p *prose) addParagraph(name string, line int, text string) {
	p.addSentences(name, line, text)
	if n := (utf8.RuneCountInString(text) + maxColumns - 1) / maxColumns; n > maxParagraph {
		p.longParagraphs++
		p.places = append(p.places, place{line, fmt.Sprintf("paragraph of %d lines", n)})
	}
}

func (p *prose) addRow(line int, row string) {
	for cell := range strings.SplitSeq(strings.ReplaceAll(row, `\|`, "¦"), "|") {
		if n := utf8.RuneCountInString(strings.TrimSpace(cell)); n > maxCell {
			p.wideCells++
			p.places = append(p.places, place{line, fmt.Sprintf("cell of %d characters", n)})
		}
	}
}

// addText reads a comment: paragraphs, where indented lines are code.
func (p *prose) addText(name string, line int, text string) {
	var paragraph []string
	begin := line
	flush := func() {
		if len(paragraph) > 0 {
			p.addSentences(name, begin, strings.Join(paragraph, " "))
		}
		paragraph = nil
	}
	for l := range strings.Lines(text) {
		l = strings.TrimRight(l, "\n")
		item := listItem.MatchString(l)
		switch {
		case l == "" || item:
			flush()
		case strings.HasPrefix(l, "\t") || strings.HasPrefix(l, "    "):
			flush()
			line++
			continue
		}
		if len(paragraph) == 0 {
			begin = line
		}
		if l = strings.TrimSpace(listItem.ReplaceAllString(l, "")); l != "" {
			paragraph = append(paragraph, l)
		}
		line++
	}
	flush()
}

// addWidth counts the lines of a file that are too wide, of those that is says yes to.
func (p *prose) addWidth(f file, is func(line string) bool) {
	number := 0
	for line := range strings.Lines(f.text) {
		number++
		line = strings.TrimRight(line, "\r\n")
		if n := utf8.RuneCountInString(strings.ReplaceAll(line, "\t", "    ")); is(line) && n > maxColumns {
			p.wideLines++
			p.places = append(p.places, place{number, fmt.Sprintf("%d columns", n)})
		}
	}
}

var (
	inlineCode = regexp.MustCompile("`[^`]*`")
	linkTarget = regexp.MustCompile(`\]\([^)]*\)`)
	sentence   = regexp.MustCompile(`[.!?]["')*_]*(\s+|$)`)
	abbreviate = regexp.MustCompile(`\b(e\.g|i\.e|etc|cf|vs)\.`)
)

// addSentences counts. A stretch of code is one word.
func (p *prose) addSentences(name string, line int, text string) {
	text = inlineCode.ReplaceAllString(text, "code")
	text = linkTarget.ReplaceAllString(text, "]")
	text = abbreviate.ReplaceAllString(text, "$1")
	for _, s := range sentence.Split(text, -1) {
		words := 0
		for word := range strings.FieldsSeq(s) {
			if strings.ContainsFunc(word, isWordRune) {
				words++
			}
		}
		if words == 0 {
			continue
		}
		p.sentences++
		p.words += words
		p.longest.see(words, fmt.Sprintf("%s:%d", name, line))
		if words > maxWords {
			p.longSentences++
			p.places = append(p.places, place{line, fmt.Sprintf("%d words: %.80s …", words, s)})
		}
	}
}

func isWordRune(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9'
}
