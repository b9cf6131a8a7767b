package draw

import (
	"slices"
	"strings"
)

// Bar is a bar that lies: as long as value is of limit, and visible unless value is zero.
func (p Pen) Bar(value, limit, width int) string {
	steps := []rune(p.Glyphs.eighths)
	n := len(steps)
	length := 0
	if value > 0 {
		length = max(value*width*n/limit, 1)
	}
	bar := strings.Repeat(string(steps[n-1]), length/n)
	if rest := length % n; rest > 0 {
		bar += string(steps[rest-1])
	}
	if value > 0 && bar == "" {
		bar = string(steps[0])
	}
	return bar
}

// Skyline is a row of bars that stand, one rune each, as high as a value is of the highest.
func (p Pen) Skyline(values []int) string {
	steps := []rune(p.Glyphs.levels)
	limit := max(slices.Max(values), 1)
	var line strings.Builder
	for _, value := range values {
		if value == 0 {
			line.WriteByte(' ')
			continue
		}
		line.WriteRune(steps[(value*len(steps)-1)/limit])
	}
	return strings.TrimRight(line.String(), " ")
}

// Squeeze adds neighbours up until at most width values are left, and says how many make one.
func Squeeze(values []int, width int) ([]int, int) {
	each := (len(values) + width - 1) / width
	squeezed := make([]int, 0, width)
	for chunk := range slices.Chunk(values, max(each, 1)) {
		sum := 0
		for _, value := range chunk {
			sum += value
		}
		squeezed = append(squeezed, sum)
	}
	return squeezed, each
}
