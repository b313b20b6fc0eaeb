package main

import (
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// What of a screen becomes what of a picture. The columns are 8.4 wide and begin at 14, the rows are 19 high.
func TestDraw(t *testing.T) {
	for name, try := range map[string]struct{ screen, want string }{
		"text":        {"Milk & eggs", `<text x="14" y="28" textLength="92.4">Milk &amp; eggs</text>`},
		"spaces":      {"  Milk   ", `<text x="30.8" y="28" textLength="33.6">Milk</text>`},
		"rows":        {"a\n  \nb  \n   \n\n", `<text x="14" y="28">a</text>|<text x="14" y="66">b</text>`},
		"a colour":    {"\x1b[31mred\x1b[0m or\x1b[96mcyan", `<text x="14" y="28" class="c1" textLength="25.2">red</text>|<text x="47.6" y="28" textLength="16.8">or</text>|<text x="64.4" y="28" class="c14" textLength="33.6">cyan</text>`},
		"goes on":     {"\x1b[1;36ma\nb\x1b[22mc\x1b[39md", `<text x="14" y="28" class="b c6">a</text>|<text x="14" y="47" class="b c6">b</text>|<text x="22.4" y="47" class="c6">c</text>|<text x="30.8" y="47">d</text>`},
		"all looks":   {"\x1b[1;2;3;4mx\x1b[22;23;24my\x1b[my", `<text x="14" y="28" class="b f i u">x</text>|<text x="22.4" y="28" textLength="16.8">yy</text>`},
		"underlined":  {"\x1b[4m a ", `<text x="14" y="28" class="u" textLength="25.2"> a </text>`},
		"ground":      {"\x1b[44;37mx \x1b[49my", `<rect x="14" y="14" width="16.8" height="19" class="c4"/>|<text x="14" y="28" class="c7">x</text>|<text x="30.8" y="28" class="c7">y</text>`},
		"turned":      {"\x1b[7mx\x1b[27my", `<rect x="14" y="14" width="8.4" height="19" class="t"/>|<text x="14" y="28" class="g">x</text>|<text x="22.4" y="28">y</text>`},
		"turned red":  {"\x1b[7;31m ", `<rect x="14" y="14" width="8.4" height="19" class="c1"/>`},
		"wide":        {"a牛奶b", `<text x="14" y="28">a</text>|<text x="22.4" y="28">牛</text>|<text x="39.2" y="28">奶</text>|<text x="56" y="28">b</text>`},
		"a cluster":   {"e\u0301👩\u200d🔬.", "<text x=\"14\" y=\"28\">e\u0301</text>|<text x=\"22.4\" y=\"28\">👩\u200d🔬</text>|<text x=\"39.2\" y=\"28\">.</text>"},
		"a frame":     {"─┬─\n │ ", `<path d="M14 23.5H39.2M26.6 23.5V52"/>`},
		"in a colour": {"\x1b[2m─\x1b[0m x", `<text x="30.8" y="28">x</text>|<path d="M14 23.5H22.4"/>`},
		"others":      {"\x1b[2Ja\x1b[38;5;208mb\x1b[48;2;1;2;3mc\x1b[?25h\x0f", `<text x="14" y="28" textLength="25.2">abc</text>`},
		"cut short":   {"a\x1b[3", `<text x="14" y="28">a</text>`},
		"nothing":     {"", ""},
	} {
		if got := strings.ReplaceAll(strings.TrimSpace(draw(read(try.screen))), "\n", "|"); got != try.want {
			t.Errorf("%s:\n got %s\nwant %s", name, got, try.want)
		}
	}
}

// What a terminal may be sent never becomes more than text of the picture.
func FuzzPicture(f *testing.F) {
	f.Add("\x1b[1;31m<script>&\"'</text>\x1b[0m\n─┼─ 牛奶\x1b[7m")
	f.Add("\x1b[38;5;1;48;2m\x00\x1b]0;x\a\xff")
	f.Fuzz(func(t *testing.T, screen string) {
		wellFormed(t, picture(screen, "a <picture>", 80, themes[0]))
	})
}

func wellFormed(t *testing.T, svg string) {
	t.Helper()
	for in := xml.NewDecoder(strings.NewReader(svg)); ; {
		token, err := in.Token()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			t.Fatalf("%v in %s", err, svg)
		}
		if e, ok := token.(xml.StartElement); ok && !slices.Contains([]string{"svg", "title", "style", "text", "rect", "path"}, e.Name.Local) {
			t.Fatalf("an element %s in %s", e.Name.Local, svg)
		}
	}
}

// The pictures that the README shows are there, in both themes, small, and need nothing from elsewhere.
func TestPicturesOfTheReadme(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	var shown []string
	for _, m := range regexp.MustCompile(`deploy/pictures/([a-z-]+\.svg)`).FindAllStringSubmatch(string(readme), -1) {
		shown = append(shown, m[1])
	}
	there, err := filepath.Glob("*.svg")
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(shown)
	if shown = slices.Compact(shown); !slices.Equal(shown, there) || len(there) != len(themes)*len(pictures) {
		t.Errorf("the README shows %v, there are %v", shown, there)
	}
	for _, file := range there {
		svg, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		wellFormed(t, string(svg))
		if len(svg) > 60<<10 || strings.Contains(string(svg), "url(") || strings.Contains(string(svg), "href") {
			t.Errorf("%s: %d bytes", file, len(svg))
		}
	}
}
