package report

import (
	"math"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// What is to be read has the contrast of WCAG 2.2's level AA (1.4.3), and so have drawings (1.4.11), by day and by night.
func TestColoursHaveContrast(t *testing.T) {
	t.Parallel()
	light, rest, ok := strings.Cut(css, "@media screen and (prefers-color-scheme: dark)")
	require.True(t, ok)
	dark, _, _ := strings.Cut(rest, "* {")
	for scheme, style := range map[string]string{"light": light, "dark": dark} {
		colours := make(map[string]string)
		for _, match := range regexp.MustCompile(`--([a-z0-9-]+): (#[0-9a-f]{6})`).FindAllStringSubmatch(style, -1) {
			colours[match[1]] = match[2]
		}
		for on, texts := range map[string][]string{
			"ground":         {"text", "quiet", "accent"},
			"card":           {"text", "quiet", "accent", "good", "warning", "alarm"},
			"hover":          {"text", "quiet", "alarm"},
			"code":           {"text", "quiet"},
			"good-ground":    {"text", "good"},
			"warning-ground": {"text", "warning"},
			"alarm-ground":   {"text", "alarm"},
		} {
			for _, text := range texts {
				require.GreaterOrEqual(t, contrast(t, colours[text], colours[on]), 4.5, "%s: %s on %s", scheme, text, on)
			}
		}
		for _, drawn := range []string{"c1", "c2", "c3", "c4", "c5", "cx", "reuse", "replay", "retry", "mismatch"} {
			require.GreaterOrEqual(t, contrast(t, colours[drawn], colours["card"]), 3.0, "%s: %s", scheme, drawn)
		}
		require.Greater(t, contrast(t, colours["c1"], colours["idle"]), 2.0, "%s: the parts of a bar", scheme)
	}
}

func contrast(t *testing.T, a, b string) float64 {
	t.Helper()
	lighter, darker := luminance(t, a), luminance(t, b)
	if lighter < darker {
		lighter, darker = darker, lighter
	}
	return (lighter + 0.05) / (darker + 0.05)
}

// luminance is that of WCAG.
func luminance(t *testing.T, colour string) float64 {
	t.Helper()
	require.Len(t, colour, len("#rrggbb"))
	sum := 0.0
	for i, weight := range []float64{0.2126, 0.7152, 0.0722} {
		value, err := strconv.ParseUint(colour[1+2*i:3+2*i], 16, 8)
		require.NoError(t, err)
		part := float64(value) / 255
		if part <= 0.04045 {
			part /= 12.92
		} else {
			part = math.Pow((part+0.055)/1.055, 2.4)
		}
		sum += weight * part
	}
	return sum
}
