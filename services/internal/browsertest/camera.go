package browsertest

import (
	"bytes"
	"fmt"
	"image"
	"image/color"
	"os"
	"path/filepath"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"
)

// Camera gives the browser a camera that sees a picture, in shades of grey and in the picture's size, whose
// sides are even. Whether pages may use it is said with Permit.
func Camera(t *testing.T, picture image.Image) Option {
	t.Helper()
	size := picture.Bounds()
	require.Zero(t, size.Dx()%2+size.Dy()%2, "the sides of the picture are even")
	var film bytes.Buffer
	fmt.Fprintf(&film, "YUV4MPEG2 W%d H%d F10:1 Ip A1:1 C420jpeg\nFRAME\n", size.Dx(), size.Dy())
	for y := size.Min.Y; y < size.Max.Y; y++ {
		for x := size.Min.X; x < size.Max.X; x++ {
			film.WriteByte(color.GrayModel.Convert(picture.At(x, y)).(color.Gray).Y)
		}
	}
	film.Write(bytes.Repeat([]byte{128}, size.Dx()*size.Dy()/2)) // no colour
	path := filepath.Join(t.TempDir(), "camera.y4m")
	require.NoError(t, os.WriteFile(path, film.Bytes(), 0o600))
	return func(a *chromedp.ExecAllocator) {
		Flag("use-fake-device-for-media-stream", true)(a)
		Flag("use-file-for-fake-video-capture", path)(a)
	}
}
