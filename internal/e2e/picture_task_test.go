package e2e

import (
	"bytes"
	"fmt"
	"image"
	"image/color"
	"image/gif"
	"image/png"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

// TestPictureOfATask writes task.gif and task.png, a checksum task on the page, into the directory
// that TEST_PICTURES names. docs/pictures/make calls it.
func TestPictureOfATask(t *testing.T) {
	out := os.Getenv("TEST_PICTURES")
	if out == "" {
		t.Skip("TEST_PICTURES names no directory")
	}
	p := pageSetup{bin: binary, browser: startChromium(t)}
	files := filepath.Join(t.TempDir(), "backups")
	if err := os.Mkdir(files, 0o755); err != nil {
		t.Fatal(err)
	}
	for month := range 12 {
		f, err := os.Create(filepath.Join(files, fmt.Sprintf("2026-%02d.tar", month+1)))
		if err == nil {
			err = f.Truncate(int64(60+4*month) << 20) // sparse: takes time to read, and no room
		}
		if err == nil {
			err = f.Close()
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	s := p.serve(t, "--checksum-root", files)
	tab := p.open(t, "about:blank")
	if _, err := chromedp.Call(tab.ctx, emulation.SetDeviceMetricsOverride,
		emulation.SetDeviceMetricsOverrideParams{Width: 760, Height: 620, DeviceScaleFactor: 1}); err != nil {
		t.Fatal(err)
	}
	tab.do("open", chromedp.Navigate(s.public+"/?task="+s.startTask(t, "checksum", jsonObject{})))
	tab.wait(`document.getElementById("link").innerText !== ""`)
	film := newFilm(t)
	for end := time.Now().Add(time.Minute); tab.text("link") != "Ended" && time.Now().Before(end); {
		film.take(tab)
	}
	film.take(tab)
	film.write(filepath.Join(out, "task.gif"))
	if err := os.WriteFile(filepath.Join(out, "task.png"), film.last, 0o644); err != nil {
		t.Fatal(err)
	}
}

// film is an animation of screenshots. Each picture after the first has only what changed.
type film struct {
	t     *testing.T
	gif   gif.GIF
	whole *image.RGBA // what is shown now
	last  []byte      // the last screenshot, as PNG
	at    time.Time
}

func newFilm(t *testing.T) *film { return &film{t: t, at: time.Now()} }

func (f *film) take(tab *pageTab) {
	f.t.Helper()
	shot, err := chromedp.Run(tab.ctx, chromedp.CaptureScreenshot())
	if err != nil {
		f.t.Fatal(err)
	}
	picture, err := png.Decode(bytes.NewReader(shot))
	if err != nil {
		f.t.Fatal(err)
	}
	now := time.Now()
	if n := len(f.gif.Delay); n > 0 {
		f.gif.Delay[n-1] += int(now.Sub(f.at) / (20 * time.Millisecond)) // twice as fast as it was
	}
	f.at, f.last = now, shot
	changed := f.difference(picture)
	if changed.Empty() {
		return
	}
	f.gif.Image = append(f.gif.Image, paletted(picture, changed))
	f.gif.Delay = append(f.gif.Delay, 0)
	f.gif.Disposal = append(f.gif.Disposal, gif.DisposalNone)
}

// difference remembers a picture and returns the bounds of what changed.
func (f *film) difference(picture image.Image) (changed image.Rectangle) {
	bounds := picture.Bounds()
	if f.whole == nil {
		f.whole, changed = image.NewRGBA(bounds), bounds
	}
	for y := bounds.Min.Y; y < bounds.Max.Y; y++ {
		for x := bounds.Min.X; x < bounds.Max.X; x++ {
			c := color.RGBAModel.Convert(picture.At(x, y)).(color.RGBA)
			if f.whole.RGBAAt(x, y) != c {
				f.whole.SetRGBA(x, y, c)
				changed = changed.Union(image.Rect(x, y, x+1, y+1))
			}
		}
	}
	return changed
}

// paletted reduces a part of a picture to its 256 most frequent colours.
func paletted(picture image.Image, part image.Rectangle) *image.Paletted {
	count := map[color.RGBA]int{}
	for y := part.Min.Y; y < part.Max.Y; y++ {
		for x := part.Min.X; x < part.Max.X; x++ {
			count[color.RGBAModel.Convert(picture.At(x, y)).(color.RGBA)]++
		}
	}
	var all []color.RGBA
	for c := range count {
		all = append(all, c)
	}
	slices.SortFunc(all, func(a, b color.RGBA) int { return count[b] - count[a] })
	var palette color.Palette
	for _, c := range all[:min(len(all), 256)] {
		palette = append(palette, c)
	}
	p := image.NewPaletted(part, palette)
	for y := part.Min.Y; y < part.Max.Y; y++ {
		for x := part.Min.X; x < part.Max.X; x++ {
			p.Set(x, y, picture.At(x, y))
		}
	}
	return p
}

// write writes the animation, which stays at its end for four seconds and then begins again.
func (f *film) write(path string) {
	f.t.Helper()
	f.gif.Delay[len(f.gif.Delay)-1] += 400
	var out bytes.Buffer
	if err := gif.EncodeAll(&out, &f.gif); err != nil {
		f.t.Fatal(err)
	}
	if err := os.WriteFile(path, out.Bytes(), 0o644); err != nil {
		f.t.Fatal(err)
	}
	f.t.Logf("%s: %d pictures, %d KB", path, len(f.gif.Image), out.Len()>>10)
}
